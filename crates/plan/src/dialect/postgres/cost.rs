//! What a statement would do if it were run as written.

use segue_model::catalog::{ConstraintKind, Table};
use segue_model::change::{Change, NewColumn};
use segue_model::ident::{Ident, TableRef};

use super::facts::fact;
use super::retyped;
use crate::dialect::Cost;
use crate::operation::Context;

/// Returns the cost of a change as written; `None` when no fact tells it.
pub(super) fn cost(change: &Change, context: &Context<'_>) -> Option<Cost> {
    let id = fact_of(change, context)?;
    let fact = fact(id);
    let version = context.server.version.major;
    (fact.versions.0 <= version).then_some(Cost {
        fact: fact.id,
        lock: fact.lock,
        rewrites: fact.rewrites,
        scans: fact.scans,
        transactional: fact.transactional,
        compatible: fact.compatible,
        reversible: fact.reversible,
    })
}

fn fact_of(change: &Change, context: &Context<'_>) -> Option<&'static str> {
    match change {
        Change::CreateTable { .. } => Some("tab.create"),
        Change::CreateIndex { .. } => Some("idx.create"),
        Change::AddColumn { column, .. } => Some(added(column)),
        Change::DropColumn { table, column } => Some(dropped(context.catalog.find(table)?, column)),
        Change::SetNotNull { table, column } => Some(not_null(table, column, context)),
        Change::AlterType { table, column, to, using } => {
            let table = context.catalog.find(table)?;
            let column = context.catalog.column(table, column)?;
            retyped::fact_of(table, column, to, using.as_ref())
        }
        Change::Transform { .. } => Some("dml.update_all"),
        Change::Column(_)
        | Change::Constraint(_)
        | Change::Index(_)
        | Change::Partition(_)
        | Change::Naming(_)
        | Change::Rows(_)
        | Change::NotYet { .. }
        | Change::Opaque { .. } => None,
        Change::Object(object) => Some(object.fact),
    }
}

fn added(column: &NewColumn) -> &'static str {
    let has = |word: &str| column.others.iter().any(|other| other == word);
    let by_clause = [
        ("GENERATED", "addcol.gen_stored"),
        ("IDENTITY", "addcol.identity"),
        ("PRIMARY KEY", "addcol.unique"),
        ("UNIQUE", "addcol.unique"),
        ("CHECK", "addcol.check"),
        ("REFERENCES", "addcol.references"),
    ];
    if let Some((_, id)) = by_clause.iter().find(|(word, _)| has(word)) {
        return id;
    }
    if column.type_name.as_str().contains("serial") {
        return "addcol.serial";
    }
    match (&column.default, column.not_null) {
        (None, false) => "addcol.null",
        (None, true) => "addcol.notnull_nodefault",
        (Some(default), false) if default.constant => "addcol.const_default",
        (Some(default), true) if default.constant => "addcol.notnull_const_default",
        (Some(default), _) if !default.can_raise && default.uses.is_empty() => "addcol.stable_default",
        (Some(_), _) => "addcol.volatile_default",
    }
}

fn dropped(table: &Table, column: &Ident) -> &'static str {
    let foreign =
        |c: &segue_model::catalog::Constraint| c.kind == ConstraintKind::ForeignKey && c.columns.contains(column);
    if table.constraints.iter().any(foreign) {
        return "dropcol.fk";
    }
    let indexed = table.indexes.iter().any(|index| index.keys.iter().any(|key| key.column.as_ref() == Some(column)));
    if indexed { "dropcol.indexed" } else { "dropcol.plain" }
}

fn not_null(table: &TableRef, column: &Ident, context: &Context<'_>) -> &'static str {
    let proved = context.catalog.find(table).is_some_and(|table| {
        table.constraints.iter().any(|constraint| {
            let alone = constraint.columns == [column.clone()];
            let says = constraint.definition.trim_end_matches(')').ends_with("IS NOT NULL");
            constraint.kind == ConstraintKind::Check && constraint.validated && alone && says
        })
    });
    if proved { "col.set_not_null_valid_check" } else { "col.set_not_null" }
}
