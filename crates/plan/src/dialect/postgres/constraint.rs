//! A change of a constraint: existing rows are checked while the application goes on, and counted before anything is changed.

mod check;
mod drop;
mod existing;
mod foreign;
mod key;
mod named;
mod orphans;
mod partitioned;
mod partitioned_key;
mod present;
mod rows;
mod tree;

use segue_model::catalog::{ConstraintKind, Table, TableKind};
use segue_model::change::{Change, ConstraintAction, ConstraintChange, NewConstraint};
use segue_model::ident::Ident;
use segue_model::probe::Probe;
use segue_model::step::Phase;

use super::gates;
use crate::dialect::Planned;
use crate::operation::{Context, Native, Stage};
use crate::refusal::Refusal;

/// A change of a constraint, with the table that it is about.
#[derive(Clone, Copy)]
struct Subject<'a> {
    table: &'a Table,
    /// As the file holds it: what stands before it is found by its place.
    change: &'a Change,
    wanted: &'a ConstraintChange,
    stage: Stage,
}

impl<'a> Subject<'a> {
    fn of(native: &Native<'a>) -> Option<Self> {
        let Change::Constraint(wanted) = native.change else { return None };
        Some(Self { table: native.table?, change: native.change, wanted, stage: native.stage })
    }

    /// Rows of a column that this file fills are not there before it is filled.
    fn phase(&self) -> Phase {
        if self.stage == Stage::Filled { Phase::Verify } else { Phase::Expand }
    }

    /// Returns the changes of the file that stand before this one, in file order.
    fn before(self, context: &Context<'a>) -> impl Iterator<Item = &'a Change> + use<'a> {
        let change = self.change;
        let all = context.migration.changes.iter().map(|located| &located.what);
        all.take_while(move |other| !std::ptr::eq(*other, change))
    }
}

/// Returns the open questions.
///
/// # Errors
/// A refusal that needs no further answer.
pub(super) fn probes(native: &Native<'_>, context: &Context<'_>) -> Result<Vec<Probe>, Refusal> {
    let Some(subject) = Subject::of(native) else { return Ok(vec![]) };
    kind(subject.table)?;
    let mut open = vec![gates::owner_probe(&subject.table.name)];
    open.extend(tree::probe(subject.table));
    match &subject.wanted.what {
        ConstraintAction::Add(new) => open.extend(added_probes(subject, new, context)?),
        ConstraintAction::Validate { name } => open.extend(existing::probes(subject, name, context)),
        ConstraintAction::Drop { name, .. } | ConstraintAction::Alter { name, .. } => {
            open.extend(drop::probes(subject, name, context));
        }
    }
    Ok(open)
}

fn added_probes(subject: Subject<'_>, new: &NewConstraint, context: &Context<'_>) -> Result<Vec<Probe>, Refusal> {
    let mut open = named::probes(subject, new, context)?;
    open.extend(match new.kind {
        Some(ConstraintKind::Check) | None => check::probes(subject, new),
        Some(ConstraintKind::ForeignKey) => foreign::probes(subject, new, context)?,
        Some(ConstraintKind::Unique | ConstraintKind::PrimaryKey) => key::probes(subject, new, context)?,
        Some(ConstraintKind::Exclusion) => return Err(exclusion(new)),
    });
    Ok(open)
}

/// Returns the steps.
///
/// # Errors
/// A refusal when this cannot be done while the application runs.
pub(super) fn plan(native: &Native<'_>, context: &Context<'_>) -> Result<Planned, Refusal> {
    let Some(subject) = Subject::of(native) else { return Err(super::alone::later(native)) };
    kind(subject.table)?;
    gates::owner(subject.table, context)?;
    gates::row_security(subject.table, context)?;
    let mut planned = match &subject.wanted.what {
        ConstraintAction::Add(new) => added(subject, new, context),
        ConstraintAction::Validate { name } => existing::plan(subject, name, context),
        ConstraintAction::Drop { name, if_exists, cascade } => {
            drop::plan(subject, name, (*if_exists, *cascade), context)
        }
        ConstraintAction::Alter { name, deferral, enforced } => {
            drop::altered(subject, name, (*deferral, *enforced), context)
        }
    }?;
    if subject.stage == Stage::Filled {
        planned.notes.push(format!(
            "from verify on a write of old code fails where what `{}` becomes by its transform violates the constraint",
            subject.wanted.command.as_str().escape_debug()
        ));
    }
    Ok(planned)
}

fn added(subject: Subject<'_>, new: &NewConstraint, context: &Context<'_>) -> Result<Planned, Refusal> {
    let name = named::name(subject, new, context)?;
    match new.kind {
        Some(ConstraintKind::Check) => check::plan(subject, new, &name, context),
        None => present::plan(subject, new, &name, context),
        Some(ConstraintKind::ForeignKey) => foreign::plan(subject, new, &name, context),
        Some(ConstraintKind::Unique | ConstraintKind::PrimaryKey) => key::plan(subject, new, &name, context),
        Some(ConstraintKind::Exclusion) => Err(exclusion(new)),
    }
}

fn kind(table: &Table) -> Result<(), Refusal> {
    match table.kind {
        TableKind::Ordinary | TableKind::Partitioned | TableKind::Partition => Ok(()),
        TableKind::View | TableKind::MaterializedView | TableKind::Foreign | TableKind::Virtual => {
            Err(Refusal::Impossible {
                what: format!("a constraint of {}", table.name),
                why: "it is no table of this database".to_owned(),
                instead: "Constrain the table that holds its rows.".to_owned(),
            })
        }
    }
}

fn exclusion(new: &NewConstraint) -> Refusal {
    Refusal::Impossible {
        what: format!("an EXCLUDE constraint {}", shown(new.name.as_ref())),
        why: "the server builds its index under AccessExclusiveLock, and takes none that was built before".to_owned(),
        instead:
            "Create a table that has the constraint from the beginning and move the rows there, or, where the index of \
                  this table is built in a moment, run the ALTER TABLE by hand with a short `lock_timeout`."
                .to_owned(),
    }
}

fn shown(name: Option<&Ident>) -> String {
    name.map_or_else(String::new, |name| format!("`{name}`"))
}
