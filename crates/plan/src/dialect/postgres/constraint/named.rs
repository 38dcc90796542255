//! The name that the server gives to a constraint that is written without one.
//!
//! Source: `makeObjectName`, `ChooseRelationName`, `ChooseConstraintName` and `ChooseIndexColumnNames` of the server
//! (`commands/indexcmds.c`, `catalog/pg_constraint.c`), which are alike from 13 to 18.

use segue_model::catalog::{ConstraintKind, Table};
use segue_model::change::{Change, ConstraintAction, ConstraintChange, IndexChange, NewConstraint};
use segue_model::expr::Expr;
use segue_model::ident::{Ident, TableName};
use segue_model::probe::{Answer, Probe};
use segue_model::sql::{Hole, Sql};
use segue_model::value::Value;

use super::super::object_name::{joined, object_name, of_pass, told_apart};
use super::super::sql;
use super::Subject;
use crate::operation::Context;
use crate::refusal::Refusal;

/// So many names of the same beginning may be taken.
const TRIES: usize = 50;

/// What a name is made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Made {
    schema: Ident,
    first: String,
    second: Option<String>,
    label: &'static str,
    /// The name is that of an index too.
    relation: bool,
}

impl Made {
    /// Returns what the name of a key's index is made of; `columns` are those of its key and those it includes.
    pub(super) fn of_key(table: &TableName, columns: &[&Ident], primary: bool) -> Self {
        let (second, label) = if primary {
            (None, "pkey")
        } else {
            (Some(joined(&told_apart(columns.iter().map(|column| column.as_str())))), "key")
        };
        let (schema, first) = (table.schema.clone(), table.name.as_str().to_owned());
        Self { schema, first, second, label, relation: true }
    }

    fn of(table: &Table, new: &NewConstraint) -> Option<Self> {
        let name = &table.name;
        let plain = |second: Option<String>, label| {
            let (schema, first) = (name.schema.clone(), name.name.as_str().to_owned());
            Some(Self { schema, first, second, label, relation: false })
        };
        let text = |columns: &[Ident]| columns.iter().map(|column| column.as_str().to_owned()).collect::<Vec<_>>();
        match new.kind {
            Some(ConstraintKind::Check) => {
                let read: Vec<&Ident> = new.check.as_ref().map(Expr::columns)?.into_iter().collect();
                let only = (read.len() == 1).then(|| read[0].as_str().to_owned());
                plain(only, "check")
            }
            Some(ConstraintKind::ForeignKey) => plain(Some(joined(&text(&new.columns))), "fkey"),
            None => plain(Some(joined(&text(&new.columns))), "not_null"),
            Some(kind @ (ConstraintKind::Unique | ConstraintKind::PrimaryKey)) => {
                let columns: Vec<&Ident> = new.columns.iter().chain(&new.index.include).collect();
                Some(Self::of_key(name, &columns, kind == ConstraintKind::PrimaryKey))
            }
            Some(ConstraintKind::Exclusion) => None,
        }
    }

    fn nth(&self, pass: usize) -> Ident {
        let name = object_name(&self.first, self.second.as_deref(), &of_pass(self.label, pass));
        Ident::new(name).expect("a table's name and a label are a name")
    }

    fn key(&self) -> String {
        let kind = if self.relation { "relation" } else { "constraint" };
        ["names", kind, self.schema.as_str(), self.nth(0).as_str()].join(":")
    }

    /// Returns the question which of its names are taken.
    pub(super) fn probe(&self) -> Probe {
        let names: Vec<Sql> =
            (0..TRIES).map(|pass| sql("({n})", &[("n", Hole::Text(self.nth(pass).as_str()))])).collect();
        let template = if self.relation { include_str!("taken_relation.sql") } else { include_str!("taken.sql") };
        let holes = [("names", Hole::Join(&names, ", ")), ("schema", Hole::Text(self.schema.as_str()))];
        Probe { key: self.key(), sql: sql(template.trim_end(), &holes) }
    }

    /// Returns the first name that is free; `freed` are names that the file drops before, `used` those that it gives.
    fn choose(&self, context: &Context<'_>, freed: &[Ident], used: &[Ident]) -> Option<Ident> {
        let rows = match context.answers.get(&self.key()) {
            Some(Answer::Rows(rows)) => rows.as_slice(),
            Some(Answer::Failed { .. } | Answer::TimedOut) | None => return None,
        };
        let taken: Vec<&str> = rows.iter().filter_map(|row| row.first().and_then(Value::as_str)).collect();
        let free = |name: &Ident| {
            let theirs = taken.contains(&name.as_str()) && !freed.contains(name);
            !theirs && !used.contains(name)
        };
        (0..TRIES).map(|pass| self.nth(pass)).find(free)
    }
}

/// Returns the open questions about names of this file up to this constraint's.
///
/// # Errors
/// A refusal of a constraint for which no name can be told.
pub(super) fn probes(subject: Subject<'_>, new: &NewConstraint, context: &Context<'_>) -> Result<Vec<Probe>, Refusal> {
    if new.name.is_some() || new.using_index.is_some() {
        return Ok(vec![]);
    }
    let made = Made::of(subject.table, new).ok_or_else(nameless)?;
    Ok(earlier(subject, context)
        .map(|(table, new)| Made::of(table, new))
        .chain([Some(made)])
        .flatten()
        .map(|made| made.probe())
        .collect())
}

/// Returns the name of a constraint that the file adds.
///
/// # Errors
/// A refusal where it has none and the server's choice cannot be told.
pub(super) fn name(subject: Subject<'_>, new: &NewConstraint, context: &Context<'_>) -> Result<Ident, Refusal> {
    match (&new.name, &new.using_index) {
        (Some(name), _) | (None, Some(name)) => Ok(name.clone()),
        (None, None) => {
            let made = Made::of(subject.table, new).ok_or_else(nameless)?;
            chosen(subject, &made, &[], context).ok_or_else(nameless)
        }
    }
}

/// Returns the name that the server would choose; `besides` are taken too.
pub(super) fn chosen(subject: Subject<'_>, made: &Made, besides: &[Ident], context: &Context<'_>) -> Option<Ident> {
    let mut used: Vec<Ident> = besides.to_vec();
    used.extend(subject.before(context).filter_map(index_name));
    let freed: Vec<Ident> = subject.before(context).filter_map(dropped).collect();
    for (table, new) in earlier(subject, context).filter(|(table, _)| table.name.schema == made.schema) {
        let name = match &new.name {
            Some(name) => Some(name.clone()),
            None => Made::of(table, new).and_then(|made| made.choose(context, &freed, &used)),
        };
        used.extend(name);
    }
    made.choose(context, &freed, &used)
}

/// Returns the constraints that the file adds before this one.
fn earlier<'a>(
    subject: Subject<'a>,
    context: &Context<'a>,
) -> impl Iterator<Item = (&'a Table, &'a NewConstraint)> + use<'a> {
    let catalog = context.catalog;
    subject.before(context).filter_map(move |change| match change {
        Change::Constraint(ConstraintChange { table, what: ConstraintAction::Add(new), .. }) => {
            Some((catalog.find(table)?, new))
        }
        _ => None,
    })
}

fn dropped(change: &Change) -> Option<Ident> {
    match change {
        Change::Constraint(ConstraintChange { what: ConstraintAction::Drop { name, .. }, .. }) => Some(name.clone()),
        _ => None,
    }
}

fn index_name(change: &Change) -> Option<Ident> {
    match change {
        Change::CreateIndex { index, .. } => index.clone(),
        Change::Index(IndexChange::Create(new)) => new.name.clone(),
        _ => None,
    }
}

fn nameless() -> Refusal {
    Refusal::Impossible {
        what: "a constraint without a name".to_owned(),
        why: "which name the server would choose could not be told".to_owned(),
        instead: "Write `ADD CONSTRAINT name` before it.".to_owned(),
    }
}
