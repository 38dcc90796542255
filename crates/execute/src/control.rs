//! The control session: it holds the lease, and gives a sign of life while the work session is busy.

use std::sync::atomic::{AtomicI64, AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use segue_model::ident::MigrationId;
use segue_model::journal::{Claim, Holder};
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
    /// The server's timeline as the run knows it; 0: not known.
    timeline: AtomicU32,
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
    /// Under whose name the lease stood when we knew last. A name alone is no proof: two machines may have the same.
    ours: Option<Holder>,
    /// Who has asked for it since, without an answer: it may stand under one of these.
    asked: Vec<Holder>,
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

    /// Notes the timeline of the server whose journal was read.
    pub(crate) fn is_on(&self, timeline: u32) {
        self.timeline.store(timeline, Ordering::SeqCst);
    }

    /// Returns whether a server of this timeline may have another journal than the one that was read.
    pub(crate) fn is_news(&self, timeline: u32) -> bool {
        let known = self.timeline.load(Ordering::SeqCst);
        known != 0 && known != timeline
    }

    /// Gives the heartbeat a session and its lease.
    pub(crate) fn hold(&self, session: Box<dyn Session>, ours: Holder, epoch: i64) {
        self.has_lease(epoch);
        let (session, ours) = (Some(session), Some(ours));
        *self.holding() = Holding { begun: true, session, claimed: true, ours, ..Holding::default() };
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
        let backends = &mut self.asked;
        let asked = holder(env, &mut **session).and_then(|holder| {
            let timeline = session.server()?.identity.timeline;
            // Noted first: where the answer is lost, it may be ours all the same.
            if !backends.contains(&holder) {
                backends.push(holder.clone());
            }
            Ok((env.journal().claim(&mut **session, id, &holder, expiry)?, holder, timeline))
        });
        if asked.as_ref().is_err_and(Fail::outcome_unknown) {
            self.session = None;
        }
        let (claim, holder, timeline) = asked?;
        match claim {
            Claim::Taken { epoch, from: Some(from) } if self.was_ours(&from, epoch, control.epoch()) => {
                self.has_claimed(control, holder, epoch);
                Ok(())
            }
            Claim::Held { by, .. } if self.is_of_ours(&by) => {
                Err(Fail::new(FailKind::Lost, "the server has not noticed yet that our old connection is gone").into())
            }
            // A standby that was behind may not know that the lease was ours. The run sees the timeline too, and reads
            // everything anew.
            Claim::Taken { epoch, .. } if control.is_news(timeline) => {
                self.has_claimed(control, holder, epoch);
                Ok(())
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

    fn has_claimed(&mut self, control: &Control, by: Holder, epoch: i64) {
        control.has_lease(epoch);
        (self.claimed, self.ours) = (true, Some(by));
        self.asked.clear();
    }

    /// Returns whether a lease that now has the number `epoch` was taken from ourselves: from the backend that we had it under
    /// with the number before, or from one that asked for it later.
    fn was_ours(&self, from: &Holder, epoch: i64, known: i64) -> bool {
        let last = epoch - 1;
        (self.ours.as_ref() == Some(from) && last == known) || (self.asked.contains(from) && last > known)
    }

    /// Returns whether this is a backend of ours.
    fn is_of_ours(&self, holder: &Holder) -> bool {
        self.ours.iter().chain(&self.asked).any(|ours| ours == holder)
    }

    fn failed(&mut self, fail: &Fail) {
        self.failures += 1;
        if fail.outcome_unknown() || self.failures >= FAILURES_MAX {
            self.session = None;
        }
    }
}
