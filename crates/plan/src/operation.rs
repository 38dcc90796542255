//! What the changes of a file mean together: the unit that a dialect turns into steps.

use segue_model::catalog::{Catalog, Column, Table};
use segue_model::change::{
    Change, ColumnProperty, Migration, NamingChange, NewColumn, NewTable, Place, RowsChange, Statement,
};
use segue_model::expr::Expr;
use segue_model::ident::{Ident, TableName};
use segue_model::probe::Answers;
use segue_model::server::Server;
use segue_model::sql::TypeName;
use serde::{Deserialize, Serialize};

/// All that a dialect may look at.
#[derive(Clone, Copy)]
pub struct Context<'a> {
    /// The migration.
    pub migration: &'a Migration,
    /// What is there.
    pub catalog: &'a Catalog,
    /// Who answers.
    pub server: &'a Server,
    /// What the probes said so far.
    pub answers: &'a Answers,
    /// Which way rows are brought over.
    pub thresholds: &'a Thresholds,
}

/// From how many rows on the rows of a table are brought over in another way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Thresholds {
    /// A table of fewer rows needs neither pacing nor throttle.
    pub inline_below: u64,
    /// A table of more rows takes so long that nobody should have to watch.
    pub background_above: u64,
}

impl Thresholds {
    /// What holds where nobody set anything.
    pub const DEFAULT: Self = Self { inline_below: 100_000, background_above: 10_000_000 };
}

impl Default for Thresholds {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// Changes that belong together, resolved against the catalog: names are spelled as the catalog spells them.
#[derive(Debug, Clone)]
pub enum Operation<'a> {
    /// A statement that is safe as it stands: CREATE TABLE, CREATE INDEX on a table of this file, ADD COLUMN nullable or
    /// with a constant default.
    AsWritten(AsWritten<'a>),
    /// (a) A new column filled from columns that stay.
    Fill(Fill<'a>),
    /// (b) New columns in place of old ones, each following from the other.
    Pair(Pair<'a>),
    /// (c) Another type under the same name.
    Retype(Retype<'a>),
    /// (d) Columns that move to the rows of another table.
    Rows(Rows<'a>),
    /// A change that stands by itself: the engine's own safe sequence, or both shapes side by side.
    Native(Native<'a>),
}

/// See [`Operation::AsWritten`].
#[derive(Debug, Clone)]
pub struct AsWritten<'a> {
    /// The statement.
    pub statement: &'a Statement,
    /// Where.
    pub at: &'a Place,
    /// What it does.
    pub what: AsWrittenKind<'a>,
}

/// What an [`AsWritten`] statement does.
#[derive(Debug, Clone)]
pub enum AsWrittenKind<'a> {
    /// A new table.
    CreateTable {
        /// Its schema: the one written, or the first of the search path.
        schema: Ident,
        /// Its name.
        name: Ident,
        /// Tables that exist to which it is bound, with the fact that says what each is locked with.
        beside: Vec<(&'a Table, &'static str)>,
    },
    /// An index on a table that this file creates.
    CreateIndex {
        /// The index, where it is named.
        index: Option<Ident>,
        /// The table's schema.
        schema: Ident,
        /// The table.
        table: Ident,
    },
    /// An ALTER TABLE of a table that this file creates: nobody uses it yet.
    AlterNewTable {
        /// The table's schema.
        schema: Ident,
        /// The table.
        table: Ident,
    },
    /// New columns of one table in one statement, each nullable or with a constant default.
    AddColumns {
        /// The table.
        table: &'a Table,
        /// The columns.
        columns: Vec<&'a NewColumn>,
    },
}

/// See [`Operation::Fill`].
#[derive(Debug, Clone)]
pub struct Fill<'a> {
    /// The table.
    pub table: &'a Table,
    /// The column as the file adds it.
    pub column: &'a NewColumn,
    /// What existing rows get; its columns are spelled as in the catalog.
    pub forward: Expr,
    /// It ends as NOT NULL.
    pub not_null: bool,
    /// Where the UPDATE stands.
    pub at: &'a Place,
}

/// See [`Operation::Pair`].
#[derive(Debug, Clone)]
pub struct Pair<'a> {
    /// The table.
    pub table: &'a Table,
    /// The new columns, in file order.
    pub new: Vec<NewSide<'a>>,
    /// The old columns, in table order.
    pub old: Vec<OldSide<'a>>,
    /// Where the (first) UPDATE stands.
    pub at: &'a Place,
}

/// A new column of a [`Pair`].
#[derive(Debug, Clone)]
pub struct NewSide<'a> {
    /// As the file adds it.
    pub column: &'a NewColumn,
    /// How it follows from the old columns.
    pub forward: Expr,
    /// It ends as NOT NULL.
    pub not_null: bool,
}

/// An old column of a [`Pair`].
#[derive(Debug, Clone)]
pub struct OldSide<'a> {
    /// As it is.
    pub column: &'a Column,
    /// How it follows from the new columns.
    pub back: Expr,
}

/// See [`Operation::Retype`].
#[derive(Debug, Clone)]
pub struct Retype<'a> {
    /// The table.
    pub table: &'a Table,
    /// The column as it is.
    pub column: &'a Column,
    /// Its type to be.
    pub to: &'a TypeName,
    /// `USING`, where it is written.
    pub using: Option<&'a Expr>,
    /// The statement that says so.
    pub statement: &'a Statement,
    /// Where.
    pub at: &'a Place,
}

/// See [`Operation::Rows`].
#[derive(Debug, Clone)]
pub struct Rows<'a> {
    /// The table that the columns leave.
    pub from: &'a Table,
    /// The table whose rows take them.
    pub into: RowsInto<'a>,
    /// Which row follows from which.
    pub change: &'a RowsChange,
    /// The columns that the file drops from the one table and that the other takes, in table order.
    pub moved: Vec<&'a Column>,
    /// How they follow from the other table, where the down file says so.
    pub back: Option<&'a RowsChange>,
    /// Where the file says it.
    pub at: &'a Place,
}

/// The table whose rows take what leaves another.
#[derive(Debug, Clone)]
pub enum RowsInto<'a> {
    /// The file creates it.
    New {
        /// Its name.
        name: TableName,
        /// What its CREATE TABLE says, where that is read.
        definition: Option<&'a NewTable>,
    },
    /// It exists.
    Existing(&'a Table),
}

impl RowsInto<'_> {
    /// Returns the table's name.
    pub fn name(&self) -> &TableName {
        match self {
            Self::New { name, .. } => name,
            Self::Existing(table) => &table.name,
        }
    }
}

/// See [`Operation::Native`].
#[derive(Debug, Clone)]
pub struct Native<'a> {
    /// The table, where the change names one that exists.
    pub table: Option<&'a Table>,
    /// The change.
    pub change: &'a Change,
    /// The statement that says it.
    pub statement: &'a Statement,
    /// The statement says nothing else.
    pub only: bool,
    /// Where.
    pub at: &'a Place,
    /// When the columns that it names are there.
    pub stage: Stage,
    /// One of them ends NOT NULL by this file, which adds or fills it.
    pub required: bool,
}

/// When the columns are there that a [`Native`] names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// They are there already, or it names none.
    Now,
    /// One of them is added by this file, and has its values at once.
    Added,
    /// One of them is added by this file and filled by windows.
    Filled,
}

impl Native<'_> {
    /// Returns whether code that runs now needs what the change takes away, so that it stays until contract: then the plan has
    /// all phases, and not only those that run at once.
    pub fn keeps_old_shape(&self) -> bool {
        match self.change {
            Change::DropColumn { .. } => true,
            Change::Naming(naming) => match naming {
                NamingChange::Table { .. } | NamingChange::Column { .. } | NamingChange::Schema { .. } => true,
                // What is not there takes nothing away.
                NamingChange::DropTable { .. } => self.table.is_some(),
                NamingChange::DropColumn { column, .. } => {
                    self.table.is_some_and(|table| table.columns.iter().any(|known| known.name == *column))
                }
                NamingChange::Constraint { .. } => false,
            },
            Change::Column(column) => match column.what {
                // Code that runs now writes NULL, or leaves the new column out.
                ColumnProperty::Fill(_) | ColumnProperty::DropDefault => self.required,
                _ => false,
            },
            _ => false,
        }
    }
}

impl<'a> Operation<'a> {
    /// Returns where the file says it.
    pub fn at(&self) -> &'a Place {
        match self {
            Self::AsWritten(written) => written.at,
            Self::Fill(fill) => fill.at,
            Self::Pair(pair) => pair.at,
            Self::Retype(retype) => retype.at,
            Self::Rows(rows) => rows.at,
            Self::Native(native) => native.at,
        }
    }

    /// Returns whether rows that are there already are written for it.
    pub fn moves_rows(&self) -> bool {
        match self {
            Self::AsWritten(_) => false,
            Self::Fill(_) | Self::Pair(_) | Self::Retype(_) | Self::Rows(_) => true,
            Self::Native(native) => match native.change {
                // What nothing fills on touch cannot be left for later.
                Change::Column(column) => matches!(column.what, ColumnProperty::Fill(_)) && native.required,
                Change::Naming(naming) => matches!(naming, NamingChange::Column { .. }),
                _ => false,
            },
        }
    }

    /// Returns the table that exists already and that it changes; `None` for a table of this file.
    pub fn table(&self) -> Option<&'a Table> {
        match self {
            Self::AsWritten(AsWritten { what: AsWrittenKind::AddColumns { table, .. }, .. }) => Some(table),
            Self::AsWritten(_) => None,
            Self::Fill(fill) => Some(fill.table),
            Self::Pair(pair) => Some(pair.table),
            Self::Retype(retype) => Some(retype.table),
            Self::Rows(rows) => Some(rows.from),
            Self::Native(native) => native.table,
        }
    }
}
