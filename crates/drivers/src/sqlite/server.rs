//! Who answers: the library, the file and the settings that change an answer.

use std::collections::BTreeMap;
use std::time::Duration;

use segue_model::engine::Engine;
use segue_model::server::{Identity, Server, Version};
use segue_model::session::{Fail, FailKind, Session};
use segue_model::value::Value;

use super::header;
use super::run::SqliteSession;

const LIMIT: Duration = Duration::from_secs(10);

/// Settings of the file that change what a statement does or costs.
const SETTINGS: [(&str, &str); 3] = [
    ("encoding", "PRAGMA main.encoding"),
    ("journal_mode", "PRAGMA main.journal_mode"),
    ("locking_mode", "PRAGMA main.locking_mode"),
];

/// Returns who answers.
pub(super) fn ask(session: &mut SqliteSession) -> Result<Server, Fail> {
    let library = linked();
    let kept = kept_values(session)?;
    let file = header::file_name(&session.address.path)
        .map_err(|cause| Fail::new(FailKind::Usage, format!("the database file is gone: {cause}")))?;
    let app_version = app_version(session, &file, &kept, &library);
    let mut settings = BTreeMap::new();
    for (name, sql) in SETTINGS {
        settings.insert(name.to_owned(), text(session, sql)?);
    }
    let system = kept.get("system").unwrap_or(&session.fresh_name).clone();
    Ok(Server {
        engine: Engine::Sqlite,
        identity: Identity { system, database: file, timeline: 0 },
        version: library,
        role: String::new(),
        superuser: true,
        bypass_row_security: true,
        silences_triggers: false,
        standby: false,
        read_only: session.is_read_only()? || beside_is_read_only(session),
        pooled: false,
        app_version,
        settings,
    })
}

/// Returns the version of the library that we are linked with.
pub(super) fn linked() -> Version {
    let number = u32::try_from(rusqlite::version_number()).unwrap_or_default();
    header::version_of(number).unwrap_or(Version { major: 3, minor: 0, patch: 0 })
}

/// Our own writes put our library's version into the header. So the journal keeps what the header said before the first of
/// them, and a header that now says something else than our version was written by the application: the oldest is meant.
fn app_version(
    session: &SqliteSession,
    file: &str,
    kept: &BTreeMap<String, String>,
    library: &Version,
) -> Option<Version> {
    let now = header::last_writer(&session.address.path, file);
    let before = kept.get("app_version").map(|number| number.parse().ok().and_then(header::version_of));
    match before {
        None => now,
        Some(before) => before.into_iter().chain(now.filter(|version| version != library)).min(),
    }
}

/// A rollback journal or WAL is created beside the file: without the right to do so nothing can be written.
fn beside_is_read_only(session: &SqliteSession) -> bool {
    let folder = session.address.path.parent().and_then(|folder| folder.metadata().ok());
    folder.is_some_and(|meta| meta.permissions().readonly())
}

fn kept_values(session: &mut SqliteSession) -> Result<BTreeMap<String, String>, Fail> {
    let there = "SELECT 1 FROM main.sqlite_schema WHERE type = 'table' AND name = 'segue_meta'";
    if session.query(there, &[], LIMIT)?.is_empty() {
        return Ok(BTreeMap::new());
    }
    let rows = session.query("SELECT key, value FROM main.segue_meta", &[], LIMIT)?;
    let pair = |row: &Vec<Value>| Some((row.first()?.as_str()?.to_owned(), row.get(1)?.as_str()?.to_owned()));
    Ok(rows.iter().filter_map(pair).collect())
}

fn text(session: &mut SqliteSession, sql: &str) -> Result<String, Fail> {
    let rows = session.query(sql, &[], LIMIT)?;
    Ok(rows.first().and_then(|row| row.first()).and_then(Value::as_str).unwrap_or_default().to_owned())
}
