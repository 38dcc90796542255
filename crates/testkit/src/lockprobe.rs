//! Which table locks a backend holds (PostgreSQL).

use crate::client::Client;

/// A lock: the relation as `schema.name`, and the mode as `pg_locks` prints it.
pub type Held = (String, String);

/// Returns the table locks that the backend `pid` holds in a user's schema, strongest of each relation only, sorted.
///
/// `watcher` must be another connection to the same database. Locks on indexes and sequences, and on what the backend has
/// created and not committed yet, have no name that others see: they are left out.
///
/// # Panics
/// When the server does not answer.
#[track_caller]
pub fn locks_of(watcher: &mut Client, pid: i32) -> Vec<Held> {
    held(watcher, pid, true)
}

/// Returns the table locks that the backend `pid` waits for.
///
/// # Panics
/// When the server does not answer.
#[track_caller]
pub fn waits_of(watcher: &mut Client, pid: i32) -> Vec<Held> {
    held(watcher, pid, false)
}

/// A lock on anything that has a name others see: `pg_class.relkind`, the relation as `schema.name`, and the mode.
pub type HeldOf = (char, String, String);

/// Returns all locks that the backend `pid` holds or waits for in a user's schema, on indexes and sequences too, strongest
/// of each relation only.
///
/// # Panics
/// When the server does not answer.
#[track_caller]
pub fn every_lock_of(watcher: &mut Client, pid: i32) -> Vec<HeldOf> {
    let mut locks: Vec<HeldOf> = Vec::new();
    for line in watcher.column(include_str!("lockprobe_all.sql"), &[&pid.to_string()]) {
        let (kind, rest) = line.split_once(' ').expect("the query separates them by a space");
        let (relation, mode) = rest.rsplit_once(' ').expect("the query separates them by a space");
        locks.retain(|(_, other, _)| other != relation);
        locks.push((kind.chars().next().unwrap_or('r'), relation.to_owned(), mode.to_owned()));
    }
    locks
}

#[track_caller]
fn held(watcher: &mut Client, pid: i32, granted: bool) -> Vec<Held> {
    let lines = watcher.column(include_str!("lockprobe.sql"), &[&pid.to_string(), &granted.to_string()]);
    let mut locks: Vec<Held> = Vec::new();
    for line in lines {
        let (relation, mode) = line.rsplit_once(' ').expect("the query separates them by a space");
        // Ordered by strength: a later one of the same relation is the stronger.
        locks.retain(|(other, _)| other != relation);
        locks.push((relation.to_owned(), mode.to_owned()));
    }
    locks.sort();
    locks
}
