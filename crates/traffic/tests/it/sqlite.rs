//! SQLite.

use segue_model::engine::Engine;
use segue_testkit::sqlite::{TempDatabase, connect};
use segue_traffic::scenario::{all, split};
use segue_traffic::{Place, Report};

use crate::hand::{Hand, Target, assert_clean, naive_while_stopped, split_under_traffic};

const HAND: Hand = Hand {
    expand: include_str!("sync/split_sqlite.sql"),
    forward: "coalesce(first_name, '') || ' ' || coalesce(last_name, '')",
};

fn on_a_new_file(case: impl FnOnce(Target<'_>) -> Report) -> Report {
    let database = TempDatabase::new("");
    let migrator = connect(&database.path());
    case(Target { place: Place::Sqlite(database.path()), run: &mut |sql| migrator.execute_batch(sql).unwrap() })
}

fn split_with(harm: &[&str]) -> Report {
    on_a_new_file(|target| split_under_traffic(target, &split(Engine::Sqlite), &HAND, harm))
}

#[test]
fn a_split_kept_in_sync_by_triggers_is_clean() {
    assert_clean(&split_with(&[]));
}

#[test]
fn a_missing_forward_trigger_is_found() {
    let report = split_with(&["DROP TRIGGER uo"]);
    assert!(report.wrong_rows > 0 && report.failed_requests == 0, "{report:#?}");
}

#[test]
fn a_missing_back_trigger_is_found() {
    assert!(split_with(&["DROP TRIGGER un"]).wrong_rows > 0);
}

#[test]
fn a_trigger_that_follows_mention_instead_of_difference_is_found() {
    let when = "CREATE TRIGGER uo AFTER UPDATE ON people WHEN NEW.m IS OLD.m BEGIN
        UPDATE people SET full_name = coalesce(first_name, '') || ' ' || coalesce(last_name, ''), m = NOT m WHERE id = NEW.id; END";
    assert!(split_with(&["DROP TRIGGER uo", when]).lost_writes > 0);
}

#[test]
fn a_repair_that_overwrites_what_forward_cannot_make_is_found() {
    let repair = format!("UPDATE people SET full_name = {0} WHERE full_name <> {0}", HAND.forward);
    assert!(split_with(&["DROP TRIGGER un", &repair]).lost_writes > 0);
}

#[test]
fn a_row_that_vanished_and_one_that_changed_by_itself_are_found() {
    let report = split_with(&["DELETE FROM people WHERE id = 20", "UPDATE people SET note = 'x' WHERE id = 21"]);
    assert!(report.lost_writes >= 2, "{report:#?}");
}

#[test]
fn every_scenario_is_clean_when_its_file_runs_while_the_application_is_down() {
    for scenario in all(Engine::Sqlite) {
        assert_clean(&on_a_new_file(|target| naive_while_stopped(target, &scenario)));
    }
}
