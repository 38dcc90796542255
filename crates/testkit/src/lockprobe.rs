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
