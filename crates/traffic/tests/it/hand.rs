//! A split by hand: what Segue does, without Segue.

use std::thread::sleep;
use std::time::Duration;

use segue_traffic::{Load, Place, Report, Running, Scenario, Traffic, seed};

pub(crate) const ROWS: u32 = 3_000;

/// A database to migrate: where it is, and how to run SQL in it.
pub(crate) struct Target<'a> {
    pub(crate) place: Place,
    pub(crate) run: &'a mut dyn FnMut(&str),
}

/// The SQL of a hand-written split.
pub(crate) struct Hand {
    /// Adds the column and the triggers.
    pub(crate) expand: &'static str,
    /// Forward.
    pub(crate) forward: &'static str,
}

pub(crate) fn load() -> Load {
    Load { clients: 4, rate_per_s: 800, seed: 42, rows: ROWS, ..Load::default() }
}

/// Splits under traffic of both versions; `harm` is done to the database in the middle.
pub(crate) fn split_under_traffic(mut target: Target<'_>, scenario: &Scenario, hand: &Hand, harm: &[&str]) -> Report {
    seed(&target.place, scenario, ROWS).unwrap();
    let running = Traffic::start(&target.place, scenario, load()).unwrap();
    running.mark("before");
    sleep(Duration::from_millis(400));
    running.mark("migration");
    (target.run)(hand.expand);
    backfill(&mut target, hand);
    both_versions(&running, || harm.iter().for_each(|sql| (target.run)(sql)));
    running.stop_old_version();
    sleep(Duration::from_millis(200));
    running.stop().unwrap()
}

fn backfill(target: &mut Target<'_>, hand: &Hand) {
    let fill = |keys: &str| format!("UPDATE people SET full_name = {} WHERE full_name IS NULL{keys}", hand.forward);
    for low in (0..ROWS).step_by(300) {
        (target.run)(&fill(&format!(" AND id >= {low} AND id < {}", low + 300)));
    }
    (target.run)(&fill(""));
}

fn both_versions(running: &Running, harm: impl FnOnce()) {
    running.start_new_version();
    sleep(Duration::from_millis(700));
    harm();
    sleep(Duration::from_millis(900));
}

/// Runs the file as it stands while the application is down, and goes on with the new version.
pub(crate) fn naive_while_stopped(target: Target<'_>, scenario: &Scenario) -> Report {
    seed(&target.place, scenario, ROWS).unwrap();
    let running = Traffic::start(&target.place, scenario, load()).unwrap();
    sleep(Duration::from_millis(400));
    running.stop_old_version();
    (target.run)(scenario.up);
    running.start_new_version();
    sleep(Duration::from_millis(400));
    running.stop().unwrap()
}

#[track_caller]
pub(crate) fn assert_clean(report: &Report) {
    assert!(report.is_clean(), "{report:#?}");
    assert!(report.requests > 200 && report.rows_touched > 100, "{report:#?}");
    assert!(report.rows_compared >= ROWS.into(), "{report:#?}");
}
