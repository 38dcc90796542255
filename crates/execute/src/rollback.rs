//! Taking a migration back: the undos of what was done, backwards.

use std::rc::Rc;

use segue_model::ident::MigrationId;
use segue_model::journal::{Event, Mark, State};
use segue_model::session::FailKind;
use segue_model::step::{Asks, Step, Transaction, Undo, UndoStep};

use crate::error::RunError;
use crate::gate::Unmet;
use crate::guard::{LONG, Patience};
use crate::kept::note_of;
use crate::observer::Progress;
use crate::retreat::Retreat;
use crate::running::{JOURNAL_WAIT, QUESTION, Running};
use crate::shape::difference;
use crate::step::{limit, limit_of_undo};
use crate::window::first_number;

impl Running<'_> {
    /// Takes everything back, from where an earlier rollback stopped.
    pub(crate) fn take_back(&mut self) -> Result<(), RunError> {
        self.hand.valve.open();
        let plan = Rc::clone(&self.plan);
        let steps: Vec<&Step> = plan.steps.iter().rev().filter(|step| self.may_be_there(step)).collect();
        let mut retreat = if self.record.state == State::RollingBack {
            Retreat::resumed(self)
        } else {
            self.refuse_rollback(&steps)?;
            self.note_drift()?;
            Retreat::from(self.record.state)
        };
        for step in steps {
            if let Err(error) = self.take_back_step(step, &mut retreat) {
                self.withdraw(&retreat, &error);
                return Err(error.at_undo(step.id, step.phase));
            }
        }
        let found = self.persist(&Patience::nothing(), Self::shape)?;
        if found != plan.shape {
            self.outcome.difference = Some(difference(&plan.shape, &found));
        }
        self.set_state(State::RolledBack)?;
        self.tell_kept();
        Ok(())
    }

    /// Refuses while nothing has been taken back yet.
    fn refuse_rollback(&mut self, steps: &[&Step]) -> Result<(), RunError> {
        if let Some(step) = steps.iter().find(|step| step.undo == Undo::Impossible) {
            return Err(RunError::RollbackClosed {
                reason: format!("step {} cannot be undone: {}", step.id, step.title),
                hint: format!("Finish it with `segue cleanup {}`; `segue down` then plans its down file.", self.id()),
            });
        }
        if self.by_hand()
            && self.record.state >= State::Ready
            && let Some((reason, hint)) = self.unsaid(Asks::NewVersionStopped)
        {
            return Err(RunError::Gate { step: None, reasons: vec![reason.to_owned()], hints: vec![hint.to_owned()] });
        }
        let undos = steps.iter().flat_map(|step| step.undo.steps());
        for undo in undos.filter(|undo| undo.needed.is_none()) {
            match self.persist(&Patience::nothing(), |me| me.unmet(&undo.conditions)) {
                Ok(unmet) => closed(self.id(), unmet)?,
                // It names what an earlier undo brings back first: it is asked again at its time.
                Err(RunError::Fail { source, .. }) if source.kind == FailKind::Undefined => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// A structure that somebody changed meanwhile is said, but does not keep a migration from being taken back. What of it
    /// remains is shown at the end.
    fn note_drift(&mut self) -> Result<(), RunError> {
        match self.persist(&Patience::nothing(), Self::check_shape) {
            Err(RunError::Drift { .. }) => {
                self.note("the tables were changed by somebody since the last step".to_owned());
                Ok(())
            }
            other => other,
        }
    }

    /// What a phase left that was not finished is taken back first: only at a gate do both shapes have names by which they
    /// can be compared, and from there on values could be lost.
    fn take_back_step(&mut self, step: &Step, retreat: &mut Retreat) -> Result<(), RunError> {
        if !retreat.checked && retreat.loses_by(step) {
            self.check_before_loss(retreat)?;
            retreat.checked = true;
        }
        if self.record.state != State::RollingBack {
            self.begin_retreat(step, retreat)?;
        }
        self.undo(step, retreat)
    }

    fn undo(&mut self, step: &Step, retreat: &mut Retreat) -> Result<(), RunError> {
        let undos = step.undo.steps();
        let does_something = !undos.is_empty();
        if does_something {
            self.env.tell(&Progress::UndoBegins { step });
        }
        let interrupted = self.is_open(step.id);
        self.persist(&Patience::journal(step), |me| me.intend(step, Mark::UndoIntent))?;
        if interrupted {
            self.persist(&Patience::of(step), |me| {
                me.fence()?;
                me.execute_all(&step.on_interrupted, limit(step))
            })?;
        }
        let mut kept = Vec::new();
        for (at, undo) in undos.iter().enumerate() {
            let Some(keeps) = &undo.keeps else {
                let note = (at + 1 == undos.len()).then(|| note_of(&kept));
                self.undo_part(step, (at, undo), note, retreat)?;
                continue;
            };
            // Nobody has written the new shape: what it holds follows from the old one.
            if !retreat.reached_ready() {
                continue;
            }
            // Of one that is not finished nothing is left behind either, where the rollback is withdrawn.
            retreat.copies.push(keeps.clone());
            self.keep_anew(step, (at, undo))?;
            self.carry_out(step, (at, undo), None)?;
            kept.extend(self.count_kept(step, undo, keeps)?);
        }
        self.finish_undo(step, note_of(&kept))?;
        retreat.undone(step);
        if let Undo::Lossy { loses, .. } = &step.undo
            && !self.is_kept_empty(retreat)
            && !self.outcome.lost.contains(loses)
        {
            self.outcome.lost.push(loses.clone());
        }
        if does_something {
            self.env.tell(&Progress::Undone { step });
        }
        Ok(())
    }

    /// Does a part of an undo; with a `note`, the last.
    fn undo_part(
        &mut self,
        step: &Step,
        (at, undo): (usize, &UndoStep),
        note: Option<String>,
        retreat: &mut Retreat,
    ) -> Result<(), RunError> {
        let last = note.is_some();
        retreat.half_undone |= !is_whole(undo);
        self.carry_out(step, (at, undo), note)?;
        retreat.half_undone |= !last && !undo.sql.is_empty();
        Ok(())
    }

    /// Does a part of an undo, the one at `at`; with a `note`, the last, which is journalled with it where it can be.
    pub(crate) fn carry_out(
        &mut self,
        step: &Step,
        (at, undo): (usize, &UndoStep),
        note: Option<String>,
    ) -> Result<(), RunError> {
        match (&undo.windows, undo.transaction) {
            (Some(windows), _) => self.undo_by_windows(step, (at, undo), windows),
            (None, Transaction::Own) => self.undo_in_one_transaction(step, undo, note),
            (None, Transaction::None) => self.undo_outside_a_transaction(step, undo),
        }
    }

    /// Returns whether a part of an undo has anything to do.
    pub(crate) fn is_needed(&mut self, undo: &UndoStep) -> Result<bool, RunError> {
        let Some(needed) = &undo.needed else { return Ok(true) };
        Ok(first_number(&self.query(needed, &[], QUESTION)?).unwrap_or(0) != 0)
    }

    /// The last transaction of an undo is committed together with the journal's entry, or neither is.
    fn undo_in_one_transaction(&mut self, step: &Step, undo: &UndoStep, note: Option<String>) -> Result<(), RunError> {
        self.leave_others_their_turn()?;
        let patience = patience_of(step, undo);
        let mut asked = self.persist(&patience, |me| me.refuse_undo(step, undo))?;
        self.persist(&patience, |me| {
            if !me.may_be_there(step) || !me.is_needed(undo)? {
                return Ok(());
            }
            if asked != me.hand.reconnects {
                asked = me.refuse_undo(step, undo)?;
            }
            me.look_before_queueing(&patience)?;
            let (mut event, mut locked) = (None, me.env.clock.now());
            me.own(patience.tries.each, |me| {
                me.take_locks(&undo.locks)?;
                locked = me.env.clock.now();
                me.execute_all(&undo.sql, limit_of_undo(undo))?;
                if let Some(note) = &note {
                    event = Some(me.record_undone(step, note)?);
                }
                Ok(())
            })?;
            me.note_held(&undo.locks, locked);
            me.events.extend(event);
            Ok(())
        })
    }

    /// Asks the conditions of a part of an undo that has something to do; returns on which connection. That is done before
    /// its locks are taken, and not at each try, nor in the time that these have: they may read every row.
    fn refuse_undo(&mut self, step: &Step, undo: &UndoStep) -> Result<u32, RunError> {
        if !undo.conditions.is_empty() && self.may_be_there(step) && self.is_needed(undo)? {
            let unmet = self.unmet(&undo.conditions)?;
            closed(self.id(), unmet)?;
        }
        Ok(self.hand.reconnects)
    }

    fn undo_outside_a_transaction(&mut self, step: &Step, undo: &UndoStep) -> Result<(), RunError> {
        self.persist(&patience_of(step, undo), |me| {
            me.fence()?;
            if !me.is_needed(undo)? {
                return Ok(());
            }
            let unmet = me.unmet(&undo.conditions)?;
            closed(me.id(), unmet)?;
            me.execute_all(&undo.sql, limit_of_undo(undo))?;
            me.fence()
        })
    }

    fn finish_undo(&mut self, step: &Step, note: String) -> Result<(), RunError> {
        self.persist(&Patience::journal(step), |me| {
            if !me.may_be_there(step) {
                return Ok(());
            }
            let event = me.own(JOURNAL_WAIT, |me| me.record_undone(step, &note))?;
            me.events.push(event);
            Ok(())
        })
    }

    fn record_undone(&mut self, step: &Step, note: &str) -> Result<Event, RunError> {
        let shape = self.shape()?;
        self.begin_windows_anew(step)?;
        self.record(step, Mark::Undone, shape, note.to_owned())
    }
}

/// Returns whether a part of an undo is carried out as a whole or not at all.
pub(crate) fn is_whole(undo: &UndoStep) -> bool {
    undo.transaction == Transaction::Own && undo.windows.is_none()
}

/// Returns how long a part of an undo waits for its locks.
pub(crate) fn patience_of<'s>(step: &Step, undo: &'s UndoStep) -> Patience<'s> {
    let tries = undo.tries.unwrap_or(LONG);
    // Who takes a migration back wants out: nothing holds that.
    Patience { step: Some((step.id, step.phase)), tries, locks: &undo.locks, work: None }
}

/// Refuses the rollback where something is unmet.
pub(crate) fn closed(id: &MigrationId, unmet: Unmet) -> Result<(), RunError> {
    if unmet.reasons.is_empty() {
        return Ok(());
    }
    let mut hint = unmet.hints.join(" ");
    if hint.is_empty() {
        hint = format!("Correct that and run `segue rollback {id}` again, or go on with the migration.");
    }
    Err(RunError::RollbackClosed { reason: unmet.reasons.join("; "), hint })
}
