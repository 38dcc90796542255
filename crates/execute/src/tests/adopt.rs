//! Copies of a database, and starting beside others.

use segue_model::journal::{Holder, Leftover, State};
use segue_model::session::Connector;

use super::fake::Database;
use super::{Process, additive, assert_taken_back, plan};
use crate::RunError;

fn copied(database: &Database) {
    database.state().now_identity.system = "other".to_owned();
}

#[test]
fn a_copy_with_nothing_under_way_goes_on_with_its_history() {
    let database = Database::new(true);
    let process = Process::new(&database);
    process.apply(&additive()).unwrap();
    copied(&database);
    let mut next = plan();
    next.migration = segue_model::ident::MigrationId::new("2_next").unwrap();
    next.steps.clear();
    next.shape = database.state().store.things.iter().cloned().collect::<Vec<_>>().join("\n");
    let outcome = process.apply(&next).unwrap();
    assert_eq!(outcome.notes[0], "this database is a copy of database d of system s, its history is kept");
    assert_eq!(database.state().store.identity.system, "other");
}

#[test]
fn a_copy_with_something_under_way_is_refused_until_it_is_adopted() {
    let database = Database::new(false);
    let process = Process::new(&database);
    process.apply(&plan()).unwrap();
    copied(&database);
    let gone = Holder { name: "ci 4711".to_owned(), pid: 9, backend_start: String::new() };
    database.state().lease = Some((0, gone));
    let error = process.rollback().unwrap_err();
    assert!(matches!(&error, RunError::OtherDatabase { unfinished, .. } if unfinished.len() == 1), "{error:?}");
    assert!(error.to_string().contains("`1_full_name` was under way"), "{error}");
    assert!(error.hint().contains("segue adopt"), "{}", error.hint());
    assert_eq!((error.exit_code(), database.state().store.records[0].state), (1, State::Ready));
    let adopted = process.run().adopt_by(&process.clock).unwrap();
    assert_eq!(
        (adopted.from.as_str(), adopted.here.as_str()),
        ("database d of system s", "database d of system other")
    );
    assert_eq!(adopted.unfinished, [(super::id(), State::Ready)]);
    assert!(!adopted.is_same && database.state().lease.is_none());
    process.rollback().unwrap();
    assert_taken_back(&database, "after the adoption");
    assert!(process.run().adopt_by(&process.clock).unwrap().is_same);
}

#[test]
fn what_somebody_runs_is_not_adopted() {
    for with_hold in [true, false] {
        let database = Database::new(with_hold);
        let process = Process::new(&database);
        process.apply(&plan()).unwrap();
        copied(&database);
        database.state().held = true;
        let error = process.run().adopt_by(&process.clock).unwrap_err();
        assert_eq!(error.exit_code(), 4, "{error:?}");
        assert_eq!(database.state().store.identity.system, "s");
    }
}

#[test]
fn who_starts_beside_us_is_not_taken_for_left_behind() {
    let database = Database::new(false);
    let beside = Leftover { pid: 9, query: String::new(), ended: true };
    database.state().leftovers = vec![vec![beside]];
    let outcome = Process::new(&database).apply(&additive()).unwrap();
    assert!(outcome.leftovers.is_empty(), "nobody was taken over from");
    assert_eq!(database.state().leftovers.len(), 1);
}

#[test]
fn no_session_bears_the_migrations_name_before_the_lease_is_won() {
    let database = Database::new(false);
    database.state().held = true;
    Process::new(&database).apply(&additive()).unwrap_err();
    let ours = |label: &String| label.starts_with("segue 1_full_name ");
    assert!(!database.state().labels.iter().any(ours), "{:?}", database.state().labels);
    database.state().held = false;
    Process::new(&database).apply(&additive()).unwrap();
    assert_eq!(database.state().labels.iter().filter(|label| ours(label)).count(), 1);
    assert!(database.hold().unwrap().is_none());
}
