//! What changing a column's type would do: by the pair of types, and by what hangs on the column.

use segue_model::catalog::{Column, ConstraintKind, Table, TableKind};
use segue_model::expr::Expr;
use segue_model::ident::Ident;
use segue_model::sql::TypeName;

use super::asked::{self, Kind};
use super::has_index;
use crate::operation::Context;

/// Pairs of types whose values are the same bits, so that nothing is written again: from, to.
const SAME_BITS: &[(&str, &str, &str)] = &[
    ("oid", "int4", "type.int_oid"),
    ("int4", "oid", "type.int_oid"),
    ("cidr", "inet", "type.cidr_inet"),
    ("bit", "varbit", "type.bit_varbit"),
    ("xml", "text", "type.xml_text"),
    ("citext", "text", "type.citext_text"),
    ("varchar", "text", "type.varchar_text"),
    ("citext", "varchar", "type.citext_text"),
];

/// A type's own name, its modifiers and dimensions.
#[derive(Debug, PartialEq, Eq)]
struct Base {
    name: String,
    modifiers: Vec<i64>,
    array: bool,
}

/// Returns the fact. A pair that none tells is taken to rewrite.
pub(super) fn fact(
    table: &Table,
    column: &Column,
    to: &TypeName,
    using: Option<&Expr>,
    context: &Context<'_>,
) -> &'static str {
    if let Some(fact) = refused(table, &column.name) {
        return fact;
    }
    let plain = using.is_none_or(|using| is_cast(using, &column.name, to));
    let pair = if plain { of_pair(table, column, to, context) } else { "type.using_expr" };
    hanging(table, column, pair)
}

/// What the server refuses whatever the types are.
fn refused(table: &Table, column: &Ident) -> Option<&'static str> {
    let holds = |kind: &str| table.dependents.iter().any(|of| of.kind == kind && of.columns.contains(column));
    if holds("view") || holds("materialized view") || holds("rule") {
        return Some("type.view_dep");
    }
    holds("generated column").then_some("type.gen_stored_base")
}

/// What hangs on the column costs more than the pair of types alone.
fn hanging(table: &Table, column: &Column, pair: &'static str) -> &'static str {
    let name = &column.name;
    let rewrites = !is_instant(pair);
    let foreign = table.constraints.iter().any(|of| of.kind == ConstraintKind::ForeignKey && of.columns.contains(name));
    let referenced = table.referenced_by.iter().any(|of| of.referenced_columns.contains(name));
    let checked = table.constraints.iter().any(|of| of.kind == ConstraintKind::Check && of.columns.contains(name));
    let computed = table.indexes.iter().any(|index| {
        let says = |text: &str| super::super::gates::names(text, name);
        let expression = index.keys.iter().any(|key| key.column.is_none()) && says(&index.definition);
        index.predicate.as_deref().is_some_and(says) || expression
    });
    match () {
        () if table.kind == TableKind::Partitioned && rewrites => "type.partitioned",
        () if referenced && rewrites => "type.pk_referenced",
        () if foreign && rewrites => "type.fk_col",
        () if foreign => "type.fk_col_same",
        () if (checked || computed) && !rewrites => "type.varchar_text_partial_idx",
        () => pair,
    }
}

fn is_instant(fact: &str) -> bool {
    super::by_id(fact, 18).is_some_and(|cost| !cost.rewrites)
}

/// `USING c` and `USING c::newtype` say what the server would do by itself.
fn is_cast(using: &Expr, column: &Ident, to: &TypeName) -> bool {
    let text = using.source.trim().replace('"', "");
    let (value, cast) = text.split_once("::").map_or((text.as_str(), None), |(value, cast)| (value, Some(cast)));
    value.trim() == column.as_str() && cast.is_none_or(|cast| base(cast) == base(to.as_str()))
}

fn of_pair(table: &Table, column: &Column, to: &TypeName, context: &Context<'_>) -> &'static str {
    match (asked::kind(&column.type_name, context), asked::kind(to, context)) {
        (_, Kind::Domain { checked: true }) => return "type.int_domain_check",
        (_, Kind::Domain { checked: false }) => return "type.int_domain_nocheck",
        (Kind::Domain { .. }, Kind::Plain) => return "type.domain_base",
        (Kind::Plain, Kind::Plain) => {}
    }
    let (from, to) = (base(column.type_name.as_str()), base(to.as_str()));
    if from.array || to.array {
        return if from == to { "type.using_noop" } else { "type.array_widen" };
    }
    let indexed = has_index(table, &column.name);
    if let Some((.., fact)) = SAME_BITS.iter().find(|(one, other, _)| *one == from.name && *other == to.name)
        && to.modifiers.is_empty()
    {
        return fact;
    }
    if from.name == to.name {
        return same_type(&from, &to);
    }
    match (from.name.as_str(), to.name.as_str()) {
        ("text", "varchar") if to.modifiers.is_empty() => "type.text_varchar",
        ("text", "varchar") => "type.text_varchar_n",
        ("text" | "varchar", "citext") if indexed => "type.text_citext_indexed",
        ("text" | "varchar", "citext") => "type.text_citext",
        ("timestamp", "timestamptz") if is_utc(context) && from.modifiers == to.modifiers => "type.ts_tstz_utc",
        ("timestamptz", "timestamp") if is_utc(context) && from.modifiers == to.modifiers => "type.tstz_ts_utc",
        ("timestamp", "timestamptz") => "type.ts_tstz_paris",
        ("timestamptz", "timestamp") => "type.tstz_ts_paris",
        ("int2", "int4") => "type.smallint_int",
        ("int2" | "int4", "int8") if indexed => "type.int_bigint_indexed",
        ("int2" | "int4", "int8") => "type.int_bigint",
        ("int2" | "int4" | "int8", "numeric") => "type.int_numeric",
        ("float4", "float8") => "type.float4_8",
        ("bpchar", "text") => "type.char_text",
        ("bpchar", "varchar") => "type.char_varchar",
        ("varchar", "bpchar") => "type.varchar_char",
        ("json", "jsonb") => "type.json_jsonb",
        ("jsonb", "json") => "type.jsonb_json",
        ("json", "text") => "type.json_text",
        (_, "text") => "type.int_text",
        _ => "type.using_expr",
    }
}

/// The same type with other modifiers: wider ones are the same bits, where the type's support function says so.
fn same_type(from: &Base, to: &Base) -> &'static str {
    if from.modifiers == to.modifiers {
        return "type.using_noop";
    }
    // The precision of an interval stands behind the fields that it has.
    let first = |of: &Base| if of.name == "interval" { of.modifiers.last() } else { of.modifiers.first() }.copied();
    let wider = match (first(from), first(to)) {
        (_, None) => true,
        (None, Some(_)) => false,
        (Some(from), Some(to)) => to >= from,
    };
    match from.name.as_str() {
        "varchar" if to.modifiers.is_empty() => "type.varchar_unlimited",
        "varchar" if wider => "type.varchar_widen",
        "varchar" => "type.varchar_narrow",
        "numeric" if to.modifiers.is_empty() => "type.numeric_unconstrained",
        "numeric" if from.modifiers.is_empty() => "type.numeric_constrain",
        "numeric" if from.modifiers.get(1).unwrap_or(&0) != to.modifiers.get(1).unwrap_or(&0) => {
            "type.numeric_scale_up"
        }
        "numeric" if wider => "type.numeric_prec_up",
        "numeric" => "type.numeric_prec_down",
        "varbit" if wider => "type.varbit_widen",
        "timestamp" | "timestamptz" | "time" | "timetz" if wider => "type.ts3_ts6",
        "timestamp" | "timestamptz" | "time" | "timetz" => "type.ts_ts3",
        "interval" if wider => "type.interval3_interval",
        "interval" => "type.interval_down",
        "bpchar" => "type.char_widen",
        _ => "type.using_expr",
    }
}

/// The server compares the zone's offset over all time with nothing; these zones have none.
fn is_utc(context: &Context<'_>) -> bool {
    const ZERO: &[&str] = &["UTC", "GMT", "ETC/UTC", "ETC/GMT", "UCT", "ETC/UCT", "ZULU", "UNIVERSAL"];
    let zone = context.server.settings.get("TimeZone").map(|zone| zone.to_ascii_uppercase());
    zone.is_some_and(|zone| ZERO.contains(&zone.as_str()))
}

fn base(spelled: &str) -> Base {
    let mut rest = spelled.trim().replace('"', "").to_ascii_lowercase();
    let array = rest.ends_with("[]");
    while let Some(element) = rest.strip_suffix("[]") {
        rest = element.trim_end().to_owned();
    }
    let modifiers = rest.split_once('(').and_then(|(_, tail)| tail.split(')').next().map(str::to_owned));
    let modifiers = modifiers.iter().flat_map(|m| m.split(',')).filter_map(|m| m.trim().parse().ok()).collect();
    let (head, tail) = match (rest.find('('), rest.find(')')) {
        (Some(open), Some(close)) => (&rest[..open], &rest[close + 1..]),
        _ => (rest.as_str(), ""),
    };
    let name = [head.trim(), tail.trim()].join(" ");
    let name = name.trim().rsplit('.').next().unwrap_or_default();
    let name = match name {
        "bigint" => "int8",
        "integer" | "int" => "int4",
        "smallint" => "int2",
        "real" => "float4",
        "double precision" | "float" => "float8",
        "boolean" => "bool",
        "character varying" => "varchar",
        "character" | "char" => "bpchar",
        "decimal" => "numeric",
        "bit varying" => "varbit",
        "timestamp without time zone" => "timestamp",
        "timestamp with time zone" => "timestamptz",
        "time without time zone" => "time",
        "time with time zone" => "timetz",
        other => other,
    };
    Base { name: name.to_owned(), modifiers, array }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_type_is_known_by_each_of_its_spellings() {
        assert_eq!(base("pg_catalog.int8"), base("bigint"));
        assert_eq!(base("timestamp(3) without time zone"), base("pg_catalog.timestamp(3)"));
        assert_eq!(base("numeric(10, 2)").modifiers, [10, 2]);
        assert_eq!(base("character varying(10)[]"), Base { name: "varchar".into(), modifiers: vec![10], array: true });
    }
}
