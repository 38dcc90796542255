//! A change of any other object: run as written where that is safe, with what takes it back.

mod refused;
mod restored;

use segue_model::catalog::{IndexKey, Table, TableKind};
use segue_model::change::{Change, ObjectChange, ObjectUndo, Restored};
use segue_model::ident::{Ident, TableName, TableRef};
use segue_model::lock::{LockMode, RelationLock};
use segue_model::probe::{Answer, Probe};
use segue_model::sql::{Hole, Sql};
use segue_model::step::{Action, Phase, Step, Undo, UndoStep};
use segue_model::value::Value;

use super::facts::{Fact, fact_on};
use super::work::{Work, beside, undo_step};
use super::{alone, gates, sql};
use crate::dialect::Planned;
use crate::operation::{Context, Native};
use crate::refusal::Refusal;

/// Returns the open questions: what is there before, as the server prints it.
///
/// # Errors
/// A refusal that needs no further answer.
pub(super) fn probes(native: &Native<'_>, context: &Context<'_>) -> Result<Vec<Probe>, Refusal> {
    let Change::Object(object) = native.change else { return Ok(vec![]) };
    let fact = known(object, context)?;
    refused::always(object)?;
    let mut open = restored::probes(object, native);
    open.extend(native.table.map(|table| gates::owner_probe(&table.name)));
    open.extend(is_of_domain(fact).then(|| users_probe(object)));
    Ok(open)
}

/// Returns the step.
///
/// # Errors
/// A refusal when this cannot be done while the application runs.
pub(super) fn plan(native: &Native<'_>, context: &Context<'_>) -> Result<Planned, Refusal> {
    let Change::Object(object) = native.change else { return Err(alone::later(native)) };
    let fact = match object.fact {
        // It is written so that readers go on.
        "mv.refresh" => super::facts::fact("mv.refresh_conc"),
        _ => known(object, context)?,
    };
    refused::always(object)?;
    is_new(object, context)?;
    let relation = relation(object, native, context)?;
    let users = users(object, fact, context)?;
    let undo = undo(object, context, &relation)?;
    let work = Work {
        phase: Phase::Expand,
        title: title(object),
        action: Action::Sql(vec![statement(object, native, context)?]),
        facts: std::slice::from_ref(&fact.id),
        table: &relation,
        undo,
    };
    let mut step = of_version(beside(work.step(), users), fact);
    if object.fact == "view.replace" && context.catalog.table(&relation).is_none() {
        step.locks = vec![];
    }
    Ok(Planned { steps: vec![step], notes: notes(object), ..Planned::default() })
}

fn known(object: &ObjectChange, context: &Context<'_>) -> Result<&'static Fact, Refusal> {
    let major = context.server.version.major;
    fact_on(object.fact, major).ok_or_else(|| Refusal::Impossible {
        what: object.words.clone(),
        why: ["PostgreSQL ", &major.to_string(), " has no such statement"].concat(),
        instead: "Leave it out, or upgrade the server first.".to_owned(),
    })
}

/// The newest version's lock stands in the step; an older one may take none.
fn of_version(step: Step, fact: &Fact) -> Step {
    if fact.id != "tab.grant" || fact.lock != LockMode::None {
        return step;
    }
    let undo = match step.undo {
        Undo::Lossless(parts) => {
            Undo::Lossless(parts.into_iter().map(|part| UndoStep { locks: vec![], ..part }).collect())
        }
        other => other,
    };
    Step { locks: vec![], undo, ..step }
}

fn title(object: &ObjectChange) -> String {
    match (&object.object, &object.table) {
        (Some(name), _) => format!("{} {}", object.words, name.as_str()),
        (None, Some(table)) => format!("{}: {table}", object.words),
        (None, None) => object.words.clone(),
    }
}

/// Returns what is run: the statement as written; of an ALTER TABLE that says more, the one command.
fn statement(object: &ObjectChange, native: &Native<'_>, context: &Context<'_>) -> Result<Sql, Refusal> {
    if object.fact == "mv.refresh" {
        return refresh(object, context);
    }
    Ok(match (&object.command, native.table) {
        (Some(command), Some(table)) if !native.only => sql(
            "ALTER TABLE {table} {command}",
            &[("table", Hole::Table(&table.name)), ("command", Hole::Sql(&Sql::written(command)))],
        ),
        _ => Sql::verbatim(native.statement),
    })
}

/// REFRESH keeps readers out until it is done; with a unique index it need not.
fn refresh(object: &ObjectChange, context: &Context<'_>) -> Result<Sql, Refusal> {
    let view = object.relation.as_ref().and_then(|view| context.catalog.find(view));
    let plain = |key: &IndexKey| key.column.is_some();
    let unique = |table: &&Table| {
        let fits = |index: &segue_model::catalog::Index| {
            index.unique && index.valid && index.predicate.is_none() && index.keys.iter().all(plain)
        };
        table.indexes.iter().any(fits)
    };
    match view.filter(unique) {
        Some(view) => Ok(sql("REFRESH MATERIALIZED VIEW CONCURRENTLY {view}", &[("view", Hole::Table(&view.name))])),
        None => Err(Refusal::Impossible {
            what: object.words.clone(),
            why: "nobody could read the view until it is done, and without a unique index over plain columns, without \
                  WHERE, it cannot be refreshed beside its readers"
                .to_owned(),
            instead: "Create such an index first, in a migration of its own.".to_owned(),
        }),
    }
}

/// What must not be there yet: the undo would drop what somebody else made.
fn is_new(object: &ObjectChange, context: &Context<'_>) -> Result<(), Refusal> {
    let relations =
        ["view.create", "mv.create", "seq.create", "tab.create_as", "enum.create", "typ.create", "dom.create"];
    let Some(name) = object.object.as_ref().filter(|_| relations.contains(&object.fact)) else { return Ok(()) };
    let bare = name.as_str().replace("\".\"", ".").trim_matches('"').replace("\"\"", "\"");
    let full = match context.catalog.search_path.first() {
        Some(schema) if !name.as_str().contains("\".\"") => [schema.as_str(), ".", &bare].concat(),
        _ => bare.clone(),
    };
    if context.catalog.taken.contains(&full) { Err(Refusal::Exists { name: bare }) } else { Ok(()) }
}

/// Returns what the lock is on. Of something that locks no relation, nothing is read from it.
fn relation(object: &ObjectChange, native: &Native<'_>, context: &Context<'_>) -> Result<TableName, Refusal> {
    if let Some(table) = native.table {
        if !matches!(table.kind, TableKind::Ordinary | TableKind::Partitioned | TableKind::Partition)
            && object.command.is_some()
        {
            return Err(Refusal::NotYet {
                what: format!("{} of {}, which is no table", object.words, table.name),
                instead: "Change what it is made of.".to_owned(),
            });
        }
        gates::owner(table, context)?;
        return Ok(table.name.clone());
    }
    if let Some(table) = of_statistics(object, context) {
        return Ok(table);
    }
    let named = object.relation.as_ref().or(object.table.as_ref());
    let schema = || context.catalog.search_path.first().cloned().unwrap_or_else(|| Ident::known("public"));
    let Some(named) = named else { return Ok(TableName { schema: schema(), name: Ident::known("none") }) };
    if let Some(found) = context.catalog.find(named) {
        return Ok(found.name.clone());
    }
    if missing(object, named, context) {
        return Err(Refusal::NoTable { table: named.to_string(), nearest: None });
    }
    let taken = |schema: &&Ident| context.catalog.taken.contains(&[schema.as_str(), ".", named.name.as_str()].concat());
    let home = named.schema.clone().or_else(|| context.catalog.search_path.iter().find(taken).cloned());
    Ok(TableName { schema: home.unwrap_or_else(schema), name: named.name.clone() })
}

/// Returns the table that extended statistics are about.
fn of_statistics(object: &ObjectChange, context: &Context<'_>) -> Option<TableName> {
    let name = object.object.as_ref().filter(|_| matches!(object.fact, "stx.drop" | "stx.alter"))?.as_str();
    let bare = name.rsplit("\".\"").next()?.trim_matches('"');
    let told = |table: &&Table| {
        let ends = |name: &str| name == bare || name.strip_suffix(bare).is_some_and(|schema| schema.ends_with('.'));
        table.dependents.iter().any(|of| of.kind == "statistics" && ends(&of.name))
    };
    context.catalog.tables.iter().find(told).map(|table| table.name.clone())
}

/// A view that is changed must be there, or be made by this file.
fn missing(object: &ObjectChange, named: &TableRef, context: &Context<'_>) -> bool {
    let is_view = object.fact.starts_with("view.") || object.fact.starts_with("mv.");
    let makes = matches!(object.fact, "view.create" | "view.replace" | "mv.create");
    is_view && !makes && !is_made_here(object, context) && context.catalog.find(named).is_none()
}

/// Returns whether this file makes the object itself.
fn is_made_here(object: &ObjectChange, context: &Context<'_>) -> bool {
    context.migration.changes.iter().any(|other| match &other.what {
        Change::Object(other) => {
            let makes = other.undo.iter().any(|part| matches!(part, ObjectUndo::Drop(_) | ObjectUndo::DropOn(_)));
            makes && other.object == object.object && !std::ptr::eq(other, object)
        }
        _ => false,
    })
}

fn is_of_domain(fact: &Fact) -> bool {
    matches!(fact.id, "dom.add_check" | "dom.validate" | "dom.set_not_null")
}

fn users_key(object: &ObjectChange) -> String {
    ["domain users:", object.object.as_ref().map_or("", |name| name.as_str())].concat()
}

fn users_probe(object: &ObjectChange) -> Probe {
    let name = object.object.as_ref().map_or("", |name| name.as_str());
    let sql = sql(include_str!("object/domain_users.sql").trim_end(), &[("object", Hole::Text(name))]);
    Probe { key: users_key(object), sql }
}

/// Returns the lock on each table that uses the domain: they are read under it, so none may be large.
fn users(object: &ObjectChange, fact: &Fact, context: &Context<'_>) -> Result<Vec<RelationLock>, Refusal> {
    if !is_of_domain(fact) {
        return Ok(vec![]);
    }
    let rows = match context.answers.get(&users_key(object)) {
        Some(Answer::Rows(rows)) => rows.as_slice(),
        Some(Answer::Failed { .. } | Answer::TimedOut) | None => &[],
    };
    let mut locks = vec![];
    for row in rows {
        let name = |at: usize| row.get(at).and_then(Value::as_str).and_then(|name| Ident::new(name).ok());
        let (Some(schema), Some(name)) = (name(0), name(1)) else { continue };
        let table = TableName { schema, name };
        let count = row.get(2).and_then(Value::as_i64).unwrap_or(-1);
        if u64::try_from(count).is_ok_and(|count| count >= context.thresholds.inline_below) {
            return Err(refused::large_domain(object, &table, count));
        }
        locks.push(RelationLock { relation: table, mode: LockMode::Share });
    }
    Ok(locks)
}

fn undo(object: &ObjectChange, context: &Context<'_>, relation: &TableName) -> Result<Undo, Refusal> {
    if object.undo.is_empty() {
        return refused::without_way_back(object).map(|()| Undo::Nothing);
    }
    let mut statements = vec![];
    for part in &object.undo {
        match part {
            ObjectUndo::Drop(what) => statements.push(drop(object, what)),
            ObjectUndo::DropOn(what) => statements.push(drop_on(object, what, relation)),
            ObjectUndo::Statement(written) => statements.push(Sql::written(written)),
            ObjectUndo::Restore(what) => {
                let lines = restored::lines(object, *what, context)?;
                if lines.is_empty() {
                    statements.extend(made_by_it(object, *what, context)?);
                }
                statements.extend(lines);
            }
            ObjectUndo::Comment(before) => statements.push(restored::comment(object, before, context)),
        }
    }
    if statements.is_empty() {
        return Ok(Undo::Nothing);
    }
    let steps = vec![undo_step(relation, undo_facts(object), statements)];
    Ok(match object.fact {
        "tab.create_as" | "mv.create" => Undo::Lossy { steps, loses: format!("the rows of {relation}") },
        "tab.owner" | "view.owner" | "mv.owner" | "seq.owner" => Undo::Lossy {
            steps,
            loses: format!("grants on {relation} that the new owner has already: they become the owner's own"),
        },
        _ => Undo::Lossless(steps),
    })
}

/// What a statement that replaces has made, where nothing was there.
fn made_by_it(object: &ObjectChange, what: Restored, context: &Context<'_>) -> Result<Vec<Sql>, Refusal> {
    match what {
        Restored::ReplacedView if object.fact == "view.replace" => Ok(vec![drop(object, "VIEW")]),
        Restored::Routine if object.fact == "fn.replace" => Ok(vec![drop(object, "ROUTINE")]),
        // Of these, nothing that is printed means that nothing is set.
        Restored::Options
        | Restored::Grants
        | Restored::SchemaGrants
        | Restored::TriggerStates
        | Restored::RuleStates => Ok(vec![]),
        Restored::Trigger | Restored::Rule if object.undo.len() > 1 => Ok(vec![]),
        _ if is_made_here(object, context) => Ok(vec![]),
        _ => Err(Refusal::Impossible {
            what: title(object),
            why: "it is not there".to_owned(),
            instead: "Check its name and its schema.".to_owned(),
        }),
    }
}

fn drop(object: &ObjectChange, what: &'static str) -> Sql {
    let name = Sql::written(object.object.as_ref().expect("what is dropped by its name has one"));
    sql("DROP {what} IF EXISTS {name}", &[("what", Hole::Sql(&Sql::fixed(what))), ("name", Hole::Sql(&name))])
}

fn drop_on(object: &ObjectChange, what: &'static str, table: &TableName) -> Sql {
    let name = Sql::written(object.object.as_ref().expect("what is dropped by its name has one"));
    sql(
        "DROP {what} IF EXISTS {name} ON {table}",
        &[("what", Hole::Sql(&Sql::fixed(what))), ("name", Hole::Sql(&name)), ("table", Hole::Table(table))],
    )
}

/// Returns the facts of the statements that take it back.
fn undo_facts(object: &ObjectChange) -> &'static [&'static str] {
    match object.fact {
        "view.create" | "view.replace" | "view.security" | "view.set_default" => &["view.drop"],
        "view.drop" => &["view.create"],
        "mv.create" => &["mv.drop"],
        "mv.drop" => &["mv.create"],
        "tab.create_as" => &["tab.drop"],
        "seq.create" => &["seq.drop"],
        "trg.create" | "trg.create_or_replace" => &["trg.drop", "trg.create"],
        "trg.drop" => &["trg.create"],
        "rule.create" | "rule.drop" => &["rule.drop"],
        "pol.create" | "pol.alter" | "pol.drop" => &["pol.drop"],
        "stx.create" | "stx.drop" | "stx.alter" => &["stx.drop"],
        "pub.create" => &["pub.drop"],
        "dom.add_check" | "dom.add_check_nv" => &["dom.drop_constraint"],
        "dom.set_not_null" => &["dom.drop_not_null"],
        other => fact_on(other, 18).map_or(&[], |fact| std::slice::from_ref(&fact.id)),
    }
}

fn notes(object: &ObjectChange) -> Vec<String> {
    let name = object.object.as_ref().map_or_else(|| object.words.clone(), |name| name.as_str().to_owned());
    match object.fact {
        "enum.add_value" => vec![format!(
            "rollback leaves the new value in {name}: PostgreSQL cannot take one away, and nothing uses it then; code that \
             runs now must bear to read it as soon as something writes it"
        )],
        "view.drop" | "mv.drop" | "fn.drop" | "trg.drop" | "schema.drop" => {
            vec![format!("{name} is gone at once: no code that runs now may use it any more")]
        }
        "ext.create" => vec![format!("rollback leaves the extension {name}: others may use it by then")],
        _ => vec![],
    }
}
