//! What people order while a migration runs, and what the run reports of itself.

use std::time::Duration;

use segue_model::ident::MigrationId;
use segue_model::journal::Orders;
use segue_model::session::{Fail, FailKind, Session};
use segue_model::value::Value;

use super::journal::LIMIT;
use crate::journal_row::{self, number, of_older_format, text};

/// How long a report may wait for the file.
const REPORT_LIMIT: Duration = Duration::from_millis(200);

const ORDERS: &str = "SELECT paused_by, tuning FROM main.segue_control WHERE migration = $1";

const SET_ORDERS: &str = "INSERT INTO main.segue_control (migration, paused_by, tuning) VALUES ($1, $2, $3) \
    ON CONFLICT (migration) DO UPDATE SET paused_by = excluded.paused_by, tuning = excluded.tuning";

const REPORT: &str = "SELECT body, max(CAST(strftime('%s', 'now') AS INTEGER) - at, 0) FROM main.segue_report \
    WHERE migration = $1";

const SET_REPORT: &str = "INSERT INTO main.segue_report (migration, epoch, at, body) \
    VALUES ($1, $2, CAST(strftime('%s', 'now') AS INTEGER), $3) ON CONFLICT (migration) \
    DO UPDATE SET epoch = excluded.epoch, at = excluded.at, body = excluded.body WHERE epoch <= excluded.epoch";

/// See [`segue_model::session::Journal::orders`].
pub(super) fn orders(session: &mut dyn Session, id: &MigrationId) -> Result<Orders, Fail> {
    let rows = session.query(ORDERS, &[id.as_str().into()], LIMIT).map_err(of_older_format)?;
    rows.first().map_or_else(|| Ok(Orders::default()), journal_row::orders)
}

/// See [`segue_model::session::Journal::set_orders`].
pub(super) fn set_orders(session: &mut dyn Session, id: &MigrationId, orders: &Orders) -> Result<(), Fail> {
    let [paused_by, tuning] = journal_row::orders_values(orders);
    session.execute(SET_ORDERS, &[id.as_str().into(), paused_by, tuning], LIMIT).map_err(of_older_format).map(drop)
}

/// See [`segue_model::session::Journal::report`].
pub(super) fn report(session: &mut dyn Session, id: &MigrationId) -> Result<Option<(String, u64)>, Fail> {
    let rows = session.query(REPORT, &[id.as_str().into()], LIMIT).map_err(of_older_format)?;
    rows.first().map(|row| Ok((text(row, 0)?, number(row, 1)?))).transpose()
}

/// See [`segue_model::session::Journal::set_report`]. A file that somebody else writes to at the moment is left alone: a run
/// must not wait for its report.
pub(super) fn set_report(session: &mut dyn Session, id: &MigrationId, epoch: i64, report: &str) -> Result<(), Fail> {
    let values = [Value::from(id.as_str()), Value::Int(epoch), Value::from(report)];
    match session.execute(SET_REPORT, &values, REPORT_LIMIT) {
        Err(fail) if matches!(fail.kind, FailKind::LockTimeout | FailKind::Deadline) => Ok(()),
        other => other.map(drop),
    }
}
