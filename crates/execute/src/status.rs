//! How far every migration is: only read, and true. What is not known is shown as not known.

use segue_model::journal::{Checkpoint, Event, Holder, Mark, Record, State};
use segue_model::plan::Plan;
use segue_model::plan_file::from_json;
use segue_model::session::{Fail, Journal, Session};
use segue_model::step::{Action, Phase, Step};

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
}

/// How far a step is.
#[derive(Debug, Clone, PartialEq, Eq)]
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
    let holder = match record.state {
        State::Done | State::RolledBack => None,
        State::RollingBack | State::Started | State::Expanded | State::Ready | State::Flipped | State::Contracted => {
            journal.holder(session, &record.id)?
        }
    };
    Ok(MigrationStatus { record, plan, steps, holder })
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
    let note = last.map(|event| event.note.clone()).unwrap_or_default();
    Ok(StepStatus { id: step.id, phase: step.phase, title: step.title.clone(), mark, note, progress })
}
