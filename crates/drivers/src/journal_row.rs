//! What a row of the journal says. Every engine asks for the same columns in the same order.

use std::collections::BTreeMap;

use segue_model::bound::Bound;
use segue_model::ident::MigrationId;
use segue_model::journal::{Checkpoint, Event, FORMAT, Mark, Orders, Quarantined, Record, Span, State};
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

/// Reads `pass, next_bound, end_bound, spans, done, total, rows`.
pub(crate) fn checkpoint(row: &Row, step: u32) -> Result<Checkpoint, Fail> {
    Ok(Checkpoint {
        step,
        pass: number(row, 0)?,
        next: bound(row, 1)?,
        end: bound(row, 2)?.ok_or_else(|| damaged("a pass has no end"))?,
        spans: number(row, 3)?,
        done: number(row, 4)?,
        total: number(row, 5)?,
        rows: number(row, 6)?,
    })
}

/// Reads `number, pass, next_bound, end_bound, done, rows, waits`.
pub(crate) fn span(row: &Row, step: u32) -> Result<Span, Fail> {
    Ok(Span {
        step,
        number: number(row, 0)?,
        pass: number(row, 1)?,
        next: bound(row, 2)?,
        end: bound(row, 3)?.ok_or_else(|| damaged("a span has no end"))?,
        done: number(row, 4)?,
        rows: number(row, 5)?,
        waits: row.get(6).and_then(Value::as_bool).ok_or_else(|| damaged("a span does not say whether it waits"))?,
    })
}

/// Reads `step, row_key, column_name, error`.
pub(crate) fn quarantined(row: &Row) -> Result<Quarantined, Fail> {
    Ok(Quarantined { step: number(row, 0)?, key: text(row, 1)?, column: text(row, 2)?, error: text(row, 3)? })
}

/// Returns rows as one JSON text of arrays `[step, key, column, error]`: a statement takes them all as one parameter. A row
/// that is named twice stands in it once, as it was named last.
pub(crate) fn quarantined_json(rows: &[Quarantined]) -> String {
    let mut last = BTreeMap::new();
    for row in rows {
        last.insert((row.step, row.key.as_str(), row.column.as_str()), row.error.as_str());
    }
    let rows = last.iter().map(|((step, key, column), error)| serde_json::json!([step, key, column, error]));
    serde_json::Value::Array(rows.collect()).to_string()
}

/// Reads `paused_by, tuning`.
pub(crate) fn orders(row: &Row) -> Result<Orders, Fail> {
    let tuning = serde_json::from_str(&text(row, 1)?);
    Ok(Orders {
        paused_by: row.first().and_then(Value::as_str).map(str::to_owned),
        tuning: tuning.map_err(|bad| damaged(&format!("what was ordered cannot be read ({bad})")))?,
    })
}

/// Returns what [`orders`] reads.
pub(crate) fn orders_values(orders: &Orders) -> [Value; 2] {
    let tuning = serde_json::to_string(&orders.tuning).expect("a tuning is plain data");
    [orders.paused_by.clone().map_or(Value::Null, Value::from), Value::from(tuning)]
}

/// Returns a bound as the journal keeps it.
pub(crate) fn bound_value(bound: Option<&Bound>) -> Value {
    bound.map_or(Value::Null, |bound| Value::from(bound.to_json()))
}

/// Returns a count as the journal keeps it.
pub(crate) fn count_value(count: u64) -> Value {
    Value::from(i64::try_from(count).unwrap_or(i64::MAX))
}

/// Returns the migrations that have begun and are neither finished nor taken back, from rows of `id, state`.
pub(crate) fn under_way(rows: &[Row]) -> Result<Vec<String>, Fail> {
    let over = |state: &str| state == State::Done.name() || state == State::RolledBack.name();
    let named = rows.iter().map(|row| Ok((text(row, 0)?, text(row, 1)?)));
    let named = named.collect::<Result<Vec<_>, Fail>>()?;
    Ok(named.into_iter().filter(|(_, state)| !over(state)).map(|(id, _)| id).collect())
}

/// Returns the refusal of a journal that is of another format and stays as it is: of a later one, or an older one with
/// migrations under way.
pub(crate) fn other_format(found: &str, under_way: &[String]) -> Fail {
    let told = format!(
        "the journal in this database has format {}, and this version of segue knows format {FORMAT}",
        found.escape_debug()
    );
    let remedy = match under_way {
        [] => "use the version that wrote it".to_owned(),
        ids => format!(
            "`{}` is under way: finish it with the version that began it, or roll it back with that version; then this one \
             brings the journal forward",
            ids.join("`, `")
        ),
    };
    Fail::new(FailKind::Usage, format!("{told}; {remedy}"))
}

/// Returns the failure of a question that a journal of an older format cannot answer, told as such.
pub(crate) fn of_older_format(fail: Fail) -> Fail {
    if fail.kind != FailKind::Undefined {
        return fail;
    }
    let message = "the journal in this database has an older format: finish what is under way with the version of segue that \
                   began it, or roll it back with that version";
    Fail::new(FailKind::Usage, message)
}

fn bound(row: &Row, at: usize) -> Result<Option<Bound>, Fail> {
    let text = row.get(at).and_then(Value::as_str);
    let bound = |text| Bound::from_json(text).ok_or_else(|| damaged("a bound cannot be read"));
    text.map(bound).transpose()
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
