//! What tells that the server has enough to do.

use std::path::Path;
use std::time::Instant;

use segue_model::pressure::{Reading, Signal};
use segue_model::sql::{Hole, Sql, StandardQuoting};
use segue_model::value::{Row, Value};

use super::cancel::Endpoint;
use super::lag::{Lag, Standby};
use super::server::text;
use crate::disk;

/// Returns the question for these signals.
pub(super) fn question(signals: &[Signal], version: u32) -> Sql {
    let wanted = |any: &[Signal]| Sql::fixed(if any.iter().any(|s| signals.contains(s)) { "true" } else { "false" });
    let sessions = [Signal::ActiveSessions, Signal::LockWaits, Signal::LongestTransaction];
    let forced = Sql::fixed(if version >= 170_000 {
        "SELECT num_requested FROM pg_catalog.pg_stat_checkpointer"
    } else {
        "SELECT checkpoints_req FROM pg_catalog.pg_stat_bgwriter"
    });
    let flags = sessions.each_ref().map(|signal| wanted(std::slice::from_ref(signal)));
    Sql::fill(
        &StandardQuoting,
        include_str!("pressure.sql"),
        &[
            ("replica_lag", Hole::Sql(&wanted(&[Signal::ReplicaLag]))),
            ("slot_wal", Hole::Sql(&wanted(&[Signal::SlotWal]))),
            ("active_sessions", Hole::Sql(&flags[0])),
            ("lock_waits", Hole::Sql(&flags[1])),
            ("longest_transaction", Hole::Sql(&flags[2])),
            ("activity", Hole::Sql(&wanted(&sessions))),
            ("wal_bytes", Hole::Sql(&wanted(&[Signal::WalBytes]))),
            ("forced", Hole::Sql(&forced)),
            ("forced_checkpoints", Hole::Sql(&wanted(&[Signal::ForcedCheckpoints]))),
            ("disk_free", Hole::Sql(&wanted(&[Signal::DiskFree]))),
        ],
    )
}

/// Returns what the answer to [`question`] says of each signal; `asked` is when it was sent.
pub(super) fn readings(
    signals: &[Signal],
    rows: &[Row],
    lag: &mut Lag,
    asked: Instant,
    reached: &Endpoint,
) -> Vec<(Signal, Reading)> {
    let reading = |&signal: &Signal| {
        let rows: Vec<&Row> = rows.iter().filter(|row| text(row, 0) == name(signal)).collect();
        let unknown = rows.iter().find(|row| text(row, 1) == "unknown").map(|row| Reading::Unknown(text(row, 2)));
        let reading = match signal {
            Signal::ReplicaLag => {
                // Remembered also where another standby cannot be measured.
                let seen = replica_lag(&rows, lag, asked);
                unknown.unwrap_or(seen)
            }
            Signal::DiskFree => unknown.unwrap_or_else(|| disk_free(&rows, reached)),
            _ => unknown.unwrap_or_else(|| highest(&rows)),
        };
        (signal, reading)
    };
    signals.iter().map(reading).collect()
}

/// Returns what the rows of a signal call it.
fn name(signal: Signal) -> &'static str {
    match signal {
        Signal::ReplicaLag => "replica_lag",
        Signal::SlotWal => "slot_wal",
        Signal::ActiveSessions => "active_sessions",
        Signal::LockWaits => "lock_waits",
        Signal::LongestTransaction => "longest_transaction",
        Signal::WalBytes => "wal_bytes",
        Signal::ForcedCheckpoints => "forced_checkpoints",
        Signal::DiskFree => "disk_free",
    }
}

fn highest(rows: &[&Row]) -> Reading {
    let mut highest = Reading::Nothing;
    for row in rows {
        let Ok(value) = text(row, 2).parse::<f64>() else {
            return Reading::Unknown("the server's answer is no number".to_owned());
        };
        highest = match highest {
            Reading::Value(before) => Reading::Value(before.max(value)),
            _ => Reading::Value(value),
        };
    }
    highest
}

fn replica_lag(rows: &[&Row], lag: &mut Lag, asked: Instant) -> Reading {
    let place = |row: &Row, at: usize| row.get(at).and_then(Value::as_str).and_then(|text| text.parse::<u64>().ok());
    let here = rows.iter().find(|row| text(row, 1) == "current");
    let Some((here, current)) = here.and_then(|row| Some((row, place(row, 2)?))) else {
        return Reading::Unknown("the server does not tell its place in the WAL".to_owned());
    };
    lag.is_on(&text(here, 3));
    let standbys = rows.iter().filter(|row| text(row, 1) == "standby").map(|row| Standby {
        name: text(row, 2),
        replayed: place(row, 3),
        received: place(row, 4),
        told_s: row.get(5).and_then(Value::as_str).and_then(|text| text.parse().ok()),
    });
    lag.worst(current, asked, &standbys.collect::<Vec<_>>())
}

/// Only a server on this machine can be measured; and a tunnel makes another's look like one.
fn disk_free(rows: &[&Row], reached: &Endpoint) -> Reading {
    let elsewhere = || Reading::Unknown("the server does not run on this machine".to_owned());
    let near = match reached {
        Endpoint::Tcp(address) => address.ip().is_loopback(),
        Endpoint::Unix(_) => true,
    };
    let Some(folder) = rows.iter().find(|row| text(row, 1) == "folder").filter(|_| near) else {
        return elsewhere();
    };
    let data = text(folder, 2);
    let Some(free) = disk::free_bytes(Path::new(&data)).filter(|_| runs_here(&text(folder, 3), reached)) else {
        return elsewhere();
    };
    let tablespaces = rows.iter().filter(|row| text(row, 1) == "tablespace").map(|row| text(row, 2));
    least_free(free, tablespaces.chain([data + "/pg_wal"]))
}

/// Returns the least room of all disks. What cannot be reached may be the fullest: `pg_wal` is often a disk of its own, and
/// the folder that it stands in is open to the server's user alone.
fn least_free(free: f64, folders: impl Iterator<Item = String>) -> Reading {
    let mut least = free;
    for folder in folders {
        match disk::free_bytes(Path::new(&folder)) {
            Some(free) => least = least.min(free),
            None => {
                return Reading::Unknown(["`", &folder, "` cannot be looked at by the user that runs this"].concat());
            }
        }
    }
    Reading::Value(least)
}

/// Returns whether our backend is a process of this machine.
fn runs_here(backend: &str, reached: &Endpoint) -> bool {
    if !cfg!(target_os = "linux") {
        return matches!(reached, Endpoint::Unix(_));
    }
    let title = std::fs::read(Path::new("/proc").join(backend).join("cmdline"));
    title.is_ok_and(|title| title.starts_with(b"postgres"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disk_that_cannot_be_reached_leaves_the_free_room_unknown() {
        let folder = tempfile::tempdir().unwrap();
        let here = folder.path().display().to_string();
        assert_eq!(least_free(1.0, [here.clone()].into_iter()), Reading::Value(1.0));
        let wal = here.clone() + "/pg_wal";
        let told = least_free(1.0, [here, wal.clone()].into_iter());
        assert!(matches!(&told, Reading::Unknown(why) if why.contains(&wal)), "{told:?}");
    }
}
