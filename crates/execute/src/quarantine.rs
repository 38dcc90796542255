//! Rows that cannot be converted: noted with their keys, and tried again when somebody has corrected them.

use std::rc::Rc;

use segue_model::bound::Bound;
use segue_model::journal::{Quarantined, State};
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
        let rows = self.unconvertible(step, failures)?;
        self.persist(&Patience::journal(step), |me| {
            me.own(JOURNAL_WAIT, |me| {
                let hand = &mut me.hand;
                Ok(hand.journal().clear_quarantine(&mut *hand.work, &hand.id, hand.attempt, step.id)?)
            })
        })?;
        if rows == 0 {
            return Ok(());
        }
        let threshold = self.hand.valve.tuning().quarantine.unwrap_or(THRESHOLD);
        let enough = if rows > threshold { u64::from(SAMPLES) } else { u64::MAX };
        let listed = self.list_failures(step, &backfill.cut, failures, enough)?;
        self.hand.valve.note(|figures| figures.quarantined(listed));
        let table = &backfill.cut.table;
        if rows > threshold {
            let samples = self.quarantined()?.1;
            let samples = samples.iter().filter(|row| row.step == step.id).map(sample).collect();
            return Err(RunError::Quarantine { id: self.id().clone(), table: table.clone(), rows, threshold, samples });
        }
        self.note(format!("{rows} rows of `{table}` cannot be converted; flip is refused while any remain"));
        Ok(())
    }

    /// Returns how many rows a transform cannot convert.
    pub(crate) fn unconvertible(&mut self, step: &Step, failures: &Failures) -> Result<u64, RunError> {
        self.persist(&Patience::journal(step), |me| {
            let rows = first_number(&me.query(&failures.count, &[], THOROUGH)?).unwrap_or(0);
            Ok(u64::try_from(rows).unwrap_or(0))
        })
    }

    /// Goes over the table until at least `enough` rows are noted; returns how many are.
    fn list_failures(&mut self, step: &Step, cut: &Cut, failures: &Failures, enough: u64) -> Result<u64, RunError> {
        let patience = Patience::journal(step);
        let Some(extent) = self.persist(&patience, |me| me.extent(cut))? else { return Ok(0) };
        let (mut next, mut listed, mut size) = (Some(extent.low), 0, Size::first(cut));
        while let Some(at) = next.filter(|_| listed < enough) {
            self.hand.valve.pass(self.env, Work::Window)?;
            let began = self.env.clock.now();
            let (part, rows) =
                self.persist(&patience, |me| me.list_window(cut, failures, (&at, &extent.end), &mut size))?;
            size.took(part.units, self.env.clock.now().saturating_sub(began));
            let rows: Vec<Quarantined> = rows.iter().filter_map(|row| quarantined(step, row)).collect();
            if !rows.is_empty() {
                self.persist(&patience, |me| {
                    me.own(JOURNAL_WAIT, |me| {
                        let hand = &mut me.hand;
                        Ok(hand.journal().quarantine(&mut *hand.work, &hand.id, hand.attempt, &rows)?)
                    })
                })?;
            }
            listed += rows.len() as u64;
            next = part.next;
        }
        Ok(listed)
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
