//! What the journal of the database in memory keeps, as rows.

use segue_model::bound::Bound;
use segue_model::journal::{Checkpoint, Span};
use segue_model::value::Value;

use super::number;

pub(super) fn whole(number: u64) -> Value {
    Value::Int(i64::try_from(number).unwrap())
}

pub(super) fn bound(at: Option<&Bound>) -> Value {
    at.map_or(Value::Null, |at| Value::Text(at.to_json()))
}

pub(super) fn bound_in(value: &Value) -> Option<Bound> {
    value.as_str().map(|text| Bound::from_json(text).unwrap())
}

pub(super) fn unsigned(params: &[Value], at: usize) -> u64 {
    u64::try_from(number(params, at)).unwrap()
}

pub(super) fn checkpoint_values(at: &Checkpoint) -> Vec<Value> {
    vec![
        Value::Int(i64::from(at.step)),
        Value::Int(i64::from(at.pass)),
        bound(at.next.as_ref()),
        bound(Some(&at.end)),
        Value::Int(at.spans),
        whole(at.done),
        whole(at.total),
        whole(at.rows),
    ]
}

pub(super) fn checkpoint(row: &[Value]) -> Checkpoint {
    Checkpoint {
        step: unsigned(row, 0) as u32,
        pass: unsigned(row, 1) as u32,
        next: bound_in(&row[2]),
        end: bound_in(&row[3]).unwrap(),
        spans: number(row, 4),
        done: unsigned(row, 5),
        total: unsigned(row, 6),
        rows: unsigned(row, 7),
    }
}

pub(super) fn span_values(span: &Span) -> Vec<Value> {
    vec![
        Value::Int(i64::from(span.step)),
        Value::Int(span.number),
        Value::Int(i64::from(span.pass)),
        bound(span.next.as_ref()),
        bound(Some(&span.end)),
        whole(span.done),
        whole(span.rows),
        Value::Int(i64::from(span.waits)),
    ]
}

pub(super) fn span(row: &[Value]) -> Span {
    Span {
        step: unsigned(row, 0) as u32,
        number: number(row, 1),
        pass: unsigned(row, 2) as u32,
        next: bound_in(&row[3]),
        end: bound_in(&row[4]).unwrap(),
        done: unsigned(row, 5),
        rows: unsigned(row, 6),
        waits: number(row, 7) == 1,
    }
}
