//! What a change that stands by itself would do.

use segue_model::catalog::{Constraint, ConstraintKind, Index, Table, TableKind};
use segue_model::change::{
    ColumnChange, ColumnProperty, ConstraintAction, ConstraintChange, IndexChange, IndexProperty, NamingChange,
    NewConstraint, PartitionAction, PartitionChange,
};
use segue_model::ident::{Ident, TableRef};

use crate::dialect::postgres::partition;
use crate::operation::Context;

/// Returns the fact of a change of a column's property.
pub(super) fn column(change: &ColumnChange, _context: &Context<'_>) -> &'static str {
    match change.what {
        ColumnProperty::SetDefault(_) => "col.set_default",
        ColumnProperty::DropDefault => "col.drop_default",
        ColumnProperty::DropNotNull => "col.drop_not_null",
        ColumnProperty::Fill(_) => "dml.update_all",
        ColumnProperty::AddIdentity => "col.add_identity",
        ColumnProperty::SetIdentity if restarts(change) => "col.identity_restart",
        ColumnProperty::SetIdentity => "col.set_identity",
        ColumnProperty::DropIdentity => "col.drop_identity",
        ColumnProperty::SetExpression => "col.set_expression_stored",
        ColumnProperty::DropExpression => "col.drop_expression",
        ColumnProperty::Statistics => "col.set_statistics",
        ColumnProperty::Options => "col.set_attopt",
        ColumnProperty::Storage => "col.set_storage",
        ColumnProperty::Compression => "col.set_compression",
    }
}

fn restarts(change: &ColumnChange) -> bool {
    change.command.as_str().to_ascii_uppercase().contains("RESTART")
}

/// Returns the fact of a change of a constraint.
pub(super) fn constraint(change: &ConstraintChange, context: &Context<'_>) -> &'static str {
    let table = context.catalog.find(&change.table);
    let named = |name: &Ident| table.and_then(|table| constraint_of(table, name));
    match &change.what {
        ConstraintAction::Add(new) => added(new, table),
        ConstraintAction::Validate { name } => match named(name).map(|constraint| constraint.kind) {
            Some(ConstraintKind::ForeignKey) => "con.validate_fk",
            None if is_not_null(table, name) => "nn.validate",
            Some(_) | None => "con.validate_check",
        },
        ConstraintAction::Drop { name, .. } => match named(name).map(|constraint| constraint.kind) {
            Some(ConstraintKind::ForeignKey) => "con.drop_fk",
            Some(ConstraintKind::PrimaryKey | ConstraintKind::Unique) if is_referenced(table) => "con.drop_pk_cascade",
            None if is_not_null(table, name) => "nn.drop_constraint",
            Some(_) | None => "con.drop_check",
        },
        ConstraintAction::Alter { .. } if change.command.as_str().to_ascii_uppercase().contains("ENFORCED") => {
            "con.alter_fk_not_enforced"
        }
        ConstraintAction::Alter { .. } => "con.alter_fk_deferrable",
    }
}

fn constraint_of<'t>(table: &'t Table, name: &Ident) -> Option<&'t Constraint> {
    table.constraints.iter().find(|constraint| constraint.name.as_ref() == Some(name))
}

/// The catalog lists no NOT NULL among the constraints: what is there and not listed is one (PostgreSQL 18).
fn is_not_null(table: Option<&Table>, name: &Ident) -> bool {
    table.is_some_and(|table| constraint_of(table, name).is_none())
}

fn is_referenced(table: Option<&Table>) -> bool {
    table.is_some_and(|table| table.referenced_by.iter().any(|constraint| constraint.table != table.name))
}

fn added(new: &NewConstraint, table: Option<&Table>) -> &'static str {
    let partitioned = table.is_some_and(|table| table.kind == TableKind::Partitioned);
    let nullable = || {
        let index = new.using_index.as_ref().and_then(|name| index_of(table?, name));
        let keys: Vec<&Ident> =
            index.iter().flat_map(|index| &index.keys).filter_map(|key| key.column.as_ref()).collect();
        table.is_some_and(|table| table.columns.iter().any(|column| keys.contains(&&column.name) && !column.not_null))
    };
    match (new.kind, new.using_index.is_some(), new.not_valid || new.not_enforced) {
        (None, _, true) => "nn.add_constraint_notnull_nv",
        (None, _, false) => "nn.add_constraint_notnull",
        (Some(ConstraintKind::Check), _, _) if new.not_enforced => "con.add_check_not_enforced",
        (Some(ConstraintKind::Check), _, true) => "con.add_check_nv",
        (Some(ConstraintKind::Check), _, false) => "con.add_check",
        (Some(ConstraintKind::ForeignKey), _, _) if new.not_enforced => "con.add_fk_not_enforced",
        (Some(ConstraintKind::ForeignKey), _, true) if partitioned => "con.add_fk_nv_partitioned",
        (Some(ConstraintKind::ForeignKey), _, false) if partitioned => "con.add_fk_partitioned",
        (Some(ConstraintKind::ForeignKey), _, true) => "con.add_fk_nv",
        (Some(ConstraintKind::ForeignKey), _, false) => "con.add_fk",
        (Some(ConstraintKind::Unique), true, _) => "con.add_unique_using_index",
        (Some(ConstraintKind::Unique), false, _) => "con.add_unique",
        (Some(ConstraintKind::PrimaryKey), true, _) if nullable() => "con.add_pk_using_index_nullable",
        (Some(ConstraintKind::PrimaryKey), true, _) => "con.add_pk_using_index",
        (Some(ConstraintKind::PrimaryKey), false, _) => "con.add_pk",
        (Some(ConstraintKind::Exclusion), _, _) => "con.add_exclude",
    }
}

fn index_of<'t>(table: &'t Table, name: &Ident) -> Option<&'t Index> {
    table.indexes.iter().find(|index| index.name == *name)
}

/// Returns the fact of a change of an index.
pub(super) fn index(change: &IndexChange, context: &Context<'_>) -> &'static str {
    match change {
        IndexChange::Create(new) => {
            let partitioned =
                context.catalog.find(&new.table).is_some_and(|table| table.kind == TableKind::Partitioned);
            match (new.concurrently, partitioned, new.only, new.unique) {
                (true, true, false, _) => "idx.create_conc_partitioned",
                (true, ..) => "idx.create_conc",
                (false, true, true, _) => "idx.create_only_partitioned",
                (false, true, false, _) => "idx.create_partitioned",
                (false, false, _, true) => "idx.create_unique",
                (false, false, _, false) => "idx.create",
            }
        }
        IndexChange::Drop { indexes, if_exists, .. }
            if *if_exists && !indexes.iter().any(|name| is_there(name, context)) =>
        {
            "multi.drop_index_if_exists_noop"
        }
        IndexChange::Drop { concurrently: true, .. } => "idx.drop_conc",
        IndexChange::Drop { .. } => "idx.drop",
        IndexChange::Rename { .. } => "idx.rename",
        IndexChange::Attach { .. } => "idx.attach_index",
        IndexChange::Reindex { is_table: true, concurrently: true, .. } => "idx.reindex_table_conc",
        IndexChange::Reindex { is_table: true, .. } => "idx.reindex_table",
        IndexChange::Reindex { concurrently: true, .. } => "idx.reindex_index_conc",
        IndexChange::Reindex { .. } => "idx.reindex_index",
        IndexChange::Alter { what: IndexProperty::Tablespace, .. } => "idx.set_tablespace",
        IndexChange::Alter { .. } => "idx.set_storage_param",
    }
}

fn is_there(name: &TableRef, context: &Context<'_>) -> bool {
    context.catalog.tables.iter().any(|table| {
        let schema = name.schema.as_ref().is_none_or(|schema| *schema == table.name.schema);
        schema && index_of(table, &name.name).is_some()
    })
}

/// Returns the fact of a change of a partition.
pub(super) fn partition(change: &PartitionChange, context: &Context<'_>) -> &'static str {
    let beside_default = partition::has_default(change, context);
    match change.what {
        PartitionAction::Create { .. } if beside_default => "part.create_of_with_default",
        PartitionAction::Create { .. } => "part.create_of",
        PartitionAction::Attach { .. } if beside_default => "part.attach_with_default",
        PartitionAction::Attach { .. } => "part.attach",
        PartitionAction::Detach { concurrently: true, .. } | PartitionAction::Detach { finalize: true, .. } => {
            "part.detach_conc"
        }
        PartitionAction::Detach { .. } => "part.detach",
    }
}

/// Returns the fact of another name, or of a table's end.
pub(super) fn naming(change: &NamingChange, context: &Context<'_>) -> &'static str {
    let table = context.catalog.find(change.table());
    match change {
        NamingChange::Table { .. } => "tab.rename",
        NamingChange::Column { .. } => "tab.rename_column",
        NamingChange::Constraint { .. } => "con.rename",
        NamingChange::Schema { .. } => "tab.set_schema",
        NamingChange::DropColumn { column, .. } => table.map_or("dropcol.plain", |table| super::dropped(table, column)),
        NamingChange::DropTable { .. } => match table {
            Some(table) if table.kind == TableKind::Partition => "part.drop",
            Some(table) if is_referenced(Some(table)) => "tab.drop_cascade_parent",
            Some(table) if table.constraints.iter().any(|of| of.kind == ConstraintKind::ForeignKey) => {
                "tab.drop_with_fk_out"
            }
            Some(_) | None => "tab.drop",
        },
    }
}
