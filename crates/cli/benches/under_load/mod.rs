//! A schema change while clients of both versions go on: what they see of it. Shared by the benches.
#![allow(dead_code, reason = "each bench uses a part")]

use std::path::Path;
use std::time::{Duration, Instant};

use segue_testkit::client::Client;
use segue_testkit::postgres::PostgresServer;
use segue_testkit::segue::Segue;
use segue_testkit::sqlite::TempDatabase;
use segue_traffic::{Load, Place, Report, Running, Scenario, Traffic};

/// How long clients run before and after.
const AROUND: Duration = Duration::from_secs(3);

/// What was measured of one kind of run.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Measured {
    pub(crate) max_ms: f64,
    pub(crate) p99_ms: f64,
    pub(crate) failed: u64,
    pub(crate) lost: u64,
    pub(crate) wrong: u64,
    pub(crate) seconds: f64,
    /// Of these, for `apply`; 0 where Segue had no part in it.
    pub(crate) apply_seconds: f64,
}

/// What changes the schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum By {
    Nothing,
    Segue,
    SegueBesideAReader,
    TheNaiveStatements,
    AnotherTool,
}

/// Measures on a new database of a server.
pub(crate) fn on_postgres(server: &PostgresServer, scenario: &Scenario, rows: u32, by: By) -> Measured {
    on_postgres_by(server, scenario, rows, by, &|url| {
        Client::connect(url).batch(&format!("BEGIN; {}; COMMIT", scenario.up));
    })
}

/// The same, where `change` changes the schema of the database of this URL if Segue does not.
pub(crate) fn on_postgres_by(
    server: &PostgresServer,
    scenario: &Scenario,
    rows: u32,
    by: By,
    change: &dyn Fn(&str),
) -> Measured {
    let url = server.database();
    let measured = measure(&Place::Postgres(url.clone()), &url, scenario, rows, by, &|| change(&url));
    let database = url.rsplit('/').next().and_then(|rest| rest.split('?').next()).unwrap_or_default();
    server.connect("postgres").batch(&format!("DROP DATABASE IF EXISTS \"{database}\" WITH (FORCE)"));
    measured
}

/// Measures on a new file.
pub(crate) fn on_sqlite(scenario: &Scenario, rows: u32, by: By) -> Measured {
    let file = TempDatabase::new("PRAGMA journal_mode = WAL");
    let naive = || {
        let connection = file.connect();
        connection
            .execute_batch(&format!("BEGIN IMMEDIATE; {}; COMMIT", scenario.up))
            .expect("the naive statements are right");
    };
    measure(&Place::Sqlite(file.path()), &file.url(), scenario, rows, by, &naive)
}

fn measure(place: &Place, url: &str, scenario: &Scenario, rows: u32, by: By, change: &dyn Fn()) -> Measured {
    segue_traffic::seed(place, scenario, rows).expect("an empty database can be seeded");
    let load = Load { rows, long_reader: by == By::SegueBesideAReader, ..Load::default() };
    let traffic = Traffic::start(place, scenario, load).expect("the clients can start");
    std::thread::sleep(AROUND);
    let began = Instant::now();
    traffic.mark("change");
    let mut apply_seconds = 0.0;
    match by {
        By::Nothing => std::thread::sleep(AROUND),
        By::Segue | By::SegueBesideAReader => apply_seconds = all_the_way(url, scenario, &traffic),
        By::TheNaiveStatements | By::AnotherTool => change(),
    }
    let seconds = began.elapsed().as_secs_f64();
    std::thread::sleep(Duration::from_secs(1));
    let report = traffic.stop().expect("the table can be read");
    if matches!(by, By::Segue | By::SegueBesideAReader) {
        report.failures.iter().chain(&report.lost).chain(&report.wrong).for_each(|line| println!("  {line}"));
    }
    of(&report, seconds, apply_seconds)
}

fn of(report: &Report, seconds: f64, apply_seconds: f64) -> Measured {
    let mark = report.mark("change").cloned().unwrap_or_default();
    Measured {
        max_ms: mark.max_ms,
        p99_ms: mark.p99_ms,
        failed: report.failed_requests,
        lost: report.lost_writes,
        wrong: report.wrong_rows,
        seconds,
        apply_seconds,
    }
}

/// Types the commands of a migration, with the deploys between them, and returns how long `apply` took.
fn all_the_way(url: &str, scenario: &Scenario, traffic: &Running) -> f64 {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    write_migration(folder.path(), scenario);
    let segue = Segue::new(url, folder.path());
    let same_name = scenario.rule == segue_traffic::scenario::Rule::SameName;
    let began = Instant::now();
    segue.ok(&["apply"]);
    let apply_seconds = began.elapsed().as_secs_f64();
    if !same_name {
        traffic.start_new_version();
    }
    segue.ok(&["flip"]);
    if same_name {
        traffic.start_new_version();
    }
    traffic.stop_old_version();
    segue.ok(&["contract", "--old-version-stopped"]);
    segue.ok(&["cleanup", "--yes", "--i-checked-references"]);
    apply_seconds
}

/// Writes a scenario's two files into a project.
pub(crate) fn write_migration(folder: &Path, scenario: &Scenario) {
    let migrations = folder.join("migrations");
    std::fs::create_dir(&migrations).expect("a folder can be made in our own folder");
    for (ending, text) in [("sql", scenario.up), ("down.sql", scenario.down)] {
        std::fs::write(migrations.join(format!("1_change.{ending}")), text).expect("our own folder takes files");
    }
}
