//! Time: the only place that waits.

use std::sync::{Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::stop::Stop;

/// A clock that never goes back, and the one way to let time pass.
pub(crate) trait Clock: Sync {
    /// Returns the time since some fixed moment.
    fn now(&self) -> Duration;

    /// Lets `time` pass; returns sooner when `stop` is requested.
    fn wait(&self, time: Duration, stop: &Stop);
}

/// The clock of the machine.
#[derive(Debug)]
pub(crate) struct MachineClock(Instant);

impl MachineClock {
    /// Returns a clock that begins now.
    pub(crate) fn start() -> Self {
        Self(Instant::now())
    }
}

impl Clock for MachineClock {
    fn now(&self) -> Duration {
        self.0.elapsed()
    }

    fn wait(&self, time: Duration, stop: &Stop) {
        stop.bell().wait(time);
    }
}

/// Wakes all that wait for it, and stays rung.
#[derive(Debug, Default)]
pub(crate) struct Bell {
    rung: Mutex<bool>,
    woken: Condvar,
}

impl Bell {
    /// Wakes everybody, now and from now on.
    pub(crate) fn ring(&self) {
        *self.rung.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.woken.notify_all();
    }

    /// Waits until it is rung, at most `time`; returns whether it is.
    pub(crate) fn wait(&self, time: Duration) -> bool {
        let rung = self.rung.lock().unwrap_or_else(PoisonError::into_inner);
        let (rung, _) =
            self.woken.wait_timeout_while(rung, time, |rung| !*rung).unwrap_or_else(PoisonError::into_inner);
        *rung
    }
}
