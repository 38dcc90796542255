//! How far a standby falls behind that is too slow for the backfill.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use segue_testkit::client::Client;
use segue_testkit::postgres::{Binaries, PostgresOptions, PostgresServer};
use segue_testkit::process::signal;

use crate::figure::{Bar, Figure};
use crate::people::{Key, People, number};

/// The standby's replay runs for so long, then stands still for so long, again and again.
const RUNS: Duration = Duration::from_millis(100);
const STANDS: Duration = Duration::from_millis(400);
const NAME: &str = "standby that replays a fifth of the time: worst lag, s";

/// Applies with a lag limit of one second beside such a standby.
pub(crate) fn figures(binaries: &Binaries, rows: u64) -> Vec<Figure> {
    let options = PostgresOptions { fsync: true, ..PostgresOptions::default() };
    let server = PostgresServer::start(binaries, &options);
    let people = People::new(&server, rows, Key::Id);
    let mut client = people.client();
    client.batch("CREATE TABLE beat (at timestamptz NOT NULL); INSERT INTO beat VALUES (clock_timestamp())");
    let standby = server.standby("slow");
    let database = people.url.rsplit('/').next().unwrap_or_default().to_owned();
    let over = AtomicBool::new(false);
    let (worst, applied) = std::thread::scope(|scope| {
        let beat = scope.spawn(|| beat(&people, &over));
        let watch = follows(&standby, &database);
        let slow = scope.spawn(|| slow_down(&standby, &over));
        let lag = scope.spawn(|| worst_lag(watch, &over));
        let applied = people.apply(&["replica_lag=1s"]);
        over.store(true, Ordering::SeqCst);
        for thread in [slow, beat] {
            thread.join().expect("it only sends signals and beats");
        }
        (lag.join().expect("the standby answers"), applied)
    });
    vec![match applied {
        Err(why) => Figure::broken(NAME, Bar::AtMost(2.0), why),
        Ok(applied) => Figure::new(NAME, worst, Bar::AtMost(2.0), format!("backfill took {:.1} s", applied.backfill_s)),
    }]
}

/// Stops and continues the standby's replay; its sessions answer all the time.
fn slow_down(standby: &PostgresServer, over: &AtomicBool) {
    let mut client = standby.connect("postgres");
    let replay = number(&mut client, "SELECT pid FROM pg_stat_activity WHERE backend_type = 'startup'") as u32;
    while !over.load(Ordering::SeqCst) {
        signal(replay, "STOP");
        std::thread::sleep(STANDS);
        signal(replay, "CONT");
        std::thread::sleep(RUNS);
    }
}

/// Writes the time into the primary every 20 ms.
fn beat(people: &People<'_>, over: &AtomicBool) {
    let mut client = people.client();
    while !over.load(Ordering::SeqCst) {
        client.batch("UPDATE beat SET at = clock_timestamp()");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Age of the last time that arrived at the standby, in seconds.
const AGE: &str = "SELECT coalesce(max(extract(epoch FROM clock_timestamp() - at)), 3600) FROM beat";

/// Waits until the standby has what is written now, not only what was there when it was made.
fn follows(standby: &PostgresServer, database: &str) -> Client {
    let limit = Instant::now() + Duration::from_secs(60);
    loop {
        match Client::try_connect(&standby.url(database)) {
            Ok(mut client) => {
                if number(&mut client, AGE) < 0.2 {
                    return client;
                }
            }
            Err(error) => assert!(Instant::now() < limit, "the standby does not have the database: {error}"),
        }
        assert!(Instant::now() < limit, "the standby does not follow");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Returns the greatest age while the standby is slow.
fn worst_lag(mut client: Client, over: &AtomicBool) -> f64 {
    let mut worst = 0.0_f64;
    while !over.load(Ordering::SeqCst) {
        worst = worst.max(number(&mut client, AGE));
        std::thread::sleep(Duration::from_millis(20));
    }
    worst
}
