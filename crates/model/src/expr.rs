//! A user's own SQL expression, taken apart as far as a planner needs.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::ident::Ident;

/// A user's SQL expression over the columns of one table. Only `parse` makes one.
///
/// The text is cut where something is put in later: a column becomes `NEW."c"`, `OLD."c"` or `"c"`; a function, operator or
/// type gets the schema in which a catalog probe found it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Expr {
    /// As the user wrote it, for messages.
    pub source: String,
    /// The pieces in order; joined they are one expression, parenthesised so that qualified operators keep their meaning.
    pub parts: Vec<Part>,
    /// When the expression is NULL.
    pub nullness: Nullness,
    /// Each function, operator and type that the expression names, once.
    pub uses: Vec<NameUse>,
    /// Whether some input could make it raise an error (a cast, a division, an unlisted function).
    pub can_raise: bool,
    /// Whether it is a literal or built of literals alone (`0`, `'x'`, `-1`, `NULL`, `TRUE`).
    pub constant: bool,
}

/// A piece of an [`Expr`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Part {
    /// SQL as it stands.
    Text(String),
    /// A column of the table. On SQLite spelled as the migration does; the planner resolves its case.
    Column(Ident),
    /// The schema of `uses[i]`: the text around it holds the dot (PostgreSQL only).
    Schema(usize),
}

/// A name that the expression looks up through the search path.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct NameUse {
    /// What is named.
    pub kind: NameKind,
    /// The schema, where the user wrote one.
    pub schema: Option<Ident>,
    /// The name.
    pub name: String,
}

/// What a [`NameUse`] names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NameKind {
    /// A function.
    Function,
    /// An operator.
    Operator,
    /// A type.
    Type,
    /// A collation.
    Collation,
}

/// When an expression is NULL, as a formula over its columns.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Nullness {
    /// Never.
    Never,
    /// Always: the literal NULL.
    Always,
    /// When this column is.
    Column(Ident),
    /// When any of these is (a strict operator).
    Any(Vec<Nullness>),
    /// When all of these are (`coalesce`, `CASE` branches are `Any`).
    All(Vec<Nullness>),
    /// It cannot be told.
    Unknown,
}

impl Nullness {
    /// Returns whether the expression can be NULL, given which columns can be.
    pub fn possible(&self, nullable: &dyn Fn(&Ident) -> bool) -> bool {
        match self {
            Self::Never => false,
            Self::Always | Self::Unknown => true,
            Self::Column(column) => nullable(column),
            Self::Any(of) => of.iter().any(|n| n.possible(nullable)),
            Self::All(of) => of.iter().all(|n| n.possible(nullable)),
        }
    }
}

/// An expression as text that may enter SQL: only [`Expr::render`] makes one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rendered(String);

impl Rendered {
    /// Returns the SQL.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Expr {
    /// Returns the columns that the expression reads.
    pub fn columns(&self) -> BTreeSet<&Ident> {
        self.parts
            .iter()
            .filter_map(|part| match part {
                Part::Column(column) => Some(column),
                Part::Text(_) | Part::Schema(_) => None,
            })
            .collect()
    }

    /// Returns the expression in parentheses; `column` writes a column (quoted), `schema` the schema of a name (quoted).
    pub fn render(&self, column: &dyn Fn(&Ident) -> String, schema: &dyn Fn(&NameUse) -> String) -> Rendered {
        let mut sql = String::from("(");
        for part in &self.parts {
            match part {
                Part::Text(text) => sql.push_str(text),
                Part::Column(name) => sql.push_str(&column(name)),
                Part::Schema(at) => sql.push_str(&schema(&self.uses[*at])),
            }
        }
        sql.push(')');
        Rendered(sql)
    }
}
