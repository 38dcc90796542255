//! SIGKILL while somebody orders a pause, a setting or to go on: of the process that orders, and of the run that stands still.
//! Afterwards an order is in force or it is not, and the run ends right.

use std::process::Child;
use std::sync::OnceLock;
use std::time::Duration;

use segue_model::engine::Engine;
use segue_testkit::proxy::{Act, Moment, Proxy, Script};
use segue_testkit::segue::{Output, finished};
use segue_traffic::scenario;
use serde_json::Value;

use crate::fault::place::{BACK, Change};
use crate::fault::sample::check_points;
use crate::fault::straight::{Leg, Scratch, Straight};
use crate::operate::slow::{eventually, pause};

/// A few windows of a backfill.
const ROWS: u32 = 1_500;

/// What a sampled test may take on all servers together.
const BUDGET: Duration = Duration::from_secs(15);

const APPLY: Leg = Leg { stage: 0, back: false };

/// What is ordered of a run that stands still for another reason.
const ORDERS: [&[&str]; 3] = [&["pause", "1_change"], &["tune", "1_change", "workers=2"], &["resume", "1_change"]];

/// Requests of a run that is killed while it stands still: a few seconds' worth.
const STANDING: u64 = 15;

fn watching() -> Script {
    Script { on: "", at: u64::MAX, moment: Moment::Answered, act: Act::Watch }
}

/// Returns the uninterrupted run on each server of ours.
#[track_caller]
fn straights() -> &'static [Straight<'static>] {
    static RUNS: OnceLock<Vec<Straight<'static>>> = OnceLock::new();
    RUNS.get_or_init(|| {
        let ours = segue_testkit::each_postgres().into_iter().filter(|server| server.port().is_some());
        let change = Change::new(scenario::split(Engine::Postgres), ROWS);
        ours.map(|server| Straight::run(server, &change)).collect()
    })
}

/// Returns what a sampled test may take on one server.
fn budget() -> Duration {
    BUDGET / u32::try_from(straights().len().max(1)).unwrap_or(1)
}

/// A run that moves nothing while a file is there.
struct Held<'s> {
    scratch: Scratch<'s>,
    run: Child,
    /// On the run's way.
    proxy: Proxy,
}

impl<'s> Held<'s> {
    fn begin(straight: &Straight<'s>) -> Self {
        let scratch = straight.at(0);
        let hold = scratch.segue.folder().join("hold");
        std::fs::write(&hold, "").expect("our own folder takes files");
        let text =
            format!("[backfill]\ninline_below = 1\nwindow = \"20ms\"\n[throttle]\nfile = \"{}\"\n", hold.display());
        std::fs::write(scratch.segue.folder().join("segue.toml"), text).expect("our own folder takes files");
        let proxy = straight.proxy(watching());
        let run = scratch.through(&proxy).spawn(APPLY.command());
        proxy.aim(&run);
        let held = Self { scratch, run, proxy };
        eventually("the file holds it back", || {
            held.scratch.status()["figures"]["holding"].to_string().contains("hold")
        });
        held
    }

    /// Lets it go, as far as the file is concerned.
    fn let_go(&self) {
        std::fs::remove_file(self.scratch.segue.folder().join("hold")).expect("it is there");
    }
}

impl Scratch<'_> {
    /// Returns what `status` says; nothing before the migration has begun.
    fn status(&self) -> Value {
        let output = self.segue.run(&["status", "1_change", "--format", "json"]);
        let all: Value = serde_json::from_str(&output.stdout).unwrap_or_default();
        all[0].clone()
    }

    fn is_paused(&self) -> bool {
        self.status()["paused_by"].is_string()
    }

    /// Returns whether `workers=2` is ordered.
    fn is_tuned(&self) -> bool {
        let text = self.segue.ok(&["tune", "1_change", "--format", "json"]);
        let shown: Value = serde_json::from_str(&text).expect("it is JSON");
        let workers = &shown["settings"]["workers"];
        assert!(workers.is_null() || (workers["value"] == "2" && workers["from"] == "order"), "half an order: {shown}");
        !workers.is_null()
    }

    /// Returns whether what this order wants is so.
    fn is_in_force(&self, order: usize) -> bool {
        match order {
            0 => self.is_paused(),
            1 => self.is_tuned(),
            _ => !self.is_paused(),
        }
    }
}

fn ended_well(output: &Output) -> Result<(), String> {
    if output.code == 0 { Ok(()) } else { Err(format!("the run ended with {}: {}", output.code, output.stderr)) }
}

/// A command that is killed, and whether it is typed again.
#[derive(Debug, Clone, Copy)]
struct Ordered {
    order: usize,
    request: u64,
    moment: Moment,
    again: bool,
}

/// Kills a command that orders something of a run.
fn ordered(straight: &Straight<'_>, point: &Ordered) -> Result<(), String> {
    let held = Held::begin(straight);
    let scratch = &held.scratch;
    let resumes = point.order == 2;
    if resumes {
        scratch.segue.ok(ORDERS[0]);
    }
    let before = scratch.is_in_force(point.order);
    let proxy = straight.proxy(Script { on: "", at: point.request, moment: point.moment, act: Act::Kill });
    let output = proxy.run(&scratch.through(&proxy), ORDERS[point.order]);
    if !proxy.fired() && output.code != 0 {
        return Err(format!("it was not killed, and ended with {}: {}", output.code, output.stderr));
    }
    if output.code == 0 && (before || !scratch.is_in_force(point.order)) {
        return Err("it said that it was done, and nothing changed".to_owned());
    }
    if point.again {
        ended_well(&scratch.segue.run(ORDERS[point.order]))?;
        if !scratch.is_in_force(point.order) {
            return Err("typed again, it is not in force".to_owned());
        }
    }
    let paused = scratch.is_paused();
    held.let_go();
    if paused {
        ended_well(&scratch.segue.run(ORDERS[2]))?;
    }
    ended_well(&finished(held.run))?;
    straight.compare(scratch, APPLY.end())
}

#[test]
fn an_order_that_is_killed_is_in_force_or_not_and_the_run_ends_right() {
    for straight in straights() {
        let held = Held::begin(straight);
        let mut points = Vec::new();
        for (order, arguments) in ORDERS.iter().enumerate() {
            let proxy = straight.proxy(watching());
            let output = proxy.run(&held.scratch.through(&proxy), arguments);
            assert_eq!(output.code, 0, "{}", output.stderr);
            println!("{arguments:?}: {} requests", proxy.counted());
            for request in 1..=proxy.counted() {
                let moments = (0..).zip(Moment::ALL);
                points.extend(moments.map(|(at, moment)| Ordered {
                    order,
                    request,
                    moment,
                    again: (request + at) % 2 == 0,
                }));
            }
        }
        held.let_go();
        ended_well(&finished(held.run)).expect("it goes on");
        check_points("PostgreSQL, orders", points, budget(), |point| ordered(straight, point));
    }
}

/// What follows after a run was killed that stands still.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Then {
    /// It is allowed to go on, and typed again.
    ResumeAndApply,
    /// It is typed again, stands still, and is allowed to go on.
    ApplyAndResume,
    /// It is taken back at once: who wants out is not held by a pause.
    Back,
}

/// When a run is killed that stands still, and what follows.
#[derive(Debug, Clone, Copy)]
struct Standing {
    request: u64,
    moment: Moment,
    then: Then,
}

/// Kills a run soon after somebody ordered a pause, and goes on or back.
fn standing(straight: &Straight<'_>, point: &Standing) -> Result<(), String> {
    let held = Held::begin(straight);
    let scratch = &held.scratch;
    held.proxy.arm(Script { on: "", at: point.request, moment: point.moment, act: Act::Kill });
    scratch.segue.ok(ORDERS[0]);
    held.let_go();
    if !held.proxy.wait_until_fired(Duration::from_secs(30)) {
        return Err("the run sends nothing while it stands still".to_owned());
    }
    drop(finished(held.run));
    if !scratch.is_paused() {
        return Err("the pause was lost with the run".to_owned());
    }
    let stage = if point.then == Then::Back { 0 } else { APPLY.end() };
    let output = match point.then {
        Then::ResumeAndApply => {
            scratch.segue.ok(ORDERS[2]);
            scratch.segue.run(APPLY.command())
        }
        Then::ApplyAndResume => {
            let mut next = scratch.segue.spawn(APPLY.command());
            pause(Duration::from_millis(1500));
            if next.try_wait().is_ok_and(|ended| ended.is_some()) {
                return Err(format!("a pause did not hold it: {:?}", finished(next)));
            }
            scratch.segue.ok(ORDERS[2]);
            finished(next)
        }
        Then::Back => scratch.segue.run(BACK),
    };
    ended_well(&output)?;
    straight.compare(scratch, stage)
}

#[test]
fn a_run_that_is_killed_while_it_stands_still_stays_paused_and_goes_on_or_back() {
    for straight in straights() {
        let thens = [Then::ResumeAndApply, Then::ApplyAndResume, Then::Back];
        let points = (1..=STANDING).flat_map(|request| {
            Moment::ALL.into_iter().flat_map(move |moment| thens.map(|then| Standing { request, moment, then }))
        });
        check_points("PostgreSQL, a paused run", points.collect(), budget(), |point| standing(straight, point));
    }
}
