//! Rows of one table that follow from the rows of another.

use crate::expr::Expr;
use crate::ident::{Ident, TableRef};

/// `rows addresses(user_id, street) from users(id, street) on addresses.user_id = users.id where …`, the `INSERT … SELECT` that
/// says the same, or an `UPDATE … FROM` for rows that are there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RowsChange {
    /// The table whose rows follow.
    pub into: TableRef,
    /// Its columns, in the order of `values`.
    pub columns: Vec<Ident>,
    /// The table that they follow from.
    pub from: TableRef,
    /// What each column gets, over the columns of `from`.
    pub values: Vec<Expr>,
    /// Which row of `into` belongs to which of `from`: pairs of columns, `into` first. None: by the columns that the values
    /// show to be the key.
    pub on: Vec<(Ident, Ident)>,
    /// Only rows of `from` for which this holds have one.
    pub filter: Option<Expr>,
    /// Columns of `from` that are not NULL where the filter holds, as far as its text shows (`c IS NOT NULL`).
    pub present: Vec<Ident>,
}
