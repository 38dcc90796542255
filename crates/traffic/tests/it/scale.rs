//! Many rows: seeding and judging stay quick.

use std::thread::sleep;
use std::time::{Duration, Instant};

use segue_model::engine::Engine;
use segue_testkit::sqlite::TempDatabase;
use segue_traffic::scenario::split;
use segue_traffic::{Load, Place, Traffic, seed};

use crate::hand::{assert_clean, load};

#[test]
fn two_hundred_thousand_rows_are_seeded_and_judged_in_seconds() {
    let database = TempDatabase::new("");
    let place = Place::Sqlite(database.path());
    let scenario = split(Engine::Sqlite);
    let begin = Instant::now();
    seed(&place, &scenario, 200_000).unwrap();
    let seeded = begin.elapsed();
    let running = Traffic::start(&place, &scenario, Load { rows: 200_000, ..load() }).unwrap();
    sleep(Duration::from_millis(500));
    let begin = Instant::now();
    assert_clean(&running.stop().unwrap());
    // Twenty times what it takes alone: other tests run beside this one.
    assert!(seeded < Duration::from_secs(20) && begin.elapsed() < Duration::from_secs(20), "{seeded:?}");
}
