//! How far every migration is: only read, and true. What is not known is shown as not known.

use segue_model::journal::{Checkpoint, Event, Holder, Mark, Orders, Record, State};
use segue_model::plan::Plan;
use segue_model::plan_file::from_json;
use segue_model::session::{Fail, Journal, Session};
use segue_model::step::{Action, Phase, Step, Undo};

use crate::engage::is_over;
use crate::figures::Report;
use crate::meanwhile::{Meanwhile, meanwhile};
use crate::phase::{changes_tables, goes_in_parts, stands_before_lazy};
use crate::shape::expected_shape;

/// How far a migration is.
#[derive(Debug, Clone, PartialEq)]
pub struct MigrationStatus {
    /// As the journal has it.
    pub record: Record,
    /// The plan; or why it cannot be read (another version wrote it).
    pub plan: Result<Plan, String>,
    /// The plan's steps; empty when the plan cannot be read.
    pub steps: Vec<StepStatus>,
    /// Who runs it now, and the age of their last heartbeat in seconds. `None`: nobody, or their backend is gone.
    pub holder: Option<(Holder, u64)>,
    /// The last figures that a run gave of itself, and their age in seconds: those of the run under way while there is a
    /// holder, else of the last one. `None`: none gave any, or another version wrote them.
    pub report: Option<(Report, u64)>,
    /// What people ordered: a pause, settings.
    pub orders: Orders,
    /// Rows that could not be converted.
    pub quarantined: u64,
    /// How the tables differ from what the last step left, as `-` and `+` lines, but for what cannot touch the plan. `None`:
    /// they do not, or it cannot be told: somebody runs it, or a step was interrupted that may have left a part of itself.
    pub drift: Option<String>,
}

/// How far a step is.
#[derive(Debug, Clone, PartialEq)]
pub struct StepStatus {
    /// Its number.
    pub id: u32,
    /// Its phase.
    pub phase: Phase,
    /// What it does.
    pub title: String,
    /// What happened to it last; `None`: nothing yet.
    pub mark: Option<Mark>,
    /// Figures and remarks of that event as JSON text, or empty.
    pub note: String,
    /// How far it is, where it goes by windows and is under way.
    pub progress: Option<Checkpoint>,
}

impl MigrationStatus {
    /// Returns the step that is under way, or was when the run ended.
    pub fn under_way(&self) -> Option<&StepStatus> {
        self.steps.iter().find(|step| matches!(step.mark, Some(Mark::Intent | Mark::Failed | Mark::UndoIntent)))
    }

    /// Returns whether a step was done that destroys something, or may have been done in part: nothing takes the migration
    /// back any more, and it is to be finished. `false` where the plan cannot be read.
    pub fn has_no_way_back(&self) -> bool {
        let may_be_there = |step: &Step| {
            let mark = self.steps.iter().find(|at| at.id == step.id).and_then(|at| at.mark);
            match mark {
                Some(Mark::Done) => true,
                Some(Mark::Intent | Mark::Failed) => goes_in_parts(step),
                Some(Mark::UndoIntent | Mark::Undone) | None => false,
            }
        };
        let impossible = |step: &&Step| step.undo == Undo::Impossible;
        self.plan.as_ref().is_ok_and(|plan| plan.steps.iter().filter(impossible).any(may_be_there))
    }

    /// Returns whether rows are brought over when somebody touches them, and the rest once a person asks for it.
    pub fn is_left_to_touches(&self) -> bool {
        let is_done = |step: &Step| self.steps.iter().any(|at| at.id == step.id && at.mark == Some(Mark::Done));
        let plan = self.plan.as_ref();
        self.record.state == State::Expanded && plan.is_ok_and(|plan| stands_before_lazy(&plan.steps, is_done))
    }
}

/// Returns every migration that the database knows, ordered by id.
///
/// # Errors
/// Any [`Fail`].
pub fn status(session: &mut dyn Session, journal: &dyn Journal) -> Result<Vec<MigrationStatus>, Fail> {
    if !journal.exists(session)? {
        return Ok(Vec::new());
    }
    let records = journal.records(session)?;
    records.into_iter().map(|record| of_record(session, journal, record)).collect()
}

fn of_record(session: &mut dyn Session, journal: &dyn Journal, record: Record) -> Result<MigrationStatus, Fail> {
    let plan = from_json(&record.plan).map_err(|why| why.to_string());
    let events = journal.events(session, &record.id, record.attempt)?;
    let mut steps = Vec::new();
    for step in plan.iter().flat_map(|plan| &plan.steps) {
        steps.push(of_step(session, journal, &record, step, &events)?);
    }
    let holder = if is_over(record.state) { None } else { journal.holder(session, &record.id)? };
    let drift = match &plan {
        Ok(plan) if holder.is_none() && !is_over(record.state) => drift(session, plan, &events)?,
        Ok(_) | Err(_) => None,
    };
    let report = journal.report(session, &record.id)?;
    let report = report.and_then(|(text, age)| Some((Report::from_json(&text)?, age)));
    let orders = journal.orders(session, &record.id)?;
    let (quarantined, _) = journal.quarantined(session, &record.id, record.attempt, 0)?;
    Ok(MigrationStatus { record, plan, steps, holder, report, orders, quarantined, drift })
}

fn drift(session: &mut dyn Session, plan: &Plan, events: &[Event]) -> Result<Option<String>, Fail> {
    if plan.steps.iter().any(|step| is_in_parts(step, events)) {
        return Ok(None);
    }
    let found = session.shape(&plan.tables)?;
    Ok(match meanwhile(expected_shape(plan, events), &found, plan) {
        Meanwhile::Nothing | Meanwhile::Harmless(_) => None,
        Meanwhile::Serious(lines) => Some(lines),
    })
}

/// Returns whether a step, or its undo, was begun and not ended, and is not carried out as a whole or not at all.
fn is_in_parts(step: &Step, events: &[Event]) -> bool {
    let last = events.iter().rev().find(|event| event.step == step.id);
    match last.map(|event| event.mark) {
        Some(Mark::Intent | Mark::Failed) => {
            changes_tables(step) && goes_in_parts(step) && !matches!(step.action, Action::Backfill(_))
        }
        Some(Mark::UndoIntent) => !step.undo.steps().is_empty(),
        Some(Mark::Done | Mark::Undone) | None => false,
    }
}

fn of_step(
    session: &mut dyn Session,
    journal: &dyn Journal,
    record: &Record,
    step: &Step,
    events: &[Event],
) -> Result<StepStatus, Fail> {
    let last = events.iter().rev().find(|event| event.step == step.id);
    let mark = last.map(|event| event.mark);
    let under_way = matches!(mark, Some(Mark::Intent | Mark::Failed));
    let by_windows = matches!(step.action, Action::Backfill(_) | Action::Snapshot(_));
    let progress =
        if under_way && by_windows { journal.checkpoint(session, &record.id, record.attempt, step.id)? } else { None };
    let progress = progress.filter(|at| at.pass > 0);
    let note = last.map(|event| event.note.clone()).unwrap_or_default();
    Ok(StepStatus { id: step.id, phase: step.phase, title: step.title.clone(), mark, note, progress })
}
