//! How far passes over tables are: the frontier of each, and the spans that workers go through.

use segue_model::ident::MigrationId;
use segue_model::journal::{Checkpoint, Span, Worker};
use segue_model::session::{Fail, Session};
use segue_model::value::Value;

use super::journal::{LIMIT, id_value};
use crate::journal_row::{self, bound_value, count_value, of_older_format};

/// See [`segue_model::session::Journal::checkpoint`].
pub(super) fn checkpoint(
    session: &mut dyn Session,
    id: &MigrationId,
    attempt: u32,
    step: u32,
) -> Result<Option<Checkpoint>, Fail> {
    let sql = "SELECT pass, next_bound, end_bound, spans, done, total, rows FROM segue.checkpoint \
               WHERE migration = $1 AND attempt = $2::int AND step = $3::int";
    one_checkpoint(session, sql, id, attempt, step)
}

/// See [`segue_model::session::Journal::checkpoint_to_cut`].
pub(super) fn checkpoint_to_cut(
    session: &mut dyn Session,
    id: &MigrationId,
    attempt: u32,
    step: u32,
) -> Result<Option<Checkpoint>, Fail> {
    // NO KEY: the rows of no other table refer to it, and the weaker lock is the one that an update takes.
    let sql = "SELECT pass, next_bound, end_bound, spans, done, total, rows FROM segue.checkpoint \
               WHERE migration = $1 AND attempt = $2::int AND step = $3::int FOR NO KEY UPDATE";
    one_checkpoint(session, sql, id, attempt, step)
}

fn one_checkpoint(
    session: &mut dyn Session,
    sql: &'static str,
    id: &MigrationId,
    attempt: u32,
    step: u32,
) -> Result<Option<Checkpoint>, Fail> {
    let rows = session.query(sql, &step_values(id, attempt, step), LIMIT).map_err(of_older_format)?;
    rows.first().map(|row| journal_row::checkpoint(row, step)).transpose()
}

/// See [`segue_model::session::Journal::set_checkpoint`].
pub(super) fn set_checkpoint(
    session: &mut dyn Session,
    id: &MigrationId,
    attempt: u32,
    at: &Checkpoint,
) -> Result<(), Fail> {
    let sql = "INSERT INTO segue.checkpoint (migration, attempt, step, pass, next_bound, end_bound, spans, done, total, rows) \
               VALUES ($1, $2::int, $3::int, $4::int, $5, $6, $7::bigint, $8::bigint, $9::bigint, $10::bigint) \
               ON CONFLICT (migration, attempt, step) DO UPDATE SET pass = excluded.pass, \
               next_bound = excluded.next_bound, end_bound = excluded.end_bound, spans = excluded.spans, \
               done = excluded.done, total = excluded.total, rows = excluded.rows";
    let mut values = step_values(id, attempt, at.step).to_vec();
    values.extend([
        Value::from(i64::from(at.pass)),
        bound_value(at.next.as_ref()),
        bound_value(Some(&at.end)),
        Value::from(at.spans),
        count_value(at.done),
        count_value(at.total),
        count_value(at.rows),
    ]);
    session.execute(sql, &values, LIMIT).map(drop)
}

/// See [`segue_model::session::Journal::spans`].
pub(super) fn spans(session: &mut dyn Session, id: &MigrationId, attempt: u32, step: u32) -> Result<Vec<Span>, Fail> {
    let sql = "SELECT number, pass, next_bound, end_bound, done, rows, waits FROM segue.span \
               WHERE migration = $1 AND attempt = $2::int AND step = $3::int ORDER BY number";
    let rows = session.query(sql, &step_values(id, attempt, step), LIMIT).map_err(of_older_format)?;
    rows.iter().map(|row| journal_row::span(row, step)).collect()
}

/// See [`segue_model::session::Journal::take_span`].
pub(super) fn take(
    session: &mut dyn Session,
    id: &MigrationId,
    attempt: u32,
    step: u32,
    worker: &Worker,
    waits: bool,
) -> Result<Option<Span>, Fail> {
    // The server shows one transaction the same backends for as long as it lasts: a worker that came later would seem gone.
    session.query("SELECT pg_catalog.pg_stat_clear_snapshot()", &[], LIMIT)?;
    let mut values = step_values(id, attempt, step).to_vec();
    values.push(Value::from(if waits { "true" } else { "false" }));
    values.extend(worker_values(Some(worker)));
    let rows = session.query(include_str!("take_span.sql"), &values, LIMIT)?;
    rows.first().map(|row| journal_row::span(row, step)).transpose()
}

/// See [`segue_model::session::Journal::put_span`].
pub(super) fn put(
    session: &mut dyn Session,
    id: &MigrationId,
    attempt: u32,
    span: &Span,
    worker: Option<&Worker>,
) -> Result<(), Fail> {
    let sql = "INSERT INTO segue.span \
               (migration, attempt, step, number, pass, next_bound, end_bound, done, rows, waits, pid, backend_start) \
               VALUES ($1, $2::int, $3::int, $4::bigint, $5::int, $6, $7, $8::bigint, $9::bigint, $10::boolean, $11::int, $12) \
               ON CONFLICT (migration, attempt, step, number) DO UPDATE SET pass = excluded.pass, \
               next_bound = excluded.next_bound, end_bound = excluded.end_bound, done = excluded.done, rows = excluded.rows, \
               waits = excluded.waits, pid = excluded.pid, backend_start = excluded.backend_start";
    let mut values = step_values(id, attempt, span.step).to_vec();
    values.extend([
        Value::from(span.number),
        Value::from(i64::from(span.pass)),
        bound_value(span.next.as_ref()),
        bound_value(Some(&span.end)),
        count_value(span.done),
        count_value(span.rows),
        Value::from(if span.waits { "true" } else { "false" }),
    ]);
    values.extend(worker_values(worker));
    session.execute(sql, &values, LIMIT).map(drop)
}

/// See [`segue_model::session::Journal::end_span`]. A span that is not there any more adds nothing: its figures were added
/// when it went.
pub(super) fn end(session: &mut dyn Session, id: &MigrationId, attempt: u32, span: &Span) -> Result<(), Fail> {
    let sql = "WITH gone AS (DELETE FROM segue.span \
               WHERE migration = $1 AND attempt = $2::int AND step = $3::int AND number = $4::bigint RETURNING 1) \
               UPDATE segue.checkpoint SET done = done + $6::bigint, rows = rows + $7::bigint \
               WHERE migration = $1 AND attempt = $2::int AND step = $3::int AND pass = $5::int \
               AND EXISTS (SELECT FROM gone)";
    let mut values = step_values(id, attempt, span.step).to_vec();
    values.extend([
        Value::from(span.number),
        Value::from(i64::from(span.pass)),
        count_value(span.done),
        count_value(span.rows),
    ]);
    session.execute(sql, &values, LIMIT).map(drop)
}

fn step_values(id: &MigrationId, attempt: u32, step: u32) -> [Value; 3] {
    [id_value(id), Value::from(i64::from(attempt)), Value::from(i64::from(step))]
}

fn worker_values(worker: Option<&Worker>) -> [Value; 2] {
    match worker {
        Some(worker) => [Value::from(worker.pid), Value::from(worker.backend_start.as_str())],
        None => [Value::Null, Value::Null],
    }
}
