//! What tells that a database has enough to do without us.

use serde::{Deserialize, Serialize};

/// Something that a driver can measure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Signal {
    /// Seconds that the slowest known standby is behind in replaying.
    ReplicaLag,
    /// Bytes of WAL that the hungriest logical replication slot keeps.
    SlotWal,
    /// Sessions of others that run a statement or hold a transaction open.
    ActiveSessions,
    /// Sessions of others that wait for a lock.
    LockWaits,
    /// Seconds that the oldest transaction of others is open.
    LongestTransaction,
    /// Bytes of WAL written since the server began: its growth is the rate.
    WalBytes,
    /// Checkpoints that the amount of WAL forced, since the counters began.
    ForcedCheckpoints,
    /// Bytes that are free where the database keeps its data.
    DiskFree,
}

/// What a measurement gave.
#[derive(Debug, Clone, PartialEq)]
pub enum Reading {
    /// The value, in the signal's unit.
    Value(f64),
    /// There is nothing to measure: no standby, no slot.
    Nothing,
    /// It cannot be told, and why: no right, not this machine.
    Unknown(String),
}
