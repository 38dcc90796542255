//! What statements and commands want of any other object.

mod altered;
mod command;
mod created;
mod dropped;

use pg_query::NodeEnum;
use pg_query::protobuf::{AlterTableCmd, Node, ObjectWithArgs, RangeVar};
use segue_model::change::{Change, ObjectChange, ObjectUndo, Restored};
use segue_model::ident::TableRef;
use segue_model::sql::Written;

use super::name;
use super::statement::{Command, Statement};
use crate::grammar::{Found, Wanted, not_yet};
use crate::problem::Fault;
use crate::token::head;

/// Returns what a statement wants; `None` where it is about something else.
pub(super) fn statement(statement: &Statement<'_>, node: &NodeEnum) -> Result<Option<Vec<Found>>, Fault> {
    let found = created::read(statement, node).or_else(|| dropped::read(statement, node));
    Ok(found.or_else(|| altered::read(statement, node)).map(|found| vec![found]))
}

/// Returns what a command of ALTER TABLE wants; `None` where it is about something else.
pub(super) fn command(command: &Command<'_>, node: &AlterTableCmd) -> Result<Option<Change>, Fault> {
    Ok(command::read(command, node))
}

/// A change that is put together.
struct Made(ObjectChange);

impl Made {
    fn new(statement: &Statement<'_>, fact: &'static str) -> Self {
        Self(ObjectChange {
            words: head(statement.text, statement.tokens),
            fact,
            object: None,
            relation: None,
            table: None,
            command: None,
            undo: vec![],
        })
    }

    fn object(self, object: Option<Written>) -> Self {
        Self(ObjectChange { object, ..self.0 })
    }

    /// The relation is both what it is about and what it locks.
    fn relation(self, relation: Option<&RangeVar>) -> Self {
        let relation = relation.and_then(name::table);
        Self(ObjectChange { object: relation.as_ref().map(spelled), relation, ..self.0 })
    }

    fn table(self, table: Option<&RangeVar>) -> Self {
        Self(ObjectChange { table: table.and_then(name::table), ..self.0 })
    }

    fn undo(mut self, part: ObjectUndo) -> Self {
        self.0.undo.push(part);
        self
    }

    fn drop(self, what: &'static str) -> Self {
        self.undo(ObjectUndo::Drop(what))
    }

    fn restore(self, what: Restored) -> Self {
        self.undo(ObjectUndo::Restore(what))
    }

    fn found(self) -> Found {
        Found { at: 0, what: Wanted::Change(Change::Object(self.0)) }
    }
}

/// Returns a relation as SQL names it.
fn spelled(table: &TableRef) -> Written {
    let schema = table.schema.iter().map(|schema| name::quoted(schema.as_str()));
    let parts: Vec<String> = schema.chain([name::quoted(table.name.as_str())]).collect();
    Written::parsed(parts.join("."))
}

/// Returns a dotted name as SQL.
fn dotted(names: &[Node]) -> Option<Written> {
    let names = name::strings(names)?;
    Some(Written::parsed(names.iter().map(|name| name::quoted(name)).collect::<Vec<_>>().join(".")))
}

/// Returns a bare name as SQL.
fn bare(of: &str) -> Option<Written> {
    (!of.is_empty()).then(|| Written::parsed(name::quoted(of)))
}

/// Returns a function with its arguments' types as SQL; `None` where those are not written.
fn with_arguments(of: &ObjectWithArgs) -> Option<Written> {
    if of.args_unspecified {
        return None;
    }
    let name = dotted(&of.objname)?;
    let types = of.objargs.iter().map(|node| match &node.node {
        Some(NodeEnum::TypeName(of)) => name::spelled_type(of),
        _ => None,
    });
    let types: Option<Vec<String>> = types.collect();
    Some(Written::parsed([name.as_str(), "(", &types?.join(", "), ")"].concat()))
}

/// Returns the refusal of a shape of a statement.
fn refused(statement: &Statement<'_>, why: &str) -> Found {
    not_yet(0, [&head(statement.text, statement.tokens), " ", why].concat(), None)
}
