//! The parts of an undo that go over a table window by window.

use segue_model::journal::Checkpoint;
use segue_model::step::{Step, UndoStep, Windows};

use crate::backfill::Copying;
use crate::error::RunError;
use crate::rollback::{closed, patience_of};
use crate::running::Running;
use crate::step::limit_of_undo;
use crate::window::Size;

/// How far apart the keys are under which the parts of one undo have their checkpoints: more than a plan has steps.
const APART: u32 = 1_000_000;

/// Returns the key of the checkpoint of the part at `at` of the undo of `step`; no step has it as its number.
pub(crate) fn key_of(step: &Step, at: usize) -> u32 {
    let part = u32::try_from(at).unwrap_or(u32::MAX).saturating_add(1);
    APART.saturating_mul(part).saturating_add(step.id)
}

/// Returns the number of the step that a key belongs to, for people.
pub(crate) fn step_of(key: u32) -> u32 {
    key % APART
}

/// Returns the keys of all parts of an undo that go by windows.
pub(crate) fn keys_of_undo(step: &Step) -> impl Iterator<Item = u32> {
    let parts = step.undo.steps().iter().enumerate().filter(|(_, undo)| undo.windows.is_some());
    parts.map(|(at, _)| key_of(step, at))
}

impl Running<'_> {
    /// Does a part of an undo by windows, from where it stands.
    pub(crate) fn undo_by_windows(
        &mut self,
        step: &Step,
        (at, undo): (usize, &UndoStep),
        windows: &Windows,
    ) -> Result<(), RunError> {
        let keyed = Step { id: key_of(step, at), locks: undo.locks.clone(), tries: undo.tries, ..step.clone() };
        let copying = Copying::whole(&keyed, &windows.cut, &windows.sql);
        let Some(at) = self.begin_unwinding(step, undo, &copying)? else { return Ok(()) };
        // What an undo moves is not what a run reports as filled.
        let filled = self.outcome.rows_filled;
        let result = self.pass(&copying, &at, &mut Size::first(copying.cut));
        self.outcome.rows_filled = filled;
        result.map(drop)
    }

    /// Returns where the part stands; `None`: there is nothing for it to do. Its statements are committed together with the
    /// checkpoint that says so.
    fn begin_unwinding(
        &mut self,
        step: &Step,
        undo: &UndoStep,
        copying: &Copying<'_>,
    ) -> Result<Option<Checkpoint>, RunError> {
        self.leave_others_their_turn()?;
        let patience = patience_of(step, undo);
        self.persist(&patience, |me| {
            if !me.may_be_there(step) || !me.is_needed(undo)? {
                return Ok(None);
            }
            // Pass 0: it was done, and what it undid was done again.
            let before = me.checkpoint(copying.step)?;
            if let Some(at) = before.as_ref().filter(|at| at.pass > 0) {
                return Ok(Some(at.clone()));
            }
            let unmet = me.unmet(&undo.conditions)?;
            closed(me.id(), unmet)?;
            me.look_before_queueing(&patience)?;
            me.own(patience.tries.each, |me| {
                me.take_locks(&undo.locks)?;
                me.execute_all(&undo.sql, limit_of_undo(undo))?;
                let at = me.whole_table(copying, 1, before.map_or(0, |at| at.spans))?;
                me.forget_spans(copying.step)?;
                me.set_checkpoint(&at)?;
                Ok(Some(at))
            })
        })
    }
}
