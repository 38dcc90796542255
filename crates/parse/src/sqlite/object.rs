//! Views, triggers, virtual tables, and what goes away.

use segue_model::change::{Change, IndexChange, NamingChange, ObjectChange, ObjectUndo};
use segue_model::ident::TableRef;
use sqlite3_parser::ast::{QualifiedName, Stmt};

use super::name;
use crate::grammar::if_missing;
use crate::problem::Fault;

/// Returns what a statement wants; `None` where it is about something else.
pub(super) fn read(node: &Stmt<'_>) -> Result<Option<Change>, Fault> {
    Ok(Some(match node {
        Stmt::CreateView { temporary, if_not_exists, view_name, .. } => created(
            "CREATE VIEW",
            "view.create",
            (*temporary, *if_not_exists),
            view_name,
            None,
            ObjectUndo::Drop("VIEW"),
        )?,
        Stmt::CreateTrigger { temporary, if_not_exists, trigger_name, tbl_name, .. } => {
            let table = Some(name::table(tbl_name)?);
            let undo = ObjectUndo::Drop("TRIGGER");
            created("CREATE TRIGGER", "trig.create", (*temporary, *if_not_exists), trigger_name, table, undo)?
        }
        Stmt::CreateVirtualTable { if_not_exists, tbl_name, .. } => {
            let undo = ObjectUndo::Drop("TABLE");
            created("CREATE VIRTUAL TABLE", "tab.create_virtual", (false, *if_not_exists), tbl_name, None, undo)?
        }
        Stmt::DropView { if_exists, view_name } => dropped("DROP VIEW", "view.drop", *if_exists, view_name)?,
        Stmt::DropTrigger { if_exists, trigger_name } => {
            dropped("DROP TRIGGER", "trig.drop", *if_exists, trigger_name)?
        }
        Stmt::DropIndex { if_exists, idx_name } => Change::Index(IndexChange::Drop {
            indexes: vec![name::table(idx_name)?],
            concurrently: false,
            if_exists: *if_exists,
            cascade: false,
        }),
        Stmt::DropTable { if_exists, tbl_name } => Change::Naming(NamingChange::DropTable {
            table: name::table(tbl_name)?,
            if_exists: *if_exists,
            cascade: false,
        }),
        _ => return Ok(None),
    }))
}

fn created(
    words: &str,
    fact: &'static str,
    (temporary, if_not_exists): (bool, bool),
    object: &QualifiedName<'_>,
    table: Option<TableRef>,
    undo: ObjectUndo,
) -> Result<Change, Fault> {
    if temporary {
        let what = words.replace("CREATE", "CREATE TEMPORARY");
        return Ok(Change::NotYet { what, table });
    }
    if if_not_exists {
        return Ok(Change::NotYet { what: if_missing(words), table });
    }
    let relation = Some(name::table(object)?);
    let (words, undo) = (words.to_owned(), vec![undo]);
    Ok(Change::Object(ObjectChange { words, fact, object: None, relation, table, command: None, undo }))
}

fn dropped(words: &str, fact: &'static str, if_exists: bool, object: &QualifiedName<'_>) -> Result<Change, Fault> {
    let words = if if_exists { [words, " IF EXISTS"].concat() } else { words.to_owned() };
    let relation = Some(name::table(object)?);
    Ok(Change::Object(ObjectChange { words, fact, object: None, relation, table: None, command: None, undo: vec![] }))
}
