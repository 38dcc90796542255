//! What statements and commands want of a name, or a table or column that goes away.

use pg_query::NodeEnum;
use pg_query::protobuf::{
    AlterObjectSchemaStmt, AlterTableCmd, AlterTableType, DropBehavior, DropStmt, Node, ObjectType, RangeVar,
    RenameStmt,
};
use segue_model::change::{Change, NamingChange};
use segue_model::ident::TableRef;

use super::name;
use super::statement::{Command, Statement};
use crate::grammar::{Found, Wanted, not_yet};
use crate::problem::Fault;

/// Returns what a statement wants; `None` where it is about something else.
pub(super) fn statement(_statement: &Statement<'_>, node: &NodeEnum) -> Result<Option<Vec<Found>>, Fault> {
    match node {
        NodeEnum::RenameStmt(stmt) => rename(stmt),
        NodeEnum::AlterObjectSchemaStmt(stmt) => set_schema(stmt),
        NodeEnum::DropStmt(stmt) if stmt.remove_type() == ObjectType::ObjectTable => drop_tables(stmt).map(Some),
        _ => Ok(None),
    }
}

/// Returns what a command of ALTER TABLE wants; `None` where it is about something else.
pub(super) fn command(command: &Command<'_>, node: &AlterTableCmd) -> Result<Option<Change>, Fault> {
    let cascade = node.behavior() == DropBehavior::DropCascade;
    if node.subtype() != AlterTableType::AtDropColumn || !(node.missing_ok || cascade) {
        return Ok(None);
    }
    Ok(Some(Change::Naming(NamingChange::DropColumn {
        table: command.table.clone(),
        column: name::ident(&node.name)?,
        if_exists: node.missing_ok,
        cascade,
    })))
}

fn rename(stmt: &RenameStmt) -> Result<Option<Vec<Found>>, Fault> {
    let words = match stmt.rename_type() {
        ObjectType::ObjectTable => "RENAME TO",
        ObjectType::ObjectColumn if stmt.relation_type() == ObjectType::ObjectTable => "RENAME COLUMN",
        ObjectType::ObjectTabconstraint => "RENAME CONSTRAINT",
        _ => return Ok(None),
    };
    let table = match of_one_table(stmt.relation.as_ref(), stmt.missing_ok, words) {
        Ok(table) => table,
        Err(other) => return Ok(Some(vec![other])),
    };
    let to = name::ident(&stmt.newname)?;
    let change = match stmt.rename_type() {
        ObjectType::ObjectTable => NamingChange::Table { table, to },
        ObjectType::ObjectColumn => NamingChange::Column { table, column: name::ident(&stmt.subname)?, to },
        _ => NamingChange::Constraint { table, constraint: name::ident(&stmt.subname)?, to },
    };
    Ok(Some(vec![found(change)]))
}

fn set_schema(stmt: &AlterObjectSchemaStmt) -> Result<Option<Vec<Found>>, Fault> {
    if stmt.object_type() != ObjectType::ObjectTable {
        return Ok(None);
    }
    let table = match of_one_table(stmt.relation.as_ref(), stmt.missing_ok, "SET SCHEMA") {
        Ok(table) => table,
        Err(other) => return Ok(Some(vec![other])),
    };
    Ok(Some(vec![found(NamingChange::Schema { table, to: name::ident(&stmt.newschema)? })]))
}

/// Returns the table of a statement about one, with its descendants; else what is not carried out.
fn of_one_table(relation: Option<&RangeVar>, missing_ok: bool, words: &str) -> Result<TableRef, Found> {
    let Some(table) = relation.and_then(name::table) else {
        return Err(not_yet(0, "a table of another database", None));
    };
    if missing_ok {
        return Err(not_yet(0, "ALTER TABLE IF EXISTS", Some(table)));
    }
    match relation.is_some_and(|relation| relation.inh) {
        true => Ok(table),
        false => Err(not_yet(0, ["ALTER TABLE ONLY … ", words].concat(), Some(table))),
    }
}

/// Each table that goes is a change of its own.
fn drop_tables(stmt: &DropStmt) -> Result<Vec<Found>, Fault> {
    let (if_exists, cascade) = (stmt.missing_ok, stmt.behavior() == DropBehavior::DropCascade);
    let each = stmt.objects.iter().map(|object| {
        let table = dropped(object)?;
        Ok(match table {
            Some(table) => found(NamingChange::DropTable { table, if_exists, cascade }),
            None => not_yet(0, "a table of another database", None),
        })
    });
    each.collect()
}

/// Returns the table; `None` where another database is named.
fn dropped(object: &Node) -> Result<Option<TableRef>, Fault> {
    let Some(NodeEnum::List(list)) = &object.node else { return Ok(None) };
    Ok(match name::strings(&list.items).unwrap_or_default().as_slice() {
        [table] => Some(TableRef { schema: None, name: name::ident(table)? }),
        [schema, table] => Some(TableRef { schema: Some(name::ident(schema)?), name: name::ident(table)? }),
        _ => None,
    })
}

fn found(change: NamingChange) -> Found {
    Found { at: 0, what: Wanted::Change(Change::Naming(change)) }
}
