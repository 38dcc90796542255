//! `segue flip`.

use segue_model::journal::State;

use crate::args::{Format, Which};
use crate::choice::{self, Chosen};
use crate::config::Config;
use crate::failure::Failure;
use crate::operate;
use crate::outcome;

/// Makes the new shape the truth.
pub(super) fn run(config: &Config, which: &Which, format: Format) -> Result<(), Failure> {
    let Chosen { database, id, .. } = choice::open(config, which, &[State::Ready])?;
    let outcome = operate::run(database.connector.as_ref(), config, |run| run.flip(&id).map_err(operate::failure))?;
    outcome::show(&outcome, format)
}
