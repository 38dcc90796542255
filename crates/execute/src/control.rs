//! The control session: it holds the lease, and gives a sign of life while the work session is busy.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use segue_model::ident::MigrationId;
use segue_model::session::{Journal, Session};

use crate::clock::Bell;

/// The time between two heartbeats; a third of it is what a busy server may cost before anybody worries.
const BEAT: Duration = Duration::from_secs(1);

/// The control session of a run, shared between the run and its heartbeat. Empty where the engine has a lock of the
/// operating system instead (SQLite).
#[derive(Default)]
pub(crate) struct Control {
    holding: Mutex<Option<Holding>>,
    ended: Bell,
}

/// A control session with the lease that it holds.
pub(crate) struct Holding {
    /// The session.
    pub(crate) session: Box<dyn Session>,
    /// The lease's number.
    pub(crate) epoch: i64,
    /// A heartbeat failed: the session must not be trusted any more.
    pub(crate) failed: bool,
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

    /// Returns the session, once the heartbeat does not use it.
    pub(crate) fn holding(&self) -> MutexGuard<'_, Option<Holding>> {
        self.holding.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives the heartbeat another session and lease.
    pub(crate) fn hold(&self, session: Box<dyn Session>, epoch: i64) {
        *self.holding() = Some(Holding { session, epoch, failed: false });
    }

    /// Returns whether a heartbeat failed since the session was made.
    pub(crate) fn failed(&self) -> bool {
        self.holding().as_ref().is_some_and(|holding| holding.failed)
    }

    /// Gives a sign of life about every second until the run ends.
    pub(crate) fn beat(&self, journal: &dyn Journal, id: &MigrationId) {
        while !self.ended.wait(BEAT) {
            if let Some(holding) = self.holding().as_mut().filter(|holding| !holding.failed) {
                holding.failed = journal.beat(&mut *holding.session, id, holding.epoch).is_err();
            }
        }
    }
}
