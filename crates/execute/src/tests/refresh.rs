//! A cleanup that was interrupted before it dropped anything.

use segue_model::journal::{Mark, State};
use segue_model::plan::Plan;
use segue_model::session::FailKind;
use segue_model::step::{Action, Phase};

use super::crash::at_every_call;
use super::fake::{Database, Side};
use super::{Process, condition, plan, verify};
use crate::RunError;

/// Looks at every row once more before the copy.
fn plan_that_looks() -> Plan {
    let mut plan = plan();
    let mut last = verify(11);
    last.phase = Phase::Cleanup;
    let Action::Verify(verify) = &mut last.action else { panic!() };
    verify.conditions = vec![condition("missing hidden")];
    plan.steps.insert(8, last);
    plan
}

fn contracted<'d>(database: &'d Database, plan: &Plan) -> Process<'d> {
    let process = Process::new(database);
    process.apply(plan).unwrap();
    process.after(State::Ready).unwrap();
    process.after(State::Flipped).unwrap();
    process
}

#[track_caller]
fn assert_copy_is_of_now(database: &Database, about: &str) {
    let state = database.state();
    let stale: Vec<_> = state.store.copy.iter().filter(|(_, written)| **written != state.store.written).collect();
    assert_eq!((state.store.copy.len(), stale.len()), (10, 0), "{about}: {:?}", state.store.copy);
}

#[test]
fn a_cleanup_that_is_killed_anywhere_copies_what_was_written_since() {
    let calls = at_every_call(
        true,
        |database| {
            let breaks = database.state().breaks.take();
            let process = contracted(database, &plan_that_looks());
            database.state().calls = 0;
            database.state().breaks = breaks;
            drop(process.after(State::Contracted));
        },
        |database, about| {
            let dropped = !database.state().store.things.contains("old");
            if !dropped {
                database.state().store.written += 1;
            }
            Process::new(database).after(State::Contracted).unwrap_or_else(|error| panic!("{about}: {error:?}"));
            assert_eq!(database.state().store.records[0].state, State::Done, "{about}");
            assert_copy_is_of_now(database, about);
        },
    );
    assert!(calls > 40, "only {calls} calls were broken");
}

#[test]
fn a_cleanup_that_is_killed_twice_copies_what_was_written_since() {
    at_every_call(
        true,
        |database| {
            let breaks = database.state().breaks.take();
            let process = contracted(database, &plan_that_looks());
            database.fail_next("-old", FailKind::Server, 1);
            process.after(State::Contracted).unwrap_err();
            database.state().store.written += 1;
            database.state().calls = 0;
            database.state().breaks = breaks;
            drop(Process::new(database).after(State::Contracted));
        },
        |database, about| {
            if database.state().store.things.contains("old") {
                database.state().store.written += 1;
            }
            Process::new(database).after(State::Contracted).unwrap_or_else(|error| panic!("{about}: {error:?}"));
            assert_copy_is_of_now(database, about);
        },
    );
}

#[test]
fn what_went_wrong_since_an_interrupted_cleanup_is_seen() {
    let database = Database::new(true);
    let process = contracted(&database, &plan_that_looks());
    database.fail_next("-old", FailKind::Server, 1);
    process.after(State::Contracted).unwrap_err();
    database.state().store.rows[3] = Side::Wrong;
    let error = process.after(State::Contracted).unwrap_err();
    assert!(matches!(error, RunError::Verification { .. }), "{error:?}");
    database.state().store.rows[3] = Side::Right;
    database.state().store.things.insert("stray".to_owned());
    let error = process.after(State::Contracted).unwrap_err();
    assert!(matches!(error, RunError::Drift { .. }), "{error:?}");
    assert!(database.state().store.things.contains("old"));
}

#[test]
fn what_was_begun_to_be_dropped_is_not_copied_again() {
    let mut plan = plan_that_looks();
    let more = super::sql(12, Phase::Cleanup, "-older", "-nothing");
    plan.steps.push(crate::tests::Step { undo: crate::tests::Undo::Impossible, ..more });
    let database = Database::new(true);
    let process = contracted(&database, &plan);
    database.fail_next("-older", FailKind::Server, 1);
    process.after(State::Contracted).unwrap_err();
    database.state().store.written += 1;
    process.after(State::Contracted).unwrap();
    let state = database.state();
    assert!(state.store.copy.values().all(|written| *written == 0), "the copy holds what the old shape held last");
    let copies = state.store.events.iter().filter(|event| event.step == 9 && event.mark == Mark::Done);
    assert_eq!(copies.count(), 1);
}

/// Its copy is filled as a backfill, whose own undo is nothing.
fn plan_that_rebuilds() -> Plan {
    let mut plan = plan();
    let mut fill = super::backfill(12);
    fill.phase = Phase::Cleanup;
    let Action::Backfill(backfill) = &mut fill.action else { panic!() };
    (backfill.fill, backfill.failures) = (segue_model::sql::Sql::fixed("add"), None);
    plan.steps.splice(8..9, [super::sql(11, Phase::Cleanup, "+copy", "-copy"), fill]);
    plan
}

#[test]
fn a_copy_that_a_refused_rollback_took_away_is_filled_anew() {
    let database = Database::new(true);
    let process = contracted(&database, &plan_that_rebuilds());
    database.fail_next("-old", FailKind::Server, 1);
    process.after(State::Contracted).unwrap_err();
    database.state().store.rows[3] = Side::Wrong;
    let error = process.rollback().unwrap_err();
    assert!(matches!(error, RunError::Verification { .. }), "{error:?}");
    assert_eq!(database.state().store.records[0].state, State::Contracted);
    assert!(!database.state().store.things.contains("copy"));
    database.state().store.rows[3] = Side::Right;
    database.state().store.written += 1;
    process.run().verify_by(&process.clock, &super::id(), true).unwrap();
    process.after(State::Contracted).unwrap();
    assert_eq!(database.state().store.records[0].state, State::Done);
    assert_copy_is_of_now(&database, "after the rollback was refused");
}

#[test]
fn a_copy_that_a_refused_rollback_took_away_is_made_anew() {
    let database = Database::new(true);
    let process = contracted(&database, &plan_that_looks());
    database.fail_next("-old", FailKind::Server, 1);
    process.after(State::Contracted).unwrap_err();
    database.state().store.rows[3] = Side::Wrong;
    let error = process.rollback().unwrap_err();
    assert!(matches!(error, RunError::Verification { .. }), "{error:?}");
    assert_eq!(database.state().store.records[0].state, State::Contracted);
    database.state().store.rows[3] = Side::Right;
    process.after(State::Contracted).unwrap();
    assert_copy_is_of_now(&database, "after the rollback was refused");
}
