//! The longest that a client waits while the schema changes: nothing changing, Segue, Segue beside a long reader, and the
//! naive statements, in one run.
//!
//! `cargo xtask bench stall [-- --rows N --runs N]`
#![allow(missing_docs, reason = "a bench program")]
#![allow(clippy::print_stdout, reason = "its result is what it prints")]
#![allow(clippy::disallowed_methods, reason = "it lets real clients run for a while")]

use std::path::Path;
use std::time::{Duration, Instant};

use segue_model::engine::Engine;
use segue_testkit::client::Client;
use segue_testkit::postgres::{Binaries, PostgresOptions, PostgresServer};
use segue_testkit::segue::Segue;
use segue_testkit::sqlite::TempDatabase;
use segue_traffic::{Load, Place, Report, Running, Scenario, Traffic, scenario};

/// How long clients run before and after.
const AROUND: Duration = Duration::from_secs(3);

/// What was measured of one kind of run.
#[derive(Debug, Clone, Copy)]
struct Measured {
    max_ms: f64,
    p99_ms: f64,
    failed: u64,
    lost: u64,
    wrong: u64,
    seconds: f64,
}

/// What changes the schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum By {
    Nothing,
    Segue,
    SegueBesideAReader,
    TheNaiveStatements,
}

const KINDS: [By; 4] = [By::Nothing, By::Segue, By::SegueBesideAReader, By::TheNaiveStatements];

fn main() {
    let rows = number("--rows", 1_000_000);
    let runs = number("--runs", 3).max(1);
    if let Some(binaries) = Binaries::find(15) {
        let options = PostgresOptions { fsync: true, ..PostgresOptions::default() };
        let server = PostgresServer::start(&binaries, &options);
        let mut client = server.connect("postgres");
        let on = |client: &mut Client, name: &str| client.value(&format!("SHOW {name}")).unwrap_or_default();
        for setting in ["fsync", "synchronous_commit", "full_page_writes"] {
            assert_eq!(on(&mut client, setting), "on", "the figures of a server without {setting} mean nothing");
        }
        println!(
            "PostgreSQL 15, fsync, synchronous_commit and full_page_writes on, {rows} rows, 4 clients, 400 requests/s, median of {runs}"
        );
        for scenario in
            [Some(scenario::split(Engine::Postgres)), scenario::retype(Engine::Postgres)].into_iter().flatten()
        {
            table(&scenario, runs, &mut |by| on_postgres(&server, &scenario, rows, by));
        }
    } else {
        println!("skipped: no postgres 15");
    }
    let rows = rows.min(200_000);
    println!("SQLite, WAL, {rows} rows, 4 clients, 400 requests/s, median of {runs}");
    let scenario = scenario::split(Engine::Sqlite);
    table(&scenario, runs, &mut |by| on_sqlite(&scenario, rows, by));
}

/// Returns the value of an option of this program.
fn number(option: &str, default: u32) -> u32 {
    let arguments: Vec<String> = std::env::args().collect();
    let at = arguments.iter().position(|argument| argument == option);
    at.and_then(|at| arguments.get(at + 1)).and_then(|text| text.parse().ok()).unwrap_or(default)
}

/// Measures every kind `runs` times, turn about, and prints the medians.
fn table(scenario: &Scenario, runs: u32, measure: &mut dyn FnMut(By) -> Measured) {
    println!(
        "\n{:<34} {:>9} {:>8} {:>7} {:>5} {:>6} {:>7}",
        scenario.name, "max ms", "p99 ms", "failed", "lost", "wrong", "s"
    );
    let mut all: Vec<(By, Measured)> = Vec::new();
    for run in 0..runs {
        // There and back, so that a machine that slows down does not favour one kind.
        let order: Vec<By> = if run % 2 == 0 { KINDS.to_vec() } else { KINDS.iter().rev().copied().collect() };
        all.extend(order.into_iter().map(|by| (by, measure(by))));
    }
    for by in KINDS {
        let mut of_kind: Vec<Measured> = all.iter().filter(|(kind, _)| *kind == by).map(|(_, m)| *m).collect();
        of_kind.sort_by(|one, other| one.max_ms.total_cmp(&other.max_ms));
        let median = of_kind[of_kind.len() / 2];
        let sum = |field: fn(&Measured) -> u64| of_kind.iter().map(field).sum::<u64>();
        println!(
            "{:<34} {:>9.1} {:>8.1} {:>7} {:>5} {:>6} {:>7.1}",
            name(by),
            median.max_ms,
            median.p99_ms,
            sum(|m| m.failed),
            sum(|m| m.lost),
            sum(|m| m.wrong),
            median.seconds
        );
    }
}

fn name(by: By) -> &'static str {
    match by {
        By::Nothing => "nothing changes",
        By::Segue => "segue, apply to cleanup",
        By::SegueBesideAReader => "segue, beside a 5 s reader",
        By::TheNaiveStatements => "the naive statements (old code fails)",
    }
}

fn on_postgres(server: &PostgresServer, scenario: &Scenario, rows: u32, by: By) -> Measured {
    let url = server.database();
    let measured = measure(&Place::Postgres(url.clone()), &url, scenario, rows, by, &|| {
        Client::connect(&url).batch(&format!("BEGIN; {}; COMMIT", scenario.up));
    });
    let database = url.rsplit('/').next().and_then(|rest| rest.split('?').next()).unwrap_or_default();
    server.connect("postgres").batch(&format!("DROP DATABASE IF EXISTS \"{database}\" WITH (FORCE)"));
    measured
}

fn on_sqlite(scenario: &Scenario, rows: u32, by: By) -> Measured {
    let file = TempDatabase::new("PRAGMA journal_mode = WAL");
    let naive = || {
        let connection = file.connect();
        connection
            .execute_batch(&format!("BEGIN IMMEDIATE; {}; COMMIT", scenario.up))
            .expect("the naive statements are right");
    };
    measure(&Place::Sqlite(file.path()), &file.url(), scenario, rows, by, &naive)
}

fn measure(place: &Place, url: &str, scenario: &Scenario, rows: u32, by: By, naive: &dyn Fn()) -> Measured {
    segue_traffic::seed(place, scenario, rows).expect("an empty database can be seeded");
    let load = Load { rows, long_reader: by == By::SegueBesideAReader, ..Load::default() };
    let traffic = Traffic::start(place, scenario, load).expect("the clients can start");
    std::thread::sleep(AROUND);
    let began = Instant::now();
    traffic.mark("change");
    match by {
        By::Nothing => std::thread::sleep(AROUND),
        By::Segue | By::SegueBesideAReader => all_the_way(url, scenario, &traffic),
        By::TheNaiveStatements => naive(),
    }
    let seconds = began.elapsed().as_secs_f64();
    std::thread::sleep(Duration::from_secs(1));
    let report = traffic.stop().expect("the table can be read");
    if matches!(by, By::Segue | By::SegueBesideAReader) {
        report.failures.iter().chain(&report.lost).chain(&report.wrong).for_each(|line| println!("  {line}"));
    }
    of(&report, seconds)
}

fn of(report: &Report, seconds: f64) -> Measured {
    let mark = report.mark("change").cloned().unwrap_or_default();
    Measured {
        max_ms: mark.max_ms,
        p99_ms: mark.p99_ms,
        failed: report.failed_requests,
        lost: report.lost_writes,
        wrong: report.wrong_rows,
        seconds,
    }
}

/// Types the commands of a migration, with the deploys between them.
fn all_the_way(url: &str, scenario: &Scenario, traffic: &Running) {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    write_migration(folder.path(), scenario);
    let segue = Segue::new(url, folder.path());
    let same_name = scenario.rule == segue_traffic::scenario::Rule::SameName;
    segue.ok(&["apply"]);
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
}

fn write_migration(folder: &Path, scenario: &Scenario) {
    let migrations = folder.join("migrations");
    std::fs::create_dir(&migrations).expect("a folder can be made in our own folder");
    for (ending, text) in [("sql", scenario.up), ("down.sql", scenario.down)] {
        std::fs::write(migrations.join(format!("1_change.{ending}")), text).expect("our own folder takes files");
    }
}
