//! Rows that could not be converted.

use segue_model::ident::MigrationId;
use segue_model::journal::Quarantined;
use segue_model::session::{Fail, Session};
use segue_model::value::Value;

use super::journal::{LIMIT, id_value};
use crate::journal_row::{self, damaged, number, of_older_format};

/// See [`segue_model::session::Journal::quarantine`].
pub(super) fn add(session: &mut dyn Session, id: &MigrationId, attempt: u32, rows: &[Quarantined]) -> Result<(), Fail> {
    if rows.is_empty() {
        return Ok(());
    }
    let values = [id_value(id), Value::from(i64::from(attempt)), Value::from(journal_row::quarantined_json(rows))];
    session.execute(include_str!("quarantine.sql"), &values, LIMIT).map(drop)
}

/// See [`segue_model::session::Journal::quarantined`].
pub(super) fn list(
    session: &mut dyn Session,
    id: &MigrationId,
    attempt: u32,
    limit: u32,
) -> Result<(u64, Vec<Quarantined>), Fail> {
    let count = "SELECT count(*) FROM segue.quarantine WHERE migration = $1 AND attempt = $2::int";
    let mut values = vec![id_value(id), Value::from(i64::from(attempt))];
    let rows = session.query(count, &values, LIMIT).map_err(of_older_format)?;
    let count = number(rows.first().ok_or_else(|| damaged("a count is missing"))?, 0)?;
    let first = "SELECT step, row_key, column_name, error FROM segue.quarantine \
                 WHERE migration = $1 AND attempt = $2::int \
                 ORDER BY step, row_key COLLATE \"C\", column_name COLLATE \"C\" LIMIT $3::bigint";
    values.push(Value::from(i64::from(limit)));
    let rows = session.query(first, &values, LIMIT)?;
    Ok((count, rows.iter().map(journal_row::quarantined).collect::<Result<_, _>>()?))
}

/// See [`segue_model::session::Journal::clear_quarantine`].
pub(super) fn clear(session: &mut dyn Session, id: &MigrationId, attempt: u32, step: u32) -> Result<(), Fail> {
    let sql = "DELETE FROM segue.quarantine WHERE migration = $1 AND attempt = $2::int AND step = $3::int";
    let values = [id_value(id), Value::from(i64::from(attempt)), Value::from(i64::from(step))];
    session.execute(sql, &values, LIMIT).map(drop)
}
