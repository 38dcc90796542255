//! Rows that cannot be converted: noted with their keys, and tried again when somebody has corrected them.

use std::collections::BTreeSet;
use std::rc::Rc;

use segue_model::bound::Bound;
use segue_model::journal::{Quarantined, State};
use segue_model::plan::Mode;
use segue_model::step::{Action, Backfill, Cut, Failures, Phase, Step};
use segue_model::value::{Row, Value};

use crate::error::RunError;
use crate::guard::Patience;
use crate::mask::mask;
use crate::running::{JOURNAL_WAIT, Running};
use crate::step::THOROUGH;
use crate::throttle::Work;
use crate::window::{Size, Stretch, WINDOW, first_number};

/// Rows that are quarantined before the backfill fails, where nobody set another number.
const THRESHOLD: u64 = 10_000;

/// The most rows that one question lists.
const LISTED_MAX: usize = 1000;

/// Rows that are shown.
const SAMPLES: u32 = 3;

/// What a look at a whole table found.
#[derive(Debug, Clone, Copy, Default)]
struct Found {
    /// Rows that cannot be converted.
    rows: u64,
    /// Windows that hold more of them than one question lists, and cannot be made smaller.
    cut_short: u64,
}

/// What came of trying quarantined rows again.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Retried {
    /// Rows that were quarantined before.
    pub before: u64,
    /// Rows that are now.
    pub after: u64,
    /// The first of them.
    pub samples: Vec<Quarantined>,
}

impl Running<'_> {
    /// Notes which rows a backfill could not convert; fails when there are more than anybody would look through.
    pub(crate) fn collect_failures(&mut self, step: &Step, backfill: &Backfill) -> Result<(), RunError> {
        let Some(failures) = &backfill.failures else { return Ok(()) };
        self.persist(&Patience::journal(step), |me| {
            me.own(JOURNAL_WAIT, |me| {
                let hand = &mut me.hand;
                Ok(hand.journal().clear_quarantine(&mut *hand.work, &hand.id, hand.attempt, step.id)?)
            })
        })?;
        let threshold = self.hand.valve.tuning().quarantine.unwrap_or(THRESHOLD);
        let found = self.go_over_failures(step, &backfill.cut, failures, threshold, true)?;
        let Found { rows, cut_short } = found;
        if rows == 0 {
            return Ok(());
        }
        self.hand.valve.note(|figures| figures.quarantined(rows));
        let table = &backfill.cut.table;
        if cut_short > 0 {
            self.note(format!(
                "in {cut_short} windows of `{table}` more than {LISTED_MAX} values cannot be converted, and not each of them is \
                 named; the rest is once these are corrected and tried again"
            ));
        }
        if rows > threshold {
            let samples = self.quarantined()?.1;
            let samples = samples.iter().filter(|row| row.step == step.id).map(sample).collect();
            return Err(RunError::Quarantine { id: self.id().clone(), table: table.clone(), rows, threshold, samples });
        }
        let id = self.id().clone();
        self.note(format!(
            "{rows} rows of `{table}` cannot be converted; flip is refused while any remain. See them: segue status {id}; correct \
             them, then: segue verify {id} --retry-quarantine"
        ));
        Ok(())
    }

    /// Returns how many rows a transform cannot convert: at least so many, where there are more than `enough`. A small table is
    /// asked as a whole, any other by its windows, between which the run can be paused and stopped.
    pub(crate) fn unconvertible(
        &mut self,
        step: &Step,
        cut: &Cut,
        failures: &Failures,
        enough: u64,
    ) -> Result<u64, RunError> {
        if self.mode(cut) != Mode::Inline {
            return Ok(self.go_over_failures(step, cut, failures, enough, false)?.rows);
        }
        self.persist(&Patience::journal(step), |me| {
            let rows = first_number(&me.query(&failures.count, &[], THOROUGH)?).unwrap_or(0);
            Ok(u64::try_from(rows).unwrap_or(0))
        })
    }

    /// Goes over the table until it ends or more than `enough` rows are found; with `notes`, each is noted in the journal.
    fn go_over_failures(
        &mut self,
        step: &Step,
        cut: &Cut,
        failures: &Failures,
        enough: u64,
        notes: bool,
    ) -> Result<Found, RunError> {
        let patience = Patience::journal(step);
        let mut found = Found::default();
        let Some(extent) = self.persist(&patience, |me| me.extent(cut))? else { return Ok(found) };
        let (mut next, mut size) = (Some(extent.low), Size::first(cut));
        while let Some(at) = next.filter(|_| found.rows <= enough) {
            self.hand.valve.pass(self.env, Work::Window)?;
            let began = self.env.clock.now();
            let (part, rows) =
                self.persist(&patience, |me| me.list_window(cut, failures, (&at, &extent.end), &mut size))?;
            let took = self.env.clock.now().saturating_sub(began);
            size.took(part.units, took);
            found.cut_short += u64::from(rows.len() >= LISTED_MAX);
            let rows: Vec<Quarantined> = rows.iter().filter_map(|row| quarantined(step, row)).collect();
            // A row is listed once for each of its columns.
            found.rows += rows.iter().map(|row| &row.key).collect::<BTreeSet<_>>().len() as u64;
            if notes && !rows.is_empty() {
                self.note_failures(&patience, &rows)?;
            }
            self.rest(cut, took)?;
            next = part.next;
        }
        Ok(found)
    }

    fn note_failures(&mut self, patience: &Patience<'_>, rows: &[Quarantined]) -> Result<(), RunError> {
        self.persist(patience, |me| {
            me.own(JOURNAL_WAIT, |me| {
                let hand = &mut me.hand;
                Ok(hand.journal().quarantine(&mut *hand.work, &hand.id, hand.attempt, rows)?)
            })
        })
    }

    /// Lists the rows of a window, of one so small that all are listed.
    fn list_window(
        &mut self,
        cut: &Cut,
        failures: &Failures,
        (from, end): (&Bound, &Bound),
        size: &mut Size,
    ) -> Result<(Stretch, Vec<Row>), RunError> {
        loop {
            let part = self.stretch(cut, from, end, size.units())?;
            let rows = self.query(&failures.list, &part.bounds(from), WINDOW)?;
            if rows.len() < LISTED_MAX || !size.halve() {
                return Ok((part, rows));
            }
        }
    }

    fn quarantined(&mut self) -> Result<(u64, Vec<Quarantined>), RunError> {
        self.persist(&Patience::nothing(), |me| {
            let hand = &mut me.hand;
            Ok(hand.journal().quarantined(&mut *hand.work, &hand.id, hand.attempt, SAMPLES)?)
        })
    }

    /// Tries the rows again that could not be converted: goes over each table once more, and notes what is left.
    pub(crate) fn retry_quarantine(&mut self) -> Result<Retried, RunError> {
        let state = self.record.state;
        if !(State::Started..=State::Ready).contains(&state) || self.has_begun(Phase::Flip) {
            return Err(RunError::WrongState { id: self.id().clone(), state, wanted: State::Ready });
        }
        let before = self.quarantined()?.0;
        let plan = Rc::clone(&self.plan);
        for step in &plan.steps {
            let Action::Backfill(backfill) = &step.action else { continue };
            if backfill.failures.is_some() {
                self.retry_step(step, backfill).map_err(|error| error.at(step.id, step.phase))?;
            }
        }
        let (after, samples) = self.quarantined()?;
        Ok(Retried { before, after, samples })
    }

    fn retry_step(&mut self, step: &Step, backfill: &Backfill) -> Result<(), RunError> {
        let at = self.persist(&Patience::journal(step), |me| me.checkpoint(step))?;
        let Some(at) = at else {
            return Err(RunError::WrongState { id: self.id().clone(), state: self.record.state, wanted: State::Ready });
        };
        let mut first = at.pass + 1;
        if !self.is_done(step.id) {
            first = self.bring_over(step, backfill, 1)? + 1;
        }
        self.bring_over(step, backfill, first)?;
        self.collect_failures(step, backfill)
    }
}

/// Returns a quarantined row as messages show it.
fn sample(row: &Quarantined) -> String {
    format!("{} ({}): {}", row.key, row.column, row.error)
}

fn quarantined(step: &Step, row: &Row) -> Option<Quarantined> {
    let text = |at: usize| match row.get(at)? {
        Value::Text(text) => Some(text.clone()),
        Value::Int(number) => Some(number.to_string()),
        Value::Null | Value::Real(_) | Value::Bytes(_) => None,
    };
    let error = mask(&text(2).unwrap_or_default());
    Some(Quarantined { step: step.id, key: text(0)?, column: text(1).unwrap_or_default(), error })
}
