//! `segue wait`: what is reached, and what cannot be.

use std::time::{Duration, Instant};

use segue_testkit::segue::finished;

use crate::operate::slow::{Slow, eventually};

#[test]
fn it_waits_for_expand_and_for_ready() {
    for slow in Slow::each() {
        let run = slow.segue().spawn(&["apply"]);
        eventually("it has begun", || slow.segue().run(&["wait", "1_label", "--until", "expand"]).code == 0);
        let expanded = slow.segue().ok(&["wait", "--until", "expand"]);
        assert!(expanded.contains("1_label"), "{expanded}");
        let ready = slow.segue().ok(&["wait", "--until", "ready", "--timeout", "1m", "--format", "json"]);
        let ready: serde_json::Value = serde_json::from_str(&ready).unwrap();
        assert_eq!(ready["state"], "ready", "{ready}");
        assert_eq!(finished(run).code, 0);
        assert_eq!(slow.segue().run(&["wait", "1_label", "--until", "expand"]).code, 0, "past it counts as there");
    }
}

#[test]
fn a_run_that_was_killed_is_not_waited_for() {
    for slow in Slow::each() {
        let mut run = slow.segue().spawn(&["apply"]);
        eventually("rows are moving", || slow.filled() > 0);
        run.kill().unwrap();
        run.wait().unwrap();
        let began = Instant::now();
        let output = slow.segue().run(&["wait", "--until", "ready"]);
        assert!(began.elapsed() < Duration::from_secs(10), "{}: it took {:?}", slow.name, began.elapsed());
        assert_eq!(output.code, 3, "{}", output.stderr);
        assert!(output.stderr.contains("nobody runs it"), "{}", output.stderr);
        assert!(output.stderr.contains("segue apply 1_label"), "{}", output.stderr);
    }
}

#[test]
fn what_went_back_or_was_never_begun_is_not_waited_for() {
    let slow = Slow::sqlite();
    let never = slow.segue().run(&["wait", "1_label", "--until", "ready"]);
    assert_eq!(never.code, 3, "{}", never.stderr);
    assert!(never.stderr.contains("has not begun") && never.stderr.contains("segue apply 1_label"), "{}", never.stderr);
    slow.segue().ok(&["apply", "--to", "expand"]);
    slow.segue().ok(&["rollback"]);
    let back = slow.segue().run(&["wait", "1_label", "--until", "ready"]);
    assert_eq!(back.code, 1, "{}", back.stderr);
    assert!(back.stderr.contains("rolled back") && back.stderr.contains("segue apply 1_label"), "{}", back.stderr);
}

#[test]
fn the_time_that_was_given_is_kept() {
    let slow = Slow::sqlite();
    slow.segue().ok(&["apply", "--to", "expand"]);
    slow.segue().ok(&["pause"]);
    let mut run = slow.segue().spawn(&["apply"]);
    eventually("it is held back", || slow.holding().contains("paused by"));
    let began = Instant::now();
    let output = slow.segue().run(&["wait", "--until", "ready", "--timeout", "2s"]);
    assert!((2..6).contains(&began.elapsed().as_secs()), "it took {:?}", began.elapsed());
    assert_eq!(output.code, 5, "{}", output.stderr);
    assert!(output.stderr.contains("paused by"), "it says what holds it: {}", output.stderr);
    run.kill().unwrap();
    run.wait().unwrap();
}
