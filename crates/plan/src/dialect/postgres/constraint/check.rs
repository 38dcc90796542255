//! A CHECK: first for new rows, then for those that are there.

use segue_model::catalog::{Table, TableKind};
use segue_model::change::NewConstraint;
use segue_model::ident::{Ident, TableName};
use segue_model::lock::LockMode;
use segue_model::probe::Probe;
use segue_model::sql::{Hole, Sql};
use segue_model::step::{Action, Phase, Step, Undo};

use super::super::prove::{drop_sql, validate_sql};
use super::super::sql;
use super::super::work::{Work, beside, undo_beside, undo_step};
use super::Subject;
use super::rows::{self, Bad};
use super::tree::{self, Below};
use crate::dialect::Planned;
use crate::operation::{Context, Stage};
use crate::refusal::Refusal;

/// Returns the question about rows that are there.
pub(super) fn probes(subject: Subject<'_>, new: &NewConstraint) -> Vec<Probe> {
    bad(subject, new).iter().map(Bad::probe).collect()
}

/// Rows that it does not allow; `None` where none are looked at.
fn bad(subject: Subject<'_>, new: &NewConstraint) -> Option<Bad> {
    if subject.stage != Stage::Now || new.not_valid || new.not_enforced {
        return None;
    }
    match (&new.demands, new.columns.first()) {
        (Some(demands), _) => Some(violating(subject.table, &Sql::written(demands), new.no_inherit)),
        (None, Some(column)) => Some(absent(subject.table, column)),
        (None, None) => None,
    }
}

/// Rows for which a CHECK is false. Columns stand in it bare, or after the table's own name.
pub(super) fn violating(table: &Table, demands: &Sql, no_inherit: bool) -> Bad {
    Bad {
        key: rows::key("violating", &table.name, demands.as_str()),
        from: from(table, no_inherit),
        condition: sql("NOT ({demands}\n)", &[("demands", Hole::Sql(demands))]),
        label: rows::label(table, None),
        grouped: None,
    }
}

/// Rows in which a column is NULL.
pub(super) fn absent(table: &Table, column: &Ident) -> Bad {
    Bad {
        key: rows::key("absent", &table.name, column.as_str()),
        from: from(table, false),
        condition: sql("{column} IS NULL", &[("column", Hole::Name(column))]),
        label: rows::label(table, None),
        grouped: None,
    }
}

fn from(table: &Table, no_inherit: bool) -> Sql {
    let only = no_inherit && table.kind != TableKind::Partitioned;
    sql(if only { "ONLY {table}" } else { "{table}" }, &[("table", Hole::Table(&table.name))])
}

/// Returns the steps.
///
/// # Errors
/// A refusal while rows violate it.
pub(super) fn plan(
    subject: Subject<'_>,
    new: &NewConstraint,
    name: &Ident,
    context: &Context<'_>,
) -> Result<Planned, Refusal> {
    let below = if new.no_inherit { vec![] } else { tree::below(subject.table, context)? };
    let notes = gate(subject, new, name, context)?;
    let mut steps = vec![add(subject, new, name, &below)];
    if !new.not_valid && !new.not_enforced {
        steps.push(validate(subject.phase(), &subject.table.name, name, &below));
    }
    Ok(Planned { steps, notes, ..Planned::default() })
}

fn gate(
    subject: Subject<'_>,
    new: &NewConstraint,
    name: &Ident,
    context: &Context<'_>,
) -> Result<Vec<String>, Refusal> {
    let Some(bad) = bad(subject, new) else { return Ok(vec![]) };
    let mend = format!("Correct these rows first; this shows them all: `{}`", bad.shows());
    let what = format!("the CHECK `{name}` of {}", subject.table.name);
    Ok(bad.gate(&what, "rows violate it", &mend, context)?.into_iter().collect())
}

fn add(subject: Subject<'_>, new: &NewConstraint, name: &Ident, below: &[Below]) -> Step {
    let table = &subject.table.name;
    let work = Work {
        phase: subject.phase(),
        title: match new.not_enforced {
            true => format!("add the CHECK `{name}` to {table}, not enforced"),
            false => format!("let no write violate `{name}` of {table}"),
        },
        action: Action::Sql(vec![add_sql(table, name, &Sql::written(&new.definition), !new.not_enforced)]),
        facts: &["con.add_check_nv"],
        table,
        undo: Undo::Lossless(vec![undo_beside(
            undo_step(table, &["con.drop_check"], vec![drop_sql(table, name)]),
            tree::locks(below, LockMode::AccessExclusive),
        )]),
    };
    beside(work.step(), tree::locks(below, LockMode::AccessExclusive))
}

/// Returns the statement that adds a constraint by its definition; `later`: rows that are there are not looked at.
pub(super) fn add_sql(table: &TableName, name: &Ident, definition: &Sql, later: bool) -> Sql {
    sql(
        "ALTER TABLE {table} ADD CONSTRAINT {name} {definition}{later}",
        &[
            ("table", Hole::Table(table)),
            ("name", Hole::Name(name)),
            ("definition", Hole::Sql(definition)),
            ("later", Hole::Sql(&Sql::fixed(if later { " NOT VALID" } else { "" }))),
        ],
    )
}

/// Returns the step that reads every row while the application goes on.
pub(super) fn validate(phase: Phase, table: &TableName, name: &Ident, below: &[Below]) -> Step {
    let work = Work {
        phase,
        title: format!("check the rows of {table} against `{name}`"),
        action: Action::Sql(vec![validate_sql(table, name)]),
        facts: &["con.validate_check"],
        table,
        undo: Undo::Nothing,
    };
    beside(work.step(), tree::locks(below, LockMode::ShareUpdateExclusive))
}
