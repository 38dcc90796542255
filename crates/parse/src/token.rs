//! The words of SQL with their bytes, as far as both engines agree on what a word is.

use crate::problem::Fault;

/// What a [`Token`] is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A keyword or an unquoted name.
    Word,
    /// A quoted name.
    Quoted,
    /// A string or blob literal.
    Text,
    /// A number.
    Number,
    /// A comment.
    Comment,
    /// `(` or `[`.
    Open,
    /// `)` or `]`.
    Close,
    /// `,`
    Comma,
    /// `;`
    Semicolon,
    /// `.`
    Dot,
    /// `=`
    Equals,
    /// `\`, which no SQL has outside of quotes.
    Backslash,
    /// Operators and everything else.
    Other,
}

/// A word of SQL.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Token {
    pub(crate) kind: Kind,
    pub(crate) start: usize,
    pub(crate) end: usize,
}

impl Token {
    pub(crate) fn text<'t>(&self, text: &'t str) -> &'t str {
        &text[self.start..self.end]
    }

    /// Returns whether it is this keyword.
    pub(crate) fn is(&self, text: &str, word: &str) -> bool {
        self.kind == Kind::Word && self.text(text).eq_ignore_ascii_case(word)
    }

    pub(crate) fn is_name(&self) -> bool {
        matches!(self.kind, Kind::Word | Kind::Quoted)
    }
}

/// The words of a text, one by one.
pub(crate) type Tokens<'t> = Box<dyn Iterator<Item = Result<Token, Fault>> + 't>;

/// Returns the bytes from the first token to the last.
pub(crate) fn span(tokens: &[Token]) -> (usize, usize) {
    match (tokens.first(), tokens.last()) {
        (Some(first), Some(last)) => (first.start, last.end),
        _ => (0, 0),
    }
}

/// Returns the tokens between the commas that no parenthesis encloses.
pub(crate) fn segments(tokens: &[Token]) -> Vec<&[Token]> {
    let mut depth = 0_usize;
    tokens.split(|token| at_top(&mut depth, token) && token.kind == Kind::Comma).collect()
}

/// Returns the index of the first token outside of parentheses that `wanted` accepts.
pub(crate) fn find_at_top(tokens: &[Token], mut wanted: impl FnMut(&Token) -> bool) -> Option<usize> {
    let mut depth = 0_usize;
    tokens.iter().position(|token| at_top(&mut depth, token) && wanted(token))
}

/// Returns the index of the token that closes the parenthesis at `open`.
pub(crate) fn closing(tokens: &[Token], open: usize) -> Option<usize> {
    let mut depth = 0_usize;
    tokens.iter().enumerate().skip(open).find_map(|(at, token)| {
        at_top(&mut depth, token);
        (token.kind == Kind::Close && depth == 0).then_some(at)
    })
}

/// Returns what stands between the commas of the first parentheses after a keyword.
pub(crate) fn listed<'t>(text: &str, tokens: &'t [Token], keyword: &str) -> Vec<&'t [Token]> {
    let after = find_at_top(tokens, |token| token.is(text, keyword)).unwrap_or(tokens.len());
    let open = tokens.iter().enumerate().skip(after).find(|(_, token)| token.kind == Kind::Open).map(|(at, _)| at);
    match open.and_then(|open| Some((open, closing(tokens, open)?))) {
        Some((open, close)) => segments(&tokens[open + 1..close]),
        None => vec![],
    }
}

/// Returns whether the token lies outside of parentheses (the outermost ones themselves do not).
fn at_top(depth: &mut usize, token: &Token) -> bool {
    match token.kind {
        Kind::Open => *depth += 1,
        Kind::Close => {
            *depth = depth.saturating_sub(1);
            return false;
        }
        _ => {}
    }
    *depth == 0
}

/// The words that say what a statement does.
const HEADS: &[&str] = &[
    "ABORT",
    "ACCESS",
    "ADD",
    "AGGREGATE",
    "ALL",
    "ALTER",
    "ANALYZE",
    "AS",
    "ATTACH",
    "BEGIN",
    "CALL",
    "CAST",
    "CHECK",
    "CHECKPOINT",
    "CLUSTER",
    "COLLATION",
    "COLUMN",
    "COMMENT",
    "COMMIT",
    "CONCURRENTLY",
    "CONSTRAINT",
    "COPY",
    "CREATE",
    "DATA",
    "DATABASE",
    "DEFAULT",
    "DELETE",
    "DETACH",
    "DISABLE",
    "DO",
    "DOMAIN",
    "DROP",
    "ENABLE",
    "END",
    "EVENT",
    "EXECUTE",
    "EXISTS",
    "EXPLAIN",
    "EXTENSION",
    "FOREIGN",
    "FORCE",
    "FROM",
    "FUNCTION",
    "GRANT",
    "IF",
    "INDEX",
    "INHERIT",
    "INSERT",
    "INTO",
    "KEY",
    "LEVEL",
    "LISTEN",
    "LOCK",
    "MATERIALIZED",
    "MERGE",
    "NOT",
    "NULL",
    "ON",
    "OPERATOR",
    "OR",
    "OWNER",
    "POLICY",
    "PRAGMA",
    "PRIMARY",
    "PROCEDURE",
    "PUBLICATION",
    "REFRESH",
    "REINDEX",
    "RENAME",
    "REPLACE",
    "RESET",
    "REVOKE",
    "ROLE",
    "ROLLBACK",
    "ROW",
    "RULE",
    "SCHEMA",
    "SECURITY",
    "SELECT",
    "SEQUENCE",
    "SET",
    "STATISTICS",
    "SUBSCRIPTION",
    "TABLE",
    "TEMP",
    "TEMPORARY",
    "TO",
    "TRANSACTION",
    "TRIGGER",
    "TRUNCATE",
    "TYPE",
    "UNIQUE",
    "UNLOGGED",
    "UPDATE",
    "USER",
    "VACUUM",
    "VALIDATE",
    "VALUES",
    "VIEW",
    "VIRTUAL",
    "WITH",
    "WRAPPER",
    "SAVEPOINT",
    "RELEASE",
    "START",
    "SERVER",
    "PREPARE",
    "NO",
    "ONLY",
];

/// Returns the first words of a statement that say what it does, at most four: `CREATE MATERIALIZED VIEW`.
pub(crate) fn head(text: &str, tokens: &[Token]) -> String {
    let words: Vec<String> = tokens
        .iter()
        .take_while(|token| token.kind == Kind::Word)
        .map(|token| token.text(text).to_ascii_uppercase())
        .take_while(|word| HEADS.contains(&word.as_str()))
        .take(4)
        .collect();
    if !words.is_empty() {
        return words.join(" ");
    }
    tokens.first().map_or_else(String::new, |token| token.text(text).chars().take(40).collect())
}
