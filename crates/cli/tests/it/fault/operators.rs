//! Several people, processes and databases: who may go on, and who must not.

use std::time::Duration;

use segue_model::engine::Engine;
use segue_testkit::client::Client;
use segue_testkit::postgres;
use segue_testkit::process::signal;
use segue_testkit::proxy::{Act, Moment, Script};
use segue_testkit::segue::finished;
use segue_traffic::scenario;

use super::place::{BACK, Case, Change, assert_code};
use super::straight::{self, Leg, Straight};

const ROWS: u32 = 1_500;

fn split() -> Change {
    Change::new(scenario::split(Engine::Postgres), ROWS)
}

#[test]
fn of_several_that_start_at_once_one_goes_on() {
    let Some(server) = postgres(15) else { return };
    let case = Case::postgres(server, &split());
    let runs: Vec<_> = (0..4).map(|_| case.segue().spawn(&["apply", "1_change"])).collect();
    let outputs: Vec<_> = runs.into_iter().map(finished).collect();
    for output in &outputs {
        let held = output.code == 4 && output.stderr.contains("another run holds this migration");
        assert!(output.code == 0 || held, "{}: {}", output.code, output.stderr);
    }
    assert!(outputs.iter().any(|output| output.code == 0), "nobody went on");
    case.segue().ok(BACK);
}

/// Stops a run by SIGSTOP after one of its statements, lets another take over and finish, and wakes it up. Returns whether
/// it slept inside a transaction; `None` when there was no lease yet, or nothing had been done under it.
fn slept_through(straight: &Straight<'_>, request: u64) -> Option<bool> {
    let scratch = straight.at(0);
    let proxy = straight.proxy(Script { on: "", at: request, moment: Moment::Answered, act: Act::Stop });
    let sleeper = scratch.through(&proxy).spawn(&["apply"]);
    proxy.aim(&sleeper);
    assert!(proxy.wait_until_fired(Duration::from_secs(30)), "the run ended before statement {request}");
    let mut watcher = Client::connect(&scratch.url);
    let has_lease = watcher.value("SELECT to_regclass('segue.lease') IS NOT NULL").as_deref() == Some("t")
        && watcher.value("SELECT count(*) FROM segue.lease WHERE holder IS NOT NULL").as_deref() == Some("1");
    if !has_lease {
        signal(sleeper.id(), "CONT");
        assert_code(&finished(sleeper), 0);
        return None;
    }
    let inside = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()
                  AND application_name LIKE 'segue%' AND xact_start IS NOT NULL";
    let inside = watcher.value(inside).as_deref() != Some("0");
    // Its backends are there, so it may be alive: nobody takes its place.
    let second = scratch.segue.run(&["apply"]);
    assert_code(&second, 4);
    assert!(second.stderr.contains("another run holds this migration"), "{}", second.stderr);
    // As if it had slept for an hour by the database's clock.
    watcher.batch("UPDATE segue.heartbeat SET at = at - interval '1 hour'");
    let third = scratch.segue.run(&["apply"]);
    assert_code(&third, 0);
    assert!(third.stderr.contains("took over"), "{}", third.stderr);
    straight.compare(&scratch, 1).unwrap_or_else(|difference| panic!("taken over at {request}:\n{difference}"));
    signal(sleeper.id(), "CONT");
    let woken = finished(sleeper);
    // One that had only asked for its lease reads the journal now and finds nothing left to do, or its connection gone.
    let had_begun = woken.stderr.contains('✓');
    assert!(woken.code == 4 || (!had_begun && [0, 3].contains(&woken.code)), "{}: {}", woken.code, woken.stderr);
    assert!(!had_begun || woken.stderr.contains("taken this migration over"), "{}", woken.stderr);
    straight.compare(&scratch, 1).unwrap_or_else(|difference| panic!("woken at {request}:\n{difference}"));
    let legs = [Leg { stage: 1, back: false }, Leg { stage: 1, back: true }];
    let leg = legs[usize::try_from(request % 2).expect("it is 0 or 1")];
    straight.goes_on(&scratch, leg, leg.command()).expect("it goes on");
    had_begun.then_some(inside)
}

#[test]
fn a_run_that_sleeps_through_a_takeover_changes_nothing_when_it_wakes() {
    let Some((straight, requests)) = straight::split() else { return };
    let requests = requests[0].1;
    let full = std::env::var_os("SEGUE_TEST_FULL").is_some();
    let stride = if full { 5 } else { usize::try_from(requests / 10).expect("it is small") };
    let slept: Vec<bool> =
        (2..requests - 20).step_by(stride).filter_map(|request| slept_through(straight, request)).collect();
    let inside = slept.iter().filter(|inside| **inside).count();
    println!("{} runs slept, {inside} of them inside a transaction", slept.len());
    assert!(inside > 0 && slept.len() >= 4, "{slept:?}");
}

#[test]
fn a_clock_that_jumps_neither_gives_nor_takes_a_lease() {
    let Some((straight, requests)) = straight::split() else { return };
    let requests = requests[0].1;
    for moved in ["+", "-"] {
        let scratch = straight.at(0);
        let script = Script { on: "", at: requests / 2, moment: Moment::Answered, act: Act::Stop };
        let proxy = straight.proxy(script);
        let sleeper = scratch.through(&proxy).spawn(&["apply"]);
        proxy.aim(&sleeper);
        assert!(proxy.wait_until_fired(Duration::from_secs(30)));
        // Back by less than an absence: what the database's clock says of a living holder is no proof of its end.
        let span = if moved == "+" { "1 year" } else { "2 minutes" };
        let mut watcher = Client::connect(&scratch.url);
        watcher.batch(&format!("UPDATE segue.heartbeat SET at = at {moved} interval '{span}'"));
        assert_code(&scratch.segue.run(&["apply"]), 4);
        // Its backends are gone: whatever the clock says, it is.
        watcher.rows(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
             WHERE datname = current_database() AND application_name LIKE 'segue%'",
        );
        assert_code(&scratch.segue.run(&["apply"]), 0);
        straight.compare(&scratch, 1).unwrap_or_else(|difference| panic!("{difference}"));
        signal(sleeper.id(), "CONT");
        assert_code(&finished(sleeper), 4);
        straight.compare(&scratch, 1).unwrap_or_else(|difference| panic!("{difference}"));
    }
}

#[test]
fn a_journal_that_was_restored_into_another_database_is_refused_until_it_is_adopted() {
    let Some(server) = postgres(15) else { return };
    let case = Case::postgres(server, &split());
    let begin = case.content();
    case.segue().ok(&["apply"]);
    let copy = server.copy_of(&case.url);
    let segue = case.by(&copy);
    for arguments in [&["flip"][..], BACK] {
        let refused = segue.run(arguments);
        assert_code(&refused, 1);
        assert!(refused.stderr.contains("this database is a copy"), "{}", refused.stderr);
        assert!(refused.stderr.contains("segue adopt"), "{}", refused.stderr);
    }
    segue.ok(&["adopt"]);
    segue.ok(BACK);
    assert_eq!(begin, super::place::Content::of(&segue_traffic::Place::Postgres(copy), case.change.scenario.table));
    case.finish(1);
}

#[test]
fn a_file_that_is_edited_on_the_way_is_refused() {
    let Some(server) = postgres(15) else { return };
    let case = Case::postgres(server, &split());
    case.segue().ok(&["apply", "--to", "expand"]);
    case.project.write("1_change.sql", case.change.scenario.up.replace("concat_ws(' '", "concat_ws('-'"));
    let refused = case.segue().run(&["apply"]);
    assert_code(&refused, 1);
    assert!(refused.stderr.contains("was edited after it was applied"), "{}", refused.stderr);
    case.project.write("1_change.sql", case.change.scenario.up);
    case.segue().ok(&["apply"]);
}

#[test]
fn a_person_who_interrupts_finds_it_resumable() {
    let Some((straight, requests)) = straight::split() else { return };
    let requests = requests[0].1;
    for at in [requests / 4, requests / 2, requests * 3 / 4] {
        let scratch = straight.at(0);
        let proxy = straight.proxy(Script { on: "", at, moment: Moment::Answered, act: Act::Watch });
        let child = scratch.through(&proxy).spawn(&["apply"]);
        assert!(proxy.wait_until_fired(Duration::from_secs(30)));
        signal(child.id(), "INT");
        let output = finished(child);
        assert!(matches!(output.code, 0 | 130), "{}: {}", output.code, output.stderr);
        let leg = Leg { stage: 0, back: false };
        straight.goes_on(&scratch, leg, leg.command()).expect("it goes on");
    }
}
