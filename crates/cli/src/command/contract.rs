//! `segue contract`.

use segue_execute::Said;
use segue_model::journal::State;

use crate::args::{Format, Which};
use crate::choice;
use crate::config::Config;
use crate::database::Database;
use crate::failure::Failure;
use crate::operate;
use crate::project::Project;

/// Hides the old shape.
pub(super) fn run(config: &Config, which: &Which, old_version_stopped: bool, format: Format) -> Result<(), Failure> {
    let project = Project::open(&config.migrations)?;
    let mut database = Database::open(config)?;
    database.check_writable()?;
    let id = choice::in_state(which, &project, &database.records()?, &[State::Flipped])?;
    let said = Said { old_version_stopped, ..Said::default() };
    let outcome =
        operate::run(database.connector.as_ref(), config, |run| run.contract(&id, said).map_err(operate::failure))?;
    operate::show(&outcome, format)
}
