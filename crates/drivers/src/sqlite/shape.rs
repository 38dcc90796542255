//! The structure of tables as text.

use std::time::Duration;

use segue_model::ident::TableName;
use segue_model::session::{Fail, Session};
use segue_model::value::Value;

use super::ddl;
use super::inspect::{Entry, naming};
use super::run::SqliteSession;

const LIMIT: Duration = Duration::from_secs(10);

/// Everything that has a definition.
pub(super) const SCHEMA: &str = "SELECT type, name, tbl_name, rootpage, sql FROM main.sqlite_schema ORDER BY rowid";

/// See [`Session::shape`].
pub(super) fn shape(session: &mut SqliteSession, tables: &[TableName]) -> Result<String, Fail> {
    let rows = session.query(SCHEMA, &[], LIMIT)?;
    let entries: Vec<Entry> = rows.iter().filter_map(|row| Entry::of(row.as_slice())).collect();
    let others: Vec<&Entry> = entries.iter().filter(|e| e.kind == "view" || e.kind == "trigger").collect();
    let mut lines = vec![];
    for table in tables {
        let table = table.name.as_str();
        if !entries.iter().any(|entry| entry.name.eq_ignore_ascii_case(table)) {
            lines.push(format!("{} is missing", quoted(table)));
        }
        lines.extend(entries.iter().filter(|entry| entry.table.eq_ignore_ascii_case(table)).map(line));
        lines.extend(naming(&others, table).into_iter().map(line));
    }
    lines.sort();
    lines.dedup();
    Ok(lines.join("\n"))
}

/// One line; a name or text that holds a line break is escaped.
fn line(entry: &Entry) -> String {
    let sql = ddl::one_spelling(&entry.sql).replace('\\', "\\\\").replace('\n', "\\n").replace('\r', "\\r");
    format!("{} {} on {}: {sql}", entry.kind, quoted(&entry.name), quoted(&entry.table))
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.escape_default())
}

/// Returns the text in a column of a row; NULL is empty.
pub(super) fn text(row: &[Value], at: usize) -> String {
    row.get(at).and_then(Value::as_str).unwrap_or_default().to_owned()
}
