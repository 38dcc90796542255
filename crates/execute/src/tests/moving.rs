//! Passes over a table: workers, locked rows, dead rows, rows that cannot be converted.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use segue_model::journal::{Mark, State};
use segue_model::plan::Plan;
use segue_model::sql::Sql;
use segue_model::step::{Action, Backfill, CutBy, Pace};

use super::crash::at_every_call;
use super::fake::{Break, Database, Inside, Side};
use super::{Process, additive, id};
use crate::{RunError, Target};

/// Changes the backfill of a plan.
pub(super) fn with(mut plan: Plan, change: impl FnOnce(&mut Backfill)) -> Plan {
    let Action::Backfill(backfill) = &mut plan.steps[2].action else { panic!("the third step brings rows over") };
    change(backfill);
    plan
}

fn unlocked() -> Plan {
    with(additive(), |backfill| backfill.fill_unlocked = Some(Sql::fixed("free")))
}

/// Everything that a backfill can have.
fn everything() -> Plan {
    with(unlocked(), |backfill| {
        let (extent, end, total) = (Sql::fixed("keys"), Sql::fixed("key"), Sql::fixed("total"));
        backfill.cut.by = CutBy::Keys { columns: 1, extent, end, total };
        backfill.pace = Some(pace());
    })
}

fn pace() -> Pace {
    let (vacuum, size, holders) = (Sql::fixed("vacuum"), Sql::fixed("bytes"), Sql::fixed("snapshots"));
    Pace { vacuum, size, holders, percent: 20, growth_percent: 30 }
}

pub(super) fn by_two(database: &Database) -> Process<'_> {
    let mut process = Process::new(database);
    process.options.tuning.workers = Some(2);
    process.clock.yields = true;
    process
}

/// Notes the sessions that fill windows, and lets a test do something at a fill.
pub(super) fn at_fills(database: &Database, mut act: impl FnMut(usize, i64, &mut Inside) + Send + 'static) -> Sessions {
    let sessions = Sessions::default();
    let (noted, mut fills) = (Arc::clone(&sessions), 0);
    database.state().watches = Some(Box::new(move |word, session, state| {
        if word == "fill" {
            fills += 1;
            noted.lock().unwrap().insert(session);
            act(fills, session, state);
        }
    }));
    sessions
}

type Sessions = Arc<Mutex<BTreeSet<i64>>>;

/// Each row was in one window of each pass.
#[track_caller]
fn assert_once(database: &Database, passes: u32) {
    let state = database.state();
    assert!(state.store.rows.iter().all(|side| *side == Side::Right));
    let other: BTreeMap<usize, u32> =
        state.store.touched.iter().copied().enumerate().filter(|(_, touched)| *touched != passes).collect();
    assert!(other.is_empty(), "{passes} passes, but {other:?}");
    assert!(state.store.spans.is_empty());
    let at = &state.store.checkpoints[0].1;
    assert_eq!((at.pass, at.next.clone(), at.rows), (passes, None, 0));
}

#[test]
fn two_workers_do_every_window_once() {
    for plan in [additive(), everything()] {
        let database = Database::new(false).with_rows(3000);
        let sessions = at_fills(&database, |_, _, _| ());
        let outcome = by_two(&database).apply(&plan).unwrap();
        assert_eq!((outcome.state, outcome.rows_filled), (State::Done, 3000));
        assert_eq!(sessions.lock().unwrap().len(), 3, "the run, and one more worker in each pass");
        assert_once(&database, 2);
    }
}

#[test]
fn what_a_killed_worker_had_is_done_by_whoever_comes_first() {
    for at in [1, 5, 40, 70] {
        let database = Database::new(false).with_rows(2000);
        let sessions = at_fills(&database, move |fills, session, state| {
            if fills == at {
                state.living.remove(&session);
            }
        });
        let outcome = by_two(&database).apply(&additive()).unwrap();
        assert_eq!((outcome.state, outcome.reconnects), (State::Done, 1), "fill {at}");
        assert_eq!(sessions.lock().unwrap().len(), 4, "fill {at}");
        assert_once(&database, 2);
    }
}

#[test]
fn a_worker_that_fails_ends_the_others() {
    let database = Database::new(false).with_rows(3000);
    let first: Mutex<Option<i64>> = Mutex::default();
    at_fills(&database, move |_, session, state| {
        let mut first = first.lock().unwrap();
        if *first.get_or_insert(session) != session && state.fails.is_empty() {
            let fail = segue_model::session::Fail::new(segue_model::session::FailKind::Permission, "no");
            state.fails.push(("fill".to_owned(), fail));
        }
    });
    let error = by_two(&database).apply(&additive()).unwrap_err();
    assert!(matches!(&error, RunError::Fail { step: Some(3), .. }), "{error:?}");
    database.state().watches = None;
    database.state().fails.clear();
    by_two(&database).apply(&additive()).unwrap();
    assert!(database.state().store.rows.iter().all(|side| *side == Side::Right));
}

#[test]
fn the_second_wish_to_stop_reaches_every_worker() {
    let database = Database::new(false).with_rows(3000);
    let process = by_two(&database);
    let (stop, mut first) = (Arc::clone(&process.stop), None);
    at_fills(&database, move |_, session, _| {
        if *first.get_or_insert(session) != session && !stop.requested() {
            stop.request();
            stop.request();
        }
    });
    let error = process.apply(&additive()).unwrap_err();
    assert_eq!(error.exit_code(), 130, "{error:?}");
    assert_eq!(database.cancelled.load(Ordering::SeqCst), 2);
    database.state().watches = None;
    by_two(&database).apply(&additive()).unwrap();
    assert_once(&database, 2);
}

#[test]
fn a_locked_row_holds_up_no_other_and_is_come_back_to() {
    let database = Database::new(true).with_rows(60);
    database.state().locked = BTreeMap::from([(7, 4), (30, 2)]);
    let process = Process::new(&database);
    let outcome = process.apply(&unlocked()).unwrap();
    assert_eq!((outcome.state, outcome.rows_filled), (State::Done, 60));
    assert!(database.state().locked.is_empty());
    assert!(process.told.count("try") >= 2, "{:?}", process.told.all());
    let order: Vec<String> = database.state().statements.clone();
    assert!(order.iter().filter(|statement| *statement == "free").count() >= 3, "{order:?}");
    assert!(database.state().store.spans.is_empty());
}

#[test]
fn a_row_that_stays_locked_spends_the_budget() {
    let database = Database::new(true).with_rows(60);
    database.state().locked = BTreeMap::from([(7, u32::MAX)]);
    let error = Process::new(&database).apply(&unlocked()).unwrap_err();
    assert!(matches!(error, RunError::BudgetSpent { step: 3, .. }), "{error:?}");
    let filled = database.state().store.rows.iter().filter(|side| **side == Side::Right).count();
    assert_eq!(filled, 59, "the others are brought over");
    database.state().locked.clear();
    let outcome = Process::new(&database).apply(&unlocked()).unwrap();
    assert_eq!((outcome.state, outcome.rows_filled), (State::Done, 1));
}

#[test]
fn dead_rows_are_cleared_on_the_way() {
    let database = Database::new(true).with_rows(400);
    let plan = with(additive(), |backfill| backfill.pace = Some(pace()));
    Process::new(&database).apply(&plan).unwrap();
    let cleared = |database: &Database| database.state().statements.iter().filter(|all| *all == "vacuum").count();
    assert_eq!(cleared(&database), 4, "after each fifth, and not in the sweep");
    let database = Database::new(true).with_rows(400);
    let mut process = Process::new(&database);
    process.options.tuning.pacing = Some(false);
    process.apply(&plan).unwrap();
    assert_eq!(cleared(&database), 0);
}

#[test]
fn a_snapshot_that_keeps_dead_rows_holds_windows_back_only_once_the_table_has_grown() {
    let plan = with(additive(), |backfill| backfill.pace = Some(pace()));
    for (grown, waits) in [(1300, 0), (1301, 4)] {
        let database = Database::new(true).with_rows(400);
        database.state().snapshots = 5;
        at_fills(&database, move |_, _, state| state.bytes = grown);
        let process = Process::new(&database);
        process.apply(&plan).unwrap();
        assert_eq!(process.told.count("waiting the table has grown"), waits, "{:?}", process.told.all());
    }
}

#[test]
fn a_vacuum_that_fails_is_told_and_no_more() {
    let database = Database::new(true).with_rows(400);
    database.fail_next("vacuum", segue_model::session::FailKind::LockTimeout, 1);
    let process = Process::new(&database);
    process.apply(&with(additive(), |backfill| backfill.pace = Some(pace()))).unwrap();
    assert_eq!(process.told.count("note dead rows of `main.users` were not cleared"), 1);
}

#[test]
fn rows_left_to_touches_are_brought_over_on_request() {
    let database = Database::new(true);
    let mut process = Process::new(&database);
    let plan = with(super::plan(), |backfill| backfill.lazy = true);
    let outcome = process.apply(&plan).unwrap();
    assert_eq!((outcome.state, outcome.rows_filled), (State::Expanded, 0));
    assert!(outcome.notes[0].contains("segue apply 1_full_name --complete"), "{:?}", outcome.notes);
    let error = process.run().resume_by(&process.clock, &id(), Target::Ready).unwrap_err();
    assert_eq!(error.exit_code(), 5, "{error:?}");
    process.options.complete = true;
    let outcome = process.apply(&plan).unwrap();
    assert_eq!((outcome.state, outcome.rows_filled), (State::Ready, 10));
}

#[test]
fn too_many_rows_that_cannot_be_converted_end_the_backfill() {
    let database = Database::new(true);
    database.state().store.stuck = BTreeSet::from([1, 2, 5, 9]);
    let mut process = Process::new(&database);
    process.options.tuning.quarantine = Some(3);
    let error = process.apply(&additive()).unwrap_err();
    let RunError::Quarantine { rows: 4, samples, .. } = &error else { panic!("{error:?}") };
    assert_eq!((error.exit_code(), samples.len()), (6, 3));
    assert_eq!(samples[0], "000001 (age): bad value \"xxxxxx 9\"");
}

#[test]
fn quarantined_rows_are_tried_again() {
    let database = Database::new(true);
    database.state().store.stuck = BTreeSet::from([1, 2, 5, 9]);
    let process = Process::new(&database);
    process.apply(&super::plan()).unwrap_err();
    assert_eq!(database.state().store.quarantine.len(), 4);
    let retry = || process.run().retry_quarantine_by(&process.clock, &id()).unwrap();
    database.state().store.stuck = BTreeSet::from([9]);
    let retried = retry();
    assert_eq!((retried.before, retried.after, retried.samples[0].key.as_str()), (4, 1, "000009"));
    database.state().store.stuck.clear();
    assert_eq!((retry().after, database.state().store.quarantine.len()), (0, 0));
    assert_eq!(process.apply(&super::plan()).unwrap().state, State::Ready);
    process.after(State::Ready).unwrap();
    assert!(process.run().retry_quarantine_by(&process.clock, &id()).is_err_and(|error| error.exit_code() == 5));
}

#[test]
fn a_backfill_that_is_killed_anywhere_ends_the_same() {
    let prepared = |database: &Database| {
        let mut state = database.state();
        state.store.rows = vec![Side::Absent; 24];
        state.store.touched = vec![0; 24];
        state.locked = BTreeMap::from([(3, 2)]);
    };
    let calls = at_every_call(
        true,
        |database| {
            prepared(database);
            drop(Process::new(database).apply(&everything()));
        },
        |database, about| {
            let outcome = Process::new(database).apply(&everything());
            assert_eq!(outcome.map(|outcome| outcome.state).ok(), Some(State::Done), "{about}");
            let state = database.state();
            assert!(state.store.rows.iter().all(|side| *side == Side::Right), "{about}");
            assert!(state.store.spans.is_empty(), "{about}");
            let done = |event: &&segue_model::journal::Event| event.step == 3 && event.mark == Mark::Done;
            assert_eq!(state.store.events.iter().filter(done).count(), 1, "{about}");
        },
    );
    assert!(calls > 100, "only {calls} calls were broken");
}

#[test]
fn a_backfill_whose_connection_breaks_anywhere_goes_on() {
    at_every_call(
        false,
        |database| {
            database.state().locked = BTreeMap::from([(3, 2)]);
            drop(Process::new(database).apply(&everything()));
        },
        |database, about| {
            let begun = !database.state().store.events.is_empty();
            let state = database.state().store.records.first().map(|record| record.state);
            assert!(!begun || state == Some(State::Done), "{about}");
            assert!(!begun || database.state().store.spans.is_empty(), "{about}");
        },
    );
}

#[test]
fn a_kill_at_any_window_of_two_workers_is_resumed() {
    for at in (100..4000).step_by(97) {
        let database = Database::new(false).with_rows(600);
        database.state().breaks = Some((at, Break::After, true));
        drop(by_two(&database).apply(&everything()));
        database.revive();
        let outcome = by_two(&database).apply(&everything()).unwrap();
        assert_eq!(outcome.state, State::Done, "call {at}");
        assert!(database.state().store.rows.iter().all(|side| *side == Side::Right), "call {at}");
    }
}

#[test]
fn a_paused_run_moves_no_window_until_it_is_resumed() {
    let database = Database::new(true);
    database.state().orders.paused_by = Some("ops".to_owned());
    let process = Process::new(&database);
    std::thread::scope(|scope| {
        let run = scope.spawn(|| process.apply(&additive()));
        let bell = crate::clock::Bell::default();
        while process.told.count("throttled") == 0 {
            bell.wait(Duration::from_millis(5));
        }
        assert!(!database.state().statements.iter().any(|statement| statement == "fill"));
        database.state().orders.paused_by = None;
        assert_eq!(run.join().unwrap().unwrap().state, State::Done);
    });
}
