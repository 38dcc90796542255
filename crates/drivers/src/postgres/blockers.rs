//! Who stands in the way of a lock.

use std::time::Duration;

use segue_model::lock::RelationLock;
use segue_model::session::Blocker;
use segue_model::sql::{Hole, Sql, StandardQuoting};
use segue_model::value::Row;

use super::server::text;

/// How much of somebody's statement is shown.
const QUERY_CHARS_MAX: usize = 80;

/// Returns the question; `None` when nothing is to be locked.
pub(super) fn query(locks: &[RelationLock]) -> Option<Sql> {
    let wanted: Vec<_> = locks
        .iter()
        .map(|lock| {
            let holes = [
                ("nsp", Hole::Text(lock.relation.schema.as_str())),
                ("rel", Hole::Text(lock.relation.name.as_str())),
                ("mode", Hole::Text(lock.mode.name())),
            ];
            Sql::fill(&StandardQuoting, "({nsp}, {rel}, {mode})", &holes)
        })
        .collect();
    let holes = [("wanted", Hole::Join(&wanted, ", "))];
    (!wanted.is_empty()).then(|| Sql::fill(&StandardQuoting, include_str!("blockers.sql"), &holes))
}

/// Returns what one row of the answer says.
pub(super) fn read(row: &Row) -> Blocker {
    let number = |at: usize| row[at].as_i64().unwrap_or(0);
    Blocker {
        pid: number(0),
        user: text(row, 1),
        application: text(row, 2),
        age: Duration::from_millis(u64::try_from(number(3)).unwrap_or(0)),
        query: without_literals(&text(row, 4)),
    }
}

/// Returns a statement as it may be shown: literals and comments out, white space joined, cut to 80 characters.
pub(super) fn without_literals(sql: &str) -> String {
    let mut shown = String::new();
    let mut rest = sql;
    while let Some(c) = rest.chars().next() {
        let (piece, taken) = piece(rest, c, shown.chars().last());
        if !(piece == " " && (shown.is_empty() || shown.ends_with(' '))) {
            shown.push_str(piece);
        }
        rest = &rest[taken..];
    }
    let shown = shown.trim_end();
    match shown.char_indices().nth(QUERY_CHARS_MAX) {
        Some((cut, _)) => shown[..cut].to_owned(),
        None => shown.to_owned(),
    }
}

/// Returns what to show for the token that `rest` begins with, and its length. A token that is cut short goes to the end.
fn piece(rest: &str, first: char, before: Option<char>) -> (&str, usize) {
    let in_word = before.is_some_and(|c| c.is_alphanumeric() || c == '_' || c == '$');
    let after = |from: usize, end: &str| rest[from..].find(end).map_or(rest.len(), |at| from + at + end.len());
    if rest.starts_with("--") {
        return (" ", after(2, "\n"));
    }
    if rest.starts_with("/*") {
        return (" ", after(2, "*/"));
    }
    match first {
        '\'' => ("?", string_end(rest, matches!(before, Some('e' | 'E')))),
        '"' => {
            let end = after(1, "\"");
            (&rest[..end], end)
        }
        '$' if !in_word => match dollar_tag(rest) {
            Some(tag) => ("?", after(tag.len(), tag)),
            None => ("$", 1),
        },
        '0'..='9' if !in_word => {
            let number = |c: char| c.is_ascii_alphanumeric() || c == '.';
            ("?", rest.find(|c| !number(c)).unwrap_or(rest.len()))
        }
        _ if first.is_whitespace() || first.is_control() => (" ", first.len_utf8()),
        _ => (&rest[..first.len_utf8()], first.len_utf8()),
    }
}

fn string_end(rest: &str, escapes: bool) -> usize {
    let mut chars = rest.char_indices().skip(1).peekable();
    while let Some((at, c)) = chars.next() {
        match c {
            '\\' if escapes => drop(chars.next()),
            '\'' if chars.peek().is_some_and(|(_, next)| *next == '\'') => drop(chars.next()),
            '\'' => return at + 1,
            _ => {}
        }
    }
    rest.len()
}

fn dollar_tag(rest: &str) -> Option<&str> {
    let end = rest[1..].find('$')? + 2;
    let tag = &rest[1..end - 1];
    let word = tag.chars().all(|c| c.is_alphanumeric() || c == '_');
    (word && !tag.starts_with(|c: char| c.is_ascii_digit())).then(|| &rest[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_literal_is_shown() {
        let cases = [
            ("select * from t1 where a = 'it''s' and b=42", "select * from t1 where a = ? and b=?"),
            ("select E'a\\'secret', $1", "select E?, $1"),
            ("select $$secret$$, $x$ a $$ b $x$, \"Odd 1\"", "select ?, ?, \"Odd 1\""),
            ("update  t\n set x = 'cut sho", "update t set x = ?"),
            ("-- secret\nselect /* secret */ 1", "select ?"),
        ];
        for (sql, shown) in cases {
            assert_eq!(without_literals(sql), shown);
        }
        assert_eq!(without_literals(&"é".repeat(200)).chars().count(), 80);
    }
}
