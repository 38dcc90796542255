//! What only the text in `sqlite_schema` tells: SQLite has no catalog of checks, collations and generated columns.

/// What a [`Token`] is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A bare word: a keyword or a name.
    Word,
    /// A name in `"…"`, `` `…` `` or `[…]`.
    Quoted,
    /// Anything in `'…'`.
    Text,
    /// A number, an operator, a bracket.
    Other,
}

/// A piece of SQL, with its byte range.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Token {
    pub(super) kind: Kind,
    /// A name without its quotes; else as written.
    pub(super) text: String,
    pub(super) start: usize,
    pub(super) end: usize,
}

impl Token {
    /// Returns whether this is the bare word `keyword` (in capitals).
    pub(super) fn is(&self, keyword: &str) -> bool {
        self.kind == Kind::Word && self.text.eq_ignore_ascii_case(keyword)
    }

    fn symbol(&self, symbol: &str) -> bool {
        self.kind == Kind::Other && self.text == symbol
    }

    /// Returns whether this may name `name`.
    pub(super) fn names(&self, name: &str) -> bool {
        let may = match self.kind {
            Kind::Quoted => true,
            Kind::Word => !RESERVED.iter().any(|word| self.text.eq_ignore_ascii_case(word)),
            Kind::Text | Kind::Other => false,
        };
        self.text.eq_ignore_ascii_case(name) && may
    }
}

/// Words that are names only in quotes.
const RESERVED: [&str; 58] = [
    "ADD",
    "ALL",
    "ALTER",
    "AND",
    "AS",
    "AUTOINCREMENT",
    "BETWEEN",
    "CASE",
    "CHECK",
    "COLLATE",
    "COMMIT",
    "CONSTRAINT",
    "CREATE",
    "DEFAULT",
    "DEFERRABLE",
    "DELETE",
    "DISTINCT",
    "DROP",
    "ELSE",
    "ESCAPE",
    "EXISTS",
    "FOREIGN",
    "FROM",
    "GROUP",
    "HAVING",
    "IN",
    "INDEX",
    "INSERT",
    "INTO",
    "IS",
    "ISNULL",
    "JOIN",
    "LIMIT",
    "NOT",
    "NOTHING",
    "NOTNULL",
    "NULL",
    "ON",
    "OR",
    "ORDER",
    "PRIMARY",
    "REFERENCES",
    "RETURNING",
    "SELECT",
    "SET",
    "TABLE",
    "THEN",
    "TO",
    "TRANSACTION",
    "UNION",
    "UNIQUE",
    "UPDATE",
    "USING",
    "VALUES",
    "WHEN",
    "WHERE",
    "INTERSECT",
    "EXCEPT",
];

/// A CHECK of a table.
#[derive(Debug)]
pub(super) struct Check {
    pub(super) name: Option<String>,
    /// `CHECK (…)` as written.
    pub(super) definition: String,
    pub(super) tokens: Vec<Token>,
}

/// What a column's definition says beyond the pragmas.
#[derive(Debug)]
pub(super) struct ColumnText {
    pub(super) name: String,
    pub(super) collation: Option<String>,
    pub(super) generated: Option<String>,
    pub(super) generated_from: Vec<Token>,
}

/// What the text of a table says beyond the pragmas.
#[derive(Debug, Default)]
pub(super) struct TableText {
    pub(super) columns: Vec<ColumnText>,
    pub(super) checks: Vec<Check>,
}

/// Returns the tokens of SQL that SQLite has accepted; comments are left out.
pub(super) fn tokens(sql: &str) -> Vec<Token> {
    let bytes = sql.as_bytes();
    let mut all = vec![];
    let mut at = 0;
    while at < bytes.len() {
        let start = at;
        let (kind, end) = match bytes[at] {
            b if b.is_ascii_whitespace() => {
                at += 1;
                continue;
            }
            b'-' if bytes.get(at + 1) == Some(&b'-') => {
                at = sql[at..].find('\n').map_or(bytes.len(), |end| at + end + 1);
                continue;
            }
            b'/' if bytes.get(at + 1) == Some(&b'*') => {
                at = sql[at + 2..].find("*/").map_or(bytes.len(), |end| at + 2 + end + 2);
                continue;
            }
            b'\'' => (Kind::Text, end_of_quoted(bytes, at, b'\'')),
            quote @ (b'"' | b'`') => (Kind::Quoted, end_of_quoted(bytes, at, quote)),
            b'[' => (Kind::Quoted, sql[at..].find(']').map_or(bytes.len(), |end| at + end + 1)),
            b if is_word(b) && !b.is_ascii_digit() => (Kind::Word, end_of_word(bytes, at)),
            b if b.is_ascii_digit() => (Kind::Other, end_of_word(bytes, at)),
            _ => (Kind::Other, at + 1),
        };
        all.push(Token { kind, text: bare(kind, &sql[start..end]), start, end });
        at = end;
    }
    all
}

/// SQLite takes every byte above ASCII as a letter.
fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'$' || byte >= 0x80
}

fn end_of_word(bytes: &[u8], start: usize) -> usize {
    bytes[start..].iter().position(|b| !is_word(*b)).map_or(bytes.len(), |length| start + length)
}

fn end_of_quoted(bytes: &[u8], start: usize, quote: u8) -> usize {
    let mut at = start + 1;
    while at < bytes.len() {
        if bytes[at] == quote {
            if bytes.get(at + 1) != Some(&quote) {
                return at + 1;
            }
            at += 1;
        }
        at += 1;
    }
    bytes.len()
}

fn bare(kind: Kind, raw: &str) -> String {
    if kind != Kind::Quoted || raw.len() < 2 {
        return raw.to_owned();
    }
    let inner = &raw[1..raw.len() - 1];
    match raw.as_bytes()[0] {
        b'[' => inner.to_owned(),
        b'`' => inner.replace("``", "`"),
        _ => inner.replace("\"\"", "\""),
    }
}

/// Reads the text of a table.
pub(super) fn table_text(sql: &str) -> TableText {
    let all = tokens(sql);
    let Some(open) = all.iter().position(|token| token.symbol("(")) else { return TableText::default() };
    let mut table = TableText::default();
    for item in items(&all[open + 1..]) {
        table.checks.extend(checks(sql, item));
        let constraint = ["CONSTRAINT", "PRIMARY", "UNIQUE", "CHECK", "FOREIGN"];
        if item.first().is_some_and(|first| !constraint.iter().any(|word| first.is(word))) {
            table.columns.push(column_text(sql, item));
        }
    }
    table
}

/// Cuts what stands before the closing bracket at its commas.
fn items(body: &[Token]) -> Vec<&[Token]> {
    let mut all = vec![];
    let (mut depth, mut from) = (0, 0);
    for (at, token) in body.iter().enumerate() {
        if token.symbol("(") {
            depth += 1;
        } else if token.symbol(")") && depth == 0 {
            all.push(&body[from..at]);
            break;
        } else if token.symbol(")") {
            depth -= 1;
        } else if token.symbol(",") && depth == 0 {
            all.push(&body[from..at]);
            from = at + 1;
        }
    }
    all
}

/// Returns the tokens between the bracket at `open` and its partner.
fn bracketed(item: &[Token], open: usize) -> Option<&[Token]> {
    if !item.get(open)?.symbol("(") {
        return None;
    }
    let mut depth = 0;
    let length = item[open..].iter().position(|token| {
        depth += i32::from(token.symbol("(")) - i32::from(token.symbol(")"));
        depth == 0
    })?;
    Some(&item[open..=open + length])
}

fn checks(sql: &str, item: &[Token]) -> Vec<Check> {
    let mut all = vec![];
    for (at, token) in item.iter().enumerate().filter(|(_, token)| token.is("CHECK")) {
        let Some(inner) = bracketed(item, at + 1) else { continue };
        let named = at >= 2 && item[at - 2].is("CONSTRAINT");
        let end = inner.last().map_or(token.end, |last| last.end);
        all.push(Check {
            name: named.then(|| item[at - 1].text.clone()),
            definition: sql[token.start..end].to_owned(),
            tokens: inner.to_vec(),
        });
    }
    all
}

fn column_text(sql: &str, item: &[Token]) -> ColumnText {
    let after = |word: &str| item.iter().position(|token| token.is(word)).map(|at| at + 1);
    let generated = after("AS").and_then(|open| bracketed(item, open));
    let inner = generated.map_or(&[][..], |all| &all[1..all.len() - 1]);
    let text = inner.first().zip(inner.last()).map(|(first, last)| sql[first.start..last.end].to_owned());
    ColumnText {
        name: item.first().map(|name| name_of(name).to_owned()).unwrap_or_default(),
        collation: after("COLLATE").and_then(|at| item.get(at)).map(|name| name.text.clone()),
        generated: text,
        generated_from: inner.to_vec(),
    }
}

/// SQLite also takes `'name'` for a name.
fn name_of(token: &Token) -> &str {
    match token.kind {
        Kind::Text => token.text.trim_matches('\''),
        Kind::Word | Kind::Quoted | Kind::Other => &token.text,
    }
}

/// Returns SQL in one spelling: one blank between tokens, no comments, quotes only around names that need them.
///
/// SQLite's own ALTER TABLE quotes the names it rewrites, so only this spelling tells that an undo gave the same again.
pub(super) fn one_spelling(sql: &str) -> String {
    let spelled = tokens(sql).into_iter().map(|token| match token.kind {
        Kind::Quoted if !plain(&token.text) => format!("\"{}\"", token.text.replace('"', "\"\"")),
        Kind::Quoted | Kind::Word | Kind::Text | Kind::Other => token.text,
    });
    spelled.collect::<Vec<_>>().join(" ")
}

fn plain(name: &str) -> bool {
    let bytes = name.as_bytes();
    bytes.first().is_some_and(|b| b.is_ascii_alphabetic() || *b == b'_')
        && bytes.iter().all(|b| b.is_ascii_alphanumeric() || *b == b'_')
}

/// Returns the predicate of an index's text.
pub(super) fn predicate(sql: &str) -> Option<String> {
    let all = tokens(sql);
    let at = all.iter().position(|token| token.is("WHERE"))?;
    let (first, last) = (all.get(at + 1)?, all.last()?);
    Some(sql[first.start..last.end].to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checks_collations_and_generated_columns_are_read_from_the_text() {
        let sql = r#"CREATE TABLE "t(" (a TEXT COLLATE NOCASE DEFAULT 'x, CHECK (z)', -- , CHECK (y)
            [b c] INT CONSTRAINT big CHECK (a > (1)), g AS (lower(a) || ',') STORED, UNIQUE(a), CHECK ("b c" <> g))"#;
        let table = table_text(sql);
        let names: Vec<&str> = table.columns.iter().map(|c| c.name.as_str()).collect();
        assert_eq!(names, ["a", "b c", "g"]);
        assert_eq!(table.columns[0].collation.as_deref(), Some("NOCASE"));
        assert_eq!(table.columns[2].generated.as_deref(), Some("lower(a) || ','"));
        assert!(table.columns[2].generated_from.iter().any(|t| t.names("A")));
        let checks: Vec<_> = table.checks.iter().map(|c| (c.name.as_deref(), c.definition.as_str())).collect();
        assert_eq!(checks, [(Some("big"), "CHECK (a > (1))"), (None, "CHECK (\"b c\" <> g)")]);
    }

    #[test]
    fn one_spelling_forgets_quotes_that_say_nothing() {
        assert_eq!(one_spelling("CREATE TABLE t(\"a\",\n b) -- x"), one_spelling("CREATE  TABLE [t] (a, `b`)"));
        assert_ne!(one_spelling("\"we\"\"ird\""), one_spelling("'we\"ird'"));
    }
}
