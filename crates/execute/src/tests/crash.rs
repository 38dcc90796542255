//! A kill, or a lost connection, at every single call.

use segue_model::journal::State;

use super::fake::{Break, Database};
use super::{Process, additive, assert_finished, assert_taken_back, plan};

/// Runs `first` once for each call and each way to break at it, then `then`.
pub(super) fn at_every_call(for_good: bool, first: impl Fn(&Database), then: impl Fn(&Database, &str)) -> usize {
    for at in 1.. {
        let mut reached = false;
        for how in [Break::Before, Break::After] {
            let database = Database::new(true);
            database.state().breaks = Some((at, how, for_good));
            first(&database);
            reached |= database.state().calls >= at;
            let about = format!("broken {how:?} call {at}");
            database.revive();
            then(&database, &about);
        }
        if !reached {
            return at - 1;
        }
    }
    unreachable!("some call is the last")
}

#[test]
fn a_run_that_is_killed_anywhere_is_resumed() {
    let calls = at_every_call(
        true,
        |database| drop(Process::new(database).to_the_end(&plan())),
        |database, about| {
            let process = Process::new(database);
            process.to_the_end(&plan()).unwrap_or_else(|error| panic!("{about}: {error:?}"));
            assert_finished(database, about);
        },
    );
    assert!(calls > 200, "only {calls} calls were broken");
}

#[test]
fn a_run_that_is_killed_anywhere_is_taken_back() {
    at_every_call(
        true,
        |database| drop(Process::new(database).apply(&plan())),
        |database, about| {
            let process = Process::new(database);
            if database.state().store.records.is_empty() {
                return;
            }
            process.rollback().unwrap_or_else(|error| panic!("{about}: {error:?}"));
            assert_taken_back(database, about);
        },
    );
}

#[test]
fn a_rollback_that_is_killed_anywhere_is_finished() {
    at_every_call(
        true,
        |database| {
            let breaks = database.state().breaks.take();
            let process = Process::new(database);
            process.apply(&plan()).unwrap();
            process.after(State::Ready).unwrap();
            process.after(State::Flipped).unwrap();
            database.state().calls = 0;
            database.state().breaks = breaks;
            drop(process.rollback());
        },
        |database, about| {
            Process::new(database).rollback().unwrap_or_else(|error| panic!("{about}: {error:?}"));
            assert_taken_back(database, about);
        },
    );
}

#[test]
fn a_lost_connection_does_not_end_a_run_that_has_begun() {
    let calls = at_every_call(
        false,
        |database| drop(Process::new(database).apply(&additive())),
        |database, about| {
            let state = database.state().store.records.first().map(|record| record.state);
            // Before the lease is ours there is nothing to go on with: the user sees the failure at once.
            let begun = !database.state().store.events.is_empty();
            assert!(!begun || state == Some(State::Done), "{about}");
        },
    );
    assert!(calls > 100, "only {calls} calls were broken");
}
