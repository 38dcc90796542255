//! What happens in the demo, in order.

use std::sync::Arc;
use std::time::{Duration, Instant};

use segue_execute::{Outcome, Said, Target};
use segue_model::ident::{MigrationId, TableName};
use segue_model::journal::State;
use segue_model::tuning::Tuning;
use segue_plan::operation::Thresholds;
use segue_traffic::{Fault, Load, Report, Running, Scenario, Traffic, scenario};

use super::place::Scratch;
use super::{Figures, Phase};
use crate::config::Config;
use crate::database::Database;
use crate::failure::Failure;
use crate::operate::{self, Operator, Wish};
use crate::planning;
use crate::project::Project;

/// How long the clients run before anything changes: their own longest stall.
const BASELINE: Duration = Duration::from_secs(3);

/// How long both versions run beside each other at each station.
const TOGETHER: Duration = Duration::from_secs(1);

/// How often a wait looks whether it should end early.
const GLANCE: Duration = Duration::from_millis(50);

/// The demo's database, migration and runner.
pub(super) struct Story {
    scratch: Scratch,
    config: Config,
    scenario: Scenario,
    operator: Operator,
    id: MigrationId,
    kept: Vec<TableName>,
}

impl Story {
    /// Returns the story of this scratch database, its migration files written.
    pub(super) fn new(scratch: Scratch, config: &Config) -> Result<Self, Failure> {
        let scenario = scenario::split(scratch.place.engine());
        let id = MigrationId::new(format!("demo_{}_full_name", std::process::id()))
            .map_err(|e| Failure::bug(e.to_string()))?;
        for (ending, text) in [("sql", scenario.up), ("down.sql", scenario.down)] {
            std::fs::write(scratch.folder.join(format!("{id}.{ending}")), text)
                .map_err(|error| Failure::server(format!("no temporary folder: {error}")))?;
        }
        let config = Config {
            database_url: Some(scratch.url.clone()),
            migrations: scratch.folder.clone(),
            app_version: None,
            cool_down: Duration::ZERO,
            tuning: Tuning::default(),
            thresholds: Thresholds::default(),
            environment: config.environment.clone(),
        };
        let operator = Operator::new(&config, Wish::default())?;
        Ok(Self { scratch, config, scenario, operator, id, kept: vec![] })
    }

    /// Runs it and returns what the clients saw.
    pub(super) fn tell(&mut self, rows: u64) -> Result<Figures, Failure> {
        let rows = u32::try_from(rows).map_err(|_| Failure::usage("that is more rows than the demo makes"))?;
        self.say(&format!(
            "a table `{}` of {rows} rows, and the old version of an application on it",
            self.scenario.table
        ));
        segue_traffic::seed(&self.scratch.place, &self.scenario, rows).map_err(fault)?;
        let load = Load { rows, seed: u64::from(std::process::id()), ..Load::default() };
        let traffic = Traffic::start(&self.scratch.place, &self.scenario, load).map_err(fault)?;
        traffic.mark("before");
        self.wait(BASELINE)?;
        self.there_and_back(&traffic)?;
        self.finish(&traffic)?;
        traffic.mark("after");
        self.wait(TOGETHER)?;
        let report = traffic.stop().map_err(fault)?;
        Ok(self.figures(rows, &report))
    }

    /// Takes the migration to flip and back again.
    fn there_and_back(&mut self, traffic: &Running) -> Result<(), Failure> {
        self.until_flip(traffic, "first ")?;
        self.say("stopping the new version, and rolling back");
        traffic.mark("rollback");
        traffic.stop_new_version();
        let said = Said { new_version_stopped: true, ..Said::default() };
        self.step(|run, id| run.rollback(id, said))?;
        traffic.rolled_back();
        self.wait(TOGETHER)
    }

    /// Takes the migration to flip, and through contract and cleanup.
    fn finish(&mut self, traffic: &Running) -> Result<(), Failure> {
        self.until_flip(traffic, "")?;
        self.say("stopping the old version");
        traffic.mark("contract");
        traffic.stop_old_version();
        let said = Said { old_version_stopped: true, ..Said::default() };
        self.step(|run, id| run.contract(id, said))?;
        self.wait(TOGETHER)?;
        traffic.mark("cleanup");
        let said = Said { cleanup_agreed: true, ..Said::default() };
        let outcome = self.step(|run, id| run.cleanup(id, said))?;
        self.kept.extend(outcome.kept);
        Ok(())
    }

    fn until_flip(&mut self, traffic: &Running, which: &str) -> Result<(), Failure> {
        traffic.mark(format!("{which}apply"));
        self.apply()?;
        self.say("ready: the new version starts, on the same rows");
        traffic.mark(format!("{which}both versions"));
        traffic.start_new_version();
        self.wait(TOGETHER)?;
        traffic.mark(format!("{which}flip"));
        self.step(|run, id| run.flip(id))?;
        self.wait(TOGETHER)
    }

    fn apply(&mut self) -> Result<(), Failure> {
        let project = Project::open(&self.config.migrations)?;
        let mut database = Database::open(&self.config)?;
        let (migration, texts) = project.migration(database.engine(), &self.id)?;
        let plan = planning::plan(&mut database, &migration, &texts, &self.config.thresholds)?;
        let connector = Arc::clone(&database.connector);
        self.operator.run(connector.as_ref()).apply(&plan, Target::Ready).map_err(operate::failure)?;
        Ok(())
    }

    fn step(
        &mut self,
        work: impl FnOnce(&segue_execute::Run<'_>, &MigrationId) -> Result<Outcome, segue_execute::RunError>,
    ) -> Result<Outcome, Failure> {
        let connector = Database::open(&self.config)?.connector;
        work(&self.operator.run(connector.as_ref()), &self.id).map_err(operate::failure)
    }

    /// Lets the clients run for a while.
    fn wait(&self, lasts: Duration) -> Result<(), Failure> {
        let until = Instant::now() + lasts;
        while Instant::now() < until {
            if self.operator.stop.requested() {
                return Err(Failure::of_run(130, "stopped as asked; the scratch database is removed"));
            }
            std::thread::park_timeout(GLANCE);
        }
        Ok(())
    }

    fn say(&self, text: &str) {
        self.operator.say(text);
    }

    /// Removes the scratch database. A demo that ended early may have left its migration half way: it is taken back first, so
    /// that nothing of it stays on the server.
    pub(super) fn end(mut self) -> Result<(), Failure> {
        let unfinished = |state| !matches!(state, State::Done | State::RolledBack);
        let record = Database::open(&self.config).and_then(|mut database| database.record(&self.id));
        if let Ok(Some(record)) = record
            && unfinished(record.state)
        {
            let said = Said { new_version_stopped: true, accept_loss: true, ..Said::default() };
            // Best effort: the removal of the schema below is what counts.
            let _ = self.step(|run, id| run.rollback(id, said));
        }
        self.operator.finish();
        self.scratch.remove(&self.id, &self.kept)
    }

    fn figures(&self, rows: u32, report: &Report) -> Figures {
        let details = report.failures.iter().chain(&report.lost).chain(&report.wrong).cloned().collect();
        Figures {
            engine: self.scratch.place.engine().product(),
            rows: u64::from(rows),
            requests: report.requests,
            failed_requests: report.failed_requests,
            lost_writes: report.lost_writes,
            wrong_rows: report.wrong_rows,
            p99_ms: report.p99_ms,
            max_stall_ms: report.max_stall_ms,
            baseline_max_ms: report.mark("before").map_or(0.0, |mark| mark.max_ms),
            phases: report
                .marks
                .iter()
                .map(|mark| Phase { phase: mark.name.clone(), seconds: mark.seconds, max_ms: mark.max_ms })
                .collect(),
            details,
        }
    }
}

fn fault(fault: Fault) -> Failure {
    Failure::server(format!("the demo's clients cannot work: {fault}"))
}
