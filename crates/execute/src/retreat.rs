//! Where a rollback began, what it may lose, and how it is withdrawn when it is refused before anything was undone.

use segue_model::journal::{Event, Mark, State};
use segue_model::step::{Kept, Phase, Step};

use crate::error::RunError;
use crate::guard::Patience;
use crate::rollback::is_whole;
use crate::running::{JOURNAL_WAIT, QUESTION, Running};

/// A rollback that is under way.
pub(crate) struct Retreat {
    /// How far the migration was when it began; `None`: the journal does not say.
    from: Option<State>,
    /// Both shapes were compared, or need not be.
    pub(crate) checked: bool,
    /// A step that the state of before stands for was taken back.
    below: bool,
    /// The step under way may be undone in part.
    pub(crate) half_undone: bool,
    /// Copies that were made.
    pub(crate) copies: Vec<Kept>,
}

impl Retreat {
    /// Returns a rollback that begins.
    pub(crate) fn from(state: State) -> Self {
        Self { from: Some(state), checked: false, below: false, half_undone: false, copies: Vec::new() }
    }

    /// Returns the rollback that an earlier run began, by what the journal has of it.
    pub(crate) fn resumed(running: &Running<'_>) -> Self {
        let began = running.retreat_began();
        let Some((began, from)) = began.and_then(|at| Some((at, state_in(&running.events[at])?))) else {
            return Self { from: None, checked: true, below: true, half_undone: true, copies: Vec::new() };
        };
        let mut retreat = Self::from(from);
        for step in &running.plan.steps {
            let intends = |event: &Event| event.step == step.id && event.mark == Mark::UndoIntent;
            if !running.events[began..].iter().any(intends) {
                continue;
            }
            retreat.checked |= retreat.loses_by(step);
            if running.is_undoing(step.id) {
                retreat.half_undone |= !in_one_transaction(step);
                retreat.copies.extend(step.undo.steps().iter().filter_map(|undo| undo.keeps.clone()));
            } else {
                retreat.undone(step);
            }
        }
        retreat
    }

    /// Returns whether the new shape may have been written by the application.
    pub(crate) fn reached_ready(&self) -> bool {
        self.from.is_none_or(|from| from >= State::Ready)
    }

    /// Returns whether the undo of this step leaves the gate that the migration had reached. What a later phase did, and was
    /// not finished, is only brought back to that gate.
    pub(crate) fn loses_by(&self, step: &Step) -> bool {
        let reached = match self.from {
            Some(State::Ready) => Phase::Verify,
            Some(State::Flipped) => Phase::Flip,
            Some(State::Contracted) => Phase::Contract,
            Some(State::RolledBack | State::RollingBack | State::Started | State::Expanded | State::Done) | None => {
                return true;
            }
        };
        step.phase <= reached
    }

    /// Notes that a step was taken back.
    pub(crate) fn undone(&mut self, step: &Step) {
        self.half_undone = false;
        self.below |= self.loses_by(step) && !is_nothing(step);
    }
}

impl Running<'_> {
    /// Compares both shapes before values could be lost: a row that is wrong, or was never synced, has its truth on one side.
    pub(crate) fn check_before_loss(&mut self, retreat: &Retreat) -> Result<(), RunError> {
        if !self.by_hand() || !retreat.reached_ready() {
            return Ok(());
        }
        if self.said.accept_loss {
            let text = "the rows were not verified before the rollback (`--accept-loss`): what only the new shape held, \
                        and no copy names, is gone";
            self.outcome.lost.push(text.to_owned());
            return Ok(());
        }
        let id = self.id().clone();
        let anyway = format!(
            "`segue rollback {id} --new-version-stopped --accept-loss` takes it back all the same, unverified."
        );
        self.check_sync().and_then(|()| self.verify_again(false)).map_err(|error| match error {
            RunError::Gate { step, reasons, mut hints } => {
                hints.push(format!(
                    "Enable or recreate it, then run `segue verify {id} --repair` and roll back again. {anyway}"
                ));
                RunError::Gate { step, reasons, hints }
            }
            RunError::Verification { report, .. } => {
                // Given back then, where a phase was half done.
                let state = retreat.from.unwrap_or(self.record.state);
                let hint = format!("{} {anyway}", self.how_to_mend(&report, false, state));
                RunError::Verification { report, hint }
            }
            other => other,
        })
    }

    /// Writes that the rollback begins, together with the intent of its first undo and the state that it begins in.
    pub(crate) fn begin_retreat(&mut self, step: &Step, retreat: &Retreat) -> Result<(), RunError> {
        let from = retreat.from.map_or("", State::name);
        self.persist(&Patience::journal(step), |me| {
            // After a loss the journal may show that it has begun.
            if me.events.last().is_some_and(|last| last.step == step.id && state_in(last).is_some()) {
                return Ok(());
            }
            let event = me.own(JOURNAL_WAIT, |me| {
                let note = serde_json::json!({ "from": from }).to_string();
                let event = me.record(step, Mark::UndoIntent, String::new(), note)?;
                let Running { env, hand, record, .. } = me;
                env.journal().set_state(&mut *hand.work, &record.id, State::RollingBack)?;
                Ok(event)
            })?;
            me.events.push(event);
            Ok(())
        })?;
        self.record.state = State::RollingBack;
        self.outcome.state = State::RollingBack;
        Ok(())
    }

    /// Returns where in the journal the last rollback begins.
    pub(crate) fn retreat_began(&self) -> Option<usize> {
        self.events.iter().rposition(|event| state_in(event).is_some())
    }

    /// Brings the state of before back when a rollback was refused and nothing was undone: the user may go on forward. Best
    /// effort, since a rollback that stays begun can be gone on with as well.
    pub(crate) fn withdraw(&mut self, retreat: &Retreat, error: &RunError) {
        let refused = match error {
            RunError::Fail { source, .. } => !source.outcome_unknown(),
            RunError::LostLease | RunError::Interrupted | RunError::Rewound { .. } => false,
            _ => true,
        };
        let (Some(from), Some(began)) = (retreat.from, self.retreat_began()) else { return };
        if !refused || retreat.below || retreat.half_undone || self.record.state != State::RollingBack {
            return;
        }
        let withdrawn = self.persist(&Patience::nothing(), |me| {
            let events = me.own(JOURNAL_WAIT, |me| {
                let events = me.record_as_before(retreat, began)?;
                for copy in &retreat.copies {
                    me.execute(&copy.drop_empty, &[], QUESTION)?;
                }
                let plan = std::rc::Rc::clone(&me.plan);
                plan.steps.iter().try_for_each(|step| me.unwind_anew(step))?;
                let Running { env, hand, record, .. } = me;
                env.journal().set_state(&mut *hand.work, &record.id, from)?;
                Ok(events)
            })?;
            me.events.extend(events);
            Ok(())
        });
        if withdrawn.is_ok() {
            self.record.state = from;
            self.outcome.state = from;
        }
    }

    /// Writes, of each step whose undo was begun or was nothing, what it was before. What was done beyond the gate is done
    /// again, also where its undo was nothing: it filled, or looked at, what other undos have taken away.
    fn record_as_before(&mut self, retreat: &Retreat, began: usize) -> Result<Vec<Event>, RunError> {
        let plan = std::rc::Rc::clone(&self.plan);
        let (before, since) = self.events.split_at(began);
        let stays = |step: &&Step| {
            let intended = since.iter().any(|event| event.step == step.id && event.mark == Mark::UndoIntent);
            intended && (self.is_undoing(step.id) || is_nothing(step))
        };
        let was_done = |step: &Step| {
            let marks = [Mark::Intent, Mark::Failed, Mark::Done, Mark::Undone];
            let last = before.iter().rev().find(|event| event.step == step.id && marks.contains(&event.mark));
            last.is_some_and(|event| event.mark == Mark::Done)
        };
        let nothing: Vec<u32> = plan.steps.iter().filter(|step| is_nothing(step)).map(|step| step.id).collect();
        let counts = |at: usize, event: &Event| match event.mark {
            Mark::Done => true,
            Mark::Undone => at < began || !nothing.contains(&event.step),
            Mark::Intent | Mark::Failed | Mark::UndoIntent => false,
        };
        let shape = self.events.iter().enumerate().rev().find(|(at, event)| counts(*at, event));
        let shape = shape.map_or_else(|| plan.shape.clone(), |(_, event)| event.shape.clone());
        let mark = |step: &Step| match (was_done(step), self.is_undoing(step.id) || retreat.loses_by(step)) {
            (_, false) => Mark::Undone,
            (true, true) => Mark::Done,
            (false, true) => Mark::Failed,
        };
        let marks: Vec<(&Step, Mark)> = plan.steps.iter().filter(stays).map(|step| (step, mark(step))).collect();
        marks
            .into_iter()
            .map(|(step, mark)| {
                let shape = if mark == Mark::Failed { String::new() } else { shape.clone() };
                self.record(step, mark, shape, String::new())
            })
            .collect()
    }
}

/// Returns the state in which the rollback began whose first intent this is.
fn state_in(event: &Event) -> Option<State> {
    if event.mark != Mark::UndoIntent {
        return None;
    }
    let note: serde_json::Value = serde_json::from_str(&event.note).ok()?;
    State::named(note.get("from")?.as_str()?)
}

fn is_nothing(step: &Step) -> bool {
    step.undo.steps().is_empty()
}

/// Returns whether an undo is carried out as a whole or not at all, but for the copies that it makes.
fn in_one_transaction(step: &Step) -> bool {
    let mut parts = step.undo.steps().iter().filter(|undo| undo.keeps.is_none());
    let first = parts.next();
    first.is_none_or(is_whole) && parts.next().is_none()
}
