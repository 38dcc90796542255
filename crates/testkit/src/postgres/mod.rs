//! Private PostgreSQL servers.
//!
//! `postgres(18)` gives the one server of that version which all tests of a process share; a test takes a database of its
//! own on it. A test that stops, floods or configures a server starts its own by [`PostgresServer::start`].

mod account;
mod binaries;
mod pooler;
mod server;
mod standby;
mod supervisor;
pub(crate) mod template;

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

pub use binaries::Binaries;
pub use pooler::Pooler;
pub use server::{PASSWORD, PASSWORD_ROLE, PostgresOptions, PostgresServer};

use crate::requirement::skipped;

/// Every major version that is supported.
pub const MAJORS: [u32; 6] = [13, 14, 15, 16, 17, 18];

/// The servers that this process has started or tried to start. They live until it ends.
static SHARED: Mutex<BTreeMap<u32, Option<&'static PostgresServer>>> = Mutex::new(BTreeMap::new());

/// Returns the shared server of a major version: `SEGUE_TEST_POSTGRES` when that URL leads to one of this version, else a
/// private one. `None`, and a line that says so, when there are no binaries.
///
/// # Panics
/// When there is none and `SEGUE_TEST_REQUIRE` names it; when binaries are there and the server does not start.
#[track_caller]
pub fn postgres(major: u32) -> Option<&'static PostgresServer> {
    // A poisoned lock: another test could not start its server. That says nothing about this one.
    let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
    let server = *shared.entry(major).or_insert_with(|| begin(major).map(|server| &*Box::leak(Box::new(server))));
    drop(shared);
    if server.is_none() {
        skipped(&format!("postgres {major}"));
    }
    server
}

/// Returns the shared servers of all versions that this run tests: `SEGUE_TEST_MAJORS` (`13,18`), else 13, 15 and 18.
///
/// # Panics
/// As [`postgres()`].
#[track_caller]
pub fn each_postgres() -> Vec<&'static PostgresServer> {
    majors().into_iter().filter_map(postgres).collect()
}

/// Returns the shared servers of the oldest and the newest version that this run tests, and of all in a full one
/// (`SEGUE_TEST_FULL`): for what a version between shows too, at the price of half as much time again.
///
/// # Panics
/// As [`postgres()`].
#[track_caller]
pub fn oldest_and_newest_postgres() -> Vec<&'static PostgresServer> {
    let mut majors = majors();
    majors.sort_unstable();
    if std::env::var_os("SEGUE_TEST_FULL").is_none() && majors.len() > 2 {
        majors.drain(1..majors.len() - 1);
    }
    majors.into_iter().filter_map(postgres).collect()
}

/// Returns the major versions that this run tests.
pub fn majors() -> Vec<u32> {
    let wanted = std::env::var("SEGUE_TEST_MAJORS").unwrap_or_default();
    let listed: Vec<u32> = wanted.split(',').filter_map(|major| major.trim().parse().ok()).collect();
    if listed.is_empty() { vec![13, 15, 18] } else { listed }
}

fn begin(major: u32) -> Option<PostgresServer> {
    if let Some(theirs) = PostgresServer::given().filter(|server| server.major() == major) {
        return Some(theirs);
    }
    Binaries::find(major).map(|binaries| PostgresServer::start(&binaries, &PostgresOptions::default()))
}
