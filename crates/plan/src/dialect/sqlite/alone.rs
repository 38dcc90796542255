//! Changes that stand by themselves: each kind has a file of its own.

use segue_model::change::Change;
use segue_model::probe::Probe;

use super::{column, constraint, index, naming, object};
use crate::dialect::Planned;
use crate::operation::{Context, Native};
use crate::refusal::Refusal;

/// Returns the open questions.
///
/// # Errors
/// A refusal that needs no further answer.
pub(super) fn probes(native: &Native<'_>, context: &Context<'_>) -> Result<Vec<Probe>, Refusal> {
    let mut open = match native.change {
        Change::SetNotNull { .. } | Change::Column(_) => column::probes(native, context),
        Change::Constraint(_) => constraint::probes(native, context),
        Change::CreateIndex { .. } | Change::Index(_) => index::probes(native, context),
        Change::DropColumn { .. } | Change::Naming(_) => naming::probes(native, context),
        Change::Object(_) => object::probes(native, context),
        Change::CreateTable { .. }
        | Change::AddColumn { .. }
        | Change::AlterType { .. }
        | Change::Transform { .. }
        | Change::Partition(_)
        | Change::Rows(_)
        | Change::NotYet { .. }
        | Change::Opaque { .. } => Ok(vec![]),
    }?;
    open.retain(|probe| !context.answers.contains_key(&probe.key));
    Ok(open)
}

/// Returns the steps.
///
/// # Errors
/// A refusal when this cannot be done while the application runs.
pub(super) fn plan(native: &Native<'_>, context: &Context<'_>) -> Result<Planned, Refusal> {
    match native.change {
        Change::SetNotNull { .. } | Change::Column(_) => column::plan(native, context),
        Change::Constraint(_) => constraint::plan(native, context),
        Change::CreateIndex { .. } | Change::Index(_) => index::plan(native, context),
        Change::DropColumn { .. } | Change::Naming(_) => naming::plan(native, context),
        Change::Object(_) => object::plan(native, context),
        Change::CreateTable { .. }
        | Change::AddColumn { .. }
        | Change::AlterType { .. }
        | Change::Transform { .. }
        | Change::Partition(_)
        | Change::Rows(_)
        | Change::NotYet { .. }
        | Change::Opaque { .. } => Err(later(native)),
    }
}

/// Returns the refusal of what a later version will do.
pub(super) fn later(native: &Native<'_>) -> Refusal {
    Refusal::NotYet {
        what: native.change.kind().replace('_', " "),
        instead: "Leave it out of this file until Segue carries it out.".to_owned(),
    }
}
