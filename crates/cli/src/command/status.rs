//! `segue status`.

mod figures;
mod view;
mod watch;

use segue_execute::MigrationStatus;
use segue_model::ident::MigrationId;
use segue_model::journal::State;

use crate::args::{Format, Which};
use crate::choice;
use crate::config::Config;
use crate::database::Database;
use crate::failure::Failure;
use crate::project::Project;
use crate::quarantine::{self, Quarantine};
use crate::report;
use view::Report;

/// Shows how far each migration is, and what to type next.
pub(super) fn run(config: &Config, which: &Which, watch: bool, format: Format) -> Result<(), Failure> {
    if watch {
        return watch::run(config, which, format);
    }
    let project = Project::open(&config.migrations)?;
    let mut database = Database::open(config)?;
    let reports = look(config, &project, &mut database, which)?;
    if format == Format::Json {
        return report::json(&reports);
    }
    report::line(&header(&database));
    if reports.is_empty() {
        report::line("no migrations: neither in the database nor in the folder");
    }
    for one in &reports {
        report::line(&view::as_text(one, which.migration.is_some()));
    }
    Ok(())
}

/// Returns which database it is.
fn header(database: &Database) -> String {
    format!("{} {}", database.connector.address(), database.server.version.text(database.engine()))
}

/// Returns what is known of each migration, or of the one that is named, in file order.
fn look(config: &Config, project: &Project, database: &mut Database, which: &Which) -> Result<Vec<Report>, Failure> {
    let connector = database.connector.clone();
    let begun = segue_execute::status(database.session.as_mut(), connector.journal())?;
    let records: Vec<_> = begun.iter().map(|status| status.record.clone()).collect();
    let mut reports = vec![];
    for status in &begun {
        let found = quarantined(status, database)?;
        reports.push(view::of_begun(status, found, project, config));
    }
    let known: Vec<&MigrationId> = records.iter().map(|record| &record.id).collect();
    reports.extend(choice::pending(project, &records).iter().filter(|id| !known.contains(id)).map(view::of_pending));
    reports.sort_by(|one, other| one.migration.cmp(&other.migration));
    if let Some(wanted) = &which.migration {
        let known: Vec<MigrationId> = records.iter().map(|record| record.id.clone()).collect();
        let id = project.named(wanted, &known)?;
        reports.retain(|report| report.migration == id.as_str());
    }
    Ok(reports)
}

/// Returns the rows that could not be converted; they are asked for only where there are any.
fn quarantined(status: &MigrationStatus, database: &mut Database) -> Result<Quarantine, Failure> {
    let record = &status.record;
    if status.quarantined == 0 || matches!(record.state, State::Done | State::RolledBack) {
        return Ok(Quarantine::default());
    }
    quarantine::of_attempt(database, &record.id, record.attempt)
}
