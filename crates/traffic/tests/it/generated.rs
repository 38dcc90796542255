//! Scenarios put together from key shape and alteration: their SQL means what their functions say, without any migration.

use std::time::Duration;

use segue_model::engine::Engine;
use segue_testkit::sqlite::TempDatabase;
use segue_traffic::scenario::generated;
use segue_traffic::scenario::generated::{Alteration, KeyShape};
use segue_traffic::{Place, Report, baseline, seed};

use crate::hand::{assert_clean, load};

fn old_version_alone(place: &Place, key: KeyShape, alteration: Alteration) -> Report {
    let scenario = generated(place.engine(), key, alteration);
    seed(place, &scenario, load().rows).unwrap_or_else(|fault| panic!("{key:?} {alteration:?}: {fault}"));
    let report = baseline(place, &scenario, load(), Duration::from_millis(300)).unwrap();
    assert!(report.is_clean(), "{key:?} {alteration:?}: {report:#?}");
    report
}

#[test]
fn the_old_version_of_every_generated_scenario_runs_clean_on_sqlite() {
    for key in KeyShape::all(Engine::Sqlite) {
        for alteration in Alteration::all(Engine::Sqlite) {
            let file = TempDatabase::new("");
            assert_clean(&old_version_alone(&Place::Sqlite(file.path()), *key, *alteration));
        }
    }
}

#[test]
fn the_old_version_of_every_generated_scenario_runs_clean_on_postgres() {
    for server in segue_testkit::each_postgres().into_iter().take(1) {
        for key in KeyShape::all(Engine::Postgres) {
            for alteration in Alteration::all(Engine::Postgres) {
                assert_clean(&old_version_alone(&Place::Postgres(server.database()), *key, *alteration));
            }
        }
    }
}
