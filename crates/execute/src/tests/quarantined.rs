//! Rows that cannot be converted.

use std::collections::BTreeSet;

use segue_model::journal::State;

use super::fake::Database;
use super::{Process, additive, id, plan};
use crate::RunError;

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
    process.apply(&plan()).unwrap_err();
    assert_eq!(database.state().store.quarantine.len(), 4);
    let retry = || process.run().retry_quarantine_by(&process.clock, &id()).unwrap();
    database.state().store.stuck = BTreeSet::from([9]);
    let retried = retry();
    assert_eq!((retried.before, retried.after, retried.samples[0].key.as_str()), (4, 1, "000009"));
    database.state().store.stuck.clear();
    assert_eq!((retry().after, database.state().store.quarantine.len()), (0, 0));
    assert_eq!(process.apply(&plan()).unwrap().state, State::Ready);
    process.after(State::Ready).unwrap();
    assert!(process.run().retry_quarantine_by(&process.clock, &id()).is_err_and(|error| error.exit_code() == 5));
}

#[test]
fn rows_that_cannot_be_converted_are_counted_by_windows_and_none_is_left_out_in_silence() {
    let database = Database::new(true);
    database.state().store.stuck = BTreeSet::from([4]);
    database.state().store.stuck_columns = 1000;
    let process = Process::new(&database);
    process.apply(&plan()).unwrap_err();
    assert_eq!(process.told.count("note in 1 windows of `main.users` more than 1000"), 1, "{:?}", process.told.all());
    assert_eq!(process.told.count("note 1 rows of `main.users` cannot be converted"), 1);
    assert!(database.state().asked.iter().all(|(sql, _)| sql != "stuck"), "no question goes over the whole table");
}
