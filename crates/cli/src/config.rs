//! `segue.toml`. Every command works without it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use segue_model::nearest::nearest;
use segue_model::server::Version;
use segue_model::tuning::Tuning;
use segue_plan::operation::Thresholds;
use serde::Deserialize;

use crate::args::Common;
use crate::duration::duration;
use crate::failure::Failure;
use crate::tuning::{self, Section};

/// The configuration file where none is named.
pub(crate) const DEFAULT: &str = "segue.toml";

/// The names that stand in the file, but for those in `[backfill]` and `[throttle]`.
const SETTINGS: [&str; 8] =
    ["database_url", "migrations", "sqlite", "app_version", "cleanup", "cool_down", "backfill", "throttle"];

/// What a project settles once.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    database_url: Option<String>,
    migrations: Option<PathBuf>,
    #[serde(default)]
    sqlite: Sqlite,
    #[serde(default)]
    cleanup: Cleanup,
    #[serde(default)]
    backfill: Section,
    #[serde(default)]
    throttle: Section,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Sqlite {
    app_version: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Cleanup {
    cool_down: Option<String>,
}

/// The settings in force: command line over environment over file.
#[derive(Debug)]
pub(crate) struct Config {
    /// Where the database is, if anything says so.
    pub(crate) database_url: Option<String>,
    /// The folder of the migration files.
    pub(crate) migrations: PathBuf,
    /// The oldest SQLite library of the application.
    pub(crate) app_version: Option<Version>,
    /// The least time between contract and cleanup.
    pub(crate) cool_down: Duration,
    /// How fast runs go, and what holds them back.
    pub(crate) tuning: Tuning,
    /// The sizes of tables that decide how their rows are brought over.
    pub(crate) thresholds: Thresholds,
    /// The environment, for the drivers.
    pub(crate) environment: BTreeMap<String, String>,
}

impl Config {
    /// Reads the configuration.
    ///
    /// # Errors
    /// Exit code 2 for a file that cannot be read or says something unknown.
    pub(crate) fn load(common: &Common) -> Result<Self, Failure> {
        let path = common.config.as_deref().unwrap_or(Path::new(DEFAULT));
        let (file, text) = read(path, common.config.is_some())?;
        let environment: BTreeMap<String, String> = std::env::vars().collect();
        let from_environment = environment.get("DATABASE_URL").filter(|url| !url.is_empty()).cloned();
        let database_url = common.database_url.clone().or(from_environment).or(file.database_url);
        let at = |setting: &str, why: &str| Failure::usage(format!("`{}`: `{setting}` {why}", path.display()));
        let app_version = match &file.sqlite.app_version {
            Some(text) => {
                Some(version(text).ok_or_else(|| at("sqlite.app_version", "is not a version like \"3.40.1\""))?)
            }
            None => None,
        };
        let cool_down = match &file.cleanup.cool_down {
            Some(text) => duration(text)
                .ok_or_else(|| at("cleanup.cool_down", "is not a duration like \"30s\", \"15m\", \"24h\" or \"7d\""))?,
            None => Duration::ZERO,
        };
        if let Some(named) = common.dir.as_deref().filter(|dir| !dir.is_dir()) {
            return Err(Failure::usage(format!("`{}` is not a folder", named.display()))
                .hint("Check --dir; `segue init` makes the folder of a new project."));
        }
        let place = |offset: usize| format!("`{}`, line {}", path.display(), line_of(&text, offset));
        let mut thresholds = Thresholds::default();
        let mut tuning = Tuning::default();
        tuning::read_backfill(&file.backfill, &mut tuning, &mut thresholds).map_err(|wrong| wrong.at(place))?;
        tuning::read_throttle(&file.throttle, &mut tuning).map_err(|wrong| wrong.at(place))?;
        let migrations = common.dir.clone().or(file.migrations).unwrap_or_else(|| PathBuf::from("migrations"));
        Ok(Self { database_url, migrations, app_version, cool_down, tuning, thresholds, environment })
    }
}

/// Returns the file's settings and its text; a missing file has none, unless it was named.
fn read(path: &Path, named: bool) -> Result<(File, String), Failure> {
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound && !named => return Ok(Default::default()),
        Err(error) => return Err(Failure::usage(format!("`{}` cannot be read: {error}", path.display()))),
    };
    match toml::from_str(&text) {
        Ok(file) => Ok((file, text)),
        Err(error) => Err(not_read(path, &text, &error)),
    }
}

/// Says what is wrong with the file. The parser's own report would print the line, and a line may hold a password.
fn not_read(path: &Path, text: &str, error: &toml::de::Error) -> Failure {
    let line = line_of(text, error.span().map_or(0, |span| span.start));
    let failure = Failure::usage(format!("`{}`, line {line}: {}", path.display(), error.message()));
    let unknown = error.message().strip_prefix("unknown field `").and_then(|rest| rest.split('`').next());
    match unknown.and_then(|word| nearest(word, SETTINGS)) {
        Some(near) => failure.hint(format!("Did you mean `{near}`?")),
        None => failure.hint(format!("Known settings: {}.", SETTINGS.join(", "))),
    }
}

/// Returns the number of the line, from 1, that holds the byte at `offset`.
fn line_of(text: &str, offset: usize) -> usize {
    text.bytes().take(offset).filter(|byte| *byte == b'\n').count() + 1
}

fn version(text: &str) -> Option<Version> {
    let mut parts = text.split('.').map(|part| part.parse().ok());
    let version = Version { major: parts.next()??, minor: parts.next()??, patch: parts.next().unwrap_or(Some(0))? };
    parts.next().is_none().then_some(version)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_have_two_or_three_numbers() {
        assert_eq!(version("3.40"), Some(Version { major: 3, minor: 40, patch: 0 }));
        for bad in ["3", "3.x", "3.4.5.6", ""] {
            assert_eq!(version(bad), None, "{bad}");
        }
    }
}
