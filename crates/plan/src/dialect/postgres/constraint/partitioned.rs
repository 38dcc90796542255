//! Constraints of partitioned tables that the server does not take in steps: each partition gets its own, then they are joined.

use segue_model::change::NewConstraint;
use segue_model::ident::Ident;
use segue_model::lock::LockMode;
use segue_model::sql::Sql;
use segue_model::step::{Action, Step, Undo};

use super::super::prove::{drop_sql, validate_sql};
use super::super::work::{Work, beside, undo_beside, undo_step};
use super::Subject;
use super::check::add_sql;
use super::foreign::Foreign;
use super::tree::{self, Below};
use crate::operation::Context;
use crate::refusal::Refusal;

/// Returns the steps of a foreign key. The server joins those of the partitions, which are validated, to the new one of the
/// whole table, and reads no row.
///
/// # Errors
/// A refusal where a partition cannot have one.
pub(super) fn foreign_key(
    subject: Subject<'_>,
    new: &NewConstraint,
    (name, foreign): (&Ident, &Foreign<'_>),
    below: &[Below],
    context: &Context<'_>,
) -> Result<Vec<Step>, Refusal> {
    local(below, "a foreign key")?;
    let mut steps = vec![];
    if !new.not_valid && !new.not_enforced {
        for leaf in leaves(below) {
            steps.extend(of_leaf(subject, new, (name, foreign), leaf, context)?);
        }
    }
    steps.push(joined(subject, new, (name, foreign), below, context)?);
    Ok(steps)
}

/// Returns the partitions that hold rows.
pub(super) fn leaves(below: &[Below]) -> impl Iterator<Item = &Below> {
    below.iter().filter(|one| one.kind == 'r')
}

/// Refuses partitions that are on another server.
///
/// # Errors
/// The refusal.
pub(super) fn local(below: &[Below], what: &str) -> Result<(), Refusal> {
    match below.iter().find(|one| !matches!(one.kind, 'r' | 'p')) {
        None => Ok(()),
        Some(other) => Err(Refusal::Impossible {
            what: format!("{what} of a table with the partition {}", other.name),
            why: "it is on another server, which this one cannot bind".to_owned(),
            instead: "Detach that partition first.".to_owned(),
        }),
    }
}

fn of_leaf(
    subject: Subject<'_>,
    new: &NewConstraint,
    (name, foreign): (&Ident, &Foreign<'_>),
    leaf: &Below,
    context: &Context<'_>,
) -> Result<[Step; 2], Refusal> {
    let (table, sre, ae) = (&leaf.name, LockMode::ShareRowExclusive, LockMode::AccessExclusive);
    let undo = undo_step(table, &["con.drop_fk"], vec![drop_sql(table, name)]);
    let add = Work {
        phase: subject.phase(),
        title: format!("let no write point from {table} to a row that {} does not have", foreign.parent_name),
        action: Action::Sql(vec![add_sql(table, name, &Sql::written(&new.definition), true)]),
        facts: &["con.add_fk_nv"],
        table,
        undo: Undo::Lossless(vec![undo_beside(undo, foreign.parent_locks((ae, ae), context)?)]),
    };
    let validate = Work {
        phase: subject.phase(),
        title: format!("check that each row of {table} points to a row of {}", foreign.parent_name),
        action: Action::Sql(vec![validate_sql(table, name)]),
        facts: &["con.validate_fk"],
        table,
        undo: Undo::Nothing,
    };
    let reads = foreign.parent_locks((LockMode::RowShare, LockMode::AccessShare), context)?;
    Ok([beside(add.step(), foreign.parent_locks((sre, sre), context)?), beside(validate.step(), reads)])
}

/// What points from a partition is checked there already, so its own triggers go, for which the other table is locked in full.
fn joined(
    subject: Subject<'_>,
    new: &NewConstraint,
    (name, foreign): (&Ident, &Foreign<'_>),
    below: &[Below],
    context: &Context<'_>,
) -> Result<Step, Refusal> {
    let (table, sre, ae) = (&subject.table.name, LockMode::ShareRowExclusive, LockMode::AccessExclusive);
    if new.not_valid {
        return Err(Refusal::Impossible {
            what: format!("the foreign key `{name}` of {table}, NOT VALID"),
            why: "before 18 a partitioned table has none that is not valid".to_owned(),
            instead: "Leave NOT VALID out: it is added without a lock while rows are read.".to_owned(),
        });
    }
    let work = Work {
        phase: subject.phase(),
        title: format!("join the foreign keys of the partitions of {table}"),
        action: Action::Sql(vec![add_sql(table, name, &Sql::written(&new.definition), false)]),
        facts: &["con.add_fk_attached"],
        table,
        undo: super::foreign::drop_undo((name, foreign), below, context)?,
    };
    Ok(beside(work.step(), [tree::locks(below, sre), foreign.parent_locks((ae, ae), context)?].concat()))
}
