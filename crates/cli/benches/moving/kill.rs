//! kill -9 in the middle of a backfill: when it goes on, and what is done twice.

use std::time::{Duration, Instant};

use segue_testkit::client::Client;
use segue_testkit::postgres::PostgresServer;

use crate::figure::{Bar, Figure};
use crate::people::{Key, People, applied_by, number};

/// The rows that the journal says were brought over.
const JOURNALLED: &str = "SELECT coalesce((SELECT sum(rows) FROM segue.checkpoint), 0)";
const JOURNALLED_WITH_SPANS: &str = "SELECT coalesce((SELECT sum(rows) FROM segue.checkpoint), 0) \
     + coalesce((SELECT sum(rows) FROM segue.span), 0)";
const FILLED: &str = "SELECT count(*) FROM people WHERE full_name IS NOT NULL";
/// Nothing here takes longer.
const PATIENCE: Duration = Duration::from_secs(60);

/// Kills `apply` with two workers when a third of the rows is over, and starts it again.
pub(crate) fn figures(server: &PostgresServer, rows: u64, runs: u32, settings: &[&str]) -> Vec<Figure> {
    let names = ["kill -9, then seconds to the first new batch", "rows brought over twice after kill -9"];
    let bars = [Bar::AtMost(1.0), Bar::AtMost(0.0)];
    let (mut seconds, mut twice) = (f64::INFINITY, 0.0_f64);
    for _ in 0..runs {
        match one(server, rows, settings) {
            Err(why) => {
                return names.iter().zip(bars).map(|(name, bar)| Figure::broken(*name, bar, &why)).collect();
            }
            Ok((took, again)) => {
                seconds = seconds.min(took);
                twice = twice.max(again);
            }
        }
    }
    let [first, again] = names;
    vec![
        Figure::new(first, seconds, bars[0], "from the start of the next apply"),
        Figure::new(again, twice, bars[1], "batches that were committed; at most one a worker was cut short"),
    ]
}

fn one(server: &PostgresServer, rows: u64, settings: &[&str]) -> Result<(f64, f64), String> {
    let people = People::new(server, rows, Key::Id);
    let mut client = people.client();
    let mut child = people.start(settings);
    let reached = until(|| journalled(&mut client) >= rows as f64 / 3.0 || !matches!(child.try_wait(), Ok(None)));
    if !matches!(child.try_wait(), Ok(None)) {
        return Err(applied_by(child).err().unwrap_or_else(|| "it was over before it could be killed".to_owned()));
    }
    child.kill().map_err(|error| error.to_string())?;
    drop(child.wait());
    if !reached {
        return Err("the backfill did not come to a third of the rows".to_owned());
    }
    // Its backends find out by themselves that it is gone; what they had sent may still commit.
    let gone = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() \
                AND application_name LIKE 'segue%' AND state <> 'idle'";
    until(|| number(&mut client, gone) == 0.0);
    let before = journalled(&mut client);
    let twice = (number(&mut client, FILLED) - before).abs();
    let began = Instant::now();
    let child = people.start(settings);
    let went_on = until(|| journalled(&mut client) > before);
    let seconds = began.elapsed().as_secs_f64();
    applied_by(child)?;
    if went_on { Ok((seconds, twice)) } else { Err("no new batch was seen".to_owned()) }
}

/// Returns 0 while there is no journal.
fn journalled(client: &mut Client) -> f64 {
    let there = |client: &mut Client, name: &str| number(client, &format!("SELECT count(to_regclass('{name}'))")) > 0.0;
    if !there(client, "segue.checkpoint") {
        return 0.0;
    }
    let sql = if there(client, "segue.span") { JOURNALLED_WITH_SPANS } else { JOURNALLED };
    number(client, sql)
}

/// Asks every few milliseconds until it is so; returns whether it came to be.
fn until(mut so: impl FnMut() -> bool) -> bool {
    let limit = Instant::now() + PATIENCE;
    while Instant::now() < limit {
        if so() {
            return true;
        }
        std::thread::sleep(Duration::from_millis(3));
    }
    false
}
