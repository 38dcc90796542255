//! How a column becomes NOT NULL without a scan under a lock that blocks: a CHECK proves it first.

use segue_model::catalog::Column;
use segue_model::ident::{Ident, TableName};
use segue_model::probe::{Answer, Probe};
use segue_model::sql::{Hole, Sql};
use segue_model::step::{Action, Phase, Step, Undo};
use segue_model::value::Value;

use super::mirror::{display, regclass};
use super::sql;
use super::types::Resolved;
use super::work::{Work, undo_step};
use crate::operation::Context;

/// Returns the step after which no write leaves the column NULL; existing rows are not looked at.
pub(super) fn add(phase: Phase, table: &TableName, (column, kind): (&Ident, &Resolved), check: &Ident) -> Step {
    Work {
        phase,
        title: format!("let no write leave `{column}` NULL"),
        action: Action::Sql(vec![add_sql(table, (column, kind), check)]),
        facts: &["con.add_check_nv"],
        table,
        undo: Undo::Lossless(vec![undo_step(table, &["con.drop_check"], vec![drop_sql(table, check)])]),
    }
    .step()
}

/// Returns the step that reads every row, while reads and writes go on.
pub(super) fn validate(phase: Phase, table: &TableName, column: &Ident, check: &Ident) -> Step {
    Work {
        phase,
        title: format!("prove that `{column}` is nowhere NULL"),
        action: Action::Sql(vec![validate_sql(table, check)]),
        facts: &["con.validate_check"],
        table,
        undo: Undo::Nothing,
    }
    .step()
}

/// Returns the statement that adds the CHECK.
pub(super) fn add_sql(table: &TableName, (column, kind): (&Ident, &Resolved), check: &Ident) -> Sql {
    let present = kind.is_not_null(&sql("{column}", &[("column", Hole::Name(column))]));
    sql(
        "ALTER TABLE {table} ADD CONSTRAINT {check} CHECK ({present}) NOT VALID",
        &[("table", Hole::Table(table)), ("check", Hole::Name(check)), ("present", Hole::Sql(&present))],
    )
}

/// Returns the statement that adds the CHECK that a column is NULL only where `with` is.
pub(super) fn add_along_sql(table: &TableName, column: &Ident, with: &Ident, check: &Ident) -> Sql {
    sql(
        "ALTER TABLE {table} ADD CONSTRAINT {check} CHECK ({with} IS NULL OR {column} IS NOT NULL) NOT VALID",
        &[
            ("table", Hole::Table(table)),
            ("check", Hole::Name(check)),
            ("with", Hole::Name(with)),
            ("column", Hole::Name(column)),
        ],
    )
}

/// Returns the statement that validates it.
pub(super) fn validate_sql(table: &TableName, check: &Ident) -> Sql {
    sql(
        "ALTER TABLE {table} VALIDATE CONSTRAINT {check}",
        &[("table", Hole::Table(table)), ("check", Hole::Name(check))],
    )
}

/// Returns the statement that drops it, and may be repeated.
pub(super) fn drop_sql(table: &TableName, check: &Ident) -> Sql {
    sql(
        "ALTER TABLE {table} DROP CONSTRAINT IF EXISTS {check}",
        &[("table", Hole::Table(table)), ("check", Hole::Name(check))],
    )
}

/// Returns the statements that make the column NOT NULL and drop the proof: never in one ALTER, which drops it first.
pub(super) fn settle(table: &TableName, column: &Ident, check: &Ident) -> Vec<Sql> {
    vec![set_not_null(table, column), drop_sql(table, check)]
}

/// Returns the statement that makes the column NOT NULL.
pub(super) fn set_not_null(table: &TableName, column: &Ident) -> Sql {
    alter(table, column, "ALTER TABLE {table} ALTER COLUMN {column} SET NOT NULL")
}

/// Returns the statement that lets the column be NULL.
pub(super) fn drop_not_null(table: &TableName, column: &Ident) -> Sql {
    alter(table, column, "ALTER TABLE {table} ALTER COLUMN {column} DROP NOT NULL")
}

/// Returns the statement that takes the column's default.
pub(super) fn drop_default(table: &TableName, column: &Ident) -> Sql {
    alter(table, column, "ALTER TABLE {table} ALTER COLUMN {column} DROP DEFAULT")
}

/// Returns the statement that gives the column a default.
pub(super) fn set_default(table: &TableName, column: &Ident, default: &Sql) -> Sql {
    sql(
        "ALTER TABLE {table} ALTER COLUMN {column} SET DEFAULT {default}",
        &[("table", Hole::Table(table)), ("column", Hole::Name(column)), ("default", Hole::Sql(default))],
    )
}

fn alter(table: &TableName, column: &Ident, template: &'static str) -> Sql {
    sql(template, &[("table", Hole::Table(table)), ("column", Hole::Name(column))])
}

/// The first version that gives NOT NULL constraints names.
const NAMED: u32 = 18;

/// Returns the question what the NOT NULL of a column is called; `None` where it has no name.
pub(super) fn name_probe(table: &TableName, column: &Column, major: u32) -> Option<Probe> {
    (column.not_null && major >= NAMED).then(|| Probe {
        key: name_key(table, &column.name),
        sql: sql(
            "SELECT c.conname FROM pg_catalog.pg_constraint AS c JOIN pg_catalog.pg_attribute AS a \
             ON a.attrelid = c.conrelid AND c.conkey = ARRAY[a.attnum] \
             WHERE c.conrelid = {table} AND c.contype = 'n' AND a.attname = {column}",
            &[("table", Hole::Sql(&regclass(table))), ("column", Hole::Text(column.name.as_str()))],
        ),
    })
}

fn name_key(table: &TableName, column: &Ident) -> String {
    format!("not null:{}:{}", display(table), column.as_str())
}

/// Returns the statement that makes `column` NOT NULL, under the name that the NOT NULL of `like` had when the plan was made.
pub(super) fn set_not_null_as(table: &TableName, column: &Ident, like: &Ident, context: &Context<'_>) -> Sql {
    let answer = match context.answers.get(&name_key(table, like)) {
        Some(Answer::Rows(rows)) => rows.first(),
        Some(Answer::Failed { .. } | Answer::TimedOut) | None => None,
    };
    let name = answer.and_then(|row| row.first()).and_then(Value::as_str).and_then(|name| Ident::new(name).ok());
    match name {
        Some(name) => sql(
            "ALTER TABLE {table} ADD CONSTRAINT {name} NOT NULL {column}",
            &[("table", Hole::Table(table)), ("name", Hole::Name(&name)), ("column", Hole::Name(column))],
        ),
        None => set_not_null(table, column),
    }
}
