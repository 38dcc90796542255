//! Lengths of time, as people write and read them.

use std::time::Duration;

use crate::failure::Failure;

/// Returns the time that a text like `30s`, `15m`, `24h` or `7d` stands for.
pub(crate) fn duration(text: &str) -> Option<Duration> {
    let (number, unit) = text.split_at(text.find(|c: char| !c.is_ascii_digit())?);
    let seconds = match unit.trim() {
        "s" => 1,
        "m" | "min" => 60,
        "h" => 3_600,
        "d" => 86_400,
        _ => return None,
    };
    number.parse::<u64>().ok()?.checked_mul(seconds).map(Duration::from_secs)
}

/// Returns the time that an option names.
///
/// # Errors
/// Exit code 2.
pub(crate) fn of_option(option: &str, text: &str) -> Result<Duration, Failure> {
    duration(text).ok_or_else(|| {
        Failure::usage(format!("{option}: `{}` is no time", text.escape_debug()))
            .hint("Write a whole number with its unit: 30s, 10m, 2h or 1d.")
    })
}

/// Returns a number of seconds as people read it: `42 s`, `3 min 20 s`, `2 h 5 min`.
pub(crate) fn in_words(seconds: u64) -> String {
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3_600 => format!("{} min {} s", seconds / 60, seconds % 60),
        3_600..86_400 => format!("{} h {} min", seconds / 3_600, seconds % 3_600 / 60),
        _ => format!("{} d {} h", seconds / 86_400, seconds % 86_400 / 3_600),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_need_a_unit() {
        assert_eq!(duration("24h"), Some(Duration::from_secs(86_400)));
        for bad in ["", "24", "h", "1.5h", "5 weeks", "99999999999999999999s"] {
            assert_eq!(duration(bad), None, "{bad}");
        }
    }

    #[test]
    fn times_are_told_in_two_units() {
        assert_eq!(in_words(59), "59 s");
        assert_eq!(in_words(200), "3 min 20 s");
        assert_eq!(in_words(7_500), "2 h 5 min");
        assert_eq!(in_words(180_000), "2 d 2 h");
    }
}
