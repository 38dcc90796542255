//! Taking a migration back: what is checked first, what is kept, and how a rollback is withdrawn.

use std::time::Duration;

use segue_model::journal::State;
use segue_model::lock::{LockMode, LockTries, RelationLock};
use segue_model::plan::Plan;
use segue_model::session::{Connector, FailKind};
use segue_model::sql::Sql;
use segue_model::step::{Phase, Undo, UndoStep, Windows};

use super::crash::at_every_call;
use super::fake::{Database, Side};
use super::{BOTH_STOPPED, Process, assert_taken_back, condition, cut, id, keeping, locks, plan, sql, table, things};
use crate::step::limit_of_undo;
use crate::{Outcome, RunError, Said};

const ANYWAY: Said = Said { accept_loss: true, ..BOTH_STOPPED };

fn ready<'d>(database: &'d Database, plan: &segue_model::plan::Plan) -> Process<'d> {
    let process = Process::new(database);
    process.apply(plan).unwrap();
    process
}

#[test]
fn rows_that_are_wrong_stop_a_rollback_until_they_are_repaired() {
    let database = Database::new(true);
    let process = ready(&database, &plan());
    database.state().store.rows[3] = Side::Wrong;
    let before = database.state().store.clone();
    let error = process.rollback().unwrap_err();
    assert_eq!((error.exit_code(), database.state().store.clone()), (6, before));
    assert!(error.hint().contains("segue verify 1_full_name --repair"), "{}", error.hint());
    assert!(error.hint().contains("--accept-loss"), "{}", error.hint());
    process.run().verify_by(&process.clock, &id(), true).unwrap();
    process.rollback().unwrap();
    assert_taken_back(&database, "once the rows are right");
}

#[test]
fn a_trigger_that_is_gone_stops_a_rollback_and_is_named() {
    let database = Database::new(true);
    let process = ready(&database, &plan());
    database.state().store.things.remove("trigger");
    let error = process.rollback().unwrap_err();
    assert!(error.to_string().contains("trigger is missing"), "{error}");
    assert!(error.hint().contains("--repair") && error.hint().contains("--accept-loss"), "{}", error.hint());
    assert_eq!(database.state().store.records[0].state, State::Ready);
    let outcome = process.run().rollback_by(&process.clock, &id(), ANYWAY).unwrap();
    assert!(outcome.lost[0].contains("not verified"), "{:?}", outcome.lost);
    assert_taken_back(&database, "with the loss accepted");
}

#[test]
fn before_ready_nothing_is_verified_and_nothing_is_kept() {
    let database = Database::new(true);
    database.state().store.rows[3] = Side::Wrong;
    database.state().store.only_new = 3;
    let process = Process::new(&database);
    process.apply(&keeping()).unwrap_err();
    let outcome = process.rollback().unwrap();
    assert!(outcome.kept.is_empty() && outcome.lost.is_empty(), "{outcome:?}");
    assert_taken_back(&database, "nobody wrote the new shape");
}

#[test]
fn what_a_half_done_flip_left_is_taken_back_before_rows_are_compared() {
    let mut plan = plan();
    plan.steps.insert(6, super::sql(11, segue_model::step::Phase::Flip, "+renamed", "-renamed"));
    let database = Database::new(true);
    let process = ready(&database, &plan);
    database.fail_next("+renamed", FailKind::Server, 1);
    process.after(State::Ready).unwrap_err();
    database.state().store.rows[3] = Side::Wrong;
    let error = process.rollback().unwrap_err();
    assert_eq!(error.exit_code(), 6, "{error:?}");
    assert_eq!(database.state().store.records[0].state, State::Ready);
    assert!(!database.state().store.things.contains("swapped"));
    process.run().verify_by(&process.clock, &id(), true).unwrap();
    process.after(State::Ready).unwrap();
    assert!(database.state().store.things.contains("renamed"), "it goes on forward");
    process.rollback().unwrap();
    assert_taken_back(&database, "after both");
}

#[test]
fn an_empty_copy_is_dropped_and_a_full_one_is_told() {
    let database = Database::new(true);
    let outcome = ready(&database, &keeping()).rollback().unwrap();
    assert!(outcome.kept.is_empty() && outcome.lost.is_empty(), "{outcome:?}");
    assert_taken_back(&database, "nothing was to be kept");

    let database = Database::new(true);
    database.state().store.only_new = 3;
    let mut plan = keeping();
    let Undo::Lossless(steps) = plan.steps[0].undo.clone() else { panic!() };
    plan.steps[0].undo = Undo::Lossy { steps, loses: "values of the new columns".to_owned() };
    let outcome = ready(&database, &plan).rollback().unwrap();
    assert_kept(&database, &outcome, "in one go");
    assert!(outcome.lost.contains(&"values of the new columns".to_owned()), "{:?}", outcome.lost);
}

#[track_caller]
fn assert_kept(database: &Database, outcome: &Outcome, about: &str) {
    assert_eq!(outcome.kept.iter().map(ToString::to_string).collect::<Vec<_>>(), ["main.copy_kept"], "{about}");
    let told = "3 rows of main.users held values that the old columns cannot; they are in main.copy_kept";
    assert!(outcome.lost.iter().any(|lost| lost == told), "{about}: {:?}", outcome.lost);
    let state = database.state();
    assert_eq!((state.store.records[0].state, &state.store.things), (State::RolledBack, &things(&["copykept", "old"])));
}

#[test]
fn a_rollback_that_keeps_a_copy_and_is_killed_anywhere_is_finished_and_told() {
    for only_new in [0, 3] {
        let told = |outcome: &Outcome, database: &Database, about: &str| match only_new {
            0 => assert_taken_back(database, about),
            _ => assert_kept(database, outcome, about),
        };
        let calls = at_every_call(
            true,
            |database| {
                let breaks = database.state().breaks.take();
                database.state().store.only_new = only_new;
                let process = ready(database, &keeping());
                process.after(State::Ready).unwrap();
                database.state().calls = 0;
                database.state().breaks = breaks;
                drop(process.rollback());
            },
            |database, about| {
                let ended = database.state().store.records[0].state == State::RolledBack;
                let outcome = Process::new(database).rollback().unwrap_or_else(|error| panic!("{about}: {error:?}"));
                if !ended {
                    told(&outcome, database, about);
                }
            },
        );
        assert!(calls > 60, "only {calls} calls were broken");
    }
}

/// The copy that is kept is filled by windows.
fn keeping_by_windows() -> Plan {
    let mut plan = keeping();
    let Undo::Lossless(undos) = &mut plan.steps[1].undo else { panic!() };
    let keep = &mut undos[0];
    keep.sql = vec![Sql::fixed("-copy"), Sql::fixed("+copy")];
    keep.windows = Some(Windows { cut: cut(), sql: Sql::fixed("copy") });
    let kept = keep.keeps.as_mut().unwrap();
    (kept.count, kept.drop_empty) = (Sql::fixed("held copy"), Sql::fixed("-copy"));
    plan
}

/// Whoever goes on cannot know that nobody wrote since the copy was whole, or was dropped as an empty one.
#[test]
fn what_is_written_before_a_killed_rollback_goes_on_is_kept_too() {
    for only_new in [0, 3] {
        let calls = at_every_call(
            true,
            |database| {
                let breaks = database.state().breaks.take();
                database.state().store.only_new = only_new;
                let process = ready(database, &keeping_by_windows());
                process.after(State::Ready).unwrap();
                process.after(State::Flipped).unwrap();
                database.state().calls = 0;
                database.state().breaks = breaks;
                drop(process.rollback());
            },
            |database, about| {
                if database.state().store.things.contains("trigger") {
                    database.state().store.written += 1;
                }
                Process::new(database).rollback().unwrap_or_else(|error| panic!("{about}: {error:?}"));
                if only_new == 0 {
                    return assert_taken_back(database, about);
                }
                let state = database.state();
                assert_eq!(state.store.things, things(&["copy", "old"]), "{about}");
                let stale = state.store.copy.values().filter(|written| **written != state.store.written);
                assert_eq!((state.store.copy.len(), stale.count()), (10, 0), "{about}: {:?}", state.store.copy);
            },
        );
        assert!(calls > 60, "only {calls} calls were broken");
    }
}

#[test]
fn a_copy_that_fails_half_way_is_not_left_behind() {
    let mut plan = keeping_by_windows();
    plan.steps.remove(3);
    let database = Database::new(true);
    database.state().store.only_new = 3;
    let process = ready(&database, &plan);
    database.fail_next("copy", FailKind::Server, 1);
    let error = process.rollback().unwrap_err();
    assert!(matches!(error, RunError::Fail { .. }), "{error:?}");
    assert_eq!(database.state().store.records[0].state, State::Ready);
    assert!(!database.state().store.things.contains("copy"));
    process.rollback().unwrap();
    assert_eq!(database.state().store.things, things(&["copy", "old"]));
}

/// The first step is taken back by a copy that is filled by windows, and by what then needs it.
fn unwinding() -> Plan {
    let mut plan = plan();
    let Undo::Lossless(undos) = &mut plan.steps[0].undo else { panic!() };
    let needed = || Some(Sql::fixed("has new"));
    let windows = Some(Windows { cut: cut(), sql: Sql::fixed("copy") });
    let copy = UndoStep { needed: needed(), sql: vec![Sql::fixed("+copy")], windows, ..undos[0].clone() };
    let swap = UndoStep { needed: needed(), sql: vec![Sql::fixed("-new"), Sql::fixed("+swapped")], ..undos[0].clone() };
    let never = UndoStep { needed: needed(), sql: vec![Sql::fixed("not there")], ..undos[0].clone() };
    *undos = vec![copy, swap, never];
    plan
}

/// The copy is created once and full before the swap, which is done once.
#[test]
fn an_undo_that_goes_by_windows_and_is_killed_anywhere_goes_on_where_it_was() {
    let calls = at_every_call(
        true,
        |database| {
            let breaks = database.state().breaks.take();
            let process = ready(database, &unwinding());
            database.state().calls = 0;
            database.state().breaks = breaks;
            drop(process.rollback());
        },
        |database, about| {
            let ended = database.state().store.records[0].state == State::RolledBack;
            let outcome = Process::new(database).rollback().unwrap_or_else(|error| panic!("{about}: {error:?}"));
            assert!(ended || outcome.rows_filled == 0, "{about}: {outcome:?}");
            let state = database.state();
            let rows: Vec<usize> = state.store.copy.keys().copied().collect();
            assert_eq!(rows, (0..state.store.rows.len()).collect::<Vec<_>>(), "{about}");
            assert_eq!(state.store.things, things(&["copy", "old", "swapped"]), "{about}");
        },
    );
    assert!(calls > 60, "only {calls} calls were broken");
}

#[test]
fn a_rollback_from_anywhere_on_the_way_is_possible() {
    at_every_call(
        true,
        |database| drop(Process::new(database).to_the_end(&keeping())),
        |database, about| {
            let process = Process::new(database);
            let dropped = !database.state().store.things.contains("old");
            if database.state().store.records.is_empty() || dropped {
                return;
            }
            process.rollback().unwrap_or_else(|error| panic!("{about}: {error:?}"));
            database.state().store.things.remove("copy");
            assert_taken_back(database, about);
        },
    );
}

#[test]
fn a_rollback_that_is_refused_on_its_way_leaves_a_migration_that_can_go_on() {
    let mut plan = keeping();
    let Undo::Lossless(undos) = &mut plan.steps[1].undo else { panic!() };
    undos[1].conditions.push(condition("there copybig"));
    // What is dropped without a transaction cannot be said to be there still.
    plan.steps.remove(3);
    let (mut forward, mut back) = (0, 0);
    for at in 1.. {
        let database = Database::new(true);
        database.state().store.only_new = 3;
        let process = ready(&database, &plan);
        database.state().calls = 0;
        database.state().appears = Some((at, "copybig"));
        let result = process.rollback();
        let reached = database.state().calls >= at;
        database.state().store.things.remove("copybig");
        if let Err(error) = result {
            assert!(matches!(error, RunError::RollbackClosed { .. }), "call {at}: {error:?}");
            assert_eq!(database.state().store.records[0].state, State::Ready, "call {at}");
            assert!(!database.state().store.things.contains("copykept"), "call {at}");
            if at % 2 == 0 {
                process.rollback().unwrap();
                back += 1;
            } else {
                process.to_the_end(&plan).unwrap_or_else(|error| panic!("call {at}: {error:?}"));
                forward += 1;
            }
        }
        if !reached {
            break;
        }
    }
    assert!(forward > 10 && back > 10, "{forward} {back}");
}

#[test]
fn a_lock_that_is_never_had_withdraws_the_rollback() {
    let database = Database::new(true);
    let mut plan = plan();
    plan.steps.remove(3);
    let process = ready(&database, &plan);
    let before = database.state().store.things.clone();
    database.fail_next("lock", FailKind::LockTimeout, 20_000);
    let error = process.rollback().unwrap_err();
    assert!(matches!(error, RunError::BudgetSpent { step: 2, .. }), "{error:?}");
    let store = database.state().store.clone();
    assert_eq!((store.records[0].state, store.things), (State::Ready, before));
    database.state().fails.clear();
    process.after(State::Ready).unwrap();
}

#[test]
fn conditions_are_asked_before_locks_are_taken_and_may_read_every_row() {
    let mut plan = plan();
    let Undo::Lossless(undos) = &mut plan.steps[1].undo else { panic!() };
    undos[0].conditions.push(condition("missing new"));
    let database = Database::new(true);
    let process = ready(&database, &plan);
    database.state().words.clear();
    process.rollback().unwrap();
    let state = database.state();
    let mut locked = false;
    for word in &state.words {
        locked = (locked || word == "lock") && word != "commit";
        assert!(!(locked && word == "missing"), "{:?}", state.words);
    }
    let longest = |what: &str| state.asked.iter().filter(|(sql, _)| sql == what).map(|(_, limit)| *limit).min();
    for question in ["missing new", "missing trigger"] {
        assert!(longest(question).unwrap() > Duration::from_secs(3600), "{question}");
    }
}

#[test]
fn a_condition_is_asked_once_for_all_tries_and_spends_none_of_their_budget() {
    let mut plan = plan();
    let Undo::Lossless(undos) = &mut plan.steps[1].undo else { panic!() };
    undos[0].needed = Some(Sql::fixed("has new"));
    undos[0].conditions.push(condition("missing new"));
    plan.steps.remove(3);
    let database = Database::new(true);
    let process = ready(&database, &plan);
    database.state().slow = Some(("missing", LockTries::default().budget * 2, process.clock.clone()));
    database.state().asked.clear();
    database.fail_next("lock", FailKind::LockTimeout, 3);
    process.rollback().unwrap();
    let asked = database.state().asked.iter().filter(|(sql, _)| sql == "missing new").count();
    assert_eq!(asked, 1);
}

#[test]
fn an_undo_has_the_time_that_its_own_locks_allow() {
    let undo = |mode: LockMode| {
        let Undo::Lossless(mut undos) = super::lossless("-x", segue_model::step::Transaction::Own) else { panic!() };
        undos[0].locks = vec![RelationLock { relation: table(), mode }];
        limit_of_undo(&undos[0])
    };
    assert_eq!(locks()[0].mode, LockMode::AccessExclusive);
    for (mode, brief) in [
        (LockMode::AccessExclusive, true),
        (LockMode::ShareRowExclusive, true),
        (LockMode::ShareUpdateExclusive, false),
        (LockMode::AccessShare, false),
        (LockMode::Write, false),
    ] {
        assert_eq!(undo(mode) <= Duration::from_secs(60), brief, "{mode:?}");
    }
}

/// The undo of an index runs outside a transaction while the watch writes its figures in one.
#[test]
fn what_is_written_outside_a_transaction_outlives_the_commit_of_another() {
    use segue_model::session::{Begin, Connector};
    let database = Database::new(true);
    let limit = Duration::from_secs(1);
    let (mut watch, mut work) = (database.connect("watch").unwrap(), database.connect("work").unwrap());
    watch.begin(Begin::Write { lock_wait: limit }).unwrap();
    std::thread::scope(|scope| {
        let undone = scope.spawn(|| work.execute("-old", &[], limit).unwrap());
        crate::clock::Bell::default().wait(Duration::from_millis(20));
        watch.commit().unwrap();
        undone.join().unwrap();
    });
    assert!(!database.state().store.things.contains("old"));
}

#[test]
fn an_undo_that_fails_is_named_as_one_and_nobody_is_told_to_begin_a_rollback() {
    let database = Database::new(true);
    let process = ready(&database, &plan());
    database.fail_next("-swapped", FailKind::Undefined, 1);
    process.run().flip_by(&process.clock, &id()).unwrap();
    let error = process.rollback().unwrap_err();
    assert!(error.to_string().contains("the undo of step 6 (flip) failed"), "{error}");
    assert_eq!(error.hint(), "Correct in the database what the message names, then run the same command again.");
    process.rollback().unwrap();
    assert_taken_back(&database, "the same command again");
}

#[test]
fn once_cleanup_has_destroyed_something_no_way_back_is_offered() {
    let mut last = plan();
    last.steps.push(sql(11, Phase::Cleanup, "-older", "-nothing"));
    let database = Database::new(true);
    let status = || {
        let mut session = database.connect("look").unwrap();
        crate::status(&mut *session, database.journal()).unwrap().remove(0)
    };
    let process = ready(&database, &last);
    for (word, closed) in [("-old", false), ("-older", true)] {
        database.fail_next(word, FailKind::Undefined, 1);
        let error = process.to_the_end(&last).unwrap_err();
        assert!(!error.hint().contains("rollback"), "{}", error.hint());
        assert_eq!(status().record.state, State::Contracted);
        assert_eq!(status().has_no_way_back(), closed, "{word}");
        assert_eq!(process.apply(&last).unwrap().no_way_back, closed, "{word}");
    }
    assert!(matches!(process.rollback().unwrap_err(), RunError::RollbackClosed { .. }));
    process.to_the_end(&last).unwrap();
    assert_eq!(status().record.state, State::Done);
}
