//! `segue verify` as a person types it: rows that could not be converted, and looking again and again at a gate.

use std::process::Child;
use std::time::{Duration, Instant};

use segue_testkit::client::Client;
use segue_testkit::postgres::PostgresServer;
use segue_testkit::process::signal;
use segue_testkit::segue::{Output, finished};
use serde_json::Value;

use crate::operate::slow::{eventually, pause};
use crate::project::Project;

const AGES: &str = "CREATE TABLE users (id int PRIMARY KEY, age_text text);
INSERT INTO users SELECT n, n::text FROM generate_series(1, 100) AS n;
UPDATE users SET age_text = 'about forty, s3cret' WHERE id IN (7, 42)";
const TO_NUMBER: &str = "ALTER TABLE users ADD COLUMN age int;
UPDATE users SET age = age_text::int;
ALTER TABLE users DROP COLUMN age_text;";
const TO_TEXT: &str = "ALTER TABLE users ADD COLUMN age_text text;
UPDATE users SET age_text = age::text;
ALTER TABLE users DROP COLUMN age;";

/// A database and a project with the migration `1_age`.
struct Ages {
    client: Client,
    project: Project,
}

impl Ages {
    fn new(server: &PostgresServer) -> Self {
        let url = server.database();
        let mut client = Client::connect(&url);
        client.batch(AGES);
        let project = Project::new(&url);
        project.write("1_age.sql", TO_NUMBER);
        project.write("1_age.down.sql", TO_TEXT);
        Self { client, project }
    }

    fn verify(&self, options: &[&str]) -> Output {
        self.project.segue.run(&[&["verify", "1_age"], options].concat())
    }

    /// Writes as somebody does who takes the triggers away.
    fn write_around_triggers(&mut self, sql: &str) {
        let names = "SELECT quote_ident(tgname) FROM pg_trigger WHERE tgrelid = 'users'::regclass AND NOT tgisinternal";
        let names = self.client.column(names, &[]);
        let on = names.iter().map(|name| format!("; ALTER TABLE users ENABLE ALWAYS TRIGGER {name}"));
        let on: String = on.collect();
        self.client.batch(&format!("BEGIN; ALTER TABLE users DISABLE TRIGGER USER; {sql}{on}; COMMIT"));
    }
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

#[track_caller]
fn assert_says(output: &Output, code: i32, words: &[&str]) {
    let all = format!("--- stdout\n{}--- stderr\n{}", output.stdout, output.stderr);
    assert_eq!(output.code, code, "{all}");
    for word in words {
        assert!(all.contains(word), "it does not say `{word}`:\n{all}");
    }
}

#[test]
fn rows_that_could_not_be_converted_are_named_corrected_and_tried_again() {
    for server in segue_testkit::each_postgres() {
        let mut case = Ages::new(server);
        let applied = case.project.segue.run(&["apply"]);
        assert_says(&applied, 0, &["2 rows of", "cannot be converted", "segue verify 1_age --retry-quarantine"]);
        let status = case.project.segue.ok(&["status"]);
        assert!(status.contains("2 rows could not be converted"), "{status}");
        assert!(status.contains("  7, age: ") && status.contains("  42, age: "), "it names the rows: {status}");
        assert!(!status.contains("s3cret"), "a value is nobody's business: {status}");
        let flip = case.project.segue.run(&["flip"]);
        assert_says(&flip, 5, &["cannot be converted", "--retry-quarantine"]);

        // One is corrected: the other is still named.
        case.client.batch("UPDATE users SET age_text = '40' WHERE id = 7");
        let again = case.verify(&["--retry-quarantine"]);
        assert_says(&again, 6, &["2 rows were quarantined, 1 are now", "1 rows of `1_age` still cannot be converted"]);
        let shown = case.verify(&["--retry-quarantine", "--format", "json"]);
        let shown = json(&shown.stdout);
        assert_eq!((&shown["before"], &shown["quarantine"]["rows"]), (&1.into(), &1.into()), "{shown}");
        let sample = &shown["quarantine"]["samples"][0];
        assert!(sample["key"].as_str().unwrap().contains("42") && sample["error"].is_string(), "{shown}");
        assert!(!shown.to_string().contains("s3cret"), "a value is nobody's business: {shown}");
        assert_says(&case.project.segue.run(&["flip"]), 5, &["cannot be converted"]);

        case.client.batch("UPDATE users SET age_text = '41' WHERE id = 42");
        let again = case.verify(&["--retry-quarantine"]);
        assert_says(&again, 0, &["1 rows were quarantined, 0 are now"]);
        let rows = case.client.column("SELECT age::text FROM users WHERE id IN (7, 42) ORDER BY id", &[]);
        assert_eq!(rows, ["40", "41"]);
        let none = case.verify(&["--retry-quarantine", "--format", "json"]);
        assert_eq!(json(&none.stdout)["quarantine"]["rows"], 0, "{}", none.stdout);
        case.project.segue.ok(&["flip"]);
        assert_says(&case.verify(&["--retry-quarantine"]), 5, &["flipped"]);
    }
}

/// A verification that goes on and on, every second.
struct Continuous {
    child: Child,
}

impl Continuous {
    fn begin(case: &Ages) -> Self {
        Self { child: case.project.segue.spawn(&["verify", "1_age", "--continuous", "--every", "1s"]) }
    }

    /// Asks it to stop.
    fn interrupted(self) -> Output {
        assert!(signal(self.child.id(), "INT"), "our own process takes a signal");
        finished(self.child)
    }
}

/// Returns a migration at `ready` whose rows are all right.
fn ready(server: &PostgresServer) -> Ages {
    let mut case = Ages::new(server);
    case.client.batch("UPDATE users SET age_text = '40' WHERE id IN (7, 42)");
    case.project.segue.ok(&["apply"]);
    case
}

#[test]
fn verifying_again_and_again_ends_with_ctrl_c_and_what_the_last_round_found() {
    for server in segue_testkit::each_postgres() {
        let case = ready(server);
        let watch = Continuous::begin(&case);
        pause(Duration::from_millis(2500));
        let output = watch.interrupted();
        assert_says(&output, 0, &["100 rows", "0 unrelated, 0 absent"]);
        let rounds = output.stderr.matches("verified 100 rows: 0 wrong").count();
        assert!(rounds >= 2, "{rounds} rounds: {}", output.stderr);
        // The lease is given back after each round, so the next command is not kept waiting.
        case.project.segue.ok(&["flip"]);
    }
}

#[test]
fn verifying_that_is_stopped_before_its_first_round_has_found_nothing() {
    for server in segue_testkit::each_postgres() {
        let case = ready(server);
        // A pause holds what goes over a table: the first round does not come to its end.
        case.project.segue.ok(&["pause"]);
        let mut watch = Continuous::begin(&case);
        pause(Duration::from_millis(2500));
        assert!(watch.child.try_wait().unwrap().is_none(), "it waits for the pause to end");
        let output = watch.interrupted();
        assert_says(&output, 130, &["paused by"]);
        case.project.segue.ok(&["resume"]);
        case.project.segue.ok(&["verify"]);
    }
}

#[test]
fn verifying_again_and_again_ends_with_what_went_around_the_triggers() {
    for server in segue_testkit::each_postgres() {
        let mut case = ready(server);
        let mut watch = Continuous::begin(&case);
        pause(Duration::from_millis(1500));
        // The triggers fire in this role too: nothing to be found.
        case.client
            .batch("SET session_replication_role = replica; UPDATE users SET age_text = '50' WHERE id = 3; RESET ALL");
        assert_eq!(case.client.value("SELECT age FROM users WHERE id = 3").as_deref(), Some("50"));
        pause(Duration::from_millis(1500));
        assert!(watch.child.try_wait().unwrap().is_none(), "it goes on while all is right");
        case.write_around_triggers("UPDATE users SET age_text = '60' WHERE id = 5");
        eventually("it has found the row", || watch.child.try_wait().unwrap().is_some());
        let output = finished(watch.child);
        assert_says(&output, 6, &["5", "segue verify 1_age --repair"]);
        case.project.segue.ok(&["verify", "1_age", "--repair"]);
        assert_eq!(case.client.value("SELECT age FROM users WHERE id = 5").as_deref(), Some("60"));
        let watch = Continuous::begin(&case);
        pause(Duration::from_millis(1000));
        assert_says(&watch.interrupted(), 0, &["0 unrelated, 0 absent"]);
    }
}

#[test]
fn verifying_again_and_again_names_a_trigger_that_is_missing() {
    for server in segue_testkit::each_postgres() {
        let mut case = ready(server);
        let names =
            "SELECT tgname::text FROM pg_trigger WHERE tgrelid = 'users'::regclass AND NOT tgisinternal ORDER BY 1";
        let names = case.client.column(names, &[]);
        let mut watch = Continuous::begin(&case);
        pause(Duration::from_millis(1500));
        case.client.batch(&format!("ALTER TABLE users DISABLE TRIGGER \"{}\"", names[0]));
        eventually("it has found it", || watch.child.try_wait().unwrap().is_some());
        let output = finished(watch.child);
        assert!(matches!(output.code, 1 | 5 | 6), "{}: {}", output.code, output.stderr);
        assert!(output.stderr.contains(&names[0]), "it does not name {}: {}", names[0], output.stderr);
    }
}

#[test]
fn verifying_again_and_again_lets_other_commands_by_and_ends_with_the_migration() {
    for server in segue_testkit::each_postgres() {
        let case = ready(server);
        let mut watch = Continuous::begin(&case);
        pause(Duration::from_millis(1200));
        for command in
            [&["flip"][..], &["contract", "--old-version-stopped"], &["cleanup", "--yes", "--i-checked-references"]]
        {
            // A round may be under way: then the lease is not to be had for its length.
            let began = Instant::now();
            let mut output = case.project.segue.run(command);
            while output.code == 4 && began.elapsed() < Duration::from_secs(10) {
                pause(Duration::from_millis(50));
                output = case.project.segue.run(command);
            }
            assert_eq!(output.code, 0, "{command:?}: {}", output.stderr);
        }
        eventually("it has ended by itself", || watch.child.try_wait().unwrap().is_some());
        let output = finished(watch.child);
        assert_says(&output, 0, &["0 unrelated, 0 absent"]);
    }
}
