//! Another name for a constraint: at once, under a short lock.

use segue_model::catalog::{Constraint, ConstraintKind, Table};
use segue_model::ident::{Ident, TableName};
use segue_model::probe::{Answer, Probe};
use segue_model::sql::{Hole, Sql};
use segue_model::step::{Action, Phase, Undo};
use segue_model::value::Value;

use super::mirror::{display, regclass};
use super::work::{Work, undo_step};
use super::{gates, sql};
use crate::dialect::Planned;
use crate::operation::Context;
use crate::refusal::Refusal;

/// Returns the open questions.
pub(super) fn probes(table: &Table) -> Vec<Probe> {
    vec![gates::owner_probe(&table.name), names_probe(&table.name)]
}

/// NOT NULL has a name of its own since 18, which the catalog of tables leaves out.
fn names_probe(table: &TableName) -> Probe {
    Probe {
        key: names_key(table),
        sql: sql(
            "SELECT conname FROM pg_catalog.pg_constraint WHERE conrelid = {table} ORDER BY conname",
            &[("table", Hole::Sql(&regclass(table)))],
        ),
    }
}

fn names_key(table: &TableName) -> String {
    ["constraints:", &display(table)].concat()
}

/// Returns the one step.
///
/// # Errors
/// A refusal for a constraint that is not there, a name that is taken, and one that other tables share.
pub(super) fn plan(table: &Table, (from, to): (&Ident, &Ident), context: &Context<'_>) -> Result<Planned, Refusal> {
    gates::owner(table, context)?;
    if table.inherits {
        return Err(Refusal::NotYet {
            what: format!("renaming a constraint of {}, which has a parent or children", table.name),
            instead:
                "Rename it by hand on the uppermost table: the server renames it below, under a short lock on each."
                    .to_owned(),
        });
    }
    free(table, (from, to), context)?;
    let step = Work {
        phase: Phase::Expand,
        title: format!("rename the constraint `{from}` of {} to `{to}`", table.name),
        action: Action::Sql(vec![rename(&table.name, from, to)]),
        facts: &["con.rename"],
        table: &table.name,
        undo: Undo::Lossless(vec![undo_step(&table.name, &["con.rename"], vec![rename(&table.name, to, from)])]),
    };
    let note = format!(
        "code that writes `ON CONFLICT ON CONSTRAINT {from}`, or looks for `{from}` in an error, fails from then on: let it name \
         the columns first"
    );
    Ok(Planned { steps: vec![step.step()], notes: vec![note], ..Planned::default() })
}

fn free(table: &Table, (from, to): (&Ident, &Ident), context: &Context<'_>) -> Result<(), Refusal> {
    let names: Vec<&str> = match context.answers.get(&names_key(&table.name)) {
        Some(Answer::Rows(rows)) => rows.iter().filter_map(|row| row.first().and_then(Value::as_str)).collect(),
        Some(Answer::Failed { .. } | Answer::TimedOut) | None => vec![],
    };
    if !names.contains(&from.as_str()) {
        return Err(Refusal::Impossible {
            what: format!("renaming the constraint `{from}` of {}", table.name),
            why: "there is no such constraint".to_owned(),
            instead: match segue_model::nearest::nearest(from.as_str(), names.iter().copied()) {
                Some(near) => format!("Did you mean `{near}`?"),
                None => "Check its name with `\\d` in psql.".to_owned(),
            },
        });
    }
    let indexed = |constraint: &Constraint| {
        matches!(constraint.kind, ConstraintKind::Unique | ConstraintKind::PrimaryKey | ConstraintKind::Exclusion)
    };
    let has_index = table.constraints.iter().any(|known| known.name.as_ref() == Some(from) && indexed(known));
    let index = TableName { schema: table.name.schema.clone(), name: to.clone() };
    let taken = has_index && context.catalog.taken.contains(&[index.schema.as_str(), ".", to.as_str()].concat());
    match taken || names.contains(&to.as_str()) {
        true => Err(Refusal::Exists { name: to.to_string() }),
        false => Ok(()),
    }
}

fn rename(table: &TableName, from: &Ident, to: &Ident) -> Sql {
    sql(
        "ALTER TABLE {table} RENAME CONSTRAINT {from} TO {to}",
        &[("table", Hole::Table(table)), ("from", Hole::Name(from)), ("to", Hole::Name(to))],
    )
}
