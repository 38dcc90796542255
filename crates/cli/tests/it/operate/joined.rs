//! A process that helps a run stands still whenever the run does.

use std::process::Child;
use std::time::Duration;

use segue_testkit::client::Client;
use segue_testkit::process::signal;
use segue_testkit::segue::finished;

use super::slow::{self, Slow, eventually, pause};

/// Who helps has heard by now that the run stands still.
const HEARD: Duration = Duration::from_secs(2);

/// A run that waits for somebody's snapshot to end, and a process that helps it.
struct Held {
    slow: Slow,
    run: Child,
    helper: Child,
    /// Has the snapshot.
    report: Client,
    /// The rows that were brought over when both stood still.
    filled: u64,
}

impl Held {
    fn new() -> Option<Self> {
        let slow = Slow::postgres()?;
        let mut report = slow.client()?;
        report.batch("SET application_name = 'report'; BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT 1");
        // A younger one could be anybody's statement.
        pause(Duration::from_secs(4));
        let run = slow.segue().spawn(&["apply", "--set", "workers=1"]);
        eventually("rows are moving", || slow.filled() > 0);
        let helper = slow.segue().spawn(&["apply", "--join", "1_label"]);
        eventually("the run stands still", || slow.holding().contains("dead rows cannot be cleared because of"));
        assert!(slow.holding().contains("report"), "{}", slow.holding());
        pause(HEARD);
        let filled = slow.filled();
        assert!(filled < slow::ROWS, "it stands still on the way");
        pause(HEARD);
        assert_eq!(slow.filled(), filled, "the process that helps stands still, too");
        Some(Self { slow, run, helper, report, filled })
    }
}

#[test]
fn a_process_that_helps_stands_still_while_the_run_waits_for_a_snapshot() {
    let Some(Held { slow, run, helper, mut report, .. }) = Held::new() else { return };
    report.batch("COMMIT");
    let (run, helper) = (finished(run), finished(helper));
    assert_eq!((run.code, helper.code), (0, 0), "{}{}", run.stderr, helper.stderr);
    assert_eq!(slow.filled(), slow::ROWS);
    let told = "held back: the run that this process helps stands still: the table has grown";
    assert!(helper.stderr.contains(told), "{}", helper.stderr);
    assert!(helper.stderr.contains("goes on"), "{}", helper.stderr);
}

#[test]
fn a_process_that_helps_neither_waits_for_a_run_that_was_killed_nor_goes_on_without_it() {
    let Some(Held { slow, run, helper, report, filled }) = Held::new() else { return };
    assert!(signal(run.id(), "KILL"), "our own process takes a signal");
    assert_ne!(finished(run).code, 0);
    let helper = finished(helper);
    assert_eq!(helper.code, 0, "{}", helper.stderr);
    assert!(helper.stderr.contains("held back: nobody runs `1_label` at the moment"), "{}", helper.stderr);
    assert_eq!(slow.filled(), filled, "nobody cleared dead rows");
    drop(report);
    slow.segue().ok(&["apply"]);
    assert_eq!(slow.filled(), slow::ROWS);
}
