//! A change of a name, or a table or column that goes away.

use segue_model::catalog::Table;
use segue_model::change::{Change, NamingChange};
use segue_model::probe::Probe;

use super::rename_table::Moved;
use super::{alone, rename_column, rename_constraint, rename_table, retire_column, retire_table};
use crate::dialect::Planned;
use crate::operation::{Context, Native};
use crate::refusal::Refusal;

/// Returns the open questions.
///
/// # Errors
/// A refusal that needs no further answer.
pub(super) fn probes(native: &Native<'_>, context: &Context<'_>) -> Result<Vec<Probe>, Refusal> {
    let Some(table) = native.table else { return Ok(vec![]) };
    match native.change {
        Change::DropColumn { column, .. } | Change::Naming(NamingChange::DropColumn { column, .. }) => {
            retire_column::probes(table, column, context)
        }
        Change::Naming(NamingChange::Column { column, to, .. }) => {
            rename_column::probes(native, table, (column, to), context)
        }
        Change::Naming(NamingChange::Constraint { .. }) => Ok(rename_constraint::probes(table)),
        Change::Naming(NamingChange::DropTable { .. }) => Ok(retire_table::probes(table, context)),
        Change::Naming(naming) => {
            Ok(Moved::of(table, naming).map_or_else(Vec::new, |moved| rename_table::probes(&moved)))
        }
        _ => Ok(vec![]),
    }
}

/// Returns the steps.
///
/// # Errors
/// A refusal when this cannot be done while the application runs.
pub(super) fn plan(native: &Native<'_>, context: &Context<'_>) -> Result<Planned, Refusal> {
    let Some(table) = native.table else { return Ok(missing(native)) };
    match native.change {
        Change::DropColumn { column, .. } | Change::Naming(NamingChange::DropColumn { column, .. }) => {
            retire_column::plan(table, column, native, context)
        }
        Change::Naming(NamingChange::Column { column, to, .. }) => {
            rename_column::plan(native, table, (column, to), context)
        }
        Change::Naming(NamingChange::Constraint { constraint, to, .. }) => {
            rename_constraint::plan(table, (constraint, to), context)
        }
        Change::Naming(NamingChange::DropTable { .. }) => {
            nothing_else(native, table, context)?;
            retire_table::plan(table, context)
        }
        Change::Naming(naming) => {
            nothing_else(native, table, context)?;
            let moved = Moved::of(table, naming).ok_or_else(|| alone::later(native))?;
            rename_table::plan(&moved, context)
        }
        _ => Err(alone::later(native)),
    }
}

/// `IF EXISTS` of something that does not.
pub(super) fn missing(native: &Native<'_>) -> Planned {
    let (what, table) = match native.change {
        Change::Naming(NamingChange::DropColumn { table, column, .. }) => (format!("no column `{column}` in"), table),
        Change::Naming(naming) => ("no table".to_owned(), naming.table()),
        _ => return Planned::default(),
    };
    let note = format!("there is {what} `{table}`, so its DROP … IF EXISTS has nothing to do");
    Planned { notes: vec![note], ..Planned::default() }
}

/// Refuses other changes of the same table: they would speak of it by a name that it has not, or not any more.
fn nothing_else(native: &Native<'_>, table: &Table, context: &Context<'_>) -> Result<(), Refusal> {
    let is_it = |named| context.catalog.find(named).is_some_and(|found| found.name == table.name);
    let other = context.migration.changes.iter().find(|change| {
        let mut named = change.what.table().into_iter().chain(change.what.other_tables());
        !std::ptr::eq(&change.what, native.change) && named.any(is_it)
    });
    match other {
        None => Ok(()),
        Some(other) => Err(Refusal::NotYet {
            what: format!(
                "{} of {} in one file with {} of it (line {})",
                native.change.kind().replace('_', " "),
                table.name,
                other.what.kind().replace('_', " "),
                other.at.line
            ),
            instead: "Give each a migration of its own.".to_owned(),
        }),
    }
}
