//! How large a window is.

use std::time::Duration;

use segue_model::session::FailKind;
use segue_model::step::Cut;

use crate::error::RunError;

/// The least time after which a window that writes counts as hung, and so many times its target.
const HUNG: (Duration, u32) = (Duration::from_secs(30), 20);

/// The size of the windows, steered so that the rows of each take about the time they should.
///
/// What a window costs whatever its rows (beginning, the journal, COMMIT) is learned apart, from small windows: smaller ones
/// would not make it less. Where it is more than the target, rows are given as much time, or the fixed part would be nearly
/// all that is done.
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
    /// Seconds that a window costs whatever its rows; 0: that is not known.
    fixed: f64,
    /// The units of the window that showed it.
    shown_by: u64,
    /// Seconds a unit took where it took longest lately.
    dearest: f64,
    /// No window is larger, at the base target.
    most: u64,
    /// How far a window may go beyond what the dearest stretch allows.
    beyond: f64,
}

/// What a window took that writes.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Cost {
    /// The statement that touches its rows.
    pub(crate) rows: Duration,
    /// From when its transaction had begun, so without the wait for others, until it was committed.
    pub(crate) held: Duration,
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

/// However much a window costs besides, its rows are locked for at most so many times its target.
const FIXED_MOST: f64 = 5.0;

/// What a window is known to cost whatever its rows grows by at most so much from one to the next: one COMMIT may have waited
/// for somebody's.
const RISING: f64 = 1.2;

/// What rows are taken to have cost after their statement is at most so many times what they did in it: else a disk that has
/// become slow would make windows smaller and smaller, and itself no faster.
const AFTERWARDS_MOST: f64 = 3.0;

impl Size {
    /// Returns the size of the first window: a handful, from which it grows within a few windows.
    pub(crate) fn first(cut: &Cut) -> Self {
        let base = Duration::from_millis(u64::from(cut.target_ms.max(1)));
        let (units, most) = (u64::from(cut.size).clamp(1, HANDFUL), u64::from(u32::MAX));
        Self { units, base, target: base, fixed: 0.0, shown_by: 0, dearest: 0.0, most, beyond: BEYOND_DEAREST }
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
        let Self { fixed, shown_by, dearest, .. } = *before;
        Self { most, beyond: BEYOND_DEAREST_IN_SWEEP, fixed, shown_by, dearest, ..Self::first(cut) }
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
            let units = self.units as f64 * self.time_of_rows(target) / self.time_of_rows(self.target);
            self.units = (units as u64).clamp(1, self.most);
        }
        self.target = target;
    }

    /// Returns the seconds that the rows of a window should take.
    fn time_of_rows(&self, target: Duration) -> f64 {
        let target = target.as_secs_f64();
        self.fixed.clamp(target, target * FIXED_MOST)
    }

    /// Learns what a window of `units` cost that writes.
    pub(crate) fn cost(&mut self, units: u64, cost: Cost) {
        let besides = cost.held.saturating_sub(cost.rows).as_secs_f64();
        self.learn_fixed(units, besides);
        // More rows make COMMIT longer, too.
        let afterwards = (besides - self.fixed).clamp(0.0, cost.rows.as_secs_f64() * AFTERWARDS_MOST);
        self.took(units, cost.rows + Duration::from_secs_f64(afterwards));
    }

    /// A larger window that costs more besides its rows' statement shows only what its rows cost.
    fn learn_fixed(&mut self, units: u64, besides: f64) {
        if self.fixed == 0.0 || besides < self.fixed {
            (self.fixed, self.shown_by) = (besides, units);
        } else if units <= self.shown_by {
            self.fixed = besides.min(self.fixed * RISING);
        }
    }

    /// Learns how long the rows of a window of `units` took: at most doubles, at most halves, but where it was far off. One that was cut
    /// short by the end of its span teaches little.
    pub(crate) fn took(&mut self, units: u64, time: Duration) {
        if units.saturating_mul(2) < self.units {
            return;
        }
        // One window may have waited for a row that somebody held: it counts for no more than twice the one before.
        let each = time.as_secs_f64() / units.max(1) as f64;
        let target = self.time_of_rows(self.target);
        let factor = target / (each * self.units as f64).max(0.000_001);
        let ceiling = if self.dearest > 0.0 { self.dearest * 2.0 } else { each };
        self.dearest = each.min(ceiling).max(self.dearest * FADING);
        let most = self.beyond * target / self.dearest.max(f64::MIN_POSITIVE);
        let reach = if factor >= FAR || factor <= 1.0 / FAR { REACH.1 } else { REACH.0 };
        let next = self.units as f64 * factor.clamp(1.0 / reach, reach);
        let longer = (target / self.base.as_secs_f64()).max(1.0);
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

#[cfg(test)]
mod tests {
    use super::*;

    const MS: fn(u64) -> Duration = Duration::from_millis;

    fn size(units: u64, most: u64) -> Size {
        let (fixed, shown_by, dearest, beyond) = (0.0, 0, 0.0, BEYOND_DEAREST);
        Size { units, base: MS(20), target: MS(20), fixed, shown_by, dearest, most, beyond }
    }

    fn took(size: &mut Size, time: Duration) -> u64 {
        size.took(size.units(), time);
        size.units()
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

    /// Does windows at a row's cost and a fixed one, in µs; returns the size of each that follows.
    fn with_fixed(size: &mut Size, row: u64, fixed: u64, windows: usize) -> Vec<u64> {
        let mut after = || {
            let rows = Duration::from_micros(row * size.units());
            size.cost(size.units(), Cost { rows, held: rows + Duration::from_micros(fixed) });
            size.units()
        };
        (0..windows).map(|_| after()).collect()
    }

    /// As on SQLite without a write-ahead log: COMMIT takes 25 ms, and a window should take 10.
    #[test]
    fn windows_that_cost_more_than_their_target_are_as_long_as_is_worth_it() {
        let cut = Cut { size: 200, target_ms: 10, ..crate::tests::cut() };
        for (row, converges) in [(5, 2000), (100, 250), (1000, 25), (20_000, 1)] {
            let mut size = Size::first_of_locking(&cut);
            let sizes = with_fixed(&mut size, row, 25_000, 40);
            let (least, most) = (converges * 9 / 10, converges * 11 / 10);
            assert!((least..=most).contains(sizes.last().unwrap()), "{row} µs: {sizes:?}");
            assert!(row > 10_000 || sizes.iter().all(|units| *units > 4), "{row} µs: {sizes:?}");
        }
        let mut size = Size::first_of_locking(&cut);
        with_fixed(&mut size, 1000, 2_000_000, 40);
        assert_eq!(size.units(), 50, "whatever COMMIT takes, rows are locked for no longer than 50 ms before it");
    }

    /// In µs: a row costs 100 in its statement, and 400 more in COMMIT, which takes 5,000 whatever its rows.
    #[test]
    fn what_rows_cost_in_commit_is_no_reason_for_larger_windows() {
        let cut = Cut { size: 200, target_ms: 10, ..crate::tests::cut() };
        let mut size = Size::first_of_locking(&cut);
        for _ in 0..200 {
            let (rows, more) = (Duration::from_micros(100 * size.units()), Duration::from_micros(400 * size.units()));
            let held = rows + more + MS(5);
            assert!(held < MS(40), "{held:?}");
            size.cost(size.units(), Cost { rows, held });
        }
        assert!((15..=30).contains(&size.units()), "{}", size.units());
    }

    /// In µs: a row costs 100, and COMMIT 2,000 at first.
    #[test]
    fn a_disk_that_becomes_slow_does_not_make_windows_small() {
        let cut = Cut { size: 200, target_ms: 10, ..crate::tests::cut() };
        let mut size = Size::first_of_locking(&cut);
        assert_eq!(with_fixed(&mut size, 100, 2000, 20).last(), Some(&100));
        let sizes = with_fixed(&mut size, 100, 60_000, 200);
        assert!(sizes.iter().all(|units| *units >= 25), "{sizes:?}");
        assert_eq!(with_fixed(&mut size, 100, 2000, 20).last(), Some(&100));
    }

    #[test]
    fn what_a_window_costs_besides_changes_nothing_while_it_is_less_than_the_target() {
        for fixed in [0, 500, 5000, 20_000] {
            let mut size = size(100, 100_000);
            assert_eq!(with_fixed(&mut size, 200, fixed, 6), vec![100; 6], "{fixed}");
        }
        let mut size = size(100, 100_000);
        with_fixed(&mut size, 200, 1000, 6);
        assert_eq!(
            with_fixed(&mut size, 200, 400_000, 1),
            [25],
            "one that waited makes the next a quarter as long, no shorter"
        );
        assert_eq!(with_fixed(&mut size, 200, 1000, 6).last(), Some(&100));
    }

    #[test]
    fn a_window_cut_short_teaches_nothing() {
        let mut size = size(100, 400);
        size.took(3, MS(20));
        assert_eq!(size.units(), 100);
    }
}
