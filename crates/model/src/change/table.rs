//! A table that a file creates, as far as its statement tells.

use crate::ident::{Ident, TableRef};
use crate::sql::TypeName;

/// What a CREATE TABLE says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NewTable {
    /// Its columns.
    pub columns: Vec<NewTableColumn>,
    /// The columns of each primary key and UNIQUE that is looked at when a row is written.
    pub keys: Vec<Vec<Ident>>,
    /// Its foreign keys.
    pub references: Vec<NewReference>,
    /// What else it says that a write could fail on, or that is not read further: `CHECK`, `EXCLUDE`, `PARTITION BY`, `LIKE`.
    pub others: Vec<String>,
}

/// A column of a [`NewTable`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewTableColumn {
    /// Its name.
    pub name: Ident,
    /// Its type as the parser spells it; `None` where it is no type of the grammar's own (`serial`).
    pub type_name: Option<TypeName>,
    /// It may not be NULL.
    pub not_null: bool,
    /// It has a value without being written: a default, an identity, a generated column.
    pub has_value: bool,
    /// It may not be written: generated, or identity ALWAYS.
    pub always: bool,
}

/// A foreign key of a [`NewTable`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewReference {
    /// Its columns.
    pub columns: Vec<Ident>,
    /// The table that it points to.
    pub table: TableRef,
    /// The columns there; none: the primary key's.
    pub referenced: Vec<Ident>,
}
