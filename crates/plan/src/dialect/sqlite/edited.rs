//! The text of a table with one clause put in, taken out or exchanged, and the statements that make it the table's own.
//!
//! Where nothing that is stored changes, the text in `sqlite_schema` is all there is to change ("Making Other Kinds Of Table
//! Schema Changes" in SQLite's manual, `lang_altertable`, 7): no row is written.

use segue_model::catalog::ConstraintKind;
use segue_model::ident::{Ident, TableName};
use segue_model::sql::{Hole, Sql};

use super::definition::{Piece, end_of_reference, items, pieces};
use super::sql;

/// Words that begin a constraint of a column, and so end its type or its default.
const BEGINS: [&str; 11] =
    ["CONSTRAINT", "PRIMARY", "NOT", "NULL", "UNIQUE", "CHECK", "DEFAULT", "COLLATE", "REFERENCES", "GENERATED", "AS"];

/// A constraint that stands under its name in the text of a table.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct NamedConstraint {
    /// What it is; `None` is `NOT NULL` or another property of a column.
    pub(super) kind: Option<ConstraintKind>,
    /// The condition of a CHECK, in its brackets.
    pub(super) check: Option<String>,
    /// The text without it.
    pub(super) without: String,
}

/// Returns the text with one more constraint at the end of its list; `None` where the text is no list of columns.
pub(super) fn with_constraint(text: &str, clause: &str) -> Option<String> {
    let all = pieces(text);
    let last = items(body(&all)?).last()?.clone();
    let end = body(&all)?[last].last()?.end();
    Some([&text[..end], ", ", clause, &text[end..]].concat())
}

/// Returns the constraint of this name.
pub(super) fn named(text: &str, name: &Ident) -> Option<NamedConstraint> {
    let all = pieces(text);
    let body = body(&all)?;
    for range in items(body) {
        let (before, item) = (body[range.start - 1], &body[range]);
        let at = |at: &usize| {
            item[*at].is("CONSTRAINT")
                && depth_at(item, *at) == 0
                && item.get(at + 1).is_some_and(|next| next.names(name))
        };
        let Some(at) = (0..item.len()).find(at) else { continue };
        let end = end_of_constraint(item, at + 2)?;
        let whole = at == 0;
        if whole && end < item.len() {
            return None;
        }
        let start = if whole { before.start } else { item[at - 1].end() };
        let stop = item[end - 1].end();
        let check = item[at + 2].is("CHECK").then(|| text[item[at + 3].start..stop].to_owned());
        return Some(NamedConstraint {
            kind: kind_of(item[at + 2]),
            check,
            without: [&text[..start], &text[stop..]].concat(),
        });
    }
    None
}

/// Returns the text with another default of a column, or with none.
pub(super) fn with_default(text: &str, column: &Ident, default: Option<&str>) -> Option<String> {
    let all = pieces(text);
    let item = column_of(&all, column)?;
    let said = (1..item.len()).find(|at| item[*at].is("DEFAULT") && depth_at(item, *at) == 0);
    let (start, stop) = match said {
        Some(at) => {
            let named = at >= 3 && item[at - 2].is("CONSTRAINT");
            let first = if named { at - 2 } else { at };
            (item[first - 1].end(), item[end_of_default(item, at) - 1].end())
        }
        None => (item.last()?.end(), item.last()?.end()),
    };
    let clause = default.map_or_else(String::new, |value| [" DEFAULT ", value].concat());
    Some([&text[..start], &clause, &text[stop..]].concat())
}

/// Returns the text with another declared type of a column.
pub(super) fn with_type(text: &str, column: &Ident, to: &str) -> Option<String> {
    let all = pieces(text);
    let item = column_of(&all, column)?;
    let end = (1..item.len()).find(|at| item[*at].is_one_of(&BEGINS) && depth_at(item, *at) == 0).unwrap_or(item.len());
    Some([&text[..item[0].end()], " ", to, &text[item[end - 1].end()..]].concat())
}

/// Returns the statements that give a table another text, and fail where it has not the one that the plan was made for.
///
/// Only a statement of SQLite's own tells other connections that the schema is another one: a view of ours that is there for
/// that alone.
pub(super) fn set_text(table: &TableName, from: &str, to: &str, signal: &Ident) -> Vec<Sql> {
    let (from, to, name) = (Hole::Text(from), to, table.name.as_str());
    vec![
        Sql::fixed("PRAGMA writable_schema = ON"),
        sql(
            "UPDATE main.sqlite_schema SET sql = {to} WHERE type = 'table' AND name = {table} AND sql = {from}",
            &[("to", Hole::Text(to)), ("table", Hole::Text(name)), ("from", from)],
        ),
        Sql::fixed("PRAGMA writable_schema = RESET"),
        sql(
            "SELECT segue_fail('the text of ' || {table} || ' is not the one that the plan was made for') \
             WHERE NOT EXISTS (SELECT 1 FROM main.sqlite_schema WHERE type = 'table' AND name = {table} AND sql = {to})",
            &[("table", Hole::Text(name)), ("to", Hole::Text(to))],
        ),
        sql("CREATE VIEW main.{signal} AS SELECT 1", &[("signal", Hole::Name(signal))]),
        sql("DROP VIEW main.{signal}", &[("signal", Hole::Name(signal))]),
    ]
}

/// Returns what stands between the brackets of a table's text, from the opening one on.
fn body<'p, 's>(all: &'p [Piece<'s>]) -> Option<&'p [Piece<'s>]> {
    match all {
        [create, kind, _, open, ..] if create.is("CREATE") && kind.is("TABLE") && open.is("(") => Some(&all[3..]),
        _ => None,
    }
}

fn column_of<'p, 's>(all: &'p [Piece<'s>], column: &Ident) -> Option<&'p [Piece<'s>]> {
    let body = body(all)?;
    let items = items(body).into_iter().map(|range| &body[range]);
    let constraint = ["CONSTRAINT", "PRIMARY", "UNIQUE", "CHECK", "FOREIGN"];
    let mut columns = items.filter(|item| item.first().is_some_and(|first| !first.is_one_of(&constraint)));
    columns.find(|item| item[0].names(column))
}

/// Returns how many brackets are open before the piece.
fn depth_at(item: &[Piece<'_>], at: usize) -> usize {
    let count = |bracket: &str| item[..at].iter().filter(|piece| piece.is(bracket)).count();
    count("(").saturating_sub(count(")"))
}

fn kind_of(first: Piece<'_>) -> Option<ConstraintKind> {
    match () {
        () if first.is("CHECK") => Some(ConstraintKind::Check),
        () if first.is("UNIQUE") => Some(ConstraintKind::Unique),
        () if first.is("PRIMARY") => Some(ConstraintKind::PrimaryKey),
        () if first.is_one_of(&["FOREIGN", "REFERENCES"]) => Some(ConstraintKind::ForeignKey),
        () => None,
    }
}

/// Returns where the constraint ends whose kind stands at `at`.
fn end_of_constraint(item: &[Piece<'_>], at: usize) -> Option<usize> {
    let first = item.get(at)?;
    if first.is("REFERENCES") {
        return Some(index_of_end(item, end_of_reference(item, at)));
    }
    if first.is("FOREIGN") {
        let references = (at..item.len()).find(|next| item[*next].is("REFERENCES"))?;
        return Some(index_of_end(item, end_of_reference(item, references)));
    }
    if first.is("DEFAULT") {
        return Some(end_of_default(item, at));
    }
    let next = |next: &usize| {
        let piece = item[*next];
        let other = piece.is("FOREIGN") || piece.is_one_of(&BEGINS);
        other && depth_at(item, *next) == depth_at(item, at)
    };
    // `NOT NULL` and `PRIMARY KEY` are two words, of which the second may begin something too.
    Some((at + 2..item.len()).find(next).unwrap_or(item.len()))
}

fn index_of_end(item: &[Piece<'_>], end: usize) -> usize {
    item.iter().position(|piece| piece.start >= end).unwrap_or(item.len())
}

fn end_of_default(item: &[Piece<'_>], at: usize) -> usize {
    let next = |next: &usize| item[*next].is_one_of(&BEGINS) && depth_at(item, *next) == 0;
    (at + 2..item.len()).find(next).unwrap_or(item.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    const T: &str = "CREATE TABLE \"t\"(id INTEGER PRIMARY KEY, -- the key\n a text DEFAULT 'x, y' NOT NULL, \
                     b numeric(10, 2) CONSTRAINT low CHECK (b > -1.5) DEFAULT -1.5 REFERENCES p(id) ON DELETE SET NULL, \
                     [c d] int DEFAULT (1 + (2)), CONSTRAINT once UNIQUE (a, b), CONSTRAINT \"of\" FOREIGN KEY (a) REFERENCES p \
                     DEFERRABLE INITIALLY DEFERRED -- last\n) STRICT";

    fn ident(name: &str) -> Ident {
        Ident::new(name).unwrap()
    }

    #[track_caller]
    fn exchanged(text: Option<String>, from: &str, to: &str) {
        assert_eq!(text.unwrap(), T.replacen(from, to, 1));
    }

    #[test]
    fn a_clause_is_put_in_and_the_rest_stays_to_the_byte() {
        exchanged(with_constraint(T, "CHECK (a <> '')"), "DEFERRED -- last", "DEFERRED, CHECK (a <> '') -- last");
        exchanged(with_default(T, &ident("A"), Some("'z'")), " DEFAULT 'x, y'", " DEFAULT 'z'");
        exchanged(with_default(T, &ident("a"), None), " DEFAULT 'x, y'", "");
        exchanged(with_default(T, &ident("b"), None), " DEFAULT -1.5", "");
        exchanged(with_default(T, &ident("c d"), Some("7")), " DEFAULT (1 + (2))", " DEFAULT 7");
        exchanged(with_default(T, &ident("id"), Some("7")), "PRIMARY KEY,", "PRIMARY KEY DEFAULT 7,");
        exchanged(with_type(T, &ident("b"), "REAL"), "numeric(10, 2)", "REAL");
        exchanged(with_type(T, &ident("c d"), "TEXT"), "[c d] int", "[c d] TEXT");
        assert_eq!(with_type("CREATE TABLE t(a, b)", &ident("b"), "INT").unwrap(), "CREATE TABLE t(a, b INT)");
        assert_eq!(with_default(T, &ident("nobody"), None), None);
        assert_eq!(with_constraint("CREATE VIRTUAL TABLE t USING x(a)", "CHECK (1)"), None);
    }

    #[test]
    fn a_constraint_is_found_by_its_name() {
        let found = named(T, &ident("LOW")).unwrap();
        assert_eq!((found.kind, found.check.as_deref()), (Some(ConstraintKind::Check), Some("(b > -1.5)")));
        exchanged(Some(found.without), " CONSTRAINT low CHECK (b > -1.5)", "");
        let found = named(T, &ident("once")).unwrap();
        assert_eq!(found.kind, Some(ConstraintKind::Unique));
        exchanged(Some(found.without), ", CONSTRAINT once UNIQUE (a, b)", "");
        let found = named(T, &ident("of")).unwrap();
        assert_eq!(found.kind, Some(ConstraintKind::ForeignKey));
        exchanged(
            Some(found.without),
            ", CONSTRAINT \"of\" FOREIGN KEY (a) REFERENCES p DEFERRABLE INITIALLY DEFERRED",
            "",
        );
        assert_eq!(named(T, &ident("a")), None);
        assert_eq!(named("CREATE TABLE t(a, CONSTRAINT x CHECK (a) UNIQUE (a))", &ident("x")), None);
    }
}
