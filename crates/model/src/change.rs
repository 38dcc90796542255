//! What the user wants to become true.

mod column;
mod constraint;
mod index;
mod naming;
mod object;
mod partition;
mod rows;
mod table;

use serde::{Deserialize, Serialize};

use crate::expr::Expr;
use crate::ident::{Ident, MigrationId, TableRef};
use crate::sql::TypeName;

pub use column::{
    ColumnChange, ColumnCheck, ColumnDetails, ColumnKey, ColumnProperty, ColumnReferences, Generated, NewIdentity,
};
pub use constraint::{ConstraintAction, ConstraintChange, IndexParts, NewConstraint, References};
pub use index::{IndexChange, IndexProperty, NewIndex};
pub use naming::NamingChange;
pub use object::{ObjectChange, ObjectUndo, Restored};
pub use partition::{Bound, BoundKind, BoundValue, PartitionAction, PartitionChange};
pub use rows::RowsChange;
pub use table::{NewReference, NewTable, NewTableColumn};

/// Where something stands in a file. Lines and columns count from 1; columns count characters.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Place {
    /// The file as the user named it.
    pub file: String,
    /// The line.
    pub line: u32,
    /// The column.
    pub column: u32,
}

/// Something with its place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Located<T> {
    /// The thing.
    pub what: T,
    /// Index into [`Migration::statements`]; `None` for a directive.
    pub statement: Option<usize>,
    /// Where it begins.
    pub at: Place,
}

/// One SQL statement as written, without its semicolon.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Statement {
    /// The text, leading comments removed.
    pub text: String,
    /// Where the text begins.
    pub at: Place,
    /// Byte range of the text in the file (after CRLF → LF, without BOM).
    pub span: (usize, usize),
}

/// A migration file that was read: what it wants, and where each thing is said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Migration {
    /// Its id.
    pub id: MigrationId,
    /// `sha256:<hex>` over the bytes with CRLF → LF and without BOM.
    pub checksum: String,
    /// The statements in file order.
    pub statements: Vec<Statement>,
    /// The changes in file order; one statement may hold several.
    pub changes: Vec<Located<Change>>,
    /// What the directives say, in file order.
    pub directives: Vec<Located<Directive>>,
    /// The down file, where there is one, read the same way.
    pub down: Option<Box<Migration>>,
}

/// One thing that the user wants to become true. Never how: the planner chooses that.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// A new table, created as written.
    CreateTable {
        /// The table.
        table: TableRef,
        /// Tables that exist, or that this file creates, to which it is bound.
        beside: Vec<Beside>,
        /// What the statement says of it, where that is read.
        definition: Option<Box<NewTable>>,
    },
    /// A new index.
    CreateIndex {
        /// Its name, where one is written.
        index: Option<Ident>,
        /// The table.
        table: TableRef,
    },
    /// A new column.
    AddColumn {
        /// The table.
        table: TableRef,
        /// The column.
        column: NewColumn,
    },
    /// A column that goes away.
    DropColumn {
        /// The table.
        table: TableRef,
        /// The column.
        column: Ident,
    },
    /// A column that may not be NULL any more.
    SetNotNull {
        /// The table.
        table: TableRef,
        /// The column.
        column: Ident,
    },
    /// A column whose type changes under its name.
    AlterType {
        /// The table.
        table: TableRef,
        /// The column.
        column: Ident,
        /// The new type.
        to: TypeName,
        /// `USING`, where one is written.
        using: Option<Expr>,
    },
    /// An UPDATE that says how columns added in this file follow from the others: a transform, not a data step.
    Transform {
        /// The table.
        table: TableRef,
        /// Column and expression, in the order written.
        assignments: Vec<(Ident, Expr)>,
    },
    /// A property of a column that stays, or its NULLs.
    Column(ColumnChange),
    /// A constraint.
    Constraint(ConstraintChange),
    /// An index of a table that exists, or that stands alone.
    Index(IndexChange),
    /// A partition.
    Partition(PartitionChange),
    /// A name, or a table that goes away.
    Naming(NamingChange),
    /// Anything else that is carried out as it is written, or refused with the reason.
    Object(ObjectChange),
    /// Rows that follow from the rows of another table.
    Rows(RowsChange),
    /// SQL that is understood, and that this version does not carry out yet.
    NotYet {
        /// What it is, in the words of the SQL: `RENAME COLUMN`, `UPDATE of an existing column`.
        what: String,
        /// The table that it touches, where it names one.
        table: Option<TableRef>,
    },
    /// SQL that is not understood.
    Opaque {
        /// Its first words.
        what: String,
    },
}

/// A table to which a new one is bound, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Beside {
    /// The table.
    pub table: TableRef,
    /// The id of the fact that says what it is locked with: `tab.create_with_fk`, `tab.create_inherits`.
    pub fact: &'static str,
}

/// A column that a migration adds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewColumn {
    /// Its name.
    pub name: Ident,
    /// Its type as the parser spells it (qualified on PostgreSQL where the grammar does).
    pub type_name: TypeName,
    /// `NOT NULL`.
    pub not_null: bool,
    /// `DEFAULT`.
    pub default: Option<Expr>,
    /// Further clauses, by keyword (`CHECK`, `REFERENCES`, `UNIQUE`, `PRIMARY KEY`, `GENERATED`, `COLLATE`). Without `details`
    /// they are not carried out.
    pub others: Vec<String>,
    /// Its clauses, where the parser takes them apart.
    pub details: Option<ColumnDetails>,
}

/// A line `-- segue: …`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Directive {
    /// `users.full_name = EXPR`: the forward transform of a column.
    Forward {
        /// The table.
        table: TableRef,
        /// The column that is added.
        column: Ident,
        /// What it becomes.
        expr: Expr,
    },
    /// `back users.first_name = EXPR, …`: how the old columns follow from the new.
    Back {
        /// The table.
        table: TableRef,
        /// Column and expression.
        assignments: Vec<(Ident, Expr)>,
    },
    /// `strategy NAME`.
    Strategy(String),
    /// `allow RULE reason="…"`.
    Allow {
        /// The rule's id.
        rule: String,
        /// Why.
        reason: String,
    },
    /// `depends ID`.
    Depends(MigrationId),
    /// `orphans NAME refuse|null|quarantine`: what becomes of rows that point nowhere.
    Orphans {
        /// Which foreign key.
        of: ForeignKeyName,
        /// What becomes of them.
        treated: Orphans,
    },
    /// `rows addresses(user_id, street) from users(id, street) on addresses.user_id = users.id where …`.
    Rows(RowsChange),
    /// A directive that is known, and that this version does not carry out yet.
    NotYet(String),
}

/// How a directive names a foreign key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ForeignKeyName {
    /// By its own name.
    Constraint(Ident),
    /// By its (first) column.
    Column {
        /// The table.
        table: TableRef,
        /// The column.
        column: Ident,
    },
}

/// What becomes of rows whose foreign key points nowhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Orphans {
    /// While there are any, the foreign key is refused.
    Refuse,
    /// They point to nothing: their columns become NULL, and what these were is kept.
    Null,
    /// They are moved to a table that is kept.
    Quarantine,
}

impl Change {
    /// Returns the table that it is about, where it names one.
    pub fn table(&self) -> Option<&TableRef> {
        match self {
            Self::CreateTable { table, .. }
            | Self::CreateIndex { table, .. }
            | Self::AddColumn { table, .. }
            | Self::DropColumn { table, .. }
            | Self::SetNotNull { table, .. }
            | Self::AlterType { table, .. }
            | Self::Transform { table, .. } => Some(table),
            Self::Column(column) => Some(&column.table),
            Self::Constraint(constraint) => Some(&constraint.table),
            Self::Index(index) => index.table(),
            Self::Partition(partition) => Some(&partition.table),
            Self::Naming(naming) => Some(naming.table()),
            Self::Object(object) => object.table.as_ref(),
            Self::Rows(rows) => Some(&rows.from),
            Self::NotYet { table, .. } => table.as_ref(),
            Self::Opaque { .. } => None,
        }
    }

    /// Returns further tables that it names: whose structure its plan depends on.
    pub fn other_tables(&self) -> Vec<&TableRef> {
        match self {
            Self::Constraint(ConstraintChange { what: ConstraintAction::Add(new), .. }) => {
                new.references.iter().map(|references| &references.table).collect()
            }
            Self::AddColumn { column, .. } => {
                let references = column.details.iter().flat_map(|details| &details.references);
                references.map(|references| &references.to.table).collect()
            }
            Self::Partition(partition) => vec![&partition.partition],
            Self::CreateTable { beside, .. } => beside.iter().map(|beside| &beside.table).collect(),
            Self::Rows(rows) => vec![&rows.into],
            _ => vec![],
        }
    }

    /// Returns the columns of its table that it names, where it is one of the changes that stand by themselves.
    pub fn named_columns(&self) -> Vec<&Ident> {
        match self {
            Self::Column(column) => vec![&column.column],
            Self::Constraint(ConstraintChange { what: ConstraintAction::Add(new), .. }) => {
                let checked = new.check.iter().flat_map(Expr::columns);
                new.columns.iter().chain(&new.index.include).chain(checked).collect()
            }
            Self::Index(IndexChange::Create(new)) => new.columns.iter().collect(),
            Self::Naming(NamingChange::Column { column, .. }) => vec![column],
            _ => vec![],
        }
    }

    /// Returns the word for verdicts: `add_column`.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::CreateTable { .. } => "create_table",
            Self::CreateIndex { .. } => "create_index",
            Self::AddColumn { .. } => "add_column",
            Self::DropColumn { .. } => "drop_column",
            Self::SetNotNull { .. } => "set_not_null",
            Self::AlterType { .. } => "alter_type",
            Self::Transform { .. } => "update",
            Self::Column(column) => column.kind(),
            Self::Constraint(constraint) => constraint.kind(),
            Self::Index(index) => index.kind(),
            Self::Partition(partition) => partition.kind(),
            Self::Naming(naming) => naming.kind(),
            Self::Object(object) => object.kind(),
            Self::Rows(_) => "rows",
            Self::NotYet { .. } => "not_yet",
            Self::Opaque { .. } => "opaque",
        }
    }
}
