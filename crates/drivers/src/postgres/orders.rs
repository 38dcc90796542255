//! What people order while a migration runs, and what the run reports of itself.

use segue_model::ident::MigrationId;
use segue_model::journal::Orders;
use segue_model::session::{Fail, Session};
use segue_model::value::Value;

use super::journal::{LIMIT, id_value};
use crate::journal_row::{self, number, of_older_format, text};

/// See [`segue_model::session::Journal::orders`].
pub(super) fn orders(session: &mut dyn Session, id: &MigrationId) -> Result<Orders, Fail> {
    let sql = "SELECT paused_by, tuning FROM segue.control WHERE migration = $1";
    let rows = session.query(sql, &[id_value(id)], LIMIT).map_err(of_older_format)?;
    rows.first().map_or_else(|| Ok(Orders::default()), journal_row::orders)
}

/// See [`segue_model::session::Journal::orders_to_change`].
pub(super) fn orders_to_change(session: &mut dyn Session, id: &MigrationId) -> Result<Orders, Fail> {
    // A row that is not there cannot be locked: of two who make it, one waits for the other.
    let sql = "INSERT INTO segue.control (migration, paused_by, tuning) VALUES ($1, $2, $3) ON CONFLICT (migration) DO NOTHING";
    let [paused_by, tuning] = journal_row::orders_values(&Orders::default());
    session.execute(sql, &[id_value(id), paused_by, tuning], LIMIT).map_err(of_older_format)?;
    let sql = "SELECT paused_by, tuning FROM segue.control WHERE migration = $1 FOR UPDATE";
    let rows = session.query(sql, &[id_value(id)], LIMIT)?;
    rows.first().map_or_else(|| Ok(Orders::default()), journal_row::orders)
}

/// See [`segue_model::session::Journal::set_orders`].
pub(super) fn set_orders(session: &mut dyn Session, id: &MigrationId, orders: &Orders) -> Result<(), Fail> {
    let sql = "INSERT INTO segue.control (migration, paused_by, tuning) VALUES ($1, $2, $3) \
               ON CONFLICT (migration) DO UPDATE SET paused_by = excluded.paused_by, tuning = excluded.tuning";
    let [paused_by, tuning] = journal_row::orders_values(orders);
    session.execute(sql, &[id_value(id), paused_by, tuning], LIMIT).map_err(of_older_format).map(drop)
}

/// See [`segue_model::session::Journal::report`].
pub(super) fn report(session: &mut dyn Session, id: &MigrationId) -> Result<Option<(String, u64)>, Fail> {
    let sql = "SELECT body, greatest(0, pg_catalog.floor(EXTRACT(epoch FROM pg_catalog.clock_timestamp() - at)))::bigint \
               FROM segue.report WHERE migration = $1 AND body <> ''";
    let rows = session.query(sql, &[id_value(id)], LIMIT).map_err(of_older_format)?;
    rows.first().map(|row| Ok((text(row, 0)?, number(row, 1)?))).transpose()
}

/// See [`segue_model::session::Journal::set_report`]. The row is there since the lease was claimed: an INSERT could wait for
/// another's, and a run must never wait for its report. For the same reason a row that is locked is passed over.
pub(super) fn set_report(session: &mut dyn Session, id: &MigrationId, epoch: i64, report: &str) -> Result<(), Fail> {
    let sql = "UPDATE segue.report SET epoch = $2::bigint, at = pg_catalog.clock_timestamp(), body = $3 WHERE migration = ( \
               SELECT r.migration FROM segue.report r WHERE r.migration = $1 AND r.epoch <= $2::bigint \
               FOR NO KEY UPDATE SKIP LOCKED)";
    session.execute(sql, &[id_value(id), Value::from(epoch), Value::from(report)], LIMIT).map(drop)
}

/// Makes the row that [`set_report`] writes, in the transaction that claims the lease.
pub(super) fn make_room_for_report(session: &mut dyn Session, id: Value, epoch: i64) -> Result<(), Fail> {
    let sql = "INSERT INTO segue.report (migration, epoch, at, body) \
               VALUES ($1, $2::bigint, pg_catalog.clock_timestamp(), '') ON CONFLICT (migration) DO NOTHING";
    session.execute(sql, &[id, Value::from(epoch)], LIMIT).map(drop)
}
