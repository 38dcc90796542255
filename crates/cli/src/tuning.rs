//! How fast a run goes and what holds it back, as it is typed and as it stands in `segue.toml`.

use std::collections::BTreeMap;

use segue_model::nearest::nearest;
use segue_model::tuning::Tuning;
use segue_model::tuning_text::KEYS;
use segue_plan::operation::Thresholds;
use toml::{Spanned, Value};

use crate::failure::Failure;
use crate::http_check;

/// A section of `segue.toml`, by key.
pub(crate) type Section = BTreeMap<String, Spanned<Value>>;

/// What stands in `[backfill]` besides the thresholds; all other keys are limits and stand in `[throttle]`.
const SPEED: [&str; 5] = ["workers", "window", "pacing", "only", "quarantine"];

/// The rows below which, and above which, a table's rows are brought over in another way.
const THRESHOLDS: [&str; 2] = ["inline_below", "background_above"];

/// A setting that cannot be used.
#[derive(Debug)]
pub(crate) struct Wrong {
    /// Where its value stands in the file, in bytes; 0 where it was typed.
    offset: usize,
    message: String,
    hint: String,
}

impl Wrong {
    fn new(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { offset: 0, message: message.into(), hint: hint.into() }
    }

    /// Returns the failure of a file; `place` names file and line of an offset.
    pub(crate) fn at(self, place: impl FnOnce(usize) -> String) -> Failure {
        Failure::usage(format!("{}: {}", place(self.offset), self.message)).hint(self.hint)
    }
}

/// Reads `[backfill]`.
///
/// # Errors
/// The first setting that is unknown or has no usable value.
pub(crate) fn read_backfill(section: &Section, tuning: &mut Tuning, thresholds: &mut Thresholds) -> Result<(), Wrong> {
    let known: Vec<&str> = SPEED.into_iter().chain(THRESHOLDS).collect();
    read(section, "backfill", &known, |key, value| match key {
        "inline_below" => rows(key, value).map(|rows| thresholds.inline_below = rows),
        "background_above" => rows(key, value).map(|rows| thresholds.background_above = rows),
        _ => set(tuning, key, &text_of(key, value)?),
    })?;
    if thresholds.inline_below > thresholds.background_above {
        let offset = section.values().map(|value| value.span().start).min().unwrap_or(0);
        let message = "`backfill.inline_below` is more than `backfill.background_above`";
        return Err(Wrong { offset, ..Wrong::new(message, "Tables between the two are brought over in batches.") });
    }
    Ok(())
}

/// Reads `[throttle]`.
///
/// # Errors
/// The first setting that is unknown or has no usable value.
pub(crate) fn read_throttle(section: &Section, tuning: &mut Tuning) -> Result<(), Wrong> {
    let limits: Vec<&str> = keys().filter(|key| !SPEED.contains(key)).collect();
    read(section, "throttle", &limits, |key, value| set(tuning, key, &text_of(key, value)?))
}

/// Sets what `KEY=VALUE` says.
///
/// # Errors
/// Exit code 2.
pub(crate) fn set_pair(tuning: &mut Tuning, pair: &str) -> Result<(), Failure> {
    let usage = |wrong: Wrong| Failure::usage(wrong.message).hint(wrong.hint);
    let Some((key, value)) = pair.split_once('=') else {
        let hint = format!("Write KEY=VALUE, as in workers=4. Known are: {}.", keys().collect::<Vec<_>>().join(", "));
        return Err(Failure::usage(format!("`{}` sets nothing", pair.escape_debug())).hint(hint));
    };
    let key = key.trim();
    if !keys().any(|known| known == key) {
        return Err(usage(unknown(key, "", &keys().collect::<Vec<_>>())));
    }
    set(tuning, key, value.trim()).map_err(usage)
}

/// Returns what is set, by key. Of an address only scheme and host are shown, of a query nothing: both may hold secrets.
pub(crate) fn shown(tuning: &Tuning) -> Vec<(&'static str, String)> {
    let pairs = tuning.show().into_iter();
    pairs.map(|(key, value)| (key, if is_off(&value) { value } else { without_secrets(key, value) })).collect()
}

/// Returns every key with what it takes, a line each, for a help text.
pub(crate) fn help() -> String {
    let lines = KEYS.iter().map(|(key, takes)| format!("  {key:<20} {}\n", takes.replace('`', "")));
    format!("Settings:\n{}", lines.collect::<String>()) + AFTER
}

/// What holds for all settings.
const AFTER: &str = "
`default` takes back what was set. A limit that cannot be measured holds the run back, and says so.
Before a run begins the same settings stand in segue.toml, [backfill] and [throttle], or go to `segue apply --set`.";

fn keys() -> impl Iterator<Item = &'static str> {
    KEYS.iter().map(|(key, _)| *key)
}

fn without_secrets(key: &str, value: String) -> String {
    match key {
        "http" => http_check::usable(&value).unwrap_or_else(|_| "(an address)".to_owned()),
        "query" => format!("(a query of {} characters)", value.chars().count()),
        _ => value,
    }
}

fn is_off(value: &str) -> bool {
    matches!(value, "off" | "default" | "")
}

fn read(
    section: &Section,
    name: &str,
    known: &[&str],
    mut take: impl FnMut(&str, &Value) -> Result<(), Wrong>,
) -> Result<(), Wrong> {
    for (key, value) in section {
        let taken = if known.contains(&key.as_str()) {
            take(key, value.get_ref())
        } else {
            Err(unknown(key, &format!("[{name}] "), known))
        };
        taken.map_err(|wrong| Wrong { offset: value.span().start, ..wrong })?;
    }
    Ok(())
}

fn set(tuning: &mut Tuning, key: &str, value: &str) -> Result<(), Wrong> {
    tuning.set(key, value).map_err(|why| {
        let takes = KEYS.iter().find(|(known, _)| *known == key).map_or("a value", |(_, takes)| takes);
        match key {
            // What was typed may hold a secret.
            "http" | "query" => Wrong::new(format!("that is no {key}: it takes {takes}, or `default`"), ""),
            _ => Wrong::new(why, ""),
        }
    })
}

fn unknown(key: &str, place: &str, known: &[&str]) -> Wrong {
    let hint = match nearest(key, known.iter().copied()) {
        Some(near) => format!("Did you mean `{near}`?"),
        None => format!("Known are: {}.", known.join(", ")),
    };
    Wrong::new(format!("{place}there is no setting `{}`", key.escape_debug()), hint)
}

fn rows(key: &str, value: &Value) -> Result<u64, Wrong> {
    value
        .as_integer()
        .and_then(|rows| u64::try_from(rows).ok())
        .ok_or_else(|| Wrong::new(format!("`{key}` is no number of rows"), "Write it plainly: 100_000."))
}

fn text_of(key: &str, value: &Value) -> Result<String, Wrong> {
    Ok(match value {
        Value::String(text) => text.clone(),
        Value::Integer(number) => number.to_string(),
        Value::Float(number) => number.to_string(),
        Value::Boolean(true) => "on".to_owned(),
        Value::Boolean(false) => "off".to_owned(),
        Value::Datetime(_) | Value::Array(_) | Value::Table(_) => {
            return Err(Wrong::new(format!("`{key}` takes one value"), "Write a text, a number, true or false."));
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn section(text: &str) -> Section {
        toml::from_str(text).unwrap()
    }

    #[test]
    fn a_file_sets_what_a_terminal_sets() {
        let (mut tuning, mut thresholds) = (Tuning::default(), Thresholds::default());
        let text = "inline_below = 5\nbackground_above = 50\nworkers = 3\nwindow = \"50ms\"\npacing = false";
        read_backfill(&section(text), &mut tuning, &mut thresholds).unwrap();
        assert_eq!((thresholds.inline_below, thresholds.background_above), (5, 50));
        assert_eq!((tuning.workers, tuning.window_ms, tuning.pacing), (Some(3), Some(50), Some(false)));
        read_throttle(&section("replica_lag = \"2s\"\nfile = \"/tmp/stop\""), &mut tuning).unwrap();
        assert_eq!((tuning.limits.replica_lag_s, tuning.limits.file.as_deref()), (Some(2.0), Some("/tmp/stop")));
    }

    #[test]
    fn what_is_unknown_names_the_nearest() {
        let wrong = read_throttle(&section("a = 1\nreplica_lga = 1"), &mut Tuning::default()).unwrap_err();
        assert!(wrong.message.contains("[throttle] there is no setting `a`"), "{}", wrong.message);
        let wrong = read_throttle(&section("replica_lga = 1"), &mut Tuning::default()).unwrap_err();
        assert_eq!(wrong.hint, "Did you mean `replica_lag`?");
        let text = "inline_below = 7\nbackground_above = 6";
        assert!(read_backfill(&section(text), &mut Tuning::default(), &mut Thresholds::default()).is_err());
    }

    #[test]
    fn secrets_are_not_shown() {
        let mut tuning = Tuning::default();
        set(&mut tuning, "http", "https://host/secret?token=1").unwrap();
        set(&mut tuning, "query", "SELECT 'secret' = 'secret'").unwrap();
        let shown = format!("{:?}", shown(&tuning));
        assert!(shown.contains("https://host") && !shown.contains("secret"), "{shown}");
        for bad in ["ftp://secret", "https://user:secret@host/"] {
            let wrong = set(&mut tuning, "http", bad).unwrap_err();
            assert!(!wrong.message.contains("secret"), "{}", wrong.message);
        }
    }
}
