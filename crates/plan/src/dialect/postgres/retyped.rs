//! What a change of a type does as written: measured on servers 12 to 18, one record a pair of types.

use segue_model::catalog::{Column, ConstraintKind, Table};
use segue_model::expr::Expr;
use segue_model::ident::Ident;
use segue_model::sql::TypeName;

use super::facts::{Fact, fact};
use super::gates;
use crate::operation::Retype;

/// A type as it is compared: its own name and its numbers.
#[derive(Debug, PartialEq, Eq)]
struct Plain {
    name: String,
    numbers: Vec<i64>,
}

/// Types whose one number only bounds their values: more, or none, lets each of them stay as it is; the facts of both.
const BOUNDED: &[(&str, &str, &str)] = &[
    ("varchar", "type.varchar_widen", "type.varchar_unlimited"),
    ("varbit", "type.varbit_widen", "type.varbit_unlim"),
    ("timestamp", "type.ts3_ts6", "type.ts3_ts"),
    ("timestamptz", "type.ts3_ts6", "type.ts3_ts"),
    ("time", "type.time3_time", "type.time3_time"),
    ("timetz", "type.time3_time", "type.time3_time"),
];

/// Pairs of different types; from, to without numbers, fact.
const PAIRS: &[(&str, &str, &str)] = &[
    ("int2", "int8", "type.int_bigint"),
    ("int4", "int8", "type.int_bigint"),
    ("int2", "int4", "type.smallint_int"),
    ("int4", "numeric", "type.int_numeric"),
    ("int4", "text", "type.int_text"),
    ("float4", "float8", "type.float4_8"),
    ("varchar", "text", "type.varchar_text"),
    ("text", "varchar", "type.text_varchar"),
    ("bpchar", "text", "type.char_text"),
    ("bpchar", "varchar", "type.char_varchar"),
    ("cidr", "inet", "type.cidr_inet"),
    ("xml", "text", "type.xml_text"),
    ("json", "jsonb", "type.json_jsonb"),
    ("jsonb", "json", "type.jsonb_json"),
    ("json", "text", "type.json_text"),
    ("timestamp", "date", "type.ts_date"),
];

/// Returns the fact of a change of the column's type; `None` for a pair that no fact tells.
pub(super) fn fact_of(table: &Table, column: &Column, to: &TypeName, using: Option<&Expr>) -> Option<&'static str> {
    if using.is_some_and(|using| !is_plain_cast(using, &column.name, to)) {
        return Some("type.using_expr");
    }
    let id = pair(&plain(column.type_name.as_str()), &plain(to.as_str()))?;
    let fact = fact(id);
    match id {
        "type.int_bigint" if is_indexed(table, &column.name) => Some("type.int_bigint_indexed"),
        // Checks are proved again and such indexes built again, under the lock.
        _ if !fact.rewrites && is_checked(table, &column.name) => Some("type.checked_again"),
        _ => Some(id),
    }
}

/// Returns the fact of a change that the server carries out at once; `None` where it would read or write rows.
pub(super) fn at_once(retype: &Retype<'_>) -> Option<&'static Fact> {
    let fact = fact_of(retype.table, retype.column, retype.to, retype.using).map(fact)?;
    (!fact.rewrites && !fact.scans).then_some(fact)
}

/// Returns whether the column has that type already.
pub(super) fn is_same(column: &Column, to: &TypeName) -> bool {
    plain(column.type_name.as_str()) == plain(to.as_str())
}

fn pair(from: &Plain, to: &Plain) -> Option<&'static str> {
    let known = PAIRS.iter().find(|(one, other, _)| from.name == *one && to.name == *other);
    match (from.numbers.as_slice(), to.numbers.as_slice()) {
        _ if from == to => Some("type.using_noop"),
        (_, [_]) if from.name == "text" && to.name == "varchar" => Some("type.text_varchar_n"),
        ([from], [to]) if known.is_some() && to < from => None,
        (_, []) if known.is_some() => known.map(|(.., id)| *id),
        _ if from.name == to.name && to.name == "numeric" => Some(numeric(&from.numbers, &to.numbers)),
        _ if from.name == to.name => bounded(from, to),
        _ => None,
    }
}

fn bounded(from: &Plain, to: &Plain) -> Option<&'static str> {
    let (_, wider, unlimited) = BOUNDED.iter().find(|(name, ..)| from.name == *name)?;
    match (from.numbers.as_slice(), to.numbers.as_slice()) {
        ([_], []) => Some(unlimited),
        ([from], [to]) if to >= from => Some(wider),
        _ if from.name == "varchar" => Some("type.varchar_narrow"),
        _ => None,
    }
}

fn numeric(from: &[i64], to: &[i64]) -> &'static str {
    match (from, to) {
        (_, []) => "type.numeric_unconstrained",
        ([], _) => "type.numeric_constrain",
        (from, to) if from.get(1).unwrap_or(&0) != to.get(1).unwrap_or(&0) => "type.numeric_scale_up",
        (from, to) if to[0] >= from[0] => "type.numeric_prec_up",
        _ => "type.numeric_prec_down",
    }
}

fn is_indexed(table: &Table, column: &Ident) -> bool {
    table.indexes.iter().any(|index| index.keys.iter().any(|key| key.column.as_ref() == Some(column)))
}

/// Returns whether constraints are proved again, or indexes built, though no row is written.
fn is_checked(table: &Table, column: &Ident) -> bool {
    let own = table.constraints.iter().any(|constraint| {
        matches!(constraint.kind, ConstraintKind::Check | ConstraintKind::ForeignKey | ConstraintKind::Exclusion)
            && constraint.columns.contains(column)
    });
    let others = table.referenced_by.iter().any(|constraint| constraint.referenced_columns.contains(column));
    let index = table.indexes.iter().any(|index| {
        let computed = index.predicate.is_some() || index.keys.iter().any(|key| key.column.is_none());
        computed && gates::names(&index.definition, column)
    });
    own || others || index
}

/// Returns whether USING says what the cast does anyway: the column, alone or cast to the new type.
fn is_plain_cast(using: &Expr, column: &Ident, to: &TypeName) -> bool {
    let mut source = using.source.trim();
    while let Some(inside) = source.strip_prefix('(').and_then(|rest| rest.strip_suffix(')')) {
        source = inside.trim();
    }
    let is_column = |text: &str| {
        let text = text.trim().trim_start_matches('(').trim_end_matches(')').trim();
        let quoted =
            text.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).map(|name| name.replace("\"\"", "\""));
        quoted.unwrap_or_else(|| text.to_lowercase()) == column.as_str()
    };
    let cast = source.split_once("::").or_else(|| {
        let rest = source.get(4..).filter(|_| source[..4].eq_ignore_ascii_case("cast"))?;
        let inside = rest.trim_start().strip_prefix('(')?.strip_suffix(')')?;
        let at = inside.to_ascii_lowercase().find(" as ")?;
        Some((&inside[..at], &inside[at + 4..]))
    });
    match cast {
        None => is_column(source),
        Some((value, kind)) => is_column(value) && plain(kind) == plain(to.as_str()),
    }
}

fn plain(spelled: &str) -> Plain {
    let spelled = spelled.trim().trim_start_matches("pg_catalog.").replace('"', "").to_ascii_lowercase();
    let (name, rest) = spelled.split_once('(').unwrap_or((&spelled, ""));
    let (inside, after) = rest.split_once(')').unwrap_or((rest, ""));
    let numbers = inside.split(',').filter_map(|number| number.trim().parse().ok()).collect();
    let words = [name.trim(), after.trim()].join(" ");
    let name = match words.trim() {
        "bigint" => "int8",
        "integer" | "int" => "int4",
        "smallint" => "int2",
        "real" => "float4",
        "double precision" => "float8",
        "character varying" | "char varying" => "varchar",
        "character" | "char" => "bpchar",
        "bit varying" => "varbit",
        "decimal" | "dec" => "numeric",
        "timestamp without time zone" => "timestamp",
        "timestamp with time zone" => "timestamptz",
        "time without time zone" => "time",
        "time with time zone" => "timetz",
        other => other,
    };
    Plain { name: name.to_owned(), numbers }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(from: &str, to: &str) -> Option<&'static str> {
        pair(&plain(from), &plain(to))
    }

    #[test]
    fn what_stays_as_it_is_is_told_from_what_is_written_again() {
        for (from, to, id) in [
            ("character varying(50)", "varchar(100)", "type.varchar_widen"),
            ("character varying(50)", "varchar", "type.varchar_unlimited"),
            ("character varying(50)", "pg_catalog.varchar(20)", "type.varchar_narrow"),
            ("character varying", "varchar(20)", "type.varchar_narrow"),
            ("character varying(50)", "text", "type.varchar_text"),
            ("text", "character varying", "type.text_varchar"),
            ("text", "character varying(9)", "type.text_varchar_n"),
            ("numeric(10,2)", "numeric(12,2)", "type.numeric_prec_up"),
            ("numeric(10,2)", "numeric(12,4)", "type.numeric_scale_up"),
            ("numeric(10,2)", "numeric(8,2)", "type.numeric_prec_down"),
            ("numeric(10,2)", "numeric", "type.numeric_unconstrained"),
            ("numeric", "numeric(10,2)", "type.numeric_constrain"),
            ("timestamp(3) without time zone", "timestamp", "type.ts3_ts"),
            ("timestamp(3) with time zone", "timestamptz(6)", "type.ts3_ts6"),
            ("integer", "bigint", "type.int_bigint"),
            ("date", "date", "type.using_noop"),
        ] {
            assert_eq!(of(from, to), Some(id), "{from} to {to}");
        }
        for (from, to) in [("timestamp", "timestamp(3)"), ("timestamp", "timestamptz"), ("integer", "public.mood")] {
            assert_eq!(of(from, to), None, "{from} to {to}");
        }
    }

    #[test]
    fn using_may_say_what_the_cast_does() {
        let column = Ident::known("Vc");
        let plain = |source: &str, to: &str| {
            let nullness = segue_model::expr::Nullness::Unknown;
            let using = Expr {
                source: source.into(),
                parts: vec![],
                nullness,
                uses: vec![],
                can_raise: false,
                constant: false,
            };
            is_plain_cast(&using, &column, &TypeName::spelled(to))
        };
        assert!(plain("\"Vc\"", "text") && plain("(\"Vc\")::varchar(100)", "pg_catalog.varchar(100)"));
        assert!(plain("CAST(\"Vc\" AS bigint)", "bigint") && plain("cast (\"Vc\" as varchar(9))", "varchar(9)"));
        assert!(!plain("vc", "text") && !plain("\"Vc\"::text", "varchar(100)") && !plain("\"Vc\" || ''", "text"));
    }
}
