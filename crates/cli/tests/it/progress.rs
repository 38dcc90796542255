//! What a run tells of itself, in its own terminal and in others.

use std::time::Duration;

use segue_testkit::process::signal;
use segue_testkit::segue::finished;
use serde_json::Value;

use crate::operate::slow::{self, Slow, eventually, pause};

#[test]
fn status_has_the_figures_of_a_run() {
    for slow in Slow::each() {
        let run = slow.segue().spawn(&["apply"]);
        eventually("the figures show rows", || slow.figures()["rows"].as_u64().unwrap_or(0) > 0);
        let status = slow.status();
        let figures = &status["figures"];
        assert_eq!(figures["phase"], "backfill", "{figures}");
        assert_eq!(figures["workers"], 1, "{figures}");
        assert!(figures["total"].as_u64().unwrap() >= figures["done"].as_u64().unwrap(), "{figures}");
        assert!(figures["rate"].as_f64().unwrap() > 0.0, "{figures}");
        assert!(figures["window_ms"].is_number() && figures["longest_lock_held_ms"].is_number(), "{figures}");
        assert!(status["figures_age_s"].as_u64().unwrap() < 10, "{status}");
        assert!(status["held_by"].is_string() && status["last_beat_s"].is_number(), "{status}");
        assert_eq!(status["quarantine"]["rows"], 0, "{status}");
        let known = ["holding", "throttled", "paused_by", "eta_s", "dead_rows", "wal_bytes", "retries", "quarantined"];
        let fields = figures.as_object().unwrap();
        assert!(known.iter().all(|field| fields.contains_key(*field)), "unknown is null, not left out: {figures}");
        if slow.name == "sqlite" {
            assert_eq!((&figures["wal_bytes"], &figures["dead_rows"]), (&Value::Null, &Value::Null), "{figures}");
        }
        let text = slow.segue().ok(&["status"]);
        for part in ["now: ", "rows/s", "speed: 1 worker", "price: longest lock held"] {
            assert!(text.contains(part), "status does not say `{part}`: {text}");
        }
        let output = finished(run);
        assert_eq!(output.code, 0, "{}", output.stderr);
        assert!(output.stdout.contains("moved: 20000 rows"), "{}", output.stdout);
    }
}

#[test]
fn status_is_watched_by_lines_where_there_is_no_terminal() {
    let slow = Slow::sqlite();
    slow.segue().ok(&["apply", "--to", "expand"]);
    let watch = slow.segue().spawn(&["status", "--watch"]);
    pause(Duration::from_secs(2));
    slow.segue().ok(&["pause"]);
    pause(Duration::from_secs(3));
    assert!(signal(watch.id(), "INT"), "our own process takes a signal");
    let output = finished(watch);
    assert_eq!(output.code, 0, "{}", output.stderr);
    let lines: Vec<&str> = output.stdout.lines().collect();
    assert_eq!(lines.len(), 2, "one at first, one when something changes: {lines:?}");
    assert!(lines[0].starts_with("1_label: expanded") && lines[1].contains("paused by"), "{lines:?}");
}

#[test]
fn a_report_has_rows_speed_and_what_was_verified() {
    for slow in Slow::each() {
        let report = slow.segue().ok(&["apply", "--format", "json"]);
        let report: Value = serde_json::from_str(&report).unwrap();
        let report = &report[0];
        assert_eq!(report["rows_filled"], slow::ROWS, "{report}");
        assert!(report["rows_per_s"].as_f64().unwrap() > 0.0, "{report}");
        assert!(report["throttled"].is_object(), "{report}");
        assert_eq!(report["verified"][0]["rows"], slow::ROWS, "{report}");
        assert_eq!(report["verified"][0]["unrelated"], 0, "{report}");
    }
}
