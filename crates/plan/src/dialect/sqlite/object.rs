//! Views, triggers and virtual tables: as they are written.

use segue_model::catalog::{Table, TableKind};
use segue_model::change::{Change, ObjectChange, ObjectUndo};
use segue_model::ident::{Ident, TableName, TableRef};
use segue_model::probe::Probe;
use segue_model::sql::{Hole, Sql};
use segue_model::step::{Action, Phase, Undo};

use super::alone::{is_taken, later};
use super::sql;
use super::work::{Work, undo_step};
use crate::dialect::Planned;
use crate::operation::{Context, Native};
use crate::refusal::Refusal;

/// Returns the open questions.
///
/// # Errors
/// A refusal that needs no further answer.
pub(super) fn probes(_native: &Native<'_>, _context: &Context<'_>) -> Result<Vec<Probe>, Refusal> {
    Ok(vec![])
}

/// Returns the steps.
///
/// # Errors
/// A refusal when this cannot be done while the application runs.
pub(super) fn plan(native: &Native<'_>, context: &Context<'_>) -> Result<Planned, Refusal> {
    let Change::Object(change) = native.change else { return Err(later(native)) };
    let Some(object) = &change.relation else { return Err(later(native)) };
    match change.undo.as_slice() {
        [undo, ..] => create(native, change, object, undo, context),
        [] => drop(native, change, object, context),
    }
}

fn create(
    native: &Native<'_>,
    change: &ObjectChange,
    object: &TableRef,
    undo: &ObjectUndo,
    context: &Context<'_>,
) -> Result<Planned, Refusal> {
    if is_taken(&object.name, context) {
        return Err(Refusal::Exists { name: object.name.to_string() });
    }
    let ObjectUndo::Drop(what) = undo else { return Err(later(native)) };
    let about = TableName {
        schema: Ident::known("main"),
        name: native.table.map_or_else(|| object.name.clone(), |table| table.name.name.clone()),
    };
    let template = match *what {
        "VIEW" => "DROP VIEW IF EXISTS main.{name}",
        "TRIGGER" => "DROP TRIGGER IF EXISTS main.{name}",
        _ => "DROP TABLE IF EXISTS main.{name}",
    };
    let back = sql(template, &[("name", Hole::Name(&object.name))]);
    let (facts, undone): (&'static [&'static str], &'static [&'static str]) = match *what {
        "VIEW" => (&["view.create"], &["view.drop"]),
        "TRIGGER" => (&["trig.create"], &["trig.drop"]),
        _ => (&["tab.create_virtual"], &["tab.drop"]),
    };
    let steps = vec![undo_step(&about, undone, vec![back])];
    let undo = match *what {
        "TABLE" => Undo::Lossy { steps, loses: format!("the rows written to `{}`", object.name) },
        _ => Undo::Lossless(steps),
    };
    let title = format!("{} `{}`", change.words.to_lowercase(), object.name);
    let action = Action::Sql(vec![Sql::verbatim(native.statement)]);
    let step = Work { phase: Phase::Expand, title, action, facts, table: &about, undo }.step();
    let notes = match (*what, native.table) {
        ("TRIGGER", Some(table)) => vec![format!(
            "the trigger `{}` fires for writes to `{}` from now on, in your application's library: what it calls must be there",
            object.name, table.name.name
        )],
        _ => vec![],
    };
    Ok(Planned { steps: vec![step], notes, ..Planned::default() })
}

fn drop(
    native: &Native<'_>,
    change: &ObjectChange,
    object: &TableRef,
    context: &Context<'_>,
) -> Result<Planned, Refusal> {
    let is_view = change.fact == "view.drop";
    let Some((table, definitions)) = found(&object.name, is_view, context) else {
        if change.words.ends_with("IF EXISTS") {
            let notes = vec![format!("there is no `{}`: there is nothing to drop", object.name)];
            return Ok(Planned { notes, ..Planned::default() });
        }
        return Err(Refusal::Impossible {
            what: format!("{} `{}`", change.words, object.name),
            why: "there is nothing of that name".to_owned(),
            instead: "Check the name.".to_owned(),
        });
    };
    let users = context.catalog.tables.iter().filter(|other| is_view && other.name == table.name);
    if let Some(user) = users.flat_map(|view| &view.dependents).find(|user| user.name != object.name.as_str()) {
        return Err(Refusal::Impossible {
            what: format!("DROP VIEW `{}`", object.name),
            why: format!("the {} `{}` uses it, and would be broken", user.kind, user.name),
            instead: format!("Drop or change `{}` first.", user.name),
        });
    }
    let facts: &'static [&'static str] = if is_view { &["view.drop"] } else { &["trig.drop"] };
    let undone: &'static [&'static str] = if is_view { &["view.create"] } else { &["trig.create"] };
    let step = Work {
        phase: Phase::Expand,
        title: format!("{} `{}`", change.words.to_lowercase(), object.name),
        action: Action::Sql(vec![Sql::verbatim(native.statement)]),
        facts,
        table: &table.name,
        undo: Undo::Lossless(vec![undo_step(&table.name, undone, definitions)]),
    }
    .step();
    let notes = if is_view {
        vec![format!("code that uses `{}` fails from now on: deploy code that does without it first", object.name)]
    } else {
        vec![]
    };
    Ok(Planned { steps: vec![step], notes, ..Planned::default() })
}

/// Returns the table of a trigger, or the view, and what creates it again, with its triggers.
fn found<'a>(name: &Ident, is_view: bool, context: &Context<'a>) -> Option<(&'a Table, Vec<Sql>)> {
    if is_view {
        let view = context.catalog.tables.iter().filter(|table| table.kind == TableKind::View);
        let view = view.into_iter().find(|view| context.catalog.same(&view.name.name, name))?;
        let own = std::iter::once(view.sql.as_deref()?);
        let all = own.chain(view.triggers.iter().map(|trigger| trigger.definition.as_str()));
        return Some((view, all.map(Sql::of_catalog).collect()));
    }
    context.catalog.tables.iter().find_map(|table| {
        let trigger = table.triggers.iter().find(|trigger| context.catalog.same(&trigger.name, name))?;
        Some((table, vec![Sql::of_catalog(&trigger.definition)]))
    })
}
