//! Moving data: speed, size, what clients see, what a crash costs; each figure beside its bar.
//!
//! `cargo xtask bench moving [-- --rows N --runs N --only FIGURES --large --write]`
//!
//! `--only` takes names of groups, by commas: backfill, shapes, load, triggers, standby, kill, verify, sqlite. Kinds that are
//! compared are run there and back, and the best of each counts.
#![allow(missing_docs, reason = "a bench program")]
#![allow(clippy::print_stdout, reason = "its result is what it prints")]
#![allow(clippy::disallowed_methods, reason = "it lets real clients run for a while")]

mod backfill;
mod figure;
mod kill;
mod load;
mod people;
mod reshape;
mod standby;
mod triggers;
#[path = "../under_load/mod.rs"]
mod under_load;
mod verify;

use std::path::Path;
use std::process::{Command, ExitCode};

use figure::{Figure, HEAD};
use segue_testkit::client::Client;
use segue_testkit::postgres::{Binaries, PostgresOptions, PostgresServer};

const GROUPS: [&str; 8] = ["backfill", "shapes", "load", "triggers", "standby", "kill", "verify", "sqlite"];
/// Without them the figures of a server mean nothing.
const MUST_BE_ON: [&str; 3] = ["fsync", "synchronous_commit", "full_page_writes"];

/// WAL files of 16 MB that a server which has run for a while keeps to use again.
const WAL_FILES: u32 = 150;

/// What was asked for.
struct Options {
    rows: u64,
    runs: u32,
    groups: Vec<&'static str>,
    large: bool,
    write: bool,
}

fn main() -> ExitCode {
    let options = match options() {
        Ok(options) => options,
        Err(why) => {
            println!("{why}");
            return ExitCode::from(2);
        }
    };
    let head = head(&options);
    println!("{head}\n\n{HEAD}");
    let mut figures = Vec::new();
    for group in &options.groups {
        let of_group = measured(group, &options);
        of_group.iter().for_each(|figure| println!("{}", figure.row()));
        figures.extend(of_group);
    }
    if options.write {
        write(&head, &figures);
    }
    let failed = figures.iter().filter(|figure| figure.fails()).count();
    println!("\n{} figures, {failed} below their bar", figures.len());
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn options() -> Result<Options, String> {
    let arguments: Vec<String> = std::env::args().collect();
    let value = |name: &str| {
        let at = arguments.iter().position(|argument| argument == name)?;
        arguments.get(at + 1).cloned()
    };
    let number = |name: &str, default: u64| match value(name) {
        Some(text) => text.parse().map_err(|_| format!("`{text}` is no number for {name}")),
        None => Ok(default),
    };
    let only = value("--only").unwrap_or_else(|| GROUPS.join(","));
    let wanted = only.split(',').map(|name| {
        let group = GROUPS.iter().copied().find(|group| *group == name.trim());
        group.ok_or_else(|| format!("`{name}` is no group: {}", GROUPS.join(", ")))
    });
    let has = |name: &str| arguments.iter().any(|argument| argument == name);
    Ok(Options {
        rows: number("--rows", 1_000_000)?,
        runs: u32::try_from(number("--runs", 3)?).map_err(|error| error.to_string())?.max(1),
        groups: wanted.collect::<Result<_, _>>()?,
        large: has("--large"),
        write: has("--write"),
    })
}

fn head(options: &Options) -> String {
    let cores = std::thread::available_parallelism().map_or(0, std::num::NonZero::get);
    format!(
        "{cores} cores; PostgreSQL 15 with {} on; {} rows of about 110 bytes, one secondary index; best of {}; \
         the naive statement is `{}`",
        MUST_BE_ON.join(", "),
        options.rows,
        options.runs,
        people::GIANT_UPDATE
    )
}

fn measured(group: &str, options: &Options) -> Vec<Figure> {
    let rows = u32::try_from(options.rows).unwrap_or(u32::MAX);
    if group == "sqlite" {
        return load::sqlite(rows, options.runs);
    }
    let Some(binaries) = Binaries::find(15) else {
        return vec![Figure::missing(group, figure::Bar::None, "skipped: no postgres 15")];
    };
    if group == "standby" {
        return standby::figures(&binaries, options.rows);
    }
    let server = server(&binaries);
    match group {
        "backfill" => backfill::figures(&server, options.rows, options.runs),
        "shapes" => backfill::shapes(&server, options.rows, options.runs, options.large),
        "load" => load::figures(&server, rows, options.runs),
        "triggers" => triggers::figures(&server, options.runs),
        "kill" => kill::figures(&server, options.rows, options.runs, &["workers=2"]),
        _ => verify::figures(&server, if options.large { options.rows * 10 } else { options.rows }, options.runs),
    }
}

/// Starts a server that writes to the disk, and asserts it.
fn server(binaries: &Binaries) -> PostgresServer {
    let extra = [("max_parallel_workers_per_gather", "0"), ("min_wal_size", "3GB")];
    let server = PostgresServer::start(binaries, &PostgresOptions { fsync: true, extra: &extra, ..Default::default() });
    let mut client = server.connect("postgres");
    for name in MUST_BE_ON {
        let value = client.value(&format!("SHOW {name}")).unwrap_or_default();
        assert_eq!(value, "on", "the figures of a server without {name} mean nothing");
    }
    run_in(&mut client);
    server
}

/// Gives a new server the WAL files of one that has run for a while: it uses old ones again, where a new one must first write
/// each full of zeros, and lets every commit wait for it.
fn run_in(client: &mut Client) {
    for _ in 0..WAL_FILES {
        client.batch("SELECT pg_logical_emit_message(false, 'bench', 'x'); SELECT pg_switch_wal()");
    }
    client.batch("CHECKPOINT");
}

/// Writes the result into the documentation.
fn write(head: &str, figures: &[Figure]) {
    let date = Command::new("date").arg("+%F").output().map(|output| output.stdout).unwrap_or_default();
    let date = String::from_utf8_lossy(&date).trim().to_owned();
    let rows: Vec<String> = figures.iter().map(Figure::row).collect();
    let text = format!("# Moving data, {date}\n\n`cargo xtask bench moving`: {head}.\n\n{HEAD}\n{}\n", rows.join("\n"));
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/results");
    let path = folder.join(format!("{date}-moving.md"));
    match std::fs::write(&path, text) {
        Ok(()) => println!("written to {}", path.display()),
        Err(error) => println!("{} cannot be written: {error}", path.display()),
    }
}
