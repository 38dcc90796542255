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
        bound: Written,
    },
    /// `ATTACH PARTITION`.
    Attach {
        /// `FOR VALUES …` or `DEFAULT`.
        bound: Written,
    },
    /// `DETACH PARTITION`.
    Detach {
        /// `CONCURRENTLY`.
        concurrently: bool,
        /// `FINALIZE`.
        finalize: bool,
    },
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
