//! A change of a name, or a table or column that goes away.

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
