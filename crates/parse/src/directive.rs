//! Lines `-- segue: …`: what SQL cannot say.

use segue_model::change::{Directive, ForeignKeyName, Orphans, RowsChange};
use segue_model::expr::Expr;
use segue_model::ident::{Ident, MigrationId, TableRef};
use segue_model::nearest::{nearest, slips};

use crate::grammar::{Grammar, same_table};
use crate::problem::{Fault, ProblemKind};
use crate::token::{Kind, Token, closing, find_at_top, segments, span};

// How each directive is written.
const FORWARD: &str = "TABLE.COLUMN = EXPR";
const BACK: &str = "back TABLE.COLUMN = EXPR, …";
const ROWS: &str = "rows TABLE(COLUMN, …) from TABLE(EXPR, …) on TABLE.COLUMN = TABLE.COLUMN [and …] [where CONDITION]";
const STRATEGY: &str = "strategy NAME";
const ALLOW: &str = "allow RULE reason=\"…\"";
const DEPENDS: &str = "depends ID";
const ORPHANS: &str = "orphans CONSTRAINT|TABLE.COLUMN refuse|null|quarantine";

const KEYWORDS: [&str; 6] = ["back", "rows", "strategy", "allow", "depends", "orphans"];
const TREATMENTS: [&str; 3] = ["refuse", "null", "quarantine"];
const STRATEGIES: [&str; 6] = ["additive", "native", "expand-contract", "parallel-table", "lazy", "big-bang"];

/// Returns the directive that a comment holds, if it holds one.
pub(crate) fn read(grammar: &dyn Grammar, text: &str, comment: &Token) -> Result<Option<Directive>, Fault> {
    let (start, end) = (comment.start, comment.end);
    let line = text[start..end].trim_end();
    match body(line) {
        Body::Prose => Ok(None),
        Body::Nearly => {
            let found = line.chars().take(40).collect();
            let kind = ProblemKind::NearlyDirective { found, meant: "-- segue: …".to_owned() };
            Err(Fault { span: (start, start + line.len()), kind })
        }
        Body::Directive(at) => {
            let line = Line { grammar, text: &line[at..] };
            line.directive().map(Some).map_err(|fault| fault.shifted(start + at))
        }
    }
}

/// Returns the fault of a comment in a statement that is, or nearly is, a directive.
pub(crate) fn misplaced(text: &str, comment: &Token) -> Option<Fault> {
    let is_directive = matches!(body(comment.text(text)), Body::Directive(_));
    is_directive.then_some(Fault { span: (comment.start, comment.end), kind: ProblemKind::DirectiveInStatement })
}

enum Body {
    /// A comment for people.
    Prose,
    /// A comment that a slip of the finger may have kept from being a directive.
    Nearly,
    /// A directive: its text begins at this byte.
    Directive(usize),
}

fn body(comment: &str) -> Body {
    let is_line = comment.starts_with("--");
    let inner = comment.trim_start_matches(['-', '/', '*', '#']).trim_start();
    let word_end = inner.find(|c: char| !c.is_alphanumeric()).unwrap_or(inner.len());
    let (word, rest) = inner.split_at(word_end);
    let after = rest.trim_start().strip_prefix(':');
    match after {
        Some(after) if word == "segue" && is_line => Body::Directive(comment.len() - after.len()),
        _ if word.eq_ignore_ascii_case("segue") => Body::Nearly,
        Some(_) if is_line && is_like_segue(word) => Body::Nearly,
        _ => Body::Prose,
    }
}

fn is_like_segue(word: &str) -> bool {
    let word = word.to_ascii_lowercase();
    (word.len() >= 3 && "segue".starts_with(&word)) || slips(&word, "segue") == 1
}

/// The text of one directive after its colon.
struct Line<'t> {
    grammar: &'t dyn Grammar,
    text: &'t str,
}

impl Line<'_> {
    fn directive(&self) -> Result<Directive, Fault> {
        let tokens = self.tokens();
        let first = match &tokens {
            Ok(tokens) => tokens.first().copied(),
            Err(_) => None,
        };
        let word = self.first_word();
        let is_name = first.is_some_and(|first| first.is_name())
            && tokens.as_ref().is_ok_and(|tokens| tokens.get(1).is_some_and(|token| token.kind == Kind::Dot));
        if is_name {
            return self.forward(&tokens?);
        }
        match word.1 {
            "back" => self.back(&tokens?[1..]),
            "rows" => self.rows(&tokens?[1..]),
            "strategy" => self.strategy(word.0),
            "allow" => self.allow(word.0),
            "depends" => self.depends(word.0),
            "orphans" => self.orphans(&tokens?[1..]),
            other => Err(self.unknown(other, tokens?.as_slice())),
        }
    }

    fn tokens(&self) -> Result<Vec<Token>, Fault> {
        let tokens: Result<Vec<Token>, Fault> = self.grammar.tokens(self.text).collect();
        Ok(tokens?.into_iter().filter(|token| token.kind != Kind::Comment).collect())
    }

    /// Returns the first word and the byte after it.
    fn first_word(&self) -> (usize, &str) {
        let blank = self.text.len() - self.text.trim_start().len();
        let word = self.text[blank..].split_whitespace().next().unwrap_or("");
        (blank + word.len(), word)
    }

    fn unknown(&self, word: &str, tokens: &[Token]) -> Fault {
        let names_a_column = tokens.get(1).is_some_and(|token| token.kind == Kind::Equals);
        if word.is_empty() || names_a_column {
            return self.form(FORWARD);
        }
        let kind = ProblemKind::UnknownDirective { word: word.to_owned(), nearest: nearest(word, KEYWORDS) };
        Fault { span: (0, self.text.len()), kind }
    }

    fn form(&self, form: &'static str) -> Fault {
        Fault { span: (0, self.text.len()), kind: ProblemKind::DirectiveForm { form } }
    }

    fn forward(&self, tokens: &[Token]) -> Result<Directive, Fault> {
        let (table, column, expr) = self.assignment(tokens, None, FORWARD)?;
        Ok(Directive::Forward { table, column, expr })
    }

    fn back(&self, tokens: &[Token]) -> Result<Directive, Fault> {
        let mut table: Option<TableRef> = None;
        let mut assignments = Vec::new();
        for segment in segments(tokens) {
            let (of, column, expr) = self.assignment(segment, table.as_ref(), BACK)?;
            if table.as_ref().is_some_and(|table| !same_table(self.grammar, table, &of)) {
                return Err(self.form(BACK));
            }
            table.get_or_insert(of);
            assignments.push((column, expr));
        }
        let table = table.ok_or_else(|| self.form(BACK))?;
        Ok(Directive::Back { table, assignments })
    }

    fn rows(&self, tokens: &[Token]) -> Result<Directive, Fault> {
        let word = |tokens: &[Token], word: &str| find_at_top(tokens, |token| token.is(self.text, word));
        let from = word(tokens, "from").ok_or_else(|| self.form(ROWS))?;
        let on = word(tokens, "on").filter(|on| *on > from).ok_or_else(|| self.form(ROWS))?;
        let end = word(&tokens[on..], "where").map_or(tokens.len(), |at| on + at);
        let (into, columns) = self.listed(&tokens[..from])?;
        let (source, read) = self.listed(&tokens[from + 1..on])?;
        let columns: Result<Vec<Ident>, Fault> = columns.iter().map(|column| self.only_name(column)).collect();
        let values: Result<Vec<Expr>, Fault> = read.iter().map(|value| self.expr(value, &source)).collect();
        let pairs = self.pairs(&tokens[on + 1..end], &into, &source)?;
        let condition = tokens.get(end + 1..).filter(|condition| !condition.is_empty());
        let (columns, values) = (columns?, values?);
        if columns.len() != values.len() || (condition.is_none() && end < tokens.len()) {
            return Err(self.form(ROWS));
        }
        let filter = condition.map(|condition| self.expr(condition, &source)).transpose()?;
        let present = condition.map(span).map(|(start, end)| self.grammar.present_columns(&self.text[start..end]));
        let present = present.unwrap_or_default();
        Ok(Directive::Rows(RowsChange { into, columns, from: source, values, on: pairs, filter, present }))
    }

    /// Returns the table and what stands between the commas of `[SCHEMA.]TABLE(…)`.
    fn listed<'l>(&self, tokens: &'l [Token]) -> Result<(TableRef, Vec<&'l [Token]>), Fault> {
        let open = tokens.iter().position(|token| token.kind == Kind::Open).ok_or_else(|| self.form(ROWS))?;
        if closing(tokens, open) != Some(tokens.len() - 1) || open + 1 >= tokens.len() - 1 {
            return Err(self.form(ROWS));
        }
        let table = match &tokens[..open] {
            [name] if name.is_name() => TableRef { schema: None, name: self.grammar.name(self.text, name)? },
            [schema, dot, name] if schema.is_name() && dot.kind == Kind::Dot && name.is_name() => TableRef {
                schema: Some(self.grammar.name(self.text, schema)?),
                name: self.grammar.name(self.text, name)?,
            },
            _ => return Err(self.form(ROWS)),
        };
        Ok((table, segments(&tokens[open + 1..tokens.len() - 1])))
    }

    fn only_name(&self, tokens: &[Token]) -> Result<Ident, Fault> {
        match tokens {
            [name] if name.is_name() => self.grammar.name(self.text, name),
            _ => Err(self.form(ROWS)),
        }
    }

    fn expr(&self, tokens: &[Token], table: &TableRef) -> Result<Expr, Fault> {
        if tokens.is_empty() {
            return Err(self.form(ROWS));
        }
        let (start, end) = span(tokens);
        self.grammar.expression(&self.text[start..end], table).map_err(|fault| fault.shifted(start))
    }

    /// Returns the columns of `a.x = b.y and …`, those of `into` first, whichever side they stand on.
    fn pairs(&self, tokens: &[Token], into: &TableRef, from: &TableRef) -> Result<Vec<(Ident, Ident)>, Fault> {
        let mut pairs = vec![];
        for condition in tokens.split(|token| token.is(self.text, "and")) {
            let equals = find_at_top(condition, |token| token.kind == Kind::Equals);
            let equals = equals.ok_or_else(|| self.form(ROWS))?;
            let side = |tokens| self.target(tokens, None)?.ok_or_else(|| self.form(ROWS));
            let (left, right) = (side(&condition[..equals])?, side(&condition[equals + 1..])?);
            let is = |table: &TableRef, side: &(TableRef, Ident)| same_table(self.grammar, table, &side.0);
            match (left, right) {
                (left, right) if is(into, &left) && is(from, &right) => pairs.push((left.1, right.1)),
                (left, right) if is(from, &left) && is(into, &right) => pairs.push((right.1, left.1)),
                _ => return Err(self.form(ROWS)),
            }
        }
        Ok(pairs)
    }

    /// Returns `[SCHEMA.]TABLE.COLUMN = EXPR`; only where a table is known already, it may be left out.
    fn assignment(
        &self,
        tokens: &[Token],
        known: Option<&TableRef>,
        form: &'static str,
    ) -> Result<(TableRef, Ident, Expr), Fault> {
        let equals = find_at_top(tokens, |token| token.kind == Kind::Equals).ok_or_else(|| self.form(form))?;
        let (target, value) = (&tokens[..equals], &tokens[equals + 1..]);
        let (table, column) = self.target(target, known)?.ok_or_else(|| self.form(form))?;
        if value.is_empty() {
            return Err(self.form(form));
        }
        let (start, end) = span(value);
        let expr = self.grammar.expression(&self.text[start..end], &table).map_err(|fault| fault.shifted(start))?;
        Ok((table, column, expr))
    }

    fn target(&self, tokens: &[Token], known: Option<&TableRef>) -> Result<Option<(TableRef, Ident)>, Fault> {
        let dotted = tokens.iter().enumerate().all(|(at, token)| match at % 2 {
            0 => token.is_name(),
            _ => token.kind == Kind::Dot,
        });
        if !dotted {
            return Ok(None);
        }
        let mut names = Vec::new();
        for token in tokens.iter().step_by(2) {
            names.push(self.grammar.name(self.text, token)?);
        }
        let mut names = names.into_iter();
        Ok(match (tokens.len(), names.next(), names.next(), names.next()) {
            (1, Some(column), None, None) => known.map(|table| (table.clone(), column)),
            (3, Some(name), Some(column), None) => Some((TableRef { schema: None, name }, column)),
            (5, Some(schema), Some(name), Some(column)) => Some((TableRef { schema: Some(schema), name }, column)),
            _ => None,
        })
    }

    fn strategy(&self, after: usize) -> Result<Directive, Fault> {
        let name = self.text[after..].trim();
        if name.is_empty() || name.contains(char::is_whitespace) {
            return Err(self.form(STRATEGY));
        }
        if STRATEGIES.contains(&name) {
            return Ok(Directive::Strategy(name.to_owned()));
        }
        let kind =
            ProblemKind::UnknownWord { what: "strategy", word: name.to_owned(), nearest: nearest(name, STRATEGIES) };
        Err(Fault { span: (after, self.text.len()), kind })
    }

    fn allow(&self, after: usize) -> Result<Directive, Fault> {
        let rest = self.text[after..].trim();
        let (rule, rest) = rest.split_once(char::is_whitespace).ok_or_else(|| self.form(ALLOW))?;
        let reason = rest.trim_start().strip_prefix("reason").map(str::trim_start);
        let reason = reason.and_then(|reason| reason.strip_prefix('=')).map(str::trim_start);
        let reason = reason.and_then(|reason| reason.strip_prefix('"')?.strip_suffix('"')).map(str::trim);
        let is_rule = rule.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
        match reason {
            Some(reason) if is_rule && !reason.is_empty() => {
                Ok(Directive::Allow { rule: rule.to_owned(), reason: reason.to_owned() })
            }
            _ => Err(self.form(ALLOW)),
        }
    }

    fn depends(&self, after: usize) -> Result<Directive, Fault> {
        MigrationId::new(self.text[after..].trim()).map(Directive::Depends).map_err(|_| self.form(DEPENDS))
    }

    fn orphans(&self, tokens: &[Token]) -> Result<Directive, Fault> {
        let (last, name) = tokens.split_last().ok_or_else(|| self.form(ORPHANS))?;
        let of = match name {
            [only] if only.is_name() => ForeignKeyName::Constraint(self.grammar.name(self.text, only)?),
            _ => {
                let (table, column) = self.target(name, None)?.ok_or_else(|| self.form(ORPHANS))?;
                ForeignKeyName::Column { table, column }
            }
        };
        let treated = match last.text(self.text) {
            "refuse" => Orphans::Refuse,
            "null" => Orphans::Null,
            "quarantine" => Orphans::Quarantine,
            word => {
                let (what, nearest) = ("way to treat orphans", nearest(word, TREATMENTS));
                let kind = ProblemKind::UnknownWord { what, word: word.to_owned(), nearest };
                return Err(Fault { span: (last.start, last.end), kind });
            }
        };
        Ok(Directive::Orphans { of, treated })
    }
}
