//! The text of a table or an index as `sqlite_schema` keeps it, cut where a copy of the object has other names.
//!
//! SQLite stores `CREATE TABLE ` and then the user's own text from the name on, so what stands after the name is carried over
//! to the byte: checks, collations, defaults, comments.

use std::ops::Range;

use segue_model::catalog::{Constraint, ConstraintKind, Index, Table};
use segue_model::ident::Ident;

/// The text of a table.
#[derive(Debug, Clone)]
pub(super) struct TableText {
    /// `CREATE TABLE` and the name, as written.
    pub(super) head: String,
    /// All that follows.
    pub(super) rest: String,
    /// Each clause that makes a foreign key; without them the rest still is the text of a table. Longest first.
    pub(super) foreign_keys: Vec<String>,
    /// `AUTOINCREMENT` stands in it.
    pub(super) autoincrement: bool,
}

/// The text of an index.
#[derive(Debug, Clone)]
pub(super) struct IndexText {
    /// `CREATE [UNIQUE] INDEX` and the name, as written.
    pub(super) head: String,
    /// It is UNIQUE.
    pub(super) unique: bool,
    /// All that follows the table.
    pub(super) rest: String,
    /// Its key columns and expressions, with their collations and without their order.
    pub(super) keys: Vec<String>,
}

/// A word, a quoted name or text, or one other character.
#[derive(Debug, Clone, Copy)]
pub(super) struct Piece<'s> {
    /// As written.
    pub(super) text: &'s str,
    /// Where it begins.
    pub(super) start: usize,
}

impl<'s> Piece<'s> {
    /// Returns where it ends.
    pub(super) fn end(self) -> usize {
        self.start + self.text.len()
    }

    /// Returns whether it is this word.
    pub(super) fn is(self, word: &str) -> bool {
        self.text.eq_ignore_ascii_case(word)
    }

    /// Returns whether it is one of these words.
    pub(super) fn is_one_of(self, words: &[&str]) -> bool {
        words.iter().any(|word| self.is(word))
    }

    /// Returns whether it may be this name.
    pub(super) fn names(self, name: &Ident) -> bool {
        self.name().eq_ignore_ascii_case(name.as_str())
    }

    /// Returns the name that it would be.
    fn name(self) -> String {
        let mut inner = self.text.chars();
        match inner.next() {
            Some('[') => self.text[1..].trim_end_matches(']').to_owned(),
            Some(quote @ ('"' | '`' | '\'')) => {
                inner.next_back();
                inner.as_str().replace(&quote.to_string().repeat(2), &quote.to_string())
            }
            _ => self.text.to_owned(),
        }
    }
}

/// Reads the text of a table.
///
/// # Errors
/// Why a copy cannot be made from it, as the end of a sentence.
pub(super) fn table_text(table: &Table) -> Result<TableText, String> {
    let sql = table.sql.as_deref().unwrap_or_default();
    let all = pieces(sql);
    let name = match all.as_slice() {
        [create, kind, name, open, ..] if create.is("CREATE") && kind.is("TABLE") && open.is("(") => *name,
        _ => return Err("its text in the schema is not a list of columns".to_owned()),
    };
    carried(&all[3..], table)?;
    let found = foreign_keys(sql, &all[3..]).unwrap_or_default();
    let wanted = |constraint: &&Constraint| constraint.kind == ConstraintKind::ForeignKey;
    if found.len() != table.constraints.iter().filter(wanted).count() {
        return Err("the text of its foreign keys is not understood".to_owned());
    }
    let mut foreign_keys = found;
    foreign_keys.sort_by_key(|clause| std::cmp::Reverse(clause.len()));
    foreign_keys.dedup();
    Ok(TableText {
        head: sql[..name.end()].to_owned(),
        rest: sql[name.end()..].to_owned(),
        foreign_keys,
        autoincrement: all.iter().any(|piece| piece.is("AUTOINCREMENT")),
    })
}

/// Reads the text of an index.
///
/// # Errors
/// Why a copy cannot be made from it, as the end of a sentence.
pub(super) fn index_text(index: &Index, table: &Table) -> Result<IndexText, String> {
    let sql = index.definition.as_str();
    let all = pieces(sql);
    let unique = all.get(1).is_some_and(|piece| piece.is("UNIQUE"));
    let named = 2 + usize::from(unique);
    let (Some(name), Some(on), Some(of), Some(open)) =
        (all.get(named), all.get(named + 1), all.get(named + 2), all.get(named + 3))
    else {
        return Err(unread(index));
    };
    if !on.is("ON") || !open.is("(") {
        return Err(unread(index));
    }
    carried(&all[named + 3..], table)?;
    let body = &all[named + 3..];
    let keys = items(body).into_iter().map(|key| key_of(sql, &body[key])).collect::<Option<_>>();
    Ok(IndexText {
        head: sql[..name.end()].to_owned(),
        unique,
        rest: sql[of.end()..].to_owned(),
        keys: keys.ok_or_else(|| unread(index))?,
    })
}

/// A CREATE INDEX as somebody wrote it.
#[derive(Debug)]
pub(super) struct NewIndexText<'s> {
    /// It is UNIQUE.
    pub(super) unique: bool,
    /// Its name, as written and without the schema, and all that follows.
    named: &'s str,
    /// All that follows the table.
    pub(super) rest: &'s str,
    /// Its key columns and expressions, with their collations and without their order.
    pub(super) keys: Vec<&'s str>,
    /// The plain columns among them.
    pub(super) columns: Vec<Ident>,
    /// What follows WHERE.
    pub(super) predicate: Option<&'s str>,
}

impl NewIndexText<'_> {
    /// Returns the text that SQLite keeps of it.
    pub(super) fn stored(&self) -> String {
        [if self.unique { "CREATE UNIQUE INDEX " } else { "CREATE INDEX " }, self.named].concat()
    }
}

/// Reads a CREATE INDEX that was parsed; `None` where it has another form.
pub(super) fn new_index_text(sql: &str) -> Option<NewIndexText<'_>> {
    let all = pieces(sql);
    let unique = all.get(1)?.is("UNIQUE");
    let first = 2 + usize::from(unique);
    let qualified = all.get(first + 1)?.is(".");
    let named = first + if qualified { 2 } else { 0 };
    let (on, table, body) = (all.get(named + 1)?, all.get(named + 2)?, all.get(named + 3..)?);
    if !on.is("ON") || !body.first()?.is("(") {
        return None;
    }
    let ranges = items(body);
    let mut keys = vec![];
    let mut columns = vec![];
    for range in ranges.clone() {
        let item = &body[range];
        let end =
            if item.last()?.is_one_of(&["ASC", "DESC"]) { item.get(item.len().checked_sub(2)?)? } else { item.last()? };
        keys.push(&sql[item.first()?.start..end.end()]);
        let plain = item.len() == 1 || item[1].is_one_of(&["ASC", "DESC", "COLLATE"]);
        if plain && !item[0].text.starts_with('\'') {
            columns.push(Ident::new(item[0].name()).ok()?);
        }
    }
    let close = ranges.last()?.end;
    let predicate = body.get(close + 1).filter(|word| word.is("WHERE")).and_then(|_| body.get(close + 2));
    Some(NewIndexText {
        unique,
        named: sql[all.get(named)?.start..].trim_end_matches([';', ' ', '\t', '\r', '\n']),
        rest: &sql[table.end()..],
        keys,
        columns,
        predicate: predicate.map(|first| &sql[first.start..]),
    })
}

/// Returns the column that a statement adds, as SQLite puts it into the table's text.
pub(super) fn added_text(statement: &str) -> Option<&str> {
    let all = pieces(statement);
    let add = all.iter().position(|piece| piece.is("ADD"))?;
    let column = all.get(add + 1 + usize::from(all.get(add + 1)?.is("COLUMN")))?;
    Some(statement[column.start..].trim_end_matches([';', ' ', '\t', '\r', '\n']))
}

fn unread(index: &Index) -> String {
    format!("the text of its index `{}` is not understood", index.name)
}

/// Fails where the text means something else, or nothing, when it stands under another table's name.
fn carried(body: &[Piece<'_>], table: &Table) -> Result<(), String> {
    let own = table.name.name.as_str();
    let qualified = body.windows(2).any(|pair| pair[1].is(".") && pair[0].name().eq_ignore_ascii_case(own));
    if qualified {
        return Err(format!("an expression in its text names a column as `{own}.…`"));
    }
    let collations = body.windows(2).filter(|pair| pair[0].is("COLLATE")).map(|pair| pair[1].name());
    let known = ["BINARY", "NOCASE", "RTRIM"];
    if let Some(text) = body.iter().find(|piece| piece.text.starts_with('"') && !is_name(**piece, body, table)) {
        return Err(format!("{} in its text may be a name or a text", text.text));
    }
    match collations.into_iter().find(|name| !known.iter().any(|known| known.eq_ignore_ascii_case(name))) {
        Some(name) => Err(format!("only the application has its collation `{name}`")),
        None => Ok(()),
    }
}

/// What stands in double quotes and names nothing is a text to SQLite, but not in a statement of ours.
fn is_name(piece: Piece<'_>, body: &[Piece<'_>], table: &Table) -> bool {
    let name = piece.name();
    let same = |other: &Ident| other.as_str().eq_ignore_ascii_case(&name);
    let keys = || table.constraints.iter().flat_map(|key| &key.referenced_columns);
    let before = body.iter().rev().find(|other| other.start < piece.start);
    let after_word = before.is_some_and(|word| word.is_one_of(&["CONSTRAINT", "REFERENCES", "COLLATE"]));
    after_word || table.columns.iter().any(|column| same(&column.name)) || keys().any(same)
}

/// A key without the order that it is kept in, which is no part of an expression.
fn key_of(sql: &str, key: &[Piece<'_>]) -> Option<String> {
    let (last, before) = key.split_last()?;
    let end = if last.is_one_of(&["ASC", "DESC"]) { before.last()?.end() } else { last.end() };
    Some(sql[key.first()?.start..end].to_owned())
}

/// Returns the clauses of a table that make its foreign keys; `None` where one cannot be cut out.
fn foreign_keys(sql: &str, body: &[Piece<'_>]) -> Option<Vec<String>> {
    let mut found = vec![];
    for range in items(body) {
        let (comma, item) = (body[range.start - 1], &body[range]);
        let named = if item.first().is_some_and(|first| first.is("CONSTRAINT")) { 2 } else { 0 };
        if item.get(named).is_some_and(|piece| piece.is("FOREIGN")) {
            // SQLite takes constraints of a table without commas between them.
            let others = ["UNIQUE", "PRIMARY", "CHECK", "FOREIGN", "CONSTRAINT"];
            if item[named + 1..].iter().any(|piece| piece.is_one_of(&others)) {
                return None;
            }
            found.push(sql[comma.start..item.last()?.end()].to_owned());
        } else if item.iter().any(|piece| piece.is("FOREIGN")) {
            return None;
        } else {
            let each = item.iter().enumerate().filter(|(_, piece)| piece.is("REFERENCES"));
            found.extend(each.map(|(at, piece)| sql[piece.start..end_of_reference(item, at)].to_owned()));
        }
    }
    Some(found)
}

/// Returns where the clause ends that begins with `REFERENCES` at `at`.
pub(super) fn end_of_reference(item: &[Piece<'_>], at: usize) -> usize {
    let is = |at: usize, words: &[&str]| item.get(at).is_some_and(|piece| piece.is_one_of(words));
    let mut next = at + 2;
    if is(next, &["("]) {
        next += item[next..].iter().position(|piece| piece.is(")")).map_or(1, |close| close + 1);
    }
    loop {
        next += if is(next, &["ON"]) && is(next + 1, &["DELETE", "UPDATE", "INSERT"]) {
            if is(next + 2, &["SET", "NO"]) { 4 } else { 3 }
        } else if is(next, &["MATCH"]) || (is(next, &["NOT"]) && is(next + 1, &["DEFERRABLE"])) {
            2
        } else if is(next, &["DEFERRABLE"]) {
            1
        } else if is(next, &["INITIALLY"]) {
            2
        } else {
            break;
        };
    }
    item[next.min(item.len()) - 1].end()
}

/// Returns where the items stand of the list whose bracket `body` begins with.
pub(super) fn items(body: &[Piece<'_>]) -> Vec<Range<usize>> {
    let mut depth = 0;
    let mut cuts = vec![0];
    for (at, piece) in body.iter().enumerate() {
        match piece.text {
            "(" => depth += 1,
            ")" => depth -= 1,
            "," if depth == 1 => cuts.push(at),
            _ => {}
        }
        if depth == 0 {
            cuts.push(at);
            break;
        }
    }
    cuts.windows(2).map(|pair| pair[0] + 1..pair[1]).collect()
}

/// Cuts SQL that SQLite has accepted into pieces; blanks and comments are left out.
pub(super) fn pieces(sql: &str) -> Vec<Piece<'_>> {
    let mut all = vec![];
    let mut start = 0;
    while let Some(first) = sql[start..].chars().next() {
        let rest = &sql[start..];
        let (length, counts) = match first {
            _ if rest.starts_with("--") => (rest.find('\n').unwrap_or(rest.len()), false),
            _ if rest.starts_with("/*") => (rest[2..].find("*/").map_or(rest.len(), |end| end + 4), false),
            '\'' | '"' | '`' => (quoted(rest, first), true),
            '[' => (rest.find(']').map_or(rest.len(), |end| end + 1), true),
            _ if in_word(first) => (rest.find(|c| !in_word(c)).unwrap_or(rest.len()), true),
            _ => (first.len_utf8(), !first.is_ascii_whitespace()),
        };
        if counts {
            all.push(Piece { text: &rest[..length], start });
        }
        start += length;
    }
    all
}

/// SQLite takes every character beyond ASCII as a letter.
fn in_word(character: char) -> bool {
    character.is_ascii_alphanumeric() || matches!(character, '_' | '$') || !character.is_ascii()
}

/// A quote that is doubled belongs to the text.
fn quoted(rest: &str, quote: char) -> usize {
    let mut at = 1;
    while let Some(end) = rest[at..].find(quote) {
        at += end + 1;
        if !rest[at..].starts_with(quote) {
            return at;
        }
        at += 1;
    }
    rest.len()
}
