//! What others do to the tables meanwhile, and what `status` says of it.

use segue_model::journal::State;
use segue_model::session::{Connector, FailKind};

use super::fake::Database;
use super::{Process, plan};
use crate::{MigrationStatus, RunError};

const HARMLESS: &str = "public.users: index CREATE INDEX theirs ON public.users USING btree (name)";
const SERIOUS: &str = "public.users: constraint theirs CHECK (false)";

fn status(database: &Database) -> MigrationStatus {
    let mut session = database.connect("look").unwrap();
    crate::status(&mut *session, database.journal()).unwrap().remove(0)
}

#[test]
fn what_cannot_touch_the_plan_is_said_once_and_gone_on_with() {
    let database = Database::new(true);
    let process = Process::new(&database);
    process.apply(&plan()).unwrap();
    database.state().store.things.insert(HARMLESS.to_owned());
    assert_eq!(status(&database).drift, None);
    let outcome = process.run().flip_by(&process.clock, &super::id()).unwrap();
    assert_eq!(outcome.notes, [format!("changed meanwhile:\n+ {HARMLESS}")]);
    let outcome = process.run().contract_by(&process.clock, &super::id(), super::BOTH_STOPPED).unwrap();
    assert!(outcome.notes.is_empty(), "it is what is expected now: {:?}", outcome.notes);
    database.state().store.things.remove(HARMLESS);
    process.after(State::Contracted).unwrap();
}

#[test]
fn what_may_touch_the_plan_names_the_way_back() {
    let database = Database::new(true);
    let process = Process::new(&database);
    process.apply(&plan()).unwrap();
    database.state().store.things.insert(SERIOUS.to_owned());
    let error = process.after(State::Ready).unwrap_err();
    assert!(matches!(error, RunError::Drift { step: Some(6), .. }), "{error:?}");
    assert!(error.hint().contains("`segue rollback`") && !error.hint().contains("plan anew"), "{}", error.hint());
    assert_eq!(status(&database).drift, Some(format!("+ {SERIOUS}")));
    let outcome = process.rollback().unwrap();
    assert_eq!(outcome.difference, Some(format!("+ {SERIOUS}")));
    assert!(!outcome.notes.iter().any(|note| note.contains(SERIOUS)), "it is shown once: {:?}", outcome.notes);
    assert_eq!(status(&database).drift, None, "nothing is under way");
}

#[test]
fn a_plan_that_was_not_begun_is_made_anew() {
    let database = Database::new(true);
    database.state().store.things.insert(HARMLESS.to_owned());
    let error = Process::new(&database).apply(&plan()).unwrap_err();
    assert!(error.hint().contains("segue plan"), "{}", error.hint());
    assert!(database.state().store.records.is_empty());
}

#[test]
fn an_interrupted_step_is_no_drift() {
    let database = Database::new(true);
    database.fail_next("slow", FailKind::Cancelled, 1);
    database.fail_next("-index!", FailKind::Cancelled, 1);
    Process::new(&database).apply(&plan()).unwrap_err();
    database.state().store.things.insert("index!".to_owned());
    assert_eq!(status(&database).drift, None);
}
