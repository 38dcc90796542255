//! The SET list of an UPDATE, and when the statement is a transform.

use segue_model::change::{Change, ColumnChange, ColumnProperty};
use segue_model::ident::{Ident, TableRef};
use segue_model::sql::Written;

use crate::grammar::{Found, Grammar, Set, Wanted, not_yet, same_table};
use crate::problem::Fault;
use crate::token::{Kind, Token, closing, find_at_top, segments, span};

const DATA_STEP: &str = "UPDATE of existing rows (a data step)";

/// Returns an UPDATE of one table without FROM, RETURNING and the like, as far as its own text tells.
pub(crate) fn read(
    grammar: &dyn Grammar,
    text: &str,
    tokens: &[Token],
    table: TableRef,
    only_absent: Option<Ident>,
) -> Result<Found, Fault> {
    let at = span(tokens).0;
    Ok(match sets(grammar, text, tokens)? {
        Some(sets) => Found { at, what: Wanted::Update { table, only_absent, sets } },
        None => not_yet(at, DATA_STEP, Some(table)),
    })
}

/// Returns the UPDATE as a transform where every column it sets is in `added`, else as a data step.
pub(crate) fn resolve(
    grammar: &dyn Grammar,
    text: &str,
    update: (TableRef, Option<Ident>, Vec<Set>),
    added: &[(TableRef, Ident)],
) -> Result<Change, Fault> {
    let (table, only_absent, sets) = update;
    let is_added =
        |column: &Ident| added.iter().any(|(of, name)| same_table(grammar, of, &table) && grammar.same(name, column));
    let absent_is_set =
        only_absent.as_ref().is_none_or(|column| sets.iter().any(|set| grammar.same(&set.column, column)));
    if let ([set], Some(column)) = (sets.as_slice(), &only_absent)
        && grammar.same(&set.column, column)
        && !is_added(&set.column)
    {
        return fill(grammar, text, table, set);
    }
    if !absent_is_set || !sets.iter().all(|set| is_added(&set.column)) {
        return Ok(Change::NotYet { what: DATA_STEP.to_owned(), table: Some(table) });
    }
    let mut assignments = Vec::with_capacity(sets.len());
    for set in sets {
        let (start, end) = set.value;
        let expr = grammar.expression(&text[start..end], &table).map_err(|fault| fault.shifted(start))?;
        assignments.push((set.column, expr));
    }
    Ok(Change::Transform { table, assignments })
}

/// `UPDATE t SET c = x WHERE c IS NULL` of a column that is there already.
fn fill(grammar: &dyn Grammar, text: &str, table: TableRef, set: &Set) -> Result<Change, Fault> {
    let (start, end) = set.value;
    let expr = grammar.expression(&text[start..end], &table).map_err(|fault| fault.shifted(start))?;
    let (column, command) = (set.column.clone(), Written::parsed(text));
    Ok(Change::Column(ColumnChange { table, column, what: ColumnProperty::Fill(expr), command }))
}

/// Returns the assignments between SET and WHERE; `None` where one of them is no column = expression.
fn sets(grammar: &dyn Grammar, text: &str, tokens: &[Token]) -> Result<Option<Vec<Set>>, Fault> {
    let Some(set) = find_at_top(tokens, |token| token.is(text, "SET")) else { return Ok(None) };
    let list = &tokens[set + 1..];
    let end = find_at_top(list, |token| token.is(text, "WHERE")).unwrap_or(list.len());
    let mut sets = Vec::new();
    for segment in segments(&list[..end]) {
        let Some(pairs) = pairs(text, segment) else { return Ok(None) };
        for (column, value) in pairs {
            sets.push(Set { column: grammar.name(text, column)?, value: span(value) });
        }
    }
    Ok(Some(sets))
}

/// Returns the columns and values of `c = x` or `(c, d) = (x, y)`.
fn pairs<'t>(text: &str, segment: &'t [Token]) -> Option<Vec<(&'t Token, &'t [Token])>> {
    let equals = find_at_top(segment, |token| token.kind == Kind::Equals)?;
    let (target, mut value) = (&segment[..equals], &segment[equals + 1..]);
    if value.is_empty() || value.iter().any(|token| token.is(text, "DEFAULT")) {
        return None;
    }
    if target.len() == 1 {
        return target[0].is_name().then(|| vec![(&target[0], value)]);
    }
    let columns = inner(target)?;
    if value[0].is(text, "ROW") {
        value = &value[1..];
    }
    let values = if columns.len() == 1 { vec![value] } else { inner(value)? };
    // `(a, b) = (SELECT …)` gives a row, and has commas too.
    let first = values.first()?.first()?;
    if ["SELECT", "WITH", "VALUES"].iter().any(|word| first.is(text, word)) {
        return None;
    }
    let named = columns.iter().all(|column| column.len() == 1 && column[0].is_name());
    let given = values.len() == columns.len() && values.iter().all(|value| !value.is_empty());
    (named && given).then(|| columns.iter().map(|column| &column[0]).zip(values).collect())
}

/// Returns what stands between the commas of one pair of parentheses that holds all the tokens.
fn inner(tokens: &[Token]) -> Option<Vec<&[Token]>> {
    let whole = tokens.first()?.kind == Kind::Open && closing(tokens, 0) == Some(tokens.len() - 1);
    whole.then(|| segments(&tokens[1..tokens.len() - 1]))
}
