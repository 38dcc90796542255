//! What people write in an ALTER TABLE and SQLite's grammar does not have: read from its tokens, so that it is answered in
//! the words of what was wanted.

use segue_model::change::{Change, ColumnChange, ColumnProperty, ConstraintAction, ConstraintChange};
use segue_model::expr::Expr;
use segue_model::ident::TableRef;
use segue_model::sql::{TypeName, Written};

use super::{constraint, expr, name};
use crate::grammar::{Found, Wanted};
use crate::problem::{Fault, ProblemKind};
use crate::token::{Kind, Token, find_at_top, span};

/// Returns what an ALTER TABLE wants that SQLite's parser has refused; `None` where that cannot be told.
pub(super) fn read(text: &str, tokens: &[Token]) -> Option<Result<Found, Fault>> {
    let [alter, table, name, ..] = tokens else { return None };
    if !alter.is(text, "ALTER") || !table.is(text, "TABLE") || !name.is_name() {
        return None;
    }
    let command = after_table(tokens);
    if let Some(comma) = find_at_top(command, |token| token.kind == Kind::Comma) {
        return Some(Err(Fault { span: span(&command[comma..=comma]), kind: ProblemKind::OneChange }));
    }
    let found = alter_type(text, tokens, command).and_then(|found| match found {
        Some(found) => Ok(Some(found)),
        None => others(text, tokens, command),
    });
    found.transpose()
}

/// Reads what PostgreSQL says of a default or a constraint.
fn others(text: &str, tokens: &[Token], command: &[Token]) -> Result<Option<Found>, Fault> {
    let table = table(text, tokens)?;
    let change = match default(text, command, &table)? {
        Some(change) => Some(change),
        None => add_constraint(text, command, &table)?.or(drop_constraint(text, command, &table)?),
    };
    Ok(change.map(|change| Found { at: span(command).0, what: Wanted::Change(change) }))
}

/// Returns the text of these tokens.
pub(super) fn written(text: &str, tokens: &[Token]) -> Written {
    let (start, end) = span(tokens);
    Written::parsed(&text[start..end])
}

/// Reads `ALTER [COLUMN] c SET DEFAULT expr` and `… DROP DEFAULT`.
fn default(text: &str, command: &[Token], table: &TableRef) -> Result<Option<Change>, Fault> {
    let rest = match command {
        [alter, column, rest @ ..] if alter.is(text, "ALTER") && column.is(text, "COLUMN") && rest.len() > 2 => rest,
        [alter, rest @ ..] if alter.is(text, "ALTER") => rest,
        _ => return Ok(None),
    };
    let (column, what) = match rest {
        [column, set, default, value @ ..]
            if set.is(text, "SET") && default.is(text, "DEFAULT") && !value.is_empty() =>
        {
            (column, ColumnProperty::SetDefault(expression(text, value, table)?))
        }
        [column, drop, default] if drop.is(text, "DROP") && default.is(text, "DEFAULT") => {
            (column, ColumnProperty::DropDefault)
        }
        _ => return Ok(None),
    };
    let column = name::ident(column.text(text)).map_err(|fault| fault.shifted(column.start))?;
    Ok(Some(Change::Column(ColumnChange { table: table.clone(), column, what, command: written(text, command) })))
}

/// Reads `ADD [CONSTRAINT name] …`.
pub(super) fn add_constraint(text: &str, command: &[Token], table: &TableRef) -> Result<Option<Change>, Fault> {
    let [add, rest @ ..] = command else { return Ok(None) };
    if !add.is(text, "ADD") {
        return Ok(None);
    }
    let new = constraint::read(text, rest, table)?;
    Ok(new.map(|new| {
        Change::Constraint(ConstraintChange {
            table: table.clone(),
            what: ConstraintAction::Add(new),
            command: written(text, command),
        })
    }))
}

/// Reads `DROP CONSTRAINT IF EXISTS name`, which SQLite does not have.
fn drop_constraint(text: &str, command: &[Token], table: &TableRef) -> Result<Option<Change>, Fault> {
    let [drop, constraint, rest @ ..] = command else { return Ok(None) };
    if !drop.is(text, "DROP") || !constraint.is(text, "CONSTRAINT") {
        return Ok(None);
    }
    let (if_exists, rest) = match rest {
        [word, exists, rest @ ..] if word.is(text, "IF") && exists.is(text, "EXISTS") => (true, rest),
        _ => (false, rest),
    };
    let (named, cascade) = match rest {
        [named] => (named, false),
        [named, word] if word.is(text, "CASCADE") || word.is(text, "RESTRICT") => (named, word.is(text, "CASCADE")),
        _ => return Ok(None),
    };
    let name = name::ident(named.text(text)).map_err(|fault| fault.shifted(named.start))?;
    Ok(Some(Change::Constraint(ConstraintChange {
        table: table.clone(),
        what: ConstraintAction::Drop { name, if_exists, cascade },
        command: written(text, command),
    })))
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
