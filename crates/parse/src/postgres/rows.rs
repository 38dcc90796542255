//! What statements want of rows that follow from the rows of another table.

use pg_query::NodeEnum;

use super::statement::Statement;
use crate::grammar::Found;
use crate::problem::Fault;

/// Returns what a statement wants; `None` where it is about something else.
pub(super) fn statement(_statement: &Statement<'_>, _node: &NodeEnum) -> Result<Option<Vec<Found>>, Fault> {
    Ok(None)
}
