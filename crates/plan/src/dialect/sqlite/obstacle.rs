//! What stands in the way of a column that goes, or of the whole change.

use segue_model::catalog::{Column, ConstraintKind, Table, TableKind};
use segue_model::change::Change;
use segue_model::ident::Ident;
use segue_model::probe::{Answer, Probe};
use segue_model::sql::Hole;

use super::sql;
use crate::operation::{Context, Operation};
use crate::refusal::{Refusal, Refused};

/// Returns one question a view: a view that does not work makes every later RENAME and DROP COLUMN of any table fail.
pub(super) fn probes(operation: &Operation<'_>, context: &Context<'_>) -> Vec<Probe> {
    if !looks_at_views(operation) {
        return vec![];
    }
    let views = context.catalog.tables.iter().filter(|table| table.kind == TableKind::View);
    let probe = |view: &Table| Probe {
        key: key(view),
        sql: sql("SELECT 1 FROM {view} LIMIT 0", &[("view", Hole::Table(&view.name))]),
    };
    views.map(probe).filter(|probe| !context.answers.contains_key(&probe.key)).collect()
}

/// Returns whether SQLite reads every view for one of its statements.
fn looks_at_views(operation: &Operation<'_>) -> bool {
    match operation {
        Operation::Pair(_) | Operation::Fill(_) => true,
        Operation::Native(native) => matches!(native.change, Change::Naming(_) | Change::DropColumn { .. }),
        Operation::AsWritten(_) | Operation::Retype(_) | Operation::Rows(_) => false,
    }
}

fn key(view: &Table) -> String {
    format!("view {}", view.name.name.as_str())
}

/// Refuses while a view is broken.
///
/// # Errors
/// A refusal that names the view.
pub(super) fn broken_view(operation: &Operation<'_>, context: &Context<'_>) -> Result<(), Refused> {
    if !looks_at_views(operation) {
        return Ok(());
    }
    for view in context.catalog.tables.iter().filter(|table| table.kind == TableKind::View) {
        let Some(Answer::Failed { message, .. }) = context.answers.get(&key(view)) else { continue };
        // A function that only the application has does no harm; a name that is gone does.
        if message.contains("no such table") || message.contains("no such column") {
            return Err(Refusal::Impossible {
                what: format!("a change of columns while the view `{}` is broken", view.name.name),
                why: format!("SQLite then refuses to rename or drop any column ({message})"),
                instead: format!("Repair or drop the view `{}` first.", view.name.name),
            }
            .at(operation.at()));
        }
    }
    Ok(())
}

/// Refuses a table whose rows cannot be cut and found again by rowid.
///
/// # Errors
/// A refusal that says why; else the spelling of rowid that works.
pub(super) fn rowid(table: &Table) -> Result<Ident, Refusal> {
    let name = &table.name.name;
    if table.kind != TableKind::Ordinary {
        return Err(Refusal::NotYet {
            what: format!("a change of `{name}`, which is no ordinary table"),
            instead: "Change the table behind it.".to_owned(),
        });
    }
    if table.without_rowid {
        return Err(Refusal::NotYet {
            what: format!("a change of columns of `{name}`, which is WITHOUT ROWID"),
            instead: "Only columns that are nullable or have a constant default can be added to it.".to_owned(),
        });
    }
    table.rowid_name.clone().ok_or_else(|| Refusal::Impossible {
        what: format!("a change of columns of `{name}`"),
        why: "its own columns are called rowid, _rowid_ and oid, so its rows cannot be told apart".to_owned(),
        instead: "Rename one of them first.".to_owned(),
    })
}

/// Refuses an old column that SQLite would not drop, or that a write in the new shape could not leave out.
///
/// # Errors
/// A refusal that names what stands in the way.
pub(super) fn of_dropping(table: &Table, column: &Column) -> Result<(), Refusal> {
    let what = format!("`{}.{}` cannot go", table.name.name, column.name);
    if let Some(object) = holder(table, &column.name) {
        return Err(Refusal::Impossible {
            what,
            why: format!("{object} needs it, and SQLite refuses to drop such a column"),
            instead: format!("Drop or change {object} first."),
        });
    }
    if is_rowid(&column.name) {
        return Err(Refusal::Impossible {
            what,
            why: "SQLite refuses to rename a column that is called like the rowid, so it cannot be hidden first"
                .to_owned(),
            instead: "Leave the column where it is, and only add the new one.".to_owned(),
        });
    }
    if column.generated.is_some() {
        return Err(Refusal::NotYet {
            what: format!("{what}: it is generated"),
            instead: "Drop a generated column by itself: it holds no data.".to_owned(),
        });
    }
    if column.not_null && column.default.is_none() {
        return Err(Refusal::Impossible {
            what: format!("`{}.{}` cannot be left out by new code", table.name.name, column.name),
            why: "it is NOT NULL without a default, and SQLite checks that before any trigger could fill it".to_owned(),
            instead: format!(
                "Once, before this migration: `ALTER TABLE {} ALTER COLUMN {} DROP NOT NULL` with a library from 3.53 on, or \
                 give the column a default.",
                spelled(&table.name.name),
                spelled(&column.name)
            ),
        });
    }
    Ok(())
}

/// Refuses a statement that came with a later library than ours.
///
/// # Errors
/// A refusal that names both.
pub(super) fn library(context: &Context<'_>, minor: u32, what: &str) -> Result<(), Refusal> {
    let ours = &context.server.version;
    if (ours.major, ours.minor) >= (3, minor) {
        return Ok(());
    }
    Err(Refusal::Impossible {
        what: what.to_owned(),
        why: format!("it came with SQLite 3.{minor}, and this is 3.{}", ours.minor),
        instead: "Use a build of Segue with its own library.".to_owned(),
    })
}

/// Refuses a new column that SQLite would not add.
///
/// # Errors
/// A refusal that names the column.
pub(super) fn of_adding(table: &Ident, column: &Ident) -> Result<(), Refusal> {
    if !is_rowid(column) {
        return Ok(());
    }
    Err(Refusal::Impossible {
        what: format!("a new column `{table}.{column}`"),
        why: "SQLite calls the rowid so, and adds no column that would hide it".to_owned(),
        instead: "Choose another name.".to_owned(),
    })
}

fn is_rowid(column: &Ident) -> bool {
    ["rowid", "_rowid_", "oid"].iter().any(|alias| column.as_str().eq_ignore_ascii_case(alias))
}

fn spelled(name: &Ident) -> String {
    sql("{name}", &[("name", Hole::Name(name))]).as_str().to_owned()
}

fn holder(table: &Table, column: &Ident) -> Option<String> {
    let names = |columns: &[Ident]| columns.contains(column);
    let constraint = table.constraints.iter().find(|constraint| names(&constraint.columns)).map(|constraint| {
        match constraint.kind {
            ConstraintKind::PrimaryKey => "the primary key".to_owned(),
            ConstraintKind::Unique => "a UNIQUE constraint".to_owned(),
            ConstraintKind::ForeignKey => "a foreign key".to_owned(),
            ConstraintKind::Check => format!("the constraint `{}`", constraint.definition),
            ConstraintKind::Exclusion => "an exclusion constraint".to_owned(),
        }
    });
    let pointing = || {
        let foreign = table.referenced_by.iter().find(|constraint| names(&constraint.referenced_columns))?;
        Some(format!("a foreign key of `{}`", foreign.table.name))
    };
    let index = || {
        let index = table.indexes.iter().find(|i| i.keys.iter().any(|key| key.column.as_ref() == Some(column)))?;
        Some(format!("the index `{}`", index.name))
    };
    let dependent = || {
        let dependent = table.dependents.iter().find(|dependent| names(&dependent.columns))?;
        let kind = if dependent.kind == "index expression" { "index" } else { dependent.kind.as_str() };
        Some(format!("the {kind} `{}`", dependent.name))
    };
    constraint.or_else(pointing).or_else(index).or_else(dependent)
}
