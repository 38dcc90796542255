//! Windows over a table: how long each is, and how far they are.

use std::time::Duration;

use segue_model::bound::Bound;
use segue_model::journal::Checkpoint;
use segue_model::session::{Fail, FailKind};
use segue_model::step::{Cut, CutBy, Step};
use segue_model::value::{Row, Value};

use crate::error::RunError;
use crate::hand::Hand;
use crate::running::{Env, QUESTION, Running};
use crate::step::THOROUGH;

/// The longest that a window which only reads may take before it counts as hung.
pub(crate) const WINDOW: Duration = Duration::from_secs(600);

/// The least time after which a window that writes counts as hung, and so many times its target.
const HUNG: (Duration, u32) = (Duration::from_secs(30), 20);

/// The size of the windows, steered so that each takes about the time it should.
///
/// A stretch that needs nothing goes fast, and the next one may need everything: so a window stays within a few times of what
/// the dearest stretch seen lately allows, or one statement would keep rows locked for long.
#[derive(Debug, Clone)]
pub(crate) struct Size {
    units: u64,
    /// The target that `most` is meant for.
    base: Duration,
    /// The target in force.
    target: Duration,
    /// Seconds a unit took where it took longest lately.
    dearest: f64,
    /// No window is larger, at the base target.
    most: u64,
    /// How far a window may go beyond what the dearest stretch allows.
    beyond: f64,
}

/// Units of the very first window at most: what a row costs is not known yet, and a trigger of the application may make it dear.
const HANDFUL: u64 = 4;

/// How far a window is from its target when the next one takes a leap instead of a step: four times too short or too long.
const FAR: f64 = 4.0;

/// The step and the leap: the next window is at most so many times as long as this one, or as much shorter.
const REACH: (f64, f64) = (2.0, 8.0);

/// How far a window that locks rows may outgrow the first one: a stretch without any work teaches nothing about the next.
const BEYOND_FIRST: u64 = 4;

/// The same in a sweep, whose windows change next to nothing: as far as one that changes everything after all takes less
/// than a second.
const BEYOND_FIRST_IN_SWEEP: u64 = 64;

/// How far a window may go beyond what the dearest stretch allows.
const BEYOND_DEAREST: f64 = 4.0;

/// The same in a sweep.
const BEYOND_DEAREST_IN_SWEEP: f64 = 16.0;

/// What the dearest stretch still counts for after each further window.
const FADING: f64 = 0.98;

impl Size {
    /// Returns the size of the first window: a handful, from which it grows within a few windows.
    pub(crate) fn first(cut: &Cut) -> Self {
        let base = Duration::from_millis(u64::from(cut.target_ms.max(1)));
        let (units, most) = (u64::from(cut.size).clamp(1, HANDFUL), u64::from(u32::MAX));
        Self { units, base, target: base, dearest: 0.0, most, beyond: BEYOND_DEAREST }
    }

    /// Returns the size of a window of this many units.
    pub(crate) fn whole(cut: &Cut, units: u64) -> Self {
        Self { units: units.max(1), ..Self::first(cut) }
    }

    /// Returns the size of the first window of a statement that locks the rows it changes.
    pub(crate) fn first_of_locking(cut: &Cut) -> Self {
        Self { most: u64::from(cut.size.max(1)) * BEYOND_FIRST, ..Self::first(cut) }
    }

    /// Returns the size of the first window of a sweep: what a window takes that changes rows is known from the pass before.
    pub(crate) fn first_of_sweep(cut: &Cut, before: &Self) -> Self {
        let most = u64::from(cut.size.max(1)) * BEYOND_FIRST_IN_SWEEP;
        Self { most, beyond: BEYOND_DEAREST_IN_SWEEP, dearest: before.dearest, ..Self::first(cut) }
    }

    /// Returns the size of the next window.
    pub(crate) fn units(&self) -> u64 {
        self.units
    }

    /// Returns the units that take this long where they take longest; `None`: that is not known yet.
    pub(crate) fn units_in(&self, time: Duration) -> Option<u64> {
        (self.dearest > 0.0).then(|| (time.as_secs_f64() / self.dearest) as u64)
    }

    /// Sets the time that a window should take: a shorter one holds for the next window already.
    pub(crate) fn aim(&mut self, target: Duration) {
        let target = target.max(Duration::from_millis(1));
        if target < self.target {
            let units = self.units as f64 * target.as_secs_f64() / self.target.as_secs_f64();
            self.units = (units as u64).clamp(1, self.most);
        }
        self.target = target;
    }

    /// Learns how long a window of `units` took: at most doubles, at most halves, but where it was far off. One that was cut
    /// short by the end of its span teaches little.
    pub(crate) fn took(&mut self, units: u64, time: Duration) {
        if units.saturating_mul(2) < self.units {
            return;
        }
        // One window may have waited for a row that somebody held: it counts for no more than twice the one before.
        let each = time.as_secs_f64() / units.max(1) as f64;
        let factor = self.target.as_secs_f64() / (each * self.units as f64).max(0.000_001);
        let ceiling = if self.dearest > 0.0 { self.dearest * 2.0 } else { each };
        self.dearest = each.min(ceiling).max(self.dearest * FADING);
        let most = self.beyond * self.target.as_secs_f64() / self.dearest.max(f64::MIN_POSITIVE);
        let reach = if factor >= FAR || factor <= 1.0 / FAR { REACH.1 } else { REACH.0 };
        let next = self.units as f64 * factor.clamp(1.0 / reach, reach);
        let longer = (self.target.as_secs_f64() / self.base.as_secs_f64()).max(1.0);
        self.units = (next.min(most) as u64).clamp(1, (self.most as f64 * longer) as u64);
    }

    /// Returns the longest that a window may take before it counts as hung, after so many in a row did: one that is only slow
    /// gets its time.
    pub(crate) fn limit(&self, hung: u32) -> Duration {
        HUNG.0.max(self.target * HUNG.1) * (1 << hung.min(5))
    }

    /// Learns that a window of a sweep had rows to change after all: the next may have as many.
    pub(crate) fn found_work(&mut self, cut: &Cut) {
        self.units = self.units.min(u64::from(cut.size.max(1)) * BEYOND_FIRST);
    }

    /// Learns from a window that failed, where a smaller one may not.
    pub(crate) fn heed<T>(&mut self, result: &Result<T, RunError>, took: Duration) {
        let Err(RunError::Fail { source, .. }) = result else { return };
        match source.kind {
            FailKind::Deadlock | FailKind::Serialization => drop(self.halve()),
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

/// Rests after a window, where others need a turn.
pub(crate) fn rest(env: Env<'_>, cut: &Cut, took: Duration) -> Result<(), RunError> {
    if cut.rest_percent == 0 {
        return env.check_stop();
    }
    env.wait(took.mul_f64(f64::from(cut.rest_percent) / 100.0))
}

/// Returns the one number that a query gives.
pub(crate) fn first_number(rows: &[Row]) -> Option<i64> {
    rows.first().and_then(|row| row.first()).and_then(Value::as_i64)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: fn(u64) -> Duration = Duration::from_millis;

    fn size(units: u64, most: u64) -> Size {
        Size { units, base: MS(20), target: MS(20), dearest: 0.0, most, beyond: BEYOND_DEAREST }
    }

    fn took(size: &mut Size, time: Duration) -> u64 {
        size.took(size.units(), time);
        size.units()
    }

    #[test]
    fn a_stretch_is_cut_into_equal_windows() {
        assert_eq!(
            [evenly(226, 200), evenly(400, 200), evenly(100, 200), evenly(0, 5), evenly(7, 3)],
            [113, 200, 100, 1, 3]
        );
    }

    #[test]
    fn windows_grow_and_shrink_by_steps_and_leap_when_they_are_far_off() {
        let mut size = size(100, 100_000);
        let mut after = |ms: u64| took(&mut size, MS(ms));
        assert_eq!([after(0), after(10), after(25), after(40), after(2000)], [800, 1600, 1280, 640, 80]);
        size.units = 1;
        assert!(!size.halve());
        assert_eq!(took(&mut size, MS(1000)), 1);
    }

    /// A row takes 4 ms.
    #[test]
    fn the_first_windows_are_short_whatever_a_row_costs() {
        let cut = Cut { size: 1000, target_ms: 20, ..crate::tests::cut() };
        let mut size = Size::first_of_locking(&cut);
        let each = MS(4);
        for _ in 0..20 {
            let time = each * u32::try_from(size.units()).unwrap();
            assert!(time <= MS(50), "a window took {time:?}");
            took(&mut size, time);
        }
        assert_eq!(size.units(), 5);
    }

    /// A row takes 5 µs, and there is no reason to dawdle.
    #[test]
    fn a_window_is_as_long_as_it_should_be_within_a_few() {
        let cut = Cut { size: 1000, target_ms: 20, ..crate::tests::cut() };
        let mut size = Size::first_of_locking(&cut);
        for _ in 0..4 {
            let time = Duration::from_micros(5 * size.units());
            took(&mut size, time);
        }
        assert!(size.units() >= 3900, "{}", size.units());
    }

    #[test]
    fn a_window_counts_as_hung_after_half_a_minute_and_gets_more_time_each_time() {
        let mut size = size(100, 400);
        assert_eq!([size.limit(0), size.limit(1), size.limit(4)].map(|limit| limit.as_secs()), [30, 60, 480]);
        size.aim(MS(5000));
        assert_eq!(size.limit(0), MS(100_000));
    }

    #[test]
    fn a_stretch_without_work_does_not_let_a_locking_window_grow() {
        let mut size = size(32, 32 * BEYOND_FIRST);
        for _ in 0..20 {
            took(&mut size, Duration::from_micros(10));
        }
        assert_eq!(size.units(), 128);
    }

    #[test]
    fn a_fast_stretch_does_not_make_the_next_window_endless() {
        let mut size = size(100, 100_000);
        assert_eq!(took(&mut size, MS(20)), 100);
        for _ in 0..10 {
            took(&mut size, Duration::from_micros(100));
        }
        assert!((200..=500).contains(&size.units()), "{}", size.units());
        assert!(took(&mut size, MS(80)) <= 250, "{}", size.units());
    }

    /// A unit takes 200 µs.
    fn work(size: &mut Size, windows: u32) -> u64 {
        for _ in 0..windows {
            let time = Duration::from_micros(200 * size.units());
            took(size, time);
        }
        size.units()
    }

    #[test]
    fn windows_grow_within_a_few_when_nobody_is_at_work_and_shrink_at_once_when_somebody_is() {
        let mut size = size(32, 32 * BEYOND_FIRST);
        assert_eq!(work(&mut size, 4), 100);
        size.aim(MS(100));
        assert!(work(&mut size, 3) >= 450, "{}", size.units());
        size.aim(MS(20));
        assert!((90..=110).contains(&size.units()), "{}", size.units());
    }

    #[test]
    fn a_sweep_goes_far_and_a_window_that_finds_work_brings_it_back() {
        let cut = crate::tests::cut();
        let mut before = Size::first_of_locking(&cut);
        before.took(4, Duration::from_micros(100));
        let mut size = Size::first_of_sweep(&cut, &before);
        for _ in 0..20 {
            took(&mut size, Duration::from_micros(1));
        }
        assert_eq!(size.units(), 256);
        size.found_work(&cut);
        assert_eq!(size.units(), 16);
    }

    #[test]
    fn a_window_cut_short_teaches_nothing() {
        let mut size = size(100, 400);
        size.took(3, MS(20));
        assert_eq!(size.units(), 100);
    }
}
