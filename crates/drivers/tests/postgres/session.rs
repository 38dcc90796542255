//! Connecting, statements, transactions, locks, deadlines, cancelling.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::net::TcpListener;
use std::thread;
use std::time::{Duration, Instant};

use segue_drivers::connector;
use segue_model::lock::{LockMode, RelationLock};
use segue_model::session::{Begin, FailKind, Session};
use segue_model::value::Value;
use segue_testkit::client::Client;
use segue_testkit::process::signal;

use crate::{LIMIT, on_each, table};

const WRITE: Begin = Begin::Write { lock_wait: Duration::from_millis(50) };

fn kind_of(session: &mut dyn Session, sql: &str) -> FailKind {
    let fail = session.execute(sql, &[], LIMIT).expect_err(sql);
    assert!(fail.code.is_some(), "{fail:?}");
    fail.kind
}

#[test]
fn failures_are_translated() {
    on_each(|mut db| {
        db.client.batch(
            "CREATE TABLE t (id int PRIMARY KEY, n int NOT NULL CHECK (n > 0)); CREATE TABLE c (t int REFERENCES t); \
             INSERT INTO t VALUES (1, 1)",
        );
        let mut session = db.session();
        let cases = [
            ("INSERT INTO t VALUES (1, 1)", FailKind::Unique),
            ("INSERT INTO t VALUES (2, NULL)", FailKind::NotNull),
            ("INSERT INTO t VALUES (2, -1)", FailKind::Check),
            ("INSERT INTO c VALUES (9)", FailKind::ForeignKey),
            ("SELECT 'x'::int", FailKind::Conversion),
            ("SELECT 1/0", FailKind::Conversion),
            ("SELEC", FailKind::Syntax),
            ("SELECT nope FROM t", FailKind::Undefined),
            ("SELECT * FROM nope", FailKind::Undefined),
            ("SELECT nope(1)", FailKind::Undefined),
            ("SELECT 1::nope", FailKind::Undefined),
            ("CREATE TABLE t ()", FailKind::Duplicate),
            ("ALTER TABLE t ADD COLUMN n int", FailKind::Duplicate),
            ("DO $$ BEGIN RAISE EXCEPTION USING ERRCODE = '53100', MESSAGE = 'x'; END $$", FailKind::DiskFull),
            ("DO $$ BEGIN RAISE EXCEPTION USING ERRCODE = '40P01', MESSAGE = 'x'; END $$", FailKind::Deadlock),
            ("DO $$ BEGIN RAISE EXCEPTION USING ERRCODE = '40001', MESSAGE = 'x'; END $$", FailKind::Serialization),
            ("DO $$ BEGIN RAISE EXCEPTION 'x'; END $$", FailKind::Server),
        ];
        for (sql, kind) in cases {
            assert_eq!(kind_of(session.as_mut(), sql), kind, "{sql}");
        }
        session.begin(Begin::Read).unwrap();
        assert_eq!(kind_of(session.as_mut(), "INSERT INTO t VALUES (3, 3)"), FailKind::ReadOnly);
        session.rollback();
    });
}

#[test]
fn a_message_never_holds_row_data_and_points_into_the_statement() {
    on_each(|mut db| {
        db.client.batch("CREATE TABLE t (email text UNIQUE); INSERT INTO t VALUES ('secret@x')");
        let mut session = db.session();
        for sql in
            ["INSERT INTO t VALUES ('secret@x')", "SELECT email::int FROM t", "SELECT (email || '\"')::date FROM t"]
        {
            let fail = session.execute(sql, &[], LIMIT).unwrap_err();
            assert!(!format!("{fail:?}").contains("secret"), "{fail:?}");
        }
        let fail = session.query("SELECT 'é', nope", &[], LIMIT).unwrap_err();
        assert_eq!(fail.position, Some("SELECT 'é', ".len()));
        let fail = session.query("SELECT $1, nope", &["é".into()], LIMIT).unwrap_err();
        assert_eq!(fail.position, Some("SELECT $1, ".len()));
    });
}

#[test]
fn values_go_in_and_out_as_text_whatever_they_hold() {
    on_each(|db| {
        let mut session = db.session();
        for hostile in ["", "we\"ird 'n' \\ $1 {x} $$ é 🐘\n--", "'; DROP TABLE t; --"] {
            let rows =
                session.query("SELECT $1, $1::text = $2 -- end", &[hostile.into(), hostile.into()], LIMIT).unwrap();
            assert_eq!(rows, [[Value::from(hostile), Value::from("t")]]);
        }
        let rows = session
            .query(
                "SELECT $1::bigint + 1, now() IS NOT NULL, ARRAY[1,2], ROW(1,'a'), NULL, $2",
                &[Value::Int(41), Value::Null],
                LIMIT,
            )
            .unwrap();
        assert_eq!(rows[0][0].as_i64(), Some(42));
        assert_eq!(rows[0][2].as_str(), Some("{1,2}"));
        assert_eq!(rows[0][4..], [Value::Null, Value::Null]);
        session.execute("CREATE TABLE t (id int)", &[], LIMIT).unwrap();
        let sql = "INSERT INTO t SELECT generate_series(1, $1::int)";
        assert_eq!(session.execute(sql, &[Value::Int(7)], LIMIT).unwrap(), 7);
        assert_eq!(session.query("SELECT 'a\0'", &[], LIMIT).unwrap_err().kind, FailKind::Conversion);
        // A statement that failed does not stand in the way of the next.
        assert!(session.query("SELECT 1 / $1::int", &[Value::Int(0)], LIMIT).is_err());
        assert!(session.query("SELECT 1 / $1::int", &[Value::Int(1)], LIMIT).is_ok());
    });
}

#[test]
fn a_transaction_that_failed_is_not_committed_in_silence() {
    on_each(|mut db| {
        let mut session = db.session();
        session.begin(WRITE).unwrap();
        session.execute("CREATE TABLE t (id int)", &[], LIMIT).unwrap();
        assert!(session.execute("nonsense", &[], LIMIT).is_err());
        assert!(session.commit().is_err());
        assert_eq!(db.client.value("SELECT to_regclass('t')::text"), None);
        // And after going back to a savepoint it is committed.
        session.begin(WRITE).unwrap();
        session.execute("CREATE TABLE t (id int); SAVEPOINT s", &[], LIMIT).unwrap();
        assert!(session.execute("nonsense", &[], LIMIT).is_err());
        session.execute("ROLLBACK TO SAVEPOINT s", &[], LIMIT).unwrap();
        session.commit().unwrap();
        assert_eq!(db.client.value("SELECT to_regclass('t')::text").as_deref(), Some("t"));
        session.rollback();
    });
}

#[test]
fn locks_wait_no_longer_than_said_and_blockers_are_named() {
    on_each(|mut db| {
        db.client.batch(
            "CREATE SCHEMA \"we\"\"ird\"; CREATE TABLE \"we\"\"ird\".\"t {x}\" (id int); CREATE TABLE u (id int)",
        );
        let lock = |mode| RelationLock { relation: table("we\"ird", "t {x}"), mode };
        let mut session = db.session();
        db.client.batch("BEGIN; SELECT id, 'secret' FROM \"we\"\"ird\".\"t {x}\" WHERE id = 4711");
        session.begin(WRITE).unwrap();
        let begun = Instant::now();
        let fail = session.lock(&[lock(LockMode::AccessExclusive)]).unwrap_err();
        assert_eq!(fail.kind, FailKind::LockTimeout);
        assert!(begun.elapsed() < Duration::from_secs(1));
        session.rollback();
        assert_eq!(session.blockers(&[lock(LockMode::ShareRowExclusive)]).unwrap(), []);
        let blockers = session.blockers(&[lock(LockMode::AccessExclusive)]).unwrap();
        assert_eq!(blockers.len(), 1);
        assert_eq!(blockers[0].pid, i64::from(db.client.pid()));
        assert!(!blockers[0].query.contains("secret") && !blockers[0].query.contains("4711"), "{:?}", blockers[0]);
        db.client.batch("ROLLBACK");
        // Strongest last, several at once.
        session.begin(WRITE).unwrap();
        let both =
            [lock(LockMode::AccessExclusive), RelationLock { relation: table("public", "u"), mode: LockMode::Share }];
        session.lock(&both).unwrap();
        session.commit().unwrap();
        assert_eq!(session.blockers(&[]).unwrap(), []);
    });
}

#[test]
fn a_statement_ends_at_its_limit_and_the_session_goes_on() {
    on_each(|db| {
        let mut session = db.session();
        let begun = Instant::now();
        let fail = session.execute("SELECT pg_sleep(30)", &[], Duration::from_millis(300)).unwrap_err();
        assert_eq!(fail.kind, FailKind::Deadline);
        assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
        assert!(session.query("SELECT 1", &[], LIMIT).is_ok());
    });
}

#[test]
fn a_stopped_backend_is_given_up_at_the_deadline() {
    on_each(|db| {
        let mut session = db.session();
        let (pid, _) = session.backend().unwrap();
        let pid = u32::try_from(pid).unwrap();
        assert!(signal(pid, "STOP"));
        let begun = Instant::now();
        let fail = session.query("SELECT 1", &[], Duration::from_millis(200)).unwrap_err();
        let took = begun.elapsed();
        let next = session.query("SELECT 1", &[], LIMIT).unwrap_err();
        assert!(signal(pid, "CONT"));
        assert_eq!((fail.kind, next.kind), (FailKind::Deadline, FailKind::Lost));
        assert!(took < Duration::from_secs(4), "{took:?}");
    });
}

#[test]
fn a_server_that_never_answers_is_given_up_at_the_deadline() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let silent = thread::spawn(move || {
        // Both tries of `prefer` are taken and left alone until the client goes.
        for stream in listener.incoming().take(1) {
            drop(stream.unwrap().read_to_end(&mut Vec::new()));
        }
    });
    let url = format!("postgres://me:topsecret@127.0.0.1:{port}/x?connect_timeout=1");
    let begun = Instant::now();
    let connector = connector(&url, &BTreeMap::new()).unwrap();
    let fail = connector.connect("segue x main").err().unwrap();
    assert_eq!(fail.kind, FailKind::Connect);
    assert!(begun.elapsed() < Duration::from_secs(3));
    assert!(!format!("{fail:?} {}", connector.address()).contains("topsecret"));
    silent.join().unwrap();
}

#[test]
fn a_terminated_backend_is_a_lost_connection_idle_or_not() {
    on_each(|mut db| {
        let mut session = db.session();
        let (pid, _) = session.backend().unwrap();
        db.client.rows(&format!("SELECT pg_terminate_backend({pid}), pg_sleep(0.2)"));
        assert_eq!(session.query("SELECT 1", &[], LIMIT).unwrap_err().kind, FailKind::Lost);
        let mut session = db.session();
        let (pid, _) = session.backend().unwrap();
        let url = db.url.clone();
        let killer = thread::spawn(move || {
            Client::connect(&url).rows(&format!("SELECT pg_sleep(0.3), pg_terminate_backend({pid})"));
        });
        assert_eq!(session.query("SELECT pg_sleep(20)", &[], LIMIT).unwrap_err().kind, FailKind::Lost);
        killer.join().unwrap();
    });
}

#[test]
fn another_thread_cancels_and_the_session_goes_on() {
    on_each(|db| {
        let mut session = db.session();
        let cancel = session.canceller();
        let thread = thread::spawn(move || {
            thread::sleep(Duration::from_millis(300));
            cancel.cancel();
        });
        let begun = Instant::now();
        let fail = session.query("SELECT pg_sleep(20)", &[], LIMIT).unwrap_err();
        assert_eq!(fail.kind, FailKind::Cancelled);
        assert!(begun.elapsed() < Duration::from_secs(3));
        thread.join().unwrap();
        assert!(session.query("SELECT 1", &[], LIMIT).is_ok());
    });
}

#[test]
fn concurrent_index_builds_outlast_the_lock_wait() {
    on_each(|mut db| {
        db.client.batch("CREATE TABLE t (id int); INSERT INTO t SELECT generate_series(1, 100)");
        let mut reader = Client::connect(&db.url);
        reader.batch("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM t");
        let ender = thread::spawn(move || {
            thread::sleep(Duration::from_millis(5_500));
            reader.batch("COMMIT");
        });
        let mut session = db.session();
        session.execute("CREATE INDEX CONCURRENTLY i ON t (id)", &[], LIMIT).unwrap();
        ender.join().unwrap();
    });
}

#[test]
fn the_session_keeps_what_the_application_has_and_pins_the_rest() {
    on_each(|mut db| {
        let name = db.client.value("SELECT current_database()").unwrap().replace('"', "\"\"");
        db.client.batch(&format!(
            "CREATE SCHEMA \"App é\"; ALTER DATABASE \"{name}\" SET timezone = 'Asia/Tokyo'; \
             ALTER DATABASE \"{name}\" SET search_path = \"$user\", \"App é\", missing, public; \
             ALTER DATABASE \"{name}\" SET standard_conforming_strings = off; \
             ALTER DATABASE \"{name}\" SET bytea_output = 'escape'"
        ));
        let mut session = db.session();
        let server = session.server().unwrap();
        assert_eq!(server.version.major, db.major);
        assert_eq!(server.settings["TimeZone"], "Asia/Tokyo");
        assert_eq!(server.settings["search_path"], "\"App é\", public");
        assert_eq!(server.settings["bytea_output"], "escape");
        assert_eq!(server.settings["session_replication_role"], "origin");
        assert!(!server.standby && !server.pooled && !server.read_only && server.superuser);
        assert!(
            server.identity.system.parse::<u64>().is_ok() && server.identity.timeline == 1,
            "{:?}",
            server.identity
        );
        let mut show = |name: &str| server_value(session.as_mut(), name);
        assert_eq!(show("TimeZone"), "Asia/Tokyo");
        assert_eq!(show("standard_conforming_strings"), "on");
        assert_eq!(show("bytea_output"), "hex");
        assert_eq!(show("application_name"), "segue 20261120_test main");
        assert_eq!(show("idle_in_transaction_session_timeout"), "1min");
        assert_eq!(show("row_security"), "off");
        assert_eq!(session.inspect().unwrap().search_path.len(), 2);
        // Reading a catalog in a transaction of ours is no read-only session.
        session.begin(Begin::Read).unwrap();
        assert!(!session.server().unwrap().read_only);
    });
}

fn server_value(session: &mut dyn Session, name: &str) -> String {
    let rows = session.query("SELECT current_setting($1)", &[name.into()], LIMIT).unwrap();
    rows[0][0].as_str().unwrap().to_owned()
}

#[test]
fn a_read_only_role_and_a_wrong_login_are_told() {
    on_each(|mut db| {
        let name = db.client.value("SELECT current_database()").unwrap().replace('"', "\"\"");
        db.client.batch(&format!("ALTER DATABASE \"{name}\" SET default_transaction_read_only = on"));
        assert!(db.session().server().unwrap().read_only);
        let wrong = db.url.rsplit_once('/').unwrap().0.to_owned() + "/no_such_database_here";
        let fail = connector(&wrong, &BTreeMap::new()).unwrap().connect("segue x main").err().unwrap();
        assert_eq!((fail.kind, fail.code.as_deref()), (FailKind::Usage, Some("3D000")));
        assert!(fail.message.contains("check the database's name in the URL"), "{fail}");
        assert!(db.session().lagging_standbys().unwrap().is_empty());
    });
}

#[test]
fn a_run_that_stops_with_a_lock_in_hand_is_ended() {
    on_each(|mut db| {
        db.client.batch("CREATE TABLE t (id int)");
        let lock = RelationLock { relation: table("public", "t"), mode: LockMode::AccessExclusive };
        let mut session = db.session();
        session.begin(WRITE).unwrap();
        session.lock(std::slice::from_ref(&lock)).unwrap();
        assert_eq!(server_value(session.as_mut(), "idle_in_transaction_session_timeout"), "2s");
        let begun = Instant::now();
        db.client.batch("SELECT count(*) FROM t");
        assert!(begun.elapsed() < Duration::from_secs(4), "{:?}", begun.elapsed());
        thread::sleep(Duration::from_millis(500));
        assert_eq!(session.commit().unwrap_err().kind, FailKind::Lost);
        // What may take long has the usual time between its statements, and so has the next transaction.
        let mut session = db.session();
        session.begin(WRITE).unwrap();
        session.commit().unwrap();
        session.begin(Begin::Write { lock_wait: Duration::from_secs(60) }).unwrap();
        assert_eq!(server_value(session.as_mut(), "idle_in_transaction_session_timeout"), "1min");
    });
}

#[test]
fn no_limit_of_the_server_s_own_ends_a_transaction() {
    on_each(|mut db| {
        let name = db.client.value("SELECT current_database()").unwrap().replace('"', "\"\"");
        let settings = if db.major >= 17 {
            ["statement_timeout", "transaction_timeout"].as_slice()
        } else {
            &["statement_timeout"]
        };
        for setting in settings {
            db.client.batch(&format!("ALTER DATABASE \"{name}\" SET {setting} = 300"));
        }
        let mut session = db.session();
        session.begin(WRITE).unwrap();
        session.query("SELECT pg_sleep(0.6)", &[], LIMIT).unwrap();
        session.commit().unwrap();
    });
}

#[test]
fn a_role_that_is_set_at_login_and_cannot_see_its_own_sessions_is_told() {
    on_each(|mut db| {
        let name = db.client.value("SELECT current_database()").unwrap().replace('"', "\"\"");
        db.server.role("vault");
        db.server.role("The Owner");
        db.client.batch(&format!(
            "GRANT \"The Owner\" TO vault; ALTER ROLE vault IN DATABASE \"{name}\" SET role = 'The Owner'"
        ));
        let url = db.server.as_role(&db.url, "vault");
        let mut session = connector(&url, &BTreeMap::new()).unwrap().connect("segue x control").unwrap();
        let fail = session.backend().unwrap_err();
        assert_eq!(fail.kind, FailKind::Usage);
        assert!(fail.message.contains("GRANT pg_read_all_stats TO \"The Owner\","), "{fail}");
        db.client.batch("GRANT pg_read_all_stats TO \"The Owner\"");
        let mut session = connector(&url, &BTreeMap::new()).unwrap().connect("segue x control").unwrap();
        let seen = session.backend();
        db.client.batch("REVOKE pg_read_all_stats FROM \"The Owner\"");
        assert!(!seen.unwrap().1.is_empty());
    });
}
