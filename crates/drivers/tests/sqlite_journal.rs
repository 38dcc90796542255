//! What the journal in a SQLite file promises.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::time::Duration;

use rusqlite::Connection;
use segue_drivers::sqlite::SqliteConnector;
use segue_model::ident::MigrationId;
use segue_model::journal::{Checkpoint, Claim, Event, Holder, Mark, Record, State};
use segue_model::session::{Begin, Connector, FailKind, Session};
use tempfile::TempDir;

const EXPIRY: Duration = Duration::from_secs(30);

fn database() -> (TempDir, SqliteConnector, Box<dyn Session>) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("app.db");
    Connection::open(&path).unwrap().execute_batch("CREATE TABLE t(a)").unwrap();
    let connector = SqliteConnector::open(&format!("sqlite:{}", path.display())).unwrap();
    let session = connector.connect("segue test").unwrap();
    (dir, connector, session)
}

fn id() -> MigrationId {
    MigrationId::new("20261120_names").unwrap()
}

fn holder(name: &str) -> Holder {
    Holder { name: name.to_owned(), pid: 7, backend_start: "1.5".to_owned() }
}

#[test]
fn a_journal_is_installed_once_and_what_is_written_comes_back() {
    let (_dir, connector, mut session) = database();
    let (journal, session) = (connector.journal(), session.as_mut());
    assert!(!journal.exists(session).unwrap());
    journal.install(session).unwrap();
    journal.install(session).unwrap();
    assert!(journal.exists(session).unwrap());
    let mut record = Record {
        id: id(),
        checksum: "sha256:x".into(),
        plan: "{\"a\":\"é'\"}".into(),
        hash: "h".into(),
        state: State::Started,
        attempt: 1,
        state_age_s: 0,
        changed_at: String::new(),
    };
    journal.start(session, &record).unwrap();
    journal.set_state(session, &id(), State::Ready).unwrap();
    let kept = journal.records(session).unwrap().remove(0);
    assert!(kept.changed_at.ends_with('Z') && kept.state_age_s < 5);
    assert_eq!(
        kept,
        Record {
            state: State::Ready,
            changed_at: kept.changed_at.clone(),
            state_age_s: kept.state_age_s,
            ..record.clone()
        }
    );
    record.attempt = 2;
    journal.start(session, &record).unwrap();
    assert_eq!(journal.records(session).unwrap()[0].attempt, 2);
    let event = Event {
        migration: id(),
        attempt: 2,
        step: 3,
        mark: Mark::Intent,
        pid: 9,
        backend_start: "s".into(),
        shape: String::new(),
        note: "{}".into(),
    };
    let done = Event { mark: Mark::Done, shape: "x\ny".into(), ..event.clone() };
    journal.record(session, &event).unwrap();
    journal.record(session, &done).unwrap();
    assert_eq!(journal.events(session, &id(), 2).unwrap(), [event, done]);
    assert!(journal.events(session, &id(), 1).unwrap().is_empty());
    let unknown = MigrationId::new("no").unwrap();
    assert!(journal.set_state(session, &unknown, State::Done).is_err());
    assert!(session.inspect().unwrap().tables.iter().all(|table| !table.name.name.as_str().starts_with("segue_")));
}

#[test]
fn a_checkpoint_lives_and_dies_with_its_transaction() {
    let (_dir, connector, mut session) = database();
    let (journal, session) = (connector.journal(), session.as_mut());
    journal.install(session).unwrap();
    let mut at = Checkpoint { step: 1, pass: 1, next: i64::MIN, end: i64::MAX, rows: 5 };
    journal.set_checkpoint(session, &id(), 1, &at).unwrap();
    assert_eq!(journal.checkpoint(session, &id(), 1, 1).unwrap(), Some(at.clone()));
    session.begin(Begin::Write { lock_wait: EXPIRY }).unwrap();
    at.next = 7;
    journal.set_checkpoint(session, &id(), 1, &at).unwrap();
    session.rollback();
    assert_eq!(journal.checkpoint(session, &id(), 1, 1).unwrap().unwrap().next, i64::MIN);
    assert_eq!(journal.checkpoint(session, &id(), 2, 1).unwrap(), None);
}

#[test]
fn a_lease_is_taken_over_from_a_dead_run_and_fences_it() {
    let (_dir, connector, mut session) = database();
    let (journal, session) = (connector.journal(), session.as_mut());
    journal.install(session).unwrap();
    assert_eq!(journal.claim(session, &id(), &holder("a"), EXPIRY).unwrap(), Claim::Taken { epoch: 1, from: None });
    assert!(journal.fence(session, &id(), 1).unwrap());
    let taken = journal.claim(session, &id(), &holder("b"), EXPIRY).unwrap();
    assert_eq!(taken, Claim::Taken { epoch: 2, from: Some(holder("a")) });
    assert!(!journal.fence(session, &id(), 1).unwrap());
    assert_eq!(journal.holder(session, &id()).unwrap(), None);
    let held = connector.hold().unwrap();
    let (by, age) = journal.holder(session, &id()).unwrap().unwrap();
    assert!(by == holder("b") && age < 5);
    drop(held);
    journal.beat(session, &id(), 2).unwrap();
    journal.release(session, &id(), 1).unwrap();
    assert!(journal.fence(session, &id(), 2).unwrap());
    journal.release(session, &id(), 2).unwrap();
    assert!(!journal.fence(session, &id(), 2).unwrap());
    let again = journal.claim(session, &id(), &holder("c"), EXPIRY).unwrap();
    assert_eq!(again, Claim::Taken { epoch: 3, from: None });
    assert!(journal.end_leftovers(session, &id()).unwrap().is_empty());
}

#[test]
fn a_journal_of_another_format_is_not_touched() {
    let (_dir, connector, mut session) = database();
    let (journal, session) = (connector.journal(), session.as_mut());
    journal.install(session).unwrap();
    session.execute("UPDATE segue_meta SET value = '99' WHERE key = 'format'", &[], EXPIRY).unwrap();
    assert_eq!(journal.install(session).unwrap_err().kind, FailKind::Usage);
    assert_eq!(journal.identity(session).unwrap_err().kind, FailKind::Usage);
}
