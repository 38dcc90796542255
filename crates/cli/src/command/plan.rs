//! `segue plan`.

use segue_model::ident::MigrationId;
use segue_model::journal::{Record, State};
use segue_model::plan::Plan;
use segue_model::plan_file;

use crate::args::{Format, Which};
use crate::choice;
use crate::config::Config;
use crate::database::Database;
use crate::failure::Failure;
use crate::planning;
use crate::project::Project;
use crate::report;

/// Shows what a migration would do, or, for one under way, what it does.
pub(super) fn run(config: &Config, which: &Which, format: Format) -> Result<(), Failure> {
    let project = Project::open(&config.migrations)?;
    let mut database = Database::open(config)?;
    let records = database.records()?;
    let ids = match &which.migration {
        Some(wanted) => {
            let known: Vec<MigrationId> = records.iter().map(|record| record.id.clone()).collect();
            vec![project.named(wanted, &known)?]
        }
        None => choice::pending(&project, &records),
    };
    // Later pending migrations may stand on earlier ones, so only the first can be planned on this database.
    let Some(id) = ids.first() else {
        report::line(if format == Format::Json { "null" } else { "nothing is pending" });
        return Ok(());
    };
    let plan = match records.iter().find(|record| record.id == *id && record.state != State::RolledBack) {
        Some(record) => journalled(record)?,
        None => {
            let (migration, texts) = project.migration(database.engine(), id)?;
            planning::plan(&mut database, &migration, &texts, &config.thresholds)?
        }
    };
    match format {
        Format::Text => report::line(&segue_plan::render::text(&plan)),
        Format::Sql => report::line(&segue_plan::render::sql(&plan)),
        Format::Json => report::line(&plan_file::to_json(&plan)),
    }
    if ids.len() > 1 && format == Format::Text {
        let later: Vec<&str> = ids.iter().skip(1).map(MigrationId::as_str).collect();
        report::line(&format!("\nalso pending, planned when it is their turn: {}", later.join(", ")));
    }
    Ok(())
}

/// Returns the plan that the journal holds.
///
/// # Errors
/// Exit code 3 when a newer version wrote it.
pub(super) fn journalled(record: &Record) -> Result<Plan, Failure> {
    plan_file::from_json(&record.plan).map_err(|error| {
        Failure::server(format!("the journal's plan of `{}` cannot be read: {error}", record.id))
            .hint("A newer Segue may have written it: use the version that began this migration.")
    })
}
