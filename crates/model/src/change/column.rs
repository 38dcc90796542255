//! What becomes of a column that stays under its name and type.

use super::References;
use crate::expr::Expr;
use crate::ident::{Ident, TableRef};
use crate::sql::Written;

/// A change of one property of a column, or of its NULLs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ColumnChange {
    /// The table.
    pub table: TableRef,
    /// The column.
    pub column: Ident,
    /// What of it.
    pub what: ColumnProperty,
    /// The command after `ALTER TABLE t`; of a fill, the whole UPDATE.
    pub command: Written,
}

/// What of a column changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ColumnProperty {
    /// `SET DEFAULT`.
    SetDefault(Expr),
    /// `DROP DEFAULT`.
    DropDefault,
    /// `DROP NOT NULL`.
    DropNotNull,
    /// `UPDATE t SET c = EXPR WHERE c IS NULL` of a column that is there already.
    Fill(Expr),
    /// `ADD GENERATED … AS IDENTITY`.
    AddIdentity,
    /// `SET GENERATED …`, `RESTART`: an identity that is there.
    SetIdentity,
    /// `DROP IDENTITY`.
    DropIdentity,
    /// `SET EXPRESSION`.
    SetExpression,
    /// `DROP EXPRESSION`.
    DropExpression,
    /// `SET STATISTICS`.
    Statistics,
    /// `SET (n_distinct = …)`, `RESET (…)`.
    Options,
    /// `SET STORAGE`.
    Storage,
    /// `SET COMPRESSION`.
    Compression,
}

impl ColumnChange {
    /// Returns the word for verdicts.
    pub fn kind(&self) -> &'static str {
        match self.what {
            ColumnProperty::SetDefault(_) => "set_default",
            ColumnProperty::DropDefault => "drop_default",
            ColumnProperty::DropNotNull => "drop_not_null",
            ColumnProperty::Fill(_) => "fill_nulls",
            ColumnProperty::AddIdentity => "add_identity",
            ColumnProperty::SetIdentity => "set_identity",
            ColumnProperty::DropIdentity => "drop_identity",
            ColumnProperty::SetExpression => "set_expression",
            ColumnProperty::DropExpression => "drop_expression",
            ColumnProperty::Statistics => "set_statistics",
            ColumnProperty::Options => "set_column_options",
            ColumnProperty::Storage => "set_storage",
            ColumnProperty::Compression => "set_compression",
        }
    }
}

/// The clauses of a column that a migration adds, each as written, so that each can be carried out by itself.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ColumnDetails {
    /// `ADD COLUMN …`, the whole command after `ALTER TABLE t`.
    pub command: Option<Written>,
    /// What stands after `DEFAULT`.
    pub default: Option<Written>,
    /// `STORAGE …`, `COMPRESSION …`, `COLLATE …`: what must be said when the column is added.
    pub plain: Vec<Written>,
    /// The whole number that a `serial` is: `pg_catalog.int8`.
    pub serial: Option<&'static str>,
    /// `GENERATED … AS IDENTITY`.
    pub identity: Option<NewIdentity>,
    /// `GENERATED ALWAYS AS (…)`.
    pub generated: Option<Generated>,
    /// `CHECK (…)`, in order.
    pub checks: Vec<ColumnCheck>,
    /// `UNIQUE` and `PRIMARY KEY`, in order.
    pub keys: Vec<ColumnKey>,
    /// `REFERENCES …`, in order.
    pub references: Vec<ColumnReferences>,
    /// The name written before `NOT NULL`.
    pub not_null_name: Option<Ident>,
}

/// An identity that a column is added with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewIdentity {
    /// `ALWAYS`, not `BY DEFAULT`.
    pub always: bool,
    /// What stands in the parentheses: `START WITH 100`.
    pub options: Option<Written>,
    /// Among the options is a name, an owner or a persistence of the sequence.
    pub names_sequence: bool,
}

/// How a generated column is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Generated {
    /// `STORED`.
    Stored,
    /// `VIRTUAL`, or nothing is written.
    Virtual,
}

/// A CHECK that a column is added with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ColumnCheck {
    /// Its name, where one is written.
    pub name: Option<Ident>,
    /// `CHECK (…)` with what follows it.
    pub definition: Written,
    /// The columns that it reads.
    pub columns: Vec<Ident>,
    /// `NOT ENFORCED` is written: no row is looked at.
    pub not_enforced: bool,
}

/// A key that a column is added with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ColumnKey {
    /// Its name, where one is written.
    pub name: Option<Ident>,
    /// `PRIMARY KEY`, not `UNIQUE`.
    pub primary: bool,
    /// `NULLS NOT DISTINCT`.
    pub nulls_not_distinct: bool,
    /// `WITH (…)`.
    pub storage: Option<Written>,
    /// `USING INDEX TABLESPACE …`.
    pub tablespace: Option<Ident>,
    /// `DEFERRABLE`, `INITIALLY DEFERRED`: what is said of the constraint.
    pub attributes: Vec<Written>,
}

/// A foreign key that a column is added with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ColumnReferences {
    /// Its name, where one is written.
    pub name: Option<Ident>,
    /// Where it points to.
    pub to: References,
    /// `REFERENCES …` with what follows it.
    pub definition: Written,
    /// `NOT ENFORCED` is written: no row is looked at.
    pub not_enforced: bool,
}

impl ColumnDetails {
    /// Returns whether the column is more than a type with an optional DEFAULT and NOT NULL.
    pub fn has_more(&self) -> bool {
        let constrained = !(self.checks.is_empty() && self.keys.is_empty() && self.references.is_empty());
        constrained || self.makes_values() || self.generated.is_some() || self.not_null_name.is_some()
    }

    /// Returns whether each row gets a number of its own.
    pub fn makes_values(&self) -> bool {
        self.serial.is_some() || self.identity.is_some()
    }
}
