//! Settings as people write them: `window 50ms`, `only 22:00-06:00+01:00`, `wal_rate 20MB/s`.

use crate::nearest::nearest;
use crate::tuning::{Hours, Tuning};

/// What can be set, and what each takes.
pub const KEYS: [(&str, &str); 16] = [
    ("workers", "a whole number from 1 to 64"),
    ("window", "a time from 5ms to 60s, as `100ms`"),
    ("pacing", "`on` or `off`"),
    ("only", "hours, as `22:00-06:00` in UTC or `22:00-06:00+01:00`, or `off`"),
    ("quarantine", "a whole number of rows, as `10000`, or `off`"),
    ("replica_lag", "a time, as `2s` or `500ms`, or `off`"),
    ("slot_wal", "a size, as `10GB`, or `off`"),
    ("active_sessions", "a number of sessions, as `40`, or `off`"),
    ("lock_waits", "a number of sessions, as `5`, or `off`"),
    ("longest_transaction", "a time, as `5min`, or `off`"),
    ("wal_rate", "a size a second, as `20MB/s`, or `off`"),
    ("forced_checkpoints", "a number a minute, as `2`, or `off`"),
    ("disk_free", "a size, as `10GB`, or `off`"),
    ("query", "a query whose first value is true while the run may go on, or `off`"),
    ("file", "the path of a file that holds the run back while it is there, or `off`"),
    ("http", "an address as `https://host/path` without user and password, or `off`"),
];

/// Seconds of each unit of time.
const TIMES: [(&str, f64); 5] = [("ms", 0.001), ("s", 1.0), ("min", 60.0), ("h", 3600.0), ("d", 86_400.0)];

/// Bytes of each unit of size; as PostgreSQL counts, a kB is 1024 of them.
const SIZES: [(&str, f64); 5] =
    [("B", 1.0), ("kB", 1024.0), ("MB", 1_048_576.0), ("GB", 1_073_741_824.0), ("TB", 1_099_511_627_776.0)];

impl Tuning {
    /// Sets one key; `default` as its value takes back what was set.
    ///
    /// # Errors
    /// A sentence that names what is allowed.
    pub fn set(&mut self, key: &str, value: &str) -> Result<(), String> {
        let Some((key, takes)) = KEYS.into_iter().find(|(known, _)| *known == key) else {
            return Err(unknown_key(key));
        };
        let value = value.trim();
        if value == "default" {
            self.unset(key);
            return Ok(());
        }
        self.set_known(key, value).ok_or_else(|| format!("`{value}` is no {key}: it takes {takes}, or `default`"))
    }

    fn set_known(&mut self, key: &str, value: &str) -> Option<()> {
        let limits = &mut self.limits;
        match key {
            "workers" => self.workers = Some(value.parse().ok().filter(|n| (1..=64).contains(n))?),
            "window" => self.window_ms = Some(window_ms(value)?),
            "pacing" => self.pacing = Some(switch(value)?),
            "only" => self.only = Some(hours(value)?),
            "quarantine" => self.quarantine = Some(if value == "off" { 0 } else { value.parse().ok()? }),
            "replica_lag" => limits.replica_lag_s = Some(limit(value, &TIMES)?),
            "slot_wal" => limits.slot_wal_bytes = Some(limit(value, &SIZES)?),
            "active_sessions" => limits.active_sessions = Some(limit(value, &[])?),
            "lock_waits" => limits.lock_waits = Some(limit(value, &[])?),
            "longest_transaction" => limits.longest_transaction_s = Some(limit(value, &TIMES)?),
            "wal_rate" => limits.wal_bytes_per_s = Some(limit(value.strip_suffix("/s").unwrap_or(value), &SIZES)?),
            "forced_checkpoints" => {
                limits.forced_checkpoints_per_min = Some(limit(value.strip_suffix("/min").unwrap_or(value), &[])?);
            }
            "disk_free" => limits.disk_free_bytes = Some(limit(value, &SIZES)?),
            "query" => limits.query = Some(text(value)?),
            "file" => limits.file = Some(text(value)?),
            "http" => limits.http = Some(address(value)?),
            _ => return None,
        }
        Some(())
    }

    fn unset(&mut self, key: &str) {
        let limits = &mut self.limits;
        match key {
            "workers" => self.workers = None,
            "window" => self.window_ms = None,
            "pacing" => self.pacing = None,
            "only" => self.only = None,
            "quarantine" => self.quarantine = None,
            "replica_lag" => limits.replica_lag_s = None,
            "slot_wal" => limits.slot_wal_bytes = None,
            "active_sessions" => limits.active_sessions = None,
            "lock_waits" => limits.lock_waits = None,
            "longest_transaction" => limits.longest_transaction_s = None,
            "wal_rate" => limits.wal_bytes_per_s = None,
            "forced_checkpoints" => limits.forced_checkpoints_per_min = None,
            "disk_free" => limits.disk_free_bytes = None,
            "query" => limits.query = None,
            "file" => limits.file = None,
            "http" => limits.http = None,
            _ => {}
        }
    }

    /// Returns what is set, in the order of [`KEYS`], each as [`Self::set`] takes it.
    pub fn show(&self) -> Vec<(&'static str, String)> {
        KEYS.into_iter().filter_map(|(key, _)| Some((key, self.shown(key)?))).collect()
    }

    fn shown(&self, key: &str) -> Option<String> {
        let limits = &self.limits;
        match key {
            "workers" => self.workers.map(|n| n.to_string()),
            "window" => self.window_ms.map(|ms| format!("{ms}ms")),
            "pacing" => self.pacing.map(|on| if on { "on" } else { "off" }.to_owned()),
            "only" => self.only.map(show_hours),
            "quarantine" => self.quarantine.map(|n| n.to_string()),
            "replica_lag" => limits.replica_lag_s.map(|s| or_off(s, show_time)),
            "slot_wal" => limits.slot_wal_bytes.map(|bytes| or_off(bytes, show_size)),
            "active_sessions" => limits.active_sessions.map(|n| or_off(n, |n| n.to_string())),
            "lock_waits" => limits.lock_waits.map(|n| or_off(n, |n| n.to_string())),
            "longest_transaction" => limits.longest_transaction_s.map(|s| or_off(s, show_time)),
            "wal_rate" => limits.wal_bytes_per_s.map(|bytes| or_off(bytes, |bytes| show_size(bytes) + "/s")),
            "forced_checkpoints" => limits.forced_checkpoints_per_min.map(|n| or_off(n, |n| n.to_string())),
            "disk_free" => limits.disk_free_bytes.map(|bytes| or_off(bytes, show_size)),
            "query" => limits.query.as_deref().map(or_off_text),
            "file" => limits.file.as_deref().map(or_off_text),
            "http" => limits.http.as_deref().map(or_off_text),
            _ => None,
        }
    }
}

/// Returns a time in seconds, in the largest unit that gives a short number.
pub fn show_time(seconds: f64) -> String {
    in_units(seconds, &TIMES)
}

/// Returns a size in bytes, in the largest unit that gives a short number.
pub fn show_size(bytes: f64) -> String {
    in_units(bytes, &SIZES)
}

fn unknown_key(key: &str) -> String {
    let names: Vec<&str> = KEYS.iter().map(|(key, _)| *key).collect();
    match nearest(key, names.iter().copied()) {
        Some(near) => format!("`{key}` cannot be set; did you mean `{near}`?"),
        None => format!("`{key}` cannot be set; what can: {}", names.join(", ")),
    }
}

/// Reads `12.5` without signs, exponents, or words for infinity.
fn number(text: &str) -> Option<f64> {
    let plain = text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    text.parse().ok().filter(|_| plain && text.starts_with(|first: char| first.is_ascii_digit()))
}

/// Reads a number with one of these units; without units, a plain one. 0 switches it off, and so does `off`.
fn limit(value: &str, units: &[(&str, f64)]) -> Option<f64> {
    if matches!(value, "off" | "0") {
        return Some(0.0);
    }
    if units.is_empty() {
        return number(value);
    }
    let digits = value.find(|c: char| !c.is_ascii_digit() && c != '.')?;
    let (amount, unit) = value.split_at(digits);
    let (_, each) = units.iter().find(|(name, _)| name.eq_ignore_ascii_case(unit.trim_start()))?;
    Some(number(amount)? * each)
}

fn window_ms(value: &str) -> Option<u32> {
    let ms = (limit(value, &TIMES)? * 1000.0).round();
    (5.0..=60_000.0).contains(&ms).then_some(ms as u32)
}

fn switch(value: &str) -> Option<bool> {
    match value {
        "on" => Some(true),
        "off" => Some(false),
        _ => None,
    }
}

fn text(value: &str) -> Option<String> {
    if value == "off" {
        return Some(String::new());
    }
    (!value.is_empty()).then(|| value.to_owned())
}

/// It is kept in the database and shown to people, so it holds no password.
fn address(value: &str) -> Option<String> {
    if value == "off" {
        return Some(String::new());
    }
    let rest = value.strip_prefix("http://").or_else(|| value.strip_prefix("https://"))?;
    let host = rest.split(['/', '?', '#']).next()?;
    let good = !host.is_empty() && !host.contains('@') && !value.contains(char::is_whitespace);
    good.then(|| value.to_owned())
}

fn hours(value: &str) -> Option<Hours> {
    if value == "off" {
        return Some(Hours::ALWAYS);
    }
    let (from, rest) = value.split_once('-')?;
    let (to, ahead_of_utc) = match rest.find(['+', '-', 'Z']) {
        None => (rest, 0),
        Some(at) => (&rest[..at], zone(&rest[at..])?),
    };
    let (from, to) = (minute(from, 23)?, minute(to, 24)?);
    let to = if to == 24 * 60 { 0 } else { to };
    (from != to).then_some(Hours { from, to, ahead_of_utc })
}

fn zone(text: &str) -> Option<i16> {
    let sign = match text.as_bytes().first()? {
        b'+' => 1,
        b'-' => -1,
        b'Z' if text.len() == 1 => return Some(0),
        _ => return None,
    };
    let ahead = minute(text.get(1..)?, 14).filter(|minutes| *minutes <= 14 * 60)?;
    Some(sign * i16::try_from(ahead).ok()?)
}

/// Reads `HH:MM`, up to this hour.
fn minute(text: &str, hour_max: u16) -> Option<u16> {
    let (hour, minute) = text.split_once(':')?;
    let two = |text: &str| text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit());
    if !two(hour) || !two(minute) {
        return None;
    }
    let (hour, minute): (u16, u16) = (hour.parse().ok()?, minute.parse().ok()?);
    let whole_day = hour == 24 && minute > 0;
    (hour <= hour_max && minute < 60 && !whole_day).then_some(hour * 60 + minute)
}

fn show_hours(hours: Hours) -> String {
    if hours.from == hours.to {
        return "off".to_owned();
    }
    let clock = |minute: u16| format!("{:02}:{:02}", minute / 60, minute % 60);
    let zone = match hours.ahead_of_utc {
        0 => String::new(),
        ahead => format!("{}{}", if ahead > 0 { '+' } else { '-' }, clock(ahead.unsigned_abs())),
    };
    format!("{}-{}{zone}", clock(hours.from), clock(hours.to))
}

fn or_off(value: f64, show: impl Fn(f64) -> String) -> String {
    if value == 0.0 { "off".to_owned() } else { show(value) }
}

fn or_off_text(value: &str) -> String {
    if value.is_empty() { "off".to_owned() } else { value.to_owned() }
}

/// Two digits after the point at most: the largest unit of which there is at least one.
fn in_units(value: f64, units: &[(&str, f64)]) -> String {
    let fitting = units.iter().rev().find(|(_, each)| value >= *each).or(units.first());
    let (unit, each) = fitting.copied().unwrap_or(("", 1.0));
    let amount = (value / each * 100.0).round() / 100.0;
    format!("{amount}{unit}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(key: &str, value: &str) -> Result<Vec<(&'static str, String)>, String> {
        let mut tuning = Tuning::default();
        tuning.set(key, value).map(|()| tuning.show())
    }

    #[test]
    fn what_is_set_is_shown_as_it_is_written() {
        for (key, written, shown) in [
            ("workers", "4", "4"),
            ("window", "0.1s", "100ms"),
            ("window", "50ms", "50ms"),
            ("pacing", "on", "on"),
            ("pacing", "off", "off"),
            ("only", "22:00-06:00", "22:00-06:00"),
            ("only", "22:00-06:00Z", "22:00-06:00"),
            ("only", "22:00-06:30+01:00", "22:00-06:30+01:00"),
            ("only", "22:00-06:00-05:30", "22:00-06:00-05:30"),
            ("only", "12:00-24:00", "12:00-00:00"),
            ("only", "off", "off"),
            ("quarantine", "10", "10"),
            ("quarantine", "off", "0"),
            ("replica_lag", "2s", "2s"),
            ("replica_lag", "500ms", "500ms"),
            ("replica_lag", "off", "off"),
            ("replica_lag", "0", "off"),
            ("slot_wal", "10 GB", "10GB"),
            ("slot_wal", "1536mb", "1.5GB"),
            ("active_sessions", "40", "40"),
            ("lock_waits", "5", "5"),
            ("longest_transaction", "90s", "1.5min"),
            ("longest_transaction", "2h", "2h"),
            ("wal_rate", "20MB/s", "20MB/s"),
            ("wal_rate", "512kB", "512kB/s"),
            ("forced_checkpoints", "2/min", "2"),
            ("disk_free", "1TB", "1TB"),
            ("query", " SELECT load < 5 FROM now ", "SELECT load < 5 FROM now"),
            ("query", "off", "off"),
            ("file", "/run/hold", "/run/hold"),
            ("http", "https://host:8080/ok?x=1", "https://host:8080/ok?x=1"),
            ("http", "off", "off"),
        ] {
            assert_eq!(set(key, written), Ok(vec![(key, shown.to_owned())]), "{key} {written}");
            let again = set(key, shown).map(|all| all[0].1.clone());
            assert_eq!(again, Ok(shown.to_owned()), "{key} {shown}: what is shown can be set");
        }
    }

    #[test]
    fn what_cannot_be_read_is_refused_with_what_can() {
        for (key, value) in [
            ("workers", "0"),
            ("workers", "65"),
            ("workers", "-1"),
            ("workers", "off"),
            ("workers", ""),
            ("window", "0"),
            ("window", "100"),
            ("window", "4ms"),
            ("window", "2min"),
            ("pacing", "yes"),
            ("pacing", "1"),
            ("only", "22:00"),
            ("only", "22-06"),
            ("only", "22:00-22:00"),
            ("only", "24:00-06:00"),
            ("only", "22:60-06:00"),
            ("only", "2:00-06:00"),
            ("only", "22:00-24:01"),
            ("only", "22:00-06:00+15:00"),
            ("only", "22:00-06:00+1"),
            ("only", "22:00-06:00 CET"),
            ("only", "+1:00-06:00"),
            ("quarantine", "-5"),
            ("quarantine", "1.5"),
            ("replica_lag", "2"),
            ("replica_lag", "-2s"),
            ("replica_lag", "s"),
            ("replica_lag", "2 parsecs"),
            ("replica_lag", "1e9s"),
            ("replica_lag", "1.2.3s"),
            ("slot_wal", "10"),
            ("slot_wal", "10s"),
            ("active_sessions", "many"),
            ("active_sessions", "inf"),
            ("lock_waits", "NaN"),
            ("longest_transaction", "5GB"),
            ("wal_rate", "20/s"),
            ("wal_rate", "20MB/min"),
            ("forced_checkpoints", "2/s"),
            ("disk_free", "ten GB"),
            ("query", ""),
            ("file", " "),
            ("http", "host/ok"),
            ("http", "ftp://host"),
            ("http", "https://"),
            ("http", "https://me:secret@host/"),
            ("http", "https://ho st/"),
        ] {
            let takes = KEYS.iter().find(|(known, _)| *known == key).unwrap().1;
            let told = set(key, value).expect_err(&format!("{key} {value}"));
            assert!(told.contains(takes), "{told}");
        }
    }

    #[test]
    fn an_unknown_key_names_the_nearest_or_all() {
        assert_eq!(set("windows", "1s"), Err("`windows` cannot be set; did you mean `window`?".to_owned()));
        assert!(set("colour", "red").unwrap_err().contains("workers, window, pacing"));
    }

    #[test]
    fn default_takes_back_what_was_set() {
        for (key, _) in KEYS {
            let value = match key {
                "pacing" => "off",
                "only" => "01:00-02:00",
                "window" | "replica_lag" | "longest_transaction" => "1s",
                "slot_wal" | "disk_free" | "wal_rate" => "1GB",
                "http" => "http://host/",
                _ => "7",
            };
            let mut tuning = Tuning::default();
            tuning.set(key, value).unwrap();
            assert_ne!(tuning, Tuning::default(), "{key}");
            tuning.set(key, "default").unwrap();
            assert_eq!(tuning, Tuning::default(), "{key}");
        }
    }
}
