//! Nobody else writes: catalog and data can be compared to the last value.

use segue_model::engine::Engine;
use segue_traffic::scenario::{Rule, fill, hostile, rename, retype, split};
use segue_traffic::{Place, Scenario};

use super::lab::{Ground, Lab, Point};

#[test]
fn a_split_goes_back_as_before_and_ends_as_if_done_naively() {
    both_ways(|engine| Some(split(engine)));
}

#[test]
fn a_rename_goes_back_as_before_and_ends_as_if_done_naively() {
    both_ways(|engine| Some(rename(engine)));
}

#[test]
fn hostile_names_go_back_as_before_and_end_as_if_done_naively() {
    both_ways(|engine| Some(hostile(engine)));
}

#[test]
fn a_filled_column_goes_back_as_before_and_ends_as_if_done_naively() {
    both_ways(|engine| Some(fill(engine)));
}

#[test]
fn a_wider_type_goes_back_as_before_and_ends_as_if_done_naively() {
    both_ways(retype);
}

fn both_ways(scenario: fn(Engine) -> Option<Scenario>) {
    for ground in Ground::each() {
        let Some(scenario) = scenario(ground.engine()) else { continue };
        let lab = Lab::new(ground, &scenario);
        let (catalog, rows) = (lab.catalog(), lab.rows());
        for point in Point::ALL {
            go_to(&lab, point);
            lab.rollback();
            let when = format!("after the rollback from {point:?}");
            lab.assert_catalog(&catalog, &when);
            lab.assert_rows(&rows, &when);
        }
        go_to(&lab, Point::Contract);
        lab.cleanup();
        let naive = Lab::new(ground, &scenario);
        assert_copy_is_of(&lab, &naive);
        naive.by_hand(scenario.up);
        lab.assert_catalog(&naive.catalog(), "after cleanup");
        lab.assert_rows(&naive.rows(), "after cleanup");
    }
}

/// Nobody wrote since the beginning: the copy is what a database holds that was not changed yet.
fn assert_copy_is_of(lab: &Lab, before: &Lab) {
    let Some((columns, rows)) = lab.copy() else { return assert!(!drops_on_postgres(lab), "{} has no copy", lab.name) };
    let must = before.rows_with_values(lab.scenario.table, &columns);
    assert!(must.len() > 100, "{}: {} rows hold an old value", lab.name, must.len());
    assert_eq!(rows, must, "{}: the copy", lab.name);
}

/// A column that is filled takes nothing away.
fn drops_on_postgres(lab: &Lab) -> bool {
    matches!(lab.place, Place::Postgres(_)) && lab.scenario.rule != Rule::FillOnce
}

fn go_to(lab: &Lab, point: Point) {
    if point == Point::Expand {
        return lab.expand();
    }
    lab.apply();
    if point >= Point::Flip {
        lab.flip();
    }
    if point >= Point::Contract {
        lab.contract();
    }
}
