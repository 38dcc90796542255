//! Partitions and children of a table: what is done to its columns is done to theirs, under the same locks.

use segue_model::catalog::{Table, TableKind};
use segue_model::ident::{Ident, TableName};
use segue_model::lock::{LockMode, RelationLock};
use segue_model::probe::{Answer, Probe};
use segue_model::sql::Hole;
use segue_model::step::{Step, Undo, UndoStep};
use segue_model::value::Value;

use super::mirror::{display, regclass};
use super::sql;
use super::work::{beside, undo_beside};
use crate::operation::Context;

/// Returns the question which they are; `None` for a table that has none.
pub(super) fn probe(table: &Table) -> Option<Probe> {
    let sql = || sql(include_str!("descendants.sql").trim_end(), &[("table", Hole::Sql(&regclass(&table.name)))]);
    may_have(table).then(|| Probe { key: key(&table.name), sql: sql() })
}

fn may_have(table: &Table) -> bool {
    table.kind == TableKind::Partitioned || table.inherits
}

/// Returns the steps with each lock on the table taken on its partitions and children too.
pub(super) fn locked_too(steps: Vec<Step>, table: &Table, context: &Context<'_>) -> Vec<Step> {
    let below = below(&table.name, context);
    if below.is_empty() {
        return steps;
    }
    steps.into_iter().map(|step| step_too(step, &table.name, &below)).collect()
}

fn step_too(step: Step, table: &TableName, below: &[TableName]) -> Step {
    let others = others(&step.locks, table, below);
    let undo = match step.undo {
        Undo::Lossless(parts) => Undo::Lossless(parts_too(parts, table, below)),
        Undo::Lossy { steps, loses } => Undo::Lossy { steps: parts_too(steps, table, below), loses },
        Undo::Nothing => Undo::Nothing,
        Undo::Impossible => Undo::Impossible,
    };
    beside(Step { undo, ..step }, others)
}

fn parts_too(parts: Vec<UndoStep>, table: &TableName, below: &[TableName]) -> Vec<UndoStep> {
    let part_too = |part: UndoStep| {
        let others = others(&part.locks, table, below);
        undo_beside(part, others)
    };
    parts.into_iter().map(part_too).collect()
}

fn others(locks: &[RelationLock], table: &TableName, below: &[TableName]) -> Vec<RelationLock> {
    let mode: Option<LockMode> = locks.iter().filter(|lock| lock.relation == *table).map(|lock| lock.mode).max();
    let lock = |relation: &TableName| Some(RelationLock { relation: relation.clone(), mode: mode? });
    below.iter().filter_map(lock).collect()
}

fn below(table: &TableName, context: &Context<'_>) -> Vec<TableName> {
    let Some(Answer::Rows(rows)) = context.answers.get(&key(table)) else { return vec![] };
    let name = |row: &Vec<Value>| {
        let part = |at: usize| Ident::new(row.get(at).and_then(Value::as_str)?).ok();
        Some(TableName { schema: part(0)?, name: part(1)? })
    };
    rows.iter().filter_map(name).collect()
}

fn key(table: &TableName) -> String {
    ["descendants:", &display(table)].concat()
}
