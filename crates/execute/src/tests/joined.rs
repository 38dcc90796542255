//! A second process that helps with a backfill.

use std::sync::Arc;
use std::time::Duration;

use segue_model::engine::Engine;
use segue_model::journal::{Claim, Holder};
use segue_model::plan::Plan;
use segue_model::session::{Connector, Session};

use super::fake::{Break, Database, Side};
use super::moving::at_fills;
use super::{Process, additive, id};
use crate::RunError;
use crate::clock::Bell;

/// A migration whose backfill has begun, and whose run was stopped then.
fn begun(plan: &Plan, rows: usize) -> Database {
    let database = Database::new(false).with_rows(rows);
    let process = Process::new(&database);
    let stop = Arc::clone(&process.stop);
    at_fills(&database, move |fills, _, _| {
        if fills == 3 {
            stop.request();
        }
    });
    assert_eq!(process.apply(plan).unwrap_err().exit_code(), 130);
    database.state().watches = None;
    database
}

/// Takes the lease for a run that does nothing.
fn held(database: &Database) -> Box<dyn Session> {
    let mut session = database.connect("segue: 1_full_name control").unwrap();
    let (pid, backend_start) = session.backend().unwrap();
    let holder = Holder { name: "elsewhere".to_owned(), pid, backend_start };
    let claim = database.journal().claim(&mut *session, &id(), &holder, Duration::ZERO).unwrap();
    assert!(matches!(claim, Claim::Taken { .. }));
    session
}

fn is_filled(database: &Database) -> bool {
    let state = database.state();
    state.store.rows.iter().all(|side| *side == Side::Right) && state.store.spans.is_empty()
}

#[test]
fn a_process_that_joins_follows_a_takeover_and_ends_with_the_run() {
    let plan = additive();
    let database = begun(&plan, 2000);
    let left = database.state().store.rows.iter().filter(|side| **side == Side::Absent).count() as u64;
    let _run = held(&database);
    let before = database.state().store.clone();
    at_fills(&database, |fills, _, state| {
        if fills == 20 {
            state.epoch += 1;
        }
    });
    let mut process = Process::new(&database);
    process.clock.yields = true;
    let rows = std::thread::scope(|scope| {
        let joined = scope.spawn(|| process.run().join_by(&process.clock, &id()));
        let bell = Bell::default();
        while !is_filled(&database) {
            bell.wait(Duration::from_millis(2));
        }
        database.state().lease = None;
        joined.join().unwrap().unwrap()
    });
    assert_eq!((rows, process.told.count("reconnecting")), (left, 1));
    let state = database.state();
    assert_eq!((&state.store.records, &state.store.events), (&before.records, &before.events));
    assert_eq!((state.store.checkpoints[0].1.pass, state.store.checkpoints[0].1.rows), (1, 2000));
}

#[test]
fn a_process_that_joins_goes_on_wherever_its_session_is_ended() {
    for at in 1..=40 {
        let database = begun(&additive(), 60);
        let (_run, left) = (held(&database), absent(&database));
        let calls = database.state().calls;
        database.state().breaks = Some((calls + at, Break::Before, false));
        let process = Process::new(&database);
        let rows = std::thread::scope(|scope| {
            let joined = scope.spawn(|| process.run().join_by(&process.clock, &id()));
            until(|| is_filled(&database) || joined.is_finished());
            database.state().lease = None;
            joined.join().unwrap()
        });
        assert_eq!((rows.ok(), process.told.count("reconnecting")), (Some(left as u64), 1), "call {at}");
    }
}

#[test]
fn a_process_that_cannot_connect_says_so_after_a_few_times() {
    let database = begun(&additive(), 60);
    database.state().dead = true;
    let process = Process::new(&database);
    assert_eq!(process.run().join_by(&process.clock, &id()).unwrap_err().exit_code(), 3);
    assert_eq!(process.told.count("reconnecting"), 3);
}

#[test]
fn a_process_joins_only_a_run_that_is_there() {
    let database = begun(&additive(), 100);
    let process = Process::new(&database);
    let error = process.run().join_by(&process.clock, &id()).unwrap_err();
    assert!(matches!(error, RunError::Gate { .. }), "{error:?}");
    let database = Database::new(true);
    assert_eq!(database.engine(), Engine::Sqlite);
    let process = Process::new(&database);
    assert_eq!(process.run().join_by(&process.clock, &id()).unwrap_err().exit_code(), 2);
}

#[test]
fn a_process_joins_only_the_plan_that_was_approved_in_a_journal_that_it_can_read() {
    let database = begun(&additive(), 100);
    let _run = held(&database);
    let process = Process::new(&database);
    database.state().store.records[0].hash = "another".to_owned();
    let error = process.run().join_by(&process.clock, &id()).unwrap_err();
    assert!(matches!(&error, RunError::BadJournal { why, .. } if why.contains("another was approved")), "{error:?}");
    assert!(!is_filled(&database));
    database.state().foreign_format = true;
    let error = process.run().join_by(&process.clock, &id()).unwrap_err();
    assert!(error.to_string().contains("format 99") || format!("{error:?}").contains("format 99"), "{error:?}");
}

fn absent(database: &Database) -> usize {
    database.state().store.rows.iter().filter(|side| **side == Side::Absent).count()
}

/// Waits for real until this is so: the watch of a run looks in a thread of its own.
fn until(mut is_so: impl FnMut() -> bool) {
    let bell = Bell::default();
    while !is_so() {
        bell.wait(Duration::from_millis(2));
    }
}

#[test]
fn a_process_that_joins_stands_still_while_the_run_waits_for_a_snapshot() {
    let database = begun(&additive(), 2000);
    let _run = held(&database);
    let waits = |holding: &str| Some((format!("{{\"holding\":[{holding}]}}"), 1));
    database.state().figures = waits("\"the table has grown\"");
    let (process, left) = (Process::new(&database), absent(&database));
    std::thread::scope(|scope| {
        let joined = scope.spawn(|| process.run().join_by(&process.clock, &id()));
        until(|| process.told.count("throttled the run that this process helps stands still: the table has grown") > 0);
        assert_eq!((absent(&database), database.state().store.spans.len()), (left, 1), "not a window");
        database.state().figures = waits("");
        until(|| is_filled(&database));
        database.state().lease = None;
        assert_eq!(joined.join().unwrap().unwrap(), left as u64);
    });
}

#[test]
fn a_process_that_joins_leaves_what_it_has_when_nobody_runs_the_migration_any_more() {
    let database = begun(&additive(), 2000);
    let run = held(&database);
    database.state().figures = Some(("{\"holding\":[\"the table has grown\"]}".to_owned(), 1));
    let (process, left) = (Process::new(&database), absent(&database));
    std::thread::scope(|scope| {
        let joined = scope.spawn(|| process.run().join_by(&process.clock, &id()));
        until(|| process.told.count("throttled the run that") > 0);
        database.state().lease = None;
        drop(run);
        until(|| process.told.count("throttled nobody runs `1_full_name` at the moment") > 0);
        process.clock.pass(Duration::from_secs(9));
        assert!(!joined.is_finished(), "it may only be connecting anew");
        process.clock.pass(Duration::from_secs(2));
        assert_eq!(joined.join().unwrap().unwrap(), 0);
    });
    assert_eq!(absent(&database), left);
    database.state().figures = None;
    assert_eq!(Process::new(&database).apply(&additive()).unwrap().rows_filled, left as u64);
}

#[test]
fn a_run_and_a_process_that_joins_it_share_the_windows() {
    let plan = additive();
    let database = begun(&plan, 3000);
    let sessions = at_fills(&database, |_, _, _| ());
    let left = database.state().store.rows.iter().filter(|side| **side == Side::Absent).count() as u64;
    let (mut run, mut helper) = (Process::new(&database), Process::new(&database));
    (run.clock.yields, helper.clock.yields) = (true, true);
    let (outcome, rows) = std::thread::scope(|scope| {
        // The helper comes first, so that there is something left to help with.
        let stand_in = held(&database);
        let joined = scope.spawn(|| helper.run().join_by(&helper.clock, &id()));
        let bell = Bell::default();
        while sessions.lock().unwrap().is_empty() {
            bell.wait(Duration::from_micros(100));
        }
        drop(stand_in);
        let outcome = run.apply(&plan).unwrap();
        (outcome, joined.join().unwrap().unwrap())
    });
    assert!(rows > 0 && is_filled(&database), "{rows}");
    assert_eq!(outcome.rows_filled + rows, left, "each row by one of them");
}
