//! What `segue status` shows of a migration.

use std::time::Duration;

use segue_execute::{MigrationStatus, StepStatus};
use segue_model::ident::MigrationId;
use segue_model::journal::{Mark, State};
use segue_model::step::Phase;
use serde::Serialize;

use super::figures;
use crate::config::Config;
use crate::duration::in_words;
use crate::operate::{back, complete, meaning, next};
use crate::progress::kind;
use crate::project::Project;
use crate::quarantine::Quarantine;

/// Figures that are older are shown with their age, in seconds.
const FRESH_S: u64 = 5;

/// What is known of a migration, as JSON. What is not known is null.
#[derive(Serialize)]
pub(super) struct Report {
    pub(super) migration: String,
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
    paused_by: Option<String>,
    quarantine: Option<Quarantine>,
    /// What the run last said of itself.
    figures: Option<segue_execute::Report>,
    /// How long ago.
    figures_age_s: Option<u64>,
    steps: Vec<StepReport>,
    next: Option<String>,
    back: Option<String>,
    /// Cleanup has destroyed something already: nothing takes the migration back any more.
    no_way_back: bool,
}

#[derive(Serialize)]
struct StepReport {
    id: u32,
    phase: String,
    title: String,
    state: &'static str,
    done: Option<u64>,
    total: Option<u64>,
    rows: Option<u64>,
}

/// Returns what is known of a migration that the journal knows.
pub(super) fn of_begun(status: &MigrationStatus, found: Quarantine, project: &Project, config: &Config) -> Report {
    let record = &status.record;
    let figures = status.report.as_ref().filter(|_| !matches!(record.state, State::Done | State::RolledBack));
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
        paused_by: status.orders.paused_by.clone(),
        quarantine: Some(found),
        figures: figures.map(|(figures, _)| figures.clone()),
        figures_age_s: figures.map(|(_, age_s)| *age_s),
        steps: status.steps.iter().map(|step| of_step(step, record.state)).collect(),
        next: match record.state {
            State::RolledBack => project.has(&record.id).then(|| format!("segue apply {}", record.id)),
            _ if status.is_left_to_touches() => Some(complete(&record.id)),
            state => next(&record.id, state),
        },
        back: match record.state {
            State::Done if !has_down(project, &record.id) => None,
            state => back(&record.id, state, status.has_no_way_back()),
        },
        no_way_back: status.has_no_way_back(),
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

/// Returns what is known of a migration that has a file alone.
pub(super) fn of_pending(id: &MigrationId) -> Report {
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
        paused_by: None,
        quarantine: None,
        figures: None,
        figures_age_s: None,
        steps: vec![],
        next: Some(format!("segue plan {id}, then: segue apply {id}")),
        back: None,
        no_way_back: false,
    }
}

fn of_step(step: &StepStatus, of: State) -> StepReport {
    let progress = step.progress.as_ref();
    StepReport {
        id: step.id,
        phase: step.phase.to_string(),
        title: step.title.clone(),
        state: step.mark.map_or("pending", |mark| word(mark, of)),
        done: progress.map(|at| at.done),
        total: progress.map(|at| at.total),
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

/// Returns a block of lines on a migration; with all of its steps where `in_full`.
pub(super) fn as_text(report: &Report, in_full: bool) -> String {
    let state = State::named(report.state).map_or("pending", |state| meaning(state, report.no_way_back));
    let mut text = format!("\n{}: {state}\n", report.migration);
    if let Some(since) = &report.since {
        text.push_str(&format!("  since {since}\n"));
    }
    if let Some(holder) = &report.held_by {
        let beat = report.last_beat_s.map_or("unknown".to_owned(), |age_s| format!("{age_s} s ago"));
        text.push_str(&format!("  running: {holder}, last sign of life {beat}\n"));
    }
    if let Some(by) = &report.paused_by {
        text.push_str(&format!("  paused by {by}; go on: segue resume {}\n", report.migration));
    }
    for (name, value) in figures_of(report) {
        text.push_str(&format!("  {name}: {value}\n"));
    }
    if let Some(found) = &report.quarantine {
        text.push_str(&indented(&found.as_text(&report.migration)));
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

/// Returns a line on a migration, for logs.
pub(super) fn as_line(report: &Report) -> String {
    let mut parts = vec![format!("{}: {}", report.migration, report.state.replace('_', " "))];
    parts.extend(under_way(report));
    parts.extend(report.figures.as_ref().filter(|_| report.held_by.is_some()).and_then(figures::progress));
    match &report.held_by {
        Some(_) => parts.extend(held_back(report).map(|why| format!("held back: {why}"))),
        None if matches!(report.state, "started" | "rolling_back") => parts.push("nobody runs it".to_owned()),
        None => {}
    }
    if let (Some(by), None) = (&report.paused_by, &report.held_by) {
        parts.push(format!("paused by {by}"));
    }
    parts.join(", ")
}

/// Returns all that is worth a line at once when it changes: figures are not.
pub(super) fn besides_figures(reports: &[Report]) -> String {
    let of = |report: &Report| {
        let held = report.figures.iter().flat_map(|figures| &figures.holding).map(|reason| kind(reason));
        let held: Vec<&str> = held.collect();
        let rows = report.quarantine.as_ref().map(|found| found.rows);
        format!(
            "{} {} {:?} {:?} {:?} {rows:?} {held:?}\n",
            report.migration,
            report.state,
            under_way(report),
            report.held_by,
            report.paused_by
        )
    };
    reports.iter().map(of).collect()
}

/// Returns what the run last said of itself, by name.
fn figures_of(report: &Report) -> Vec<(&'static str, String)> {
    let Some(figures) = &report.figures else { return vec![] };
    let mut lines = vec![];
    if report.held_by.is_some() {
        lines.extend(figures::progress(figures).map(|text| ("now", text)));
        lines.push(("speed", figures::speed(figures)));
        lines.extend(held_back(report).map(|text| ("held back", text)));
    }
    lines.extend(figures::throttled(figures).map(|text| ("held back so far", text)));
    lines.push(("price", figures::price(figures)));
    match report.figures_age_s {
        Some(age_s) if age_s > FRESH_S => lines.push(("figures", format!("as of {} ago", in_words(age_s)))),
        Some(_) => {}
        None => lines.push(("figures", "of unknown age".to_owned())),
    }
    lines
}

fn held_back(report: &Report) -> Option<String> {
    let reasons = report.figures.as_ref().map(|figures| &figures.holding)?;
    (!reasons.is_empty()).then(|| reasons.join("; "))
}

fn under_way(report: &Report) -> Option<String> {
    let step = report.steps.iter().find(|step| !matches!(step.state, "done" | "pending" | "undone"))?;
    Some(format!("{} {} {}", step.phase, step.id, step.state))
}

fn indented(text: &str) -> String {
    text.lines().map(|line| format!("  {line}\n")).collect()
}
