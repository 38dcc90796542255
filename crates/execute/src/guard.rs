//! Tries and retries around one transaction.

use std::time::Duration;

use segue_model::lock::{LockTries, RelationLock};
use segue_model::session::{Blocker, Fail, FailKind};
use segue_model::step::{Phase, Step};

use crate::error::RunError;
use crate::figures::Figures;
use crate::hand::{Hand, Handed};
use crate::observer::Progress;
use crate::running::Running;
use crate::step::work_of;
use crate::throttle::Work;
use crate::unwinding::step_of;

/// Where a short wait must not apply (VALIDATE, CREATE INDEX CONCURRENTLY): waiting then holds nobody up.
pub(crate) const LONG: LockTries = LockTries { each: Duration::from_secs(60), budget: Duration::from_secs(1800) };

/// What only writes the journal.
const JOURNAL: LockTries = LockTries { each: Duration::from_millis(50), budget: Duration::from_secs(60) };

/// The longest that blockers are only looked at: some application always has one long transaction, and a short try past it
/// may still succeed.
const LOOK: Duration = Duration::from_secs(1);

/// How often one transaction is done again after its connection was lost.
const LOSSES_MAX: u32 = 5;

/// How long one transaction is tried again, and for what.
pub(crate) struct Patience<'s> {
    /// The step, where one is under way.
    pub(crate) step: Option<(u32, Phase)>,
    /// Tries and budget.
    pub(crate) tries: LockTries,
    /// The locks that it needs.
    pub(crate) locks: &'s [RelationLock],
    /// What it is to those who hold a run back, who are asked before each try.
    pub(crate) work: Option<Work>,
}

impl<'s> Patience<'s> {
    /// Returns a step's own.
    pub(crate) fn of(step: &'s Step) -> Self {
        let tries = step.tries.unwrap_or(LONG);
        Self { step: Some((step_of(step.id), step.phase)), tries, locks: &step.locks, work: Some(work_of(step)) }
    }

    /// Returns a step's for transactions that need none of its locks.
    pub(crate) fn journal(step: &Step) -> Self {
        Self { step: Some((step_of(step.id), step.phase)), tries: JOURNAL, locks: &[], work: None }
    }

    /// Returns that of a transaction that belongs to no step.
    pub(crate) fn nothing() -> Self {
        Self { step: None, tries: JOURNAL, locks: &[], work: None }
    }
}

/// Does `op` until it succeeds, fails for good, or the patience ends.
///
/// `op` may have been carried out although it failed (the connection broke at COMMIT): it must look at the journal first,
/// which is read again after each loss.
pub(crate) fn persist<'r, M: Handed<'r>, T>(
    me: &mut M,
    patience: &Patience<'_>,
    mut op: impl FnMut(&mut M) -> Result<T, RunError>,
) -> Result<T, RunError> {
    let env = me.hand().env;
    let mut began = env.clock.now();
    let (mut losses, mut tries) = (0, 0);
    loop {
        env.check_stop()?;
        if let Some(work) = patience.work {
            // The budget is for locks: what the run was held back by must not spend it.
            let asked = env.clock.now();
            me.hand().valve.pass(env, work)?;
            began += env.clock.now().saturating_sub(asked);
        }
        let fail = match op(me) {
            Err(RunError::Fail { source, .. }) => source,
            other => return other,
        };
        if env.run.stop.requested() && fail.kind == FailKind::Cancelled {
            return Err(RunError::Interrupted);
        }
        if fail.outcome_unknown() && losses < LOSSES_MAX {
            losses += 1;
            me.reconnect(&fail)?;
        } else if fail.is_transient() {
            tries += 1;
            me.hand().wait_for_another_try(patience, tries, began, fail)?;
        } else {
            return Err(fail.into());
        }
    }
}

impl Hand<'_> {
    /// Waits before another try, or fails where the patience is at its end.
    pub(crate) fn wait_for_another_try(
        &mut self,
        patience: &Patience<'_>,
        try_no: u32,
        began: Duration,
        fail: Fail,
    ) -> Result<(), RunError> {
        self.retries += 1;
        self.valve.note(Figures::retried);
        let blockers = self.blockers(patience.locks);
        let step = patience.step.map_or(0, |(step, _)| step);
        self.env.tell(&Progress::LockTry { step, try_no, blockers: &blockers });
        if self.env.clock.now().saturating_sub(began) >= patience.tries.budget {
            return Err(match patience.step {
                Some((step, _)) => RunError::BudgetSpent { step, budget: patience.tries.budget, blockers },
                None => fail.into(),
            });
        }
        let pause = self.jittered(patience.tries.each.clamp(Duration::from_millis(10), Duration::from_secs(1)));
        self.env.wait(pause)
    }

    /// Who is in the way is only told, so a failure to find out is not worth failing for.
    pub(crate) fn blockers(&mut self, locks: &[RelationLock]) -> Vec<Blocker> {
        if locks.is_empty() { Vec::new() } else { self.work.blockers(locks).unwrap_or_default() }
    }
}

impl Running<'_> {
    /// Waits while a long transaction is in the way: a DDL that queues behind it would make everybody queue behind the DDL.
    pub(crate) fn look_before_queueing(&mut self, patience: &Patience<'_>) -> Result<(), RunError> {
        let began = self.env.clock.now();
        let mut looks = 0;
        while !patience.locks.is_empty() {
            let blockers = self.hand.work.blockers(patience.locks)?;
            let long = blockers.iter().any(|blocker| blocker.age >= patience.tries.each);
            if !long || self.env.clock.now().saturating_sub(began) >= LOOK {
                break;
            }
            looks += 1;
            let step = patience.step.map_or(0, |(step, _)| step);
            self.env.tell(&Progress::LockTry { step, try_no: looks, blockers: &blockers });
            let pause = self.hand.jittered(patience.tries.each.max(Duration::from_millis(10)));
            self.env.wait(pause)?;
        }
        Ok(())
    }

    /// Takes a step's locks and notes how long that took, also when it failed.
    pub(crate) fn take_locks(&mut self, locks: &[RelationLock]) -> Result<(), RunError> {
        if locks.is_empty() {
            return Ok(());
        }
        let began = self.env.clock.now();
        let result = self.hand.work.lock(locks);
        let waited = self.env.clock.now().saturating_sub(began);
        self.outcome.longest_lock_wait = self.outcome.longest_lock_wait.max(waited);
        Ok(result?)
    }
}
