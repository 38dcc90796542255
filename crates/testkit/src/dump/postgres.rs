//! A schema of a PostgreSQL database.

use super::row_text;
use crate::client::{Client, quoted};

/// Returns everything about the objects of one schema as sorted lines. The role should be a superuser or the owner.
///
/// # Panics
/// When the server does not answer.
#[track_caller]
pub fn catalog(url: &str, schema: &str) -> Vec<String> {
    let mut client = Client::connect(url);
    // Names then come out with their schema wherever the server prints one.
    client.batch("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET LOCAL search_path = pg_catalog");
    let publications = if has_row_filters(&mut client) {
        include_str!("publications_15.sql")
    } else {
        include_str!("publications.sql")
    };
    let mut lines = Vec::new();
    for query in [
        include_str!("relations.sql"),
        include_str!("columns.sql"),
        include_str!("constraints.sql"),
        include_str!("indexes.sql"),
        include_str!("programs.sql"),
        include_str!("types.sql"),
        include_str!("grants.sql"),
        include_str!("comments.sql"),
        publications,
    ] {
        lines.extend(client.column(query, &[schema]));
    }
    lines.sort();
    lines
}

/// Returns the rows of a table (`table` and `order` are SQL: `app."users"`, `id`) as text, one line a row, columns by name.
///
/// # Panics
/// When the server does not answer.
#[track_caller]
pub fn rows(url: &str, table: &str, order: &str) -> Vec<String> {
    let mut client = Client::connect(url);
    let columns = client.column(
        "SELECT attname::text FROM pg_attribute WHERE attrelid = ($1::text)::regclass AND attnum > 0 AND NOT attisdropped
         ORDER BY attname COLLATE \"C\"",
        &[table],
    );
    let list: Vec<String> = columns.iter().map(|column| format!("{}::text", quoted(column))).collect();
    let rows = client.rows(&format!("SELECT {} FROM {table} ORDER BY {order}", list.join(", ")));
    rows.into_iter().map(|row| row_text(&columns, row.into_iter())).collect()
}

fn has_row_filters(client: &mut Client) -> bool {
    let number = client.value("SHOW server_version_num").expect("a server knows its version");
    number.parse::<u32>().expect("server_version_num is a number") >= 150_000
}
