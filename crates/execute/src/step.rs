//! Doing one step.

use std::rc::Rc;
use std::time::Duration;

use segue_model::journal::Mark;
use segue_model::lock::{Blocks, LockMode, RelationLock};
use segue_model::sql::Sql;
use segue_model::step::{Action, Phase, Step, Transaction, UndoStep};

use crate::error::RunError;
use crate::guard::Patience;
use crate::mask::mask_said;
use crate::observer::Progress;
use crate::outcome::Outcome;
use crate::running::{JOURNAL_WAIT, Running};
use crate::throttle::Work;

/// The longest that a statement may take which keeps the application waiting and reads no rows: longer is a bug or a hang.
const BRIEF: Duration = Duration::from_secs(60);

/// The longest that a statement or question may take which reads or writes every row, and keeps nobody waiting for it.
pub(crate) const THOROUGH: Duration = Duration::from_secs(24 * 3600);

/// Returns the longest that a statement of this step may take.
pub(crate) fn limit(step: &Step) -> Duration {
    if step.blocks >= Blocks::Writes && !step.rewrites && !step.scans { BRIEF } else { THOROUGH }
}

/// Returns the longest that a statement of this undo may take. SQLite's one lock has no weaker form: what reads every row
/// holds it too.
pub(crate) fn limit_of_undo(undo: &UndoStep) -> Duration {
    let holds_up = |lock: &RelationLock| lock.mode != LockMode::Write && lock.mode.blocks() >= Blocks::Writes;
    if undo.locks.iter().any(holds_up) { BRIEF } else { THOROUGH }
}

/// Returns what a step is to those who hold a run back. One that goes by windows asks before each of them besides.
pub(crate) fn work_of(step: &Step) -> Work {
    let whole = step.scans || step.rewrites;
    let heavy = match &step.action {
        Action::Sql(all) if all.is_empty() => return Work::Small,
        // What is done once the rows are there is an index, or statistics.
        Action::Sql(_) => whole || step.transaction == Transaction::None || step.phase == Phase::Backfill,
        Action::Settled { .. } => true,
        Action::Snapshot(snapshot) => snapshot.copy.is_none(),
        Action::Gate(_) => whole,
        Action::Backfill(_) | Action::Verify(_) => false,
    };
    // It keeps the application waiting, or changes what only old code sees.
    let holds_up = step.blocks >= Blocks::Writes || step.phase >= Phase::Contract;
    if heavy {
        Work::Heavy
    } else if holds_up {
        Work::Locks
    } else {
        Work::Small
    }
}

impl Running<'_> {
    /// Does a step, unless it is done already.
    pub(crate) fn step(&mut self, step: &Step) -> Result<(), RunError> {
        if self.is_done(step.id) {
            return Ok(());
        }
        self.env.check_stop()?;
        let (plan, valve) = (Rc::clone(&self.plan), self.hand.valve);
        valve.leads(self.hand.control.epoch());
        valve.note(|figures| figures.begins(step, &plan));
        valve.pass(self.env, work_of(step))?;
        self.env.tell(&Progress::StepBegins { step });
        let began = self.env.clock.now();
        let result = self.act(step);
        let Outcome { longest_lock_wait, longest_lock_held, .. } = self.outcome;
        valve.note(|figures| figures.cost(longest_lock_wait, longest_lock_held));
        if let Err(error) = result {
            self.note_failure(step, &error);
            return Err(error.at(step.id, step.phase));
        }
        self.env.tell(&Progress::StepDone { step, took: self.env.clock.now().saturating_sub(began) });
        Ok(())
    }

    fn act(&mut self, step: &Step) -> Result<(), RunError> {
        match (&step.action, step.transaction) {
            (Action::Sql(all), Transaction::Own) => self.in_one_transaction(step, all),
            (Action::Sql(all), Transaction::None) => self.outside_a_transaction(step, all),
            (Action::Settled { sql, settle }, _) => self.settled(step, sql, settle),
            (Action::Backfill(backfill), _) => self.backfill(step, backfill),
            (Action::Verify(verify), _) => self.verify_step(step, verify),
            (Action::Gate(gate), _) => self.gate(step, gate),
            (Action::Snapshot(snapshot), _) => self.snapshot(step, snapshot),
        }
    }

    /// The journal's entry and the step are committed together, or neither is.
    pub(crate) fn in_one_transaction(&mut self, step: &Step, all: &[Sql]) -> Result<(), RunError> {
        self.leave_others_their_turn()?;
        let patience = Patience::of(step);
        self.persist(&patience, |me| {
            if me.is_done(step.id) {
                return Ok(());
            }
            me.intend(step, Mark::Intent)?;
            me.look_before_queueing(&patience)?;
            let (mut event, mut locked) = (None, me.env.clock.now());
            me.own(patience.tries.each, |me| {
                me.take_locks(&step.locks)?;
                locked = me.env.clock.now();
                me.check_shape()?;
                me.execute_all(all, limit(step))?;
                event = Some(me.record_done(step, String::new())?);
                Ok(())
            })?;
            me.note_held(&step.locks, locked);
            me.events.extend(event);
            Ok(())
        })
    }

    fn outside_a_transaction(&mut self, step: &Step, all: &[Sql]) -> Result<(), RunError> {
        self.persist(&Patience::of(step), |me| {
            if me.is_done(step.id) {
                return Ok(());
            }
            if me.is_open(step.id) {
                me.execute_all(&step.on_interrupted, limit(step))?;
            } else {
                me.check_shape()?;
            }
            me.intend(step, Mark::Intent)?;
            me.fence()?;
            me.hand.spare_others();
            me.execute_all(all, limit(step))?;
            me.fence()
        })?;
        self.finish(step, "")
    }

    /// Journals that a step failed. Best effort: the failure itself matters more, and the open intent says as much.
    fn note_failure(&mut self, step: &Step, error: &RunError) {
        let RunError::Fail { source, .. } = error else { return };
        if source.outcome_unknown() {
            return;
        }
        let note = serde_json::json!({ "message": mask_said(source), "code": source.code }).to_string();
        let event = self.own(JOURNAL_WAIT, |me| me.record(step, Mark::Failed, String::new(), note));
        self.events.extend(event);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::{additive, plan};

    #[test]
    fn what_reads_or_writes_a_whole_table_is_heavy_and_what_only_writes_the_journal_small() {
        let plan = plan();
        let of = |id: u32| plan.steps.iter().find(|step| step.id == id).map(work_of);
        assert_eq!(of(4), Some(Work::Heavy), "an index");
        assert_eq!(of(7), Some(Work::Locks), "a gate of the contract");
        let sql = additive().steps.swap_remove(0);
        assert_eq!(work_of(&Step { scans: true, ..sql.clone() }), Work::Heavy);
        assert_eq!(work_of(&Step { phase: Phase::Backfill, ..sql.clone() }), Work::Heavy, "statistics");
        assert_eq!(work_of(&Step { action: Action::Sql(Vec::new()), phase: Phase::Flip, ..sql }), Work::Small);
    }
}
