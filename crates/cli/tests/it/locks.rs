//! What a plan predicts is what the server shows: each step is run by hand, and its locks are looked at from beside.

mod steps;

use std::collections::BTreeSet;
use std::thread;

use segue_model::engine::Engine;
use segue_testkit::client::Client;
use segue_testkit::lockprobe::{Held, HeldOf, every_lock_of, locks_of};
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

#[test]
fn every_step_and_undo_that_stands_alone_holds_what_its_plan_predicts() {
    thread::scope(|scope| {
        let servers = segue_testkit::each_postgres();
        let runs: Vec<_> = servers.into_iter().map(|server| scope.spawn(move || observe_alone(server))).collect();
        for run in runs {
            let (major, compared, wrong) = run.join().expect("the run of a version ends");
            println!("postgres {major}: {compared} steps and undos of {} migrations compared", steps::STEPS.len());
            assert!(wrong.is_empty(), "postgres {major}:\n{}", wrong.join("\n"));
        }
    });
}

/// Runs steps and then undos of each migration of the table, and compares all locks, files and scans.
fn observe_alone(server: &PostgresServer) -> (u32, usize, Vec<String>) {
    let (mut compared, mut wrong) = (0, vec![]);
    for (name, first_major, setup, up) in steps::STEPS {
        if server.major() < *first_major {
            continue;
        }
        let url = server.database();
        let (mut session, mut watcher) = (Client::connect(&url), Client::connect(&url));
        session.batch(setup);
        let project = Project::new(&url);
        project.write("1_change.sql", up);
        let output = project.segue.run(&["plan", "--format", "json"]);
        let Ok(plan) = serde_json::from_str::<Value>(&output.stdout) else {
            wrong.push(format!("{name}: no plan\n{}{}", output.stdout, output.stderr));
            continue;
        };
        let pid = session.pid();
        session.batch("CREATE SCHEMA IF NOT EXISTS segue; SET max_parallel_workers_per_gather = 0");
        let steps = plan["steps"].as_array().cloned().unwrap_or_default();
        let undos = steps.iter().rev().flat_map(|step| step["undo"].as_array().cloned().unwrap_or_default());
        for part in steps.iter().cloned().chain(undos) {
            let sql = statements(&part);
            if part["transaction"] == "none" {
                sql.iter().for_each(|sql| session.batch(sql));
                continue;
            }
            session.batch("BEGIN");
            if let Some(error) = sql.iter().find_map(|sql| session.try_batch(sql).err()) {
                wrong.push(format!("{name}: {error}: {sql:?}"));
                session.batch("ROLLBACK");
                break;
            }
            let held = every_lock_of(&mut watcher, pid);
            session.batch("COMMIT");
            compared += 1;
            wrong.extend(differing(&part, &held).map(|what| format!("{name}: {what}\n  {sql:?}")));
        }
    }
    (server.major(), compared, wrong)
}

/// Returns how the locks of a part differ from what is predicted. Reading others (AccessShareLock), and the indexes of what is
/// locked, need no prediction.
fn differing(part: &Value, held: &[HeldOf]) -> Option<String> {
    let bare = |spelled: &str| spelled.replace('"', "");
    let predicted: BTreeSet<(String, String)> = part["locks"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|lock| Some((bare(lock["relation"].as_str()?), lock["mode"].as_str()?.to_owned())))
        .collect();
    let observed = held.iter().filter(|(kind, name, _)| !"iIc".contains(*kind) && !name.starts_with("segue."));
    let observed: BTreeSet<(String, String)> = observed.map(|(_, name, mode)| (name.clone(), mode.clone())).collect();
    let strong = |(_, mode): &&(String, String)| mode != "AccessShareLock";
    let missed: Vec<_> = observed.difference(&predicted).filter(strong).collect();
    let absent: Vec<_> = predicted.difference(&observed).collect();
    (!missed.is_empty() || !absent.is_empty())
        .then(|| format!("not predicted, but held: {missed:?}; predicted, but not held: {absent:?}"))
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
                session.batch("BEGIN");
                let before = step["backfill"]["before"].as_array().map(Vec::as_slice).unwrap_or_default();
                before.iter().filter_map(Value::as_str).for_each(|sql| session.batch(sql));
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
