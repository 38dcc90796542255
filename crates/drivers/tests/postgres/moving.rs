//! The journal of moving data: frontiers, spans, quarantine, orders, reports.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant};

use segue_drivers::connector;
use segue_model::bound::Bound;
use segue_model::ident::MigrationId;
use segue_model::journal::{Checkpoint, Holder, Orders, Quarantined, Span, Worker};
use segue_model::session::{Begin, FailKind, Session};
use segue_model::tuning::{Hours, Limits, Tuning};
use segue_model::value::Value;

use crate::{Database, LIMIT, on_each};

const WRITE: Begin = Begin::Write { lock_wait: Duration::from_millis(200) };
const EXPIRY: Duration = Duration::from_secs(30);

fn id() -> MigrationId {
    MigrationId::new("m").unwrap()
}

fn installed(db: &Database) -> Box<dyn Session> {
    let mut session = db.session();
    db.connector.journal().install(session.as_mut()).unwrap();
    session
}

fn worker(session: &mut dyn Session) -> Worker {
    let (pid, backend_start) = session.backend().unwrap();
    Worker { pid, backend_start }
}

fn pass(next: Option<i64>) -> Checkpoint {
    let (next, end) = (next.map(Bound::number), Bound::key(vec![Value::from("é \"'\\"), Value::Int(i64::MAX)]));
    Checkpoint { step: 1, pass: 1, next, end, spans: 2, done: 10, total: 100, rows: 5 }
}

fn span(number: i64, waits: bool) -> Span {
    let next = Some(Bound::key(vec![Value::from("é \"'\\"), Value::Int(-1)]));
    Span { step: 1, number, pass: 1, next, end: Bound::number(9), done: 3, rows: 2, waits }
}

#[test]
fn a_frontier_is_cut_by_one_at_a_time() {
    on_each(|db| {
        let (mut one, mut two) = (installed(&db), db.session());
        let journal = db.connector.journal();
        assert_eq!(journal.checkpoint(one.as_mut(), &id(), 1, 1).unwrap(), None);
        assert_eq!(journal.checkpoint_to_cut(one.as_mut(), &id(), 1, 1).unwrap(), None);
        journal.set_checkpoint(one.as_mut(), &id(), 1, &pass(Some(i64::MIN))).unwrap();
        assert_eq!(journal.checkpoint(one.as_mut(), &id(), 2, 1).unwrap(), None);
        one.begin(WRITE).unwrap();
        assert_eq!(journal.checkpoint_to_cut(one.as_mut(), &id(), 1, 1).unwrap(), Some(pass(Some(i64::MIN))));
        two.begin(WRITE).unwrap();
        let fail = journal.checkpoint_to_cut(two.as_mut(), &id(), 1, 1).unwrap_err();
        assert_eq!(fail.kind, FailKind::LockTimeout);
        two.rollback();
        assert_eq!(journal.checkpoint(two.as_mut(), &id(), 1, 1).unwrap(), Some(pass(Some(i64::MIN))));
        journal.set_checkpoint(one.as_mut(), &id(), 1, &pass(None)).unwrap();
        one.commit().unwrap();
        assert_eq!(journal.checkpoint(two.as_mut(), &id(), 1, 1).unwrap(), Some(pass(None)));
    });
}

#[test]
fn a_span_goes_on_from_where_it_was_and_its_figures_are_added_once() {
    on_each(|mut db| {
        let mut session = installed(&db);
        let (journal, session) = (db.connector.journal(), session.as_mut());
        journal.set_checkpoint(session, &id(), 1, &pass(None)).unwrap();
        let us = worker(session);
        journal.put_span(session, &id(), 1, &span(2, true), None).unwrap();
        journal.put_span(session, &id(), 1, &span(1, false), Some(&us)).unwrap();
        assert_eq!(journal.spans(session, &id(), 1, 1).unwrap(), [span(1, false), span(2, true)]);
        assert_eq!(journal.spans(session, &id(), 1, 2).unwrap(), []);
        let mut further = Span { done: 7, rows: 6, ..span(1, false) };
        for n in 0..1000 {
            further.next = Some(Bound::number(n));
            journal.put_span(session, &id(), 1, &further, Some(&us)).unwrap();
        }
        assert_eq!(journal.spans(session, &id(), 1, 1).unwrap()[0], further);
        for _ in 0..2 {
            journal.end_span(session, &id(), 1, &further).unwrap();
            let now = journal.checkpoint(session, &id(), 1, 1).unwrap().unwrap();
            assert_eq!((now.done, now.rows, now.total), (17, 11, 100));
        }
        assert_eq!(journal.spans(session, &id(), 1, 1).unwrap(), [span(2, true)]);
        // The first page tells where the root is: no window adds to the index.
        let pages = db.client.value("SELECT (pg_relation_size('segue.span_pkey') / 8192)::text");
        assert_eq!(pages.as_deref(), Some("2"));
        journal.forget(session, &id()).unwrap();
        assert_eq!(journal.spans(session, &id(), 1, 1).unwrap(), []);
    });
}

#[test]
fn workers_that_race_never_get_the_same_span() {
    on_each(|db| {
        let mut session = installed(&db);
        let journal = db.connector.journal();
        journal.set_checkpoint(session.as_mut(), &id(), 1, &pass(None)).unwrap();
        for number in 1..=300 {
            journal.put_span(session.as_mut(), &id(), 1, &span(number, false), None).unwrap();
        }
        let taken = Mutex::new(Vec::new());
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    let mut session = db.session();
                    let us = worker(session.as_mut());
                    loop {
                        session.begin(WRITE).unwrap();
                        let span = journal.take_span(session.as_mut(), &id(), 1, 1, &us, false).unwrap();
                        session.commit().unwrap();
                        let Some(span) = span else { break };
                        taken.lock().unwrap().push(span.number);
                    }
                    session
                });
            }
        });
        let mut taken = taken.into_inner().unwrap();
        taken.sort_unstable();
        // The first to end has left its spans to the others, who may have them again: none of the living has one twice.
        taken.dedup();
        assert_eq!(taken, (1..=300).collect::<Vec<_>>());
    });
}

#[test]
fn a_span_of_another_pass_is_not_taken() {
    on_each(|db| {
        let mut session = installed(&db);
        let journal = db.connector.journal();
        journal.set_checkpoint(session.as_mut(), &id(), 1, &pass(None)).unwrap();
        let us = worker(session.as_mut());
        let ours = span(2, false);
        let other = Span { pass: ours.pass + 1, ..span(1, false) };
        for span in [&other, &ours] {
            journal.put_span(session.as_mut(), &id(), 1, span, None).unwrap();
        }
        let mut take = || journal.take_span(session.as_mut(), &id(), 1, 1, &us, false).unwrap();
        assert_eq!([take(), take()], [Some(ours), None]);
    });
}

#[test]
fn a_span_is_free_when_its_worker_is_gone_and_not_while_it_lives_or_is_hidden() {
    on_each(|mut db| {
        let (mut one, mut two) = (installed(&db), db.session());
        let journal = db.connector.journal();
        let (first, second) = (worker(one.as_mut()), worker(two.as_mut()));
        journal.set_checkpoint(one.as_mut(), &id(), 1, &pass(None)).unwrap();
        journal.put_span(one.as_mut(), &id(), 1, &span(1, false), None).unwrap();
        journal.put_span(one.as_mut(), &id(), 1, &span(2, true), None).unwrap();
        // Somebody is taking it: passed over without a wait.
        one.begin(WRITE).unwrap();
        assert!(journal.take_span(one.as_mut(), &id(), 1, 1, &first, false).unwrap().is_some());
        let begun = Instant::now();
        assert_eq!(journal.take_span(two.as_mut(), &id(), 1, 1, &second, false).unwrap(), None);
        assert!(begun.elapsed() < Duration::from_millis(150));
        one.commit().unwrap();
        assert_eq!(journal.take_span(two.as_mut(), &id(), 1, 1, &second, false).unwrap(), None);
        assert_eq!(journal.take_span(two.as_mut(), &id(), 1, 1, &second, true).unwrap(), Some(span(2, true)));
        // A role that cannot see the worker takes nothing from it.
        db.server.role("sees_no_worker");
        db.client.batch(
            "GRANT USAGE ON SCHEMA segue TO sees_no_worker; GRANT ALL ON ALL TABLES IN SCHEMA segue TO sees_no_worker",
        );
        let url = db.server.as_role(&db.url, "sees_no_worker");
        let mut blind = connector(&url, &BTreeMap::new()).unwrap().connect("segue m worker").unwrap();
        let third = worker(blind.as_mut());
        assert_eq!(journal.take_span(blind.as_mut(), &id(), 1, 1, &third, false).unwrap(), None);
        // A worker that came after the look of the same transaction is no dead one.
        two.begin(WRITE).unwrap();
        assert_eq!(journal.take_span(two.as_mut(), &id(), 1, 1, &second, false).unwrap(), None);
        let mut late = db.session();
        let fourth = worker(late.as_mut());
        journal.put_span(late.as_mut(), &id(), 1, &span(3, false), Some(&fourth)).unwrap();
        assert_eq!(journal.take_span(two.as_mut(), &id(), 1, 1, &second, false).unwrap(), None);
        two.commit().unwrap();
        db.client.rows(&format!("SELECT pg_terminate_backend({}), pg_sleep(0.3)", first.pid));
        assert_eq!(journal.take_span(blind.as_mut(), &id(), 1, 1, &third, false).unwrap(), Some(span(1, false)));
        // A process of the same number, and of another time.
        let other = Worker { backend_start: "2001-01-01 00:00:00.000000".into(), ..second.clone() };
        journal.put_span(two.as_mut(), &id(), 1, &span(1, false), Some(&other)).unwrap();
        assert_eq!(journal.take_span(two.as_mut(), &id(), 1, 1, &second, false).unwrap(), Some(span(1, false)));
        // A stranger has that number now, and the role cannot see since when.
        let pid = db.client.value("SELECT pg_backend_pid()::text").unwrap().parse().unwrap();
        journal.put_span(two.as_mut(), &id(), 1, &span(1, false), Some(&Worker { pid, ..other })).unwrap();
        assert_eq!(journal.take_span(blind.as_mut(), &id(), 1, 1, &third, false).unwrap(), Some(span(1, false)));
    });
}

#[test]
fn rows_are_quarantined_whatever_their_keys_hold() {
    on_each(|db| {
        let mut session = installed(&db);
        let (journal, session) = (db.connector.journal(), session.as_mut());
        let row = |step, key: &str, error: &str| Quarantined {
            step,
            key: key.into(),
            column: "c".into(),
            error: error.into(),
        };
        let long = "é\"'\\ $1".repeat(2000);
        journal.quarantine(session, &id(), 1, &[]).unwrap();
        journal.quarantine(session, &id(), 1, &[row(2, &long, "x"), row(1, "b", "x"), row(1, "B", "x")]).unwrap();
        journal.quarantine(session, &id(), 1, &[row(1, "b", "y"), row(1, "b", "z"), row(2, &long, "é")]).unwrap();
        let (count, first) = journal.quarantined(session, &id(), 1, 2).unwrap();
        assert_eq!((count, first), (3, vec![row(1, "B", "x"), row(1, "b", "z")]));
        journal.clear_quarantine(session, &id(), 1, 1).unwrap();
        assert_eq!(journal.quarantined(session, &id(), 1, 9).unwrap(), (1, vec![row(2, &long, "é")]));
        assert_eq!(journal.quarantined(session, &id(), 2, 9).unwrap(), (0, vec![]));
        let many: Vec<_> = (0..1000).map(|n| row(7, &n.to_string(), "value … is out of range")).collect();
        journal.quarantine(session, &id(), 1, &many).unwrap();
        assert_eq!(journal.quarantined(session, &id(), 1, 0).unwrap().0, 1001);
        journal.forget(session, &id()).unwrap();
        assert_eq!(journal.quarantined(session, &id(), 1, 9).unwrap(), (0, vec![]));
    });
}

#[test]
fn orders_are_kept() {
    on_each(|db| {
        let mut session = installed(&db);
        let (journal, session) = (db.connector.journal(), session.as_mut());
        assert_eq!(journal.orders(session, &id()).unwrap(), Orders::default());
        let tuning = Tuning {
            workers: Some(3),
            only: Some(Hours { from: 1320, to: 360, ahead_of_utc: -90 }),
            limits: Limits { query: Some("SELECT 'it''s é'".into()), ..Limits::default() },
            ..Tuning::default()
        };
        for paused_by in [Some("deploy-7 é 4711".to_owned()), None] {
            let orders = Orders { paused_by, tuning: tuning.clone() };
            journal.set_orders(session, &id(), &orders).unwrap();
            assert_eq!(journal.orders(session, &id()).unwrap(), orders);
        }
        journal.forget(session, &id()).unwrap();
        assert_eq!(journal.orders(session, &id()).unwrap(), Orders::default());
    });
}

#[test]
fn what_two_people_order_at_the_same_moment_is_both_kept() {
    on_each(|db| {
        let mut one = installed(&db);
        let journal = db.connector.journal();
        let patient = Begin::Write { lock_wait: LIMIT };
        // First nothing was ordered yet, then something was.
        for workers in [3, 4] {
            one.begin(patient).unwrap();
            let mut paused = journal.orders_to_change(one.as_mut(), &id()).unwrap();
            paused.paused_by = Some(format!("somebody {workers}"));
            thread::scope(|scope| {
                scope.spawn(|| {
                    let mut two = db.session();
                    two.begin(patient).unwrap();
                    let mut tuned = journal.orders_to_change(two.as_mut(), &id()).unwrap();
                    tuned.tuning.workers = Some(workers);
                    journal.set_orders(two.as_mut(), &id(), &tuned).unwrap();
                    two.commit().unwrap();
                });
                thread::sleep(Duration::from_millis(300));
                journal.set_orders(one.as_mut(), &id(), &paused).unwrap();
                one.commit().unwrap();
            });
            let now = journal.orders(one.as_mut(), &id()).unwrap();
            assert_eq!((now.paused_by, now.tuning.workers), (paused.paused_by, Some(workers)));
        }
    });
}

#[test]
fn a_report_never_waits_and_an_older_run_s_is_no_news() {
    on_each(|mut db| {
        let mut session = installed(&db);
        let (journal, session) = (db.connector.journal(), session.as_mut());
        assert_eq!(journal.epoch(session, &id()).unwrap(), None);
        let us = worker(session);
        let holder = Holder { name: "us".into(), pid: us.pid, backend_start: us.backend_start };
        journal.claim(session, &id(), &holder, EXPIRY).unwrap();
        assert_eq!(journal.epoch(session, &id()).unwrap(), Some(1));
        assert_eq!(journal.report(session, &id()).unwrap(), None);
        journal.set_report(session, &id(), 2, "{\"n\":1}").unwrap();
        journal.set_report(session, &id(), 1, "old").unwrap();
        let report = |session: &mut dyn Session| journal.report(session, &id()).unwrap().unwrap();
        assert_eq!(report(session), ("{\"n\":1}".to_owned(), 0));
        db.client.batch("UPDATE segue.report SET at = at - interval '90 s'");
        assert_eq!(report(session).1, 90);
        db.client.batch("BEGIN; SELECT * FROM segue.report FOR UPDATE");
        let begun = Instant::now();
        journal.set_report(session, &id(), 2, "skipped").unwrap();
        assert!(begun.elapsed() < Duration::from_secs(1));
        db.client.batch("ROLLBACK");
        assert_eq!(report(session).0, "{\"n\":1}");
        journal.release(session, &id(), 1).unwrap();
        assert_eq!(journal.epoch(session, &id()).unwrap(), None);
        // Who is gone holds nothing.
        let mut gone = db.session();
        let gone_worker = worker(gone.as_mut());
        let gone_holder =
            Holder { name: "gone".into(), pid: gone_worker.pid, backend_start: gone_worker.backend_start };
        journal.claim(gone.as_mut(), &id(), &gone_holder, EXPIRY).unwrap();
        assert_eq!(journal.epoch(session, &id()).unwrap(), Some(2));
        drop(gone);
        let until = Instant::now() + LIMIT;
        while journal.epoch(session, &id()).unwrap().is_some() {
            assert!(Instant::now() < until);
            thread::sleep(Duration::from_millis(20));
        }
        journal.forget(session, &id()).unwrap();
        assert_eq!(journal.report(session, &id()).unwrap(), None);
    });
}
