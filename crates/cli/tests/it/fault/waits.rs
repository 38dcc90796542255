//! Locks that others hold, and deadlocks with them.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use segue_model::engine::Engine;
use segue_testkit::client::Client;
use segue_testkit::postgres;
use segue_testkit::process::signal;
use segue_testkit::segue::finished;
use segue_traffic::scenario;

use super::place::{Case, Change, assert_code};

fn split(rows: u32) -> Option<Case> {
    let server = postgres(15)?;
    Some(Case::postgres(server, &Change::new(scenario::split(Engine::Postgres), rows)))
}

/// Asks until the answer is `wanted`.
#[track_caller]
fn until(client: &mut Client, sql: &str, wanted: &str) {
    let began = Instant::now();
    while client.value(sql).as_deref() != Some(wanted) {
        assert!(began.elapsed() < Duration::from_secs(30), "it never became {wanted}: {sql}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

#[test]
fn a_row_that_somebody_keeps_locked_is_passed_over_and_come_back_to() {
    let Some(case) = split(20_000) else { return };
    let (mut holder, mut watcher) = (case.client(), case.client());
    let child = case.segue().spawn(&["apply"]);
    // From here on nothing of ours needs more than row locks.
    until(&mut watcher, "SELECT count(*) FROM pg_constraint WHERE conname LIKE 'segue%' AND contype = 'c'", "1");
    holder.batch("BEGIN; SELECT 1 FROM people WHERE id = 19000 FOR UPDATE");
    until(&mut watcher, "SELECT count(*) FROM people WHERE full_name IS NULL", "1");
    // Everything else is done, and the run waits for this row alone.
    std::thread::sleep(Duration::from_secs(1));
    assert_eq!(watcher.value("SELECT count(*) FROM people WHERE full_name IS NULL").as_deref(), Some("1"));
    holder.batch("COMMIT");
    assert_code(&finished(child), 0);
    until(&mut watcher, "SELECT count(*) FROM people WHERE full_name IS NULL", "0");
}

/// A transaction that reads the table stays open: the run waits for it, says for whom, and nobody waits behind the run.
#[test]
fn a_reader_that_stays_is_named_and_nobody_queues_behind_the_run() {
    let Some(case) = split(500) else { return };
    let mut holder = case.client();
    holder.batch("SET application_name = 'nightly report'; BEGIN; SELECT count(*) FROM people");
    let child = case.segue().spawn(&["apply"]);
    let mut reader = case.client();
    let (began, mut slowest) = (Instant::now(), Duration::ZERO);
    while began.elapsed() < Duration::from_secs(4) {
        let asked = Instant::now();
        reader.batch("SELECT 1 FROM people WHERE id = 1; UPDATE people SET note = 'seen' WHERE id = 1");
        slowest = slowest.max(asked.elapsed());
        std::thread::sleep(Duration::from_millis(5));
    }
    holder.batch("COMMIT");
    let output = finished(child);
    assert_code(&output, 0);
    println!("the slowest request took {slowest:?}");
    assert!(slowest < Duration::from_millis(500), "{slowest:?}");
    assert!(output.stderr.contains("nightly report"), "{}", output.stderr);
}

#[test]
fn a_run_that_waits_for_a_lock_stops_at_once_when_asked() {
    let Some(case) = split(500) else { return };
    let begin = case.content();
    let mut holder = case.client();
    holder.batch("BEGIN; SELECT count(*) FROM people");
    let child = case.segue().spawn(&["apply"]);
    std::thread::sleep(Duration::from_secs(1));
    signal(child.id(), "INT");
    let asked = Instant::now();
    let output = finished(child);
    assert_code(&output, 130);
    assert!(asked.elapsed() < Duration::from_secs(2), "{:?}", asked.elapsed());
    holder.batch("COMMIT");
    case.assert_is(&begin);
    case.segue().ok(&["apply"]);
}

/// The budget of a lock is five minutes: only a full run has them.
#[test]
fn a_lock_that_is_never_had_is_given_up_within_its_budget() {
    if std::env::var_os("SEGUE_TEST_FULL").is_none() {
        return println!("skipped: five minutes of waiting (SEGUE_TEST_FULL)");
    }
    let Some(case) = split(500) else { return };
    let mut holder = case.client();
    holder.batch("SET application_name = 'nightly report'; BEGIN; SELECT count(*) FROM people");
    let began = Instant::now();
    let child = case.segue().spawn(&["apply"]);
    // Our own client has a deadline of its own, so it must not be asked meanwhile: it sits in its transaction.
    let output = finished(child);
    assert_code(&output, 3);
    assert!(began.elapsed() < Duration::from_secs(330), "{:?}", began.elapsed());
    assert!(output.stderr.contains("within its budget"), "{}", output.stderr);
    assert!(output.stderr.contains("nightly report"), "{}", output.stderr);
    holder.batch("COMMIT");
    case.segue().ok(&["apply"]);
}

/// Transactions that lock rows in the opposite order of a backfill: none of them may be the one that is given up.
#[test]
fn a_deadlock_with_an_application_is_ours_to_lose() {
    let Some(case) = split(20_000) else { return };
    let ended = AtomicBool::new(false);
    let (output, written) = std::thread::scope(|scope| {
        let writers: Vec<_> = (0..3)
            .map(|number: u32| {
                let (url, ended) = (&case.url, &ended);
                scope.spawn(move || {
                    let (mut client, mut random) = (Client::connect(url), fastrand::Rng::with_seed(u64::from(number)));
                    let mut written = 0;
                    while !ended.load(Ordering::Relaxed) {
                        // Their own order is the same in all of them: descending.
                        let high = random.u32(10_000..20_000);
                        let low = random.u32(1..10_000);
                        client.batch(&format!(
                            "BEGIN; UPDATE people SET note = 'a' WHERE id = {high}; SELECT pg_sleep(0.02); \
                             UPDATE people SET note = 'b' WHERE id = {low}; COMMIT"
                        ));
                        written += 1;
                    }
                    written
                })
            })
            .collect();
        let output = case.segue().run(&["apply"]);
        ended.store(true, Ordering::Relaxed);
        let written: u32 = writers.into_iter().map(|writer| writer.join().expect("no transaction failed")).sum();
        (output, written)
    });
    assert_code(&output, 0);
    println!("{written} transactions of the application, none was given up");
    case.finish(1);
}
