//! What is known of SQLite's own functions: when they are NULL and whether they can raise an error.

use segue_model::expr::Nullness;

use crate::nullness::{Meaning, all};

/// NULL only when an argument is.
const STRICT: &[&str] = &[
    "abs",
    "hex",
    "instr",
    "length",
    "like",
    "glob",
    "lower",
    "ltrim",
    "octet_length",
    "replace",
    "round",
    "rtrim",
    "substr",
    "substring",
    "trim",
    "upper",
];

/// Never an error, for any input.
const NEVER_RAISE: &[&str] = &[
    "ceil",
    "ceiling",
    "char",
    "coalesce",
    "concat",
    "concat_ws",
    "date",
    "datetime",
    "floor",
    "format",
    "glob",
    "hex",
    "ifnull",
    "iif",
    "if",
    "instr",
    "julianday",
    "length",
    "lower",
    "ltrim",
    "max",
    "min",
    "nullif",
    "octet_length",
    "printf",
    "quote",
    "replace",
    "round",
    "rtrim",
    "sign",
    "strftime",
    "substr",
    "substring",
    "time",
    "trim",
    "typeof",
    "unicode",
    "unixepoch",
    "upper",
];

/// Functions of many rows: they have no meaning in a transform of one row.
const OF_MANY_ROWS: &[&str] = &[
    "avg",
    "count",
    "group_concat",
    "json_group_array",
    "json_group_object",
    "jsonb_group_array",
    "jsonb_group_object",
    "median",
    "percentile",
    "string_agg",
    "sum",
    "total",
];

/// Returns whether a call of this function takes many rows; `max` and `min` do with one argument.
pub(super) fn is_of_many_rows(name: &str, arguments: usize) -> bool {
    OF_MANY_ROWS.contains(&name) || (arguments == 1 && matches!(name, "max" | "min"))
}

/// Returns what is known of a call.
pub(super) fn call(name: &str, known: &[Meaning]) -> Meaning {
    let nullness = |at: usize| known.get(at).map_or(Nullness::Unknown, |one| one.nullness.clone());
    let meaning = match name {
        "coalesce" | "ifnull" => Meaning::unknown(known).with(all(known.iter().map(|one| one.nullness.clone()))),
        "concat" | "typeof" | "quote" | "hex" => Meaning::unknown(known).with(Nullness::Never),
        // `printf` is left out: it makes NULL of an empty result.
        "concat_ws" => Meaning::unknown(known).with(nullness(0)),
        "max" | "min" => Meaning::strict(known),
        _ if STRICT.contains(&name) => Meaning::strict(known),
        _ => Meaning::unknown(known),
    };
    meaning.raising(!NEVER_RAISE.contains(&name))
}
