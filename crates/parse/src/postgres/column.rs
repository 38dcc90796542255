//! What statements and commands want of a property of a column, its NULLs, or NOT NULL of a column that is there.

use pg_query::NodeEnum;
use pg_query::protobuf::{AlterTableCmd, AlterTableType};
use segue_model::change::{Change, ColumnChange, ColumnProperty};
use segue_model::expr::Expr;

use super::statement::{Command, Statement};
use super::{expr, name};
use crate::grammar::Found;
use crate::problem::Fault;
use crate::token::{find_at_top, span};

/// Returns what a statement wants; `None` where it is about something else.
pub(super) fn statement(_statement: &Statement<'_>, _node: &NodeEnum) -> Result<Option<Vec<Found>>, Fault> {
    Ok(None)
}

/// Returns what a command of ALTER TABLE wants; `None` where it is about something else. What does nothing where there is
/// nothing to do (`IF EXISTS`) stays out: its undo would make what was not there.
pub(super) fn command(command: &Command<'_>, node: &AlterTableCmd) -> Result<Option<Change>, Fault> {
    let what = match node.subtype() {
        _ if node.missing_ok || node.name.is_empty() => return Ok(None),
        AlterTableType::AtColumnDefault => match default(command, node)? {
            Some(default) => ColumnProperty::SetDefault(default),
            None => ColumnProperty::DropDefault,
        },
        AlterTableType::AtDropNotNull => ColumnProperty::DropNotNull,
        AlterTableType::AtAddIdentity => ColumnProperty::AddIdentity,
        AlterTableType::AtSetIdentity => ColumnProperty::SetIdentity,
        AlterTableType::AtDropIdentity => ColumnProperty::DropIdentity,
        AlterTableType::AtSetExpression => ColumnProperty::SetExpression,
        AlterTableType::AtDropExpression => ColumnProperty::DropExpression,
        AlterTableType::AtSetStatistics => ColumnProperty::Statistics,
        AlterTableType::AtSetOptions | AlterTableType::AtResetOptions => ColumnProperty::Options,
        AlterTableType::AtSetStorage => ColumnProperty::Storage,
        AlterTableType::AtSetCompression => ColumnProperty::Compression,
        _ => return Ok(None),
    };
    Ok(Some(Change::Column(ColumnChange {
        table: command.table.clone(),
        column: name::ident(&node.name)?,
        what,
        command: command.written(),
    })))
}

/// Returns the expression of `SET DEFAULT`; `None` for `DROP DEFAULT`.
fn default(command: &Command<'_>, node: &AlterTableCmd) -> Result<Option<Expr>, Fault> {
    let Some(value) = node.def.as_ref().and_then(|node| node.node.as_ref()) else { return Ok(None) };
    let keyword = find_at_top(command.tokens, |token| token.is(command.text, "DEFAULT")).map_or(0, |at| at + 1);
    expr::of_node(value, command.text, span(&command.tokens[keyword..]), command.table).map(Some)
}
