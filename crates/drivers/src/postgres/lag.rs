//! How far standbys are behind, in seconds.

use std::collections::{BTreeSet, VecDeque};
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

/// The places in the WAL that were current when we looked, and the standbys that were there.
///
/// A standby that has not replayed a place which was current T seconds ago is at least T behind, whatever it says itself:
/// so the lag of one that hangs grows. And one that was there and is not any more is as far behind as nobody can tell.
#[derive(Debug, Default)]
pub(super) struct Lag {
    /// The oldest first; each place with the first time that it was seen.
    seen: VecDeque<(u64, Instant)>,
    /// Standbys that have told how far they are. A base backup never does.
    known: BTreeSet<String>,
    /// The server's timeline.
    timeline: String,
}

impl Lag {
    /// Notes the timeline of the server that is asked. One that was a standby before has others behind it.
    pub(super) fn is_on(&mut self, timeline: &str) {
        if self.timeline != timeline {
            *self = Self { timeline: timeline.to_owned(), ..Self::default() };
        }
    }

    /// Returns the worst standby's lag; `current` is the place in the WAL that was current at `at`.
    pub(super) fn worst(&mut self, current: u64, at: Instant, standbys: &[Standby]) -> Reading {
        self.see(current, at);
        let mut worst = Reading::Nothing;
        let mut unknown =
            self.missing(standbys).map(|name| ["standby `", name, "` was connected and is not any more"].concat());
        for standby in standbys {
            match self.behind_s(standby, current, at) {
                Ok(behind) => {
                    worst = match worst {
                        Reading::Value(before) => Reading::Value(before.max(behind)),
                        _ => Reading::Value(behind),
                    };
                }
                Err(why) => unknown = unknown.or(Some(why)),
            }
        }
        let told = standbys.iter().filter(|standby| standby.replayed.is_some());
        self.known.extend(told.map(|standby| standby.name.clone()));
        self.forget(standbys.iter().filter_map(|standby| standby.replayed).min().unwrap_or(current));
        unknown.map_or(worst, Reading::Unknown)
    }

    /// Returns a standby that was there before, unless another of its name is.
    fn missing(&self, standbys: &[Standby]) -> Option<&str> {
        let is_there = |name: &&String| standbys.iter().any(|standby| standby.name == **name);
        self.known.iter().find(|name| !is_there(name)).map(String::as_str)
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

    /// Returns by how many seconds a standby is behind, or why that is not known.
    fn behind_s(&self, standby: &Standby, current: u64, at: Instant) -> Result<f64, String> {
        let Some(replayed) = standby.replayed else {
            return Err(["standby `", &standby.name, "` has not told yet how far it is"].concat());
        };
        let lacks = current.saturating_sub(replayed);
        let has_all = standby.received.is_some_and(|received| received >= current);
        if lacks == 0 || (has_all && lacks <= PART_OF_A_RECORD) {
            return Ok(0.0);
        }
        // It may have stood still for long before our first look.
        let reaches_back = self.seen.front().is_some_and(|(place, _)| *place <= replayed);
        if !reaches_back && lacks > PART_OF_A_RECORD {
            return Err(["how far standby `", &standby.name, "` is behind is not known yet"].concat());
        }
        let missed = self.seen.iter().find(|(place, _)| *place > replayed);
        let since = missed.map_or(0.0, |(_, seen)| at.saturating_duration_since(*seen).as_secs_f64());
        Ok(since.max(standby.told_s.unwrap_or(0.0)))
    }

    /// Forgets what every standby has, but for the last such place.
    fn forget(&mut self, replayed: u64) {
        while self.seen.get(1).is_some_and(|(place, _)| *place <= replayed) {
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
        let silent = Standby { replayed: None, ..standby(0, 0) };
        assert!(matches!(lag.worst(100 * KIB, later, &[silent]), Reading::Unknown(_)));
    }

    fn unknown(reading: &Reading) -> &str {
        match reading {
            Reading::Unknown(why) => why,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn how_long_a_standby_hung_before_the_first_look_is_not_known() {
        let (mut lag, start) = (Lag::default(), Instant::now());
        let second = |n| start + Duration::from_secs(n);
        let stuck = standby(100 * KIB, 100 * KIB);
        for n in 1..4 {
            let reading = lag.worst((200 + n) * KIB, second(n), std::slice::from_ref(&stuck));
            assert_eq!(unknown(&reading), "how far standby `a` is behind is not known yet");
        }
        assert_eq!(value(&lag.worst(204 * KIB, second(4), &[standby(202 * KIB, 202 * KIB)])), 1.0);
        // What lags a little as every standby does is known at once.
        assert!(value(&Lag::default().worst(204 * KIB, start, &[standby(203 * KIB, 203 * KIB)])) < 1.0);
    }

    #[test]
    fn a_standby_that_is_gone_is_missed_until_one_of_its_name_is_back() {
        let (mut lag, at) = (Lag::default(), Instant::now());
        lag.is_on("1");
        let (here, other) = (standby(KIB, KIB), Standby { name: "b".into(), ..standby(KIB, KIB) });
        let starting = Standby { name: "backup".into(), replayed: None, ..standby(0, 0) };
        unknown(&lag.worst(KIB, at, &[here.clone(), other.clone(), starting]));
        assert_eq!(value(&lag.worst(KIB, at, &[here.clone(), other.clone()])), 0.0);
        for _ in 0..2 {
            let reading = lag.worst(KIB, at, std::slice::from_ref(&other));
            assert_eq!(unknown(&reading), "standby `a` was connected and is not any more");
        }
        unknown(&lag.worst(KIB, at, &[]));
        lag.is_on("1");
        assert_eq!(value(&lag.worst(KIB, at, &[here, other])), 0.0);
        unknown(&lag.worst(KIB, at, &[]));
        lag.is_on("2");
        assert_eq!(lag.worst(KIB, at, &[]), Reading::Nothing, "one of them is the primary now");
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
