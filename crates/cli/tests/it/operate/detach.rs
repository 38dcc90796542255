//! A run without a terminal, and one that another process helps.

use std::os::unix::fs::PermissionsExt;

use segue_testkit::process::{is_alive, signal};
use segue_testkit::segue::finished;
use serde_json::Value;

use super::slow::{self, Slow, eventually};

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

#[test]
fn a_detached_run_goes_on_by_itself_and_can_be_waited_for() {
    for slow in Slow::each() {
        let said = slow.segue().ok(&["apply", "--detach"]);
        assert!(said.contains("segue wait 1_label --until ready"), "{said}");
        assert!(said.contains("segue status 1_label --watch"), "{said}");
        let ready = slow.segue().ok(&["wait", "1_label", "--until", "ready", "--timeout", "60s"]);
        assert!(ready.contains("ready"), "{ready}");
        assert_eq!(slow.filled(), slow::ROWS, "{}", slow.name);
        let log = std::fs::read_to_string(slow.path().join(".segue/1_label.log")).unwrap();
        assert!(log.contains("segue flip 1_label"), "{log}");
        let mode = std::fs::metadata(slow.path().join(".segue/1_label.log")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "a log is nobody else's business");
        assert_eq!(std::fs::read_to_string(slow.path().join(".segue/.gitignore")).unwrap(), "*\n");
    }
}

#[test]
fn a_detached_run_has_a_session_of_its_own_and_no_secret_in_its_arguments() {
    let slow = Slow::sqlite();
    let hold = slow.path().join("s3cret");
    std::fs::write(&hold, "").unwrap();
    let file = format!("file={}", hold.display());
    let started = json(&slow.segue().ok(&["apply", "--detach", "--set", &file, "--format", "json"]));
    let pid = u32::try_from(started["pid"].as_u64().unwrap()).unwrap();
    assert_eq!(started["finished"], false, "{started}");
    let arguments = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap();
    let arguments = String::from_utf8_lossy(&arguments).into_owned();
    assert!(arguments.contains("apply") && !arguments.contains("s3cret"), "{arguments}");
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let session = stat.rsplit(')').next().unwrap().split_whitespace().nth(3).unwrap();
    assert_eq!(session, pid.to_string(), "it leads a session of its own");
    eventually("it is held back as it was started", || slow.holding().contains("s3cret"));
    assert!(signal(pid, "TERM"), "our own process takes a signal");
    eventually("it ended", || !is_running(pid));
}

/// A child that nobody waited for stays in the list of processes.
fn is_running(pid: u32) -> bool {
    let state = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    is_alive(pid) && !state.rsplit(')').next().unwrap_or_default().trim_start().starts_with('Z')
}

#[test]
fn a_detached_run_that_fails_at_once_says_so_here() {
    let slow = Slow::sqlite();
    slow.project.write("1_label.sql", "ALTER TABEL items ADD COLUMN label text;\n");
    let output = slow.segue().run(&["apply", "--detach"]);
    assert_eq!(output.code, 1, "{}", output.stderr);
    let first = output.stderr.lines().next().unwrap_or_default();
    assert!(first.starts_with("1_label: started as process ") && first.ends_with("1_label.log"), "{first}");
    assert!(output.stderr.contains("TABEL") && output.stderr.contains(".segue/1_label.log"), "{}", output.stderr);
}

#[test]
fn another_process_helps_a_run() {
    let Some(slow) = Slow::postgres() else { return };
    let run = slow.segue().spawn(&["apply", "--set", "workers=1"]);
    eventually("rows are moving", || slow.filled() > 0);
    let helped = json(&slow.segue().ok(&["apply", "--join", "1_label", "--format", "json"]));
    assert!(helped["rows_filled"].as_u64().unwrap() > 0, "{helped}");
    let output = finished(run);
    assert_eq!(output.code, 0, "{}", output.stderr);
    assert_eq!(slow.filled(), slow::ROWS);
    let late = slow.segue().run(&["apply", "--join", "1_label"]);
    assert_ne!(late.code, 0, "nobody runs it any more: {}", late.stdout);
    assert!(late.stderr.contains("help: "), "{}", late.stderr);
}
