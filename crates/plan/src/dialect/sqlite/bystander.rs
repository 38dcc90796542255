//! Views and triggers of others that name a column which goes, and that the plan does not know.
//!
//! A swap of names looks at no text: the view would fail from then on, and every write that fires the trigger; a name in quotes
//! that is no column any more even becomes a text, silently. `DROP COLUMN` refuses some of them, but looks neither at names in
//! quotes nor into every statement of a trigger.

use segue_model::catalog::{Catalog, TableKind};
use segue_model::ident::{Ident, TableName};
use segue_model::sql::{Hole, Sql};
use segue_model::step::Condition;

use super::sql;
use crate::figures::listed;

/// Returns the condition on a row of `sqlite_schema` that it is one. It rather finds too many: the text is searched for the
/// column's name as a word, and for the table's, or that of a view that leads to it. What had the same text when the table was
/// inspected means another one.
pub(super) fn named(table: &TableName, columns: &[Ident], catalog: &Catalog) -> Sql {
    let patterns: Vec<Sql> = columns
        .iter()
        .map(|column| {
            sql(
                "' ' || replace(lower(sql), '\"', ' ') || ' ' GLOB {pattern}",
                &[("pattern", Hole::Text(&pattern(column)))],
            )
        })
        .collect();
    let views = catalog.tables.iter().filter(|table| table.kind == TableKind::View);
    let views = views.filter_map(|view| Some((&view.name.name, view.sql.as_deref()?)));
    let triggers = catalog.tables.iter().flat_map(|table| &table.triggers);
    let triggers = triggers.map(|trigger| (&trigger.name, trigger.definition.as_str()));
    let names_one = |text: &str| columns.iter().any(|column| is_named(column, text));
    let known = views.chain(triggers).filter(|(_, text)| names_one(text)).map(|(name, text)| as_inspected(name, text));
    sql(
        include_str!("rebuild/named.sql").trim_end(),
        &[
            ("patterns", Hole::Join(&patterns, " OR ")),
            ("known", Hole::Join(&listed_rows(known), ", ")),
            ("table", Hole::Text(&pattern(&table.name))),
        ],
    )
}

/// Returns an object's name and its text without quotes, which SQLite adds when it renames a column there and back.
pub(super) fn as_inspected(name: &Ident, text: &str) -> Sql {
    sql("({name}, {text})", &[("name", Hole::Text(name.as_str())), ("text", Hole::Text(&text.replace('"', "")))])
}

/// Returns rows for `VALUES`, which takes no empty list: the first is no object's.
pub(super) fn listed_rows(rows: impl Iterator<Item = Sql>) -> Vec<Sql> {
    [Sql::fixed("('', '')")].into_iter().chain(rows).collect()
}

/// Returns what fails for each of them.
pub(super) fn fail(named: &Sql, columns: &[Ident]) -> Sql {
    let says = format!(
        "names {}, which would be gone: drop it, or change it, and run the same command again",
        listed(columns)
    );
    sql(
        "SELECT segue_fail('the ' || type || ' `' || name || '` ' || {says}) FROM main.sqlite_schema WHERE {named}",
        &[("says", Hole::Text(&says)), ("named", Hole::Sql(named))],
    )
}

/// Returns the condition that there is none, which names them.
pub(super) fn condition(named: &Sql, columns: &[Ident]) -> Condition {
    let columns = listed(columns);
    Condition {
        sql: sql(
            "SELECT 'the ' || type || ' `' || name || '` names a column that goes' FROM main.sqlite_schema WHERE {named}",
            &[("named", Hole::Sql(named))],
        ),
        says: format!("no view and no trigger names {columns}"),
        hint: format!("Drop it, or change it so that it does without {columns}; then run the same command again."),
    }
}

/// Returns what finds a name as a word. Letters beyond ASCII count as the end of a word, as they do in [`is_named`].
fn pattern(column: &Ident) -> String {
    let letter = |letter: char| match letter {
        '*' | '?' | '[' => format!("[{letter}]"),
        '"' => "*".to_owned(),
        other => other.to_ascii_lowercase().to_string(),
    };
    let name: String = column.as_str().chars().map(letter).collect();
    format!("*[^a-z0-9_$]{name}[^a-z0-9_$]*")
}

fn is_named(column: &Ident, text: &str) -> bool {
    let (name, text) = (column.as_str().to_ascii_lowercase(), text.to_ascii_lowercase());
    let ends = |letter: Option<char>| !letter.is_some_and(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '$'));
    let is_word = |at: usize| ends(text[..at].chars().next_back()) && ends(text[at + name.len()..].chars().next());
    name.contains('"') || text.match_indices(&name).any(|(at, _)| is_word(at))
}
