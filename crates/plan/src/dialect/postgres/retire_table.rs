//! A table that goes away: hidden under another name first, and in the end moved to our schema, where it is its own copy.
//!
//! Nothing is written for that, however large it is. What it would bring along that could stand in the way of a later one of
//! the same name gets a name of ours: its indexes and the sequences of its columns.

use segue_model::catalog::{Constraint, ConstraintKind, Table, TableKind};
use segue_model::change::{Change, NamingChange};
use segue_model::ident::{Ident, TableName};
use segue_model::lock::{LockMode, RelationLock};
use segue_model::probe::{Answer, Probe};
use segue_model::sql::{Hole, Sql};
use segue_model::step::{Action, Asks, Condition, Phase, Snapshot, Step, Undo};
use segue_model::value::Value;

use super::mirror::{display, regclass};
use super::names::{Names, hidden};
use super::work::{Work, beside, undo_step};
use super::{gates, sql};
use crate::dialect::Planned;
use crate::figures::listed;
use crate::operation::Context;
use crate::refusal::Refusal;

/// Returns the open questions.
pub(super) fn probes(table: &Table, context: &Context<'_>) -> Vec<Probe> {
    let users = Probe { key: key("users", table), sql: users(&table.name, context) };
    let along = Probe {
        key: key("along", table),
        sql: sql(include_str!("retire_table/along.sql").trim_end(), &[("table", Hole::Sql(&regclass(&table.name)))]),
    };
    vec![gates::owner_probe(&table.name), users, along]
}

fn key(what: &str, table: &Table) -> String {
    [what, ":", &display(&table.name)].concat()
}

/// Returns the question what would go with a table, or keep it from going: of a table that goes too, nothing.
fn users(table: &TableName, context: &Context<'_>) -> Sql {
    let names = going(context).flat_map(|name| [under_hidden_name(&name), name]);
    let names: Vec<Sql> = names.map(|name| to_regclass(&name)).collect();
    sql(
        include_str!("retire_table/users.sql").trim_end(),
        &[("table", Hole::Sql(&to_regclass(table))), ("going", Hole::Join(&names, ", "))],
    )
}

/// Returns the tables that the file drops.
fn going<'c>(context: &Context<'c>) -> impl Iterator<Item = TableName> + use<'c> {
    let catalog = context.catalog;
    context.migration.changes.iter().filter_map(move |change| match &change.what {
        Change::Naming(NamingChange::DropTable { table, .. }) => catalog.find(table).map(|found| found.name.clone()),
        _ => None,
    })
}

fn under_hidden_name(table: &TableName) -> TableName {
    TableName { schema: table.schema.clone(), name: hidden(&table.name) }
}

fn to_regclass(table: &TableName) -> Sql {
    let name = sql("{t}", &[("t", Hole::Table(table))]);
    sql("pg_catalog.to_regclass({t})", &[("t", Hole::Body(&name))])
}

/// Returns the steps.
///
/// # Errors
/// A refusal when something else needs the table, or it is a part of another.
pub(super) fn plan(table: &Table, context: &Context<'_>) -> Result<Planned, Refusal> {
    by_itself(table)?;
    gates::owner(table, context)?;
    unused(table, context)?;
    let along = Along::of(table, context)?;
    let now = under_hidden_name(&table.name);
    if context.catalog.taken.contains(&[now.schema.as_str(), ".", now.name.as_str()].concat()) {
        return Err(Refusal::Exists { name: now.to_string() });
    }
    let names = Names::new(context, &table.name, &table.name.name);
    let mut steps = vec![
        gates::gate(
            Phase::Contract,
            "code that uses the table is gone",
            &table.name,
            vec![nothing_uses(&table.name, context)],
            Some(Asks::OldVersionStopped),
        ),
        hide(&table.name, &now),
        gates::gate(Phase::Cleanup, "nothing needs the table", &now, vec![nothing_uses(&now, context)], None),
    ];
    steps.extend(parents(table).map(|key| let_go(&table.name, key, context)));
    steps.push(keep(&now, &names, &along));
    let flip = format!(
        "nothing in the database changes: from ready on deploy the code that does without {}, then run `segue flip`",
        table.name
    );
    Ok(Planned { steps, notes: notes(table, &names, &along), flip, loses: None })
}

fn by_itself(table: &Table) -> Result<(), Refusal> {
    let instead = match table.kind {
        TableKind::Ordinary if !table.inherits => return Ok(()),
        TableKind::Partition => {
            "In an earlier migration `ALTER TABLE … DETACH PARTITION … CONCURRENTLY`; then it is a table like any other."
        }
        TableKind::Ordinary | TableKind::Partitioned => {
            "Drop its children or partitions first, each in its turn: they hold the rows."
        }
        TableKind::View | TableKind::MaterializedView | TableKind::Foreign | TableKind::Virtual => {
            "Drop it by the statement for what it is."
        }
    };
    Err(Refusal::NotYet {
        what: format!("DROP TABLE {}, which is not an ordinary table on its own", table.name),
        instead: instead.to_owned(),
    })
}

fn unused(table: &Table, context: &Context<'_>) -> Result<(), Refusal> {
    let users: Vec<&str> = match context.answers.get(&key("users", table)) {
        Some(Answer::Rows(rows)) => rows.iter().filter_map(|row| row.first().and_then(Value::as_str)).collect(),
        Some(Answer::Failed { .. } | Answer::TimedOut) | None => vec![],
    };
    if users.is_empty() {
        return Ok(());
    }
    Err(Refusal::Impossible {
        what: format!("DROP TABLE {}", table.name),
        why: ["it is needed: ", &users.join("; ")].concat(),
        instead: "Drop or rewrite what is named in an earlier migration: nothing goes by CASCADE.".to_owned(),
    })
}

/// What moves along with the table, or must be taken from it.
#[derive(Default)]
struct Along {
    indexes: Vec<TableName>,
    sequences: Vec<TableName>,
    statistics: Vec<TableName>,
    publications: Vec<Ident>,
}

impl Along {
    fn of(table: &Table, context: &Context<'_>) -> Result<Self, Refusal> {
        let mut along = Self::default();
        let Some(Answer::Rows(rows)) = context.answers.get(&key("along", table)) else { return Ok(along) };
        for row in rows {
            let text = |at: usize| row.get(at).and_then(Value::as_str).unwrap_or_default();
            let Ok(name) = Ident::new(text(2)) else { continue };
            if text(0) == "publication" {
                if row.get(3).and_then(Value::as_bool) != Some(true) {
                    return Err(not_our_publication(table, &name));
                }
                along.publications.push(name);
                continue;
            }
            let Ok(schema) = Ident::new(text(1)) else { continue };
            let name = TableName { schema, name };
            match text(0) {
                "index" => along.indexes.push(name),
                "sequence" => along.sequences.push(name),
                _ => along.statistics.push(name),
            }
        }
        Ok(along)
    }
}

fn not_our_publication(table: &Table, publication: &Ident) -> Refusal {
    Refusal::Impossible {
        what: format!("DROP TABLE {}, which `{publication}` publishes", table.name),
        why: "our role does not own the publication, and cannot take the table out of it".to_owned(),
        instead: format!("Let its owner type `ALTER PUBLICATION … DROP TABLE {}` first.", table.name),
    }
}

/// Returns the foreign keys of the table to others.
fn parents(table: &Table) -> impl Iterator<Item = (&Ident, &TableName)> {
    let foreign = |constraint: &&Constraint| constraint.kind == ConstraintKind::ForeignKey;
    let to = |constraint: &'_ Constraint| constraint.references.as_ref() != Some(&table.name);
    table
        .constraints
        .iter()
        .filter(foreign)
        .filter(move |constraint| to(constraint))
        .filter_map(|constraint| Some((constraint.name.as_ref()?, constraint.references.as_ref()?)))
}

fn hide(table: &TableName, now: &TableName) -> Step {
    Work {
        phase: Phase::Contract,
        title: format!("hide {table} as {now}"),
        action: Action::Sql(vec![rename(table, now)]),
        facts: &["tab.rename"],
        table,
        undo: Undo::Lossless(vec![undo_step(now, &["tab.rename"], vec![rename(now, table)])]),
    }
    .step()
}

fn rename(from: &TableName, to: &TableName) -> Sql {
    sql("ALTER TABLE {from} RENAME TO {to}", &[("from", Hole::Table(from)), ("to", Hole::Name(&to.name))])
}

/// One transaction for each, since it locks the other table too.
fn let_go(table: &TableName, (key, parent): (&Ident, &TableName), context: &Context<'_>) -> Step {
    let (now, parent) = (&under_hidden_name(table), at_its_time(parent, table, context));
    let step = Work {
        phase: Phase::Cleanup,
        title: format!("drop the foreign key `{key}` of {now} to {parent}"),
        action: Action::Sql(vec![sql(
            "ALTER TABLE {table} DROP CONSTRAINT {key}",
            &[("table", Hole::Table(now)), ("key", Hole::Name(key))],
        )]),
        facts: &["con.drop_fk"],
        table: now,
        undo: Undo::Impossible,
    };
    beside(step.step(), vec![RelationLock { relation: parent, mode: LockMode::AccessExclusive }])
}

/// Returns where a table stands when cleanup comes to `table`: one that goes too is hidden by then, and one that the file names
/// before has been moved.
fn at_its_time(other: &TableName, table: &TableName, context: &Context<'_>) -> TableName {
    let place = |of: &TableName| going(context).position(|name| name == *of);
    match (place(other), place(table)) {
        (None, _) => other.clone(),
        (Some(other_at), Some(at)) if other_at < at => Names::new(context, other, &other.name).keeps(),
        (Some(_), _) => under_hidden_name(other),
    }
}

fn keep(now: &TableName, names: &Names<'_>, along: &Along) -> Step {
    let keeps = names.keeps();
    let in_place = TableName { schema: now.schema.clone(), name: keeps.name.clone() };
    let of_publication = along.publications.iter().map(|publication| {
        sql(
            "ALTER PUBLICATION {publication} DROP TABLE {table}",
            &[("publication", Hole::Name(publication)), ("table", Hole::Table(now))],
        )
    });
    let mut all: Vec<Sql> = of_publication.collect();
    let each = |names: &[TableName], template: &'static str| -> Vec<Sql> {
        names.iter().map(|name| sql(template, &[("name", Hole::Table(name))])).collect()
    };
    all.extend(each(&along.statistics, "DROP STATISTICS {name}"));
    let aside = |of: &[TableName], template: &'static str| -> Vec<Sql> {
        let to = |name: &TableName| names.kept(&name.name).name;
        of.iter().map(|name| sql(template, &[("name", Hole::Table(name)), ("to", Hole::Name(&to(name)))])).collect()
    };
    all.extend(aside(&along.indexes, "ALTER INDEX {name} RENAME TO {to}"));
    all.extend(aside(&along.sequences, "ALTER SEQUENCE {name} RENAME TO {to}"));
    all.push(rename(now, &keeps));
    all.push(sql(
        "ALTER TABLE {table} SET SCHEMA {schema}",
        &[("table", Hole::Table(&in_place)), ("schema", Hole::Name(&keeps.schema))],
    ));
    Work {
        phase: Phase::Cleanup,
        title: format!("move {now} to {keeps}, which stays until you drop it"),
        action: Action::Snapshot(Snapshot { keeps, create: all, copy: None }),
        facts: &["idx.rename", "tab.rename", "tab.set_schema"],
        table: now,
        undo: Undo::Impossible,
    }
    .step()
}

fn nothing_uses(table: &TableName, context: &Context<'_>) -> Condition {
    Condition {
        sql: users(table, context),
        says: format!("no view, foreign key or other object needs {table}"),
        hint: "Drop or rewrite these objects first.".to_owned(),
    }
}

fn notes(table: &Table, names: &Names<'_>, along: &Along) -> Vec<String> {
    let name = &table.name;
    let mut notes = vec![format!(
        "{name} is not destroyed: cleanup moves it to {} with its rows and indexes, where it takes its room until you drop it",
        names.keeps()
    )];
    let parents: Vec<String> = parents(table).map(|(key, parent)| format!("`{key}` to {parent}")).collect();
    if !parents.is_empty() {
        notes.push(format!(
            "until cleanup its foreign keys hold ({}): rows there to which rows of {name} refer can be deleted only as before",
            parents.join(", ")
        ));
    }
    if !along.publications.is_empty() {
        notes.push(format!(
            "cleanup takes {name} out of {}; its changes until then are published",
            listed(along.publications.iter())
        ));
    }
    if !along.statistics.is_empty() {
        let all = listed(along.statistics.iter().map(|name| &name.name));
        notes.push(format!("cleanup drops the extended statistics {all}"));
    }
    notes
}
