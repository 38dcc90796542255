//! Windows over a table: how long each is, and how far they are.

use std::time::Duration;

use segue_model::journal::Checkpoint;
use segue_model::session::FailKind;
use segue_model::step::{Cut, Step};
use segue_model::value::{Row, Value};

use crate::error::RunError;
use crate::observer::Progress;
use crate::running::{QUESTION, Running};

/// The longest that one window may take before it counts as hung.
pub(crate) const WINDOW: Duration = Duration::from_secs(600);

/// The size of the windows, steered so that each takes about the time it should.
///
/// A stretch that needs nothing goes fast, and the next one may need everything: so a window stays within a few times of what
/// the dearest stretch seen lately allows, or one statement would keep rows locked for long.
pub(crate) struct Size {
    units: u64,
    target: Duration,
    /// Seconds a unit took where it took longest lately.
    dearest: f64,
    /// No window is larger.
    most: u64,
}

/// How far a window that locks rows may outgrow the first one: a stretch without any work teaches nothing about the next.
const BEYOND_FIRST: u64 = 4;

/// How far a window may go beyond what the dearest stretch allows.
const BEYOND_DEAREST: f64 = 4.0;

/// What the dearest stretch still counts for after each further window.
const FADING: f64 = 0.98;

impl Size {
    /// Returns the size of the first window.
    pub(crate) fn first(cut: &Cut) -> Self {
        let target = Duration::from_millis(u64::from(cut.target_ms.max(1)));
        Self { units: u64::from(cut.size.max(1)), target, dearest: 0.0, most: u64::from(u32::MAX) }
    }

    /// Returns the size of a window whose bounds are known.
    pub(crate) fn whole(cut: &Cut, from: i64, to: i64) -> Self {
        Self { units: to.abs_diff(from).max(1), ..Self::first(cut) }
    }

    /// Returns where the window ends that begins at `from`, counted in its own units.
    pub(crate) fn end(&self, from: i64, end: i64) -> i64 {
        from.saturating_add(i64::try_from(self.units).unwrap_or(i64::MAX)).min(end)
    }

    /// Returns the size of the first window of a statement that locks the rows it changes.
    pub(crate) fn first_of_locking(cut: &Cut) -> Self {
        Self { most: u64::from(cut.size.max(1)) * BEYOND_FIRST, ..Self::first(cut) }
    }

    /// Returns the size of the next window.
    pub(crate) fn units(&self) -> u64 {
        self.units
    }

    /// Learns how long a window took: at most doubles, at most halves.
    pub(crate) fn took(&mut self, time: Duration) {
        let factor = self.target.as_secs_f64() / time.as_secs_f64().max(0.000_001);
        // One window may have waited for a row that somebody held: it counts for no more than twice the one before.
        let each = time.as_secs_f64() / self.units as f64;
        let ceiling = if self.dearest > 0.0 { self.dearest * 2.0 } else { each };
        self.dearest = each.min(ceiling).max(self.dearest * FADING);
        let most = BEYOND_DEAREST * self.target.as_secs_f64() / self.dearest.max(f64::MIN_POSITIVE);
        let next = self.units as f64 * factor.clamp(0.5, 2.0);
        self.units = (next.min(most) as u64).clamp(1, self.most);
    }

    /// Learns from a window that failed, where a smaller one may not.
    pub(crate) fn heed<T>(&mut self, result: &Result<T, RunError>, took: Duration) {
        let Err(RunError::Fail { source, .. }) = result else { return };
        match source.kind {
            FailKind::Deadlock => drop(self.halve()),
            FailKind::Deadline => {
                let each = took.as_secs_f64() / self.units as f64;
                self.dearest = self.dearest.max(each);
                self.halve();
            }
            _ => {}
        }
    }

    /// Halves it; returns whether it could be.
    pub(crate) fn halve(&mut self) -> bool {
        let could = self.units > 1;
        self.units = (self.units / 2).max(1);
        could
    }
}

impl Running<'_> {
    /// Returns the bounds of the table: the lowest, and the one after the highest.
    pub(crate) fn extent(&mut self, cut: &Cut) -> Result<(i64, i64), RunError> {
        let rows = self.query(&cut.extent, &[], QUESTION)?;
        let bound = |at: usize| rows.first().and_then(|row| row.get(at)).and_then(Value::as_i64);
        Ok(match (bound(0), bound(1)) {
            (Some(low), Some(end)) => (low, end.max(low)),
            // An empty table has no bounds.
            _ => (0, 0),
        })
    }

    /// Returns where the window ends that begins at `from`: after it, and at most at `end`.
    pub(crate) fn window_end(&mut self, cut: &Cut, from: i64, end: i64, size: &Size) -> Result<i64, RunError> {
        let units = i64::try_from(size.units()).unwrap_or(i64::MAX);
        let by_units = from.saturating_add(units);
        let to = match &cut.end {
            None => by_units,
            Some(sql) => {
                let rows = self.query(sql, &[Value::Int(from), Value::Int(units)], QUESTION)?;
                first_number(&rows).unwrap_or(end)
            }
        };
        Ok(to.max(from.saturating_add(1)).min(end))
    }

    /// Rests after a window, where others need a turn.
    pub(crate) fn rest(&mut self, cut: &Cut, took: Duration) -> Result<(), RunError> {
        if cut.rest_percent == 0 {
            return self.env.check_stop();
        }
        self.env.wait(took.mul_f64(f64::from(cut.rest_percent) / 100.0))
    }

    /// Tells how far a step is.
    pub(crate) fn tell_window(&self, step: &Step, cut: &Cut, low: i64, at: &Checkpoint, rows: u64, took: Duration) {
        let units = |from: i64, to: i64| u64::try_from(to.saturating_sub(from)).unwrap_or(0);
        self.env.tell(&Progress::Window {
            step: step.id,
            pass: at.pass,
            done: units(low, at.next),
            total: units(low, at.end),
            unit: &cut.unit,
            rows,
            took,
        });
    }

    /// Reads how far a step is.
    pub(crate) fn checkpoint(&mut self, step: &Step) -> Result<Option<Checkpoint>, RunError> {
        let Running { env, work, record, .. } = self;
        Ok(env.journal().checkpoint(&mut **work, &record.id, record.attempt, step.id)?)
    }

    /// Writes how far a step is into the transaction that is open.
    pub(crate) fn set_checkpoint(&mut self, at: &Checkpoint) -> Result<(), RunError> {
        let Running { env, work, record, .. } = self;
        Ok(env.journal().set_checkpoint(&mut **work, &record.id, record.attempt, at)?)
    }
}

/// Returns the one number that a query gives.
pub(crate) fn first_number(rows: &[Row]) -> Option<i64> {
    rows.first().and_then(|row| row.first()).and_then(Value::as_i64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_grow_and_shrink_by_half_and_double_at_most() {
        let mut size = Size { units: 100, target: Duration::from_millis(20), dearest: 0.0, most: 100_000 };
        let mut after = |ms: u64| {
            size.took(Duration::from_millis(ms));
            size.units()
        };
        assert_eq!([after(0), after(10), after(25), after(40), after(2000)], [200, 400, 320, 160, 80]);
        size.units = 1;
        assert!(!size.halve());
        size.took(Duration::from_secs(1));
        assert_eq!(size.units(), 1);
    }

    #[test]
    fn a_stretch_without_work_does_not_let_a_locking_window_grow() {
        let mut size = Size { units: 32, target: Duration::from_millis(20), dearest: 0.0, most: 32 * BEYOND_FIRST };
        for _ in 0..20 {
            size.took(Duration::from_micros(10));
        }
        assert_eq!(size.units(), 128);
    }

    #[test]
    fn a_fast_stretch_does_not_make_the_next_window_endless() {
        let mut size = Size { units: 100, target: Duration::from_millis(20), dearest: 0.0, most: 100_000 };
        size.took(Duration::from_millis(20));
        assert_eq!(size.units(), 100);
        for _ in 0..10 {
            size.took(Duration::from_micros(100));
        }
        assert!((200..=500).contains(&size.units()), "{}", size.units());
        size.took(Duration::from_millis(80));
        assert!(size.units() <= 250, "{}", size.units());
    }
}
