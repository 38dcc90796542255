//! Rows that a unique index would not take, found before anything is changed.

use segue_model::catalog::Table;
use segue_model::change::NewIndex;
use segue_model::ident::TableName;
use segue_model::probe::{Answer, Probe};
use segue_model::sql::{Hole, Sql};
use segue_model::value::Value;

use crate::dialect::postgres::mirror::display;
use crate::dialect::postgres::sql;
use crate::operation::{Context, Native, Stage};
use crate::refusal::Refusal;

/// Returns the question which keys stand in more than one row; `None` where the index takes any, or is over columns that
/// are not there yet.
pub(super) fn probe(native: &Native<'_>, new: &NewIndex, table: &TableName) -> Option<Probe> {
    let asks = new.unique && native.stage == Stage::Now && !new.keys.is_empty();
    asks.then(|| Probe {
        key: key(table, new),
        sql: sql(
            "SELECT d.k, d.n, pg_catalog.count(*) OVER (), pg_catalog.sum(d.n) OVER () FROM (SELECT \
             pg_catalog.left(CAST(ROW({keys}) AS pg_catalog.text), 200) AS k, pg_catalog.count(*) AS n FROM {table} {where} \
             GROUP BY {keys} HAVING pg_catalog.count(*) > 1) AS d ORDER BY d.n DESC, d.k LIMIT 10",
            &[
                ("keys", Hole::Join(&keys(new), ", ")),
                ("table", Hole::Table(table)),
                ("where", Hole::Sql(&condition(new))),
            ],
        ),
    })
}

fn keys(new: &NewIndex) -> Vec<Sql> {
    new.keys.iter().map(Sql::written).collect()
}

/// NULLs are no duplicates, unless the index says so.
fn condition(new: &NewIndex) -> Sql {
    let present = |key: &Sql| sql("{k} IS DISTINCT FROM NULL", &[("k", Hole::Sql(key))]);
    let mut all: Vec<Sql> = if new.nulls_not_distinct { vec![] } else { keys(new).iter().map(present).collect() };
    all.extend(new.predicate.iter().map(|p| sql("({p})", &[("p", Hole::Sql(&Sql::written(p)))])));
    if all.is_empty() { Sql::fixed("") } else { sql("WHERE {all}", &[("all", Hole::Join(&all, " AND "))]) }
}

fn key(table: &TableName, new: &NewIndex) -> String {
    ["duplicates:", &display(table), ":", new.definition.as_str()].concat()
}

/// Refuses a unique index over rows that are alike.
///
/// # Errors
/// The refusal, with how many keys and rows there are, the most frequent keys, and SQL that shows and mends them.
pub(super) fn gate(new: &NewIndex, table: &Table, context: &Context<'_>) -> Result<(), Refusal> {
    let Some(Answer::Rows(rows)) = context.answers.get(&key(&table.name, new)) else { return Ok(()) };
    let Some(first) = rows.first() else { return Ok(()) };
    let number = |at: usize| first.get(at).and_then(Value::as_i64).unwrap_or_default();
    let shown: Vec<String> = rows
        .iter()
        .filter_map(|row| Some(format!("{} × {}", row.get(1).and_then(Value::as_i64)?, row.first()?.as_str()?)))
        .collect();
    let (keys, condition, name) = (keys(new), condition(new), display(&table.name));
    let list = sql(
        "SELECT {keys}, count(*) FROM {table} {where} GROUP BY {keys} HAVING count(*) > 1",
        &[("keys", Hole::Join(&keys, ", ")), ("table", Hole::Table(&table.name)), ("where", Hole::Sql(&condition))],
    );
    let mend = sql(
        "DELETE FROM {table} WHERE (tableoid, ctid) IN (SELECT tableoid, ctid FROM (SELECT tableoid, ctid, row_number() \
         OVER (PARTITION BY {keys} ORDER BY tableoid, ctid) AS n FROM {table} {where}) AS d WHERE n > 1)",
        &[("keys", Hole::Join(&keys, ", ")), ("table", Hole::Table(&table.name)), ("where", Hole::Sql(&condition))],
    );
    Err(Refusal::Impossible {
        what: format!("a unique index on {name}"),
        why: format!("{} keys stand in {} rows, the most frequent: {}", number(2), number(3), shown.join(", ")),
        instead: format!("See them by `{list}`; if any row of each will do, keep the first: `{mend}`."),
    })
}
