//! What gets another name, and tables that go away.

use crate::ident::{Ident, TableRef};

/// A change of a name, or the end of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NamingChange {
    /// `ALTER TABLE … RENAME TO`.
    Table {
        /// The table.
        table: TableRef,
        /// Its name to be.
        to: Ident,
    },
    /// `RENAME COLUMN`.
    Column {
        /// The table.
        table: TableRef,
        /// The column.
        column: Ident,
        /// Its name to be.
        to: Ident,
    },
    /// `RENAME CONSTRAINT`.
    Constraint {
        /// The table.
        table: TableRef,
        /// The constraint.
        constraint: Ident,
        /// Its name to be.
        to: Ident,
    },
    /// `SET SCHEMA`.
    Schema {
        /// The table.
        table: TableRef,
        /// Its schema to be.
        to: Ident,
    },
    /// `DROP COLUMN` with a clause that a plain one has not.
    DropColumn {
        /// The table.
        table: TableRef,
        /// The column.
        column: Ident,
        /// `IF EXISTS`.
        if_exists: bool,
        /// `CASCADE`.
        cascade: bool,
    },
    /// `DROP TABLE`, one of those that the statement names.
    DropTable {
        /// The table.
        table: TableRef,
        /// `IF EXISTS`.
        if_exists: bool,
        /// `CASCADE`.
        cascade: bool,
    },
}

impl NamingChange {
    /// Returns the table.
    pub fn table(&self) -> &TableRef {
        match self {
            Self::Table { table, .. }
            | Self::Column { table, .. }
            | Self::Constraint { table, .. }
            | Self::Schema { table, .. }
            | Self::DropColumn { table, .. }
            | Self::DropTable { table, .. } => table,
        }
    }

    /// Returns the word for verdicts.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Table { .. } => "rename_table",
            Self::Column { .. } => "rename_column",
            Self::Constraint { .. } => "rename_constraint",
            Self::Schema { .. } => "set_schema",
            Self::DropColumn { .. } => "drop_column",
            Self::DropTable { .. } => "drop_table",
        }
    }
}
