//! Which migration a command means when none, or part of a name, is typed.

use segue_model::ident::MigrationId;
use segue_model::journal::{Record, State};
use segue_model::plan_file;
use segue_model::step::{Action, Step};

use crate::args::Which;
use crate::config::Config;
use crate::database::Database;
use crate::failure::Failure;
use crate::operate::{complete, next};
use crate::project::{Project, several_fit};

/// The migration that a command works on, in a database that may be written to.
pub(crate) struct Chosen {
    /// The database.
    pub(crate) database: Database,
    /// What its journal holds.
    pub(crate) records: Vec<Record>,
    /// The migration.
    pub(crate) id: MigrationId,
}

/// Opens the configured database for a command on the migration that is named, or the only one in one of `states`.
///
/// # Errors
/// Exit code 1 for a database that takes no writes, 2 when no or several migrations fit, 3 when the server fails.
pub(crate) fn open(config: &Config, which: &Which, states: &[State]) -> Result<Chosen, Failure> {
    let project = Project::open(&config.migrations)?;
    let mut database = Database::open(config)?;
    database.check_writable()?;
    let records = database.records()?;
    let id = in_state(which, &project, &records, states)?;
    Ok(Chosen { database, records, id })
}

/// Returns the migration that is named, or the only one in one of `states`.
///
/// # Errors
/// Exit code 2 when none or several fit.
pub(crate) fn in_state(
    which: &Which,
    project: &Project,
    records: &[Record],
    states: &[State],
) -> Result<MigrationId, Failure> {
    let known: Vec<MigrationId> = records.iter().map(|record| record.id.clone()).collect();
    if let Some(wanted) = &which.migration {
        return project.named(wanted, &known);
    }
    let fitting: Vec<&Record> = records.iter().filter(|record| states.contains(&record.state)).collect();
    match fitting.as_slice() {
        [one] => Ok(one.id.clone()),
        [] => Err(none_in(states, records)),
        several => Err(several_fit(several.iter().map(|record| record.id.as_str()))),
    }
}

/// Says that no migration is where a command needs one, and where the unfinished ones are.
fn none_in(states: &[State], records: &[Record]) -> Failure {
    let wanted = match states {
        [one] => one.name(),
        _ => "under way",
    };
    let failure = Failure::usage(format!("no migration is {wanted}"));
    let unfinished = records.iter().filter(|record| !matches!(record.state, State::Done | State::RolledBack));
    let failure = unfinished.fold(failure, |failure, record| {
        let next = if leaves_to_touches(record) { Some(complete(&record.id)) } else { next(&record.id, record.state) };
        let next = next.unwrap_or_default();
        failure.hint(format!("`{}` is {}; next: {next}", record.id, record.state.name().replace('_', " ")))
    });
    failure.hint("See: segue status")
}

/// Returns whether all is there that needs no person, and rows are left to whoever touches them.
fn leaves_to_touches(record: &Record) -> bool {
    let lazy = |step: &Step| matches!(&step.action, Action::Backfill(backfill) if backfill.lazy);
    let plan = (record.state == State::Expanded).then(|| plan_file::from_json(&record.plan));
    plan.is_some_and(|plan| plan.is_ok_and(|plan| plan.steps.iter().any(lazy)))
}

/// Returns the migrations that have files and are not under way or applied, in file order.
pub(crate) fn pending(project: &Project, records: &[Record]) -> Vec<MigrationId> {
    let begun = |id: &&MigrationId| records.iter().any(|r| r.id == **id && r.state != State::RolledBack);
    project.ids().filter(|id| !begun(id)).cloned().collect()
}
