//! PostgreSQL.

use std::thread::sleep;
use std::time::Duration;

use segue_model::engine::Engine;
use segue_testkit::client::Client;
use segue_traffic::scenario::{all, fill, retype_beyond_int, split};
use segue_traffic::{Load, Place, Report, Traffic, seed};

use crate::hand::{Hand, ROWS, Target, assert_clean, load, naive_while_stopped, split_under_traffic};

const HAND: Hand =
    Hand { expand: include_str!("sync/split_postgres.sql"), forward: "concat_ws(' ', first_name, last_name)" };

/// Runs the case in a new database of PostgreSQL 15, where there is one.
fn in_a_new_database(case: impl FnOnce(Target<'_>) -> Report) -> Option<Report> {
    let server = segue_testkit::postgres(15)?;
    let url = server.database();
    let mut migrator = Client::connect(&url);
    let place = Place::Postgres(url);
    Some(case(Target { place, run: &mut |sql| migrator.batch(sql) }))
}

fn split_with(harm: &[&str]) -> Option<Report> {
    in_a_new_database(|target| split_under_traffic(target, &split(Engine::Postgres), &HAND, harm))
}

#[test]
fn a_split_kept_in_sync_by_triggers_is_clean() {
    let Some(report) = split_with(&[]) else { return };
    assert_clean(&report);
}

#[test]
fn a_disabled_trigger_is_found() {
    let Some(report) = split_with(&["ALTER TABLE people DISABLE TRIGGER \"~upd\""]) else { return };
    assert!(report.wrong_rows > 0 && report.failed_requests == 0, "{report:#?}");
}

#[test]
fn a_repair_that_overwrites_what_forward_cannot_make_is_found() {
    let repair = format!("UPDATE people SET full_name = {0} WHERE full_name <> {0}", HAND.forward);
    let Some(report) = split_with(&["ALTER TABLE people DISABLE TRIGGER \"~upd\"", &repair]) else { return };
    assert!(report.lost_writes > 0, "{report:#?}");
}

#[test]
fn every_scenario_is_clean_when_its_file_runs_while_the_application_is_down() {
    for scenario in all(Engine::Postgres) {
        let Some(report) = in_a_new_database(|target| naive_while_stopped(target, &scenario)) else { return };
        assert_clean(&report);
    }
}

#[test]
fn a_type_change_makes_each_prepared_statement_stale_once() {
    let scenario = retype_beyond_int(Engine::Postgres).expect("PostgreSQL has it");
    let Some(report) = in_a_new_database(|target| {
        seed(&target.place, &scenario, ROWS).unwrap();
        let running = Traffic::start(&target.place, &scenario, load()).unwrap();
        sleep(Duration::from_millis(500));
        (target.run)(scenario.up);
        running.start_new_version();
        sleep(Duration::from_millis(800));
        running.stop().unwrap()
    }) else {
        return;
    };
    assert_clean(&report);
    // One statement returns the column, on each of four connections.
    assert_eq!(report.replanned, 4);
}

#[test]
fn a_column_filled_once_may_be_filled_before_or_after_a_write() {
    let scenario = fill(Engine::Postgres);
    let sync = "ALTER TABLE accounts ADD COLUMN domain text;
        CREATE FUNCTION fill() RETURNS trigger LANGUAGE plpgsql AS $f$
        BEGIN NEW.domain := coalesce(NEW.email, '') || '.example'; RETURN NEW; END $f$;
        CREATE TRIGGER fill BEFORE INSERT OR UPDATE ON accounts FOR EACH ROW WHEN (NEW.domain IS NULL) EXECUTE FUNCTION fill();";
    let migrate = |sync: &'static str| {
        in_a_new_database(|target| {
            seed(&target.place, &scenario, ROWS).unwrap();
            let running = Traffic::start(&target.place, &scenario, load()).unwrap();
            sleep(Duration::from_millis(300));
            (target.run)(sync);
            (target.run)("UPDATE accounts SET domain = coalesce(email, '') || '.example' WHERE domain IS NULL");
            running.start_new_version();
            sleep(Duration::from_millis(800));
            running.stop().unwrap()
        })
    };
    let Some(report) = migrate(sync) else { return };
    assert_clean(&report);
    let without = migrate("ALTER TABLE accounts ADD COLUMN domain text").expect("the server was there a moment ago");
    assert!(without.wrong_rows > 0, "{without:#?}");
}

#[test]
fn a_lost_connection_fails_one_request_and_loses_nothing() {
    let scenario = split(Engine::Postgres);
    let end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'application' AND datname = current_database()";
    let Some(report) = in_a_new_database(|target| {
        seed(&target.place, &scenario, ROWS).unwrap();
        let running = Traffic::start(&target.place, &scenario, Load { rate_per_s: 2_000, ..load() }).unwrap();
        for _ in 0..3 {
            sleep(Duration::from_millis(300));
            (target.run)(end);
        }
        sleep(Duration::from_millis(900));
        running.stop().unwrap()
    }) else {
        return;
    };
    assert!((1..=12).contains(&report.failed_requests), "{report:#?}");
    assert_eq!((report.lost_writes, report.wrong_rows), (0, 0), "{report:#?}");
}
