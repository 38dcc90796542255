//! The partitions or children of a table: what is done to it is done to them, under locks of their own.

use segue_model::catalog::{Table, TableKind};
use segue_model::ident::{Ident, TableName};
use segue_model::lock::{LockMode, RelationLock};
use segue_model::probe::{Answer, Probe};
use segue_model::sql::{Hole, Sql};
use segue_model::value::{Row, Value};

use super::super::mirror::{display, regclass};
use super::super::sql;
use crate::operation::Context;
use crate::refusal::Refusal;

/// More than this the question does not give.
const ROWS_MAX: usize = 1000;

/// A table below another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Below {
    pub(super) name: TableName,
    /// The one right above it.
    pub(super) above: TableName,
    /// `pg_class.relkind`.
    pub(super) kind: char,
}

/// Returns the question what stands below a table; `None` where nothing can.
pub(super) fn probe(table: &Table) -> Option<Probe> {
    let may = table.kind == TableKind::Partitioned || table.inherits;
    may.then(|| Probe {
        key: key(&table.name),
        sql: sql(include_str!("tree.sql").trim_end(), &[("table", Hole::Sql(&regclass(&table.name)))]),
    })
}

fn key(table: &TableName) -> String {
    ["tree:", &display(table)].concat()
}

/// Returns what stands below a table, what is higher first.
///
/// # Errors
/// A refusal where that is not known, or too much to be shown.
pub(super) fn below(table: &Table, context: &Context<'_>) -> Result<Vec<Below>, Refusal> {
    if probe(table).is_none() {
        return Ok(vec![]);
    }
    match context.answers.get(&key(&table.name)) {
        Some(Answer::Rows(rows)) if rows.len() < ROWS_MAX => Ok(rows.iter().filter_map(read).collect()),
        Some(Answer::Rows(_)) => Err(unknown(table, "it has more partitions than can be listed")),
        Some(Answer::Failed { message, .. }) => Err(unknown(table, message)),
        Some(Answer::TimedOut) | None => Err(unknown(table, "the server did not answer in time")),
    }
}

/// Returns a lock on each of them.
pub(super) fn locks(below: &[Below], mode: LockMode) -> Vec<RelationLock> {
    below.iter().map(|one| RelationLock { relation: one.name.clone(), mode }).collect()
}

/// Returns the table as what reads its rows names it: rows of children are not an ordinary table's own.
pub(super) fn own_rows(table: &Table) -> Sql {
    let template = if table.kind == TableKind::Partitioned { "{table}" } else { "ONLY {table}" };
    sql(template, &[("table", Hole::Table(&table.name))])
}

fn read(row: &Row) -> Option<Below> {
    let text = |at: usize| row.get(at).and_then(Value::as_str);
    let name =
        |at: usize| Some(TableName { schema: Ident::new(text(at)?).ok()?, name: Ident::new(text(at + 1)?).ok()? });
    Some(Below { name: name(0)?, above: name(2)?, kind: text(4)?.chars().next()? })
}

fn unknown(table: &Table, why: &str) -> Refusal {
    Refusal::Impossible {
        what: format!("the partitions of {} could not be looked up", table.name),
        why: why.to_owned(),
        instead: "Change its partitions one by one, in files of their own.".to_owned(),
    }
}
