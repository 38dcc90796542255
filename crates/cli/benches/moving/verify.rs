//! How fast a table is verified, and how much memory a run takes.

use std::time::{Duration, Instant};

use segue_testkit::postgres::PostgresServer;
use segue_testkit::segue::Output;

use crate::figure::{Bar, Figure};
use crate::people::{Applied, Key, People, applied_by, number};

/// The server runs no query in parallel: see `main`.
const COUNT: &str = "SELECT count(*) FROM people";

/// The new side of every row worked out and not compared: whoever shows that each is right needs at least this.
const TRANSFORM: &str = "SELECT count(concat_ws(' ', first_name, last_name)) FROM people";

const VERIFICATION: &str = "verification rows/s ÷ SELECT count(*)";
const MEMORY: &str = "resident memory of apply, MB";

/// Verification against a plain count, and the most memory that `apply` held at once.
pub(crate) fn figures(server: &PostgresServer, rows: u64, runs: u32) -> Vec<Figure> {
    let people = People::new(server, rows, Key::Id);
    let (memory_mb, applied) = watched(&people);
    let best = applied.and_then(|_| Best::of(&people, runs));
    let best = match best {
        Ok(best) => best,
        Err(why) => {
            return vec![
                Figure::broken(VERIFICATION, Bar::AtLeast(0.3), &why),
                Figure::broken(MEMORY, Bar::AtMost(64.0), &why),
            ];
        }
    };
    let note = |seconds: f64, what: &str| format!("{:.0} rows/s; {what}", rows as f64 / seconds);
    let against_count =
        |name: &str, seconds, bar, what: &str| Figure::new(name, best.count / seconds, bar, note(seconds, what));
    vec![
        against_count(
            &format!("{VERIFICATION}: split"),
            best.verification,
            Bar::AtLeast(0.3),
            "what the report says it took, by the bare count",
        ),
        against_count("the whole command `segue verify` ÷ SELECT count(*)", best.command, Bar::None, "start to end"),
        against_count(
            "the transform alone ÷ SELECT count(*)",
            best.transform,
            Bar::None,
            "one statement, compares nothing",
        ),
        Figure::new(MEMORY, memory_mb, Bar::AtMost(64.0), format!("{rows} rows")),
        of_type_change(server, rows, runs),
    ]
}

/// The same where a value only gets a wider type.
fn of_type_change(server: &PostgresServer, rows: u64, runs: u32) -> Figure {
    let (name, bar) = (format!("{VERIFICATION}: type change"), Bar::AtLeast(0.3));
    let people = People::new(server, rows, Key::Id).retyped();
    match people.apply(&[]).and_then(|_| Best::of(&people, runs)) {
        Err(why) => Figure::broken(name, bar, why),
        Ok(best) => {
            let note = format!("{:.0} rows/s", rows as f64 / best.verification);
            Figure::new(name, best.count / best.verification, bar, note)
        }
    }
}

/// Seconds, of several runs the best.
struct Best {
    count: f64,
    transform: f64,
    verification: f64,
    command: f64,
}

impl Best {
    fn of(people: &People<'_>, runs: u32) -> Result<Self, String> {
        let mut client = people.client();
        let mut best = Self {
            count: f64::INFINITY,
            transform: f64::INFINITY,
            verification: f64::INFINITY,
            command: f64::INFINITY,
        };
        for _ in 0..runs {
            best.count = best.count.min(timed(|| number(&mut client, COUNT)).0);
            best.transform = best.transform.min(timed(|| number(&mut client, TRANSFORM)).0);
            let (command, verified) = timed(|| people.segue.run(&["verify", "--format", "json"]));
            best.command = best.command.min(command);
            best.verification = best.verification.min(seconds(&verified, people.rows)?);
        }
        Ok(best)
    }
}

fn timed<T>(what: impl FnOnce() -> T) -> (f64, T) {
    let began = Instant::now();
    let value = what();
    (began.elapsed().as_secs_f64(), value)
}

/// Reads from its report how long a verification took that looked at every row and found none wrong.
fn seconds(verified: &Output, rows: u64) -> Result<f64, String> {
    let first = verified.stderr.lines().next().unwrap_or_default();
    if verified.code != 0 {
        return Err(format!("verify ended with {}: {first}", verified.code));
    }
    let report: serde_json::Value =
        serde_json::from_str(&verified.stdout).map_err(|error| format!("the report is no JSON: {error}"))?;
    let table = &report["tables"][0];
    match (table["seconds"].as_f64(), table["rows"].as_u64()) {
        (Some(seconds), Some(looked_at)) if looked_at == rows && seconds > 0.0 => Ok(seconds),
        _ => Err(format!("the report does not tell how long {rows} rows took: {table}")),
    }
}

/// Applies, and returns the high-water mark of its resident memory.
fn watched(people: &People<'_>) -> (f64, Result<Applied, String>) {
    let mut child = people.start(&[]);
    let mut most = 0.0_f64;
    while matches!(child.try_wait(), Ok(None)) {
        most = most.max(high_water_mb(child.id()).unwrap_or_default());
        std::thread::sleep(Duration::from_millis(20));
    }
    (most, applied_by(child))
}

/// Reads `VmHWM:   12345 kB`.
fn high_water_mb(pid: u32) -> Option<f64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kilobytes: f64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kilobytes / 1024.0)
}
