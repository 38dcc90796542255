//! What each limit measures, and when it holds a run back.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use segue_model::pressure::{Reading, Signal};
use segue_model::tuning::Limits;
use segue_model::tuning_text::{show_size, show_time};

use super::reason::{LAG, Reason};

/// A limit that was reached lets go below this part of it: else a value about the limit would open and close the valve at
/// every look.
const LETS_GO: f64 = 0.8;

/// Below this part of its limit a value is far from it. From here on it is looked at more often, and a lag slows windows down.
const FAR: f64 = 0.25;

/// A lag grows by up to a second a second: below a limit of this many seconds it could get from nothing to the limit between
/// two looks that are not close together.
const SHORT_LAG_S: f64 = 4.0;

/// The least part of the time that is worked while a lag is below its limit.
const SHARE_LEAST: f64 = 0.1;

/// Over what time a growth is measured.
const SECONDS: Duration = Duration::from_secs(5);

/// Over what time the rare events of a minute are counted.
const MINUTE: Duration = Duration::from_secs(60);

/// What one limit measures.
struct Gauge {
    signal: Signal,
    /// What people call it.
    what: &'static str,
    /// What it is set by.
    key: &'static str,
    limit: fn(&Limits) -> Option<f64>,
    how: How,
    /// It holds steps back too whose locks the application waits for.
    locks: bool,
    show: fn(f64) -> String,
}

/// How a value is compared with its limit.
#[derive(Clone, Copy, PartialEq, Eq)]
enum How {
    /// It may not be above, and lets go at once.
    Above,
    /// It may not be above, and lets go well below.
    WellAbove,
    /// It may not be below, and lets go well above.
    Below,
    /// It may not grow faster in a second.
    Growth,
    /// It may not grow more within a minute.
    InAMinute,
}

const GAUGES: [Gauge; 8] = [
    Gauge {
        signal: Signal::ReplicaLag,
        what: LAG,
        key: "replica_lag",
        limit: |limits| limits.replica_lag_s,
        how: How::Above,
        locks: true,
        show: show_time,
    },
    Gauge {
        signal: Signal::SlotWal,
        what: "WAL kept by a slot",
        key: "slot_wal",
        limit: |limits| limits.slot_wal_bytes,
        how: How::WellAbove,
        locks: false,
        show: show_size,
    },
    Gauge {
        signal: Signal::ActiveSessions,
        what: "active sessions",
        key: "active_sessions",
        limit: |limits| limits.active_sessions,
        how: How::WellAbove,
        locks: false,
        show: show_number,
    },
    Gauge {
        signal: Signal::LockWaits,
        what: "sessions that wait for a lock",
        key: "lock_waits",
        limit: |limits| limits.lock_waits,
        how: How::WellAbove,
        locks: true,
        show: show_number,
    },
    Gauge {
        signal: Signal::LongestTransaction,
        what: "longest transaction",
        key: "longest_transaction",
        limit: |limits| limits.longest_transaction_s,
        how: How::WellAbove,
        locks: true,
        show: show_time,
    },
    Gauge {
        signal: Signal::WalBytes,
        what: "WAL a second",
        key: "wal_rate",
        limit: |limits| limits.wal_bytes_per_s,
        how: How::Growth,
        locks: false,
        show: show_size,
    },
    Gauge {
        signal: Signal::ForcedCheckpoints,
        what: "forced checkpoints a minute",
        key: "forced_checkpoints",
        limit: |limits| limits.forced_checkpoints_per_min,
        how: How::InAMinute,
        locks: false,
        show: show_number,
    },
    Gauge {
        signal: Signal::DiskFree,
        what: "free disk",
        key: "disk_free",
        limit: |limits| limits.disk_free_bytes,
        how: How::Below,
        locks: false,
        show: show_size,
    },
];

impl Gauge {
    fn limit(&self, limits: &Limits) -> Option<f64> {
        (self.limit)(limits).filter(|limit| *limit > 0.0)
    }

    /// Returns whether a value is not allowed. `held`: it was not at the last look. A value that is no number never is.
    fn exceeds(&self, value: f64, limit: f64, held: bool) -> bool {
        let allowed = match self.how {
            How::Above => value <= limit,
            How::WellAbove | How::Growth | How::InAMinute => value <= if held { limit * LETS_GO } else { limit },
            How::Below => value >= if held { limit / LETS_GO } else { limit },
        };
        !allowed
    }

    /// Returns whether a value may reach its limit before long.
    fn is_close(&self, value: f64, limit: f64) -> bool {
        let is_far = if self.how == How::Below { limit < value * FAR } else { value < limit * FAR };
        !is_far || (self.signal == Signal::ReplicaLag && limit <= SHORT_LAG_S)
    }

    fn reason(&self, value: f64, limit: f64) -> Reason {
        let text = format!("{} {}, limit {}", self.what, (self.show)(value), (self.show)(limit));
        Reason { what: self.what, text, locks: self.locks }
    }
}

/// Returns what must be measured for these limits.
pub(super) fn signals(limits: &Limits) -> BTreeSet<Signal> {
    GAUGES.iter().filter(|gauge| gauge.limit(limits).is_some()).map(|gauge| gauge.signal).collect()
}

/// What comes of a look.
#[derive(Debug, Default)]
pub(super) struct Judged {
    /// What holds a run back.
    pub(super) reasons: Vec<Reason>,
    /// How long is rested after a window, in times of what it took.
    pub(super) rest: f64,
    /// A limit may be reached before long, or is, or cannot be told: the next look is due soon.
    pub(super) is_close: bool,
}

/// What earlier looks saw.
#[derive(Default)]
pub(super) struct Gauges {
    held: BTreeSet<Signal>,
    /// Of what only grows: when, and how much.
    grown: BTreeMap<Signal, VecDeque<(Duration, f64)>>,
}

impl Gauges {
    /// Judges what was measured at `now` by the limits.
    pub(super) fn judge(&mut self, limits: &Limits, readings: &[(Signal, Reading)], now: Duration) -> Judged {
        let mut judged = Judged::default();
        for gauge in &GAUGES {
            let Some(limit) = gauge.limit(limits) else {
                self.held.remove(&gauge.signal);
                self.grown.remove(&gauge.signal);
                continue;
            };
            let found = readings.iter().find(|(signal, _)| *signal == gauge.signal).map(|(_, reading)| reading);
            let value = self.value(gauge, found, now);
            judged.is_close |= match &value {
                Ok(value) => value.is_some_and(|value| gauge.is_close(value, limit)),
                Err(_) => true,
            };
            if let (Signal::ReplicaLag, Ok(Some(lag))) = (gauge.signal, &value) {
                judged.rest = rest_for(*lag, limit);
            }
            judged.reasons.extend(match value {
                Ok(value) => self.held_by(gauge, value, limit),
                Err(why) => Some(Reason::unknown(gauge.what, gauge.key, &why, gauge.locks)),
            });
        }
        judged
    }

    /// Returns whether a value holds a run back, and remembers it for the next look.
    fn held_by(&mut self, gauge: &Gauge, value: Option<f64>, limit: f64) -> Option<Reason> {
        let value = value.filter(|value| gauge.exceeds(*value, limit, self.held.contains(&gauge.signal)));
        match value {
            Some(_) => self.held.insert(gauge.signal),
            None => self.held.remove(&gauge.signal),
        };
        value.map(|value| gauge.reason(value, limit))
    }

    /// Returns what is compared with the limit; `None`: there is nothing to measure. Fails with why it cannot be told.
    fn value(&mut self, gauge: &Gauge, found: Option<&Reading>, now: Duration) -> Result<Option<f64>, String> {
        let value = match found {
            None => return Err("the server gave no answer".to_owned()),
            Some(Reading::Unknown(why)) => return Err(why.clone()),
            Some(Reading::Nothing) => return Ok(None),
            Some(Reading::Value(value)) => *value,
        };
        Ok(Some(match gauge.how {
            How::Above | How::WellAbove | How::Below => value,
            How::Growth => match self.growth(gauge.signal, value, now, SECONDS) {
                (time, grown) if time > Duration::ZERO => grown / time.as_secs_f64(),
                _ => return Err("it is known at the next look".to_owned()),
            },
            How::InAMinute => self.growth(gauge.signal, value, now, MINUTE).1,
        }))
    }

    /// Returns how much a value has grown, and in what time, of about the last `span`. A value that shrank was reset: it is
    /// measured anew.
    fn growth(&mut self, signal: Signal, value: f64, now: Duration, span: Duration) -> (Duration, f64) {
        let seen = self.grown.entry(signal).or_default();
        if seen.back().is_some_and(|(_, last)| value < *last) {
            seen.clear();
        }
        seen.push_back((now, value));
        while seen.get(1).is_some_and(|(at, _)| now.saturating_sub(*at) >= span) {
            seen.pop_front();
        }
        seen.front().map_or((Duration::ZERO, 0.0), |(at, first)| (now.saturating_sub(*at), value - first))
    }
}

/// Returns how long is rested after a window, in times of what it took, at this lag.
///
/// What is written when a lag begins to grow must still be replayed after everything stands still: a standby that replays half
/// as fast as is written is then twice as far behind as it was. So windows get slower from [`FAR`] on, the more so the nearer
/// the limit, until no more is written than is replayed; only a standby that is slower still lets them stop.
fn rest_for(lag: f64, limit: f64) -> f64 {
    // Not by the share alone: without a lag there is nothing to rest for, whatever the limit.
    if lag <= limit * FAR {
        return 0.0;
    }
    let room = ((1.0 - lag / limit) / (1.0 - FAR)).max(0.0);
    1.0 / (room * room).max(SHARE_LEAST) - 1.0
}

fn show_number(number: f64) -> String {
    ((number * 10.0).round() / 10.0).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_lag_there_is_no_rest_whatever_the_limit() {
        assert_eq!([0.0, 0.5, 8.0].map(|limit| rest_for(0.0, limit)), [0.0; 3]);
        assert!(rest_for(0.1, 0.0) > 0.0, "no lag at all is allowed");
        let gauge = &GAUGES[0];
        assert_eq!(
            (gauge.signal, gauge.is_close(0.0, 0.0), gauge.is_close(0.0, 8.0)),
            (Signal::ReplicaLag, true, false)
        );
    }
}
