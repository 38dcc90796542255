//! Doing again what an earlier run looked at and copied before it could drop the old shape: neither speaks of rows that were
//! written since.

use std::rc::Rc;

use segue_model::journal::{Checkpoint, Mark};
use segue_model::step::{Action, Phase, Step};

use crate::error::RunError;
use crate::guard::Patience;
use crate::phase::changes_tables;
use crate::running::{JOURNAL_WAIT, Running};
use crate::unwinding::keys_of_undo;

impl Running<'_> {
    /// Takes back what earlier runs of cleanup prepared for steps that are still to be done.
    pub(crate) fn take_back_preparations(&mut self) -> Result<(), RunError> {
        let plan = Rc::clone(&self.plan);
        let cleanup: Vec<&Step> = plan.steps.iter().filter(|step| step.phase == Phase::Cleanup).collect();
        let stale: Vec<&Step> =
            (0..cleanup.len()).filter(|at| self.is_stale(&cleanup[*at..])).map(|at| cleanup[at]).collect();
        if stale.iter().any(|step| matches!(step.action, Action::Snapshot(_))) {
            self.note(
                "an earlier run made a copy and did not go on: the copy is made anew, with what was written since"
                    .to_owned(),
            );
        }
        for step in stale.into_iter().rev() {
            self.take_back_preparation(step).map_err(|error| error.at(step.id, step.phase))?;
        }
        Ok(())
    }

    /// Returns whether the first of these steps prepares the others, and none of them has been begun.
    fn is_stale(&self, steps: &[&Step]) -> bool {
        let Some((step, later)) = steps.split_first() else { return false };
        let mut guarded = later.iter().filter(|later| changes_tables(later)).peekable();
        prepares(step)
            && self.may_be_there(step)
            && guarded.peek().is_some()
            && !guarded.any(|later| self.may_be_there(later))
    }

    /// The structure that is expected stays the one of before, so that a change since then is seen.
    fn take_back_preparation(&mut self, step: &Step) -> Result<(), RunError> {
        let shape = self.expected_shape().to_owned();
        if !step.undo.steps().is_empty() {
            self.persist(&Patience::journal(step), |me| me.intend(step, Mark::UndoIntent))?;
        }
        for part in step.undo.steps().iter().enumerate() {
            self.carry_out(step, part, None)?;
        }
        self.persist(&Patience::journal(step), |me| {
            if !me.may_be_there(step) {
                return Ok(());
            }
            let event = me.own(JOURNAL_WAIT, |me| {
                me.begin_windows_anew(step)?;
                me.record(step, Mark::Undone, shape.clone(), String::new())
            })?;
            me.events.push(event);
            Ok(())
        })
    }

    /// Forgets, in the transaction that is open, how far the copy was that is taken back, and how far its undo. What cleanup
    /// fills is its own too, and goes with the step that made it.
    pub(crate) fn begin_windows_anew(&mut self, step: &Step) -> Result<(), RunError> {
        let copies = match &step.action {
            Action::Snapshot(snapshot) => snapshot.copy.is_some(),
            Action::Backfill(_) => step.phase == Phase::Cleanup,
            Action::Sql(_) | Action::Settled { .. } | Action::Verify(_) | Action::Gate(_) => false,
        };
        if copies {
            self.begin_anew(step.id)?;
        }
        self.unwind_anew(step)
    }

    /// Forgets, in the transaction that is open, how far the undo of a step went over its tables.
    pub(crate) fn unwind_anew(&mut self, step: &Step) -> Result<(), RunError> {
        keys_of_undo(step).try_for_each(|key| self.begin_anew(key))
    }

    /// Forgets, in the transaction that is open, how far a pass was; its first statements are done again.
    pub(crate) fn begin_anew(&mut self, key: u32) -> Result<(), RunError> {
        let Running { env, hand, record, .. } = self;
        let (journal, session) = (env.journal(), &mut *hand.work);
        let Some(at) = journal.checkpoint(session, &record.id, record.attempt, key)? else { return Ok(()) };
        for span in journal.spans(session, &record.id, record.attempt, key)? {
            journal.end_span(session, &record.id, record.attempt, &span)?;
        }
        self.set_checkpoint(&Checkpoint { pass: 0, next: None, done: 0, total: 0, rows: 0, ..at })
    }
}

/// Returns whether a step makes sure that something may be dropped.
fn prepares(step: &Step) -> bool {
    match step.action {
        Action::Verify(_) | Action::Gate(_) | Action::Snapshot(_) => true,
        Action::Sql(_) | Action::Settled { .. } | Action::Backfill(_) => false,
    }
}
