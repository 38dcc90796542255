//! A change of a partition.

use segue_model::change::{PartitionAction, PartitionChange};
use segue_model::probe::Probe;

use super::alone::later;
use crate::dialect::Planned;
use crate::operation::{Context, Native};
use crate::refusal::Refusal;

/// Returns the open questions.
///
/// # Errors
/// A refusal that needs no further answer.
pub(super) fn probes(_native: &Native<'_>, _context: &Context<'_>) -> Result<Vec<Probe>, Refusal> {
    Ok(vec![])
}

/// Returns the steps.
///
/// # Errors
/// A refusal when this cannot be done while the application runs.
pub(super) fn plan(native: &Native<'_>, _context: &Context<'_>) -> Result<Planned, Refusal> {
    Err(later(native))
}

/// Returns the fact of a change as written.
pub(super) fn fact_of(change: &PartitionChange, _context: &Context<'_>) -> Option<&'static str> {
    Some(match change.what {
        PartitionAction::Create { .. } => "part.create_of",
        PartitionAction::Attach { .. } => "part.attach",
        PartitionAction::Detach { concurrently: true, .. } => "part.detach_conc",
        PartitionAction::Detach { .. } => "part.detach",
    })
}
