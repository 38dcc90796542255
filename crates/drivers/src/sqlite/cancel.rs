//! What ends a statement before it is done: a deadline, a busy limit, another thread.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use rusqlite::{Connection, InterruptHandle};
use segue_model::session::Cancel;

/// How many of SQLite's virtual instructions run between two looks at the clock (measured: exact to 1 ms).
const INSTRUCTIONS_A_LOOK: i32 = 1000;

/// How long a wait for the write lock rests between two looks. The lock has no queue, so a short rest is what gets it.
const BUSY_REST: Duration = Duration::from_millis(1);

/// How long others have the file between two turns of a statement: readers that were kept out get in and out again.
const TURN_REST: Duration = Duration::from_millis(75);

/// The limits of the statement that runs now, seen by SQLite's handlers and by other threads.
#[derive(Debug, Default)]
pub(super) struct Watch {
    running: AtomicBool,
    cancelled: AtomicBool,
    limits: Mutex<Option<Limits>>,
}

#[derive(Debug, Clone, Copy)]
struct Limits {
    statement: Instant,
    busy: Instant,
}

impl Watch {
    /// Watches `connection` from now on.
    pub(super) fn over(connection: &mut Connection) -> rusqlite::Result<Arc<Self>> {
        let watch = Arc::new(Self::default());
        let seen = Arc::clone(&watch);
        connection.progress_handler(INSTRUCTIONS_A_LOOK, Some(move || seen.is_cancelled() || seen.is_late()))?;
        let seen = Arc::clone(&watch);
        // SQLite's own busy timeout cannot be ended by `interrupt`, so a Ctrl-C would wait it out.
        connection.busy_handler(Some(move |_| seen.may_wait()))?;
        Ok(watch)
    }

    /// Notes that a statement begins, and its limits.
    pub(super) fn begin(&self, statement: Duration, busy: Duration) {
        let now = Instant::now();
        let far = now + Duration::from_secs(365 * 24 * 3600);
        let limits = Limits {
            statement: now.checked_add(statement).unwrap_or(far),
            busy: now.checked_add(busy.min(statement)).unwrap_or(far),
        };
        *self.limits.lock().unwrap_or_else(PoisonError::into_inner) = Some(limits);
        self.cancelled.store(false, Ordering::SeqCst);
        self.running.store(true, Ordering::SeqCst);
    }

    /// Rests, and gives the statement another turn of this length; returns whether it may take it.
    pub(super) fn another_turn(&self, turn: Duration) -> bool {
        let over = |watch: &Self| watch.is_cancelled() || watch.is_late();
        if over(self) {
            return false;
        }
        rest(TURN_REST);
        if let Some(limits) = self.limits.lock().unwrap_or_else(PoisonError::into_inner).as_mut() {
            limits.busy = limits.statement.min(Instant::now() + turn);
        }
        !over(self)
    }

    /// Notes that the statement is over.
    pub(super) fn end(&self) {
        self.running.store(false, Ordering::SeqCst);
    }

    /// Returns whether somebody cancelled the last statement.
    pub(super) fn is_cancelled(&self) -> bool {
        self.cancelled.load(Ordering::SeqCst)
    }

    /// Returns whether the last statement is past its limit.
    pub(super) fn is_late(&self) -> bool {
        self.limits().is_some_and(|limits| Instant::now() >= limits.statement)
    }

    fn limits(&self) -> Option<Limits> {
        *self.limits.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn may_wait(&self) -> bool {
        if self.is_cancelled() || self.limits().is_none_or(|limits| Instant::now() >= limits.busy) {
            return false;
        }
        rest(BUSY_REST);
        true
    }
}

/// Waits for a moment in the middle of something that waits for a lock.
#[expect(clippy::disallowed_methods, reason = "whoever waits for a lock here is no runner, which would have a clock")]
pub(super) fn rest(time: Duration) {
    thread::sleep(time);
}

/// See [`segue_model::session::Session::canceller`].
pub(super) struct Canceller {
    pub(super) watch: Arc<Watch>,
    pub(super) interrupt: InterruptHandle,
}

impl Cancel for Canceller {
    fn cancel(&self) {
        if self.watch.running.load(Ordering::SeqCst) {
            self.watch.cancelled.store(true, Ordering::SeqCst);
            self.interrupt.interrupt();
        }
    }
}
