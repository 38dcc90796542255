//! What people write in an ALTER TABLE and SQLite's grammar does not have: read from its tokens, so that it is answered in
//! the words of what was wanted.

use segue_model::change::Change;
use segue_model::expr::Expr;
use segue_model::ident::TableRef;
use segue_model::sql::TypeName;

use super::{expr, name};
use crate::grammar::{Found, Wanted};
use crate::problem::{Fault, ProblemKind};
use crate::token::{Kind, Token, find_at_top, span};

/// Returns what an ALTER TABLE wants that SQLite's parser has refused; `None` where that cannot be told.
pub(super) fn read(text: &str, tokens: &[Token]) -> Option<Result<Found, Fault>> {
    let [alter, table, ..] = tokens else { return None };
    if !alter.is(text, "ALTER") || !table.is(text, "TABLE") {
        return None;
    }
    let command = after_table(tokens);
    if let Some(comma) = find_at_top(command, |token| token.kind == Kind::Comma) {
        return Some(Err(Fault { span: span(&command[comma..=comma]), kind: ProblemKind::OneChange }));
    }
    alter_type(text, tokens, command).transpose()
}

/// Returns the tokens after `ALTER TABLE name`.
pub(super) fn after_table(tokens: &[Token]) -> &[Token] {
    let mut rest = tokens.get(3..).unwrap_or_default();
    while let [dot, _, after @ ..] = rest
        && dot.kind == Kind::Dot
    {
        rest = after;
    }
    rest
}

/// Reads PostgreSQL's `ALTER [COLUMN] c [SET DATA] TYPE type [USING expr]`.
fn alter_type(text: &str, tokens: &[Token], command: &[Token]) -> Result<Option<Found>, Fault> {
    let [alter, rest @ ..] = command else { return Ok(None) };
    if !alter.is(text, "ALTER") {
        return Ok(None);
    }
    let rest = match rest {
        [word, column, after @ ..] if word.is(text, "COLUMN") && column.is_name() && !after.is_empty() => &rest[1..],
        _ => rest,
    };
    let (column, to) = match rest {
        [column, set, data, word, to @ ..] if set.is(text, "SET") && data.is(text, "DATA") && word.is(text, "TYPE") => {
            (column, to)
        }
        [column, word, to @ ..] if word.is(text, "TYPE") => (column, to),
        _ => return Ok(None),
    };
    let using = find_at_top(to, |token| token.is(text, "USING"));
    let (spelled, using) = match using {
        Some(at) => (&to[..at], Some(&to[at + 1..])),
        None => (to, None),
    };
    if !column.is_name() || spelled.is_empty() || using.is_some_and(<[Token]>::is_empty) {
        return Ok(None);
    }
    let table = table(text, tokens)?;
    let using = using.map(|value| expression(text, value, &table)).transpose()?;
    let (start, end) = span(spelled);
    let column = name::ident(column.text(text)).map_err(|fault| fault.shifted(column.start))?;
    let change = Change::AlterType { table, column, to: TypeName::spelled(&text[start..end]), using };
    Ok(Some(Found { at: alter.start, what: Wanted::Change(change) }))
}

fn table(text: &str, tokens: &[Token]) -> Result<TableRef, Fault> {
    let named = |at: usize| name::ident(tokens[at].text(text)).map_err(|fault| fault.shifted(tokens[at].start));
    match tokens.get(3) {
        Some(dot) if dot.kind == Kind::Dot && tokens.len() > 4 => {
            Ok(TableRef { schema: Some(named(2)?), name: named(4)? })
        }
        _ => Ok(TableRef { schema: None, name: named(2)? }),
    }
}

fn expression(text: &str, value: &[Token], table: &TableRef) -> Result<Expr, Fault> {
    let (start, end) = span(value);
    expr::read(&text[start..end], table).map_err(|fault| fault.shifted(start))
}
