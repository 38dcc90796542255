//! PostgreSQL 18's NOT NULL as a constraint with a name: first for new rows, then for those that are there.

use segue_model::change::NewConstraint;
use segue_model::ident::Ident;
use segue_model::lock::LockMode;
use segue_model::sql::Sql;
use segue_model::step::{Action, Step, Undo};

use super::super::prove::{drop_sql, validate_sql};
use super::super::work::{Work, beside, undo_beside, undo_step};
use super::Subject;
use super::check::{absent, add_sql};
use super::tree::{self, Below};
use crate::dialect::Planned;
use crate::operation::{Context, Stage};
use crate::refusal::Refusal;

/// The first version that has it.
const SINCE: u32 = 18;

/// Returns the steps.
///
/// # Errors
/// A refusal before 18, of a column that is NOT NULL already, and while rows are NULL.
pub(super) fn plan(
    subject: Subject<'_>,
    new: &NewConstraint,
    name: &Ident,
    context: &Context<'_>,
) -> Result<Planned, Refusal> {
    let Some(column) = new.columns.first() else { return Err(older(name)) };
    if context.server.version.major < SINCE {
        return Err(older(name));
    }
    let table = subject.table;
    if table.columns.iter().any(|known| known.name == *column && known.not_null) {
        return Err(Refusal::Impossible {
            what: format!("the NOT NULL constraint `{name}` of {}.{column}", table.name),
            why: "the column is NOT NULL already, and a column has one such constraint".to_owned(),
            instead: "Take it out, or rename the constraint that is there.".to_owned(),
        });
    }
    let below = if new.no_inherit { vec![] } else { tree::below(table, context)? };
    let mut notes = vec![];
    if subject.stage == Stage::Now && !new.not_valid {
        let bad = absent(table, column);
        let mend = format!("Give them a value first; this shows them all: `{}`", bad.shows());
        let what = format!("NOT NULL of {}.{column}", table.name);
        notes.extend(bad.gate(&what, "rows are NULL", &mend, context)?);
    }
    let mut steps = vec![add(subject, new, name, &below)];
    if !new.not_valid {
        steps.push(validate(subject, name, &below));
    }
    Ok(Planned { steps, notes, ..Planned::default() })
}

fn add(subject: Subject<'_>, new: &NewConstraint, name: &Ident, below: &[Below]) -> Step {
    let table = &subject.table.name;
    let locks = || tree::locks(below, LockMode::AccessExclusive);
    let work = Work {
        phase: subject.phase(),
        title: format!("let no write violate `{name}` of {table}"),
        action: Action::Sql(vec![add_sql(table, name, &Sql::written(&new.definition), true)]),
        facts: &["nn.add_constraint_notnull_nv"],
        table,
        undo: Undo::Lossless(vec![undo_beside(
            undo_step(table, &["nn.drop_constraint"], vec![drop_sql(table, name)]),
            locks(),
        )]),
    };
    beside(work.step(), locks())
}

fn validate(subject: Subject<'_>, name: &Ident, below: &[Below]) -> Step {
    let table = &subject.table.name;
    let work = Work {
        phase: subject.phase(),
        title: format!("check the rows of {table} against `{name}`"),
        action: Action::Sql(vec![validate_sql(table, name)]),
        facts: &["nn.validate"],
        table,
        undo: Undo::Nothing,
    };
    beside(work.step(), tree::locks(below, LockMode::ShareUpdateExclusive))
}

fn older(name: &Ident) -> Refusal {
    Refusal::Impossible {
        what: format!("the NOT NULL constraint `{name}`"),
        why: format!("only PostgreSQL {SINCE} and later know NOT NULL as a constraint of a table"),
        instead: "Write `ALTER COLUMN … SET NOT NULL`.".to_owned(),
    }
}
