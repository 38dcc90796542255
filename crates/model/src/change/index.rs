//! What becomes of indexes.

use crate::ident::{Ident, TableRef};
use crate::sql::Written;

/// A change of indexes on tables that exist, or of one that stands alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum IndexChange {
    /// `CREATE INDEX`.
    Create(NewIndex),
    /// `DROP INDEX`.
    Drop {
        /// Which.
        indexes: Vec<TableRef>,
        /// `CONCURRENTLY`.
        concurrently: bool,
        /// `IF EXISTS`.
        if_exists: bool,
        /// `CASCADE`.
        cascade: bool,
    },
    /// `ALTER INDEX … RENAME TO`.
    Rename {
        /// Which.
        index: TableRef,
        /// Its name to be.
        to: Ident,
    },
    /// `ALTER INDEX … ATTACH PARTITION`.
    Attach {
        /// The index of the partitioned table.
        index: TableRef,
        /// The index of the partition.
        partition: TableRef,
    },
    /// `REINDEX`.
    Reindex {
        /// An index, or a table.
        of: TableRef,
        /// It is a table.
        is_table: bool,
        /// `CONCURRENTLY`.
        concurrently: bool,
    },
    /// `ALTER INDEX … SET (…)`, `SET TABLESPACE` and the like.
    Alter {
        /// Which.
        index: TableRef,
        /// What of it.
        what: IndexProperty,
        /// The command after `ALTER INDEX i`.
        command: Written,
    },
}

/// What of an index changes under its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum IndexProperty {
    /// `SET (…)` or `RESET (…)`: the names of the storage parameters.
    Options(Vec<Ident>),
    /// `ALTER COLUMN n SET STATISTICS`: the number of the column, from 1.
    Statistics(i32),
    /// `SET TABLESPACE`, which copies it under a lock.
    Tablespace,
}

/// An index that a migration creates.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewIndex {
    /// Its name, where one is written.
    pub name: Option<Ident>,
    /// The table.
    pub table: TableRef,
    /// `UNIQUE`.
    pub unique: bool,
    /// `CONCURRENTLY`.
    pub concurrently: bool,
    /// `ON ONLY`.
    pub only: bool,
    /// The plain columns of key and INCLUDE, in order.
    pub columns: Vec<Ident>,
    /// The columns and expressions of the key as written, without order, collation and operator class.
    pub keys: Vec<Written>,
    /// What the server calls each element of key and INCLUDE when it chooses the index's name; `None` for an expression that
    /// has no name of its own.
    pub called: Vec<Option<Ident>>,
    /// It is a btree over nothing but columns, each with its type's default order: the number of them that are its key.
    pub plain_keys: Option<usize>,
    /// What stands after `WHERE`.
    pub predicate: Option<Written>,
    /// `NULLS NOT DISTINCT`.
    pub nulls_not_distinct: bool,
    /// What stands after the table's name: `USING btree (a DESC) INCLUDE (b) WHERE c`.
    pub definition: Written,
}

impl IndexChange {
    /// Returns the table, where the statement names it.
    pub fn table(&self) -> Option<&TableRef> {
        match self {
            Self::Create(new) => Some(&new.table),
            Self::Reindex { of, is_table: true, .. } => Some(of),
            Self::Drop { .. }
            | Self::Rename { .. }
            | Self::Attach { .. }
            | Self::Reindex { .. }
            | Self::Alter { .. } => None,
        }
    }

    /// Returns the indexes that the statement names and that must be there before it.
    pub fn indexes(&self) -> Vec<&TableRef> {
        match self {
            Self::Drop { indexes, .. } => indexes.iter().collect(),
            Self::Rename { index, .. } | Self::Alter { index, .. } => vec![index],
            Self::Attach { index, partition } => vec![index, partition],
            Self::Reindex { of, is_table: false, .. } => vec![of],
            Self::Create(_) | Self::Reindex { .. } => vec![],
        }
    }

    /// Returns the word for verdicts.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Create(_) => "create_index",
            Self::Drop { .. } => "drop_index",
            Self::Rename { .. } => "rename_index",
            Self::Attach { .. } => "attach_index",
            Self::Reindex { .. } => "reindex",
            Self::Alter { .. } => "alter_index",
        }
    }
}
