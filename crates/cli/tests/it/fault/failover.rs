//! The primary is lost in the middle of a run, and a standby takes its place under the same address.

use std::time::Duration;

use segue_model::engine::Engine;
use segue_testkit::client::Client;
use segue_testkit::postgres::{Binaries, PostgresOptions, PostgresServer};
use segue_testkit::process::signal;
use segue_testkit::proxy::{Act, Moment, Proxy, Script};
use segue_testkit::segue::finished;
use segue_testkit::skipped;
use segue_traffic::{Place, scenario};

use super::place::{BACK, Case, Change, Content, WAY};

/// A primary with a standby, and the address at which the primary is reached.
struct Pair {
    primary: PostgresServer,
    standby: PostgresServer,
    address: Proxy,
}

impl Pair {
    fn start() -> Option<Self> {
        let Some(binaries) = Binaries::find(15) else {
            skipped("postgres 15");
            return None;
        };
        let primary = PostgresServer::start(&binaries, &PostgresOptions::default());
        let standby = primary.standby("second");
        let address = Proxy::start(primary.port()?);
        Some(Self { primary, standby, address })
    }

    /// From now on nothing is committed that the standby does not have.
    fn synchronous(&self) {
        let mut client = self.primary.connect("postgres");
        client.batch("ALTER SYSTEM SET synchronous_standby_names = '*'");
        client.batch("SELECT pg_reload_conf()");
        while client.value("SHOW synchronous_standby_names").as_deref() != Some("*") {
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Returns the process that sends to the standby.
    fn sender(&self) -> u32 {
        let mut client = self.primary.connect("postgres");
        loop {
            let rows = client.rows("SELECT pid FROM pg_stat_replication");
            if let Some(pid) = rows.first().and_then(|row| row[0].as_deref()?.parse().ok()) {
                return pid;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// The primary is gone at once, the standby takes its place.
    fn fail_over(&self, stopped: Option<u32>) {
        std::thread::scope(|scope| {
            let stopping = scope.spawn(|| self.primary.stop());
            if let Some(sender) = stopped {
                std::thread::sleep(Duration::from_millis(50));
                // Asleep it cannot end; what it would still send goes nowhere, since it was told to end first.
                signal(sender, "CONT");
            }
            stopping.join().expect("it is stopped");
        });
        self.standby.connect("postgres").batch("SELECT pg_promote()");
        self.address.lead_to(self.standby.port().expect("it is ours"));
    }
}

fn watch(at: u64) -> Script {
    Script { on: "", at, moment: Moment::Answered, act: Act::Watch }
}

/// Loses the primary in the middle of `apply`: with the last `lost` requests' commits, or none.
fn failed_over(lost: u64) {
    let Some(pair) = Pair::start() else { return };
    let change = Change::new(scenario::split(Engine::Postgres), 1_500);
    let expected = uninterrupted(&pair, &change);
    let case = Case::postgres(&pair.primary, &change);
    if lost == 0 {
        pair.synchronous();
    }
    let segue = case.by(&pair.address.url(&case.url));
    // While it is held back a little, the run is not over before the standby is.
    pair.address.delay(Duration::from_millis(2));
    pair.address.arm(watch(120));
    let child = segue.spawn(&["apply"]);
    assert!(pair.address.wait_until_fired(Duration::from_secs(30)));
    let stopped = (lost > 0).then(|| pair.sender());
    if let Some(sender) = stopped {
        signal(sender, "STOP");
        pair.address.arm(watch(lost));
        assert!(pair.address.wait_until_fired(Duration::from_secs(30)));
    }
    pair.fail_over(stopped);
    let output = finished(child);
    println!("failed over with {lost} requests lost: it ended with {}", output.code);
    // Whatever it says: typed again it goes on, and the end is right.
    let again = segue.ok(&["apply", "1_change"]);
    let name = case.url.rsplit('/').next().unwrap_or_default();
    let url = pair.standby.url(name);
    let said = format!("{}{}{again}", output.stdout, output.stderr);
    assert!(said.contains("timeline"), "nobody is told of the failover: {said}");
    let found = |stage: usize| {
        let content = Content::of(&Place::Postgres(url.clone()), change.scenario.table);
        let difference = expected[stage].difference(&content);
        assert!(difference.is_empty(), "after {stage} commands:\n{difference}");
    };
    found(1);
    segue.ok(BACK);
    found(0);
    WAY.iter().for_each(|arguments| drop(segue.ok(arguments)));
    found(WAY.len());
    assert_eq!(Client::connect(&url).value("SELECT pg_is_in_recovery()").as_deref(), Some("f"));
    assert!(matches!(output.code, 0 | 3), "{}: {}{}", output.code, output.stdout, output.stderr);
}

/// Returns what is in the database before and after each command of an uninterrupted run.
fn uninterrupted(pair: &Pair, change: &Change) -> Vec<Content> {
    let case = Case::postgres(&pair.primary, change);
    let mut contents = vec![case.content()];
    for arguments in WAY {
        case.segue().ok(arguments);
        contents.push(case.content());
    }
    contents
}

#[test]
fn a_failover_to_a_synchronous_standby_loses_nothing() {
    failed_over(0);
}

#[test]
fn a_failover_that_loses_our_last_commits_does_them_again() {
    failed_over(40);
}
