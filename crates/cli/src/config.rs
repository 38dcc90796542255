//! `segue.toml`. Every command works without it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use segue_model::server::Version;
use serde::Deserialize;

use crate::args::Common;
use crate::failure::Failure;

/// The configuration file where none is named.
pub(crate) const DEFAULT: &str = "segue.toml";

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
        let file = read(path, common.config.is_some())?;
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
        let migrations = common.dir.clone().or(file.migrations).unwrap_or_else(|| PathBuf::from("migrations"));
        Ok(Self { database_url, migrations, app_version, cool_down, environment })
    }
}

/// Returns the file's settings; a missing file has none, unless it was named.
fn read(path: &Path, named: bool) -> Result<File, Failure> {
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound && !named => return Ok(File::default()),
        Err(error) => return Err(Failure::usage(format!("`{}` cannot be read: {error}", path.display()))),
    };
    // The parser's own report would print the line, and a line may hold a password.
    toml::from_str(&text).map_err(|error| {
        let line = error.span().map_or(1, |span| text[..span.start].matches('\n').count() + 1);
        Failure::usage(format!("`{}`, line {line}: {}", path.display(), error.message()))
            .hint("Known settings: database_url, migrations, sqlite.app_version, cleanup.cool_down.")
    })
}

fn version(text: &str) -> Option<Version> {
    let mut parts = text.split('.').map(|part| part.parse().ok());
    let version = Version { major: parts.next()??, minor: parts.next()??, patch: parts.next().unwrap_or(Some(0))? };
    parts.next().is_none().then_some(version)
}

fn duration(text: &str) -> Option<Duration> {
    let (number, unit) = text.split_at(text.find(|c: char| !c.is_ascii_digit())?);
    let seconds = match unit.trim() {
        "s" => 1,
        "m" => 60,
        "h" => 3_600,
        "d" => 86_400,
        _ => return None,
    };
    number.parse::<u64>().ok()?.checked_mul(seconds).map(Duration::from_secs)
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
    fn versions_have_two_or_three_numbers() {
        assert_eq!(version("3.40"), Some(Version { major: 3, minor: 40, patch: 0 }));
        for bad in ["3", "3.x", "3.4.5.6", ""] {
            assert_eq!(version(bad), None, "{bad}");
        }
    }
}
