//! A SQLite database file.

use std::path::Path;

use rusqlite::{Connection, Row};

use super::row_text;
use crate::sqlite::connect;

/// Returns everything about the objects of the file as sorted lines. Tables named `segue_…`, and what is on them, are ours
/// and left out.
///
/// The text of a table is compared definition by definition, with names unquoted where they need no quotes and space made
/// even: `ALTER TABLE` and a hand may write the same column in two ways.
///
/// # Panics
/// When the file cannot be read.
#[track_caller]
pub fn catalog(path: &Path) -> Vec<String> {
    let connection = connect(path);
    let mut lines = Vec::new();
    let objects = query(
        &connection,
        "SELECT type, name, coalesce(sql, '') FROM sqlite_schema WHERE tbl_name NOT LIKE 'segue\\_%' ESCAPE '\\'",
        &[],
        |row| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?, row.get::<_, String>(2)?)),
    );
    for (kind, name, sql) in &objects {
        if kind == "table" {
            lines.extend(table(&connection, name, sql));
        } else {
            lines.push(format!("{kind} {name}: {}", spelled(&tokens(sql))));
        }
    }
    lines.extend(header(&connection));
    if objects.iter().any(|(_, name, _)| name == "sqlite_sequence") {
        let values = "SELECT 'sequence value ' || name || ': ' || seq FROM sqlite_sequence
                      WHERE name NOT LIKE 'segue\\_%' ESCAPE '\\'";
        lines.extend(query(&connection, values, &[], |row| row.get(0)));
    }
    lines.sort();
    lines
}

/// Returns the rows of a table (`table` is its name, `order` is SQL) as text, one line a row, columns by name, each value
/// as SQLite's `quote()` writes it: the storage class shows.
///
/// # Panics
/// When the file cannot be read.
#[track_caller]
pub fn rows(path: &Path, table: &str, order: &str) -> Vec<String> {
    let connection = connect(path);
    let names = "SELECT name FROM pragma_table_xinfo(?1) WHERE hidden <> 1 ORDER BY name";
    let columns: Vec<String> = query(&connection, names, &[table], |row| row.get(0));
    let list: Vec<String> = columns.iter().map(|column| format!("quote({})", quoted(column))).collect();
    let sql = format!("SELECT {} FROM {} ORDER BY {order}", list.join(", "), quoted(table));
    query(&connection, &sql, &[], |row| {
        let values = (0..columns.len()).map(|at| row.get::<_, String>(at)).collect::<Result<Vec<_>, _>>()?;
        Ok(row_text(&columns, values.into_iter().map(Some)))
    })
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

#[track_caller]
fn query<T>(
    connection: &Connection,
    sql: &str,
    texts: &[&str],
    read: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
) -> Vec<T> {
    let run = || -> rusqlite::Result<Vec<T>> {
        connection.prepare(sql)?.query_map(rusqlite::params_from_iter(texts), read)?.collect()
    };
    run().unwrap_or_else(|error| panic!("{error}\n{sql}"))
}

/// What the file says about itself, without what counts its changes.
fn header(connection: &Connection) -> Vec<String> {
    ["user_version", "application_id", "encoding", "auto_vacuum", "journal_mode"]
        .into_iter()
        .map(|name| {
            let sql = format!("PRAGMA {name}");
            let value = query(connection, &sql, &[], |row| row.get::<_, rusqlite::types::Value>(0));
            format!("file {name}: {value:?}")
        })
        .collect()
}

/// What the pragmas say about a table, and each definition of its text.
fn table(connection: &Connection, name: &str, sql: &str) -> Vec<String> {
    let facts = [
        "SELECT 'column ' || ?1 || '.' || name || ': ' || type || ', not null ' || \"notnull\" || ', default '
           || coalesce(dflt_value, '-') || ', key ' || pk || ', hidden ' || hidden
         FROM pragma_table_xinfo(?1)",
        "SELECT 'foreign key ' || ?1 || ' to ' || \"table\" || ' (' || group_concat(pair, ', ') || ') update ' || on_update
           || ' delete ' || on_delete || ' match ' || \"match\"
         FROM (SELECT *, \"from\" || ' = ' || coalesce(\"to\", '-') AS pair FROM pragma_foreign_key_list(?1) ORDER BY id, seq)
         GROUP BY id",
        "SELECT 'index of ' || ?1 || ' ' || l.name || ': unique ' || l.\"unique\" || ' from ' || l.origin || ' partial '
           || l.partial || ' on ' || (SELECT group_concat(coalesce(x.name, 'expression or rowid') || ' ' || x.desc || ' '
                                             || x.coll || ' ' || x.key, ', ')
                                      FROM (SELECT * FROM pragma_index_xinfo(l.name) ORDER BY seqno) x)
         FROM pragma_index_list(?1) l WHERE l.origin = 'c'",
    ];
    let mut lines: Vec<String> = Vec::new();
    for fact in facts {
        lines.extend(query(connection, fact, &[name], |row| row.get(0)));
    }
    let (definitions, tail) = definitions(&tokens(sql));
    lines.extend(definitions.into_iter().map(|definition| format!("definition {name}: {definition}")));
    lines.push(format!("table {name}: {tail}"));
    lines
}

/// Splits the tokens of a CREATE TABLE at the commas of its outermost parentheses; what follows them is the tail.
fn definitions(tokens: &[String]) -> (Vec<String>, String) {
    let mut found = Vec::new();
    let mut depth = 0_u32;
    let mut begin = None;
    for (at, token) in tokens.iter().enumerate() {
        match (token.as_str(), depth, begin) {
            ("(", 0, None) => begin = Some(at + 1),
            (",", 1, Some(from)) => {
                found.push(spelled(&tokens[from..at]));
                begin = Some(at + 1);
            }
            (")", 1, Some(from)) => {
                found.push(spelled(&tokens[from..at]));
                return (found, spelled(&tokens[at + 1..]));
            }
            _ => {}
        }
        match token.as_str() {
            "(" => depth += 1,
            ")" => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    // A virtual table without arguments.
    (found, spelled(tokens))
}

fn spelled(tokens: &[String]) -> String {
    tokens.join(" ")
}

/// Splits SQL into tokens without space and comments. A quoted name that needs no quotes loses them, any other gets `"`.
fn tokens(sql: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut rest = sql.trim_start();
    while let Some(first) = rest.chars().next() {
        let length = if rest.starts_with("--") {
            rest.find('\n').unwrap_or(rest.len())
        } else if rest.starts_with("/*") {
            rest.find("*/").map_or(rest.len(), |at| at + 2)
        } else {
            let length = token_length(rest, first);
            found.push(plain(&rest[..length]));
            length
        };
        rest = rest[length..].trim_start();
    }
    found
}

fn token_length(text: &str, first: char) -> usize {
    match first {
        '\'' | '"' | '`' => quoted_length(text, first),
        '[' => text.find(']').map_or(text.len(), |at| at + 1),
        _ if is_word(first) => text.find(|c| !is_word(c)).unwrap_or(text.len()),
        _ => first.len_utf8(),
    }
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_' || c == '$' || !c.is_ascii()
}

/// Returns the length of a quoted text, whose quote may stand doubled in it.
fn quoted_length(text: &str, quote: char) -> usize {
    let mut from = 1;
    while let Some(at) = text[from..].find(quote) {
        let after = from + at + 1;
        if !text[after..].starts_with(quote) {
            return after;
        }
        from = after + 1;
    }
    text.len()
}

/// Returns a token with the one spelling that all its spellings share.
fn plain(token: &str) -> String {
    let inner = token.get(1..token.len().saturating_sub(1)).unwrap_or_default();
    let name = match token.chars().next() {
        Some('"') => inner.replace("\"\"", "\""),
        Some('`') => inner.replace("``", "`"),
        Some('[') => inner.to_owned(),
        _ => return token.to_owned(),
    };
    let needs_none = name.chars().all(is_word) && !name.starts_with(|c: char| c.is_ascii_digit()) && !name.is_empty();
    if needs_none { name } else { quoted(&name) }
}

#[cfg(test)]
mod tests {
    use super::{definitions, tokens};

    #[test]
    fn a_table_is_split_into_definitions() {
        let sql = "CREATE TABLE [t] (\"id\" INTEGER PRIMARY KEY, -- a, b\n `we\"ird`  text DEFAULT ('a,''b)'), CHECK (id IN (1, 2))) STRICT";
        let (parts, tail) = definitions(&tokens(sql));
        assert_eq!(
            parts,
            ["id INTEGER PRIMARY KEY", "\"we\"\"ird\" text DEFAULT ( 'a,''b)' )", "CHECK ( id IN ( 1 , 2 ) )"]
        );
        assert_eq!(tail, "STRICT");
    }
}
