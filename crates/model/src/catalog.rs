//! What is there: the structure of a database as its catalog tells it.

use serde::{Deserialize, Serialize};

use crate::engine::Engine;
use crate::ident::{Ident, TableName, TableRef};
use crate::sql::TypeName;

/// The tables of a database, with the path on which unqualified names are found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Catalog {
    /// The product.
    pub engine: Engine,
    /// Schemas in the order in which the application's names are looked up. SQLite: `main`.
    pub search_path: Vec<Ident>,
    /// Every ordinary or partitioned table, view, materialized view and foreign table outside the system's schemas, sorted by name.
    pub tables: Vec<Table>,
    /// Names of relations, functions and types that a name of ours could collide with, `schema.name`, sorted.
    pub taken: Vec<String>,
}

/// A table or something that is used as one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Table {
    /// Its name.
    pub name: TableName,
    /// What it is.
    pub kind: TableKind,
    /// Its owner (PostgreSQL; empty elsewhere).
    pub owner: String,
    /// Its columns in order.
    pub columns: Vec<Column>,
    /// Its indexes.
    pub indexes: Vec<Index>,
    /// Its constraints, except NOT NULL.
    pub constraints: Vec<Constraint>,
    /// Foreign keys of other tables (or its own) that point here.
    pub referenced_by: Vec<Constraint>,
    /// Triggers of the user and of ours, without the internal ones of constraints.
    pub triggers: Vec<Trigger>,
    /// Names of row security policies.
    pub policies: Vec<Ident>,
    /// Row security is on.
    pub row_security: bool,
    /// Row security binds the owner too.
    pub force_row_security: bool,
    /// Views, materialized views, rules, functions, statistics and the like that are bound to columns of this table.
    pub dependents: Vec<Dependent>,
    /// Publications that publish this table.
    pub publications: Vec<Ident>,
    /// It is a partition or child of another, or has children.
    pub inherits: bool,
    /// SQLite: `WITHOUT ROWID`.
    pub without_rowid: bool,
    /// SQLite: a spelling of rowid that no column hides (`rowid`, `_rowid_`, `oid`); `None` when all are hidden.
    pub rowid_name: Option<Ident>,
    /// SQLite: the text of the table in `sqlite_schema`.
    pub sql: Option<String>,
    /// What the catalog estimates: evidence, not structure.
    pub size: Size,
}

/// What a [`Table`] is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TableKind {
    /// An ordinary table.
    Ordinary,
    /// A partitioned table.
    Partitioned,
    /// A partition.
    Partition,
    /// A view.
    View,
    /// A materialized view.
    MaterializedView,
    /// A foreign table.
    Foreign,
    /// A virtual table (SQLite).
    Virtual,
}

/// A column.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Column {
    /// Its name.
    pub name: Ident,
    /// Its type with modifiers, as `format_type` spells it with only `pg_catalog` in the path; SQLite: as declared.
    pub type_name: TypeName,
    /// The type's own name without modifiers and schema (`int4`, `varchar`); SQLite: the affinity (`TEXT`, `INTEGER`, …).
    pub base_type: String,
    /// Whether the type carries a modifier (a length or precision).
    pub has_modifier: bool,
    /// It cannot be NULL.
    pub not_null: bool,
    /// The default's expression.
    pub default: Option<String>,
    /// A generated column's expression.
    pub generated: Option<String>,
    /// `ALWAYS` or `BY DEFAULT` for an identity column.
    pub identity: Option<String>,
    /// A collation that is not the type's own.
    pub collation: Option<String>,
    /// The column has a comment, grants, statistics target, storage or compression of its own that a copy must carry;
    /// each as a short word (`comment`, `grants`, `statistics`, `storage`, `compression`).
    pub carries: Vec<String>,
    /// Sequences that the column owns.
    pub owns_sequences: Vec<String>,
}

/// An index.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Index {
    /// Its name.
    pub name: Ident,
    /// Rows are unique in it.
    pub unique: bool,
    /// It is the primary key's.
    pub primary: bool,
    /// It belongs to a constraint.
    pub of_constraint: bool,
    /// It is complete and used (`indisvalid`).
    pub valid: bool,
    /// The access method (`btree`).
    pub method: String,
    /// Its key, in order.
    pub keys: Vec<IndexKey>,
    /// `INCLUDE` columns.
    pub include: Vec<Ident>,
    /// `WHERE`.
    pub predicate: Option<String>,
    /// The full definition as the server prints it; SQLite: the text in `sqlite_schema`, empty for automatic ones.
    pub definition: String,
    /// What a copy by key columns would lose: `storage parameters`, `tablespace`, `comment`, `clustered`, `replica identity`,
    /// `nulls not distinct`, `statistics`.
    pub carries: Vec<String>,
}

/// One column or expression of an index key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IndexKey {
    /// The column; `None` for an expression.
    pub column: Option<Ident>,
    /// `DESC`.
    pub descending: bool,
    /// `NULLS FIRST`.
    pub nulls_first: bool,
    /// The type's default operator class and the column's collation are used.
    pub default_class: bool,
}

/// A constraint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Constraint {
    /// Its name; SQLite: often none.
    pub name: Option<Ident>,
    /// What it is.
    pub kind: ConstraintKind,
    /// The table it is declared on.
    pub table: TableName,
    /// The columns of that table which it names.
    pub columns: Vec<Ident>,
    /// For a foreign key, the other table.
    pub references: Option<TableName>,
    /// For a foreign key, the other table's columns, paired with `columns`.
    pub referenced_columns: Vec<Ident>,
    /// Its definition as the server prints it.
    pub definition: String,
    /// Existing rows were checked.
    pub validated: bool,
}

/// What a [`Constraint`] is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ConstraintKind {
    /// `CHECK`.
    Check,
    /// `UNIQUE`.
    Unique,
    /// `PRIMARY KEY`.
    PrimaryKey,
    /// `FOREIGN KEY`.
    ForeignKey,
    /// `EXCLUDE`.
    Exclusion,
}

/// A trigger.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trigger {
    /// Its name.
    pub name: Ident,
    /// It runs before the row is written, and may change it.
    pub before_row: bool,
    /// It is enabled, by `tgenabled`: `O`, `A`, `R` or `D`; SQLite: `O`.
    pub enabled: char,
    /// Its definition as the server prints it; SQLite: the text in `sqlite_schema`.
    pub definition: String,
}

/// Something that is bound to columns of a table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dependent {
    /// `view`, `materialized view`, `rule`, `function`, `policy`, `trigger`, `generated column`, `statistics`, `publication`, `partition key`, `index expression`, `check`.
    pub kind: String,
    /// Its name for people.
    pub name: String,
    /// The columns; empty when only the whole table is known.
    pub columns: Vec<Ident>,
}

/// How large a table is estimated to be.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Size {
    /// Rows; `None` when the server has no estimate yet.
    pub rows: Option<u64>,
    /// Bytes on disk, without indexes.
    pub bytes: u64,
}

impl Catalog {
    /// Returns the table that a migration means.
    ///
    /// PostgreSQL compares names as they are; SQLite without ASCII case.
    pub fn find(&self, wanted: &TableRef) -> Option<&Table> {
        match &wanted.schema {
            Some(schema) => {
                self.tables.iter().find(|t| self.same(&t.name.schema, schema) && self.same(&t.name.name, &wanted.name))
            }
            None => self.search_path.iter().find_map(|schema| {
                self.tables.iter().find(|t| t.name.schema == *schema && self.same(&t.name.name, &wanted.name))
            }),
        }
    }

    /// Returns the table of this name.
    pub fn table(&self, name: &TableName) -> Option<&Table> {
        self.tables.iter().find(|t| t.name == *name)
    }

    /// Returns the index that a migration means, with its table.
    pub fn index(&self, wanted: &TableRef) -> Option<(&Table, &Index)> {
        let of_schema = |schema: &Ident| {
            let tables = self.tables.iter().filter(|table| self.same(&table.name.schema, schema));
            let named = |table| {
                let index = table_index(table, |name| self.same(name, &wanted.name))?;
                Some((table, index))
            };
            tables.into_iter().find_map(named)
        };
        match &wanted.schema {
            Some(schema) => of_schema(schema),
            None => self.search_path.iter().find_map(of_schema),
        }
    }

    /// Returns whether the engine holds two names to be one.
    pub fn same(&self, one: &Ident, other: &Ident) -> bool {
        match self.engine {
            Engine::Postgres => one == other,
            Engine::Sqlite => one.as_str().eq_ignore_ascii_case(other.as_str()),
        }
    }

    /// Returns the column of `table` that a migration means.
    pub fn column<'a>(&self, table: &'a Table, wanted: &Ident) -> Option<&'a Column> {
        table.columns.iter().find(|c| self.same(&c.name, wanted))
    }
}

fn table_index(table: &Table, is: impl Fn(&Ident) -> bool) -> Option<&Index> {
    table.indexes.iter().find(|index| is(&index.name))
}

impl Table {
    /// Returns the primary key's columns, in key order; none when there is no primary key.
    pub fn primary_key(&self) -> &[Ident] {
        self.constraints.iter().find(|c| c.kind == ConstraintKind::PrimaryKey).map_or(&[], |c| &c.columns)
    }
}
