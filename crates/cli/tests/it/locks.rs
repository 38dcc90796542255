//! What a plan predicts is what the server shows: each step is run by hand, and its locks are looked at from beside.

use segue_model::engine::Engine;
use segue_testkit::client::Client;
use segue_testkit::lockprobe::{Held, locks_of};
use segue_testkit::postgres::PostgresServer;
use segue_traffic::{Place, Scenario, scenario};
use serde_json::Value;

use crate::project::Project;

/// What was compared, for the test's output.
#[derive(Default)]
struct Count {
    compared: usize,
    skipped: Vec<String>,
}

#[test]
fn every_step_holds_the_locks_that_its_plan_predicts() {
    for server in segue_testkit::each_postgres() {
        let mut count = Count::default();
        for scenario in scenario::all(Engine::Postgres) {
            observe(server, &scenario, &mut count);
        }
        println!(
            "postgres {}: {} steps compared, skipped: {}",
            server.major(),
            count.compared,
            count.skipped.join(", ")
        );
        assert!(count.compared > 20, "only {} steps were compared", count.compared);
    }
}

/// Runs the steps of the scenario's plan in order, without Segue, and compares the locks of each.
fn observe(server: &PostgresServer, scenario: &Scenario, count: &mut Count) {
    let url = server.database();
    segue_traffic::seed(&Place::Postgres(url.clone()), scenario, 1_000).expect("an empty database can be seeded");
    let project = Project::new(&url);
    project.write("1_change.sql", scenario.up);
    project.write("1_change.down.sql", scenario.down);
    let plan: Value = serde_json::from_str(&project.segue.ok(&["plan", "--format", "json"])).expect("a plan is JSON");
    let (mut session, mut watcher) = (Client::connect(&url), Client::connect(&url));
    session.batch("CREATE SCHEMA segue");
    let pid = session.pid();
    for step in plan["steps"].as_array().expect("a plan has steps") {
        let title = format!("{} {} {}", scenario.name, step["id"], step["kind"]);
        let sql = statements(step);
        if step["transaction"] == "none" {
            // Its locks come and go in parts of its own; the statement itself must work.
            sql.iter().for_each(|sql| session.batch(sql));
            count.skipped.push(title);
            continue;
        }
        match step["kind"].as_str() {
            Some("sql" | "snapshot") => {}
            Some("backfill") => {
                session.batch("BEGIN; SET LOCAL segue.backfill = 'on'");
                session.batch(&whole_table(&sql));
                session.batch("COMMIT");
                count.skipped.push(title);
                continue;
            }
            _ => continue,
        }
        session.batch("BEGIN");
        sql.iter().for_each(|sql| session.batch(sql));
        let held = locks_of(&mut watcher, pid);
        session.batch("COMMIT");
        compare(&title, step, &held, scenario);
        count.compared += 1;
    }
}

/// Returns the step's statements.
fn statements(step: &Value) -> Vec<String> {
    let all = step["sql"].as_array().map(Vec::as_slice).unwrap_or_default();
    all.iter().filter_map(|sql| sql.as_str().map(str::to_owned)).collect()
}

/// Returns the backfill's statement for every page of the table.
fn whole_table(sql: &[String]) -> String {
    let fill = sql.last().expect("a backfill has a statement");
    let by_pages = fill.replace("$1::", "'0'::").replace("$2::", "'64'::");
    // By keys (PostgreSQL 13), which are whole numbers here.
    by_pages.replace("CAST($1 AS", "CAST('-2147483648' AS").replace("CAST($2 AS", "CAST('2147483647' AS")
}

/// Compares the strongest lock on the application's table.
#[track_caller]
fn compare(title: &str, step: &Value, held: &[Held], scenario: &Scenario) {
    // A plan spells names as SQL does, the probe shows them bare.
    let spelled = format!("public.{}", scenario.table);
    let bare = format!("public.{}", scenario.table.trim_matches('"').replace("\"\"", "\""));
    let strength = |mode: &str| {
        const MODES: [&str; 8] = [
            "AccessShareLock",
            "RowShareLock",
            "RowExclusiveLock",
            "ShareUpdateExclusiveLock",
            "ShareLock",
            "ShareRowExclusiveLock",
            "ExclusiveLock",
            "AccessExclusiveLock",
        ];
        MODES.iter().position(|known| *known == mode)
    };
    let observed = held.iter().find(|(relation, _)| *relation == bare).map(|(_, mode)| mode.clone());
    let locks = step["locks"].as_array().map(Vec::as_slice).unwrap_or_default();
    let predicted = locks.iter().filter(|lock| lock["relation"] == spelled.as_str());
    let predicted =
        predicted.filter_map(|lock| lock["mode"].as_str()).max_by_key(|mode| strength(mode)).map(str::to_owned);
    assert_eq!(predicted, observed, "{title}: {}\npredicted on the left, observed on the right", step["sql"]);
}
