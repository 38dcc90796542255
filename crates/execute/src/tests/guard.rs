//! Locks, retries, the lease and the wish to stop.

use std::sync::Arc;
use std::time::Duration;

use segue_model::ident::MigrationId;
use segue_model::journal::{Holder, Leftover, State};
use segue_model::session::{Blocker, FailKind};
use segue_model::step::Transaction;

use super::fake::{Break, Database, Side};
use super::{Process, additive, assert_finished, id, plan};
use crate::RunError;

fn reader(age: Duration) -> Blocker {
    let (user, application) = ("app".to_owned(), "reports".to_owned());
    Blocker { pid: 42, user, application, age, query: "SELECT …".to_owned() }
}

#[test]
fn a_lock_that_is_not_had_is_tried_again_with_pauses() {
    let database = Database::new(true);
    database.fail_next("lock", FailKind::LockTimeout, 5);
    let process = Process::new(&database);
    let outcome = process.apply(&additive()).unwrap();
    assert_eq!(outcome.retries, 5);
    assert_eq!(process.told.count("try"), 5);
    use crate::clock::Clock;
    assert!(process.clock.now() >= Duration::from_millis(5 * 25), "each pause is at least half of a try");
}

#[test]
fn a_long_transaction_is_looked_at_before_queueing_behind_it() {
    let database = Database::new(true);
    database.state().blockers = vec![reader(Duration::from_secs(5))];
    let process = Process::new(&database);
    let outcome = process.apply(&additive()).unwrap();
    assert_eq!(outcome.retries, 0, "the try past it succeeded");
    assert!(process.told.count("try") >= 2, "{:?}", process.told.all());
}

#[test]
fn a_spent_budget_names_who_was_in_the_way() {
    let database = Database::new(true);
    database.fail_next("lock", FailKind::LockTimeout, 20_000);
    database.state().blockers = vec![reader(Duration::from_secs(500))];
    let error = Process::new(&database).apply(&additive()).unwrap_err();
    assert_eq!(error.exit_code(), 3, "the same command goes on");
    assert!(matches!(&error, RunError::BudgetSpent { step: 1, blockers, .. } if blockers[0].pid == 42), "{error:?}");
    assert!(error.hint().contains("process 42 (app, reports)"), "{}", error.hint());
    database.state().fails.clear();
    database.state().blockers.clear();
    Process::new(&database).apply(&additive()).unwrap();
}

#[test]
fn deadlocks_and_conflicts_are_done_again() {
    let database = Database::new(true);
    database.fail_next("fill", FailKind::Deadlock, 3);
    database.fail_next("commit", FailKind::Serialization, 3);
    let outcome = Process::new(&database).apply(&additive()).unwrap();
    assert_eq!((outcome.state, outcome.retries), (State::Done, 6));
}

#[test]
fn a_value_that_cannot_be_converted_is_named_and_resumed_after_its_correction() {
    let database = Database::new(true);
    database.state().unconvertible_row = Some(6);
    let error = Process::new(&database).apply(&plan()).unwrap_err();
    let RunError::Fail { step: Some(3), source, .. } = &error else { panic!("{error:?}") };
    assert_eq!(source.message, "it cannot be converted (in rows 6 to 6 of `main.users`)");
    database.state().unconvertible_row = None;
    Process::new(&database).to_the_end(&plan()).unwrap();
    assert_finished(&database, "after the correction");
}

#[test]
fn a_failed_statement_without_a_transaction_leaves_nothing_broken() {
    let database = Database::new(true);
    database.state().store.things.insert("old".to_owned());
    // The second move of `slow` is what makes it whole.
    for at in 1..500 {
        let database = Database::new(true);
        database.state().breaks = Some((at, Break::Before, false));
        let process = Process::new(&database);
        let result = process.apply(&additive());
        assert!(!database.state().store.things.contains("index!"), "call {at}: {result:?}");
    }
}

#[test]
fn a_run_that_lost_its_lease_writes_nothing_more() {
    let mut plan = additive();
    // A statement outside a transaction can only be checked before and after.
    plan.steps.retain(|step| step.transaction == Transaction::Own);
    let mut lost = 0;
    for at in 20..150 {
        let database = Database::new(true);
        database.state().steal_at = Some(at);
        let result = Process::new(&database).apply(&plan);
        let state = database.state();
        let Some(stolen) = &state.stolen else { continue };
        if let Err(error) = result {
            assert_eq!(error.exit_code(), 4, "call {at}: {error:?}");
            assert_eq!(state.store, *stolen, "call {at}");
            lost += 1;
        }
    }
    assert!(lost > 50, "{lost}");
}

#[test]
fn the_lease_of_somebody_alive_is_left_to_them() {
    for with_hold in [true, false] {
        let database = Database::new(with_hold);
        database.state().held = true;
        let error = Process::new(&database).apply(&plan()).unwrap_err();
        assert!(matches!(error, RunError::Held { .. }), "{error:?}");
        assert_eq!(error.exit_code(), 4);
        assert!(database.state().store.records.is_empty());
    }
}

#[test]
fn a_takeover_says_whose_run_it_was_and_waits_for_its_index() {
    let database = Database::new(false);
    database.state().lease = Some((0, Holder { name: "ci 4711".to_owned(), pid: 9, backend_start: String::new() }));
    let leftover = |ended| Leftover { pid: 9, query: "CREATE INDEX CONCURRENTLY".to_owned(), ended };
    database.state().leftovers = vec![vec![leftover(false)], vec![leftover(false)], vec![leftover(true)]];
    let process = Process::new(&database);
    let outcome = process.apply(&plan()).unwrap();
    assert_eq!(outcome.took_over.map(|from| from.name).as_deref(), Some("ci 4711"));
    assert_eq!(outcome.leftovers.len(), 2);
    assert_eq!(process.told.count("waiting an earlier run's index"), 2);
}

#[test]
fn a_lost_control_session_is_replaced_and_the_lease_taken_again() {
    let database = Database::new(false);
    for at in (30..200).step_by(7) {
        let database = Database::new(false);
        database.state().breaks = Some((at, Break::Before, false));
        let result = Process::new(&database).apply(&additive());
        assert_eq!(result.map(|outcome| outcome.state).ok(), Some(State::Done), "call {at}");
    }
    Process::new(&database).apply(&additive()).unwrap();
}

#[test]
fn a_stop_is_taken_at_the_next_boundary_and_the_run_goes_on_later() {
    let mut interrupted = 0;
    for at in 1..150 {
        let database = Database::new(true);
        let process = Process::new(&database);
        database.state().stop_at = Some((at, Arc::clone(&process.stop)));
        if let Err(error) = process.apply(&plan()) {
            assert_eq!(error.exit_code(), 130, "{error:?}");
            interrupted += 1;
        }
        database.state().stop_at = None;
        assert!(database.state().lease.is_none(), "call {at}: the lease was given back");
        Process::new(&database).to_the_end(&plan()).unwrap();
        assert_finished(&database, &format!("stopped at call {at}"));
    }
    assert!(interrupted > 100, "{interrupted}");
}

#[test]
fn standbys_are_waited_for() {
    let database = Database::new(true);
    database.state().lagging = 4;
    let process = Process::new(&database);
    process.apply(&plan()).unwrap();
    assert_eq!(process.told.count("waiting these standbys"), 3);
    let database = Database::new(true);
    database.state().lagging = usize::MAX;
    let error = Process::new(&database).apply(&plan()).unwrap_err();
    assert!(error.to_string().contains("replica2"), "{error}");
    assert_eq!((error.exit_code(), database.state().store.records[0].state), (5, State::Started));
}

#[test]
fn a_failover_is_said_and_a_copy_is_refused() {
    let database = Database::new(true);
    database.state().now_identity.timeline = 2;
    let outcome = Process::new(&database).apply(&plan()).unwrap();
    assert!(outcome.notes[0].contains("failed over"), "{:?}", outcome.notes);
    assert_eq!(database.state().store.identity.timeline, 2);
    database.state().now_identity.system = "other".to_owned();
    let error = Process::new(&database).rollback().unwrap_err();
    assert!(matches!(error, RunError::OtherDatabase { .. }), "{error:?}");
}

#[test]
fn an_unknown_migration_is_said_to_be_unknown() {
    let database = Database::new(true);
    let process = Process::new(&database);
    let error = process.run().flip_by(&process.clock, &MigrationId::new("nope").unwrap()).unwrap_err();
    assert_eq!(error.exit_code(), 2);
    assert_eq!(database.state().epoch, 0, "no lease was asked for");
}

#[test]
fn a_window_that_takes_too_long_is_done_in_smaller_ones() {
    let database = Database::new(true);
    database.fail_next("fill", FailKind::Deadline, 2);
    let process = Process::new(&database);
    let outcome = process.apply(&plan()).unwrap();
    assert_eq!((outcome.state, outcome.reconnects, outcome.rows_filled), (State::Ready, 2, 10));
    assert_eq!(process.told.all().iter().find(|told| told.starts_with("window")).unwrap(), "window 1/10");
}

#[test]
fn verification_and_repair_go_on_in_smaller_windows_too() {
    for word in ["count", "mend"] {
        let database = Database::new(true);
        let process = Process::new(&database);
        process.apply(&plan()).unwrap();
        database.state().store.rows.fill(Side::Wrong);
        database.fail_next(word, FailKind::Deadline, 2);
        let report = process.run().verify_by(&process.clock, &id(), true).unwrap();
        assert_eq!((report.tables[0].repaired, report.is_clean()), (10, true), "{word}");
    }
}

#[test]
fn an_index_that_is_stopped_at_once_leaves_nothing_broken() {
    let database = Database::new(true);
    let process = Process::new(&database);
    database.state().stops_index = Some(Arc::clone(&process.stop));
    let error = process.apply(&plan()).unwrap_err();
    assert_eq!(error.exit_code(), 130, "{error:?}");
    assert!(!database.state().store.things.contains("index!"));
    Process::new(&database).to_the_end(&plan()).unwrap();
    assert_finished(&database, "afterwards");
}

#[test]
fn an_index_that_cannot_be_cleared_at_once_is_named() {
    let database = Database::new(true);
    let process = Process::new(&database);
    database.state().stops_index = Some(Arc::clone(&process.stop));
    database.fail_next("-index!", FailKind::Cancelled, 1);
    process.apply(&plan()).unwrap_err();
    assert_eq!(process.told.count("note what step 4 left behind is still there"), 1, "{:?}", process.told.all());
}
