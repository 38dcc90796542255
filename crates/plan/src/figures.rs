//! Numbers and names as sentences print them.

use segue_model::catalog::{Catalog, Table};
use segue_model::ident::{Ident, TableRef};
use segue_model::lock::LockMode;
use segue_model::sql::TypeName;

/// Returns a number in groups of three digits: `1,000,000`.
pub(crate) fn grouped(n: u64) -> String {
    let digits = n.to_string();
    let mut grouped = String::with_capacity(digits.len() * 4 / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

/// Returns how many rows a table has: `1,000,000 rows`, or that nobody has counted them.
pub(crate) fn rows(table: &Table) -> String {
    match table.size.rows {
        Some(1) => "1 row".to_owned(),
        Some(n) => format!("{} rows", grouped(n)),
        None => "rows that have not been counted yet".to_owned(),
    }
}

/// Words of SQL for types that PostgreSQL knows by another name.
const TYPE_WORDS: &[(&str, &str)] = &[
    ("bool", "boolean"),
    ("bpchar", "character"),
    ("float4", "real"),
    ("float8", "double precision"),
    ("int2", "smallint"),
    ("int4", "integer"),
    ("int8", "bigint"),
    ("timestamptz", "timestamp with time zone"),
    ("timetz", "time with time zone"),
    ("varchar", "character varying"),
];

/// Returns a type as people write it: `bigint` for `pg_catalog.int8`.
pub(crate) fn shown_type(name: &TypeName) -> String {
    let Some(bare) = name.as_str().strip_prefix("pg_catalog.") else { return name.to_string() };
    let (word, rest) = bare.split_at(bare.find(['(', '[']).unwrap_or(bare.len()));
    let shown = TYPE_WORDS.iter().find(|(known, _)| *known == word).map_or(word, |(_, shown)| shown);
    // The precision of a time stands before its zone.
    match (shown.split_once(" with "), rest.starts_with('(')) {
        (Some((kind, zone)), true) => format!("{kind}{rest} with {zone}"),
        _ => [shown, rest].concat(),
    }
}

/// Returns a lock as sentences call it: PostgreSQL's own name, or `write lock`.
pub(crate) fn lock(mode: LockMode) -> &'static str {
    match mode {
        LockMode::Write => "write lock",
        LockMode::None => "no lock",
        other => other.name(),
    }
}

/// Returns names in backticks, separated by commas, for a sentence.
pub(crate) fn listed<'a>(names: impl IntoIterator<Item = &'a Ident>) -> String {
    names.into_iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

/// Returns a name as a person would type it in SQL: bare where that means the same on every engine, else in double quotes.
pub(crate) fn typed(name: &Ident) -> String {
    let plain = |c: char| c.is_ascii_lowercase() || c == '_' || c.is_ascii_digit();
    let text = name.as_str();
    if text.chars().all(plain) && !text.starts_with(|c: char| c.is_ascii_digit()) {
        text.to_owned()
    } else {
        format!("\"{}\"", name.to_string().replace('"', "\"\""))
    }
}

/// Returns a table as a person would type it: without its schema where the search path finds it.
pub(crate) fn typed_table(table: &Table, catalog: &Catalog) -> String {
    let name = typed(&table.name.name);
    let bare = TableRef { schema: None, name: table.name.name.clone() };
    if catalog.find(&bare).is_some_and(|found| found.name == table.name) {
        name
    } else {
        format!("{}.{name}", typed(&table.name.schema))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped_from_the_right() {
        let all = [0, 7, 999, 1_000, 12_345, 1_000_000].map(grouped);
        assert_eq!(all, ["0", "7", "999", "1,000", "12,345", "1,000,000"]);
    }

    #[test]
    fn types_are_shown_by_their_words() {
        let shown = |name: &str| shown_type(&TypeName::spelled(name));
        assert_eq!(shown("pg_catalog.int8"), "bigint");
        assert_eq!(shown("pg_catalog.varchar(50)"), "character varying(50)");
        assert_eq!(shown("pg_catalog.timestamptz(3)"), "timestamp(3) with time zone");
        assert_eq!(shown("pg_catalog.int4[]"), "integer[]");
        assert_eq!(shown("app.\"mood\""), "app.\"mood\"");
    }

    #[test]
    fn names_are_quoted_only_where_they_must_be() {
        assert_eq!(typed(&Ident::known("full_name")), "full_name");
        assert_eq!(typed(&Ident::known("fullName")), "\"fullName\"");
        assert_eq!(typed(&Ident::known("we\"ird")), "\"we\"\"ird\"");
        assert_eq!(typed(&Ident::known("1st")), "\"1st\"");
    }
}
