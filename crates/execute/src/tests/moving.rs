//! Passes over a table: workers, locked rows, dead rows, rows that cannot be converted.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use segue_model::journal::{Mark, State};
use segue_model::plan::Plan;
use segue_model::session::Connector;
use segue_model::sql::Sql;
use segue_model::step::{Action, Backfill, CutBy};

use super::crash::at_every_call;
use super::fake::{Break, Database, Inside, Side};
use super::pacing::{inline, pace};
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
fn a_window_that_falls_silent_is_given_up_and_done_anew() {
    let database = Database::new(false);
    database.fail_next("fill", segue_model::session::FailKind::Deadline, 2);
    let outcome = Process::new(&database).apply(&additive()).unwrap();
    assert_eq!((outcome.state, outcome.reconnects), (State::Done, 2));
    assert_once(&database, 2);
    let asked = database.state().asked.clone();
    let limits: Vec<u64> = asked.iter().filter(|(sql, _)| sql == "fill").map(|(_, limit)| limit.as_secs()).collect();
    assert_eq!(limits[..4], [30, 60, 120, 30], "one that is only slow gets its time");
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
    let process = Process::new(&database);
    let error = process.apply(&unlocked()).unwrap_err();
    let half_an_hour = Duration::from_secs(1800);
    assert!(matches!(error, RunError::BudgetSpent { step: 3, budget, .. } if budget == half_an_hour), "{error:?}");
    assert!(process.told.count("waiting rows of `main.users` that somebody has locked") > 100);
    let filled = database.state().store.rows.iter().filter(|side| **side == Side::Right).count();
    assert_eq!(filled, 59, "the others are brought over");
    database.state().locked.clear();
    let outcome = Process::new(&database).apply(&unlocked()).unwrap();
    assert_eq!((outcome.state, outcome.rows_filled), (State::Done, 1));
}

#[test]
fn a_window_that_somebody_cancels_is_done_again_a_few_times() {
    use segue_model::session::FailKind::Cancelled;
    let database = Database::new(true);
    database.fail_next("fill", Cancelled, 3);
    assert_eq!(Process::new(&database).apply(&additive()).unwrap().state, State::Done);
    let database = Database::new(true);
    database.fail_next("fill", Cancelled, 9);
    let error = Process::new(&database).apply(&additive()).unwrap_err();
    let RunError::Fail { source, .. } = &error else { panic!("{error:?}") };
    assert!(source.message.contains("cancelled this window 5 times in a row"), "{}", source.message);
}

#[test]
fn windows_that_wait_for_locked_rows_are_bounded() {
    let database = Database::new(true).with_rows(6000);
    database.state().locked = (0..6000).step_by(4).map(|row| (row, 2)).collect();
    let most = Arc::new(Mutex::new(0));
    let noted = Arc::clone(&most);
    at_fills(&database, move |_, _, state| {
        let waits = state.store.spans.iter().filter(|(_, span, _)| span.waits).count();
        let mut most = noted.lock().unwrap();
        *most = waits.max(*most);
    });
    let outcome = Process::new(&database).apply(&unlocked()).unwrap();
    assert_eq!((outcome.state, outcome.rows_filled), (State::Done, 6000));
    let most = *most.lock().unwrap();
    assert!((200..=256).contains(&most), "{most}");
}

#[test]
fn spans_of_a_pass_that_did_not_end_are_no_part_of_the_next() {
    let touched = |leaks: bool| {
        let database = Database::new(true);
        database.state().store.stuck = BTreeSet::from([9]);
        let process = Process::new(&database);
        process.apply(&super::plan()).unwrap_err();
        if leaks {
            let mut state = database.state();
            let bound = segue_model::bound::Bound::number;
            let (next, end) = (Some(bound(0)), bound(10));
            let span =
                segue_model::journal::Span { step: 3, number: 99, pass: 1, next, end, done: 0, rows: 0, waits: false };
            state.store.spans.push((1, span, None));
        }
        process.run().retry_quarantine_by(&process.clock, &id()).unwrap();
        let state = database.state();
        assert!(state.store.spans.is_empty());
        state.store.touched.clone()
    };
    assert_eq!(touched(true), touched(false));
}

#[test]
fn rows_left_to_touches_are_brought_over_on_request() {
    let database = Database::new(true);
    let mut process = Process::new(&database);
    let plan = with(super::plan(), |backfill| backfill.lazy = true);
    let outcome = process.apply(&plan).unwrap();
    assert_eq!((outcome.state, outcome.rows_filled), (State::Expanded, 0));
    assert!(outcome.notes[0].contains("segue apply 1_full_name --complete"), "{:?}", outcome.notes);
    assert!(outcome.left_to_touches);
    let (flip, verify) =
        (process.run().flip_by(&process.clock, &id()), process.run().verify_by(&process.clock, &id(), false));
    for error in [
        process.run().resume_by(&process.clock, &id(), Target::Ready).unwrap_err(),
        flip.unwrap_err(),
        verify.unwrap_err(),
    ] {
        assert_eq!(error.exit_code(), 5, "{error:?}");
        assert!(error.hint().contains("segue apply 1_full_name --complete"), "{}", error.hint());
    }
    // The index waits for the rows.
    let index = |database: &Database| database.state().store.things.contains("index");
    assert!(!index(&database) && !database.state().store.events.iter().any(|event| event.step > 2));
    assert!(status(&database).is_left_to_touches());
    process.options.complete = true;
    let outcome = process.apply(&plan).unwrap();
    assert_eq!((outcome.state, outcome.rows_filled, outcome.left_to_touches), (State::Ready, 10, false));
    assert!(index(&database) && !status(&database).is_left_to_touches());
}

#[test]
fn one_pass_is_enough_where_the_plan_says_so() {
    for (once, passes) in [(true, 1), (false, 2)] {
        let database = Database::new(true);
        let plan = with(super::plan(), |backfill| backfill.once = once);
        assert_eq!(Process::new(&database).apply(&plan).unwrap().rows_filled, 10);
        assert!(database.state().store.touched.iter().all(|touched| *touched == passes));
    }
}

#[test]
fn before_the_triggers_are_there_nothing_is_left_to_touches() {
    let database = Database::new(true);
    let process = Process::new(&database);
    let plan = with(super::plan(), |backfill| backfill.lazy = true);
    process.run().apply_by(&process.clock, &plan, Target::Expand).unwrap();
    assert!(!status(&database).is_left_to_touches());
    let error = process.run().flip_by(&process.clock, &id()).unwrap_err();
    assert_eq!(error.hint(), "Run `segue apply 1_full_name` first.");
}

fn status(database: &Database) -> crate::MigrationStatus {
    let mut session = database.connect("look").unwrap();
    crate::status(&mut *session, database.journal()).unwrap().swap_remove(0)
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
fn a_lag_slows_down_what_is_large_and_nothing_that_is_small() {
    for (plan, rests) in [(inline("rows"), false), (additive(), true)] {
        let database = Database::new(true).with_rows(400);
        let process = Process::new(&database);
        {
            let mut state = database.state();
            state.lag_s = Some(6.25);
            state.slow = Some(("fill", Duration::from_millis(10), process.clock.clone()));
        }
        // The steps before, whose locks the application waits for, begin once the lag was seen.
        let outcome = process.apply(&plan).unwrap();
        assert_eq!(outcome.throttled.contains_key("replica lag"), rests, "{:?}", outcome.throttled);
    }
}

#[test]
fn a_pause_holds_a_small_table_too_and_a_lock_between_its_tries() {
    for (plan, held) in [(inline("rows"), "fill"), (additive(), "+trigger")] {
        let database = Database::new(true);
        let process = Process::new(&database);
        if held == "fill" {
            database.state().orders.paused_by = Some("ops".to_owned());
        } else {
            // A try takes so long that the valve must look anew before the next.
            database.fail_next("lock", segue_model::session::FailKind::LockTimeout, 3);
            database.state().slow = Some(("lock", Duration::from_secs(11), process.clock.clone()));
            database.state().watches = Some(Box::new(|word, _, state| {
                if word == "lock" && !state.fails.is_empty() {
                    state.orders.paused_by = Some("ops".to_owned());
                }
            }));
        }
        std::thread::scope(|scope| {
            let run = scope.spawn(|| process.apply(&plan));
            let bell = crate::clock::Bell::default();
            while process.told.count("throttled paused by ops") == 0 && !run.is_finished() {
                bell.wait(Duration::from_millis(5));
            }
            assert!(!run.is_finished(), "{held}: {:?}", run.join());
            assert!(!database.state().statements.iter().any(|statement| statement == held), "{held}");
            database.state().watches = None;
            database.state().fails.clear();
            database.state().slow = None;
            database.state().orders.paused_by = None;
            assert_eq!(run.join().unwrap().unwrap().state, State::Done);
        });
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
