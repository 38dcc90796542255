//! What people order of a migration that may be running in another terminal.

use std::time::Duration;

use segue_model::ident::MigrationId;
use segue_model::journal::{Holder, Orders, State};
use segue_model::session::Begin;

use crate::args::Which;
use crate::choice;
use crate::config::Config;
use crate::database::Database;
use crate::failure::Failure;
use crate::operate::holder;
use crate::project::Project;

/// The longest wait for the journal (SQLite: for the one write lock).
const LOCK_WAIT: Duration = Duration::from_secs(5);

/// Where orders make sense: a migration that is finished or taken back does nothing any more.
const UNFINISHED: [State; 6] =
    [State::RollingBack, State::Started, State::Expanded, State::Ready, State::Flipped, State::Contracted];

/// A migration, what is ordered of it, and who runs it.
pub(crate) struct Ordered {
    /// The migration.
    pub(crate) id: MigrationId,
    /// What was ordered before.
    pub(crate) before: Orders,
    /// What is ordered now.
    pub(crate) now: Orders,
    /// Who runs it, and the age of their last heartbeat in seconds. `None`: nobody.
    pub(crate) runner: Option<(Holder, u64)>,
}

/// Returns what is ordered of a migration.
///
/// # Errors
/// Exit code 2 when no or several migrations fit, 5 when it has not begun or is finished, 3 when the server fails.
pub(crate) fn look(config: &Config, which: &Which) -> Result<Ordered, Failure> {
    let mut database = Database::open(config)?;
    let id = chosen(config, which, &mut database)?;
    read(&mut database, id)
}

/// Changes what is ordered of a migration; its run follows within a second.
///
/// # Errors
/// As [`look`], and exit code 1 for a database that takes no writes; what `change` fails with.
pub(crate) fn change(
    config: &Config,
    which: &Which,
    change: impl FnOnce(&mut Orders, String) -> Result<(), Failure>,
) -> Result<Ordered, Failure> {
    let mut database = Database::open(config)?;
    database.check_writable()?;
    let id = chosen(config, which, &mut database)?;
    database.session.begin(Begin::Write { lock_wait: LOCK_WAIT })?;
    let before = database.connector.journal().orders_to_change(database.session.as_mut(), &id)?;
    let mut ordered = with_runner(&mut database, id, before)?;
    change(&mut ordered.now, holder(config))?;
    database.connector.journal().set_orders(database.session.as_mut(), &ordered.id, &ordered.now)?;
    database.session.commit()?;
    Ok(ordered)
}

fn read(database: &mut Database, id: MigrationId) -> Result<Ordered, Failure> {
    let journal = database.connector.journal();
    let before = journal.orders(database.session.as_mut(), &id)?;
    with_runner(database, id, before)
}

fn with_runner(database: &mut Database, id: MigrationId, before: Orders) -> Result<Ordered, Failure> {
    let journal = database.connector.journal();
    let runner = journal.holder(database.session.as_mut(), &id)?;
    Ok(Ordered { id, now: before.clone(), before, runner })
}

fn chosen(config: &Config, which: &Which, database: &mut Database) -> Result<MigrationId, Failure> {
    let project = Project::open(&config.migrations)?;
    let journal = database.connector.journal();
    if journal.exists(database.session.as_mut())? {
        journal.check_readable(database.session.as_mut())?;
    }
    let records = database.records()?;
    let id = choice::in_state(which, &project, &records, &UNFINISHED)?;
    match records.iter().find(|record| record.id == id).map(|record| record.state) {
        Some(State::Done) => Err(Failure::gate(format!("`{id}` is done: nothing of it runs any more"))),
        Some(State::RolledBack) | None => Err(Failure::gate(format!("`{id}` has not begun in this database")).hint(
            format!("What shall hold from its start stands in segue.toml, or: segue apply {id} --set KEY=VALUE"),
        )),
        Some(_) => Ok(id),
    }
}

impl Ordered {
    /// Returns who runs the migration, as people read it.
    pub(crate) fn running(&self) -> String {
        match &self.runner {
            Some((holder, age_s)) => format!("running: {}, last sign of life {age_s} s ago", holder.name),
            None => "nobody is running it".to_owned(),
        }
    }
}
