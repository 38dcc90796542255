//! How fast a table is verified, and how much memory a run takes.

use std::time::{Duration, Instant};

use segue_testkit::postgres::PostgresServer;

use crate::figure::{Bar, Figure};
use crate::people::{Applied, Key, People, applied_by, number};

/// The server runs no query in parallel: see `main`.
const COUNT: &str = "SELECT count(*) FROM people";

/// Verification against a plain count, and the most memory that `apply` held at once.
pub(crate) fn figures(server: &PostgresServer, rows: u64, runs: u32) -> Vec<Figure> {
    let people = People::new(server, rows, Key::Id);
    let (memory_mb, applied) = watched(&people);
    let verification = "verification rows/s ÷ SELECT count(*)";
    let memory = "resident memory of apply, MB";
    if let Err(why) = applied {
        return vec![
            Figure::broken(verification, Bar::AtLeast(0.3), &why),
            Figure::broken(memory, Bar::AtMost(64.0), &why),
        ];
    }
    let mut client = people.client();
    let (mut count, mut verify) = (f64::INFINITY, f64::INFINITY);
    for _ in 0..runs {
        let began = Instant::now();
        number(&mut client, COUNT);
        count = count.min(began.elapsed().as_secs_f64());
        let began = Instant::now();
        people.segue.ok(&["verify"]);
        verify = verify.min(began.elapsed().as_secs_f64());
    }
    let note = format!("{:.0} rows/s; the whole command against the bare statement", rows as f64 / verify);
    vec![
        Figure::new(verification, count / verify, Bar::AtLeast(0.3), note),
        Figure::new(memory, memory_mb, Bar::AtMost(64.0), format!("{rows} rows")),
    ]
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
