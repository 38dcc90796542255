//! A change of an index.

mod alter;
mod build;
mod chosen;
mod drop;
mod duplicates;
mod parts;
mod rebuild;
mod reindex;
mod settle;
mod tree;

use segue_model::catalog::{Index, Table};
use segue_model::change::{Change, IndexChange, Place};
use segue_model::ident::{TableName, TableRef};
use segue_model::lock::{LockMode, RelationLock};
use segue_model::probe::Probe;
use segue_model::sql::{Hole, Sql};

use super::alone::later;
use super::{leaves, sql};
use crate::dialect::Planned;
use crate::operation::{Context, Native};
use crate::refusal::Refusal;

pub(super) use chosen::{Taken, choose};
pub(super) use settle::{drop_concurrently, settle_created, stands_alone};

/// Returns the open questions.
///
/// # Errors
/// A refusal that needs no further answer.
pub(super) fn probes(native: &Native<'_>, context: &Context<'_>) -> Result<Vec<Probe>, Refusal> {
    let Change::Index(change) = native.change else { return Ok(vec![]) };
    match change {
        IndexChange::Create(new) => build::probes(native, new, context),
        IndexChange::Drop { indexes, if_exists, .. } => drop::probes(indexes, *if_exists, context),
        IndexChange::Rename { .. } => Ok(vec![]),
        IndexChange::Attach { .. } => Ok(vec![]),
        IndexChange::Reindex { of, is_table, .. } => reindex::probes(of, *is_table, context),
        IndexChange::Alter { index, .. } => {
            let (table, index) = found(index, context)?;
            Ok(vec![rebuild::probe(&place(table, index))])
        }
    }
}

/// Returns the steps.
///
/// # Errors
/// A refusal when this cannot be done while the application runs.
pub(super) fn plan(native: &Native<'_>, context: &Context<'_>) -> Result<Planned, Refusal> {
    let Change::Index(change) = native.change else { return Err(later(native)) };
    match change {
        IndexChange::Create(new) => build::plan(native, new, context),
        IndexChange::Drop { indexes, if_exists, cascade, .. } => drop::plan(indexes, (*if_exists, *cascade), context),
        IndexChange::Rename { index, to } => alter::rename(index, to, context),
        IndexChange::Attach { index, partition } => alter::attach(native, (index, partition), context),
        IndexChange::Reindex { of, is_table, .. } => reindex::plan(of, *is_table, context),
        IndexChange::Alter { index, what, command } => alter::alter(index, (what, command), context),
    }
}

/// Returns the statement that creates an index on a table of the same file, where it cannot run as written: nobody uses the
/// table yet, so it need not be built CONCURRENTLY, which no transaction allows.
pub(super) fn on_new_table(at: &Place, table: &TableName, context: &Context<'_>) -> Option<Sql> {
    let change = context.migration.changes.iter().find(|change| change.at == *at)?;
    let Change::Index(IndexChange::Create(new)) = &change.what else { return None };
    let name = match &new.name {
        None => Sql::fixed(""),
        Some(name) => sql(" {name}", &[("name", Hole::Name(name))]),
    };
    let definition = Sql::written(&new.definition);
    let unique = Sql::fixed(if new.unique { "UNIQUE " } else { "" });
    let holes = [
        ("unique", Hole::Sql(&unique)),
        ("name", Hole::Sql(&name)),
        ("table", Hole::Table(table)),
        ("definition", Hole::Sql(&definition)),
    ];
    new.concurrently.then(|| sql("CREATE {unique}INDEX{name} ON {table} {definition}", &holes))
}

/// Returns an index that must be there, with its table.
fn found<'c>(wanted: &TableRef, context: &Context<'c>) -> Result<(&'c Table, &'c Index), Refusal> {
    context.catalog.index(wanted).ok_or_else(|| Refusal::Impossible {
        what: format!("there is no index `{wanted}`"),
        why: match context.catalog.find(wanted) {
            Some(_) => "it is a table".to_owned(),
            None => "no table of the database has an index of that name".to_owned(),
        },
        instead: "Check the name and its schema, and whether an earlier migration that creates it was applied."
            .to_owned(),
    })
}

/// Returns an index's own name: it stands in the schema of its table.
fn place(table: &Table, index: &Index) -> TableName {
    TableName { schema: table.name.schema.clone(), name: index.name.clone() }
}

/// Returns the locks on all partitions of a table, where it is partitioned.
fn beneath(table: &Table, mode: LockMode, context: &Context<'_>) -> Result<Vec<RelationLock>, Refusal> {
    let members = leaves::of(table, context)?;
    Ok(members.into_iter().map(|member| RelationLock { relation: member.name, mode }).collect())
}
