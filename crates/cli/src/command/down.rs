//! `segue down`.

use std::sync::Arc;

use segue_model::ident::MigrationId;
use segue_model::journal::{Record, State};

use super::apply;
use super::plan::journalled;
use crate::args::{Format, To, Which};
use crate::choice;
use crate::config::Config;
use crate::database::Database;
use crate::failure::Failure;
use crate::operate;
use crate::outcome;
use crate::project::{Project, down_id};

/// Plans the down file of a finished migration as a change of its own, and carries it out as far as needs no person.
pub(super) fn run(config: &Config, which: &Which, to: Option<To>, format: Format) -> Result<(), Failure> {
    let project = Project::open(&config.migrations)?;
    let mut database = Database::open(config)?;
    database.check_writable()?;
    let records = database.records()?;
    let ups: Vec<Record> = records.iter().filter(|record| record.id.reverses().is_none()).cloned().collect();
    let id = choice::in_state(which, &project, &ups, &[State::Done])?;
    check_finished(&id, &records)?;
    let down = down_id(&id)?;
    let plan = match records.iter().find(|record| record.id == down && record.state != State::RolledBack) {
        Some(record) => journalled(record)?,
        None => {
            let (migration, texts) = project.reversed(database.engine(), &id)?;
            apply::fresh(config, &project, &mut database, &migration, &texts, &records)?
        }
    };
    let connector = Arc::clone(&database.connector);
    let target = apply::target(to);
    let outcome = operate::run(connector.as_ref(), config, |run| run.apply(&plan, target).map_err(operate::failure))?;
    outcome::show(&outcome, format)
}

fn check_finished(id: &MigrationId, records: &[Record]) -> Result<(), Failure> {
    match records.iter().find(|record| record.id == *id) {
        Some(record) if record.state == State::Done => Ok(()),
        Some(record) if record.state == State::RolledBack => {
            Err(Failure::gate(format!("`{id}` is not applied here"))
                .hint("There is nothing to reverse; see: segue status"))
        }
        Some(_) => Err(Failure::gate(format!("`{id}` is not finished, so there is nothing to reverse"))
            .hint(format!("Take it back where it stands: segue rollback {id}"))),
        None => Err(Failure::usage(format!("`{id}` was never applied to this database")).hint("See: segue status")),
    }
}
