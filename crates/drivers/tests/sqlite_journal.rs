//! What the journal in a SQLite file promises.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::time::Duration;

use rusqlite::Connection;
use segue_drivers::sqlite::SqliteConnector;
use segue_model::bound::Bound;
use segue_model::ident::MigrationId;
use segue_model::journal::{Checkpoint, Claim, Event, Holder, Mark, Orders, Quarantined, Record, Span, State, Worker};
use segue_model::session::{Begin, Connector, FailKind, Session};
use segue_model::tuning::{Limits, Tuning};
use segue_model::value::Value;
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

fn at(next: Option<i64>) -> Checkpoint {
    let (next, end) = (next.map(Bound::number), Bound::number(i64::MAX));
    Checkpoint { step: 1, pass: 1, next, end, spans: 2, done: 10, total: 100, rows: 5 }
}

#[test]
fn a_checkpoint_lives_and_dies_with_its_transaction() {
    let (_dir, connector, mut session) = database();
    let (journal, session) = (connector.journal(), session.as_mut());
    journal.install(session).unwrap();
    journal.set_checkpoint(session, &id(), 1, &at(Some(i64::MIN))).unwrap();
    assert_eq!(journal.checkpoint(session, &id(), 1, 1).unwrap(), Some(at(Some(i64::MIN))));
    session.begin(Begin::Write { lock_wait: EXPIRY }).unwrap();
    assert_eq!(journal.checkpoint_to_cut(session, &id(), 1, 1).unwrap(), Some(at(Some(i64::MIN))));
    journal.set_checkpoint(session, &id(), 1, &at(None)).unwrap();
    session.rollback();
    assert_eq!(journal.checkpoint(session, &id(), 1, 1).unwrap(), Some(at(Some(i64::MIN))));
    journal.set_checkpoint(session, &id(), 1, &at(None)).unwrap();
    assert_eq!(journal.checkpoint(session, &id(), 1, 1).unwrap(), Some(at(None)));
    assert_eq!(journal.checkpoint(session, &id(), 2, 1).unwrap(), None);
}

fn span(number: i64, waits: bool) -> Span {
    let next = Some(Bound::key(vec![Value::from("é\"'"), Value::Bytes(vec![0, 255]), Value::Real(0.5)]));
    Span { step: 1, number, pass: 1, next, end: Bound::number(9), done: 3, rows: 2, waits }
}

#[test]
fn a_span_is_taken_by_whoever_asks_since_there_is_one_worker() {
    let (_dir, connector, mut session) = database();
    let (journal, session) = (connector.journal(), session.as_mut());
    journal.install(session).unwrap();
    journal.set_checkpoint(session, &id(), 1, &at(None)).unwrap();
    let (pid, backend_start) = session.backend().unwrap();
    let ours = Worker { pid, backend_start };
    let dead = Worker { backend_start: "then".into(), ..ours.clone() };
    let all = [(span(2, false), Some(&dead)), (span(1, false), Some(&ours)), (span(3, true), None)];
    for (span, worker) in &all {
        journal.put_span(session, &id(), 1, span, *worker).unwrap();
    }
    assert_eq!(journal.spans(session, &id(), 1, 1).unwrap(), [span(1, false), span(2, false), span(3, true)]);
    let mut take = |waits| journal.take_span(session, &id(), 1, 1, &ours, waits).unwrap();
    // Its own, too: a connection that was made again has the same process and start.
    assert_eq!([take(false), take(false)], [Some(span(1, false)), Some(span(1, false))]);
    assert_eq!(take(true), Some(span(3, true)));
    journal.end_span(session, &id(), 1, &Span { done: 0, rows: 0, ..span(1, false) }).unwrap();
    assert_eq!(journal.take_span(session, &id(), 1, 1, &ours, false).unwrap(), Some(span(2, false)));
    let further = Span { done: 7, rows: 6, next: None, ..span(2, false) };
    journal.put_span(session, &id(), 1, &further, Some(&ours)).unwrap();
    assert_eq!(journal.spans(session, &id(), 1, 1).unwrap()[0], further);
    for _ in 0..2 {
        journal.end_span(session, &id(), 1, &further).unwrap();
        let now = journal.checkpoint(session, &id(), 1, 1).unwrap().unwrap();
        assert_eq!((now.done, now.rows), (17, 11));
    }
    assert_eq!(journal.spans(session, &id(), 1, 1).unwrap(), [span(3, true)]);
    let of_another_pass = Span { pass: 2, ..span(9, false) };
    journal.put_span(session, &id(), 1, &of_another_pass, None).unwrap();
    assert_eq!(journal.take_span(session, &id(), 1, 1, &ours, false).unwrap(), None);
}

#[test]
fn quarantine_orders_and_reports_are_kept_and_forgotten() {
    let (_dir, connector, mut session) = database();
    let (journal, session) = (connector.journal(), session.as_mut());
    journal.install(session).unwrap();
    let row =
        |step, key: &str, error: &str| Quarantined { step, key: key.into(), column: "c".into(), error: error.into() };
    journal.quarantine(session, &id(), 1, &[]).unwrap();
    journal.quarantine(session, &id(), 1, &[row(2, "é'\"", "x"), row(1, "b", "x"), row(1, "a", "x")]).unwrap();
    journal.quarantine(session, &id(), 1, &[row(1, "b", "y"), row(1, "b", "z")]).unwrap();
    let (count, first) = journal.quarantined(session, &id(), 1, 2).unwrap();
    assert_eq!((count, first), (3, vec![row(1, "a", "x"), row(1, "b", "z")]));
    journal.clear_quarantine(session, &id(), 1, 1).unwrap();
    assert_eq!(journal.quarantined(session, &id(), 1, 9).unwrap(), (1, vec![row(2, "é'\"", "x")]));

    assert_eq!(journal.orders(session, &id()).unwrap(), Orders::default());
    let tuning = Tuning {
        workers: Some(3),
        limits: Limits { file: Some("/é".into()), ..Limits::default() },
        ..Tuning::default()
    };
    for paused_by in [Some("me".to_owned()), None] {
        let orders = Orders { paused_by, tuning: tuning.clone() };
        journal.set_orders(session, &id(), &orders).unwrap();
        assert_eq!(journal.orders(session, &id()).unwrap(), orders);
    }

    assert_eq!(journal.report(session, &id()).unwrap(), None);
    journal.set_report(session, &id(), 2, "{\"n\":1}").unwrap();
    journal.set_report(session, &id(), 1, "old").unwrap();
    let (report, age) = journal.report(session, &id()).unwrap().unwrap();
    assert!(report == "{\"n\":1}" && age < 5);

    let held = connector.hold().unwrap();
    assert_eq!(journal.epoch(session, &id()).unwrap(), None);
    journal.claim(session, &id(), &holder("a"), EXPIRY).unwrap();
    assert_eq!(journal.epoch(session, &id()).unwrap(), Some(1));
    drop(held);
    assert_eq!(journal.epoch(session, &id()).unwrap(), None);

    journal.forget(session, &id()).unwrap();
    assert_eq!(journal.quarantined(session, &id(), 1, 9).unwrap(), (0, vec![]));
    assert_eq!(
        (journal.orders(session, &id()).unwrap(), journal.report(session, &id()).unwrap()),
        (Orders::default(), None)
    );
}

#[test]
fn a_journal_of_the_format_before_is_brought_forward_when_nothing_is_under_way() {
    let (dir, connector, mut session) = database();
    let app = Connection::open(dir.path().join("app.db")).unwrap();
    app.execute_batch(include_str!("fixtures/sqlite_journal_1.sql")).unwrap();
    app.execute_batch(
        "INSERT INTO segue_meta VALUES ('format', '1'), ('system', 'x'), ('database', 'y'); \
         INSERT INTO segue_migration VALUES ('old', 'c', 'p', 'h', 'done', 1, 0, 0), ('now', 'c', 'p', 'h', 'ready', 1, 0, 0); \
         INSERT INTO segue_checkpoint VALUES ('old', 1, 3, 1, 5, 9, 100)",
    )
    .unwrap();
    let (journal, session) = (connector.journal(), session.as_mut());
    for fail in [journal.install(session).unwrap_err(), journal.identity(session).unwrap_err()] {
        assert_eq!(fail.kind, FailKind::Usage);
        assert!(fail.message.contains("`now` is under way") && fail.message.contains("roll it back"), "{fail}");
    }
    assert!(journal.checkpoint(session, &id(), 1, 1).unwrap_err().kind == FailKind::Usage);
    app.execute_batch("UPDATE segue_migration SET state = 'rolled_back' WHERE id = 'now'").unwrap();
    assert_eq!(journal.identity(session).unwrap().system, "x");
    journal.install(session).unwrap();
    journal.install(session).unwrap();
    assert_eq!(journal.records(session).unwrap().len(), 2);
    journal.set_checkpoint(session, &id(), 1, &at(None)).unwrap();
    assert_eq!(journal.identity(session).unwrap().database, "y");
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
