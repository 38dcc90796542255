//! What people order of a run from another terminal, and what holds it back.

mod detach;
mod input;
mod joined;
pub(crate) mod slow;

use std::time::Duration;

use segue_testkit::process::signal;
use segue_testkit::segue::finished;

use slow::{Slow, eventually, pause};

/// Orders take effect within this time.
const SOON: Duration = Duration::from_secs(1);

#[test]
fn a_pause_takes_effect_within_a_second_and_resume_goes_on() {
    for slow in Slow::each() {
        let run = slow.segue().spawn(&["apply"]);
        eventually("rows are moving", || slow.filled() > 0);
        let said = slow.segue().ok(&["pause"]);
        assert!(
            said.contains("paused") && said.contains("running: ") && said.contains("segue resume 1_label"),
            "{said}"
        );
        pause(SOON);
        let (before, status) = (slow.filled(), slow.status());
        assert!(status["paused_by"].is_string() && status["held_by"].is_string(), "{status}");
        pause(SOON);
        assert_eq!(slow.filled(), before, "{}: it stands still", slow.name);
        assert!(before < slow::ROWS, "{}: it was paused on the way", slow.name);
        let again = slow.segue().ok(&["pause", "1_label"]);
        assert!(again.contains("paused already, by"), "{again}");
        let text = slow.segue().ok(&["status"]);
        assert!(text.contains("paused by") && text.contains("held back: paused by"), "{text}");
        let said = slow.segue().ok(&["resume"]);
        assert!(said.contains("goes on; it was paused by"), "{said}");
        let output = finished(run);
        assert_eq!(output.code, 0, "{}", output.stderr);
        assert!(output.stderr.contains("held back: paused by"), "{}", output.stderr);
        assert!(output.stderr.contains("goes on"), "{}", output.stderr);
        assert!(output.stdout.contains("held back: paused"), "the report adds the time up: {}", output.stdout);
        assert_eq!(slow.filled(), slow::ROWS);
        let said = slow.segue().ok(&["resume", "1_label"]);
        assert!(said.contains("was not paused") && said.contains("nobody is running it"), "{said}");
    }
}

#[test]
fn a_migration_that_nobody_runs_can_be_paused_and_the_next_run_stands_still() {
    for slow in Slow::each() {
        slow.segue().ok(&["apply", "--to", "expand"]);
        let said = slow.segue().ok(&["pause"]);
        assert!(said.contains("nobody is running it") && said.contains("will stand still"), "{said}");
        assert!(slow.segue().ok(&["status"]).contains("paused by"));
        let run = slow.segue().spawn(&["apply"]);
        eventually("it is held back", || slow.holding().contains("paused by"));
        assert_eq!(slow.filled(), 0, "{}", slow.name);
        slow.segue().ok(&["resume"]);
        let output = finished(run);
        assert_eq!(output.code, 0, "{}", output.stderr);
        assert!(output.stderr.contains("segue resume 1_label"), "it says how to go on: {}", output.stderr);
    }
}

#[test]
fn a_paused_run_can_be_interrupted_and_goes_on_later() {
    for slow in Slow::each() {
        slow.segue().ok(&["apply", "--to", "expand"]);
        slow.segue().ok(&["pause"]);
        let run = slow.segue().spawn(&["apply"]);
        eventually("it is held back", || slow.holding().contains("paused by"));
        assert!(signal(run.id(), "INT"), "our own process takes a signal");
        let output = finished(run);
        assert_eq!(output.code, 130, "{}", output.stderr);
        slow.segue().ok(&["resume"]);
        slow.segue().ok(&["apply"]);
        assert_eq!(slow.filled(), slow::ROWS);
    }
}

#[test]
fn a_journal_of_another_format_takes_no_orders() {
    for slow in Slow::each() {
        slow.segue().ok(&["apply", "--to", "expand"]);
        slow.has_format(99);
        for order in [&["pause", "1_label"][..], &["tune", "1_label", "workers=2"]] {
            let output = slow.segue().run(order);
            assert_eq!(output.code, 2, "{}: {}{}", slow.name, output.stdout, output.stderr);
            assert!(output.stderr.contains("has format 99"), "{}: {}", slow.name, output.stderr);
        }
    }
}

#[test]
fn tune_changes_workers_and_windows_of_a_run() {
    let Some(slow) = Slow::postgres() else { return };
    let run = slow.segue().spawn(&["apply", "--set", "workers=1"]);
    eventually("rows are moving", || slow.filled() > 0);
    let said = slow.segue().ok(&["tune", "1_label", "workers=2", "window=50ms"]);
    assert!(said.contains("running: "), "{said}");
    eventually("a second worker came", || slow.figures()["workers"] == 2);
    let shown = slow.segue().ok(&["tune"]);
    let line = |key: &str| shown.lines().find(|line| line.trim_start().starts_with(key)).unwrap_or_default().to_owned();
    assert!(line("workers").contains("2 ") && line("workers").ends_with("segue tune"), "{shown}");
    assert!(line("replica_lag").ends_with("default") && line("file").ends_with("not set"), "{shown}");
    slow.segue().ok(&["tune", "workers=default"]);
    eventually("it left again", || slow.figures()["workers"] == 1);
    let output = finished(run);
    assert_eq!(output.code, 0, "{}", output.stderr);
    let reset = slow.segue().ok(&["tune", "1_label", "--reset", "--format", "json"]);
    let reset: serde_json::Value = serde_json::from_str(&reset).unwrap();
    // What was ordered is gone: the file speaks again where it says something.
    let window = &reset["settings"]["window"];
    assert_eq!((&window["from"], &window["value"]), (&"file".into(), &"20ms".into()), "{reset}");
    assert_eq!(reset["settings"]["pacing"]["from"], "default", "{reset}");
    assert!(reset["settings"]["workers"].is_null(), "{reset}");
}

#[test]
fn a_file_holds_a_run_back_while_it_is_there() {
    for slow in Slow::each() {
        let hold = slow.path().join("hold");
        std::fs::write(&hold, "").unwrap();
        slow.configure(&format!("[throttle]\nfile = \"{}\"\n", hold.display()));
        let run = slow.segue().spawn(&["apply"]);
        eventually("it is held back", || slow.holding().contains("hold"));
        assert_eq!(slow.filled(), 0, "{}", slow.name);
        std::fs::remove_file(&hold).unwrap();
        let output = finished(run);
        assert_eq!(output.code, 0, "{}", output.stderr);
        assert!(output.stderr.contains("held back: "), "{}", output.stderr);
        assert_eq!(slow.filled(), slow::ROWS);
    }
}

#[test]
fn outside_its_hours_a_run_stands_still_and_says_when_it_goes_on() {
    for slow in Slow::each() {
        let run = slow.segue().spawn(&["apply", "--only", &hours(120)]);
        eventually("it is held back", || slow.holding().contains("outside its hours"));
        let why = slow.holding();
        assert!(why.contains("1 h 59 min") || why.contains("2 h 0 min"), "{why}");
        assert!(signal(run.id(), "INT"), "our own process takes a signal");
        let output = finished(run);
        assert_eq!(output.code, 130, "{}", output.stderr);
        assert!(output.stderr.contains("outside its hours"), "{}", output.stderr);
        slow.segue().ok(&["apply", "--only", &hours(0)]);
        assert_eq!(slow.filled(), slow::ROWS);
    }
}

/// Returns an hour of the day that begins in so many minutes, in UTC; 0: that began a moment ago.
fn hours(ahead_min: u64) -> String {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs() / 60;
    let from = now + ahead_min - if ahead_min == 0 { 1 } else { 0 };
    let clock = |minute: u64| format!("{:02}:{:02}", minute / 60 % 24, minute % 60);
    format!("{}-{}", clock(from), clock(from + 60))
}
