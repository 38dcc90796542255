//! The user's wish to stop.

use std::fmt;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};

use segue_model::session::Cancel;

use crate::clock::Bell;

/// The user's wish to stop (Ctrl-C). The first request stops at the next boundary between two transactions, the second
/// cancels the statement that is running. Either way the migration can be resumed.
#[derive(Default)]
pub struct Stop {
    requests: AtomicU32,
    bell: Bell,
    running: Mutex<Option<Box<dyn Cancel>>>,
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
        if before >= 1
            && let Some(running) = self.running.lock().unwrap_or_else(PoisonError::into_inner).as_ref()
        {
            running.cancel();
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

    /// Says what the second request cancels from now on.
    pub(crate) fn cancels(&self, canceller: Box<dyn Cancel>) {
        *self.running.lock().unwrap_or_else(PoisonError::into_inner) = Some(canceller);
    }

    /// Says that there is nothing left to cancel.
    pub(crate) fn cancels_nothing(&self) {
        *self.running.lock().unwrap_or_else(PoisonError::into_inner) = None;
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
