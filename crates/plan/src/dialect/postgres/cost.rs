//! What a statement would do if it were run as written.

mod added;
mod alone;
mod asked;
mod retyped;

use segue_model::catalog::{ConstraintKind, Table, TableKind};
use segue_model::change::{Change, ConstraintAction, ConstraintChange, Located};
use segue_model::ident::{Ident, TableRef};
use segue_model::lock::LockMode;
use segue_model::probe::Probe;

use super::facts::{Fact, fact_on, facts_of};
use crate::dialect::Cost;
use crate::operation::Context;

/// Returns the cost of a change as written; `None` when no fact tells it.
pub(super) fn cost(change: &Located<Change>, context: &Context<'_>) -> Option<Cost> {
    let fact = known(change, context)?;
    Some(Cost { lock: strictest(change, fact.lock, context), ..of(fact) })
}

/// Returns what a fact says; `None` where the version has no such statement.
fn by_id(id: &str, major: u32) -> Option<Cost> {
    fact_on(id, major).map(of)
}

/// Returns what every fact says that holds on a version.
pub(super) fn all(major: u32) -> Vec<Cost> {
    facts_of(major).map(of).collect()
}

/// Returns the questions on whose answers the cost depends.
pub(super) fn probes(change: &Change, context: &Context<'_>) -> Vec<Probe> {
    asked::probes(change, context)
}

fn of(fact: &'static Fact) -> Cost {
    Cost {
        fact: fact.id,
        lock: fact.lock,
        others: fact.others,
        rewrites: fact.rewrites,
        rebuilds: fact.rebuilds,
        scans: fact.scans,
        fails: fact.fails,
        transactional: fact.transactional,
        compatible: fact.compatible,
        reversible: fact.reversible,
    }
}

fn known(change: &Located<Change>, context: &Context<'_>) -> Option<&'static Fact> {
    fact_on(fact_of(change, context)?, context.server.version.major)
}

/// The strictest command of an ALTER TABLE decides for all of them (`AlterTableGetLockLevel`).
fn strictest(change: &Located<Change>, own: LockMode, context: &Context<'_>) -> LockMode {
    let beside = context.migration.changes.iter().filter(|other| {
        change.statement.is_some() && other.statement == change.statement && other.what.table() == change.what.table()
    });
    beside.filter_map(|other| known(other, context)).map(|fact| fact.lock).max().unwrap_or(own).max(own)
}

fn fact_of(change: &Located<Change>, context: &Context<'_>) -> Option<&'static str> {
    match &change.what {
        Change::CreateTable { beside, .. } => {
            let has = |fact: &str| beside.iter().find(|other| other.fact == fact);
            let bound = has("tab.create_with_fk").or_else(|| has("tab.create_inherits"));
            Some(bound.map_or("tab.create", |other| other.fact))
        }
        Change::CreateIndex { table, .. } => Some(match context.catalog.find(table) {
            Some(table) if table.kind == TableKind::Partitioned => "idx.create_partitioned",
            _ => "idx.create",
        }),
        Change::AddColumn { table, column } => Some(added::fact(column, context.catalog.find(table), context)),
        Change::DropColumn { table, column } => Some(dropped(context.catalog.find(table)?, column)),
        Change::SetNotNull { table, column } => Some(not_null(table, column, change, context)),
        Change::AlterType { table, column, to, using } => {
            let table = context.catalog.find(table)?;
            let column = context.catalog.column(table, column)?;
            Some(retyped::fact(table, column, to, using.as_ref(), context))
        }
        Change::Transform { .. } => Some("dml.update_all"),
        Change::Column(column) => Some(alone::column(column, context)),
        Change::Constraint(constraint) => Some(alone::constraint(constraint, context)),
        Change::Index(index) => Some(alone::index(index, context)),
        Change::Partition(partition) => Some(alone::partition(partition, context)),
        Change::Naming(naming) => Some(alone::naming(naming, context)),
        Change::Object(object) => {
            let table = object.table.as_ref().and_then(|table| context.catalog.find(table));
            let partitioned = table.is_some_and(|table| table.kind == TableKind::Partitioned);
            Some(match object.fact {
                "tab.analyze" if partitioned => "tab.analyze_part",
                "tab.truncate" if table.is_some_and(|table| table.kind == TableKind::Partition) => "part.truncate_leaf",
                fact => fact,
            })
        }
        Change::Rows(_) => Some("dml.copy_like_insert"),
        Change::NotYet { .. } | Change::Opaque { .. } => None,
    }
}

fn dropped(table: &Table, column: &Ident) -> &'static str {
    let foreign =
        |c: &segue_model::catalog::Constraint| c.kind == ConstraintKind::ForeignKey && c.columns.contains(column);
    if table.constraints.iter().any(foreign) {
        return "dropcol.fk";
    }
    if table.kind == TableKind::Partitioned {
        return "dropcol.partitioned";
    }
    if has_index(table, column) { "dropcol.indexed" } else { "dropcol.plain" }
}

fn has_index(table: &Table, column: &Ident) -> bool {
    table.indexes.iter().any(|index| index.keys.iter().any(|key| key.column.as_ref() == Some(column)))
}

/// A CHECK that is valid proves it, unless the same statement drops that CHECK: DROP runs first.
fn not_null(table: &TableRef, column: &Ident, change: &Located<Change>, context: &Context<'_>) -> &'static str {
    let dropped = |name: &Option<Ident>| {
        context.migration.changes.iter().any(|other| match &other.what {
            Change::Constraint(ConstraintChange { what: ConstraintAction::Drop { name: dropped, .. }, .. }) => {
                other.statement == change.statement && name.as_ref() == Some(dropped)
            }
            _ => false,
        })
    };
    let proved = context.catalog.find(table).is_some_and(|table| {
        table.constraints.iter().any(|constraint| {
            let alone = constraint.columns == [column.clone()];
            let says = constraint.definition.trim_end_matches(')').ends_with("IS NOT NULL");
            let proves = constraint.kind == ConstraintKind::Check && constraint.validated && alone && says;
            proves && !dropped(&constraint.name)
        })
    });
    if proved { "col.set_not_null_valid_check" } else { "col.set_not_null" }
}
