//! What plans of names and ends predict is what the server shows, on every table that a step touches.

use segue_testkit::client::Client;
use segue_testkit::lockprobe::{Held, locks_of};
use segue_testkit::postgres::PostgresServer;
use serde_json::Value;

use crate::project::Project;

const SCHEMA: &str = "CREATE SCHEMA segue; CREATE SCHEMA other; CREATE TABLE parents (id int PRIMARY KEY);
    CREATE TABLE people (id serial PRIMARY KEY, name text NOT NULL, parent int REFERENCES parents);
    INSERT INTO parents VALUES (1); INSERT INTO people (name, parent) VALUES ('a', 1);";

#[test]
fn every_step_of_a_name_or_an_end_holds_the_locks_that_its_plan_predicts() {
    let files = [
        "ALTER TABLE people RENAME TO humans;",
        "ALTER TABLE people SET SCHEMA other;",
        "ALTER TABLE people RENAME CONSTRAINT people_pkey TO k;",
        "ALTER TABLE people DROP COLUMN name;",
        "ALTER TABLE people DROP COLUMN parent;",
        "DROP TABLE people;",
    ];
    for server in segue_testkit::oldest_and_newest_postgres() {
        let compared: usize = files.into_iter().map(|up| observe(server, up)).sum();
        println!("postgres {}: {compared} steps compared", server.major());
        assert!(compared >= 15, "only {compared} steps were compared");
    }
}

/// Runs the steps of the file's plan in order, without Segue, and returns how many were compared.
fn observe(server: &PostgresServer, up: &str) -> usize {
    let url = server.database();
    let (mut session, mut watcher) = (Client::connect(&url), Client::connect(&url));
    session.batch(SCHEMA);
    let project = Project::new(&url);
    project.write("1_change.sql", up);
    let plan: Value = serde_json::from_str(&project.segue.ok(&["plan", "--format", "json"])).expect("a plan is JSON");
    let pid = session.pid();
    let mut compared = 0;
    for step in plan["steps"].as_array().expect("a plan has steps") {
        // What goes by windows is done by the statement after it too, for all that is left.
        if !matches!(step["kind"].as_str(), Some("sql" | "snapshot")) {
            continue;
        }
        session.batch("BEGIN");
        let all = step["sql"].as_array().map(Vec::as_slice).unwrap_or_default();
        all.iter().filter_map(Value::as_str).for_each(|sql| session.batch(sql));
        let held = locks_of(&mut watcher, pid);
        session.batch("COMMIT");
        assert_eq!(predicted(step), of_users(held), "{up} {}: {}", step["id"], step["sql"]);
        compared += 1;
    }
    compared
}

fn predicted(step: &Value) -> Vec<Held> {
    let locks = step["locks"].as_array().map(Vec::as_slice).unwrap_or_default();
    let text = |lock: &Value, of: &str| lock[of].as_str().expect("a lock has both").to_owned();
    let mut all: Vec<Held> = locks.iter().map(|lock| (text(lock, "relation"), text(lock, "mode"))).collect();
    all.sort();
    all
}

/// What is ours is nobody else's to wait for.
fn of_users(mut held: Vec<Held>) -> Vec<Held> {
    held.retain(|(relation, _)| !relation.starts_with("segue."));
    held
}
