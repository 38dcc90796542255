//! Windows over a table: where they begin and end, and the rest after each.

use std::time::Duration;

use segue_model::bound::Bound;
use segue_model::journal::Checkpoint;
use segue_model::session::{Fail, FailKind};
use segue_model::step::{Cut, CutBy, Step};
use segue_model::value::{Row, Value};

use crate::error::RunError;
use crate::hand::Hand;
use crate::running::{Env, QUESTION, Running};
pub(crate) use crate::size::{Cost, Size};
use crate::step::THOROUGH;

/// The longest that a window which only reads may take before it counts as hung.
pub(crate) const WINDOW: Duration = Duration::from_secs(600);

/// The longest rest in proportion to what was held for less: whoever waits for a lock without a queue looks again within it.
/// SQLite's own wait looks every 25 ms or sooner for its first 128 ms.
const TURN: Duration = Duration::from_millis(30);

/// Where a table begins and ends.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Extent {
    /// The lowest bound.
    pub(crate) low: Bound,
    /// The bound after the highest number, or the highest key.
    pub(crate) end: Bound,
    /// Units in all, about.
    pub(crate) total: u64,
}

/// A part of a table.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Stretch {
    /// Where it ends: the number after it, or its last key.
    pub(crate) to: Bound,
    /// Where the next one begins; `None`: there is none.
    pub(crate) next: Option<Bound>,
    /// Its units, about.
    pub(crate) units: u64,
}

impl Stretch {
    /// Returns what a statement takes for the stretch that begins at `from`.
    pub(crate) fn bounds(&self, from: &Bound) -> Vec<Value> {
        [from.values(), self.to.values()].concat()
    }
}

impl Hand<'_> {
    /// Returns where the table begins and ends; `None`: it is empty.
    pub(crate) fn extent(&mut self, cut: &Cut) -> Result<Option<Extent>, RunError> {
        match &cut.by {
            CutBy::Numbers { extent, .. } => {
                let rows = self.query(extent, &[], QUESTION)?;
                let bound = |at: usize| rows.first().and_then(|row| row.get(at)).and_then(Value::as_i64);
                let (Some(low), Some(end)) = (bound(0), bound(1)) else { return Ok(None) };
                let total = units_between(low, end);
                Ok((low < end).then(|| Extent { low: Bound::number(low), end: Bound::number(end), total }))
            }
            CutBy::Keys { columns, extent, total, .. } => {
                let rows = self.query(extent, &[], QUESTION)?;
                let Some((low, end)) = rows.first().map(|row| two_keys(row, *columns)).transpose()? else {
                    return Ok(None);
                };
                let total = first_number(&self.query(total, &[], THOROUGH)?).unwrap_or(0);
                Ok(Some(Extent { low, end, total: u64::try_from(total).unwrap_or(0) }))
            }
        }
    }

    /// Returns the part of the table that begins at `from`, ends at most at `end` and has about `units` units.
    pub(crate) fn stretch(&mut self, cut: &Cut, from: &Bound, end: &Bound, units: u64) -> Result<Stretch, RunError> {
        let wanted = i64::try_from(units.max(1)).unwrap_or(i64::MAX);
        match &cut.by {
            CutBy::Numbers { end: by, .. } => {
                let (Some(at), Some(last)) = (from.as_number(), end.as_number()) else { return Err(no_bound()) };
                let to = match by {
                    None => at.saturating_add(evenly(last.saturating_sub(at), wanted)),
                    Some(sql) => {
                        let rows = self.query(sql, &[Value::Int(at), Value::Int(wanted)], QUESTION)?;
                        first_number(&rows).unwrap_or(last)
                    }
                };
                let to = to.max(at.saturating_add(1)).min(last);
                let next = (to < last).then(|| Bound::number(to));
                Ok(Stretch { to: Bound::number(to), next, units: units_between(at, to) })
            }
            CutBy::Keys { columns, end: by, .. } => {
                let mut params = [from.values(), end.values()].concat();
                params.push(Value::Int(wanted));
                let rows = self.query(by, &params, QUESTION)?;
                let Some((to, next)) = rows.first().map(|row| two_keys(row, *columns)).transpose()? else {
                    return Ok(Stretch { to: end.clone(), next: None, units });
                };
                Ok(Stretch { to, next: Some(next), units })
            }
        }
    }
}

/// Returns the length of a window where `left` units are left: all that are left have the same, so that no little one remains
/// which costs a transaction of its own.
fn evenly(left: i64, wanted: i64) -> i64 {
    let wanted = wanted.max(1);
    let windows = left.max(1).saturating_add(wanted - 1) / wanted;
    (left.max(1).saturating_add(windows - 1)) / windows
}

fn units_between(from: i64, to: i64) -> u64 {
    u64::try_from(to.saturating_sub(from)).unwrap_or(0)
}

/// Returns the two keys of a row.
fn two_keys(row: &Row, columns: u32) -> Result<(Bound, Bound), RunError> {
    let columns = usize::try_from(columns).unwrap_or(usize::MAX);
    if row.len() != columns.saturating_mul(2) || row.contains(&Value::Null) {
        return Err(no_bound());
    }
    let (one, other) = row.split_at(columns);
    Ok((Bound::key(one.to_vec()), Bound::key(other.to_vec())))
}

fn no_bound() -> RunError {
    Fail::new(FailKind::Usage, "the plan's question for a bound of a window has no usable answer").into()
}

impl Running<'_> {
    /// As [`Hand::extent`].
    pub(crate) fn extent(&mut self, cut: &Cut) -> Result<Option<Extent>, RunError> {
        self.hand.extent(cut)
    }

    /// As [`Hand::stretch`].
    pub(crate) fn stretch(&mut self, cut: &Cut, from: &Bound, end: &Bound, units: u64) -> Result<Stretch, RunError> {
        self.hand.stretch(cut, from, end, units)
    }

    /// Rests after a window, where others need a turn.
    pub(crate) fn rest(&mut self, cut: &Cut, took: Duration) -> Result<(), RunError> {
        rest(self.env, cut, took)
    }

    /// Reads how far a step is.
    pub(crate) fn checkpoint(&mut self, step: &Step) -> Result<Option<Checkpoint>, RunError> {
        let Running { env, hand, record, .. } = self;
        Ok(env.journal().checkpoint(&mut *hand.work, &record.id, record.attempt, step.id)?)
    }

    /// Writes how far a step is into the transaction that is open.
    pub(crate) fn set_checkpoint(&mut self, at: &Checkpoint) -> Result<(), RunError> {
        let Running { env, hand, record, .. } = self;
        Ok(env.journal().set_checkpoint(&mut *hand.work, &record.id, record.attempt, at)?)
    }
}

/// Rests after a window that kept others out for so long, where they need a turn.
pub(crate) fn rest(env: Env<'_>, cut: &Cut, held: Duration) -> Result<(), RunError> {
    if cut.rest_percent == 0 {
        return env.check_stop();
    }
    env.wait(turn_after(held, cut.rest_percent))
}

/// Returns the rest: in proportion to what was held, but no longer than a turn needs, nor shorter than what was held itself, or
/// the lock would be taken more often than not when somebody looks.
fn turn_after(held: Duration, percent: u32) -> Duration {
    held.mul_f64(f64::from(percent) / 100.0).min(TURN.max(held))
}

/// Returns the one number that a query gives.
pub(crate) fn first_number(rows: &[Row]) -> Option<i64> {
    rows.first().and_then(|row| row.first()).and_then(Value::as_i64)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: fn(u64) -> Duration = Duration::from_millis;

    #[test]
    fn a_stretch_is_cut_into_equal_windows() {
        assert_eq!(
            [evenly(226, 200), evenly(400, 200), evenly(100, 200), evenly(0, 5), evenly(7, 3)],
            [113, 200, 100, 1, 3]
        );
    }

    #[test]
    fn others_get_their_turn_within_a_bounded_rest() {
        let rests = |percent| [2, 10, 25, 60, 500].map(|held| turn_after(MS(held), percent).as_millis());
        assert_eq!(rests(300), [6, 30, 30, 60, 500]);
        assert_eq!(rests(100), [2, 10, 25, 60, 500]);
        assert_eq!(rests(10), [0, 1, 2, 6, 50]);
    }
}
