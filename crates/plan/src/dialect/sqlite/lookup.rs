//! Functions that a trigger may call: it runs in the application's library, which may be older than ours.

use segue_model::expr::{Expr, NameKind};
use segue_model::server::Version;

use crate::operation::Context;
use crate::refusal::Refusal;

/// Built-in scalar functions that no build leaves out, by the minor version of 3.x that brought them; 35 is our oldest.
const FUNCTIONS: [(&str, u32); 54] = [
    ("abs", 35),
    ("char", 35),
    ("coalesce", 35),
    ("concat", 44),
    ("concat_ws", 44),
    ("date", 35),
    ("datetime", 35),
    ("format", 38),
    ("glob", 35),
    ("hex", 35),
    ("if", 48),
    ("ifnull", 35),
    ("iif", 35),
    ("instr", 35),
    ("json", 38),
    ("json_array", 38),
    ("json_array_length", 38),
    ("json_extract", 38),
    ("json_insert", 38),
    ("json_object", 38),
    ("json_patch", 38),
    ("json_quote", 38),
    ("json_remove", 38),
    ("json_replace", 38),
    ("json_set", 38),
    ("json_type", 38),
    ("json_valid", 38),
    ("julianday", 35),
    ("length", 35),
    ("like", 35),
    ("likelihood", 35),
    ("likely", 35),
    ("lower", 35),
    ("ltrim", 35),
    ("max", 35),
    ("min", 35),
    ("nullif", 35),
    ("octet_length", 43),
    ("printf", 35),
    ("quote", 35),
    ("random", 35),
    ("randomblob", 35),
    ("replace", 35),
    ("round", 35),
    ("rtrim", 35),
    ("strftime", 35),
    ("substr", 35),
    ("substring", 35),
    ("time", 35),
    ("trim", 35),
    ("typeof", 35),
    ("unhex", 41),
    ("unicode", 35),
    ("upper", 35),
];

/// Functions that came with a version, but only for this many arguments or in this form are told by the text.
const FORMS: [(&str, u32); 4] = [("->", 38), ("unixepoch", 38), ("timediff", 43), ("distinct from", 39)];

/// Words whose value is another the next time, and clocks that are asked without saying when.
const VOLATILE: [&str; 5] = ["random", "randomblob", "current_timestamp", "current_date", "current_time"];
const CLOCKS: [&str; 5] = ["'now'", "date()", "time()", "julianday()", "unixepoch()"];

/// Refuses a transform that the oldest library which writes the file would not understand.
///
/// # Errors
/// A refusal that names the function.
pub(super) fn known(expr: &Expr, context: &Context<'_>) -> Result<(), Refusal> {
    let oldest = Version { major: 3, minor: 35, patch: 0 };
    let version = context.server.app_version.clone().unwrap_or(oldest);
    let functions =
        expr.uses.iter().filter(|name| name.kind == NameKind::Function).map(|name| name.name.to_ascii_lowercase());
    for function in functions {
        let known = FUNCTIONS.iter().chain(&FORMS).find(|(name, _)| *name == function);
        let Some((_, since)) = known else { return Err(unknown(&function, expr)) };
        newer(&function, *since, &version, expr)?;
    }
    let source = expr.source.to_ascii_lowercase();
    FORMS
        .iter()
        .filter(|(form, _)| source.contains(form))
        .try_for_each(|(form, since)| newer(form, *since, &version, expr))
}

fn newer(function: &str, since: u32, version: &Version, expr: &Expr) -> Result<(), Refusal> {
    if (version.major, version.minor) >= (3, since) {
        return Ok(());
    }
    let has = format!("3.{}.{}", version.minor, version.patch);
    Err(Refusal::Impossible {
        what: format!("the transform `{}`", expr.source),
        why: format!(
            "`{function}` came with SQLite 3.{since}, and the sync triggers run in your application's library, \
             which is {has} as far as the file or the configuration tells"
        ),
        instead: "Write it with older functions (`||`, coalesce, substr, instr), or set `sqlite.app_version` in \
                  `segue.toml` when every application is newer."
            .to_owned(),
    })
}

fn unknown(function: &str, expr: &Expr) -> Refusal {
    Refusal::Impossible {
        what: format!("the transform `{}`", expr.source),
        why: format!(
            "`{function}` is not a function that every build of SQLite has: the sync triggers run in your application's \
             library, and a write would fail where it is missing"
        ),
        instead: "Write it with built-in functions.".to_owned(),
    }
}

/// Refuses a transform whose value is another the next time: two shapes could never be compared.
///
/// # Errors
/// A refusal that names the function.
pub(super) fn stable(expr: &Expr) -> Result<(), Refusal> {
    let source = expr.source.to_ascii_lowercase();
    let squeezed: String = source.split_whitespace().collect();
    let is_column = |word: &str| expr.columns().iter().any(|column| column.as_str().eq_ignore_ascii_case(word));
    let mut words = source.split(|c: char| !c.is_alphanumeric() && c != '_');
    let word = words.find(|word| VOLATILE.contains(word) && !is_column(word));
    match word.or_else(|| CLOCKS.into_iter().find(|clock| squeezed.contains(clock))) {
        None => Ok(()),
        Some(word) => Err(Refusal::Impossible {
            what: format!("the transform `{}`", expr.source),
            why: format!("`{word}` gives another value each time, so the two shapes cannot be compared"),
            instead: "Use only the columns of the row.".to_owned(),
        }),
    }
}
