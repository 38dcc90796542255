//! Waiting between two looks at something, until Ctrl-C.

use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use crate::failure::Failure;

/// The pause after the first look; each later one is longer by half.
const FIRST: Duration = Duration::from_millis(50);

/// The longest pause between two looks.
const LONGEST: Duration = Duration::from_secs(1);

/// Lets time pass between two looks: little at first, then up to a second.
pub(crate) struct Waiter {
    stopped: Receiver<()>,
    began: Instant,
    next: Duration,
}

impl Waiter {
    /// Returns a waiter that Ctrl-C wakes for good. One a process.
    ///
    /// # Errors
    /// Exit code 70 when the handler cannot be set.
    pub(crate) fn new() -> Result<Self, Failure> {
        let (sender, stopped) = channel();
        let on_signal = move || {
            // Who waits may be gone already: then nobody is to be woken.
            let _ = sender.send(());
        };
        ctrlc::set_handler(on_signal)
            .map_err(|error| Failure::bug(format!("the handler for Ctrl-C cannot be set: {error}")))?;
        Ok(Self { stopped, began: Instant::now(), next: FIRST })
    }

    /// Returns the time since it was made.
    pub(crate) fn waited(&self) -> Duration {
        self.began.elapsed()
    }

    /// Lets a while pass, longer each time up to a second, at most until `until` has passed since it was made.
    ///
    /// # Errors
    /// [`Interrupted`] on Ctrl-C.
    pub(crate) fn pause(&mut self, until: Option<Duration>) -> Result<(), Interrupted> {
        let rest = until.map_or(LONGEST, |until| until.saturating_sub(self.waited()));
        let pause = self.next.min(rest);
        self.next = (self.next * 3 / 2).min(LONGEST);
        self.wait(pause)
    }

    /// Lets `time` pass.
    ///
    /// # Errors
    /// [`Interrupted`] on Ctrl-C.
    pub(crate) fn wait(&self, time: Duration) -> Result<(), Interrupted> {
        match self.stopped.recv_timeout(time) {
            Err(RecvTimeoutError::Timeout) => Ok(()),
            Ok(()) | Err(RecvTimeoutError::Disconnected) => Err(Interrupted),
        }
    }
}

/// Somebody pressed Ctrl-C.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Interrupted;

impl From<Interrupted> for Failure {
    fn from(_: Interrupted) -> Self {
        Self::of_run(130, "stopped as asked")
    }
}
