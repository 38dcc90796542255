//! The uninterrupted run of a change on PostgreSQL, and copies of its database at each stage, in which runs are made to fail.

use std::sync::OnceLock;

use segue_model::engine::Engine;
use segue_testkit::client::{Client, quoted};
use segue_testkit::postgres;
use segue_testkit::postgres::PostgresServer;
use segue_testkit::proxy::{Act, Moment, Proxy, Script};
use segue_testkit::segue::{Output, Segue};
use segue_traffic::{Place, Scenario, scenario};

use super::place::{BACK, Case, Change, Content, WAY};
use crate::project::Project;

/// A few windows of a backfill.
const ROWS: u32 = 1_500;

/// A command at its stage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Leg {
    /// Commands done before.
    pub(crate) stage: usize,
    /// It is the way back.
    pub(crate) back: bool,
}

impl Leg {
    /// Returns every command from every stage.
    pub(crate) fn all() -> impl Iterator<Item = Self> {
        let forth = (0..WAY.len()).map(|stage| Self { stage, back: false });
        forth.chain((1..WAY.len()).map(|stage| Self { stage, back: true }))
    }

    pub(crate) fn command(self) -> &'static [&'static str] {
        if self.back { BACK } else { WAY[self.stage] }
    }

    /// Returns the number of the stage that it leads to.
    pub(crate) fn end(self) -> usize {
        if self.back { 0 } else { self.stage + 1 }
    }

    /// Whether its end cannot be taken back.
    fn is_last(self) -> bool {
        self.end() == WAY.len()
    }
}

/// The uninterrupted run: the database before each command, and what is in it.
pub(crate) struct Straight<'s> {
    server: &'s PostgresServer,
    pub(crate) change: Change,
    /// By number of commands done.
    stages: Vec<(String, Content)>,
}

/// A copy of a stage's database, gone on drop.
pub(crate) struct Scratch<'s> {
    server: &'s PostgresServer,
    pub(crate) url: String,
    pub(crate) segue: Segue,
    _project: Project,
}

impl Drop for Scratch<'_> {
    fn drop(&mut self) {
        forget(self.server, &self.url);
    }
}

impl Drop for Straight<'_> {
    fn drop(&mut self) {
        self.stages.iter().for_each(|(url, _)| forget(self.server, url));
    }
}

/// Drops a database. What cannot be dropped goes away with the server.
fn forget(server: &PostgresServer, url: &str) {
    let name = url.rsplit('/').next().unwrap_or_default();
    let server = Client::try_connect(&server.url("postgres"));
    drop(server.and_then(|mut client| client.try_batch(&format!("DROP DATABASE {} WITH (FORCE)", quoted(name)))));
}

/// A run that several tests share, with the number of requests of each command.
type Shared = OnceLock<Option<(Straight<'static>, Vec<(Leg, u64)>)>>;

/// Returns the shared run of a split on PostgreSQL 15; `None` where there is no server of ours.
#[track_caller]
pub(crate) fn split() -> Option<&'static (Straight<'static>, Vec<(Leg, u64)>)> {
    static RUN: Shared = OnceLock::new();
    shared(&RUN, scenario::split(Engine::Postgres))
}

/// Returns the shared run of a type change, whose column has an index: its twin is built concurrently, outside a transaction.
#[track_caller]
pub(crate) fn retype() -> Option<&'static (Straight<'static>, Vec<(Leg, u64)>)> {
    static RUN: Shared = OnceLock::new();
    shared(&RUN, scenario::retype(Engine::Postgres).expect("PostgreSQL has it"))
}

#[track_caller]
fn shared(run: &'static Shared, scenario: Scenario) -> Option<&'static (Straight<'static>, Vec<(Leg, u64)>)> {
    let run = run.get_or_init(|| {
        let server = postgres(15).filter(|server| server.port().is_some())?;
        let straight = Straight::run(server, &Change::new(scenario, ROWS));
        let requests = straight.requests();
        Some((straight, requests))
    });
    run.as_ref()
}

impl<'s> Straight<'s> {
    /// Goes the whole way; the server must be ours.
    #[track_caller]
    pub(crate) fn run(server: &'s PostgresServer, change: &Change) -> Self {
        let case = Case::postgres(server, change);
        let mut stages = vec![(server.copy_of(&case.url), case.content())];
        for arguments in WAY {
            case.segue().ok(arguments);
            stages.push((server.copy_of(&case.url), case.content()));
        }
        forget(server, &case.url);
        Self { server, change: change.clone(), stages }
    }

    /// Returns a copy of a stage's database, made its own.
    #[track_caller]
    pub(crate) fn at(&self, stage: usize) -> Scratch<'s> {
        let url = self.server.copy_of(&self.stages[stage].0);
        let project = self.change.project(&url);
        let segue = project.segue.clone();
        if stage > 0 {
            segue.ok(&["adopt"]);
        }
        Scratch { server: self.server, url, segue, _project: project }
    }

    /// Returns a proxy with a script before the server.
    #[track_caller]
    pub(crate) fn proxy(&self, script: Script) -> Proxy {
        let proxy = Proxy::start(self.server.port().expect("the server is ours"));
        proxy.arm(script);
        proxy
    }

    /// Runs a command behind a proxy with a script.
    #[track_caller]
    pub(crate) fn scripted(&self, scratch: &Scratch<'_>, leg: Leg, script: Script) -> (Proxy, Output) {
        let proxy = self.proxy(script);
        let output = proxy.run(&scratch.through(&proxy), leg.command());
        (proxy, output)
    }

    /// Returns how many requests each command sends.
    #[track_caller]
    pub(crate) fn requests(&self) -> Vec<(Leg, u64)> {
        let counted = Leg::all().map(|leg| {
            let never = Script { on: "", at: u64::MAX, moment: Moment::Answered, act: Act::Watch };
            let (proxy, output) = self.scripted(&self.at(leg.stage), leg, never);
            assert_eq!(output.code, 0, "{}", output.stderr);
            println!("{}: {:?}: {} requests", self.change.scenario.name, leg.command(), proxy.counted());
            (leg, proxy.counted())
        });
        counted.collect()
    }

    /// Types `then` after a command was interrupted, and compares with the uninterrupted run.
    pub(crate) fn goes_on(&self, scratch: &Scratch<'_>, leg: Leg, then: &[&str]) -> Result<(), String> {
        let output = scratch.segue.run(then);
        let said = format!("{then:?} ended with {}: {}", output.code, output.stderr);
        // Its last COMMIT may still have been on its way when the next command looked which migration there is.
        let ended_meanwhile = output.code == 5 && output.stderr.contains("It is finished");
        let nothing_left = output.code == 2 && output.stderr.contains("no migration is") || ended_meanwhile;
        let closed = output.code == 5 && output.stderr.contains("no longer be rolled back");
        if output.code != 0 && !nothing_left && !closed {
            return Err(said);
        }
        if closed {
            let output = scratch.segue.run(leg.command());
            if output.code != 0 {
                return Err(format!("{said}; {:?} ended with {}: {}", leg.command(), output.code, output.stderr));
            }
        }
        // What was finished just before the end of the process, and cannot be taken back, stays.
        let stays = closed || nothing_left && leg.is_last();
        let stage = if then == BACK && !stays { 0 } else { leg.end() };
        self.compare(scratch, stage).map_err(|difference| format!("after {then:?}:\n{difference}"))
    }

    /// Compares with the uninterrupted run after so many commands.
    pub(crate) fn compare(&self, scratch: &Scratch<'_>, stage: usize) -> Result<(), String> {
        let place = Place::Postgres(scratch.url.clone());
        let difference = self.stages[stage].1.difference(&Content::of(&place, self.change.scenario.table));
        if difference.is_empty() { Ok(()) } else { Err(difference) }
    }
}

impl Scratch<'_> {
    /// Returns the binary with its database behind a proxy.
    pub(crate) fn through(&self, proxy: &Proxy) -> Segue {
        Segue::of(self.segue.binary(), &proxy.url(&self.url), self.segue.folder())
    }
}
