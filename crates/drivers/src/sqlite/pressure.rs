//! What tells that the file has enough to do.

use std::path::Path;
use std::time::{Duration, Instant};

use segue_model::pressure::{Reading, Signal};
use segue_model::session::{Fail, FailKind, Session};
use segue_model::value::Value;

use super::run::SqliteSession;
use crate::disk;

const LIMIT: Duration = Duration::from_secs(10);

/// How long others count as at work after they were seen to write.
const RECENT: Duration = Duration::from_secs(2);

/// What was seen of others' writes.
#[derive(Debug, Default)]
pub(super) struct Seen {
    /// The number that changes when another connection commits.
    version: Option<i64>,
    changed: Option<Instant>,
}

/// See [`Session::pressure`].
pub(super) fn readings(signals: &[Signal], file: &Path) -> Vec<(Signal, Reading)> {
    let reading = |&signal: &Signal| {
        let reading = match signal {
            Signal::ReplicaLag | Signal::SlotWal => Reading::Nothing,
            Signal::DiskFree => disk_free(file),
            Signal::ActiveSessions
            | Signal::LockWaits
            | Signal::LongestTransaction
            | Signal::WalBytes
            | Signal::ForcedCheckpoints => Reading::Unknown("SQLite does not tell".to_owned()),
        };
        (signal, reading)
    };
    signals.iter().map(reading).collect()
}

fn disk_free(file: &Path) -> Reading {
    match disk::free_bytes(file) {
        Some(free) => Reading::Value(free),
        None => Reading::Unknown("the system does not tell the room on the file's disk".to_owned()),
    }
}

/// See [`Session::others_at_work`].
pub(super) fn others_at_work(session: &mut SqliteSession) -> Result<bool, Fail> {
    let version = number(session, "PRAGMA main.data_version")?;
    let now = Instant::now();
    if session.seen.version != Some(version) {
        session.seen = Seen { version: Some(version), changed: Some(now) };
    }
    Ok(session.seen.changed.is_some_and(|changed| now.saturating_duration_since(changed) <= RECENT))
}

/// See [`Session::seconds_now`].
pub(super) fn seconds_now(session: &mut SqliteSession) -> Result<i64, Fail> {
    number(session, "SELECT CAST(strftime('%s', 'now') AS INTEGER)")
}

fn number(session: &mut SqliteSession, sql: &'static str) -> Result<i64, Fail> {
    let rows = session.query(sql, &[], LIMIT)?;
    let number = rows.first().and_then(|row| row.first()).and_then(Value::as_i64);
    number.ok_or_else(|| Fail::new(FailKind::Server, "SQLite does not answer"))
}
