//! Gates, drift and what else ends a run with a reason.

use std::time::Duration;

use segue_model::journal::State;
use segue_model::step::{Phase, Undo};

use super::fake::{Database, Side};
use super::{BOTH_STOPPED, Process, assert_finished, assert_taken_back, condition, id, plan};
use crate::{RunError, Said};

#[test]
fn contract_asks_whether_the_old_version_is_stopped() {
    let database = Database::new(true);
    let process = Process::new(&database);
    process.apply(&plan()).unwrap();
    process.after(State::Ready).unwrap();
    let error = process.run().contract_by(&process.clock, &id(), Said::default()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the gate of step 7 is not met: the old version of the application may still be running"
    );
    assert_eq!(error.hint(), "Once no process uses the old shape any more, say so with `--old-version-stopped`.");
    assert_eq!(error.exit_code(), 5);
}

#[test]
fn rollback_from_ready_asks_whether_the_new_version_is_stopped() {
    let database = Database::new(true);
    let process = Process::new(&database);
    process.apply(&plan()).unwrap();
    let error = process.run().rollback_by(&process.clock, &id(), Said::default()).unwrap_err();
    assert!(error.hint().contains("--new-version-stopped"), "{}", error.hint());
    assert_eq!(database.state().store.records[0].state, State::Ready);
}

#[test]
fn commands_out_of_order_say_what_comes_first() {
    let database = Database::new(true);
    let process = Process::new(&database);
    process.apply(&plan()).unwrap();
    let error = process.run().contract_by(&process.clock, &id(), BOTH_STOPPED).unwrap_err();
    assert_eq!(error.to_string(), "`1_full_name` is ready, and this needs it to be flipped");
    assert_eq!(error.hint(), "Run `segue flip 1_full_name` first.");
    let error = process.run().cleanup_by(&process.clock, &id(), BOTH_STOPPED).unwrap_err();
    assert!(matches!(error, RunError::WrongState { wanted: State::Contracted, .. }), "{error:?}");
}

#[test]
fn cleanup_waits_for_the_cool_down() {
    let database = Database::new(true);
    let mut process = Process::new(&database);
    process.apply(&plan()).unwrap();
    process.after(State::Ready).unwrap();
    process.after(State::Flipped).unwrap();
    process.options.cool_down = Duration::from_secs(60);
    database.state().store.records[0].state_age_s = 45;
    let error = process.run().cleanup_by(&process.clock, &id(), BOTH_STOPPED).unwrap_err();
    assert_eq!(error.to_string(), "the cool-down is not over: 15 s remain");
    database.state().store.records[0].state_age_s = 60;
    process.after(State::Contracted).unwrap();
    assert_finished(&database, "after the cool-down");
}

#[test]
fn another_plan_or_another_file_is_refused() {
    let database = Database::new(true);
    let process = Process::new(&database);
    process.apply(&plan()).unwrap();
    let mut other = plan();
    other.hash = "sha256:2".to_owned();
    let error = process.apply(&other).unwrap_err();
    let RunError::Changed { diff, .. } = &error else { panic!("{error:?}") };
    assert!(diff.contains("sha256:1") && diff.contains("sha256:2"), "{diff}");
    process.to_the_end(&plan()).unwrap();
    other.checksum = "c2".to_owned();
    let error = process.apply(&other).unwrap_err();
    assert_eq!(error.exit_code(), 1);
    assert!(error.hint().contains("history"), "{}", error.hint());
}

#[test]
fn a_changed_structure_is_shown_and_nothing_is_begun() {
    let database = Database::new(true);
    database.state().store.things.insert("stray".to_owned());
    let error = Process::new(&database).apply(&plan()).unwrap_err();
    assert!(matches!(&error, RunError::Drift { diff, .. } if diff == "+ stray"), "{error:?}");
    assert!(database.state().store.records.is_empty());
}

#[test]
fn a_structure_that_changes_on_the_way_stops_the_run_and_not_the_rollback() {
    let database = Database::new(true);
    let process = Process::new(&database);
    process.apply(&plan()).unwrap();
    database.state().store.things.insert("stray".to_owned());
    let error = process.after(State::Ready).unwrap_err();
    assert!(matches!(&error, RunError::Drift { step: Some(6), diff } if diff == "+ stray"), "{error:?}");
    let outcome = process.rollback().unwrap();
    assert_eq!(outcome.difference.as_deref(), Some("+ stray"));
}

#[test]
fn a_trigger_that_is_gone_stops_flip() {
    let database = Database::new(true);
    let process = Process::new(&database);
    process.apply(&plan()).unwrap();
    database.state().store.things.remove("trigger");
    let error = process.after(State::Ready).unwrap_err();
    assert_eq!(error.to_string(), "the gate of step 5 is not met: trigger is missing (needed: the trigger is there)");
}

#[test]
fn wrong_rows_stop_flip_until_they_are_repaired() {
    let database = Database::new(true);
    let process = Process::new(&database);
    process.apply(&plan()).unwrap();
    database.state().store.rows[3] = Side::Wrong;
    let error = process.after(State::Ready).unwrap_err();
    assert_eq!((error.exit_code(), error.to_string().as_str()), (6, "1 of 10 rows are wrong"));
    let RunError::Verification { report, .. } = error else { panic!() };
    assert_eq!(report.tables[0].samples, ["id 3"]);
    process.run().verify_by(&process.clock, &id(), false).unwrap_err();
    let report = process.run().verify_by(&process.clock, &id(), true).unwrap();
    assert_eq!((report.tables[0].repaired, report.is_clean()), (1, true));
    process.after(State::Ready).unwrap();
}

#[test]
fn after_flip_rows_are_not_repaired_from_the_old_shape() {
    let database = Database::new(true);
    let process = Process::new(&database);
    process.apply(&plan()).unwrap();
    process.after(State::Ready).unwrap();
    database.state().store.rows[3] = Side::Wrong;
    let error = process.run().verify_by(&process.clock, &id(), true).unwrap_err();
    assert_eq!(error.exit_code(), 6);
    assert_eq!(database.state().store.rows[3], Side::Wrong);
}

#[test]
fn an_undo_whose_condition_fails_closes_rollback_before_anything_is_undone() {
    let database = Database::new(true);
    let process = Process::new(&database);
    let mut plan = plan();
    let Undo::Lossless(undos) = &mut plan.steps[0].undo else { panic!() };
    undos[0].conditions.push(condition("there big"));
    process.apply(&plan).unwrap();
    database.state().store.things.insert("big".to_owned());
    let before = database.state().store.clone();
    let error = process.rollback().unwrap_err();
    assert!(matches!(&error, RunError::RollbackClosed { reason, .. } if reason.contains("big is there")), "{error:?}");
    assert_eq!(database.state().store, before);
    database.state().store.things.remove("big");
    process.rollback().unwrap();
    assert_taken_back(&database, "once the condition holds");
}

#[test]
fn what_destroys_data_closes_rollback() {
    let database = Database::new(true);
    let process = Process::new(&database);
    let mut plan = plan();
    plan.steps.push(super::gate(11));
    plan.steps[10].phase = Phase::Cleanup;
    let segue_model::step::Action::Gate(gate) = &mut plan.steps[10].action else { panic!() };
    (gate.asks, gate.conditions[0]) = (None, condition("there index"));
    process.to_the_end(&plan).unwrap_err();
    assert_eq!(database.state().store.records[0].state, State::Contracted);
    let error = process.rollback().unwrap_err();
    assert!(matches!(error, RunError::RollbackClosed { .. }), "{error:?}");
    assert_eq!(error.exit_code(), 5);
}

#[test]
fn each_gate_is_verified_by_what_speaks_of_the_table_as_it_is() {
    let mut plan = plan();
    let mut hidden = super::verify(11);
    hidden.phase = Phase::Cleanup;
    let segue_model::step::Action::Verify(verify) = &mut hidden.action else { panic!() };
    verify.conditions = vec![condition("missing hidden")];
    plan.steps.insert(8, hidden);
    let database = Database::new(true);
    let process = Process::new(&database);
    process.apply(&plan).unwrap();
    let verified_by = || process.run().verify_by(&process.clock, &id(), false).unwrap().tables[0].step;
    assert_eq!(verified_by(), 5);
    process.after(State::Ready).unwrap();
    process.after(State::Flipped).unwrap();
    assert_eq!(verified_by(), 11);
    database.state().store.rows[3] = Side::Wrong;
    let error = process.after(State::Contracted).unwrap_err();
    assert_eq!(error.exit_code(), 6, "{error:?}");
    assert!(database.state().store.things.contains("old"));
}

#[test]
fn a_verification_that_fails_in_apply_is_repaired_and_gone_on_with() {
    let database = Database::new(true);
    database.state().store.rows[3] = Side::Wrong;
    let process = Process::new(&database);
    let error = process.apply(&plan()).unwrap_err();
    assert_eq!((error.exit_code(), database.state().store.records[0].state), (6, State::Started));
    assert!(error.hint().contains("`segue verify 1_full_name --repair`"), "{}", error.hint());
    process.run().verify_by(&process.clock, &id(), false).unwrap_err();
    process.run().verify_by(&process.clock, &id(), true).unwrap();
    process.to_the_end(&plan()).unwrap();
    assert_finished(&database, "after the repair");
}

#[test]
fn before_all_rows_are_brought_over_there_is_nothing_to_compare() {
    let database = Database::new(true);
    database.state().unconvertible_row = Some(6);
    let process = Process::new(&database);
    process.apply(&plan()).unwrap_err();
    let error = process.run().verify_by(&process.clock, &id(), true).unwrap_err();
    assert!(matches!(error, RunError::WrongState { wanted: State::Ready, .. }), "{error:?}");
}

#[test]
fn cleanup_wants_a_yes_under_its_lease() {
    let database = Database::new(true);
    let process = Process::new(&database);
    process.apply(&plan()).unwrap();
    process.after(State::Ready).unwrap();
    process.after(State::Flipped).unwrap();
    let unsaid = Said { cleanup_agreed: false, ..BOTH_STOPPED };
    let error = process.run().cleanup_by(&process.clock, &id(), unsaid).unwrap_err();
    assert_eq!(error.exit_code(), 5);
    assert!(error.hint().contains("--yes --i-checked-references"), "{}", error.hint());
    assert!(database.state().store.things.contains("old"));
}
