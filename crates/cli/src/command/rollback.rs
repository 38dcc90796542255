//! `segue rollback`.

use segue_execute::Said;
use segue_model::journal::State;

use crate::args::{Format, Which};
use crate::choice;
use crate::config::Config;
use crate::database::Database;
use crate::failure::Failure;
use crate::operate;
use crate::project::Project;

/// Where a migration can be taken back from.
const UNFINISHED: [State; 6] =
    [State::RollingBack, State::Started, State::Expanded, State::Ready, State::Flipped, State::Contracted];

/// Takes back a migration that is not cleaned up.
pub(super) fn run(config: &Config, which: &Which, said: Said, format: Format) -> Result<(), Failure> {
    let project = Project::open(&config.migrations)?;
    let mut database = Database::open(config)?;
    database.check_writable()?;
    let id = choice::in_state(which, &project, &database.records()?, &UNFINISHED)?;
    let outcome =
        operate::run(database.connector.as_ref(), config, |run| run.rollback(&id, said).map_err(operate::failure))?;
    operate::show(&outcome, format)
}
