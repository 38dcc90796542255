//! SQL text that may be sent: made of templates in the source and typed holes, or of the user's own statement.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::change::Statement;
use crate::expr::{Expr, Rendered};
use crate::ident::{Ident, TableName};

/// SQL that may be sent to a server.
///
/// Comes from a `&'static str` template ([`Sql::fill`]), from the user's statement as written ([`Sql::verbatim`]), or from
/// a plan that was reviewed and stored (by `serde`): nothing else can put text into it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Sql(String);

/// How an engine writes names and literals.
pub trait Quoting {
    /// Returns the name quoted, always.
    fn name(&self, name: &str) -> String;
    /// Returns the text as a string literal.
    fn literal(&self, text: &str) -> String;
}

/// What may stand in a hole of a template.
pub enum Hole<'a> {
    /// A name, quoted.
    Name(&'a Ident),
    /// A table with its schema, quoted.
    Table(&'a TableName),
    /// Names, quoted, separated by commas.
    Names(Vec<&'a Ident>),
    /// A type as the catalog or the parser spells it.
    Type(&'a TypeName),
    /// A string literal, quoted.
    Text(&'a str),
    /// A whole number.
    Int(i64),
    /// A user's expression.
    Expr(&'a Rendered),
    /// Other SQL of ours.
    Sql(&'a Sql),
    /// Other SQL of ours, joined by a separator.
    Join(&'a [Sql], &'static str),
    /// Another SQL of ours as a string literal: a function's body.
    Body(&'a Sql),
}

impl Sql {
    /// Returns `template` with each `{hole}` replaced.
    ///
    /// # Panics
    /// When the template names a hole that is not given, or the other way round: a bug of ours that any test of the
    /// template finds.
    pub fn fill(quoting: &dyn Quoting, template: &'static str, holes: &[(&'static str, Hole<'_>)]) -> Self {
        let mut sql = String::with_capacity(template.len() * 2);
        let mut used = vec![false; holes.len()];
        let mut rest = template;
        while let Some(open) = rest.find('{') {
            let close = rest[open..].find('}').map(|at| open + at).expect("each hole of a template is closed");
            let name = &rest[open + 1..close];
            let at = holes.iter().position(|(hole, _)| *hole == name);
            let at = at.unwrap_or_else(|| panic!("the template has a hole `{name}` that nothing fills: {template}"));
            used[at] = true;
            sql.push_str(&rest[..open]);
            sql.push_str(&holes[at].1.text(quoting));
            rest = &rest[close + 1..];
        }
        sql.push_str(rest);
        if let Some(at) = used.iter().position(|used| !used) {
            panic!("nothing in the template takes `{}`: {template}", holes[at].0);
        }
        Self(sql)
    }

    /// Returns a statement that is complete in the source.
    pub fn fixed(statement: &'static str) -> Self {
        Self(statement.to_owned())
    }

    /// Returns the user's statement as written.
    pub fn verbatim(statement: &Statement) -> Self {
        Self(statement.text.clone())
    }

    /// Returns a part of the user's statement as written.
    pub fn written(part: &Written) -> Self {
        Self(part.0.clone())
    }

    /// Returns a user's expression as it stands in the file, whose names the search path resolves as it does for the file.
    pub fn source(expr: &Expr) -> Self {
        Self(expr.source.clone())
    }

    /// Returns an expression or a definition as the server's own catalog prints it: a default, an index's predicate.
    pub fn of_catalog(printed: &str) -> Self {
        Self(printed.to_owned())
    }

    /// Returns a user's expression as SQL.
    pub fn expr(rendered: &Rendered) -> Self {
        Self(rendered.as_str().to_owned())
    }

    /// Returns the text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Sql {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Hole<'_> {
    fn text(&self, quoting: &dyn Quoting) -> String {
        match self {
            Self::Name(name) => quoting.name(name.as_str()),
            Self::Table(table) => {
                format!("{}.{}", quoting.name(table.schema.as_str()), quoting.name(table.name.as_str()))
            }
            Self::Names(names) => names.iter().map(|name| quoting.name(name.as_str())).collect::<Vec<_>>().join(", "),
            Self::Type(name) => name.as_str().to_owned(),
            Self::Text(text) => quoting.literal(text),
            Self::Int(n) => n.to_string(),
            Self::Expr(rendered) => rendered.as_str().to_owned(),
            Self::Sql(sql) => sql.0.clone(),
            Self::Join(all, separator) => all.iter().map(Sql::as_str).collect::<Vec<_>>().join(separator),
            Self::Body(sql) => quoting.literal(&sql.0),
        }
    }
}

/// A part of a user's statement, as written and understood: a command of an ALTER TABLE, the definition of a constraint. Only
/// `parse` makes one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written(String);

impl Written {
    /// Returns a part of a statement that was parsed.
    pub fn parsed(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// Returns the text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A type as SQL spells it: `format_type` of the catalog or the parser's own writing, never a user's raw text.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TypeName(String);

impl TypeName {
    /// Returns the type that a catalog or a parser spelled.
    pub fn spelled(name: impl Into<String>) -> Self {
        Self(name.into())
    }

    /// Returns the spelling.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for TypeName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Quoting by the SQL standard: `"` around names, `'` around text, each doubled inside.
///
/// Right for SQLite, and for PostgreSQL with `standard_conforming_strings = on`, which our sessions pin.
#[derive(Debug, Clone, Copy)]
pub struct StandardQuoting;

impl Quoting for StandardQuoting {
    fn name(&self, name: &str) -> String {
        format!("\"{}\"", name.replace('"', "\"\""))
    }

    fn literal(&self, text: &str) -> String {
        format!("'{}'", text.replace('\'', "''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostile_names_and_texts_stay_names_and_texts() {
        let table = TableName { schema: Ident::known("pub\"lic"), name: Ident::known("a{b}") };
        let body = Sql::fill(&StandardQuoting, "it's {t}", &[("t", Hole::Table(&table))]);
        let sql = Sql::fill(&StandardQuoting, "F {b} {x}", &[("b", Hole::Body(&body)), ("x", Hole::Text("'; DROP"))]);
        assert_eq!(sql.as_str(), r#"F 'it''s "pub""lic"."a{b}"' '''; DROP'"#);
    }

    #[test]
    #[should_panic(expected = "nothing in the template takes `y`")]
    fn a_hole_that_is_not_used_is_a_bug() {
        Sql::fill(&StandardQuoting, "x", &[("y", Hole::Int(1))]);
    }
}
