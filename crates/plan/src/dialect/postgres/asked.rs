//! What is asked of the server about transforms: their types, what they make of defaults, and whether they come back.

use std::collections::BTreeMap;

use segue_model::expr::{Expr, Part};
use segue_model::ident::{Ident, TableName};
use segue_model::probe::{Answer, Probe};
use segue_model::sql::{Hole, Quoting, Sql, TypeName};
use segue_model::value::Value;

use super::lookup::Lookup;
use super::mirror::display;
use super::types::{self, Resolved};
use super::{Postgres, sql};
use crate::figures::shown_type;
use crate::operation::Context;
use crate::refusal::Refusal;

/// How many rows a sample reads.
const SAMPLE: i64 = 1000;

/// The types of all columns that a transform could read.
pub(super) type Types<'a> = BTreeMap<&'a Ident, &'a TypeName>;

/// Returns an expression over columns of the row at hand.
pub(super) fn bare(expr: &Expr, lookup: &Lookup) -> Sql {
    Sql::expr(&expr.render(&|column| Postgres.name(column.as_str()), &|name| lookup.schema(name)))
}

/// Returns the column that an expression is, when it is nothing else.
pub(super) fn column(expr: &Expr) -> Option<&Ident> {
    match expr.parts.as_slice() {
        [Part::Column(column)] => Some(column),
        _ => None,
    }
}

/// Returns the question of which type `expr` is.
pub(super) fn result_probe(
    table: &TableName,
    column: &Ident,
    expr: &Expr,
    types: &Types<'_>,
    lookup: &Lookup,
) -> Probe {
    let row = row_of(expr, types, lookup, &|_| Sql::fixed("NULL"));
    let sql = sql(
        "SELECT n.nspname, t.typname, t.typtype FROM (SELECT pg_catalog.pg_typeof({expr})::pg_catalog.oid AS id \
         FROM (SELECT {row}) AS r) AS x JOIN pg_catalog.pg_type AS t ON t.oid = x.id \
         JOIN pg_catalog.pg_namespace AS n ON n.oid = t.typnamespace",
        &[("expr", Hole::Sql(&bare(expr, lookup))), ("row", Hole::Sql(&row))],
    );
    Probe { key: key("result", table, column), sql }
}

/// Returns the type of an expression, with its modifiers where it is a column; `None` when it could not be had without a
/// value.
///
/// # Errors
/// A refusal when the server does not accept the expression at all.
pub(super) fn result(
    table: &TableName,
    column: &Ident,
    expr: &Expr,
    types: &Types<'_>,
    lookup: &Lookup,
    context: &Context<'_>,
) -> Result<Option<Resolved>, Refusal> {
    if let Some(kind) = self::column(expr).and_then(|column| types.get(column)) {
        return Ok(Some(lookup.type_of(kind).clone()));
    }
    match context.answers.get(&key("result", table, column)) {
        Some(Answer::Failed { code, message }) if code.starts_with("42") => Err(Refusal::Impossible {
            what: format!("the server does not accept `{}` for `{table}.{column}`", expr.source),
            why: message.clone(),
            instead: "Correct the transform; try it with a SELECT over the table.".to_owned(),
        }),
        answer => Ok(types::named(answer)),
    }
}

/// Returns the question what `expr` makes of the old columns' defaults, and whether that is the new column's own.
pub(super) fn defaults_probe(
    table: &segue_model::catalog::Table,
    column: &segue_model::change::NewColumn,
    expr: &Expr,
    types: &Types<'_>,
    lookup: &Lookup,
) -> Probe {
    let default_of = |name: &Ident| {
        let default = table.columns.iter().find(|c| c.name == *name).and_then(|c| c.default.as_deref());
        default.map_or_else(|| Sql::fixed("NULL"), Sql::of_catalog)
    };
    let row = row_of(expr, types, lookup, &default_of);
    let value = bare(expr, lookup);
    let kind = lookup.type_of(&column.type_name).full();
    let own = column.default.as_ref().map_or_else(|| Sql::fixed("NULL"), |default| bare(default, lookup));
    let sql = sql(
        "SELECT {expr} IS NOT DISTINCT FROM NULL, ROW(CAST({expr} AS {type}))::pg_catalog.record OPERATOR(pg_catalog.*=) \
         ROW(CAST({own} AS {type}))::pg_catalog.record FROM (SELECT {row}) AS r",
        &[("expr", Hole::Sql(&value)), ("type", Hole::Type(&kind)), ("own", Hole::Sql(&own)), ("row", Hole::Sql(&row))],
    );
    Probe { key: key("defaults", &table.name, &column.name), sql }
}

/// Returns whether the transform of the defaults is NULL, and whether it is the new column's default; `None` when unknown.
pub(super) fn defaults(table: &TableName, column: &Ident, context: &Context<'_>) -> Option<(bool, bool)> {
    let Some(Answer::Rows(rows)) = context.answers.get(&key("defaults", table, column)) else { return None };
    let row = rows.first()?;
    Some((row.first().and_then(Value::as_bool)?, row.get(1).and_then(Value::as_bool)?))
}

/// Returns the question what a new column's own default is; `None` when it has none.
pub(super) fn own_default_probe(
    table: &TableName,
    column: &segue_model::change::NewColumn,
    lookup: &Lookup,
) -> Option<Probe> {
    let default = bare(column.default.as_ref()?, lookup);
    let kind = lookup.type_of(&column.type_name).full();
    let sql = sql(
        "SELECT CAST({default} AS {type}) IS NOT DISTINCT FROM NULL",
        &[("default", Hole::Sql(&default)), ("type", Hole::Type(&kind))],
    );
    Some(Probe { key: key("own default", table, &column.name), sql })
}

/// Refuses a default that the server cannot make a value of the column of.
///
/// # Errors
/// The refusal.
pub(super) fn own_default(
    table: &TableName,
    column: &segue_model::change::NewColumn,
    context: &Context<'_>,
) -> Result<(), Refusal> {
    let (Some(default), Some(Answer::Failed { message, .. })) =
        (&column.default, context.answers.get(&key("own default", table, &column.name)))
    else {
        return Ok(());
    };
    Err(Refusal::Impossible {
        what: format!("the DEFAULT `{}` of `{table}.{}`", default.source, column.name),
        why: message.clone(),
        instead: format!("Write a default that {} takes.", shown_type(&column.type_name)),
    })
}

/// Forward and back of a pair, as far as a sample needs them.
pub(super) struct Round<'a> {
    /// New column, its type, how it follows from the old.
    pub(super) forward: Vec<(&'a Ident, &'a TypeName, &'a Expr)>,
    /// Old column, its type, how it follows from the new.
    pub(super) back: Vec<(&'a Ident, &'a TypeName, &'a Expr)>,
}

/// Returns the question how many of some rows do not come back from `back(forward(row))` as they were.
pub(super) fn sample_probe(table: &TableName, round: &Round<'_>, lookup: &Lookup) -> Probe {
    let cast = |(_, kind, expr): &(&Ident, &TypeName, &Expr)| {
        let kind = lookup.type_of(kind).full();
        sql("CAST({e} AS {t})", &[("e", Hole::Sql(&bare(expr, lookup))), ("t", Hole::Type(&kind))])
    };
    let forward: Vec<Sql> = round
        .forward
        .iter()
        .map(|side| sql("{v} AS {c}", &[("v", Hole::Sql(&cast(side))), ("c", Hole::Name(side.0))]))
        .collect();
    let old: Vec<Sql> = round.back.iter().map(|(c, ..)| sql("{c}", &[("c", Hole::Name(c))])).collect();
    let back: Vec<Sql> = round.back.iter().map(cast).collect();
    let sql = sql(
        "SELECT pg_catalog.count(*), pg_catalog.count(*) FILTER (WHERE ROW({old})::pg_catalog.record \
         OPERATOR(pg_catalog.*<>) ROW({back})::pg_catalog.record) \
         FROM (SELECT r.*, {forward} FROM (SELECT * FROM {table} LIMIT {rows}) AS r) AS s",
        &[
            ("old", Hole::Join(&old, ", ")),
            ("back", Hole::Join(&back, ", ")),
            ("forward", Hole::Join(&forward, ", ")),
            ("table", Hole::Table(table)),
            ("rows", Hole::Int(SAMPLE)),
        ],
    );
    Probe { key: key("sample", table, round.forward[0].0), sql }
}

/// Returns the note about what the sample showed: what the rows that are there now say of the two transforms.
pub(super) fn sampled(table: &TableName, first: &Ident, context: &Context<'_>) -> String {
    let answer = context.answers.get(&key("sample", table, first));
    let row = match answer {
        Some(Answer::Rows(rows)) => rows.first(),
        Some(Answer::Failed { .. } | Answer::TimedOut) | None => None,
    };
    let count = |at: usize| row.and_then(|row| row.get(at)).and_then(Value::as_i64);
    match (count(0), count(1)) {
        (Some(rows), Some(0)) => {
            format!("of {} of {table} sampled, each comes back from back(forward(row)) as it was", counted(rows))
        }
        (Some(rows), Some(lossy)) => {
            let lossy = if lossy == 1 { "1 does".to_owned() } else { format!("{lossy} do") };
            format!("of {} of {table} sampled, {lossy} not come back from back(forward(row)) as before", counted(rows))
        }
        _ => format!("whether rows of {table} come back from back(forward(row)) could not be computed"),
    }
}

fn counted(rows: i64) -> String {
    if rows == 1 { "1 row".to_owned() } else { format!("{rows} rows") }
}

/// Returns the columns that an expression reads, each `value` of its type.
pub(super) fn row_of(expr: &Expr, types: &Types<'_>, lookup: &Lookup, value: &dyn Fn(&Ident) -> Sql) -> Sql {
    let columns: Vec<Sql> = expr
        .columns()
        .into_iter()
        .filter_map(|column| {
            let kind = lookup.type_of(types.get(column)?).full();
            let holes = [("v", value(column)), ("c", sql("{c}", &[("c", Hole::Name(column))]))];
            Some(sql(
                "CAST({v} AS {t}) AS {c}",
                &[("v", Hole::Sql(&holes[0].1)), ("t", Hole::Type(&kind)), ("c", Hole::Sql(&holes[1].1))],
            ))
        })
        .collect();
    match columns.as_slice() {
        [] => Sql::fixed("1"),
        columns => sql("{columns}", &[("columns", Hole::Join(columns, ", "))]),
    }
}

fn key(what: &str, table: &TableName, column: &Ident) -> String {
    format!("{what}:{}:{}", display(table), column.as_str())
}
