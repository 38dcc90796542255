//! How far a run is and what it costs, as it tells other terminals.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use segue_model::plan::Plan;
use segue_model::sql::Sql;
use segue_model::step::{Action, Cut, Phase, Step};
use serde::{Deserialize, Serialize};

/// Over what time speed is measured.
const LATELY: Duration = Duration::from_secs(10);

/// The part of a pass that must be done before its end is foretold.
const FORETELLS: f64 = 0.01;

/// The figures of a run, as the journal keeps them. What is not known is `None`, never zero.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Report {
    /// When it was written: seconds since 1970 in UTC, by the database's clock.
    pub at: Option<i64>,
    /// The step that is under way; 0 before the first.
    pub step: u32,
    /// What it does.
    pub title: String,
    /// Its phase.
    pub phase: Option<Phase>,
    /// The pass over the table, from 1; 0 where the step goes by no windows.
    pub pass: u32,
    /// What `done` and `total` count: `pages` or `rows`.
    pub unit: String,
    /// Units of this pass that are done.
    pub done: u64,
    /// Units of this pass in all, about.
    pub total: u64,
    /// Rows that were changed, copied or looked at in this step by this run.
    pub rows: u64,
    /// Rows of the table, as estimated when the plan was made.
    pub rows_total: Option<u64>,
    /// Rows a second over the last ten seconds.
    pub rate: Option<f64>,
    /// Seconds until this pass is over. `None` before 1 % of it, and while nothing moves.
    pub eta_s: Option<u64>,
    /// Sessions that move windows.
    pub workers: u32,
    /// Milliseconds that a window took lately.
    pub window_ms: Option<f64>,
    /// What holds windows back now.
    pub holding: Vec<String>,
    /// Seconds that each reason has held the run back so far.
    pub throttled: BTreeMap<String, f64>,
    /// Who paused it.
    pub paused_by: Option<String>,
    /// The sizes of the tables that rows are moved in.
    pub bytes: BTreeMap<String, Bytes>,
    /// Bytes of WAL that the server, for everybody, wrote since the run began.
    pub wal_bytes: Option<u64>,
    /// Dead rows that this step left since they were cleared last; `None`: it leaves none.
    pub dead_rows: Option<u64>,
    /// Times that this process cleared dead rows.
    pub vacuums: u64,
    /// The longest time that a step's locks were held which keep the application waiting, in milliseconds.
    pub longest_lock_held_ms: u64,
    /// The longest wait for a step's locks in one try, in milliseconds.
    pub longest_lock_wait_ms: u64,
    /// Tries that did not get their lock, and transactions that were done again.
    pub retries: u64,
    /// Rows that could not be converted.
    pub quarantined: Option<u64>,
}

/// The size of a table.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Bytes {
    /// When the plan was made, or else when the run began.
    pub start: Option<u64>,
    /// Now.
    pub now: Option<u64>,
}

impl Report {
    /// Returns it as the journal keeps it.
    pub(crate) fn to_json(&self) -> String {
        serde_json::to_string(self).expect("figures are plain data")
    }

    /// Returns what [`Self::to_json`] wrote; `None`: another version wrote something else.
    pub(crate) fn from_json(text: &str) -> Option<Self> {
        serde_json::from_str(text).ok()
    }
}

/// What a run notes of itself.
#[derive(Debug, Default)]
pub(crate) struct Figures {
    report: Report,
    lately: VecDeque<Moved>,
    /// Since when windows of this step move.
    since: Option<Duration>,
    wal_start: Option<f64>,
    /// Gives the size of each table that rows are moved in.
    sized_by: Vec<(String, Sql)>,
    /// Writers are kept out while a window moves.
    gentle: bool,
}

/// A window that was done.
#[derive(Debug)]
struct Moved {
    at: Duration,
    units: u64,
    rows: u64,
    took: Duration,
}

impl Figures {
    /// A step begins.
    pub(crate) fn begins(&mut self, step: &Step, plan: &Plan) {
        if self.sized_by.is_empty() {
            self.knows(plan);
        }
        let table = cut_of(step).map(|cut| cut.table.to_string());
        let report = &mut self.report;
        report.step = step.id;
        report.title.clone_from(&step.title);
        report.phase = Some(step.phase);
        report.unit = cut_of(step).map(|cut| cut.unit.clone()).unwrap_or_default();
        report.rows_total = table.and_then(|table| plan.evidence.rows.get(&table).copied());
        (report.pass, report.done, report.total, report.rows) = (0, 0, 0, 0);
        (report.rate, report.eta_s, report.window_ms) = (None, None, None);
        report.workers = 1;
        // Where they are cleared on the way, each changed row leaves one.
        let clears = matches!(&step.action, Action::Backfill(backfill) if backfill.pace.is_some());
        report.dead_rows = clears.then_some(0);
        self.lately.clear();
        self.since = None;
    }

    fn knows(&mut self, plan: &Plan) {
        self.gentle = plan.steps.iter().filter_map(cut_of).any(|cut| cut.rest_percent > 0);
        // The copy that cleanup makes moves nothing in the table.
        for step in plan.steps.iter().filter(|step| step.phase == Phase::Backfill) {
            let Action::Backfill(backfill) = &step.action else { continue };
            let table = backfill.cut.table.to_string();
            let start = plan.evidence.bytes.get(&table).copied();
            if let Some(pace) = &backfill.pace
                && !self.sized_by.iter().any(|(known, _)| *known == table)
            {
                self.sized_by.push((table.clone(), pace.size.clone()));
            }
            self.report.bytes.entry(table).or_default().start = start;
        }
    }

    /// A pass begins, or is gone on with, or others have moved windows of it: so far it is.
    pub(crate) fn stands(&mut self, pass: u32, done: u64, total: u64) {
        (self.report.pass, self.report.done, self.report.total) = (pass, done.min(total), total);
    }

    /// So many sessions move windows.
    pub(crate) fn works_with(&mut self, workers: usize) {
        self.report.workers = u32::try_from(workers).unwrap_or(u32::MAX);
    }

    /// A window was done at `now`; returns the units of the pass that are done, and all of them.
    pub(crate) fn moved(&mut self, now: Duration, units: u64, rows: u64, took: Duration) -> (u64, u64) {
        let report = &mut self.report;
        report.done = report.done.saturating_add(units).min(report.total);
        report.rows = report.rows.saturating_add(rows);
        report.dead_rows = report.dead_rows.map(|dead| dead.saturating_add(rows));
        self.since.get_or_insert(now.saturating_sub(took));
        self.lately.push_back(Moved { at: now, units, rows, took });
        self.forget(now);
        (self.report.done, self.report.total)
    }

    /// What the run cost so far: its longest wait for a step's locks, and the longest time that it held some.
    pub(crate) fn cost(&mut self, waited: Duration, held: Duration) {
        let report = &mut self.report;
        report.longest_lock_wait_ms = report.longest_lock_wait_ms.max(millis(waited));
        report.longest_lock_held_ms = report.longest_lock_held_ms.max(millis(held));
    }

    /// A transaction is done again.
    pub(crate) fn retried(&mut self) {
        self.report.retries += 1;
    }

    /// So many rows are quarantined.
    pub(crate) fn quarantined(&mut self, rows: u64) {
        self.report.quarantined = Some(rows);
    }

    /// The dead rows of the step were cleared.
    pub(crate) fn cleared(&mut self) {
        self.report.dead_rows = Some(0);
        self.vacuumed();
    }

    /// Dead rows were cleared, but for those that somebody may still see.
    pub(crate) fn vacuumed(&mut self) {
        self.report.vacuums += 1;
    }

    /// Returns how often dead rows were cleared.
    pub(crate) fn vacuums(&self) -> u64 {
        self.report.vacuums
    }

    /// The watch saw the database's clock, and how much WAL there is.
    pub(crate) fn measured(&mut self, now_s: i64, wal: Option<f64>) {
        self.report.at = Some(now_s);
        if let Some(wal) = wal {
            let start = *self.wal_start.get_or_insert(wal);
            self.report.wal_bytes = Some((wal - start).max(0.0) as u64);
        }
    }

    /// Returns what gives the size of each table that rows are moved in.
    pub(crate) fn sized_by(&self) -> &[(String, Sql)] {
        &self.sized_by
    }

    /// A table is so large now.
    pub(crate) fn is_large(&mut self, table: String, bytes: Option<u64>) {
        let of_table = self.report.bytes.entry(table).or_default();
        of_table.now = bytes;
        of_table.start = of_table.start.or(bytes);
    }

    /// Returns whether writes should be rare: each keeps other writers out.
    pub(crate) fn is_gentle(&self) -> bool {
        self.gentle
    }

    /// Returns the figures as they are at `now`.
    pub(crate) fn report(&mut self, now: Duration) -> Report {
        self.forget(now);
        let mut report = self.report.clone();
        let Some(since) = self.since else { return report };
        let seconds = now.saturating_sub(since).min(LATELY).as_secs_f64().max(0.001);
        let sum = |of: fn(&Moved) -> u64| self.lately.iter().map(of).sum::<u64>() as f64;
        report.rate = Some(sum(|moved| moved.rows) / seconds);
        report.eta_s = eta(&report, sum(|moved| moved.units) / seconds);
        if !self.lately.is_empty() {
            let took: Duration = self.lately.iter().map(|moved| moved.took).sum();
            report.window_ms = Some(took.as_secs_f64() * 1000.0 / self.lately.len() as f64);
        }
        report
    }

    fn forget(&mut self, now: Duration) {
        while self.lately.front().is_some_and(|moved| now.saturating_sub(moved.at) > LATELY) {
            self.lately.pop_front();
        }
    }
}

/// Returns how a step's table is cut, where it goes by windows.
fn cut_of(step: &Step) -> Option<&Cut> {
    match &step.action {
        Action::Backfill(backfill) => Some(&backfill.cut),
        Action::Verify(verify) => Some(&verify.cut),
        Action::Snapshot(snapshot) => snapshot.copy.as_ref().map(|(cut, _)| cut),
        Action::Sql(_) | Action::Settled { .. } | Action::Gate(_) => None,
    }
}

fn eta(report: &Report, units_a_second: f64) -> Option<u64> {
    let foretold = report.total > 0 && report.done as f64 >= FORETELLS * report.total as f64;
    let left = report.total.saturating_sub(report.done) as f64;
    (foretold && units_a_second > 0.0).then(|| (left / units_a_second).ceil() as u64)
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn speed_is_that_of_the_last_ten_seconds_and_no_end_is_foretold_before_a_hundredth() {
        let mut figures = Figures::default();
        figures.stands(1, 0, 10_000);
        assert_eq!(figures.report(s(1)).rate, None, "nothing has moved yet");
        assert_eq!(figures.moved(s(1), 50, 500, s(1)), (50, 10_000));
        assert_eq!(figures.report(s(1)).eta_s, None, "half a hundredth");
        figures.moved(s(2), 50, 500, s(1));
        let report = figures.report(s(2));
        assert_eq!((report.rate, report.eta_s, report.window_ms), (Some(500.0), Some(198), Some(1000.0)));
        for second in 20..30 {
            figures.moved(s(second), 100, 2000, Duration::from_millis(500));
        }
        let report = figures.report(s(30));
        assert_eq!((report.rate, report.eta_s), (Some(2000.0), Some(89)), "what was before counts no more");
        let report = figures.report(s(60));
        assert_eq!((report.rate, report.eta_s, report.rows), (Some(0.0), None, 21_000), "nothing moves");
    }

    #[test]
    fn the_copy_that_cleanup_makes_is_no_table_that_rows_are_moved_in() {
        let mut plan = crate::tests::plan();
        let mut copy = Step { id: 11, phase: Phase::Cleanup, ..plan.steps[2].clone() };
        let Action::Backfill(backfill) = &mut copy.action else { panic!("the third step brings rows over") };
        backfill.cut.table.name = segue_model::ident::Ident::known("old_users");
        plan.steps.push(copy);
        let mut figures = Figures::default();
        figures.begins(&plan.steps[0], &plan);
        assert_eq!(figures.report(s(0)).bytes.into_keys().collect::<Vec<_>>(), ["main.users"]);
    }

    #[test]
    fn what_is_not_known_is_not_zero_and_what_is_written_reads_back() {
        let mut figures = Figures::default();
        let report = figures.report(s(0));
        assert_eq!((report.wal_bytes, report.dead_rows, report.quarantined, report.at), (None, None, None, None));
        figures.measured(1_000, None);
        figures.measured(1_001, Some(500.0));
        figures.measured(1_002, Some(1500.0));
        figures.is_large("t".to_owned(), Some(8192));
        figures.is_large("t".to_owned(), None);
        figures.cost(Duration::from_millis(7), Duration::from_millis(3));
        figures.retried();
        figures.cleared();
        let report = figures.report(s(1));
        assert_eq!((report.at, report.wal_bytes), (Some(1_002), Some(1000)));
        assert_eq!((report.retries, report.vacuums, report.dead_rows), (1, 1, Some(0)));
        assert_eq!(report.bytes["t"], Bytes { start: Some(8192), now: None });
        assert_eq!(Report::from_json(&report.to_json()), Some(report));
        assert_eq!(Report::from_json("{\"step\":1,\"new\":true}").map(|report| report.step), Some(1));
        assert_eq!(Report::from_json("7"), None);
    }
}
