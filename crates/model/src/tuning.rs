//! How fast a run may go, and what holds it back. `tuning_text` reads and shows it as people write it.

use serde::{Deserialize, Serialize};

/// Minutes of a day.
const DAY_MIN: i64 = 24 * 60;

/// What can be set for a run, before it begins (`segue.toml`, options) and while it runs (`segue tune`). `None`: as set
/// elsewhere, or the default (see [`Tuning::defaults`]).
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Tuning {
    /// Sessions that move windows at the same time, in this process.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub workers: Option<u32>,
    /// The time that a window should take while nobody else is at work, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub window_ms: Option<u32>,
    /// Whether dead rows are cleared on the way.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pacing: Option<bool>,
    /// When windows move and locks are taken.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub only: Option<Hours>,
    /// Rows that may be quarantined before the backfill stops.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quarantine: Option<u64>,
    /// What holds it back.
    pub limits: Limits,
}

/// A stretch of every day. It is the whole day where it ends when it begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hours {
    /// The minute of the day when it begins, from 0.
    pub from: u16,
    /// The minute of the day when it is over; earlier than `from`: on the next day.
    pub to: u16,
    /// Minutes that the clock it is meant by is ahead of UTC.
    pub ahead_of_utc: i16,
}

/// What holds a run back while it is exceeded. A limit of 0, or an empty text, switches it off.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Seconds that a standby may be behind.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replica_lag_s: Option<f64>,
    /// Bytes of WAL that a logical replication slot may keep.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub slot_wal_bytes: Option<f64>,
    /// Active sessions of others.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub active_sessions: Option<f64>,
    /// Sessions of others that wait for a lock.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lock_waits: Option<f64>,
    /// Seconds that a transaction of others may be open.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub longest_transaction_s: Option<f64>,
    /// Bytes of WAL a second, by everybody.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wal_bytes_per_s: Option<f64>,
    /// Checkpoints a minute that the amount of WAL forces.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub forced_checkpoints_per_min: Option<f64>,
    /// Bytes that must stay free where the data is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub disk_free_bytes: Option<f64>,
    /// A query of the user's: it holds the run back while its first value is false, NULL, or it fails.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub query: Option<String>,
    /// A file that holds the run back while it is there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// An address that holds the run back unless it answers with 200.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub http: Option<String>,
}

impl Tuning {
    /// Returns what holds where nobody set anything: windows of 100 ms while nobody else is at work, pacing on, 10,000 rows in
    /// quarantine at most, and held back while a standby is more than 10 seconds behind. No other limit, and no hours. How
    /// many workers depends on how the plan moves the rows.
    pub fn defaults() -> Self {
        Self {
            workers: None,
            window_ms: Some(100),
            pacing: Some(true),
            only: None,
            quarantine: Some(10_000),
            limits: Limits { replica_lag_s: Some(10.0), ..Limits::default() },
        }
    }

    /// Returns this, and for what it leaves open, `base`.
    #[must_use]
    pub fn over(self, base: Self) -> Self {
        Self {
            workers: self.workers.or(base.workers),
            window_ms: self.window_ms.or(base.window_ms),
            pacing: self.pacing.or(base.pacing),
            only: self.only.or(base.only),
            quarantine: self.quarantine.or(base.quarantine),
            limits: self.limits.over(base.limits),
        }
    }
}

impl Limits {
    fn over(self, base: Self) -> Self {
        Self {
            replica_lag_s: self.replica_lag_s.or(base.replica_lag_s),
            slot_wal_bytes: self.slot_wal_bytes.or(base.slot_wal_bytes),
            active_sessions: self.active_sessions.or(base.active_sessions),
            lock_waits: self.lock_waits.or(base.lock_waits),
            longest_transaction_s: self.longest_transaction_s.or(base.longest_transaction_s),
            wal_bytes_per_s: self.wal_bytes_per_s.or(base.wal_bytes_per_s),
            forced_checkpoints_per_min: self.forced_checkpoints_per_min.or(base.forced_checkpoints_per_min),
            disk_free_bytes: self.disk_free_bytes.or(base.disk_free_bytes),
            query: self.query.or(base.query),
            file: self.file.or(base.file),
            http: self.http.or(base.http),
        }
    }
}

impl Hours {
    /// The whole day.
    pub const ALWAYS: Self = Self { from: 0, to: 0, ahead_of_utc: 0 };

    /// Returns whether a moment, in seconds since 1970 in UTC, lies in it.
    pub fn contains(self, now_s: i64) -> bool {
        let minute = self.second_of_day(now_s) / 60;
        let (from, to) = (i64::from(self.from), i64::from(self.to));
        match from.cmp(&to) {
            std::cmp::Ordering::Less => (from..to).contains(&minute),
            std::cmp::Ordering::Equal => true,
            std::cmp::Ordering::Greater => minute >= from || minute < to,
        }
    }

    /// Returns the seconds until it begins; 0 while it lasts.
    pub fn begins_in(self, now_s: i64) -> u64 {
        if self.contains(now_s) {
            return 0;
        }
        let wait = (i64::from(self.from) * 60 - self.second_of_day(now_s)).rem_euclid(DAY_MIN * 60);
        wait.unsigned_abs()
    }

    fn second_of_day(self, now_s: i64) -> i64 {
        now_s.saturating_add(i64::from(self.ahead_of_utc) * 60).rem_euclid(DAY_MIN * 60)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 1970-01-03, at an hour and minute in UTC.
    fn at(hour: i64, minute: i64) -> i64 {
        2 * 86_400 + hour * 3600 + minute * 60
    }

    fn hours(from: u16, to: u16, ahead_of_utc: i16) -> Hours {
        Hours { from: from * 60, to: to * 60, ahead_of_utc }
    }

    #[test]
    fn hours_may_go_over_midnight() {
        let night = hours(22, 6, 0);
        for (hour, minute, inside) in
            [(21, 59, false), (22, 0, true), (23, 59, true), (0, 0, true), (5, 59, true), (6, 0, false), (12, 0, false)]
        {
            assert_eq!(night.contains(at(hour, minute)), inside, "{hour}:{minute}");
        }
        assert_eq!(night.begins_in(at(21, 59)), 60);
        assert_eq!(night.begins_in(at(6, 0)), 16 * 3600);
        assert_eq!(night.begins_in(at(3, 0)), 0);
    }

    #[test]
    fn hours_are_meant_by_their_own_clock() {
        let day = hours(8, 18, 60);
        assert!(day.contains(at(7, 0)) && !day.contains(at(6, 59)) && !day.contains(at(17, 0)));
        assert_eq!(day.begins_in(at(17, 0) + 30), 14 * 3600 - 30);
        assert!(hours(22, 6, -300).contains(at(3, 0)), "22:00 five hours behind UTC");
        assert!(hours(0, 1, 0).contains(-86_400), "before 1970");
    }

    #[test]
    fn the_whole_day_is_never_over() {
        assert!(Hours::ALWAYS.contains(at(13, 37)));
        assert_eq!(Hours::ALWAYS.begins_in(at(13, 37)), 0);
    }

    #[test]
    fn what_is_set_later_wins_and_the_rest_stays() {
        let base = Tuning { workers: Some(2), window_ms: Some(50), ..Tuning::default() };
        let ordered = Tuning {
            workers: Some(4),
            limits: Limits { replica_lag_s: Some(0.0), ..Limits::default() },
            ..Tuning::default()
        };
        let all = ordered.over(base).over(Tuning::defaults());
        assert_eq!((all.workers, all.window_ms, all.quarantine), (Some(4), Some(50), Some(10_000)));
        assert_eq!(all.limits.replica_lag_s, Some(0.0), "a limit that was switched off stays off");
    }
}
