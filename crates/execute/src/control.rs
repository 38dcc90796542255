//! The control session: it holds the lease, and gives a sign of life while the work session is busy.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use segue_model::ident::MigrationId;
use segue_model::journal::Claim;
use segue_model::session::{Fail, FailKind, Session};

use crate::clock::Bell;
use crate::engage::{holder, release};
use crate::error::RunError;
use crate::running::Env;

/// The time between two heartbeats; a third of it is what a busy server may cost before anybody worries.
const BEAT: Duration = Duration::from_secs(1);

/// Failures in a row that a server may answer with before its connection is made anew.
const FAILURES_MAX: u32 = 2;

/// The control session of a run, shared between the run and its heartbeat. Without a session where the engine has a lock of
/// the operating system instead (SQLite).
#[derive(Default)]
pub(crate) struct Control {
    holding: Mutex<Holding>,
    /// The lease's number.
    epoch: AtomicI64,
    ended: Bell,
}

/// A control session with the lease that it holds.
#[derive(Default)]
struct Holding {
    /// There is a lease to hold by a session.
    begun: bool,
    /// The session; `None`: it was lost.
    session: Option<Box<dyn Session>>,
    /// The lease stands under this session's backend.
    claimed: bool,
    /// Somebody else has the lease.
    taken: bool,
    /// Heartbeats that failed since the last one that did not.
    failures: u32,
}

/// Ends the heartbeat when dropped, also when the run panics: else the process would never end.
pub(crate) struct Ending<'c>(&'c Control);

impl Drop for Ending<'_> {
    fn drop(&mut self) {
        self.0.ended.ring();
    }
}

impl Control {
    /// Returns what ends the heartbeat when it is dropped.
    pub(crate) fn ending(&self) -> Ending<'_> {
        Ending(self)
    }

    /// Returns the lease's number.
    pub(crate) fn epoch(&self) -> i64 {
        self.epoch.load(Ordering::SeqCst)
    }

    /// Notes the lease of a run that has no control session.
    pub(crate) fn has_lease(&self, epoch: i64) {
        self.epoch.store(epoch, Ordering::SeqCst);
    }

    /// Gives the heartbeat a session and its lease.
    pub(crate) fn hold(&self, session: Box<dyn Session>, epoch: i64) {
        self.has_lease(epoch);
        *self.holding() = Holding { begun: true, session: Some(session), claimed: true, ..Holding::default() };
    }

    /// Returns whether the lease may have another number than `epoch` by now, because it is, or was, taken again with a new
    /// connection.
    pub(crate) fn may_have_moved_from(&self, epoch: i64) -> bool {
        let busy = self.holding.try_lock().is_err();
        busy || self.epoch() != epoch
    }

    /// Uses the session between two heartbeats, and gives it up when it turns out to be gone.
    pub(crate) fn on<T>(&self, op: impl FnOnce(&mut dyn Session) -> Result<T, Fail>) -> Result<T, Fail> {
        let mut holding = self.holding();
        let Some(session) = holding.session.as_mut() else {
            return Err(Fail::new(FailKind::Lost, "the control session is gone"));
        };
        let result = op(&mut **session);
        if result.as_ref().is_err_and(Fail::outcome_unknown) {
            holding.session = None;
        }
        result
    }

    /// Makes sure that there is a session and that the lease stands under its backend.
    pub(crate) fn renew(&self, env: Env<'_>, id: &MigrationId) -> Result<(), RunError> {
        self.holding().renew(self, env, id)
    }

    /// Gives a sign of life about every second until the run ends.
    pub(crate) fn beat(&self, env: Env<'_>, id: &MigrationId) {
        while !self.ended.wait(BEAT) {
            self.beat_once(env, id);
        }
    }

    /// Gives one sign of life. A connection that was lost is made again, one try a heartbeat: a run whose work session is
    /// busy for an hour must not be taken for dead because its other connection broke.
    pub(crate) fn beat_once(&self, env: Env<'_>, id: &MigrationId) {
        let mut holding = self.holding();
        if !holding.begun || self.ended.wait(Duration::ZERO) {
            return;
        }
        // Where the server has not noticed yet that the old connection is gone, its lease is beaten for all the same.
        let renewed = holding.renew(self, env, id);
        if holding.taken || (renewed.is_err() && holding.session.is_none()) {
            return;
        }
        let epoch = self.epoch();
        let Some(session) = holding.session.as_mut() else { return };
        match env.journal().beat(&mut **session, id, epoch) {
            Ok(()) => holding.failures = 0,
            Err(fail) => holding.failed(&fail),
        }
    }

    /// Ends the heartbeat before the lease is given back, so that it does not take it again.
    pub(crate) fn end(&self) {
        self.ended.ring();
        drop(self.holding());
    }

    fn holding(&self) -> MutexGuard<'_, Holding> {
        self.holding.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Holding {
    fn renew(&mut self, control: &Control, env: Env<'_>, id: &MigrationId) -> Result<(), RunError> {
        if self.taken {
            return Err(RunError::LostLease);
        }
        if self.session.is_none() {
            self.claimed = false;
            self.failures = 0;
            self.session = Some(env.connect(id, "control")?);
        }
        if self.claimed {
            return Ok(());
        }
        self.claim_again(control, env, id)
    }

    /// Takes the lease again with a new control session. The old one's backend is gone, so anybody could have had it
    /// meanwhile: then what we know of the journal is stale, and the lease counts as lost.
    fn claim_again(&mut self, control: &Control, env: Env<'_>, id: &MigrationId) -> Result<(), RunError> {
        let Some(session) = self.session.as_mut() else { return Err(RunError::LostLease) };
        let expiry = env.run.options.lease_expiry;
        let asked = holder(env, &mut **session)
            .and_then(|holder| Ok((env.journal().claim(&mut **session, id, &holder, expiry)?, holder)));
        if asked.as_ref().is_err_and(Fail::outcome_unknown) {
            self.session = None;
        }
        let (claim, holder) = asked?;
        match claim {
            Claim::Taken { epoch, from: Some(from) } if from.name == holder.name => {
                control.has_lease(epoch);
                self.claimed = true;
                Ok(())
            }
            Claim::Held { by, .. } if by.name == holder.name => {
                Err(Fail::new(FailKind::Lost, "the server has not noticed yet that our old connection is gone").into())
            }
            Claim::Taken { epoch, .. } => {
                // What was nobody's is given back as it was found.
                let _ = self.session.as_mut().map(|session| release(env, id, &mut **session, epoch));
                self.taken = true;
                Err(RunError::LostLease)
            }
            Claim::Held { .. } => {
                self.taken = true;
                Err(RunError::LostLease)
            }
        }
    }

    fn failed(&mut self, fail: &Fail) {
        self.failures += 1;
        if fail.outcome_unknown() || self.failures >= FAILURES_MAX {
            self.session = None;
        }
    }
}
