//! Changes that stand by themselves: each kind has a file of its own.

use segue_model::catalog::{Column, Table, TableKind};
use segue_model::change::Change;
use segue_model::ident::Ident;
use segue_model::probe::Probe;

use super::cleanup::{added, together};
use super::{column, constraint, index, naming, object};
use crate::dialect::Planned;
use crate::operation::{Context, Native, Operation, Stage};
use crate::refusal::Refusal;
use crate::wanted::no_column;

/// Returns the open questions.
///
/// # Errors
/// A refusal that needs no further answer.
pub(super) fn probes(native: &Native<'_>, context: &Context<'_>) -> Result<Vec<Probe>, Refusal> {
    let mut open = match native.change {
        Change::SetNotNull { .. } | Change::Column(_) => column::probes(native, context),
        Change::Constraint(_) => constraint::probes(native, context),
        Change::CreateIndex { .. } | Change::Index(_) => index::probes(native, context),
        Change::DropColumn { .. } | Change::Naming(_) => naming::probes(native, context),
        Change::Object(_) => object::probes(native, context),
        Change::CreateTable { .. }
        | Change::AddColumn { .. }
        | Change::AlterType { .. }
        | Change::Transform { .. }
        | Change::Partition(_)
        | Change::Rows(_)
        | Change::NotYet { .. }
        | Change::Opaque { .. } => Ok(vec![]),
    }?;
    open.retain(|probe| !context.answers.contains_key(&probe.key));
    Ok(open)
}

/// Returns the steps.
///
/// # Errors
/// A refusal when this cannot be done while the application runs.
pub(super) fn plan(native: &Native<'_>, context: &Context<'_>) -> Result<Planned, Refusal> {
    match native.change {
        Change::SetNotNull { .. } | Change::Column(_) => column::plan(native, context),
        Change::Constraint(_) => constraint::plan(native, context),
        Change::CreateIndex { .. } | Change::Index(_) => index::plan(native, context),
        Change::DropColumn { .. } | Change::Naming(_) => naming::plan(native, context),
        Change::Object(_) => object::plan(native, context),
        Change::CreateTable { .. }
        | Change::AddColumn { .. }
        | Change::AlterType { .. }
        | Change::Transform { .. }
        | Change::Partition(_)
        | Change::Rows(_)
        | Change::NotYet { .. }
        | Change::Opaque { .. } => Err(later(native)),
    }
}

/// Returns the refusal of what a later version will do.
pub(super) fn later(native: &Native<'_>) -> Refusal {
    Refusal::NotYet {
        what: native.change.kind().replace('_', " "),
        instead: "Leave it out of this file until Segue carries it out.".to_owned(),
    }
}

/// Returns the table that a change is about.
///
/// # Errors
/// A refusal of a change that names none, or something else than a table.
pub(super) fn existing<'a>(native: &Native<'a>) -> Result<&'a Table, Refusal> {
    let table = native.table.ok_or_else(|| later(native))?;
    let kind = match table.kind {
        TableKind::Ordinary => return Ok(table),
        TableKind::View => "a view",
        TableKind::Virtual => "a virtual table",
        TableKind::Partitioned | TableKind::Partition | TableKind::MaterializedView | TableKind::Foreign => "no table",
    };
    Err(Refusal::Impossible {
        what: format!("{} of `{}`", native.change.kind().replace('_', " "), table.name.name),
        why: format!("it is {kind}"),
        instead: "Drop it, and create it again as it is to be.".to_owned(),
    })
}

/// Returns a column as the catalog spells it.
///
/// # Errors
/// [`Refusal::NoColumn`].
pub(super) fn the_column<'t>(table: &'t Table, name: &Ident, context: &Context<'_>) -> Result<&'t Column, Refusal> {
    let known = || table.columns.iter().map(|column| column.name.as_str());
    context.catalog.column(table, name).ok_or_else(|| no_column(table, name, known()))
}

/// Returns whether a name is in use: tables, views, indexes and triggers share them.
pub(super) fn is_taken(name: &Ident, context: &Context<'_>) -> bool {
    let full = format!("main.{}", name.as_str());
    context.catalog.taken.iter().any(|taken| taken.eq_ignore_ascii_case(&full))
}

/// Refuses a change that must know the whole text of its table where the file changes that table otherwise too.
///
/// # Errors
/// A refusal that says so.
pub(super) fn by_itself(native: &Native<'_>, context: &Context<'_>) -> Result<(), Refusal> {
    let all = together(&Operation::Native(native.clone()), context);
    if all.len() > 1 { Err(beside(native)) } else { Ok(()) }
}

/// Refuses a change of a table of which the file also replaces columns.
///
/// # Errors
/// A refusal that says so.
pub(super) fn not_beside_pairs(native: &Native<'_>, context: &Context<'_>) -> Result<(), Refusal> {
    let all = together(&Operation::Native(native.clone()), context);
    let replaces = |other: &Operation<'_>| matches!(other, Operation::Pair(_) | Operation::Retype(_));
    if all.iter().any(replaces) { Err(beside(native)) } else { Ok(()) }
}

fn beside(native: &Native<'_>) -> Refusal {
    let table = native.table.map_or_else(|| "a table".to_owned(), |table| format!("`{}`", table.name.name));
    Refusal::NotYet {
        what: format!("{} in a file that also changes {table} otherwise", native.change.kind().replace('_', " ")),
        instead: "Do it in a migration of its own.".to_owned(),
    }
}

/// Returns when a column is there that the file adds to a table; `None` where it does not.
pub(super) fn added_by_file(table: &Table, column: &Ident, context: &Context<'_>) -> Option<Stage> {
    let all = crate::group::group(context.migration, context.catalog).unwrap_or_default();
    let of_table = all.iter().filter(|other| other.table().is_some_and(|other| other.name == table.name));
    let adds = |other: &&Operation<'_>| added(other).iter().any(|added| context.catalog.same(added, column));
    of_table.into_iter().find(adds).map(|other| if other.moves_rows() { Stage::Filled } else { Stage::Added })
}
