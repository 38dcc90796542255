//! `segue rollback`.

use segue_execute::Said;
use segue_model::journal::State;

use crate::args::{Format, Which};
use crate::choice::{self, Chosen};
use crate::config::Config;
use crate::failure::Failure;
use crate::operate;
use crate::outcome;

/// Where a migration can be taken back from.
const UNFINISHED: [State; 6] =
    [State::RollingBack, State::Started, State::Expanded, State::Ready, State::Flipped, State::Contracted];

/// Takes back a migration that is not cleaned up.
pub(super) fn run(config: &Config, which: &Which, said: Said, format: Format) -> Result<(), Failure> {
    let Chosen { database, id, .. } = choice::open(config, which, &UNFINISHED)?;
    let outcome =
        operate::run(database.connector.as_ref(), config, |run| run.rollback(&id, said).map_err(operate::failure))?;
    outcome::show(&outcome, format)
}
