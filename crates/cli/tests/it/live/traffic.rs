//! Both versions of the application write to the same rows all the time: nothing fails, is lost, or is wrong.

use std::cell::Cell;
use std::thread::sleep;
use std::time::Duration;

use segue_model::engine::Engine;
use segue_traffic::scenario::{Rule, fill, hostile, rename, retype, retype_beyond_int, retype_key, split};
use segue_traffic::{Load, Running, Scenario, Traffic};

use super::lab::{Ground, Lab, Point, ROWS};

/// How long the clients run in each state.
const A_WHILE: Duration = Duration::from_millis(400);

#[test]
fn a_split_under_traffic_loses_nothing_both_ways() {
    both_ways(|engine| Some(split(engine)));
}

#[test]
fn a_rename_under_traffic_loses_nothing_both_ways() {
    both_ways(|engine| Some(rename(engine)));
}

#[test]
fn hostile_names_under_traffic_lose_nothing_both_ways() {
    both_ways(|engine| Some(hostile(engine)));
}

#[test]
fn a_filled_column_under_traffic_loses_nothing_both_ways() {
    both_ways(|engine| Some(fill(engine)));
}

#[test]
fn a_wider_type_under_traffic_loses_nothing_both_ways() {
    both_ways(retype);
}

#[test]
fn a_wider_key_with_a_foreign_key_to_it_under_traffic_loses_nothing_both_ways() {
    both_ways(retype_key);
}

#[test]
fn an_added_column_under_traffic_fails_no_request() {
    let up = "ALTER TABLE people ADD COLUMN nick text;\nALTER TABLE people ADD COLUMN points int NOT NULL DEFAULT 7;";
    for ground in Ground::each() {
        let scenario = Scenario { name: "added column", up, down: "", ..split(ground.engine()) };
        let stage = Stage::new(ground, &scenario);
        stage.lab.apply();
        sleep(A_WHILE);
        let report = stage.traffic.stop().unwrap();
        assert!(report.is_clean() && report.requests > 0, "{}: {report:#?}", stage.lab.name);
        let naive = Lab::new(ground, &scenario);
        naive.by_hand(up);
        stage.lab.assert_catalog(&naive.catalog(), "after apply");
    }
}

#[test]
fn a_large_table_of_sqlite_is_rebuilt_under_traffic_and_loses_nothing() {
    const LARGE: u32 = 30_000;
    for scenario in [split(Engine::Sqlite), rename(Engine::Sqlite), hostile(Engine::Sqlite)] {
        let stage = Stage::with_rows(Ground::Sqlite, &scenario, LARGE);
        stage.go_to(Point::Contract);
        let naive = Lab::new(Ground::Sqlite, &scenario);
        naive.by_hand(scenario.up);
        stage.end().assert_catalog(&naive.catalog(), "after cleanup");
    }
}

#[test]
fn values_beyond_the_old_type_close_the_way_back_and_are_kept() {
    for ground in Ground::each() {
        let Some(scenario) = retype_beyond_int(ground.engine()) else { continue };
        let stage = Stage::new(ground, &scenario);
        stage.go_to(Point::Flip);
        stage.traffic.stop_new_version();
        let refused = stage.lab.try_rollback();
        assert_eq!(refused.code, 5, "{}: {}{}", stage.lab.name, refused.stdout, refused.stderr);
        stage.traffic.start_new_version();
        stage.lab_to_contract();
        stage.end();
    }
}

fn both_ways(scenario: fn(Engine) -> Option<Scenario>) {
    for ground in Ground::each() {
        let Some(scenario) = scenario(ground.engine()) else { continue };
        let stage = Stage::new(ground, &scenario);
        let catalog = stage.lab.catalog();
        for point in Point::ALL {
            stage.go_to(point);
            stage.back(point);
            stage.lab.assert_catalog(&catalog, &format!("after the rollback from {point:?}"));
        }
        stage.go_to(Point::Contract);
        let naive = Lab::new(ground, &scenario);
        naive.by_hand(scenario.up);
        stage.end().assert_catalog(&naive.catalog(), "after cleanup");
    }
}

/// A database under traffic.
struct Stage {
    lab: Lab,
    traffic: Running,
    /// How often two columns exchanged names.
    swaps: Cell<u32>,
}

impl Stage {
    fn new(ground: Ground, scenario: &Scenario) -> Self {
        Self::with_rows(ground, scenario, ROWS)
    }

    fn with_rows(ground: Ground, scenario: &Scenario, rows: u32) -> Self {
        let lab = Lab::with_rows(ground, scenario, rows);
        let load = Load { rows, seed: seed_of(&lab.name), ..Load::default() };
        let traffic = Traffic::start(&lab.place, scenario, load).unwrap();
        sleep(A_WHILE);
        Self { lab, traffic, swaps: Cell::new(0) }
    }

    fn go_to(&self, point: Point) {
        self.traffic.mark(format!("to {point:?}"));
        if point == Point::Expand {
            self.lab.expand();
            return sleep(A_WHILE);
        }
        self.lab.apply();
        // Under one name, code that needs the wide type comes after the swap.
        let same_name = self.lab.scenario.rule == Rule::SameName;
        if !same_name {
            self.both_versions();
        }
        if point >= Point::Flip {
            self.swap();
            self.lab.flip();
            self.both_versions();
        }
        if point >= Point::Contract {
            self.lab_to_contract();
        }
    }

    fn lab_to_contract(&self) {
        self.traffic.stop_old_version();
        self.lab.contract();
        sleep(A_WHILE);
    }

    fn both_versions(&self) {
        self.traffic.start_new_version();
        sleep(A_WHILE);
    }

    /// Rolls back from wherever it is; the old version goes on.
    fn back(&self, from: Point) {
        self.traffic.mark("rollback");
        self.traffic.stop_new_version();
        if from >= Point::Flip {
            self.swap();
        }
        self.lab.rollback();
        self.traffic.rolled_back();
        self.traffic.start_old_version();
        sleep(A_WHILE);
    }

    /// Each swap of names but the first must be said: the clients' statements may become stale once more.
    fn swap(&self) {
        let same_name = self.lab.scenario.rule == Rule::SameName;
        if same_name && self.swaps.replace(self.swaps.get() + 1) > 0 {
            self.traffic.expect_swap();
        }
    }

    /// Cleans up, ends the traffic, and asserts that every request was answered and every row is right.
    #[track_caller]
    fn end(self) -> Lab {
        self.traffic.mark("cleanup");
        self.lab.cleanup();
        sleep(A_WHILE);
        let report = self.traffic.stop().unwrap();
        assert!(report.is_clean(), "{}: {report:#?}", self.lab.name);
        assert!(report.requests > 0 && report.rows_touched > 0, "{}: {report:#?}", self.lab.name);
        self.lab
    }
}

/// Another load for each case, the same in each run.
fn seed_of(name: &str) -> u64 {
    name.bytes().fold(7, |seed: u64, byte| seed.wrapping_mul(31).wrapping_add(byte.into()))
}
