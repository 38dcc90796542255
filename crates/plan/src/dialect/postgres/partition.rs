//! A change of a partition.

mod attach;
mod bound;
mod create;
mod detach;
mod foreign;
mod indexes;
mod parent;

use segue_model::change::{Bound, BoundKind, Change, PartitionAction, PartitionChange};
use segue_model::ident::{Ident, TableName, tag_of};
use segue_model::probe::Probe;

use super::alone::later;
use super::leaves;
use crate::dialect::Planned;
use crate::operation::{Context, Native};
use crate::refusal::Refusal;

/// Returns the open questions.
///
/// # Errors
/// A refusal that needs no further answer.
pub(super) fn probes(native: &Native<'_>, context: &Context<'_>) -> Result<Vec<Probe>, Refusal> {
    let (Change::Partition(change), Some(table)) = (native.change, native.table) else { return Ok(vec![]) };
    let mut open = parent::probes(&table.name);
    open.extend(leaves::probe(table));
    if !open.iter().all(|probe| context.answers.contains_key(&probe.key)) {
        return Ok(open);
    }
    match &change.what {
        PartitionAction::Create { bound, .. } => {
            let parent = parent::of(table, context)?;
            open.extend(attach::default_probe(&parent, bound, &named(change, context)));
        }
        PartitionAction::Attach { bound } => open.extend(attach::probes(table, change, bound, context)?),
        PartitionAction::Detach { .. } => {
            open.extend(context.catalog.find(&change.partition).map(|partition| detach::probe(&partition.name)));
        }
    }
    Ok(open)
}

/// Returns the steps.
///
/// # Errors
/// A refusal when this cannot be done while the application runs.
pub(super) fn plan(native: &Native<'_>, context: &Context<'_>) -> Result<Planned, Refusal> {
    let (Change::Partition(change), Some(table)) = (native.change, native.table) else { return Err(later(native)) };
    if table.kind != segue_model::catalog::TableKind::Partitioned {
        return Err(Refusal::Impossible {
            what: change.kind().replace('_', " "),
            why: format!("{} is not partitioned", table.name),
            instead: "Name the partitioned table.".to_owned(),
        });
    }
    match &change.what {
        PartitionAction::Create { bound, tail, own } => {
            create::plan(native, table, change, (bound, tail.as_ref(), *own), context)
        }
        PartitionAction::Attach { bound } => attach::plan(table, change, bound, context),
        PartitionAction::Detach { finalize, .. } => detach::plan(table, change, *finalize, context),
    }
}

/// Returns whether the partitioned table has a default partition, as far as the answers tell.
pub(super) fn has_default(change: &PartitionChange, context: &Context<'_>) -> bool {
    let table = context.catalog.find(&change.table);
    table.is_some_and(|table| parent::of(table, context).is_ok_and(|parent| parent.default.is_some()))
}

/// Returns the partition's name, of one that is not there yet too.
fn named(change: &PartitionChange, context: &Context<'_>) -> TableName {
    match context.catalog.find(&change.partition) {
        Some(table) => table.name.clone(),
        None => {
            let home = change.partition.schema.clone().or_else(|| context.catalog.search_path.first().cloned());
            TableName { schema: home.unwrap_or_else(|| Ident::known("public")), name: change.partition.name.clone() }
        }
    }
}

/// Returns a name of ours for a CHECK of `table`.
fn check_name(table: &TableName, what: &str, context: &Context<'_>) -> Ident {
    let tag = tag_of(&[context.migration.id.as_str(), table.schema.as_str(), table.name.as_str(), what]);
    Ident::of_ours("segue_", table.name.as_str(), &tag, 63)
}

/// Returns whether a new partition would take rows that the default partition takes now.
fn takes_from_default(bound: &Bound) -> bool {
    !matches!(bound.what, BoundKind::Default | BoundKind::Hash { .. })
}
