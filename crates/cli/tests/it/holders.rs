//! What keeps dead rows from being cleared: a run that has grown its table too far stands still, names it, and goes on when
//! it is gone.

use std::time::Duration;

use segue_testkit::client::Client;
use segue_testkit::postgres::{Binaries, PostgresOptions, PostgresServer, majors};
use segue_testkit::segue::finished;
use serde_json::Value;

use crate::operate::slow::{eventually, pause};
use crate::project::Project;

const ROWS: u64 = 20_000;

const TABLE: &str = "CREATE TABLE items (id bigint PRIMARY KEY, name text);
INSERT INTO items SELECT id, repeat('x', 300) FROM generate_series(1, 20000) AS id;
ANALYZE items";
const UP: &str = "ALTER TABLE items ADD COLUMN label text;
UPDATE items SET label = coalesce(name, '') || '!';
ALTER TABLE items ALTER COLUMN label SET NOT NULL;
";
const DOWN: &str = "ALTER TABLE items DROP COLUMN label;\n";

/// A standby that is away must not be what holds the run back.
const SETTINGS: &str = "[backfill]\ninline_below = 1\nwindow = \"20ms\"\n[throttle]\nreplica_lag = \"off\"\n";

/// A snapshot younger than this is one that goes again by itself.
const OLD: Duration = Duration::from_secs(4);

/// Nobody stands by for fewer transactions than this.
const MANY_TRANSACTIONS: &str = "DO $$ BEGIN
  FOR n IN 1..1500 LOOP PERFORM pg_current_xact_id(); COMMIT; END LOOP;
END $$";

/// Returns servers with these settings: of their own, for a slot keeps the dead rows of every database.
fn servers(extra: &[(&str, &str)]) -> Vec<PostgresServer> {
    let found = majors().into_iter().filter_map(|major| {
        let binaries = Binaries::find(major);
        if binaries.is_none() {
            segue_testkit::skipped(&format!("postgres {major}"));
        }
        binaries
    });
    let options = PostgresOptions { extra, ..PostgresOptions::default() };
    found.map(|binaries| PostgresServer::start(&binaries, &options)).collect()
}

/// A database with a table that is large enough to grow, and a project with the migration `1_label`.
struct Growing {
    url: String,
    project: Project,
}

impl Growing {
    fn new(server: &PostgresServer) -> Self {
        let url = server.database();
        Client::connect(&url).batch(TABLE);
        let project = Project::new(&url);
        project.write("1_label.sql", UP);
        project.write("1_label.down.sql", DOWN);
        std::fs::write(project.path().join("segue.toml"), SETTINGS).expect("our own folder takes files");
        Self { url, project }
    }

    fn filled(&self) -> u64 {
        let count = "SELECT count(*) FROM items WHERE label IS NOT NULL";
        Client::connect(&self.url).value(count).map_or(0, |text| text.parse().unwrap())
    }

    /// Returns what `status` says that holds the run back.
    fn holding(&self) -> String {
        let output = self.project.segue.run(&["status", "1_label", "--format", "json"]);
        let all: Value = serde_json::from_str(&output.stdout).unwrap_or_default();
        let reasons = all[0]["figures"]["holding"].as_array().cloned().unwrap_or_default();
        reasons.iter().filter_map(Value::as_str).collect::<Vec<_>>().join("; ")
    }

    /// Runs the migration while something keeps dead rows; `words` name it, `end` ends it.
    #[track_caller]
    fn stands_still(&self, words: &[&str], end: impl FnOnce()) {
        let run = self.project.segue.spawn(&["apply"]);
        eventually("the table has grown too far", || self.holding().contains("has grown by more than 25 %"));
        let why = self.holding();
        println!("{why}");
        assert!(words.iter().all(|word| why.contains(word)), "it does not name {words:?}: {why}");
        let before = self.filled();
        pause(Duration::from_millis(1500));
        assert_eq!(self.filled(), before, "it stands still");
        assert!(before > 0 && before < ROWS, "it was held on the way: {before}");
        let text = self.project.segue.ok(&["status"]);
        assert!(words.iter().all(|word| text.contains(word)), "status does not name {words:?}: {text}");
        end();
        let output = finished(run);
        assert_eq!(output.code, 0, "{}", output.stderr);
        assert!(words.iter().all(|word| output.stderr.contains(word)), "the run names it too: {}", output.stderr);
        assert_eq!(self.filled(), ROWS);
    }
}

#[test]
fn a_snapshot_of_another_session_is_waited_for() {
    for server in servers(&[]) {
        let case = Growing::new(&server);
        let mut reader = Client::connect(&format!("{}?application_name=nightly", case.url));
        reader.batch("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM pg_class");
        pause(OLD);
        let pid = format!("pid {}, nightly, open for ", reader.pid());
        case.stands_still(&[&pid, "idle in transaction"], || reader.batch("COMMIT"));
    }
}

#[test]
fn a_prepared_transaction_is_waited_for() {
    for server in servers(&[("max_prepared_transactions", "4")]) {
        let case = Growing::new(&server);
        let mut client = Client::connect(&case.url);
        client.batch("BEGIN; CREATE TABLE other (id int); PREPARE TRANSACTION 'two phases'");
        pause(OLD);
        case.stands_still(&["prepared transaction 'two phases', of postgres, open for "], || {
            client.batch("ROLLBACK PREPARED 'two phases'");
        });
    }
}

/// A standby that tells the primary what it still reads.
fn feeding_back(server: &PostgresServer, name: &str, slot: Option<&str>) -> PostgresServer {
    let standby = server.standby(name);
    let mut client = standby.connect("postgres");
    let slot = slot.map(|slot| {
        server.connect("postgres").rows(&format!("SELECT pg_create_physical_replication_slot('{slot}')"));
        format!("ALTER SYSTEM SET primary_slot_name = '{slot}'")
    });
    let settings = ["ALTER SYSTEM SET hot_standby_feedback = on", "ALTER SYSTEM SET wal_receiver_status_interval = 1"];
    for setting in settings.into_iter().chain(slot.as_deref()) {
        client.batch(setting);
    }
    client.rows("SELECT pg_reload_conf()");
    standby
}

/// Opens a snapshot on the standby, and waits until the primary knows of it by `known`.
fn reads(server: &PostgresServer, standby: &PostgresServer, known: &str) -> Client {
    // Its oldest transaction must be one that came after the server was made.
    let mut primary = server.connect("postgres");
    primary.batch(MANY_TRANSACTIONS);
    let mut reader = standby.connect("postgres");
    reader.batch("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM pg_class");
    primary.batch(MANY_TRANSACTIONS);
    eventually("the primary knows what the standby reads", || primary.value(known).as_deref() == Some("t"));
    reader
}

#[test]
fn what_a_standby_reads_is_waited_for() {
    for server in servers(&[]) {
        let standby = feeding_back(&server, "reporting", None);
        let case = Growing::new(&server);
        let known = "SELECT coalesce(max(age(backend_xmin)), 0) > 1000 FROM pg_stat_replication";
        let mut reader = reads(&server, &standby, known);
        let words = ["standby reporting, pid ", "transactions behind by its feedback, streaming"];
        case.stands_still(&words, || reader.batch("COMMIT"));
    }
}

#[test]
fn what_a_slot_keeps_is_waited_for_whether_its_standby_is_there_or_not() {
    for server in servers(&[]) {
        let standby = feeding_back(&server, "reporting", Some("for_reports"));
        let known = "SELECT coalesce(max(age(xmin)), 0) > 1000 FROM pg_replication_slots";
        let case = Growing::new(&server);
        let mut reader = reads(&server, &standby, known);
        case.stands_still(&["replication slot 'for_reports', ", "transactions behind, active"], || {
            reader.batch("COMMIT");
        });
        let case = Growing::new(&server);
        let reader = reads(&server, &standby, known);
        standby.stop();
        drop(reader);
        let mut primary = server.connect("postgres");
        let is_away = "SELECT bool_and(NOT active AND xmin IS NOT NULL) FROM pg_replication_slots";
        eventually("the standby is away", || primary.value(is_away).as_deref() == Some("t"));
        case.stands_still(&["replication slot 'for_reports', ", "transactions behind, inactive"], || {
            primary.rows("SELECT pg_drop_replication_slot('for_reports')");
        });
    }
}
