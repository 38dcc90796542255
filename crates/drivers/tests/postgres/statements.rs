//! Statements that are sent many times, and what a transaction costs.

use std::time::{Duration, Instant};

use segue_model::session::{Begin, FailKind, Session};
use segue_model::value::Value;

use crate::{LIMIT, on_each};

const WRITE: Begin = Begin::Write { lock_wait: Duration::from_millis(100) };

fn prepared(session: &mut dyn Session) -> i64 {
    let rows = session.query("SELECT count(*) FROM pg_prepared_statements", &[], LIMIT).unwrap();
    rows[0][0].as_i64().unwrap()
}

#[test]
fn a_statement_is_prepared_once_and_few_are_kept() {
    on_each(|db| {
        let mut session = db.session();
        let session = session.as_mut();
        for n in 0..20 {
            assert_eq!(
                session.query("SELECT $1::int + 1", &[Value::Int(n)], LIMIT).unwrap()[0][0].as_i64(),
                Some(n + 1)
            );
        }
        assert_eq!(prepared(session), 1);
        for n in 0..200 {
            let sql = format!("SELECT $1::int + {n}");
            session.query(&sql, &[Value::Int(1)], LIMIT).unwrap();
            session.query(&sql, &[Value::Int(1)], LIMIT).unwrap();
            // Fails after it was prepared, and before.
            assert!(session.query(&format!("SELECT {n} / $1::int"), &[Value::Int(0)], LIMIT).is_err());
            assert!(session.query(&format!("SELECT nope{n} / $1::int"), &[Value::Int(0)], LIMIT).is_err());
        }
        assert!(prepared(session) < 70, "{}", prepared(session));
    });
}

#[test]
fn a_statement_whose_tables_changed_is_prepared_again() {
    on_each(|mut db| {
        db.client.batch("CREATE TABLE t (id int, a int); INSERT INTO t VALUES (1, 2)");
        let mut session = db.session();
        let session = session.as_mut();
        let sql = "SELECT * FROM t WHERE id = $1::int";
        let ask = |session: &mut dyn Session| session.query(sql, &[Value::Int(1)], LIMIT);
        assert_eq!(ask(session).unwrap()[0].len(), 2);
        db.client.batch("ALTER TABLE t ADD COLUMN b int");
        assert_eq!(ask(session).unwrap()[0].len(), 3);
        // Within a transaction there is no second try, and the next transaction succeeds.
        db.client.batch("ALTER TABLE t DROP COLUMN a");
        session.begin(WRITE).unwrap();
        let fail = ask(session).unwrap_err();
        assert!(fail.is_transient(), "{fail:?}");
        session.rollback();
        session.begin(WRITE).unwrap();
        assert_eq!(ask(session).unwrap()[0].len(), 2);
        session.commit().unwrap();
        // Dropped behind our back.
        session.execute("DEALLOCATE ALL", &[], LIMIT).unwrap();
        assert_eq!(ask(session).unwrap()[0].len(), 2);
        // What the server really does not have is no such case.
        let real = "DO $$ BEGIN RAISE EXCEPTION USING ERRCODE = '0A000', MESSAGE = 'x'; END $$";
        assert_eq!(session.execute(real, &[], LIMIT).unwrap_err().kind, FailKind::Server);
    });
}

#[test]
fn a_transaction_that_could_not_begin_runs_nothing() {
    on_each(|mut db| {
        db.client.batch("CREATE TABLE t (id int)");
        let mut session = db.session();
        // Not even parsed, so the server has no transaction.
        session.begin(WRITE).unwrap();
        assert_eq!(session.execute("SELEC", &[], LIMIT).unwrap_err().kind, FailKind::Syntax);
        assert!(session.execute("INSERT INTO t VALUES (1)", &[], LIMIT).is_err());
        assert!(session.server().is_err());
        assert!(session.commit().is_err());
        assert_eq!(db.client.value("SELECT count(*)::text FROM t").as_deref(), Some("0"));
        // One without a statement is none, and the position of a mistake is that in the statement.
        session.begin(WRITE).unwrap();
        session.commit().unwrap();
        session.begin(WRITE).unwrap();
        let fail = session.query("SELECT $1, nope", &["é".into()], LIMIT).unwrap_err();
        assert_eq!(fail.position, Some("SELECT $1, ".len()));
        session.rollback();
        session.begin(WRITE).unwrap();
        assert!(session.server().unwrap().superuser);
        assert_eq!(session.execute("INSERT INTO t VALUES (1)", &[], LIMIT).unwrap(), 1);
        session.rollback();
        assert_eq!(db.client.value("SELECT count(*)::text FROM t").as_deref(), Some("0"));
    });
}

#[test]
fn a_row_that_somebody_has_locked_is_waited_for_no_longer_than_said() {
    on_each(|mut db| {
        db.client.batch("CREATE TABLE t (id int, n int); INSERT INTO t VALUES (1, 1), (2, 1)");
        db.client.batch("BEGIN; UPDATE t SET n = 2 WHERE id = 1");
        let mut session = db.session();
        let sql = "UPDATE t SET n = $1::int";
        for first in [true, false] {
            session.begin(WRITE).unwrap();
            if !first {
                session.query("SELECT 1", &[], LIMIT).unwrap();
            }
            let begun = Instant::now();
            assert_eq!(session.execute(sql, &[Value::Int(3)], LIMIT).unwrap_err().kind, FailKind::LockTimeout);
            assert!((Duration::from_millis(90)..Duration::from_millis(900)).contains(&begun.elapsed()));
            session.rollback();
        }
        db.client.batch("COMMIT");
        session.begin(WRITE).unwrap();
        assert_eq!(session.execute(sql, &[Value::Int(3)], LIMIT).unwrap(), 2);
        session.commit().unwrap();
    });
}

#[test]
fn each_statement_of_a_transaction_has_its_own_limit() {
    on_each(|db| {
        let mut session = db.session();
        session.begin(WRITE).unwrap();
        let short = Duration::from_millis(400);
        for _ in 0..3 {
            session.query("SELECT pg_sleep(0.3), $1", &["x".into()], short).unwrap();
        }
        let begun = Instant::now();
        assert_eq!(session.query("SELECT pg_sleep(5), $1", &["x".into()], short).unwrap_err().kind, FailKind::Deadline);
        assert!(begun.elapsed() < Duration::from_secs(1));
        session.rollback();
        // What went with the transaction is set again.
        session.query("SELECT pg_sleep(0.6), $1", &["x".into()], LIMIT).unwrap();
    });
}
