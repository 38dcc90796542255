//! A standby that lacks the last commits takes the server's place.

use std::collections::VecDeque;

use segue_model::journal::State;

use super::fake::{Database, Inside};
use super::moving::by_two;
use super::{Process, additive, assert_finished, assert_taken_back, plan};

/// What a standby has: the data, the lease and its number.
type Replayed = (super::fake::Store, Option<(i64, segue_model::journal::Holder)>, i64);

fn replayed(state: &Inside) -> Replayed {
    (state.store.clone(), state.lease.clone(), state.epoch)
}

/// At call `at` the server is gone, and a standby takes its place that is `behind` calls behind. Returns whether it came to it.
fn fails_over(database: &Database, at: usize, behind: usize) -> std::sync::Arc<std::sync::atomic::AtomicBool> {
    let (came, calls) = (std::sync::Arc::<std::sync::atomic::AtomicBool>::default(), database.state().calls);
    let told = std::sync::Arc::clone(&came);
    let mut standby = VecDeque::from([replayed(&database.state())]);
    database.state().watches = Some(Box::new(move |_, _, state| {
        standby.push_back(replayed(state));
        if standby.len() > behind + 1 {
            standby.pop_front();
        }
        if state.calls == calls + at {
            (state.store, state.lease, state.epoch) = standby.pop_front().expect("it has something");
            state.now_identity.timeline += 1;
            state.living.clear();
            told.store(true, std::sync::atomic::Ordering::SeqCst);
        }
    }));
    came
}

fn was_told(process: &Process<'_>) -> bool {
    process.told.all().iter().any(|told| told.contains("its timeline is 2 now"))
}

#[test]
fn what_a_standby_did_not_have_is_done_again_in_the_same_run() {
    for behind in [0, 5, 40] {
        for at in 12.. {
            let database = Database::new(false);
            let came = fails_over(&database, at, behind);
            let process = Process::new(&database);
            let about = format!("call {at}, {behind} behind");
            let outcome = process.apply(&plan());
            if !came.load(std::sync::atomic::Ordering::SeqCst) {
                break;
            }
            // At the very end there is nothing left to do, so nobody may notice.
            let lost = database.state().store.records.first().is_none_or(|record| record.state < State::Ready);
            match outcome {
                Ok(outcome) => assert!(outcome.state == State::Ready && (!lost || !was_told(&process)), "{about}"),
                Err(error) => assert_eq!(error.exit_code(), 3, "{about}: {error:?}"),
            }
            database.state().watches = None;
            let again = Process::new(&database);
            again.to_the_end(&plan()).unwrap_or_else(|error| panic!("{about}: {error:?}"));
            assert_finished(&database, &about);
        }
    }
}

#[test]
fn a_worker_that_sees_the_failover_first_ends_the_pass_and_the_run_goes_on() {
    for at in [150, 200, 300, 500] {
        let database = Database::new(false).with_rows(600);
        let came = fails_over(&database, at, 60);
        let process = by_two(&database);
        let outcome = process.apply(&additive()).unwrap();
        assert!(came.load(std::sync::atomic::Ordering::SeqCst), "call {at}");
        assert_eq!(outcome.state, State::Done, "call {at}");
        assert!(was_told(&process), "call {at}: {:?}", process.told.all());
        assert!(database.state().store.spans.is_empty(), "call {at}");
    }
}

#[test]
fn a_rollback_that_loses_its_last_commits_does_them_again() {
    for at in 12.. {
        let database = Database::new(false);
        Process::new(&database).apply(&plan()).unwrap();
        let came = fails_over(&database, at, 15);
        let result = Process::new(&database).rollback();
        if !came.load(std::sync::atomic::Ordering::SeqCst) {
            break;
        }
        database.state().watches = None;
        if result.is_err() || database.state().store.records[0].state != State::RolledBack {
            Process::new(&database).rollback().unwrap_or_else(|error| panic!("call {at}: {error:?}"));
        }
        database.state().lease = None;
        assert_taken_back(&database, &format!("call {at}"));
    }
}
