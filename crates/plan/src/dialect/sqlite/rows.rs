//! Columns that move to the rows of another table.

use crate::dialect::Planned;
use crate::operation::Rows;
use crate::refusal::Refusal;

/// Returns the steps.
///
/// # Errors
/// Always a refusal, so far.
pub(super) fn plan(rows: &Rows<'_>) -> Result<Planned, Refusal> {
    Err(Refusal::NotYet {
        what: format!("moving columns of `{}` to rows of `{}` on SQLite", rows.from.name.name, rows.into.name().name),
        instead: "Stop the application for this change, or leave it out of this file.".to_owned(),
    })
}
