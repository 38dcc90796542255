//! A journal that an older version made.

use std::collections::BTreeMap;
use std::thread;

use segue_drivers::connector;
use segue_model::bound::Bound;
use segue_model::ident::MigrationId;
use segue_model::journal::Checkpoint;
use segue_model::session::FailKind;

use crate::{Database, on_each};

/// What the version before this one created, with a migration that is finished and one that is not.
fn with_format_1(db: &mut Database) {
    db.client.batch("CREATE SCHEMA segue");
    db.client.batch(include_str!("../fixtures/postgres_journal_1.sql"));
    db.client.batch(
        "INSERT INTO segue.meta (format, system, database, timeline) VALUES (1, 'x', 'y', 1); \
         INSERT INTO segue.migration VALUES ('old', 'c', 'p', 'h', 'done', 1, now(), now()), \
         ('now', 'c', 'p', 'h', 'ready', 1, now(), now()); \
         INSERT INTO segue.checkpoint VALUES ('old', 1, 3, 1, 5, 9, 100, now())",
    );
}

#[test]
fn it_is_brought_forward_when_nothing_is_under_way() {
    on_each(|mut db| {
        with_format_1(&mut db);
        let mut session = db.session();
        let (journal, session) = (db.connector.journal(), session.as_mut());
        let fail = journal.install(session).unwrap_err();
        assert_eq!(fail.kind, FailKind::Usage);
        assert!(fail.message.contains("`now` is under way") && fail.message.contains("roll it back"), "{fail}");
        let id = MigrationId::new("now").unwrap();
        assert_eq!(journal.checkpoint(session, &id, 1, 3).unwrap_err().kind, FailKind::Usage);
        assert_eq!(journal.check_readable(session).unwrap_err(), fail);
        assert_eq!(journal.records(session).unwrap().len(), 2);
        db.client.batch("UPDATE segue.migration SET state = 'rolled_back' WHERE id = 'now'");
        thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| journal.install(db.session().as_mut()).unwrap());
            }
        });
        journal.install(session).unwrap();
        assert_eq!(
            (journal.records(session).unwrap().len(), journal.identity(session).unwrap().system),
            (2, "x".into())
        );
        let end = Bound::number(9);
        let at = Checkpoint { step: 3, pass: 1, next: None, end, spans: 0, done: 0, total: 0, rows: 0 };
        journal.set_checkpoint(session, &id, 2, &at).unwrap();
        assert_eq!(journal.checkpoint(session, &id, 2, 3).unwrap(), Some(at));
        journal.check_readable(session).unwrap();
        db.client.batch("UPDATE segue.meta SET format = 99");
        let fail = journal.check_readable(session).unwrap_err();
        assert!(fail.kind == FailKind::Usage && fail.message.contains("has format 99"), "{fail}");
        let keyless = "SELECT count(*)::text FROM pg_class c WHERE relnamespace = 'segue'::regnamespace AND relkind = 'r' \
                       AND NOT EXISTS (SELECT FROM pg_constraint k WHERE k.conrelid = c.oid AND k.contype = 'p')";
        assert_eq!(db.client.value(keyless).as_deref(), Some("0"));
    });
}

#[test]
fn a_role_that_does_not_own_it_is_told() {
    on_each(|mut db| {
        with_format_1(&mut db);
        db.server.role("no_owner");
        db.client.batch(
            "UPDATE segue.migration SET state = 'done'; GRANT USAGE ON SCHEMA segue TO no_owner; \
             GRANT ALL ON ALL TABLES IN SCHEMA segue TO no_owner",
        );
        let url = db.server.as_role(&db.url, "no_owner");
        let connector = connector(&url, &BTreeMap::new()).unwrap();
        let fail = connector.journal().install(connector.connect("segue now main").unwrap().as_mut()).unwrap_err();
        assert_eq!(fail.kind, FailKind::Permission);
        assert!(fail.message.contains("by the role that owns the schema segue"), "{fail}");
    });
}
