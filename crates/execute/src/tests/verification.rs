//! What verification looks at, when it is done again, and what holds a run back meanwhile.

use std::sync::Arc;
use std::time::Duration;

use segue_model::journal::State;
use segue_model::plan::Plan;
use segue_model::sql::Sql;
use segue_model::step::Action;

use super::fake::{Database, Side};
use super::{BOTH_STOPPED, Process, id, plan};
use crate::clock::Bell;
use crate::stop::Stop;
use crate::{Outcome, RunError, VerifyReport};

/// The plan whose verification can compare both sides as wholes.
fn comparing() -> Plan {
    let mut plan = plan();
    let Action::Verify(verify) = &mut plan.steps[4].action else { panic!() };
    verify.compare = Some(Sql::fixed("compare"));
    plan
}

fn asked(database: &Database, question: &str) -> usize {
    database.state().asked.iter().filter(|(asked, _)| asked == question).count()
}

#[test]
fn rows_are_only_looked_at_where_both_sides_differ_as_wholes() {
    let database = Database::new(true);
    let process = Process::new(&database);
    let outcome = process.apply(&comparing()).unwrap();
    let table = &outcome.verified.unwrap().tables[0];
    let sides = table.sides.unwrap();
    assert_eq!((table.rows, table.wrong(), table.differing, sides.old), (10, 0, 0, sides.new));
    assert!(table.chunks >= 2);
    assert_eq!((asked(&database, "compare") as u64, asked(&database, "count")), (table.chunks, 0));

    database.state().store.rows[1] = Side::Wrong;
    let error = process.run().verify_by(&process.clock, &id(), false).unwrap_err();
    let RunError::Verification { report, .. } = error else { panic!("{error}") };
    let table = &report.tables[0];
    let sides = table.sides.unwrap();
    assert_eq!((table.rows, table.unrelated, table.differing), (10, 1, 1));
    assert_eq!((sides.old.rows, sides.new.rows), (10, 10));
    assert_ne!(sides.old, sides.new);
    assert_eq!(asked(&database, "count"), 1, "in the chunk that differs");
}

#[test]
fn checksums_that_differ_do_not_pass_although_each_row_looks_right() {
    let database = Database::new(true);
    let mut plan = comparing();
    let Action::Verify(verify) = &mut plan.steps[4].action else { panic!() };
    verify.compare = Some(Sql::fixed("differ"));
    let error = Process::new(&database).apply(&plan).unwrap_err();
    let RunError::Verification { report, .. } = &error else { panic!("{error}") };
    let table = &report.tables[0];
    assert_eq!((table.absent, table.unrelated), (0, table.chunks));
    assert!(table.samples[0].contains("checksums"), "{:?}", table.samples);
}

#[test]
fn what_went_wrong_after_the_contract_keeps_cleanup_from_dropping_anything() {
    let database = Database::new(true);
    let process = Process::new(&database);
    process.apply(&plan()).unwrap();
    process.after(State::Ready).unwrap();
    process.after(State::Flipped).unwrap();
    database.state().store.rows[7] = Side::Wrong;
    let error = process.after(State::Contracted).unwrap_err();
    assert!(matches!(error, RunError::Verification { .. }), "{error}");
    assert!(database.state().store.things.contains("old"));
}

#[test]
fn a_trigger_that_is_gone_is_named_before_each_gate() {
    for gates in 0..3 {
        let database = Database::new(true);
        let process = Process::new(&database);
        process.apply(&plan()).unwrap();
        let states = [State::Ready, State::Flipped, State::Contracted];
        states[..gates].iter().for_each(|state| process.after(*state).unwrap());
        database.state().store.things.remove("trigger");
        let error = process.after(states[gates]).unwrap_err();
        let RunError::Gate { reasons, .. } = &error else { panic!("{error}") };
        assert!(reasons[0].starts_with("trigger is missing"), "{reasons:?}");
        assert_eq!(database.state().store.records[0].state, states[gates]);
    }
}

/// Asks to stop at the `calls`th call that begins with this word, or lets something go wrong there.
fn at_call(database: &Database, word: &'static str, mut calls: u32, act: impl Fn(&mut Vec<Side>) + Send + 'static) {
    database.state().watches = Some(Box::new(move |called, _, state| {
        if called == word {
            calls = calls.saturating_sub(1);
            if calls == 0 {
                act(&mut state.store.rows);
            }
        }
    }));
}

fn continuously(process: &Process<'_>) -> Result<VerifyReport, RunError> {
    process.run().verify_continuously_by(&process.clock, &id(), Duration::from_secs(60))
}

#[test]
fn verification_goes_on_at_a_gate_until_somebody_stops_it() {
    let database = Database::new(true);
    let process = Process::new(&database);
    process.apply(&plan()).unwrap();
    let before = process.clock.waits().len();
    let stop = Arc::clone(&process.stop);
    at_call(&database, "count", 10, move |_| stop.request());
    let report = continuously(&process).unwrap();
    assert_eq!((report.is_clean(), report.tables[0].rows), (true, 10));
    let pauses = process.clock.waits()[before..].iter().filter(|wait| **wait == Duration::from_secs(60)).count();
    assert!(pauses >= 2, "{pauses}");
    assert!(database.state().lease.is_none(), "others may have the lease meanwhile");
}

#[test]
fn verification_goes_on_until_something_is_found() {
    let database = Database::new(true);
    let process = Process::new(&database);
    process.apply(&plan()).unwrap();
    at_call(&database, "count", 8, |rows| rows[9] = Side::Wrong);
    let error = continuously(&process).unwrap_err();
    assert!(matches!(error, RunError::Verification { .. }), "{error}");
}

#[test]
fn verification_waits_while_another_run_is_under_way() {
    let database = Database::new(false);
    let process = Process::new(&database);
    process.apply(&plan()).unwrap();
    database.state().held = true;
    let stop = Arc::clone(&process.stop);
    at_call(&database, "there", 60, move |_| stop.request());
    let error = continuously(&process).unwrap_err();
    assert!(matches!(error, RunError::Interrupted), "no round was finished: {error}");
    assert!(process.told.count("waiting another run holds this migration: somebody else") > 1);
}

#[test]
fn a_pause_holds_a_run_back_until_somebody_resumes_it() {
    let database = Database::new(true);
    let process = Process::new(&database);
    database.state().orders.paused_by = Some("ops anna 12".to_owned());
    let outcome: Result<Outcome, RunError> = std::thread::scope(|scope| {
        let run = scope.spawn(|| process.apply(&plan()));
        let (never, mut looks) = (Bell::default(), 0);
        while process.told.count("throttled paused by ops anna 12") == 0 && looks < 1000 {
            never.wait(Duration::from_millis(10));
            looks += 1;
        }
        assert!(!database.state().store.things.contains("new"), "nothing was begun");
        database.state().orders.paused_by = None;
        run.join().unwrap()
    });
    let outcome = outcome.unwrap();
    assert_eq!((outcome.state, outcome.rows_filled), (State::Ready, 10));
    assert!(process.told.all().contains(&"throttled ".to_owned()), "that it goes on is told");
}

#[test]
fn a_rollback_does_not_wait_for_the_end_of_a_pause() {
    let database = Database::new(true);
    let process = Process::new(&database);
    process.apply(&plan()).unwrap();
    database.state().orders.paused_by = Some("ops anna 12".to_owned());
    let stop: &Stop = &process.stop;
    assert!(!stop.requested());
    process.run().rollback_by(&process.clock, &id(), BOTH_STOPPED).unwrap();
    assert_eq!(database.state().store.records[0].state, State::RolledBack);
}
