//! Problems in a file, drawn under the line they are about.

use std::borrow::Cow;

use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};
use segue_model::change::Place;
use segue_parse::Problem;
use segue_plan::refusal::Refused;

use crate::failure::Failure;
use crate::project::Texts;

/// The most problems that are drawn; further ones are counted.
const DRAWN_MAX: usize = 20;

/// Lines shown before and after the one that is meant.
const LINES_AROUND: usize = 2;

/// One problem: where, what, and what to do.
struct Remark<'a> {
    at: Option<&'a Place>,
    what: String,
    hint: String,
}

/// Returns what `parse` found, drawn.
pub(crate) fn problems(problems: &[Problem], texts: &Texts) -> Failure {
    let remarks = problems.iter().map(|p| Remark { at: Some(&p.at), what: p.kind.to_string(), hint: p.hint() });
    failure(remarks.collect(), texts, "cannot be read")
}

/// Returns what `plan` refused, drawn.
pub(crate) fn refusals(refused: &[Refused], texts: &Texts) -> Failure {
    let remarks =
        refused.iter().map(|r| Remark { at: r.at.as_ref(), what: r.refusal.to_string(), hint: r.refusal.hint() });
    failure(remarks.collect(), texts, "is refused")
}

fn failure(remarks: Vec<Remark<'_>>, texts: &Texts, verdict: &str) -> Failure {
    let count = remarks.len();
    let problems = if count == 1 { "one problem".to_owned() } else { format!("{count} problems") };
    let mut failure = Failure::refused(format!("`{}` {verdict}: {problems}; the database is untouched", texts.up_name));
    for remark in remarks.iter().take(DRAWN_MAX) {
        failure = failure.report(draw(remark, texts));
    }
    if count > DRAWN_MAX {
        failure = failure.hint(format!("{} further problems are not shown.", count - DRAWN_MAX));
    }
    failure
}

/// Draws one remark with the lines around it.
fn draw(remark: &Remark<'_>, texts: &Texts) -> String {
    let title = Level::ERROR.primary_title(remark.what.clone());
    let help = (!remark.hint.is_empty()).then(|| Level::HELP.message(remark.hint.clone()));
    let Some(at) = remark.at else {
        let mut group = Group::with_title(title);
        group = match help {
            Some(help) => group.element(help),
            None => group,
        };
        return Renderer::plain().render(&[group]);
    };
    let text = text_of(&at.file, texts);
    let window = Window::around(&text, at);
    let snippet = Snippet::source(window.text)
        .line_start(window.first_line)
        .path(at.file.as_str())
        .annotation(AnnotationKind::Primary.span(window.span));
    let mut group = title.element(snippet);
    if let Some(help) = help {
        group = group.element(help);
    }
    Renderer::plain().render(&[group])
}

/// Returns the text of the file that a place names.
fn text_of<'a>(file: &str, texts: &'a Texts) -> Cow<'a, str> {
    let bytes = match &texts.down {
        Some((name, bytes)) if name == file => bytes,
        _ => &texts.up,
    };
    let bytes = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes);
    match String::from_utf8_lossy(bytes) {
        text if text.contains('\r') => Cow::Owned(text.replace("\r\n", "\n")),
        text => text,
    }
}

/// A few lines of a file: drawing scans its source from the start, so it gets no more than it shows.
struct Window<'a> {
    text: &'a str,
    first_line: usize,
    span: std::ops::Range<usize>,
}

impl<'a> Window<'a> {
    fn around(text: &'a str, at: &Place) -> Self {
        let line = (at.line as usize).max(1);
        let first_line = line.saturating_sub(LINES_AROUND).max(1);
        let mut starts = std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1));
        let from = starts.clone().nth(first_line - 1).unwrap_or(text.len());
        let this = starts.clone().nth(line - 1).unwrap_or(text.len());
        let to = starts.nth(line + LINES_AROUND).map_or(text.len(), |next| next - 1);
        let rest = &text[this..];
        let line_text = &rest[..rest.find('\n').unwrap_or(rest.len())];
        let begin =
            line_text.char_indices().nth((at.column as usize).saturating_sub(1)).map_or(line_text.len(), |(at, _)| at);
        let word = line_text[begin..]
            .find(|c: char| c.is_whitespace() || c == ',' || c == ';')
            .unwrap_or(line_text.len() - begin);
        let end = begin + word.max(line_text[begin..].chars().next().map_or(0, char::len_utf8));
        Self { text: &text[from..to.max(from)], first_line, span: this - from + begin..this - from + end }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawn(text: &str, line: u32, column: u32) -> String {
        let texts = Texts { up_name: "a.sql".into(), up: text.as_bytes().to_vec(), down: None };
        let at = Place { file: "a.sql".into(), line, column };
        draw(&Remark { at: Some(&at), what: "no".into(), hint: "yes".into() }, &texts)
    }

    #[test]
    fn the_word_at_the_place_is_underlined() {
        let report = drawn("one;\ntwo été x;\nthree", 2, 5);
        assert!(report.contains("a.sql:2:5") && report.contains("^^^") && report.contains("help: yes"), "{report}");
    }

    #[test]
    fn places_outside_of_the_text_do_not_panic() {
        for (text, line, column) in [("", 1, 1), ("a", 9, 9), ("a\n", 2, 1), ("é", 1, 2), ("a\r\nb", 2, 7)] {
            drawn(text, line, column);
        }
    }
}
