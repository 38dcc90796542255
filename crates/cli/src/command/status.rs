//! `segue status`.

use segue_execute::{MigrationStatus, StepStatus};
use segue_model::ident::MigrationId;
use segue_model::journal::{Mark, State};
use serde::Serialize;

use crate::args::{Format, Which};
use crate::choice;
use crate::config::Config;
use crate::database::Database;
use crate::failure::Failure;
use crate::operate::{back, meaning, next};
use crate::project::Project;
use crate::report;

/// What is known of a migration, as JSON. What is not known is null.
#[derive(Serialize)]
struct Report {
    migration: String,
    state: &'static str,
    since: Option<String>,
    strategy: Option<&'static str>,
    hash: Option<String>,
    attempt: Option<u32>,
    edited: bool,
    held_by: Option<String>,
    last_beat_s: Option<u64>,
    steps: Vec<StepReport>,
    next: Option<String>,
    back: Option<String>,
}

#[derive(Serialize)]
struct StepReport {
    id: u32,
    phase: String,
    title: String,
    state: &'static str,
    done: Option<i64>,
    total: Option<i64>,
    rows: Option<u64>,
}

/// Shows how far each migration is, and what to type next.
pub(super) fn run(config: &Config, which: &Which, format: Format) -> Result<(), Failure> {
    let project = Project::open(&config.migrations)?;
    let mut database = Database::open(config)?;
    let journal = database.connector.journal();
    let begun = segue_execute::status(database.session.as_mut(), journal)?;
    let records: Vec<_> = begun.iter().map(|status| status.record.clone()).collect();
    let mut reports: Vec<Report> = begun.iter().map(|status| of_begun(status, &project)).collect();
    let known: Vec<&MigrationId> = records.iter().map(|record| &record.id).collect();
    reports.extend(choice::pending(&project, &records).iter().filter(|id| !known.contains(id)).map(of_pending));
    reports.sort_by(|one, other| one.migration.cmp(&other.migration));
    if let Some(wanted) = &which.migration {
        let known: Vec<MigrationId> = records.iter().map(|record| record.id.clone()).collect();
        let id = project.named(wanted, &known)?;
        reports.retain(|report| report.migration == id.as_str());
    }
    if format == Format::Json {
        return report::json(&reports);
    }
    report::line(&format!("{} {}", database.connector.address(), database.server.version.text(database.engine())));
    if reports.is_empty() {
        report::line("no migrations: neither in the database nor in the folder");
    }
    for one in &reports {
        report::line(&as_text(one, which.migration.is_some()));
    }
    Ok(())
}

fn of_begun(status: &MigrationStatus, project: &Project) -> Report {
    let record = &status.record;
    Report {
        migration: record.id.to_string(),
        state: record.state.name(),
        since: Some(record.changed_at.clone()),
        strategy: status.plan.as_ref().ok().map(|plan| plan.strategy.name()),
        hash: Some(record.hash.clone()),
        attempt: Some(record.attempt),
        edited: project.check_unchanged(record).is_err(),
        held_by: status.holder.as_ref().map(|(holder, _)| holder.name.clone()),
        last_beat_s: status.holder.as_ref().map(|(_, age_s)| *age_s),
        steps: status.steps.iter().map(of_step).collect(),
        next: match record.state {
            State::RolledBack => project.has(&record.id).then(|| format!("segue apply {}", record.id)),
            state => next(&record.id, state),
        },
        back: back(&record.id, record.state),
    }
}

fn of_pending(id: &MigrationId) -> Report {
    Report {
        migration: id.to_string(),
        state: "pending",
        since: None,
        strategy: None,
        hash: None,
        attempt: None,
        edited: false,
        held_by: None,
        last_beat_s: None,
        steps: vec![],
        next: Some(format!("segue plan {id}, then: segue apply {id}")),
        back: None,
    }
}

fn of_step(step: &StepStatus) -> StepReport {
    let progress = step.progress.as_ref();
    StepReport {
        id: step.id,
        phase: step.phase.to_string(),
        title: step.title.clone(),
        state: step.mark.map_or("pending", word),
        done: progress.map(|at| at.next),
        total: progress.map(|at| at.end),
        rows: progress.map(|at| at.rows),
    }
}

/// Returns what a mark means for a step that was looked at afterwards.
fn word(mark: Mark) -> &'static str {
    match mark {
        Mark::Intent => "begun",
        Mark::Done => "done",
        Mark::Failed => "failed",
        Mark::UndoIntent => "being undone",
        Mark::Undone => "undone",
    }
}

fn as_text(report: &Report, in_full: bool) -> String {
    let state = State::named(report.state).map_or("pending", meaning);
    let mut text = format!("\n{}: {state}\n", report.migration);
    if let Some(since) = &report.since {
        text.push_str(&format!("  since {since}\n"));
    }
    if let Some(holder) = &report.held_by {
        let beat = report.last_beat_s.map_or("unknown".to_owned(), |age_s| format!("{age_s} s ago"));
        text.push_str(&format!("  running: {holder}, last sign of life {beat}\n"));
    }
    if report.edited {
        text.push_str("  its file was edited after it was applied\n");
    }
    for step in report.steps.iter().filter(|step| in_full || !matches!(step.state, "done" | "pending" | "undone")) {
        text.push_str(&format!("  {:>3}. {:<9} {:<8} {}", step.id, step.phase, step.state, step.title));
        if let (Some(done), Some(total)) = (step.done, step.total) {
            text.push_str(&format!(" ({done}/{total})"));
        }
        text.push('\n');
    }
    if let Some(next) = &report.next {
        text.push_str(&format!("  next: {next}\n"));
    }
    if let Some(back) = &report.back {
        text.push_str(&format!("  back: {back}\n"));
    }
    text
}
