//! SIGKILL while several go over one table: two workers of one process, or a second process that helps. Then the same command
//! again, or `rollback`, or nothing at all, where somebody is left who goes on.

use std::process::Child;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use segue_model::engine::Engine;
use segue_testkit::client::Client;
use segue_testkit::proxy::{Act, Moment, Proxy, Script};
use segue_testkit::segue::{Output, finished};
use segue_traffic::{Scenario, scenario};
use serde_json::Value;

use crate::fault::place::{BACK, Change};
use crate::fault::sample::check_points;
use crate::fault::straight::{Leg, Scratch, Straight};
use crate::operate::slow::eventually;

/// Few rows on each of many pages: several spans of several windows.
const ROWS: u32 = 3_000;
const ROOMY: &str = "CREATE TABLE people (
    id bigint NOT NULL PRIMARY KEY,
    first_name text,
    last_name text,
    note text,
    ver bigint NOT NULL DEFAULT 0
) WITH (fillfactor = 10)";

/// What a sampled test may take on all servers together.
const BUDGET: Duration = Duration::from_secs(15);

/// The command that all of this is about.
const APPLY: Leg = Leg { stage: 0, back: false };

/// The help of another process.
const JOIN: &[&str] = &["apply", "--join", "1_change", "--format", "json"];

/// So much later everything arrives that a run sends and gets, so that another process finds it still at work.
const LATER: Duration = Duration::from_millis(1);

const MOMENTS: [Moment; 3] = Moment::ALL;

/// Where a process is killed, and what follows.
#[derive(Debug, Clone, Copy)]
struct Point {
    /// The sessions whose requests are counted.
    on: &'static str,
    request: u64,
    moment: Moment,
    then: Then,
}

/// What follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Then {
    /// The same command at once, also while a helper is there.
    Again,
    /// The same command once a helper has ended.
    AgainAlone,
    /// The way back.
    Back,
}

impl Then {
    const ALL: [Self; 3] = [Self::Again, Self::AgainAlone, Self::Back];

    fn command(self) -> &'static [&'static str] {
        match self {
            Self::Again | Self::AgainAlone => APPLY.command(),
            Self::Back => BACK,
        }
    }
}

/// Returns the points of so many requests of these sessions.
fn points(on: &'static str, requests: u64) -> Vec<Point> {
    let each = |request: u64| {
        let then = move |at: usize| Then::ALL[(usize::try_from(request).unwrap_or(0) + at) % Then::ALL.len()];
        (0..).zip(MOMENTS).map(move |(at, moment)| Point { on, request, moment, then: then(at) })
    };
    (1..=requests).flat_map(each).collect()
}

/// Returns the uninterrupted run on each server of ours that cuts a table by pages: on 13 a span has more rows than this table.
#[track_caller]
fn straights() -> &'static [Straight<'static>] {
    static RUNS: OnceLock<Vec<Straight<'static>>> = OnceLock::new();
    RUNS.get_or_init(|| {
        let ours =
            segue_testkit::each_postgres().into_iter().filter(|server| server.port().is_some() && server.major() >= 14);
        let split = Scenario { create: ROOMY, ..scenario::split(Engine::Postgres) };
        let change = Change::new(split, ROWS);
        ours.map(|server| Straight::run(server, &change)).collect()
    })
}

/// Returns what a sampled test may take on one server.
fn budget() -> Duration {
    BUDGET / u32::try_from(straights().len().max(1)).unwrap_or(1)
}

/// Small as the table is, it is moved like a large one by so many workers.
fn begin<'s>(straight: &Straight<'s>, workers: u32) -> Scratch<'s> {
    let scratch = straight.at(0);
    let text = format!("[backfill]\ninline_below = 1\nwindow = \"20ms\"\nworkers = {workers}\n");
    std::fs::write(scratch.segue.folder().join("segue.toml"), text).expect("our own folder takes files");
    scratch
}

fn watching() -> Script {
    Script { on: "", at: u64::MAX, moment: Moment::Answered, act: Act::Watch }
}

fn killing(point: &Point) -> Script {
    Script { on: point.on, at: point.request, moment: point.moment, act: Act::Kill }
}

/// Returns the requests of sessions whose name contains `on`.
fn requests_of(proxy: &Proxy, on: &str) -> u64 {
    proxy.seen().iter().filter(|seen| seen.application.contains(on)).map(|seen| seen.requests).sum()
}

#[test]
fn killed_at_every_statement_of_two_workers() {
    for straight in straights() {
        let scratch = begin(straight, 2);
        let (proxy, output) = straight.scripted(&scratch, APPLY, watching());
        assert_eq!(output.code, 0, "{}", output.stderr);
        let (all, second) = (proxy.counted(), requests_of(&proxy, " worker"));
        println!("two workers: {all} requests, {second} of them by the second");
        assert!(second > 10, "the second worker had next to nothing to do");
        drop(scratch);
        // Which worker comes to which window differs from run to run: points are numbers, not places.
        let points = [points("", all), points(" worker", second)].concat();
        check_points("PostgreSQL, two workers", points, budget(), |point| {
            let scratch = begin(straight, 2);
            let (proxy, output) = straight.scripted(&scratch, APPLY, killing(point));
            if !proxy.fired() && output.code != 0 {
                return Err(format!("it was not killed, and ended with {}: {}", output.code, output.stderr));
            }
            drop(proxy);
            straight.goes_on(&scratch, APPLY, point.then.command())
        });
    }
}

/// A run whose requests take a while, and a process that helps it to move rows.
struct Together {
    leader: Child,
    /// Before the server, on the leader's way.
    leads: Proxy,
    helper: Child,
    /// The same on the helper's.
    helps: Proxy,
}

/// Starts both; each is killed where its script says so, counted from when the helper comes.
fn together(straight: &Straight<'_>, scratch: &Scratch<'_>, leads: Script, helps: Script) -> Together {
    let slow = straight.proxy(watching());
    slow.delay(LATER);
    let leader = scratch.through(&slow).spawn(APPLY.command());
    slow.aim(&leader);
    let mut watcher = Client::connect(&scratch.url);
    eventually("rows are moving", || {
        let rows = watcher.try_rows("SELECT count(*) FROM segue.checkpoint").unwrap_or_default();
        rows.first().is_some_and(|row| row[0].as_deref() == Some("1"))
    });
    slow.arm(leads);
    let other = straight.proxy(helps);
    let helper = scratch.through(&other).spawn(JOIN);
    other.aim(&helper);
    Together { leader, leads: slow, helper, helps: other }
}

impl Together {
    /// Waits for the helper; the run goes on at its full speed.
    fn helper_ends(self) -> (Output, Child, [Proxy; 2]) {
        let helper = finished(self.helper);
        self.leads.delay(Duration::ZERO);
        (helper, self.leader, [self.leads, self.helps])
    }
}

/// Returns the rows that a helper says it filled; the error says how else it ended.
fn helped(output: &Output) -> Result<u64, String> {
    let too_late = output.code == 5 && output.stderr.contains("nobody runs");
    if too_late {
        return Ok(0);
    }
    let report: Option<Value> = serde_json::from_str(&output.stdout).ok().filter(|_| output.code == 0);
    let rows = report.and_then(|report| report["rows_filled"].as_u64());
    rows.ok_or_else(|| format!("the helper ended with {}: {}{}", output.code, output.stdout, output.stderr))
}

/// Returns the requests of both, from when the helper comes, of runs that nobody disturbs.
fn undisturbed(straight: &Straight<'_>) -> (u64, u64) {
    let scratch = begin(straight, 1);
    let both = together(straight, &scratch, watching(), watching());
    let (helper, leader, [leads, helps]) = both.helper_ends();
    let leader = finished(leader);
    assert_eq!(leader.code, 0, "{}", leader.stderr);
    let rows = helped(&helper).expect("it helps");
    assert!(rows > 0, "there was nothing left to help with");
    straight.compare(&scratch, 1).expect("both together come to the same end");
    let (leads, helps) = (leads.counted(), helps.counted());
    println!("together: {leads} requests of the run, {helps} of the helper, who filled {rows} of {ROWS} rows");
    (leads, helps)
}

/// Kills the run while a helper is there.
fn without_a_leader(straight: &Straight<'_>, point: &Point, rows: &AtomicU64) -> Result<(), String> {
    let scratch = begin(straight, 1);
    let both = together(straight, &scratch, killing(point), watching());
    let leader = finished(both.leader);
    if !both.leads.fired() && leader.code != 0 {
        return Err(format!("it was not killed, and ended with {}: {}", leader.code, leader.stderr));
    }
    let then = point.then.command();
    let helper = match point.then {
        Then::AgainAlone => {
            let helper = finished(both.helper);
            straight.goes_on(&scratch, APPLY, then)?;
            helper
        }
        Then::Again | Then::Back => {
            straight.goes_on(&scratch, APPLY, then)?;
            finished(both.helper)
        }
    };
    rows.fetch_add(helped(&helper)?, Ordering::Relaxed);
    // What the helper did last must not have come after the end.
    let stage = if then == BACK { 0 } else { APPLY.end() };
    straight.compare(&scratch, stage).map_err(|difference| format!("after the helper's end:\n{difference}"))
}

#[test]
fn a_run_that_is_killed_while_another_process_helps_goes_on_or_back() {
    for straight in straights() {
        let (leads, _) = undisturbed(straight);
        let rows = AtomicU64::new(0);
        check_points("PostgreSQL, a run with a helper", points("", leads), budget(), |point| {
            without_a_leader(straight, point, &rows)
        });
        let rows = rows.into_inner();
        println!("helpers filled {rows} rows");
        assert!(rows > 0, "no helper had anything to do");
    }
}

/// Kills the helper: the run goes on by itself.
fn without_a_helper(straight: &Straight<'_>, point: &Point) -> Result<(), String> {
    let scratch = begin(straight, 1);
    let both = together(straight, &scratch, watching(), killing(point));
    let (helper, leader, [_leads, helps]) = both.helper_ends();
    if !helps.fired() {
        helped(&helper)?;
    }
    let leader = finished(leader);
    if leader.code != 0 {
        return Err(format!("the run ended with {}: {}", leader.code, leader.stderr));
    }
    straight.compare(&scratch, 1)?;
    match point.then {
        Then::Back => straight.goes_on(&scratch, Leg { stage: 1, back: true }, BACK),
        Then::Again | Then::AgainAlone => Ok(()),
    }
}

#[test]
fn a_run_goes_on_when_the_process_that_helps_it_is_killed() {
    for straight in straights() {
        let (_, helps) = undisturbed(straight);
        check_points("PostgreSQL, a helper", points("", helps), budget(), |point| without_a_helper(straight, point));
    }
}
