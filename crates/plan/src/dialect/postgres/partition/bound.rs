//! What a bound says of a row, in the form in which the server says it to itself: only then does it see that a CHECK proves
//! the same (`get_qual_from_partbound` of its partbounds.c).

use segue_model::change::{Bound, BoundKind, BoundValue};
use segue_model::sql::{Hole, Sql, Written};

use super::parent::{Key, Parent};
use crate::dialect::postgres::mirror::regclass;
use crate::dialect::postgres::sql;

/// Returns the condition that each row of the partition fulfils; `None` where it cannot be told beforehand: for the default
/// partition, for values that are no literals and for keys of several expressions.
pub(super) fn condition(parent: &Parent, bound: &Bound) -> Option<Sql> {
    if !bound.constant || parent.keys.is_empty() {
        return None;
    }
    let own = match &bound.what {
        BoundKind::Default => return None,
        BoundKind::List(values) => list(parent.keys.first()?, values),
        BoundKind::Range { from, to } => range(parent, from, to)?,
        BoundKind::Hash { modulus, remainder } => hash(parent, *modulus, *remainder),
    };
    Some(match &parent.constraint {
        None => own,
        Some(above) => {
            sql("{above} AND {own}", &[("above", Hole::Sql(&Sql::of_catalog(above))), ("own", Hole::Sql(&own))])
        }
    })
}

fn printed(key: &Key) -> Sql {
    Sql::of_catalog(&key.printed)
}

fn typed(key: &Key, value: &Written) -> Sql {
    let value = Sql::written(value);
    match &key.kind {
        Some(kind) => sql("CAST({v} AS {kind})", &[("v", Hole::Sql(&value)), ("kind", Hole::Type(kind))]),
        None => value,
    }
}

fn compare(key: &Key, operator: &'static str, value: &Written) -> Sql {
    sql(
        "({k} {op} {v})",
        &[
            ("k", Hole::Sql(&printed(key))),
            ("op", Hole::Sql(&Sql::fixed(operator))),
            ("v", Hole::Sql(&typed(key, value))),
        ],
    )
}

fn present(key: &Key) -> Sql {
    sql("({k} IS NOT NULL)", &[("k", Hole::Sql(&printed(key)))])
}

fn list(key: &Key, values: &[Option<Written>]) -> Sql {
    let some: Vec<&Written> = values.iter().flatten().collect();
    let absent = sql("({k} IS NULL)", &[("k", Hole::Sql(&printed(key)))]);
    let equal = match some.as_slice() {
        [] => return absent,
        [one] => compare(key, "=", one),
        several => {
            let several: Vec<Sql> = several.iter().map(|value| typed(key, value)).collect();
            sql(
                "({k} = ANY (ARRAY[{values}]))",
                &[("k", Hole::Sql(&printed(key))), ("values", Hole::Join(&several, ", "))],
            )
        }
    };
    match values.len() > some.len() {
        true => sql("({absent} OR {equal})", &[("absent", Hole::Sql(&absent)), ("equal", Hole::Sql(&equal))]),
        false => sql("({k} AND {equal})", &[("k", Hole::Sql(&present(key))), ("equal", Hole::Sql(&equal))]),
    }
}

fn range(parent: &Parent, from: &[BoundValue], to: &[BoundValue]) -> Option<Sql> {
    let keys = &parent.keys;
    if from.len() != keys.len() || to.len() != keys.len() {
        return None;
    }
    let mut all: Vec<Sql> = keys.iter().map(present).collect();
    let same =
        |at: &usize| matches!((&from[*at], &to[*at]), (BoundValue::Value(low), BoundValue::Value(high)) if low == high);
    let start = (0..keys.len() - 1).take_while(same).count();
    for at in 0..start {
        if let BoundValue::Value(value) = &from[at] {
            all.push(compare(&keys[at], "=", value));
        }
    }
    all.extend(end(keys, from, start, &LOW));
    all.extend(end(keys, to, start, &HIGH));
    Some(sql("({all})", &[("all", Hole::Join(&all, " AND "))]))
}

/// How a row is compared with one end.
struct End {
    /// Where a later column decides.
    beyond: &'static str,
    /// Where no later column decides.
    last: &'static str,
    /// Where every later column is on this side.
    all: &'static str,
    /// The end of all values that is on this side.
    open: BoundValue,
}

const LOW: End = End { beyond: ">", last: ">=", all: ">=", open: BoundValue::Least };
const HIGH: End = End { beyond: "<", last: "<", all: "<=", open: BoundValue::Greatest };

/// Returns that a row is on the right side of one end, from the column at `start` on; `None` where every row is.
fn end(keys: &[Key], values: &[BoundValue], start: usize, end: &End) -> Option<Sql> {
    let mut arms: Vec<Sql> = vec![];
    let mut equal: Vec<Sql> = vec![];
    for at in start..keys.len() {
        let BoundValue::Value(value) = &values[at] else { break };
        let next = values.get(at + 1);
        let operator = match next {
            None => end.last,
            Some(next) if *next == end.open => end.all,
            Some(_) => end.beyond,
        };
        let mut arm = equal.clone();
        arm.push(compare(&keys[at], operator, value));
        arms.push(match arm.as_slice() {
            [one] => one.clone(),
            several => sql("({arm})", &[("arm", Hole::Join(several, " AND "))]),
        });
        equal.push(compare(&keys[at], "=", value));
    }
    match arms.as_slice() {
        [] => None,
        [one] => Some(one.clone()),
        several => Some(sql("({arms})", &[("arms", Hole::Join(several, " OR "))])),
    }
}

fn hash(parent: &Parent, modulus: i32, remainder: i32) -> Sql {
    let keys: Vec<Sql> = parent.keys.iter().map(printed).collect();
    sql(
        "pg_catalog.satisfies_hash_partition({parent}, {modulus}, {remainder}, {keys})",
        &[
            ("parent", Hole::Sql(&regclass(&parent.name))),
            ("modulus", Hole::Int(modulus.into())),
            ("remainder", Hole::Int(remainder.into())),
            ("keys", Hole::Join(&keys, ", ")),
        ],
    )
}
