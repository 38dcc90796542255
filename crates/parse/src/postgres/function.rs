//! What is known of PostgreSQL's own functions and operators: when they are NULL and whether they can raise an error.

use pg_query::NodeEnum;
use pg_query::protobuf::{AConst, Node, a_const};
use segue_model::expr::Nullness;

use crate::nullness::Meaning;

/// Without arguments: never NULL and never an error.
const PLAIN: &[&str] =
    &["clock_timestamp", "gen_random_uuid", "now", "random", "statement_timestamp", "transaction_timestamp"];

/// NULL only when an argument is.
const STRICT: &[&str] = &[
    "abs",
    "ascii",
    "bit_length",
    "btrim",
    "ceil",
    "ceiling",
    "char_length",
    "character_length",
    "chr",
    "date_trunc",
    "decode",
    "encode",
    "floor",
    "initcap",
    "left",
    "length",
    "like_escape",
    "lower",
    "lpad",
    "ltrim",
    "md5",
    "mod",
    "octet_length",
    "overlay",
    "position",
    "power",
    "quote_ident",
    "quote_literal",
    "regexp_replace",
    "repeat",
    "replace",
    "reverse",
    "right",
    "round",
    "rpad",
    "rtrim",
    "sign",
    "split_part",
    "sqrt",
    "starts_with",
    "strpos",
    "substr",
    "timezone",
    "translate",
    "trunc",
    "upper",
];

/// Never an error, for any input of the right types.
const NEVER_RAISE: &[&str] = &[
    "ascii",
    "bit_length",
    "btrim",
    "char_length",
    "character_length",
    "concat",
    "concat_ws",
    "initcap",
    "left",
    "length",
    "lower",
    "ltrim",
    "md5",
    "octet_length",
    "position",
    "quote_ident",
    "quote_literal",
    "replace",
    "reverse",
    "right",
    "rtrim",
    "starts_with",
    "strpos",
    "translate",
    "upper",
];

/// Functions of more than one row: they have no meaning in a transform of one row.
const OF_MANY_ROWS: &[&str] = &[
    "array_agg",
    "avg",
    "bit_and",
    "bit_or",
    "bit_xor",
    "bool_and",
    "bool_or",
    "count",
    "every",
    "generate_series",
    "generate_subscripts",
    "json_agg",
    "json_array_elements",
    "json_array_elements_text",
    "json_each",
    "json_each_text",
    "json_object_agg",
    "json_object_keys",
    "jsonb_agg",
    "jsonb_array_elements",
    "jsonb_array_elements_text",
    "jsonb_each",
    "jsonb_each_text",
    "jsonb_object_agg",
    "jsonb_object_keys",
    "jsonb_path_query",
    "max",
    "min",
    "mode",
    "percentile_cont",
    "percentile_disc",
    "regexp_matches",
    "regexp_split_to_table",
    "row_number",
    "string_agg",
    "string_to_table",
    "sum",
    "unnest",
    "xmlagg",
];

/// NULL only when an operand is.
const STRICT_OPERATORS: &[&str] = &[
    "+", "-", "*", "/", "%", "^", "||", "=", "<>", "!=", "<", ">", "<=", ">=", "~~", "!~~", "~~*", "!~~*", "~", "!~",
    "~*", "!~*", "&", "|", "#", "<<", ">>", "@", "^@",
];

const NEVER_RAISE_OPERATORS: &[&str] = &["||", "=", "<>", "!=", "<", ">", "<=", ">=", "^@"];

/// They raise an error on a malformed pattern only.
const MATCH_OPERATORS: &[&str] = &["~~", "!~~", "~~*", "!~~*", "~", "!~", "~*", "!~*"];

/// Returns whether this function makes or takes many rows.
pub(super) fn is_of_many_rows(name: &str) -> bool {
    OF_MANY_ROWS.contains(&name)
}

/// Returns what is known of a call of a built-in function.
pub(super) fn call(name: &str, arguments: &[Node], known: &[Meaning], variadic: bool) -> Meaning {
    let meaning = match name {
        "concat" | "num_nulls" | "num_nonnulls" if !variadic => Meaning::unknown(known).with(Nullness::Never),
        "concat_ws" | "format" if !variadic => {
            let first = known.first().map_or(Nullness::Unknown, |first| first.nullness.clone());
            Meaning::unknown(known).with(first)
        }
        // With a pattern instead of a position it is NULL where nothing matches.
        "substring" if arguments.get(1).is_some_and(is_number) => Meaning::strict(known),
        _ if STRICT.contains(&name) => Meaning::strict(known),
        _ if PLAIN.contains(&name) && known.is_empty() => Meaning::unknown(known).with(Nullness::Never),
        _ => Meaning::unknown(known),
    };
    meaning.raising(!never_raises(name, arguments) || variadic)
}

fn never_raises(name: &str, arguments: &[Node]) -> bool {
    let at = |index: usize| arguments.get(index);
    match name {
        "split_part" => at(2).and_then(integer).is_some_and(|n| n > 0),
        // A negative length is an error.
        "substr" | "substring" => match (at(1), at(2)) {
            (Some(_), Some(length)) => integer(length).is_some_and(|n| n >= 0),
            (Some(from), None) => is_number(from) || string(from).is_some(),
            _ => false,
        },
        "regexp_replace" => arguments.iter().skip(1).all(|argument| string(argument).is_some()),
        "similar_to_escape" | "like_escape" => arguments.iter().all(|argument| string(argument).is_some()),
        _ => NEVER_RAISE.contains(&name) || (PLAIN.contains(&name) && arguments.is_empty()),
    }
}

/// Returns what is known of a built-in operator.
pub(super) fn operator(name: &str, right: Option<&Node>, known: &[Meaning]) -> Meaning {
    let meaning = if STRICT_OPERATORS.contains(&name) { Meaning::strict(known) } else { Meaning::unknown(known) };
    let pattern = right.is_some_and(is_pattern) && MATCH_OPERATORS.contains(&name);
    meaning.raising(!(pattern || NEVER_RAISE_OPERATORS.contains(&name)))
}

/// Returns whether it is a literal pattern (perhaps with its escape character) that ends in no lone backslash.
fn is_pattern(node: &Node) -> bool {
    match &node.node {
        Some(NodeEnum::FuncCall(call)) => {
            let escapes = super::name::strings(&call.funcname)
                .is_some_and(|name| matches!(name.last(), Some(&("like_escape" | "similar_to_escape"))));
            let literals: Option<Vec<&str>> = call.args.iter().map(string).collect();
            escapes
                && match literals.as_deref() {
                    Some([pattern]) => !pattern.ends_with('\\'),
                    Some([pattern, escape]) => escape.chars().count() == 1 && !pattern.ends_with(escape),
                    _ => false,
                }
        }
        _ => string(node).is_some_and(|text| !text.ends_with('\\')),
    }
}

/// Returns whether the expression is a whole number, as far as its form shows.
fn is_number(node: &Node) -> bool {
    match &node.node {
        Some(NodeEnum::AConst(_)) => integer(node).is_some(),
        Some(NodeEnum::AExpr(operation)) => {
            let of_numbers =
                super::name::strings(&operation.name).is_some_and(|name| matches!(name.as_slice(), ["+" | "-" | "*"]));
            let right = operation.rexpr.as_ref().is_some_and(|node| is_number(node));
            of_numbers && right && operation.lexpr.as_ref().is_none_or(|node| is_number(node))
        }
        Some(NodeEnum::FuncCall(call)) => super::name::strings(&call.funcname).is_some_and(|name| {
            matches!(name.last(), Some(&("length" | "char_length" | "character_length" | "position" | "strpos")))
        }),
        _ => false,
    }
}

/// Returns the whole number that a literal is.
fn integer(node: &Node) -> Option<i32> {
    match constant(node)?.val.as_ref()? {
        a_const::Val::Ival(n) => Some(n.ival),
        _ => None,
    }
}

/// Returns the text that a literal is.
fn string(node: &Node) -> Option<&str> {
    match constant(node)?.val.as_ref()? {
        a_const::Val::Sval(text) => Some(&text.sval),
        _ => None,
    }
}

/// Returns the literal that a node is.
pub(super) fn constant(node: &Node) -> Option<&AConst> {
    match &node.node {
        Some(NodeEnum::AConst(constant)) => Some(constant),
        _ => None,
    }
}

/// Types that every PostgreSQL has and that users name without a schema.
const BUILT_IN_TYPES: &[&str] = &[
    "text",
    "json",
    "jsonb",
    "date",
    "uuid",
    "bytea",
    "name",
    "inet",
    "cidr",
    "macaddr",
    "int2",
    "int4",
    "int8",
    "float4",
    "float8",
    "bool",
    "timestamptz",
    "timetz",
];

/// Returns whether this is one of PostgreSQL's own types, as far as its name shows.
pub(super) fn is_built_in_type(names: &[&str]) -> bool {
    match names {
        ["pg_catalog", _] => true,
        [name] => BUILT_IN_TYPES.contains(name),
        _ => false,
    }
}

/// Returns what is known of a literal cast to one of PostgreSQL's own types: (constant, can raise).
pub(super) fn literal_cast(literal: &AConst, to: &str, has_tail: bool) -> (bool, bool) {
    const DATES: [&str; 6] = ["date", "time", "timetz", "timestamp", "timestamptz", "interval"];
    match &literal.val {
        None => (true, false),
        Some(a_const::Val::Sval(text)) => {
            // `now`, `today` and the like are literals that change.
            let is_fixed = !DATES.contains(&to) || text.sval.trim_start().starts_with(|c: char| c.is_ascii_digit());
            (is_fixed, !is_text(to) || has_tail)
        }
        Some(a_const::Val::Ival(_)) => {
            let fits = ["int4", "int8", "numeric", "float8"].contains(&to) || is_text(to);
            (true, !fits || has_tail)
        }
        Some(a_const::Val::Boolval(_)) => (true, !(to == "bool" || is_text(to)) || has_tail),
        Some(a_const::Val::Fval(_)) => (true, !(to == "numeric" || is_text(to)) || has_tail),
        Some(a_const::Val::Bsval(_)) => (true, true),
    }
}

/// Returns whether a value of any type becomes this type without an error.
pub(super) fn is_text(to: &str) -> bool {
    matches!(to, "text" | "varchar")
}
