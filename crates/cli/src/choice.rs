//! Which migration a command means when none, or part of a name, is typed.

use segue_model::ident::MigrationId;
use segue_model::journal::{Record, State};

use crate::args::Which;
use crate::failure::Failure;
use crate::operate::next;
use crate::project::{Project, several_fit};

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
        let next = next(&record.id, record.state).unwrap_or_default();
        failure.hint(format!("`{}` is {}; next: {next}", record.id, record.state.name().replace('_', " ")))
    });
    failure.hint("See: segue status")
}

/// Returns the migrations that have files and are not under way or applied, in file order.
pub(crate) fn pending(project: &Project, records: &[Record]) -> Vec<MigrationId> {
    let begun = |id: &&MigrationId| records.iter().any(|r| r.id == **id && r.state != State::RolledBack);
    project.ids().filter(|id| !begun(id)).cloned().collect()
}
