//! Creating the journal, and bringing an older one forward.

use segue_model::journal::FORMAT;
use segue_model::server::Identity;
use segue_model::session::{Begin, Fail, FailKind, Session};
use segue_model::value::Value;

use super::journal::{LIMIT, LOCK_WAIT, identity_values};
use crate::journal_row::{damaged, number, other_format, under_way};

/// The format that can be brought forward.
const BEFORE: u32 = FORMAT - 1;

/// See [`segue_model::session::Journal::exists`].
pub(super) fn exists(session: &mut dyn Session) -> Result<bool, Fail> {
    // Not `to_regclass`: that needs a right on the schema, which another role's journal does not give.
    let sql = "SELECT 1 FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
               WHERE n.nspname = 'segue' AND c.relname = 'meta'";
    Ok(!session.query(sql, &[], LIMIT)?.is_empty())
}

/// See [`segue_model::session::Journal::install`].
pub(super) fn install(session: &mut dyn Session) -> Result<(), Fail> {
    let identity = match exists(session)? {
        true if format(session)? == i64::from(FORMAT) => return Ok(()),
        true => None,
        false => Some(session.server()?.identity),
    };
    session.begin(Begin::Write { lock_wait: LOCK_WAIT })?;
    let made = install_inside(session, identity.as_ref()).and_then(|()| session.commit());
    if made.is_err() {
        session.rollback();
    }
    made
}

/// See [`segue_model::session::Journal::check_readable`].
pub(super) fn check_readable(session: &mut dyn Session) -> Result<(), Fail> {
    match format(session)? {
        format if format == i64::from(FORMAT) => Ok(()),
        format if format == i64::from(BEFORE) => nothing_under_way(session),
        format => Err(other_format(&format.to_string(), &[])),
    }
}

fn install_inside(session: &mut dyn Session, identity: Option<&Identity>) -> Result<(), Fail> {
    // CREATE … IF NOT EXISTS is no protection against another run at the same moment; this lock is.
    session.query("SELECT pg_catalog.pg_advisory_xact_lock(pg_catalog.hashtext('segue journal'))", &[], LIMIT)?;
    match identity {
        Some(identity) if !exists(session)? => create(session, identity),
        _ => match format(session)? {
            format if format == i64::from(FORMAT) => Ok(()),
            format if format == i64::from(BEFORE) => bring_forward(session),
            format => Err(other_format(&format.to_string(), &[])),
        },
    }
}

fn create(session: &mut dyn Session, identity: &Identity) -> Result<(), Fail> {
    // Where an administrator has made the schema for us, no right to create one is needed.
    let there = session.query("SELECT 1 FROM pg_catalog.pg_namespace WHERE nspname = 'segue'", &[], LIMIT)?;
    if there.is_empty() {
        session.execute("CREATE SCHEMA segue; REVOKE ALL ON SCHEMA segue FROM PUBLIC", &[], LIMIT)?;
    }
    session.execute(include_str!("journal.sql"), &[], LIMIT)?;
    session.execute(include_str!("moving.sql"), &[], LIMIT)?;
    let sql = "INSERT INTO segue.meta (system, database, timeline, format) VALUES ($1, $2, $3::bigint, $4::int)";
    let mut values = identity_values(identity).to_vec();
    values.push(Value::from(i64::from(FORMAT)));
    session.execute(sql, &values, LIMIT).map(drop)
}

/// Only the tables about moving data differ, and what they say is of no use once a migration is over. So nothing is lost
/// while none is under way, and none begins meanwhile.
fn bring_forward(session: &mut dyn Session) -> Result<(), Fail> {
    session.execute("LOCK TABLE segue.migration IN SHARE ROW EXCLUSIVE MODE", &[], LIMIT).map_err(needs_owner)?;
    nothing_under_way(session)?;
    session.execute("DROP TABLE segue.checkpoint", &[], LIMIT).map_err(needs_owner)?;
    session.execute(include_str!("moving.sql"), &[], LIMIT).map_err(needs_owner)?;
    session.execute("UPDATE segue.meta SET format = $1::int", &[Value::from(i64::from(FORMAT))], LIMIT).map(drop)
}

fn nothing_under_way(session: &mut dyn Session) -> Result<(), Fail> {
    let rows = session.query("SELECT id, state FROM segue.migration ORDER BY id COLLATE \"C\"", &[], LIMIT)?;
    match under_way(&rows)?.as_slice() {
        [] => Ok(()),
        under_way => Err(other_format(&BEFORE.to_string(), under_way)),
    }
}

fn needs_owner(fail: Fail) -> Fail {
    if fail.kind != FailKind::Permission {
        return fail;
    }
    let message = format!(
        "the journal in this database has format {BEFORE} and must be brought forward to format {FORMAT} by the role that owns \
         the schema segue: {}",
        fail.message
    );
    Fail { message, ..fail }
}

fn format(session: &mut dyn Session) -> Result<i64, Fail> {
    let rows = session.query("SELECT format FROM segue.meta", &[], LIMIT)?;
    number(rows.first().ok_or_else(|| damaged("`segue.meta` is empty"))?, 0)
}
