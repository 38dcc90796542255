//! `segue status`.

use std::time::Duration;

use segue_execute::{MigrationStatus, StepStatus};
use segue_model::ident::MigrationId;
use segue_model::journal::{Mark, State};
use segue_model::step::Phase;
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
    drift: Option<String>,
    cool_down_s: Option<u64>,
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
    let mut reports: Vec<Report> = begun.iter().map(|status| of_begun(status, &project, config)).collect();
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

fn of_begun(status: &MigrationStatus, project: &Project, config: &Config) -> Report {
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
        drift: status.drift.clone(),
        cool_down_s: cool_down_s(status, config),
        steps: status.steps.iter().map(|step| of_step(step, record.state)).collect(),
        next: match record.state {
            State::RolledBack => project.has(&record.id).then(|| format!("segue apply {}", record.id)),
            state => next(&record.id, state),
        },
        back: match record.state {
            State::Done if !has_down(project, &record.id) => None,
            state => back(&record.id, state),
        },
    }
}

fn has_down(project: &Project, id: &MigrationId) -> bool {
    project.has(id) && project.texts(id).is_ok_and(|texts| texts.down.is_some())
}

/// Returns how long cleanup still has to wait, in whole seconds; none when it need not, or has begun.
fn cool_down_s(status: &MigrationStatus, config: &Config) -> Option<u64> {
    let has_begun = status.steps.iter().any(|step| step.phase == Phase::Cleanup && step.mark == Some(Mark::Done));
    let remains = config.cool_down.saturating_sub(Duration::from_secs(status.record.state_age_s)).as_secs();
    (status.record.state == State::Contracted && !has_begun && remains > 0).then_some(remains)
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
        drift: None,
        cool_down_s: None,
        steps: vec![],
        next: Some(format!("segue plan {id}, then: segue apply {id}")),
        back: None,
    }
}

fn of_step(step: &StepStatus, of: State) -> StepReport {
    let progress = step.progress.as_ref();
    StepReport {
        id: step.id,
        phase: step.phase.to_string(),
        title: step.title.clone(),
        state: step.mark.map_or("pending", |mark| word(mark, of)),
        done: progress.map(|at| at.next),
        total: progress.map(|at| at.end),
        rows: progress.map(|at| at.rows),
    }
}

/// Returns what a mark means for a step that was looked at afterwards. A rollback passes by what was begun and left nothing.
fn word(mark: Mark, of: State) -> &'static str {
    match (mark, of) {
        (Mark::Intent | Mark::Failed | Mark::UndoIntent, State::RolledBack) => "undone",
        (Mark::Intent, _) => "begun",
        (Mark::Done, _) => "done",
        (Mark::Failed, _) => "failed",
        (Mark::UndoIntent, _) => "being undone",
        (Mark::Undone, _) => "undone",
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
    if let Some(drift) = &report.drift {
        let lines = drift.replace('\n', "\n    ");
        text.push_str(&format!("  the tables have changed since:\n    {lines}\n"));
        text.push_str(&format!("  see what that did to the rows: segue verify {}\n", report.migration));
    }
    if let Some(remains) = report.cool_down_s {
        text.push_str(&format!("  cool-down: cleanup may begin in {remains} s\n"));
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
