//! `segue flip`.

use segue_model::journal::State;

use crate::args::{Format, Which};
use crate::choice;
use crate::config::Config;
use crate::database::Database;
use crate::failure::Failure;
use crate::operate;
use crate::project::Project;

/// Makes the new shape the truth.
pub(super) fn run(config: &Config, which: &Which, format: Format) -> Result<(), Failure> {
    let project = Project::open(&config.migrations)?;
    let mut database = Database::open(config)?;
    database.check_writable()?;
    let id = choice::in_state(which, &project, &database.records()?, &[State::Ready])?;
    let outcome = operate::run(database.connector.as_ref(), config, |run| run.flip(&id).map_err(operate::failure))?;
    operate::show(&outcome, format)
}
