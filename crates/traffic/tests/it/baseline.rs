//! What a database does by itself, and what a pause does not count.

use std::thread::sleep;
use std::time::Duration;

use segue_model::engine::Engine;
use segue_testkit::sqlite::TempDatabase;
use segue_traffic::scenario::split;
use segue_traffic::{Load, Place, Traffic, baseline, seed};

use crate::hand::{assert_clean, load};

#[test]
fn a_baseline_knows_rate_and_stall() {
    let database = TempDatabase::new("");
    let place = Place::Sqlite(database.path());
    let scenario = split(Engine::Sqlite);
    seed(&place, &scenario, load().rows).unwrap();
    let lasts = Duration::from_millis(1_500);
    let report = baseline(&place, &scenario, Load { rate_per_s: 200, long_reader: true, ..load() }, lasts).unwrap();
    assert_clean(&report);
    assert!((250..=310).contains(&report.requests), "{report:#?}");
    assert!(report.max_stall_ms > 0.0 && report.max_stall_ms >= report.p99_ms && report.p99_ms >= report.p50_ms);
}

#[test]
fn a_pause_is_no_stall() {
    let database = TempDatabase::new("");
    let place = Place::Sqlite(database.path());
    let scenario = split(Engine::Sqlite);
    seed(&place, &scenario, load().rows).unwrap();
    let running = Traffic::start(&place, &scenario, load()).unwrap();
    sleep(Duration::from_millis(400));
    running.pause();
    let before = running.progress();
    sleep(Duration::from_millis(400));
    assert_eq!(running.progress(), before);
    running.resume();
    sleep(Duration::from_millis(400));
    let report = running.stop().unwrap();
    assert!(report.is_clean() && report.requests > before.requests, "{report:#?}");
    assert!(report.max_stall_ms < 350.0, "{report:#?}");
}
