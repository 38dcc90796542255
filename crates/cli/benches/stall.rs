//! The longest that a client waits while the schema changes: nothing changing, Segue, Segue beside a long reader, and the
//! naive statements, in one run.
//!
//! `cargo xtask bench stall [-- --rows N --runs N]`
#![allow(missing_docs, reason = "a bench program")]
#![allow(clippy::print_stdout, reason = "its result is what it prints")]
#![allow(clippy::disallowed_methods, reason = "it lets real clients run for a while")]

mod under_load;

use segue_model::engine::Engine;
use segue_testkit::client::Client;
use segue_testkit::postgres::{Binaries, PostgresOptions, PostgresServer};
use segue_traffic::{Scenario, scenario};
use under_load::{By, Measured, on_postgres, on_sqlite};

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
        By::AnotherTool => "another tool",
    }
}
