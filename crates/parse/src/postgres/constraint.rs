//! What statements and commands want of a constraint.

use pg_query::NodeEnum;
use pg_query::protobuf::AlterTableCmd;
use segue_model::change::Change;

use super::statement::{Command, Statement};
use crate::grammar::Found;
use crate::problem::Fault;

/// Returns what a statement wants; `None` where it is about something else.
pub(super) fn statement(_statement: &Statement<'_>, _node: &NodeEnum) -> Result<Option<Vec<Found>>, Fault> {
    Ok(None)
}

/// Returns what a command of ALTER TABLE wants; `None` where it is about something else.
pub(super) fn command(_command: &Command<'_>, _node: &AlterTableCmd) -> Result<Option<Change>, Fault> {
    Ok(None)
}
