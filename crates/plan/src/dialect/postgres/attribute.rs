//! What the catalog says of a column beyond its type: what an undo must bring back.

use segue_model::ident::{Ident, TableName};
use segue_model::probe::{Answer, Probe};
use segue_model::sql::{Hole, Sql};
use segue_model::value::{Row, Value};

use super::mirror::{display, regclass};
use super::sql;
use crate::operation::Context;
use crate::refusal::Refusal;

/// The first version with a compression a column.
const COMPRESSION: u32 = 14;

/// The first version whose NOT NULL has a name.
pub(super) const NAMED_NOT_NULL: u32 = 18;

/// A column as `pg_attribute` and `pg_sequence` have it.
#[derive(Debug, Clone)]
pub(super) struct Attribute {
    /// The statistics target; -1 for the system's own.
    pub(super) statistics: i64,
    /// `n_distinct=100`, `n_distinct_inherited=-0.5`.
    pub(super) options: Vec<(String, String)>,
    /// `PLAIN`, `EXTERNAL`, `MAIN` or `EXTENDED`.
    pub(super) storage: &'static str,
    /// `pglz`, `lz4` or `default`.
    pub(super) compression: &'static str,
    /// `s` or `v`; a blank for a column that is not generated.
    pub(super) generated: char,
    /// `ALWAYS` or `BY DEFAULT`.
    pub(super) identity: Option<&'static str>,
    /// The name of its NOT NULL (from 18 on).
    pub(super) not_null: Option<Ident>,
    /// The sequence of its identity.
    pub(super) sequence: Option<Sequence>,
}

/// A sequence, and how it counts.
#[derive(Debug, Clone)]
pub(super) struct Sequence {
    /// Its name.
    pub(super) name: TableName,
    /// Start, increment, least, greatest, cache.
    pub(super) numbers: [i64; 5],
    /// `CYCLE`.
    pub(super) cycle: bool,
}

/// Returns the question.
pub(super) fn probe(table: &TableName, column: &Ident, context: &Context<'_>) -> Probe {
    let major = context.server.version.major;
    let compression =
        Sql::fixed(if major >= COMPRESSION { "a.attcompression::pg_catalog.text" } else { "''::pg_catalog.text" });
    let not_null = Sql::fixed(if major >= NAMED_NOT_NULL {
        "(SELECT k.conname FROM pg_catalog.pg_constraint AS k WHERE k.conrelid = a.attrelid AND k.contype = 'n' \
         AND k.conkey = ARRAY[a.attnum])"
    } else {
        "NULL::pg_catalog.text"
    });
    let sql = sql(
        include_str!("attribute.sql").trim_end(),
        &[
            ("compression", Hole::Sql(&compression)),
            ("not_null", Hole::Sql(&not_null)),
            ("table", Hole::Sql(&regclass(table))),
            ("column", Hole::Text(column.as_str())),
        ],
    );
    Probe { key: key(table, column), sql }
}

/// Returns what the server said.
///
/// # Errors
/// A refusal when it did not.
pub(super) fn of(table: &TableName, column: &Ident, context: &Context<'_>) -> Result<Attribute, Refusal> {
    let row = match context.answers.get(&key(table, column)) {
        Some(Answer::Rows(rows)) => rows.first().and_then(read),
        Some(Answer::Failed { .. } | Answer::TimedOut) | None => None,
    };
    row.ok_or_else(|| Refusal::Impossible {
        what: format!("what the catalog says of `{}.{column}` could not be read", table.name),
        why: "without it there is no way back".to_owned(),
        instead: "Try again; if it stays, check the connection and the role's rights.".to_owned(),
    })
}

fn read(row: &Row) -> Option<Attribute> {
    let text = |at: usize| row.get(at).and_then(Value::as_str);
    let letter = |at: usize| text(at).and_then(|text| text.chars().next()).unwrap_or(' ');
    Some(Attribute {
        statistics: text(0)?.parse().ok()?,
        options: options(text(1)?)?,
        storage: match letter(2) {
            'p' => "PLAIN",
            'e' => "EXTERNAL",
            'm' => "MAIN",
            _ => "EXTENDED",
        },
        compression: match letter(3) {
            'p' => "pglz",
            'l' => "lz4",
            _ => "default",
        },
        generated: letter(4),
        identity: match letter(5) {
            'a' => Some("ALWAYS"),
            'd' => Some("BY DEFAULT"),
            _ => None,
        },
        not_null: text(6).and_then(|name| Ident::new(name).ok()),
        sequence: sequence(row),
    })
}

/// The server lets numbers alone in.
fn options(printed: &str) -> Option<Vec<(String, String)>> {
    let one = |option: &str| {
        let (name, value) = option.split_once('=')?;
        let known = matches!(name, "n_distinct" | "n_distinct_inherited") && value.parse::<f64>().is_ok();
        known.then(|| (name.to_owned(), value.to_owned()))
    };
    printed.split(',').filter(|option| !option.is_empty()).map(one).collect()
}

fn sequence(row: &Row) -> Option<Sequence> {
    let text = |at: usize| row.get(at).and_then(Value::as_str);
    let number = |at: usize| row.get(at).and_then(Value::as_i64);
    Some(Sequence {
        name: TableName { schema: Ident::new(text(7)?).ok()?, name: Ident::new(text(8)?).ok()? },
        numbers: [number(9)?, number(10)?, number(11)?, number(12)?, number(13)?],
        cycle: row.get(14).and_then(Value::as_bool)?,
    })
}

fn key(table: &TableName, column: &Ident) -> String {
    format!("attribute:{}:{}", display(table), column.as_str())
}
