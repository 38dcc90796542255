//! Whether a transform depends on settings of the session: the backfill runs with ours, the triggers with the application's.

use segue_model::expr::{Expr, NameKind, NameUse};
use segue_model::ident::{Ident, TableName};
use segue_model::probe::{Answer, Probe};
use segue_model::sql::{Hole, Sql, TypeName};
use segue_model::value::Value;

use super::asked::{self, Types};
use super::lookup::Lookup;
use super::mirror::display;
use super::sql;
use super::types::Resolved;
use crate::operation::Context;
use crate::refusal::Refusal;

/// A transform, and the column that takes it.
#[derive(Clone, Copy)]
pub(super) struct Taken<'a> {
    pub(super) table: &'a TableName,
    pub(super) column: &'a Ident,
    pub(super) kind: &'a TypeName,
    pub(super) expr: &'a Expr,
}

/// Functions and operators that are STABLE only because they print values of any type, and some types are printed by
/// settings.
const PRINTING: &[&str] = &[
    "concat",
    "concat_ws",
    "format",
    "||",
    "quote_literal",
    "quote_nullable",
    "array_to_string",
    "to_json",
    "to_jsonb",
    "json_build_array",
    "json_build_object",
    "jsonb_build_array",
    "jsonb_build_object",
];

/// Types that are read, printed or converted by settings: TimeZone, DateStyle, IntervalStyle, lc_monetary.
const BY_SETTING: &[&str] = &[
    "date",
    "time",
    "timetz",
    "timestamp",
    "timestamptz",
    "interval",
    "money",
    "daterange",
    "tsrange",
    "tstzrange",
    "datemultirange",
    "tsmultirange",
    "tstzmultirange",
    "regclass",
    "regproc",
    "regprocedure",
    "regtype",
    "regrole",
    "regnamespace",
];

/// A value of each type that a transform reads, so that the server computes what it may compute beforehand.
const SAMPLES: &[(&str, &str)] = &[
    ("int2", "1"),
    ("int4", "1"),
    ("int8", "1"),
    ("float4", "1"),
    ("float8", "1"),
    ("numeric", "1"),
    ("text", "1"),
    ("varchar", "1"),
    ("bpchar", "1"),
    ("bool", "true"),
    ("date", "2001-02-03"),
    ("timestamp", "2001-02-03"),
    ("timestamptz", "2001-02-03"),
    ("time", "04:05:06"),
    ("timetz", "04:05:06+00"),
    ("interval", "1 day"),
    ("uuid", "00000000-0000-0000-0000-000000000001"),
    ("json", "{}"),
    ("jsonb", "{}"),
];

/// Returns the question whether the server may compute the transform before it runs. Only what is IMMUTABLE, with the casts
/// into the column's type, is gone from the plan of a query over constants; what is not stays as a filter.
pub(super) fn probe(taken: Taken<'_>, types: &Types<'_>, lookup: &Lookup) -> Probe {
    let sample = |column: &Ident| types.get(column).map_or_else(null, |kind| sample(lookup.type_of(kind)));
    let row = asked::row_of(taken.expr, types, lookup, &sample);
    let kind = lookup.type_of(taken.kind).full();
    let sql = sql(
        "EXPLAIN (COSTS OFF) SELECT FROM (SELECT {row}) AS r \
         WHERE pg_catalog.num_nulls(CAST({expr} AS {type})) OPERATOR(pg_catalog.>=) 0",
        &[("row", Hole::Sql(&row)), ("expr", Hole::Sql(&asked::bare(taken.expr, lookup))), ("type", Hole::Type(&kind))],
    );
    Probe { key: key(taken), sql }
}

fn sample(kind: &Resolved) -> Sql {
    let known = SAMPLES.iter().find(|(name, _)| kind.schema == "pg_catalog" && kind.name == *name);
    known.map_or_else(null, |(_, text)| sql("{v}", &[("v", Hole::Text(text))]))
}

fn null() -> Sql {
    Sql::fixed("NULL")
}

/// Refuses a transform that depends on settings of the session.
///
/// # Errors
/// The refusal.
pub(super) fn gate(taken: Taken<'_>, types: &Types<'_>, lookup: &Lookup, context: &Context<'_>) -> Result<(), Refusal> {
    let Taken { table, column, expr, .. } = taken;
    let by_setting = by_setting(taken, types, lookup);
    let matters =
        |name: &&NameUse| by_setting || name.kind == NameKind::Function && !PRINTING.contains(&name.name.as_str());
    let stable: Vec<&NameUse> = lookup.unstable(expr).into_iter().filter(matters).collect();
    let kept = match context.answers.get(&key(taken)) {
        Some(Answer::Rows(rows)) => rows.iter().filter_map(|row| row.first().and_then(Value::as_str)).any(is_filter),
        // A value of the sample does not suit the expression: nothing is known but its names.
        Some(Answer::Failed { .. } | Answer::TimedOut) | None => false,
    };
    let always = lookup.never_immutable(expr).iter().any(matters);
    if !always && !(kept && (by_setting || !stable.is_empty())) {
        return Ok(());
    }
    let part = match stable.as_slice() {
        [] => "the cast of a value by settings".to_owned(),
        names => names.iter().map(|name| format!("`{}`", name.name)).collect::<Vec<_>>().join(", "),
    };
    Err(Refusal::Impossible {
        what: format!("the transform `{}` of `{table}.{column}` depends on settings of the session", expr.source),
        why: format!(
            "it is STABLE and not IMMUTABLE ({part}), so the backfill with our TimeZone, DateStyle and the like and the trigger \
             with the application's could make different values of one row"
        ),
        instead: "Write what no setting changes: `… AT TIME ZONE 'UTC'` instead of a cast between timestamps with and without \
                  time zone or to a date, `extract(…)` instead of `to_char` or a cast of a time to text."
            .to_owned(),
    })
}

/// Returns whether a type whose values depend on settings is read, named or written.
fn by_setting(taken: Taken<'_>, types: &Types<'_>, lookup: &Lookup) -> bool {
    let is = |name: &str| BY_SETTING.contains(&name.strip_prefix('_').unwrap_or(name));
    let read = taken.expr.columns();
    let read = read.iter().filter_map(|column| types.get(*column)).chain(std::iter::once(&taken.kind));
    let mut read = read.map(|kind| lookup.type_of(kind));
    let mut named = taken.expr.uses.iter().filter(|name| name.kind == NameKind::Type);
    read.any(|kind| is(&kind.name)) || named.any(|name| is(&name.name))
}

fn is_filter(line: &str) -> bool {
    line.trim_start().starts_with("One-Time Filter:") || line.trim_start().starts_with("Filter:")
}

fn key(taken: Taken<'_>) -> String {
    format!("steady:{}:{}", display(taken.table), taken.column.as_str())
}
