//! Creating the journal, and bringing an older one forward.

use segue_model::journal::FORMAT;
use segue_model::session::{Fail, Session};
use segue_model::value::Value;

use super::journal::{LIMIT, in_transaction};
use crate::journal_row::{other_format, under_way};

/// Statements that create what is missing, apart by `;`.
const CREATE: &str = include_str!("journal.sql");

/// The same of the tables about moving data.
const CREATE_MOVING: &str = include_str!("moving.sql");

const META: &str =
    "INSERT INTO main.segue_meta (key, value) VALUES ($1, $2) ON CONFLICT (key) DO UPDATE SET value = excluded.value";

/// The format that can be brought forward.
const BEFORE: u32 = FORMAT - 1;

/// See [`segue_model::session::Journal::exists`].
pub(super) fn exists(session: &mut dyn Session) -> Result<bool, Fail> {
    let there = "SELECT 1 FROM main.sqlite_schema WHERE type = 'table' AND name = 'segue_meta'";
    Ok(!session.query(there, &[], LIMIT)?.is_empty())
}

/// See [`segue_model::session::Journal::install`].
pub(super) fn install(session: &mut dyn Session) -> Result<(), Fail> {
    if exists(session)? && format(session)? == FORMAT.to_string() {
        return Ok(());
    }
    // Asked before our first write, which would put our own library's version into the file's header.
    let server = session.server()?;
    in_transaction(session, |session| {
        if exists(session)? {
            return brought_forward(session);
        }
        for statement in CREATE.split(';').chain(CREATE_MOVING.split(';')) {
            session.execute(statement, &[], LIMIT)?;
        }
        let number = server.app_version.as_ref().map(|v| v.major * 1_000_000 + v.minor * 1000 + v.patch);
        set_meta(session, "format", &FORMAT.to_string())?;
        set_meta(session, "system", &server.identity.system)?;
        set_meta(session, "database", &server.identity.database)?;
        set_meta(session, "app_version", &number.map(|n| n.to_string()).unwrap_or_default())
    })
}

/// Only the tables about moving data differ, and what they say is of no use once a migration is over: nothing is lost.
fn brought_forward(session: &mut dyn Session) -> Result<(), Fail> {
    check_readable(session)?;
    if format(session)? == FORMAT.to_string() {
        return Ok(());
    }
    session.execute("DROP TABLE main.segue_checkpoint", &[], LIMIT)?;
    for statement in CREATE_MOVING.split(';') {
        session.execute(statement, &[], LIMIT)?;
    }
    set_meta(session, "format", &FORMAT.to_string())
}

/// Refuses a journal that this version can neither read nor bring forward.
pub(super) fn check_readable(session: &mut dyn Session) -> Result<(), Fail> {
    let found = format(session)?;
    if found == FORMAT.to_string() {
        return Ok(());
    }
    if found != BEFORE.to_string() {
        return Err(other_format(&found, &[]));
    }
    let rows = session.query("SELECT id, state FROM main.segue_migration ORDER BY id", &[], LIMIT)?;
    match under_way(&rows)?.as_slice() {
        [] => Ok(()),
        under_way => Err(other_format(&found, under_way)),
    }
}

fn format(session: &mut dyn Session) -> Result<String, Fail> {
    Ok(meta(session, "format")?.unwrap_or_default())
}

/// Returns what the journal keeps under a name.
pub(super) fn meta(session: &mut dyn Session, key: &str) -> Result<Option<String>, Fail> {
    let rows = session.query("SELECT value FROM main.segue_meta WHERE key = $1", &[key.into()], LIMIT)?;
    Ok(rows.first().and_then(|row| row.first()).and_then(Value::as_str).map(str::to_owned))
}

/// Keeps a value under a name.
pub(super) fn set_meta(session: &mut dyn Session, key: &str, value: &str) -> Result<(), Fail> {
    session.execute(META, &[key.into(), value.into()], LIMIT).map(drop)
}
