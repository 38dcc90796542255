//! Verifying again and again while a migration stands at a gate.

use std::time::Duration;

use segue_model::ident::MigrationId;
use segue_model::journal::State;

use crate::clock::{Clock, MachineClock};
use crate::error::RunError;
use crate::observer::Progress;
use crate::outcome::VerifyReport;
use crate::run::Run;
use crate::running::Env;

impl Run<'_> {
    /// Verifies every row again and again, with a pause after each round, until the user asks to stop, rows are wrong, or the
    /// migration is over; returns what the last whole round found. The lease is held during a round alone: other commands
    /// are not kept waiting for longer, and while one is under way nothing is verified.
    ///
    /// # Errors
    /// Any [`RunError`]; [`RunError::Verification`] when rows are wrong, [`RunError::Interrupted`] before the first round was
    /// over.
    pub fn verify_continuously(&self, id: &MigrationId, pause: Duration) -> Result<VerifyReport, RunError> {
        self.verify_continuously_by(&MachineClock::start(), id, pause)
    }

    pub(crate) fn verify_continuously_by(
        &self,
        clock: &dyn Clock,
        id: &MigrationId,
        pause: Duration,
    ) -> Result<VerifyReport, RunError> {
        let env = Env { run: self, clock };
        let mut last = None;
        loop {
            match self.verify_by(clock, id, false) {
                Ok(report) => last = Some(report),
                Err(error) => match (waits_for(&error), last.take()) {
                    (_, Some(report)) if is_end(&error) => return Ok(report),
                    (Some(what), before) => {
                        last = before;
                        env.tell(&Progress::Waiting { what: &what });
                    }
                    (None, _) => return Err(error),
                },
            }
            if env.wait(pause).is_err() {
                return last.ok_or(RunError::Interrupted);
            }
        }
    }
}

/// Returns whether there is nothing more to verify.
fn is_end(error: &RunError) -> bool {
    matches!(error, RunError::Interrupted | RunError::WrongState { state: State::Done | State::RolledBack, .. })
}

/// Returns what is waited for, where another command is under way or was interrupted between two gates.
fn waits_for(error: &RunError) -> Option<String> {
    match error {
        RunError::Held { by, .. } => Some(format!("another run holds this migration: {by}")),
        RunError::LostLease => Some("another run has taken this migration over".to_owned()),
        RunError::WrongState { state, .. } if !matches!(state, State::Done | State::RolledBack) => {
            Some(format!("the migration is {} and between two gates", state.name()))
        }
        _ => None,
    }
}
