//! The user's wish to stop.

use std::fmt;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use segue_model::session::Cancel;

use crate::clock::Bell;

/// The user's wish to stop (Ctrl-C). The first request stops at the next boundary between two transactions, the second
/// cancels the statements that are running. Either way the migration can be resumed.
#[derive(Default)]
pub struct Stop {
    requests: AtomicU32,
    bell: Bell,
    running: Mutex<Vec<(u64, Box<dyn Cancel>)>>,
    named: AtomicU64,
}

/// While it lives, the second request cancels a session's statement.
pub(crate) struct Cancellable<'s> {
    stop: &'s Stop,
    name: u64,
}

impl Drop for Cancellable<'_> {
    fn drop(&mut self) {
        self.stop.running().retain(|(name, _)| *name != self.name);
    }
}

impl Stop {
    /// Returns a wish that nobody has yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Asks to stop; from the second time on, now.
    pub fn request(&self) {
        let before = self.requests.fetch_add(1, Ordering::SeqCst);
        self.bell.ring();
        if before >= 1 {
            self.running().iter().for_each(|(_, running)| running.cancel());
        }
    }

    /// Returns whether somebody asked.
    pub fn requested(&self) -> bool {
        self.requests.load(Ordering::SeqCst) > 0
    }

    /// Returns whether somebody asked twice.
    pub(crate) fn at_once(&self) -> bool {
        self.requests.load(Ordering::SeqCst) > 1
    }

    /// Says what the second request cancels too, from now on until the answer is dropped.
    pub(crate) fn cancels(&self, canceller: Box<dyn Cancel>) -> Cancellable<'_> {
        let name = self.named.fetch_add(1, Ordering::SeqCst);
        self.running().push((name, canceller));
        Cancellable { stop: self, name }
    }

    fn running(&self) -> MutexGuard<'_, Vec<(u64, Box<dyn Cancel>)>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns what wakes a wait.
    pub(crate) fn bell(&self) -> &Bell {
        &self.bell
    }
}

impl fmt::Debug for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stop").field("requests", &self.requests).finish_non_exhaustive()
    }
}
