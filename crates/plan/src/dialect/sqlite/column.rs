//! A change of a property of a column, its NULLs, or NOT NULL of a column that is there.

use segue_model::catalog::{Column, Table};
use segue_model::change::{Change, ColumnChange, ColumnProperty};
use segue_model::ident::Ident;
use segue_model::probe::Probe;
use segue_model::sql::{Hole, Sql};
use segue_model::step::{Action, Condition, Phase, Undo};

use super::alone::{existing, later, the_column};
use super::contract::not_null;
use super::offending::Offending;
use super::work::{Work, undo_step};
use super::{null_fill, obstacle, sql, twin};
use crate::dialect::Planned;
use crate::operation::{Context, Native, Stage};
use crate::refusal::Refusal;

/// Returns the open questions.
///
/// # Errors
/// A refusal that needs no further answer.
pub(super) fn probes(native: &Native<'_>, context: &Context<'_>) -> Result<Vec<Probe>, Refusal> {
    match native.change {
        Change::SetNotNull { column, .. } if !null_fill::is_filled(native, column, context) => {
            let table = existing(native)?;
            Ok(vec![without_value(table, &the_column(table, column, context)?.name).probe()])
        }
        _ => Ok(vec![]),
    }
}

/// Returns the steps.
///
/// # Errors
/// A refusal when this cannot be done while the application runs.
pub(super) fn plan(native: &Native<'_>, context: &Context<'_>) -> Result<Planned, Refusal> {
    let table = existing(native)?;
    match native.change {
        // The fill ends with it.
        Change::SetNotNull { column, .. } if null_fill::is_filled(native, column, context) => Ok(Planned::default()),
        Change::SetNotNull { column, .. } => set_not_null(table, the_column(table, column, context)?, context),
        Change::Column(ColumnChange { column, what, .. }) => match what {
            ColumnProperty::DropNotNull => {
                drop_not_null(table, the_column(table, column, context)?, native.stage, context)
            }
            ColumnProperty::SetDefault(_) | ColumnProperty::DropDefault => twin::plan(native, context),
            ColumnProperty::Fill(expr) => {
                null_fill::plan(native, table, the_column(table, column, context)?, expr, context)
            }
            ColumnProperty::AddIdentity
            | ColumnProperty::SetIdentity
            | ColumnProperty::DropIdentity
            | ColumnProperty::SetExpression
            | ColumnProperty::DropExpression
            | ColumnProperty::Statistics
            | ColumnProperty::Options
            | ColumnProperty::Storage
            | ColumnProperty::Compression => Err(not_sqlites(native)),
        },
        _ => Err(later(native)),
    }
}

fn not_sqlites(native: &Native<'_>) -> Refusal {
    Refusal::Impossible {
        what: native.change.kind().replace('_', " "),
        why: "SQLite has nothing of the kind".to_owned(),
        instead: "Leave it out.".to_owned(),
    }
}

fn without_value<'a>(table: &'a Table, column: &Ident) -> Offending<'a> {
    let condition = sql("{column} IS NULL", &[("column", Hole::Name(column))]);
    let fill = sql(
        "UPDATE {table} SET {column} = … WHERE {column} IS NULL",
        &[("table", Hole::Name(&table.name.name)), ("column", Hole::Name(column))],
    );
    Offending {
        table,
        key: format!("nulls {}.{}", table.name.name.as_str(), column.as_str()),
        condition,
        what: format!("SET NOT NULL on `{}.{column}`", table.name.name),
        rows: "rows have no value in it".to_owned(),
        mend: format!("Put `{fill};` before it in this file: the rows are then filled by windows."),
    }
}

/// Every row is read under the write lock: 19 ms for 400,000 rows were measured.
fn set_not_null(table: &Table, column: &Column, context: &Context<'_>) -> Result<Planned, Refusal> {
    if column.not_null {
        return Ok(said_before(table, &column.name, "NOT NULL"));
    }
    obstacle::library(context, 53, "SET NOT NULL")?;
    without_value(table, &column.name).refuse(context)?;
    let step = Work {
        phase: Phase::Expand,
        title: format!("`{}.{}` is NOT NULL from now on", table.name.name, column.name),
        action: Action::Sql(vec![not_null(&table.name, &column.name)]),
        facts: &["notnull.set"],
        table: &table.name,
        undo: Undo::Lossless(vec![undo_step(&table.name, &["notnull.drop"], vec![nullable(table, &column.name)])]),
    }
    .step();
    let notes = vec![format!("a write that gives no value for `{}` fails from now on", column.name)];
    Ok(Planned { steps: vec![step], notes, ..Planned::default() })
}

/// Returns the statement that lets a column be NULL.
pub(super) fn nullable(table: &Table, column: &Ident) -> Sql {
    sql(
        "ALTER TABLE {table} ALTER COLUMN {column} DROP NOT NULL",
        &[("table", Hole::Table(&table.name)), ("column", Hole::Name(column))],
    )
}

fn drop_not_null(table: &Table, column: &Column, stage: Stage, context: &Context<'_>) -> Result<Planned, Refusal> {
    if !column.not_null && stage == Stage::Now {
        return Ok(said_before(table, &column.name, "nullable"));
    }
    obstacle::library(context, 53, "DROP NOT NULL")?;
    Ok(Planned { steps: vec![let_be_null(table, &column.name)], ..Planned::default() })
}

/// Returns the step after which a column may be NULL.
pub(super) fn let_be_null(table: &Table, column: &Ident) -> segue_model::step::Step {
    let none = Condition {
        sql: sql(
            "SELECT 'a row has no value in ' || {name} FROM {table} WHERE {column} IS NULL LIMIT 1",
            &[
                ("name", Hole::Text(column.as_str())),
                ("table", Hole::Table(&table.name)),
                ("column", Hole::Name(column)),
            ],
        ),
        says: format!("every row of `{}` has a value in `{column}`", table.name.name),
        hint: format!("Give each row a value in `{column}`; then run the same command again."),
    };
    let back = undo_step(&table.name, &["notnull.set"], vec![not_null(&table.name, column)]);
    Work {
        phase: Phase::Expand,
        title: format!("`{}.{column}` may be NULL from now on", table.name.name),
        action: Action::Sql(vec![nullable(table, column)]),
        facts: &["notnull.drop"],
        table: &table.name,
        undo: Undo::Lossless(vec![segue_model::step::UndoStep { conditions: vec![none], ..back }]),
    }
    .step()
}

fn said_before(table: &Table, column: &Ident, is: &str) -> Planned {
    let notes = vec![format!("`{}.{column}` is {is} already: there is nothing to do", table.name.name)];
    Planned { notes, ..Planned::default() }
}
