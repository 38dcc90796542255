//! The same change by reshape, where it is on the PATH.

use std::cell::RefCell;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use segue_testkit::postgres::PostgresServer;
use segue_traffic::Scenario;

use crate::figure::{Bar, Figure};
use crate::people::{Key, People};
use crate::under_load::{By, on_postgres_by};

/// The change as reshape takes it.
const MIGRATION: &str = r#"
[[actions]]
type = "add_column"
table = "people"
up = "concat_ws(' ', first_name, last_name)"

    [actions.column]
    name = "full_name"
    type = "TEXT"
    nullable = false
"#;

/// The type change under the same name as reshape takes it.
const RETYPE: &str = r#"
[[actions]]
type = "alter_column"
table = "orders"
column = "amount"
up = "amount"
down = "amount"

    [actions.changes]
    type = "BIGINT"
"#;

const NONE: &str = "no reshape here";

/// Returns the rows a second of two workers ÷ those of reshape's `start`.
pub(crate) fn backfill(server: &PostgresServer, rows: u64, runs: u32, two_workers: f64) -> Figure {
    let (name, bar) = ("2 workers ÷ reshape", Bar::AtLeast(3.5));
    if !is_here() {
        return Figure::missing(name, bar, NONE);
    }
    let mut best = 0.0_f64;
    for _ in 0..runs {
        let people = People::new(server, rows, Key::Id);
        match run(&people.url, people.project.path(), MIGRATION, &["start"]) {
            Ok(seconds) => best = best.max(rows as f64 / seconds),
            Err(why) => return Figure::missing(name, bar, why),
        }
    }
    Figure::new(name, two_workers / best, bar, format!("reshape {best:.0} rows/s"))
}

/// Returns `apply`'s seconds ÷ those of reshape's `start` and `complete` for the same change under the same load.
pub(crate) fn wall(server: &PostgresServer, scenario: &Scenario, rows: u32, apply_seconds: f64) -> Figure {
    let name = format!("under load, {}: wall time of apply ÷ reshape's start and complete", scenario.name);
    let bar = Bar::AtMost(0.5);
    if !is_here() {
        return Figure::missing(name, bar, NONE);
    }
    let seconds = RefCell::new(Err("reshape was not started".to_owned()));
    let measured = on_postgres_by(server, scenario, rows, By::AnotherTool, &|url| {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        *seconds.borrow_mut() = run(url, folder.path(), RETYPE, &["start", "complete"]);
    });
    match seconds.into_inner() {
        Ok(seconds) => {
            let seen = format!("p99 {:.1} ms, longest {:.1} ms", measured.p99_ms, measured.max_ms);
            let note = format!("{apply_seconds:.1} s and {seconds:.1} s; reshape: {seen}, {} failed", measured.failed);
            Figure::new(name, apply_seconds / seconds, bar, note)
        }
        Err(why) => Figure::missing(name, bar, why),
    }
}

fn is_here() -> bool {
    let status = Command::new("reshape").arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
    status.is_ok_and(|status| status.success())
}

/// Runs its commands one after the other and returns the seconds of all.
fn run(url: &str, project: &Path, migration: &str, commands: &[&str]) -> Result<f64, String> {
    let folder = project.join("reshape");
    let migrations = folder.join("migrations");
    std::fs::create_dir_all(&migrations).map_err(|error| error.to_string())?;
    std::fs::write(migrations.join("1_change.toml"), migration).map_err(|error| error.to_string())?;
    let began = Instant::now();
    for command in commands {
        let output = Command::new("reshape")
            .args(["migration", command, "--url", url])
            .current_dir(&folder)
            .output()
            .map_err(|error| error.to_string())?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr);
            return Err(format!("reshape {command}: {}", said.lines().next().unwrap_or_default()));
        }
    }
    Ok(began.elapsed().as_secs_f64())
}
