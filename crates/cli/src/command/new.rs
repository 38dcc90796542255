//! `segue new NAME`.

use std::io::Write;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use segue_model::ident::MigrationId;

use crate::config::Config;
use crate::failure::Failure;
use crate::report;

const UP: &str = "\
-- The SQL that you would write for a database nobody uses, for example (on SQLite one DROP COLUMN a statement):
-- ALTER TABLE users ADD COLUMN full_name text;
-- UPDATE users SET full_name = concat_ws(' ', first_name, last_name);
-- ALTER TABLE users DROP COLUMN first_name, DROP COLUMN last_name;
";

const DOWN: &str = "\
-- The way back, for example:
-- ALTER TABLE users ADD COLUMN first_name text, ADD COLUMN last_name text;
-- UPDATE users SET first_name = split_part(full_name, ' ', 1), last_name = split_part(full_name, ' ', 2);
-- ALTER TABLE users DROP COLUMN full_name;
";

/// Writes an up and a down file, named by time and words.
pub(super) fn run(config: &Config, name: &str) -> Result<(), Failure> {
    let words: String =
        name.trim().chars().map(|c| if c.is_ascii_alphanumeric() || c == '-' { c } else { '_' }).collect();
    if words.trim_matches('_').is_empty() {
        return Err(Failure::usage("a migration needs a name of letters and digits").hint("Type: segue new full_name"));
    }
    let id = MigrationId::new(format!("{}_{}", stamp(), words.to_ascii_lowercase()))
        .map_err(|error| Failure::usage(error.to_string()))?;
    std::fs::create_dir_all(&config.migrations)
        .map_err(|e| Failure::usage(format!("`{}` cannot be created: {e}", config.migrations.display())))?;
    for (ending, text) in [("sql", UP), ("down.sql", DOWN)] {
        let path = config.migrations.join(format!("{id}.{ending}"));
        write_new(&path, text)?;
        report::line(&path.display().to_string());
    }
    Ok(())
}

fn write_new(path: &Path, text: &str) -> Result<(), Failure> {
    let file = std::fs::OpenOptions::new().write(true).create_new(true).open(path);
    file.and_then(|mut file| file.write_all(text.as_bytes()))
        .map_err(|e| Failure::usage(format!("`{}` cannot be written: {e}", path.display())))
}

/// Returns the time in UTC as `YYYYMMDDhhmmss`.
fn stamp() -> String {
    let seconds = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let (year, month, day) = date_of(seconds / 86_400);
    let (hour, minute, second) = (seconds / 3_600 % 24, seconds / 60 % 60, seconds % 60);
    format!("{year:04}{month:02}{day:02}{hour:02}{minute:02}{second:02}")
}

/// Returns year, month and day of a day counted from 1970-01-01, in the Gregorian calendar.
fn date_of(mut day: u64) -> (u64, u64, u64) {
    let leap = |year: u64| year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let mut year = 1970;
    while day >= 365 + u64::from(leap(year)) {
        day -= 365 + u64::from(leap(year));
        year += 1;
    }
    let february = 28 + u64::from(leap(year));
    let mut month = 1;
    for length in [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31] {
        if day < length {
            break;
        }
        day -= length;
        month += 1;
    }
    (year, month, day + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_become_dates() {
        let cases = [(0, (1970, 1, 1)), (59, (1970, 3, 1)), (19_782, (2024, 2, 29)), (20_777, (2026, 11, 20))];
        for (day, date) in cases {
            assert_eq!(date_of(day), date);
        }
    }
}
