//! `segue contract`.

use segue_execute::Said;
use segue_model::journal::State;

use crate::args::{Format, Which};
use crate::choice::{self, Chosen};
use crate::config::Config;
use crate::failure::Failure;
use crate::operate;
use crate::outcome;

/// Hides the old shape.
pub(super) fn run(config: &Config, which: &Which, old_version_stopped: bool, format: Format) -> Result<(), Failure> {
    let Chosen { database, id, .. } = choice::open(config, which, &[State::Flipped])?;
    let said = Said { old_version_stopped, ..Said::default() };
    let outcome =
        operate::run(database.connector.as_ref(), config, |run| run.contract(&id, said).map_err(operate::failure))?;
    outcome::show(&outcome, format)
}
