//! Rows that could not be converted.

use segue_model::ident::MigrationId;
use segue_model::journal::Quarantined;
use segue_model::session::{Fail, Session};
use segue_model::value::Value;

use super::journal::LIMIT;
use crate::journal_row::{self, damaged, number, of_older_format};

const ADD: &str = "INSERT INTO main.segue_quarantine (migration, attempt, step, row_key, column_name, error) \
    SELECT $1, $2, value ->> 0, value ->> 1, value ->> 2, value ->> 3 FROM json_each($3) WHERE true \
    ON CONFLICT (migration, attempt, step, row_key, column_name) DO UPDATE SET error = excluded.error";

const COUNT: &str = "SELECT count(*) FROM main.segue_quarantine WHERE migration = $1 AND attempt = $2";

const FIRST: &str = "SELECT step, row_key, column_name, error FROM main.segue_quarantine \
    WHERE migration = $1 AND attempt = $2 ORDER BY step, row_key, column_name LIMIT $3";

const CLEAR: &str = "DELETE FROM main.segue_quarantine WHERE migration = $1 AND attempt = $2 AND step = $3";

/// See [`segue_model::session::Journal::quarantine`].
pub(super) fn add(session: &mut dyn Session, id: &MigrationId, attempt: u32, rows: &[Quarantined]) -> Result<(), Fail> {
    if rows.is_empty() {
        return Ok(());
    }
    let rows = Value::from(journal_row::quarantined_json(rows));
    session.execute(ADD, &[id.as_str().into(), Value::Int(attempt.into()), rows], LIMIT).map(drop)
}

/// See [`segue_model::session::Journal::quarantined`].
pub(super) fn list(
    session: &mut dyn Session,
    id: &MigrationId,
    attempt: u32,
    limit: u32,
) -> Result<(u64, Vec<Quarantined>), Fail> {
    let mut values = vec![Value::from(id.as_str()), Value::Int(attempt.into())];
    let rows = session.query(COUNT, &values, LIMIT).map_err(of_older_format)?;
    let count = number(rows.first().ok_or_else(|| damaged("a count is missing"))?, 0)?;
    values.push(Value::Int(limit.into()));
    let rows = session.query(FIRST, &values, LIMIT)?;
    Ok((count, rows.iter().map(journal_row::quarantined).collect::<Result<_, _>>()?))
}

/// See [`segue_model::session::Journal::clear_quarantine`].
pub(super) fn clear(session: &mut dyn Session, id: &MigrationId, attempt: u32, step: u32) -> Result<(), Fail> {
    let values = [Value::from(id.as_str()), Value::Int(attempt.into()), Value::Int(step.into())];
    session.execute(CLEAR, &values, LIMIT).map(drop)
}
