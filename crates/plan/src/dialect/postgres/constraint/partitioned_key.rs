//! UNIQUE and PRIMARY KEY of a partitioned table: each partition gets an index and a constraint of its own, then they are joined.

use segue_model::catalog::{ConstraintKind, TableKind};
use segue_model::change::NewConstraint;
use segue_model::ident::{Ident, TableName};
use segue_model::lock::{LockMode, RelationLock};
use segue_model::probe::Probe;
use segue_model::sql::{Hole, Sql};
use segue_model::step::{Action, Step, Undo};

use super::super::prove::drop_sql;
use super::super::sql;
use super::super::work::{Work, beside, undo_beside, undo_step};
use super::named::{self, Made};
use super::partitioned::{leaves, local};
use super::tree::{self, Below};
use super::{Subject, key};
use crate::operation::Context;
use crate::refusal::Refusal;

/// Returns the questions about the names of the partitions' constraints, once the partitions are known.
///
/// # Errors
/// A refusal where they cannot be listed.
pub(super) fn probes(subject: Subject<'_>, new: &NewConstraint, context: &Context<'_>) -> Result<Vec<Probe>, Refusal> {
    let asked = tree::probe(subject.table).filter(|probe| !context.answers.contains_key(&probe.key));
    if subject.table.kind != TableKind::Partitioned || asked.is_some() {
        return Ok(vec![]);
    }
    Ok(tree::below(subject.table, context)?.iter().map(|one| made(one, new).probe()).collect())
}

/// The constraints below get names of their own, whatever the one on top is called.
fn made(one: &Below, new: &NewConstraint) -> Made {
    let columns: Vec<&Ident> = new.columns.iter().chain(&new.index.include).collect();
    Made::of_key(&one.name, &columns, new.kind == Some(ConstraintKind::PrimaryKey))
}

/// A partition with the name of its constraint.
struct Part<'b> {
    below: &'b Below,
    name: Ident,
}

/// Returns the steps.
///
/// # Errors
/// A refusal where a partition cannot have an index, or its name cannot be told.
pub(super) fn steps(
    subject: Subject<'_>,
    new: &NewConstraint,
    name: &Ident,
    below: &[Below],
    context: &Context<'_>,
) -> Result<Vec<Step>, Refusal> {
    local(below, "a key")?;
    let parts = parts(subject, new, name, below, context)?;
    let named = |leaf: &Below| parts.iter().find(|part| part.below == leaf).map(|part| part.name.clone());
    let mut steps = vec![];
    for leaf in leaves(below) {
        let Some(own) = named(leaf) else { continue };
        steps.push(key::build(subject.phase(), &leaf.name, &own, new));
        steps.push(key::attach(subject.phase(), &leaf.name, &own, new));
    }
    steps.push(joined(subject, new, name, &parts));
    Ok(steps)
}

fn parts<'b>(
    subject: Subject<'_>,
    new: &NewConstraint,
    name: &Ident,
    below: &'b [Below],
    context: &Context<'_>,
) -> Result<Vec<Part<'b>>, Refusal> {
    let mut parts: Vec<Part<'b>> = vec![];
    for one in below {
        let mut besides: Vec<Ident> =
            parts.iter().filter(|p| p.below.name.schema == one.name.schema).map(|p| p.name.clone()).collect();
        if one.name.schema == subject.table.name.schema {
            besides.push(name.clone());
        }
        let chosen = named::chosen(subject, &made(one, new), &besides, context).ok_or_else(|| Refusal::Impossible {
            what: format!("a key of {}", subject.table.name),
            why: format!("the name of the constraint of its partition {} could not be told", one.name),
            instead: "Try again; if it stays, check the connection and the role's rights.".to_owned(),
        })?;
        parts.push(Part { below: one, name: chosen });
    }
    Ok(parts)
}

/// The server takes an index only where it finds one below each table: from the lowest up, all at once.
fn joined(subject: Subject<'_>, new: &NewConstraint, name: &Ident, parts: &[Part<'_>]) -> Step {
    let table = &subject.table.name;
    let mut all = vec![];
    for part in parts.iter().rev().filter(|part| part.below.kind == 'p') {
        all.extend(over(&part.below.name, &part.name, new, parts));
    }
    all.extend(over(table, name, new, parts));
    let tree: Vec<&Below> = parts.iter().map(|part| part.below).collect();
    let work = Work {
        phase: subject.phase(),
        title: format!("join the constraints of the partitions of {table}"),
        action: Action::Sql(all),
        facts: &["con.add_unique_only"],
        table,
        undo: Undo::Lossless(vec![undo_beside(
            undo_step(table, &["con.drop_unique"], vec![drop_sql(table, name)]),
            tree.iter().map(|one| lock(one, LockMode::AccessExclusive)).collect(),
        )]),
    };
    // A leaf's index is locked in full, but of the leaf itself only its definition is read.
    let mode = |one: &Below| if one.kind == 'p' { LockMode::AccessExclusive } else { LockMode::AccessShare };
    beside(work.step(), tree.iter().map(|one| lock(one, mode(one))).collect())
}

fn lock(below: &Below, mode: LockMode) -> RelationLock {
    RelationLock { relation: below.name.clone(), mode }
}

fn over(table: &TableName, name: &Ident, new: &NewConstraint, parts: &[Part<'_>]) -> Vec<Sql> {
    let index = TableName { schema: table.schema.clone(), name: name.clone() };
    let add = sql(
        "ALTER TABLE ONLY {table} ADD CONSTRAINT {name} {definition}",
        &[
            ("table", Hole::Table(table)),
            ("name", Hole::Name(name)),
            ("definition", Hole::Sql(&Sql::written(&new.definition))),
        ],
    );
    let right_below = parts.iter().filter(|part| part.below.above == *table);
    let attached = right_below.map(|part| {
        let child = TableName { schema: part.below.name.schema.clone(), name: part.name.clone() };
        sql(
            "ALTER INDEX {index} ATTACH PARTITION {child}",
            &[("index", Hole::Table(&index)), ("child", Hole::Table(&child))],
        )
    });
    std::iter::once(add).chain(attached).collect()
}
