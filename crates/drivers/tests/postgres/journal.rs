//! The journal's contract: what is written is read, leases pass on, leftovers end.

use std::thread;
use std::time::{Duration, Instant};

use segue_model::ident::MigrationId;
use segue_model::journal::{Claim, Event, Holder, Mark, Record, State};
use segue_model::session::{Begin, FailKind, Session};
use segue_testkit::client::Client;

use crate::{Database, LIMIT, on_each};

const WRITE: Begin = Begin::Write { lock_wait: Duration::from_secs(1) };
const EXPIRY: Duration = Duration::from_secs(30);

fn id(name: &str) -> MigrationId {
    MigrationId::new(name).unwrap()
}

fn installed(db: &Database) -> Box<dyn Session> {
    let mut session = db.session();
    db.connector.journal().install(session.as_mut()).unwrap();
    session
}

fn holder(session: &mut dyn Session, name: &str) -> Holder {
    let (pid, backend_start) = session.backend().unwrap();
    Holder { name: name.to_owned(), pid, backend_start }
}

fn claimed(db: &Database, session: &mut dyn Session, name: &str) -> Claim {
    let holder = holder(session, name);
    db.connector.journal().claim(session, &id("m"), &holder, EXPIRY).unwrap()
}

#[test]
fn two_runs_install_at_once_and_another_format_is_refused() {
    on_each(|mut db| {
        assert!(!db.connector.journal().exists(db.session().as_mut()).unwrap());
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| installed(&db));
            }
        });
        let mut session = installed(&db);
        let journal = db.connector.journal();
        assert!(journal.exists(session.as_mut()).unwrap());
        let identity = journal.identity(session.as_mut()).unwrap();
        assert_eq!(identity, session.server().unwrap().identity);
        let later = segue_model::server::Identity { timeline: 7, ..identity };
        journal.set_identity(session.as_mut(), &later).unwrap();
        assert_eq!(journal.identity(session.as_mut()).unwrap(), later);
        assert!(session.inspect().unwrap().tables.is_empty(), "the journal is no table of the application");
        assert_eq!(
            db.client.value("SELECT has_schema_privilege('public', 'segue', 'usage')::text").as_deref(),
            Some("false")
        );
        db.client.batch("UPDATE segue.meta SET format = 99");
        let fail = journal.install(session.as_mut()).unwrap_err();
        assert_eq!(fail.kind, FailKind::Usage);
        assert!(fail.message.contains("99") && fail.message.contains('2'), "{fail}");
    });
}

#[test]
fn what_is_written_is_read_and_goes_with_its_transaction() {
    on_each(|db| {
        let mut session = installed(&db);
        let (journal, session) = (db.connector.journal(), session.as_mut());
        let record = Record {
            id: id("m"),
            checksum: "sha256:1".into(),
            plan: "{\"x\": \"it's $1 \\\\ é\"}".repeat(1000),
            hash: "sha256:2".into(),
            state: State::Started,
            attempt: 1,
            state_age_s: 0,
            changed_at: String::new(),
        };
        session.begin(WRITE).unwrap();
        journal.start(session, &record).unwrap();
        session.rollback();
        assert_eq!(journal.records(session).unwrap(), []);
        journal.start(session, &record).unwrap();
        journal.start(session, &Record { attempt: 2, ..record.clone() }).unwrap();
        journal.set_state(session, &id("m"), State::Ready).unwrap();
        let found = journal.records(session).unwrap();
        assert_eq!((found.len(), found[0].attempt, found[0].state, &found[0].plan), (1, 2, State::Ready, &record.plan));
        assert!(found[0].changed_at.ends_with('Z') && found[0].state_age_s < 60, "{found:?}");
        assert!(journal.set_state(session, &id("nope"), State::Ready).is_err());
        let event = |step, mark| Event {
            migration: id("m"),
            attempt: 2,
            step,
            mark,
            pid: 7,
            backend_start: "then".into(),
            shape: "a\nb".into(),
            note: "{}".into(),
        };
        let events = [event(1, Mark::Intent), event(1, Mark::Done), event(2, Mark::Intent), event(1, Mark::UndoIntent)];
        events.iter().for_each(|event| journal.record(session, event).unwrap());
        assert_eq!(journal.events(session, &id("m"), 2).unwrap(), events);
        assert_eq!(journal.events(session, &id("m"), 1).unwrap(), []);
    });
}

#[test]
fn a_lease_is_held_while_its_backend_lives_and_taken_over_at_once_when_it_is_gone() {
    on_each(|mut db| {
        let (mut one, mut two) = (installed(&db), db.session());
        let journal = db.connector.journal();
        assert_eq!(journal.holder(one.as_mut(), &id("m")).unwrap(), None);
        assert_eq!(claimed(&db, one.as_mut(), "one"), Claim::Taken { epoch: 1, from: None });
        journal.beat(one.as_mut(), &id("m"), 1).unwrap();
        let Claim::Held { by, beat_age_s } = claimed(&db, two.as_mut(), "two") else { panic!("two have it") };
        assert_eq!((by.name.as_str(), beat_age_s), ("one", 0));
        assert!(journal.fence(one.as_mut(), &id("m"), 1).unwrap());
        // Gone without a word.
        let (pid, _) = one.backend().unwrap();
        db.client.rows(&format!("SELECT pg_terminate_backend({pid}), pg_sleep(0.3)"));
        assert_eq!(journal.holder(two.as_mut(), &id("m")).unwrap(), None);
        let Claim::Taken { epoch: 2, from: Some(from) } = claimed(&db, two.as_mut(), "two") else {
            panic!("not taken")
        };
        assert_eq!(from.name, "one");
        assert!(!journal.fence(two.as_mut(), &id("m"), 1).unwrap());
        assert!(journal.fence(two.as_mut(), &id("m"), 2).unwrap());
        // Alive, and silent for longer than allowed: it may only be slow.
        let silent = |client: &mut Client, since: &str| {
            client.batch(&format!("UPDATE segue.heartbeat SET at = clock_timestamp() - interval '{since}'"));
        };
        let mut three = db.session();
        silent(&mut db.client, "290 s");
        assert!(matches!(claimed(&db, three.as_mut(), "three"), Claim::Held { beat_age_s: 290.., .. }));
        silent(&mut db.client, "310 s");
        let Claim::Taken { epoch: 3, from: Some(_) } = claimed(&db, three.as_mut(), "three") else {
            panic!("not expired")
        };
        journal.beat(two.as_mut(), &id("m"), 2).unwrap();
        assert_eq!(db.client.value("SELECT epoch::text FROM segue.heartbeat").as_deref(), Some("3"));
        journal.release(two.as_mut(), &id("m"), 2).unwrap();
        assert!(journal.fence(three.as_mut(), &id("m"), 3).unwrap(), "an old epoch gives nothing back");
        journal.release(three.as_mut(), &id("m"), 3).unwrap();
        assert!(!journal.fence(three.as_mut(), &id("m"), 3).unwrap());
        assert_eq!(claimed(&db, two.as_mut(), "two"), Claim::Taken { epoch: 4, from: None });
    });
}

#[test]
fn a_holder_that_cannot_be_seen_is_judged_by_its_heartbeats() {
    on_each(|mut db| {
        let mut one = installed(&db);
        claimed(&db, one.as_mut(), "one");
        let server = db.server;
        server.role("sees_nothing");
        db.client.batch(
            "GRANT USAGE ON SCHEMA segue TO sees_nothing; GRANT ALL ON ALL TABLES IN SCHEMA segue TO sees_nothing",
        );
        let url = server.as_role(&db.url, "sees_nothing");
        let connector = segue_drivers::connector(&url, &std::collections::BTreeMap::new()).unwrap();
        let mut two = connector.connect("segue m control").unwrap();
        assert!(matches!(claimed(&db, two.as_mut(), "two"), Claim::Held { .. }));
        db.client.batch("UPDATE segue.heartbeat SET at = clock_timestamp() - interval '31 s'");
        assert!(matches!(claimed(&db, two.as_mut(), "two"), Claim::Taken { epoch: 2, .. }));
    });
}

#[test]
fn nobody_takes_over_between_the_fence_and_the_commit() {
    on_each(|mut db| {
        let (mut one, mut two) = (installed(&db), db.session());
        let journal = db.connector.journal();
        claimed(&db, one.as_mut(), "one");
        db.client.batch("UPDATE segue.heartbeat SET at = at - interval '1 hour'");
        one.begin(WRITE).unwrap();
        assert!(journal.fence(one.as_mut(), &id("m"), 1).unwrap());
        thread::scope(|scope| {
            let taken = scope.spawn(|| (claimed(&db, two.as_mut(), "two"), Instant::now()));
            thread::sleep(Duration::from_millis(300));
            let before = Instant::now();
            one.commit().unwrap();
            let (claim, at) = taken.join().unwrap();
            assert!(matches!(claim, Claim::Taken { epoch: 2, .. }) && at >= before);
        });
    });
}

#[test]
fn leftovers_of_this_migration_end_and_of_no_other() {
    on_each(|mut db| {
        let mut session = installed(&db);
        db.client.batch("CREATE TABLE t (id int); INSERT INTO t VALUES (1)");
        let mut worker = db.connector.connect("segue m worker 1").unwrap();
        let mut builder = db.connector.connect("segue m index").unwrap();
        let mut other = db.connector.connect("segue m2 worker 1").unwrap();
        db.client.batch("BEGIN; INSERT INTO t VALUES (2)");
        let cancel = builder.canceller();
        thread::scope(|scope| {
            let building = scope.spawn(|| builder.execute("CREATE INDEX CONCURRENTLY i ON t (id)", &[], LIMIT));
            thread::sleep(Duration::from_millis(300));
            let ended = db.connector.journal().end_leftovers(session.as_mut(), &id("m")).unwrap();
            let mut kept: Vec<_> = ended.iter().map(|l| (l.ended, l.query.contains("CONCURRENTLY"))).collect();
            kept.sort_unstable();
            assert_eq!(kept, [(false, true), (true, false)], "{ended:?}");
            cancel.cancel();
            assert_eq!(building.join().unwrap().unwrap_err().kind, FailKind::Cancelled);
        });
        assert_eq!(worker.query("SELECT 1", &[], LIMIT).unwrap_err().kind, FailKind::Lost);
        assert!(other.query("SELECT 1", &[], LIMIT).is_ok());
        db.client.batch("ROLLBACK");
    });
}
