//! A migration that reverses another, and one that starts beside another.

use segue_model::ident::{Ident, MigrationId, TableName};
use segue_model::journal::State;
use segue_model::plan::Plan;
use segue_model::plan_file::to_json;
use segue_model::step::Phase;

use super::crash::at_every_call;
use super::fake::Database;
use super::{BOTH_STOPPED, Process, additive, id, sql, things};
use crate::{RunError, Target};

fn up() -> Plan {
    Plan { steps: vec![sql(1, Phase::Expand, "+new", "-new")], ..additive() }
}

fn down() -> Plan {
    let migration = MigrationId::new("1_full_name_down").unwrap();
    let (shape, hash) = ("new\nold".to_owned(), "sha256:2".to_owned());
    Plan { migration, shape, hash, steps: vec![sql(1, Phase::Expand, "-new", "+new")], ..additive() }
}

fn states(database: &Database) -> Vec<State> {
    database.state().store.records.iter().map(|record| record.state).collect()
}

#[test]
fn a_finished_reversal_takes_both_back_at_once_and_both_may_start_again() {
    at_every_call(
        true,
        |database| {
            let breaks = database.state().breaks.take();
            let process = Process::new(database);
            process.apply(&up()).unwrap();
            database.state().calls = 0;
            database.state().breaks = breaks;
            drop(process.apply(&down()));
        },
        |database, about| {
            let process = Process::new(database);
            let now = states(database);
            assert!(
                matches!(
                    now.as_slice(),
                    [State::Done] | [State::Done, State::Started] | [State::RolledBack, State::RolledBack]
                ),
                "{about}: {now:?}"
            );
            if now[0] == State::Done {
                let outcome = process.apply(&down()).unwrap_or_else(|error| panic!("{about}: {error:?}"));
                assert_eq!(outcome.state, State::Done, "{about}");
            }
            assert_eq!(states(database), [State::RolledBack, State::RolledBack], "{about}");
            assert_eq!(database.state().store.things, things(&["old"]), "{about}");
            process.apply(&up()).unwrap();
            process.apply(&down()).unwrap();
            assert_eq!(states(database), [State::RolledBack, State::RolledBack], "{about}");
            assert!(database.state().store.records.iter().all(|record| record.attempt == 2), "{about}");
        },
    );
}

#[test]
fn the_cleanup_of_a_reversal_that_was_killed_at_its_end_is_at_its_end() {
    let database = Database::new(true);
    let process = Process::new(&database);
    process.apply(&up()).unwrap();
    process.apply(&down()).unwrap();
    let outcome = process.run().cleanup_by(&process.clock, &down().migration, BOTH_STOPPED).unwrap();
    assert_eq!(outcome.state, State::Done);
    let error = process.run().cleanup_by(&process.clock, &id(), BOTH_STOPPED).unwrap_err();
    assert!(matches!(error, RunError::WrongState { .. }), "{error:?}");
}

#[test]
fn a_migration_waits_for_another_on_the_same_table() {
    let database = Database::new(true);
    let process = Process::new(&database);
    process.run().apply_by(&process.clock, &super::plan(), Target::Expand).unwrap();
    let mut second = Plan { migration: MigrationId::new("2_other").unwrap(), shape: "new\nold".to_owned(), ..up() };
    second.steps = vec![sql(1, Phase::Expand, "+other", "-other")];
    let before = database.state().store.clone();
    let error = process.apply(&second).unwrap_err();
    assert_eq!(error.to_string(), "a gate is not met: `2_other` waits for `1_full_name`, which is changing main.users");
    assert_eq!(database.state().store, before);
    second.tables = vec![TableName { schema: Ident::known("main"), name: Ident::known("elsewhere") }];
    process.apply(&second).unwrap();
}

#[test]
fn of_two_that_start_at_once_the_second_sees_the_first() {
    let database = Database::new(true);
    Process::new(&database).apply(&up()).unwrap();
    let words = database.state().words.clone();
    // The journal's one row is written, and by that locked, before the records are read.
    let start = words.iter().position(|word| word == "J").unwrap();
    assert_eq!(words[start..start + 3], ["J", "there", "J"].map(str::to_owned));
    assert!(to_json(&up()).contains("users"));
}
