//! What a row of the journal says. Every engine asks for the same columns in the same order.

use segue_model::ident::MigrationId;
use segue_model::journal::{Checkpoint, Event, Mark, Record, State};
use segue_model::session::{Fail, FailKind};
use segue_model::value::{Row, Value};

/// Reads `id, checksum, plan, hash, state, attempt`, the state's age in seconds, and when it was changed.
pub(crate) fn record(row: &Row) -> Result<Record, Fail> {
    Ok(Record {
        id: MigrationId::new(text(row, 0)?).map_err(|bad| damaged(&bad.to_string()))?,
        checksum: text(row, 1)?,
        plan: text(row, 2)?,
        hash: text(row, 3)?,
        state: State::named(&text(row, 4)?).ok_or_else(|| damaged("a migration has a state that is not known"))?,
        attempt: number(row, 5)?,
        state_age_s: number(row, 6)?,
        changed_at: text(row, 7)?,
    })
}

/// Reads `step, mark, pid, backend_start, shape, note`.
pub(crate) fn event(row: &Row, id: &MigrationId, attempt: u32) -> Result<Event, Fail> {
    Ok(Event {
        migration: id.clone(),
        attempt,
        step: number(row, 0)?,
        mark: Mark::named(&text(row, 1)?).ok_or_else(|| damaged("an event has a mark that is not known"))?,
        pid: number(row, 2)?,
        backend_start: text(row, 3)?,
        shape: text(row, 4)?,
        note: text(row, 5)?,
    })
}

/// Reads the pass, the next bound, the last bound and the rows.
pub(crate) fn checkpoint(row: &Row, step: u32) -> Result<Checkpoint, Fail> {
    Ok(Checkpoint { step, pass: number(row, 0)?, next: number(row, 1)?, end: number(row, 2)?, rows: number(row, 3)? })
}

/// Reads a text.
pub(crate) fn text(row: &Row, at: usize) -> Result<String, Fail> {
    row.get(at).and_then(Value::as_str).map(str::to_owned).ok_or_else(|| damaged("a text is missing"))
}

/// Reads a whole number.
pub(crate) fn number<N: TryFrom<i64>>(row: &Row, at: usize) -> Result<N, Fail> {
    let number = row.get(at).and_then(Value::as_i64).and_then(|n| N::try_from(n).ok());
    number.ok_or_else(|| damaged("a number is missing or too large"))
}

/// Returns the failure of a journal that does not say what it must.
pub(crate) fn damaged(what: &str) -> Fail {
    Fail::new(FailKind::Server, format!("the journal in this database is damaged: {what}"))
}
