//! How far passes over tables are: the frontier of each, and the spans that workers go through.

use segue_model::ident::MigrationId;
use segue_model::journal::{Checkpoint, Span, Worker};
use segue_model::session::{Fail, Session};
use segue_model::value::Value;

use super::journal::LIMIT;
use crate::journal_row::{self, bound_value, count_value, of_older_format};

const CHECKPOINT: &str = "SELECT pass, next_bound, end_bound, spans, done, total, rows FROM main.segue_checkpoint \
    WHERE migration = $1 AND attempt = $2 AND step = $3";

const SET_CHECKPOINT: &str = "INSERT INTO main.segue_checkpoint \
    (migration, attempt, step, pass, next_bound, end_bound, spans, done, total, rows) \
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) ON CONFLICT (migration, attempt, step) \
    DO UPDATE SET pass = excluded.pass, next_bound = excluded.next_bound, end_bound = excluded.end_bound, \
    spans = excluded.spans, done = excluded.done, total = excluded.total, rows = excluded.rows";

const SPANS: &str = "SELECT number, pass, next_bound, end_bound, done, rows, waits FROM main.segue_span \
    WHERE migration = $1 AND attempt = $2 AND step = $3 ORDER BY number";

/// One process at a time works on a file (see `Connector::hold`), and in it one worker, which takes a span when it has none:
/// whoever is noted is dead, or is this worker before its connection was made again, with the same process and start.
const TAKE: &str = "UPDATE main.segue_span SET pid = $5, backend_start = $6 \
    WHERE migration = $1 AND attempt = $2 AND step = $3 AND number = (SELECT f.number FROM main.segue_span f \
    WHERE f.migration = $1 AND f.attempt = $2 AND f.step = $3 AND f.waits = $4 AND f.pass = \
    (SELECT c.pass FROM main.segue_checkpoint c WHERE c.migration = $1 AND c.attempt = $2 AND c.step = $3) ORDER BY f.number LIMIT 1) \
    RETURNING number, pass, next_bound, end_bound, done, rows, waits";

const PUT: &str = "INSERT INTO main.segue_span \
    (migration, attempt, step, number, pass, next_bound, end_bound, done, rows, waits, pid, backend_start) \
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12) ON CONFLICT (migration, attempt, step, number) \
    DO UPDATE SET pass = excluded.pass, next_bound = excluded.next_bound, end_bound = excluded.end_bound, \
    done = excluded.done, rows = excluded.rows, waits = excluded.waits, pid = excluded.pid, \
    backend_start = excluded.backend_start";

const END: &str = "DELETE FROM main.segue_span WHERE migration = $1 AND attempt = $2 AND step = $3 AND number = $4";

const ADD: &str = "UPDATE main.segue_checkpoint SET done = done + $5, rows = rows + $6 \
    WHERE migration = $1 AND attempt = $2 AND step = $3 AND pass = $4";

/// See [`segue_model::session::Journal::checkpoint`].
pub(super) fn checkpoint(
    session: &mut dyn Session,
    id: &MigrationId,
    attempt: u32,
    step: u32,
) -> Result<Option<Checkpoint>, Fail> {
    let rows = session.query(CHECKPOINT, &step_values(id, attempt, step), LIMIT).map_err(of_older_format)?;
    rows.first().map(|row| journal_row::checkpoint(row, step)).transpose()
}

/// See [`segue_model::session::Journal::checkpoint_to_cut`]. A transaction that writes keeps every other one out.
pub(super) fn checkpoint_to_cut(
    session: &mut dyn Session,
    id: &MigrationId,
    attempt: u32,
    step: u32,
) -> Result<Option<Checkpoint>, Fail> {
    checkpoint(session, id, attempt, step)
}

/// See [`segue_model::session::Journal::set_checkpoint`].
pub(super) fn set_checkpoint(
    session: &mut dyn Session,
    id: &MigrationId,
    attempt: u32,
    at: &Checkpoint,
) -> Result<(), Fail> {
    let mut values = step_values(id, attempt, at.step).to_vec();
    values.extend([
        Value::Int(at.pass.into()),
        bound_value(at.next.as_ref()),
        bound_value(Some(&at.end)),
        Value::Int(at.spans),
        count_value(at.done),
        count_value(at.total),
        count_value(at.rows),
    ]);
    session.execute(SET_CHECKPOINT, &values, LIMIT).map(drop)
}

/// See [`segue_model::session::Journal::spans`].
pub(super) fn spans(session: &mut dyn Session, id: &MigrationId, attempt: u32, step: u32) -> Result<Vec<Span>, Fail> {
    let rows = session.query(SPANS, &step_values(id, attempt, step), LIMIT).map_err(of_older_format)?;
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
    let mut values = step_values(id, attempt, step).to_vec();
    values.push(Value::Int(waits.into()));
    values.extend(worker_values(Some(worker)));
    let rows = session.query(TAKE, &values, LIMIT)?;
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
    let mut values = step_values(id, attempt, span.step).to_vec();
    values.extend([
        Value::Int(span.number),
        Value::Int(span.pass.into()),
        bound_value(span.next.as_ref()),
        bound_value(Some(&span.end)),
        count_value(span.done),
        count_value(span.rows),
        Value::Int(span.waits.into()),
    ]);
    values.extend(worker_values(worker));
    session.execute(PUT, &values, LIMIT).map(drop)
}

/// See [`segue_model::session::Journal::end_span`]. A span that is not there any more adds nothing: its figures were added
/// when it went.
pub(super) fn end(session: &mut dyn Session, id: &MigrationId, attempt: u32, span: &Span) -> Result<(), Fail> {
    let mut values = step_values(id, attempt, span.step).to_vec();
    values.push(Value::Int(span.number));
    if session.execute(END, &values, LIMIT)? == 0 {
        return Ok(());
    }
    values.pop();
    values.extend([Value::Int(span.pass.into()), count_value(span.done), count_value(span.rows)]);
    session.execute(ADD, &values, LIMIT).map(drop)
}

fn step_values(id: &MigrationId, attempt: u32, step: u32) -> [Value; 3] {
    [Value::from(id.as_str()), Value::Int(attempt.into()), Value::Int(step.into())]
}

fn worker_values(worker: Option<&Worker>) -> [Value; 2] {
    match worker {
        Some(worker) => [Value::Int(worker.pid), Value::from(worker.backend_start.as_str())],
        None => [Value::Null, Value::Null],
    }
}
