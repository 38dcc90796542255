//! What a statement would do if it were run as written.

use segue_model::catalog::{Column, ConstraintKind, Table};
use segue_model::change::{Change, ConstraintAction, ConstraintChange, NamingChange, NewColumn};
use segue_model::ident::{Ident, TableRef};
use segue_model::sql::TypeName;

use super::facts::fact;
use super::{index, partition};
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
            Some(if using.is_some() { "type.using_expr" } else { retyped(table, column, to)? })
        }
        Change::Transform { .. } => Some("dml.update_all"),
        Change::Constraint(constraint) => constrained(constraint, context),
        Change::Column(_) | Change::Rows(_) | Change::NotYet { .. } | Change::Opaque { .. } => None,
        Change::Index(change) => index::fact_of(change, context),
        Change::Partition(change) => partition::fact_of(change, context),
        Change::Object(object) => Some(object.fact),
        Change::Naming(naming) => named(naming, context),
    }
}

fn named(naming: &NamingChange, context: &Context<'_>) -> Option<&'static str> {
    let table = context.catalog.find(naming.table())?;
    let has_parent = || table.constraints.iter().any(|constraint| constraint.kind == ConstraintKind::ForeignKey);
    match naming {
        NamingChange::Table { .. } => Some("tab.rename"),
        NamingChange::Column { .. } => Some("tab.rename_column"),
        NamingChange::Constraint { .. } => Some("con.rename"),
        NamingChange::Schema { .. } => Some("tab.set_schema"),
        NamingChange::DropColumn { column, .. } => Some(dropped(table, column)),
        NamingChange::DropTable { .. } => Some(if has_parent() { "tab.drop_with_fk_out" } else { "tab.drop" }),
    }
}

fn constrained(change: &ConstraintChange, context: &Context<'_>) -> Option<&'static str> {
    let known = |name: &Ident| {
        let table = context.catalog.find(&change.table)?;
        table.constraints.iter().find(|other| other.name.as_ref() == Some(name)).map(|other| other.kind)
    };
    match &change.what {
        ConstraintAction::Add(new) => Some(match (new.kind, new.not_valid || new.not_enforced, &new.using_index) {
            (Some(ConstraintKind::Check), false, _) => "con.add_check",
            (Some(ConstraintKind::Check), true, _) => "con.add_check_nv",
            (Some(ConstraintKind::ForeignKey), false, _) => "con.add_fk",
            (Some(ConstraintKind::ForeignKey), true, _) => "con.add_fk_nv",
            (Some(ConstraintKind::Unique), _, None) => "con.add_unique",
            (Some(ConstraintKind::Unique), _, Some(_)) => "con.add_unique_using_index",
            (Some(ConstraintKind::PrimaryKey), _, None) => "con.add_pk",
            (Some(ConstraintKind::PrimaryKey), _, Some(_)) => "con.add_pk_using_index",
            (Some(ConstraintKind::Exclusion), ..) => "con.add_exclude",
            (None, false, _) => "nn.add_constraint_notnull",
            (None, true, _) => "nn.add_constraint_notnull_nv",
        }),
        ConstraintAction::Validate { name } => match known(name) {
            Some(ConstraintKind::ForeignKey) => Some("con.validate_fk"),
            Some(_) => Some("con.validate_check"),
            None => None,
        },
        ConstraintAction::Drop { name, .. } => match known(name) {
            Some(ConstraintKind::ForeignKey) => Some("con.drop_fk"),
            Some(ConstraintKind::Unique | ConstraintKind::PrimaryKey) => Some("con.drop_unique"),
            Some(ConstraintKind::Check | ConstraintKind::Exclusion) => Some("con.drop_check"),
            None => None,
        },
        ConstraintAction::Alter { enforced: Some(_), .. } => Some("con.alter_fk_not_enforced"),
        ConstraintAction::Alter { .. } => Some("con.alter_fk_deferrable"),
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

/// Returns the fact of a change of types by their own names; `None` for pairs that no fact tells.
fn retyped(table: &Table, column: &Column, to: &TypeName) -> Option<&'static str> {
    let indexed =
        table.indexes.iter().any(|index| index.keys.iter().any(|key| key.column.as_ref() == Some(&column.name)));
    let (to_base, to_length) = base(to.as_str());
    let from_length = base(column.type_name.as_str()).1;
    match (column.base_type.as_str(), to_base.as_str()) {
        ("int2" | "int4", "int8") if indexed => Some("type.int_bigint_indexed"),
        ("int2" | "int4", "int8") => Some("type.int_bigint"),
        ("int2", "int4") => Some("type.smallint_int"),
        ("varchar", "text") => Some("type.varchar_text"),
        ("text", "varchar") if to_length.is_none() => Some("type.text_varchar"),
        ("text", "varchar") => Some("type.text_varchar_n"),
        ("bpchar", "text") => Some("type.char_text"),
        ("varchar", "varchar") => Some(match (from_length, to_length) {
            (_, None) => "type.varchar_unlimited",
            (Some(from), Some(to)) if to >= from => "type.varchar_widen",
            _ => "type.varchar_narrow",
        }),
        ("numeric", "numeric") if to_length.is_none() => Some("type.numeric_unconstrained"),
        ("numeric", "numeric") => Some("type.numeric_constrain"),
        (from, to) if from == to && !column.has_modifier && to_length.is_none() => Some("type.using_noop"),
        _ => None,
    }
}

/// Returns a type's own name, and its first modifier.
fn base(spelled: &str) -> (String, Option<i64>) {
    let spelled = spelled.trim().trim_start_matches("pg_catalog.").replace('"', "").to_ascii_lowercase();
    let (name, rest) = spelled.split_once('(').unwrap_or((&spelled, ""));
    let length = rest.split([',', ')']).next().and_then(|n| n.trim().parse().ok());
    let name = match name.trim() {
        "bigint" => "int8",
        "integer" | "int" => "int4",
        "smallint" => "int2",
        "character varying" => "varchar",
        "character" | "char" => "bpchar",
        "decimal" => "numeric",
        other => other,
    };
    (name.to_owned(), length)
}
