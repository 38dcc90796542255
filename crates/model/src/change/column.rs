//! What becomes of a column that stays under its name and type.

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
