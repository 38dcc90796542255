//! What a step holds, and what the application cannot do meanwhile.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// What the application cannot do while a step holds its lock.
///
/// Ordered from harmless to worst: the `max` over a plan's steps is what the plan costs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Blocks {
    /// Reads, writes and other DDL go on.
    Nothing,
    /// Other DDL waits; reads and writes go on.
    Ddl,
    /// Writes wait; reads go on.
    Writes,
    /// Everything waits.
    Everything,
}

/// An engine's own lock on a relation.
///
/// PostgreSQL: the eight table locks of "Explicit Locking" (13.3), ordered by strength. SQLite: the one write lock of the
/// database file, or none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum LockMode {
    /// SQLite: no lock that writers wait for.
    #[serde(rename = "none")]
    None,
    /// SQLite: the write lock of the database.
    #[serde(rename = "write")]
    Write,
    /// SELECT.
    #[serde(rename = "AccessShareLock")]
    AccessShare,
    /// SELECT FOR UPDATE/SHARE.
    #[serde(rename = "RowShareLock")]
    RowShare,
    /// INSERT, UPDATE, DELETE.
    #[serde(rename = "RowExclusiveLock")]
    RowExclusive,
    /// VALIDATE, CREATE INDEX CONCURRENTLY, ANALYZE.
    #[serde(rename = "ShareUpdateExclusiveLock")]
    ShareUpdateExclusive,
    /// CREATE INDEX.
    #[serde(rename = "ShareLock")]
    Share,
    /// CREATE TRIGGER, ADD FOREIGN KEY.
    #[serde(rename = "ShareRowExclusiveLock")]
    ShareRowExclusive,
    /// REFRESH MATERIALIZED VIEW CONCURRENTLY.
    #[serde(rename = "ExclusiveLock")]
    Exclusive,
    /// Most ALTER TABLE, DROP.
    #[serde(rename = "AccessExclusiveLock")]
    AccessExclusive,
}

impl LockMode {
    /// Returns what the application cannot do while this lock is held (PostgreSQL manual, table 13.2).
    pub fn blocks(self) -> Blocks {
        match self {
            Self::None | Self::AccessShare | Self::RowShare | Self::RowExclusive => Blocks::Nothing,
            Self::ShareUpdateExclusive => Blocks::Ddl,
            Self::Write | Self::Share | Self::ShareRowExclusive | Self::Exclusive => Blocks::Writes,
            Self::AccessExclusive => Blocks::Everything,
        }
    }

    /// Returns the name as `pg_locks.mode` prints it; for SQLite `write` and `none`.
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Write => "write",
            Self::AccessShare => "AccessShareLock",
            Self::RowShare => "RowShareLock",
            Self::RowExclusive => "RowExclusiveLock",
            Self::ShareUpdateExclusive => "ShareUpdateExclusiveLock",
            Self::Share => "ShareLock",
            Self::ShareRowExclusive => "ShareRowExclusiveLock",
            Self::Exclusive => "ExclusiveLock",
            Self::AccessExclusive => "AccessExclusiveLock",
        }
    }
}

/// A lock on one relation of the application.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RelationLock {
    /// The relation.
    pub relation: crate::ident::TableName,
    /// The engine's lock.
    pub mode: LockMode,
}

/// How long a step may wait for its lock: short tries within a budget.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LockTries {
    /// The longest that one try waits, and thus the longest that it makes others wait.
    pub each: Duration,
    /// The longest that all tries together may take before the step is given up (resumable).
    pub budget: Duration,
}

impl Default for LockTries {
    /// 50 ms a try, five minutes in all (design §2.3).
    fn default() -> Self {
        Self { each: Duration::from_millis(50), budget: Duration::from_secs(300) }
    }
}
