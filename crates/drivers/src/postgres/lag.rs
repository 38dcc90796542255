//! How far standbys are behind, in seconds.

use std::collections::VecDeque;
use std::time::Instant;

use segue_model::pressure::Reading;

/// How many places in the WAL are remembered; of more, every second is forgotten.
const SEEN_MAX: usize = 4096;

/// A record that crosses a page can be flushed up to the page's end alone, and then there is nothing to replay until more is
/// written: a standby that has received everything and lacks no more than this is up to date.
const PART_OF_A_RECORD: u64 = 16 * 1024;

/// A standby, as the server sees it. Places are bytes since the beginning of the WAL.
#[derive(Debug, Clone)]
pub(super) struct Standby {
    pub(super) name: String,
    /// `None`: it has not told anything yet.
    pub(super) replayed: Option<u64>,
    pub(super) received: Option<u64>,
    /// What the server measured last. It stays as it is while a standby hangs, so it counts only as a lower bound.
    pub(super) told_s: Option<f64>,
}

/// The places in the WAL that were current when we looked.
///
/// A standby that has not replayed a place which was current T seconds ago is at least T behind, whatever it says itself:
/// so the lag of one that hangs grows.
#[derive(Debug, Default)]
pub(super) struct Lag {
    /// The oldest first; each place with the first time that it was seen.
    seen: VecDeque<(u64, Instant)>,
}

impl Lag {
    /// Returns the worst standby's lag; `current` is the place in the WAL that was current at `at`.
    pub(super) fn worst(&mut self, current: u64, at: Instant, standbys: &[Standby]) -> Reading {
        self.see(current, at);
        let mut worst = Reading::Nothing;
        for standby in standbys {
            let Some(replayed) = standby.replayed else {
                return Reading::Unknown(["standby `", &standby.name, "` has not told yet how far it is"].concat());
            };
            let behind = self.behind_s(standby, replayed, current, at);
            worst = match worst {
                Reading::Value(before) => Reading::Value(before.max(behind)),
                _ => Reading::Value(behind),
            };
        }
        self.forget(standbys.iter().filter_map(|standby| standby.replayed).min().unwrap_or(current));
        worst
    }

    fn see(&mut self, current: u64, at: Instant) {
        match self.seen.back() {
            Some((last, _)) if *last == current => return,
            // Another server's WAL.
            Some((last, _)) if *last > current => self.seen.clear(),
            _ => {}
        }
        self.seen.push_back((current, at));
        if self.seen.len() > SEEN_MAX {
            let mut keep = false;
            self.seen.retain(|_| {
                keep = !keep;
                keep
            });
        }
    }

    fn behind_s(&self, standby: &Standby, replayed: u64, current: u64, at: Instant) -> f64 {
        let lacks = current.saturating_sub(replayed);
        let has_all = standby.received.is_some_and(|received| received >= current);
        if lacks == 0 || (has_all && lacks <= PART_OF_A_RECORD) {
            return 0.0;
        }
        let missed = self.seen.iter().find(|(place, _)| *place > replayed);
        let since = missed.map_or(0.0, |(_, seen)| at.saturating_duration_since(*seen).as_secs_f64());
        since.max(standby.told_s.unwrap_or(0.0))
    }

    /// Forgets what every standby has.
    fn forget(&mut self, replayed: u64) {
        while self.seen.len() > 1 && self.seen.front().is_some_and(|(place, _)| *place <= replayed) {
            self.seen.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const KIB: u64 = 1024;

    fn standby(replayed: u64, received: u64) -> Standby {
        Standby { name: "a".into(), replayed: Some(replayed), received: Some(received), told_s: Some(0.01) }
    }

    fn value(reading: &Reading) -> f64 {
        match reading {
            Reading::Value(value) => *value,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_lag_of_a_standby_that_hangs_grows_and_ends_when_it_catches_up() {
        let (mut lag, start) = (Lag::default(), Instant::now());
        let second = |n| start + Duration::from_secs(n);
        assert_eq!(lag.worst(100 * KIB, second(0), &[]), Reading::Nothing);
        assert_eq!(value(&lag.worst(100 * KIB, second(1), &[standby(100 * KIB, 100 * KIB)])), 0.0);
        let stuck = standby(100 * KIB, 100 * KIB);
        for n in 2..10 {
            let lag = value(&lag.worst((100 + n) * KIB, second(n), std::slice::from_ref(&stuck)));
            assert_eq!(lag, (n - 2) as f64 + if n == 2 { 0.01 } else { 0.0 });
        }
        // Also when nothing more is written.
        assert_eq!(value(&lag.worst(109 * KIB, second(60), &[stuck])), 58.0);
        assert_eq!(value(&lag.worst(109 * KIB, second(61), &[standby(104 * KIB, 104 * KIB)])), 56.0);
        assert_eq!(value(&lag.worst(109 * KIB, second(62), &[standby(109 * KIB, 109 * KIB)])), 0.0);
    }

    #[test]
    fn what_cannot_be_replayed_yet_is_no_lag_and_what_is_held_back_is() {
        let (mut lag, start) = (Lag::default(), Instant::now());
        let later = start + Duration::from_secs(30);
        lag.worst(100 * KIB, start, &[standby(99 * KIB, 100 * KIB)]);
        assert_eq!(value(&lag.worst(100 * KIB, later, &[standby(99 * KIB, 100 * KIB)])), 0.0);
        assert_eq!(value(&lag.worst(100 * KIB, later, &[standby(99 * KIB, 99 * KIB)])), 30.0);
        assert_eq!(value(&lag.worst(100 * KIB, later, &[standby(50 * KIB, 100 * KIB)])), 30.0);
        let silent = Standby { replayed: None, ..standby(0, 0) };
        assert!(matches!(lag.worst(100 * KIB, later, &[silent]), Reading::Unknown(_)));
    }

    #[test]
    fn what_is_remembered_is_bounded_and_begins_with_the_oldest() {
        let (mut lag, start) = (Lag::default(), Instant::now());
        for n in 0..20_000_u64 {
            lag.worst(100 * KIB + n, start + Duration::from_millis(n), &[standby(KIB, KIB)]);
        }
        assert!(lag.seen.len() <= SEEN_MAX && lag.seen[0].1 == start);
    }
}
