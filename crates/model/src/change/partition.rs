//! What becomes of the partitions of a table.

use crate::ident::TableRef;
use crate::sql::Written;

/// A change of one partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartitionChange {
    /// The partitioned table.
    pub table: TableRef,
    /// The partition.
    pub partition: TableRef,
    /// What is done.
    pub what: PartitionAction,
}

/// What is done to a partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PartitionAction {
    /// `CREATE TABLE … PARTITION OF`.
    Create {
        /// `FOR VALUES …` or `DEFAULT`.
        bound: Bound,
        /// What stands after the bound: `PARTITION BY …`, `WITH (…)`, `TABLESPACE …`.
        tail: Option<Written>,
        /// Columns or constraints of its own are written.
        own: bool,
    },
    /// `ATTACH PARTITION`.
    Attach {
        /// `FOR VALUES …` or `DEFAULT`.
        bound: Bound,
    },
    /// `DETACH PARTITION`.
    Detach {
        /// `CONCURRENTLY`.
        concurrently: bool,
        /// `FINALIZE`.
        finalize: bool,
    },
}

/// Which rows a partition takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bound {
    /// As written.
    pub written: Written,
    /// What it means.
    pub what: BoundKind,
    /// Each of its values is a literal.
    pub constant: bool,
}

/// What a [`Bound`] means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BoundKind {
    /// `DEFAULT`: what no other takes.
    Default,
    /// `IN (…)`; `None` is NULL.
    List(Vec<Option<Written>>),
    /// `FROM (…) TO (…)`.
    Range {
        /// From here on, one value for each column of the key.
        from: Vec<BoundValue>,
        /// Up to here, excluded.
        to: Vec<BoundValue>,
    },
    /// `WITH (MODULUS m, REMAINDER r)`.
    Hash {
        /// m.
        modulus: i32,
        /// r.
        remainder: i32,
    },
}

/// One end of a range.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BoundValue {
    /// `MINVALUE`.
    Least,
    /// `MAXVALUE`.
    Greatest,
    /// A value.
    Value(Written),
}

impl PartitionChange {
    /// Returns the word for verdicts.
    pub fn kind(&self) -> &'static str {
        match self.what {
            PartitionAction::Create { .. } => "create_partition",
            PartitionAction::Attach { .. } => "attach_partition",
            PartitionAction::Detach { .. } => "detach_partition",
        }
    }
}
