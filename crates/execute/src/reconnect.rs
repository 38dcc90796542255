//! Going on after a lost connection.

use std::time::Duration;

use segue_model::ident::MigrationId;
use segue_model::session::{Fail, FailKind};

use crate::engage::{still_here, writable};
use crate::error::RunError;
use crate::leftovers::clear_leftovers;
use crate::observer::Progress;
use crate::running::{JOURNAL_WAIT, Running};

/// The longest that a lost server is waited for: a restart or a failover takes less.
const RECONNECT: Duration = Duration::from_secs(60);

impl Running<'_> {
    /// Makes the connection again within a minute, makes sure that the lease is still ours, and reads the journal anew:
    /// what was committed is there, what is not was not.
    pub(crate) fn reconnect(&mut self, because: &Fail) -> Result<(), RunError> {
        self.work.rollback();
        let began = self.env.clock.now();
        let mut pause = Duration::from_millis(100);
        loop {
            self.env.check_stop()?;
            self.env.tell(&Progress::Reconnecting { because });
            let fail = match self.try_to_reconnect() {
                Err(RunError::Fail { source, .. }) => source,
                other => return other,
            };
            let passes = fail.outcome_unknown() || fail.is_transient() || fail.kind == FailKind::Connect;
            if !passes || self.env.clock.now().saturating_sub(began) >= RECONNECT {
                return Err(fail.into());
            }
            let jittered = self.jittered(pause);
            self.env.wait(jittered)?;
            pause = (pause * 2).min(Duration::from_secs(5));
        }
    }

    fn try_to_reconnect(&mut self) -> Result<(), RunError> {
        let (env, id) = (self.env, self.record.id.clone());
        if !self.alone {
            self.renew_control(&id)?;
        }
        self.work = env.connect(&id, "work")?;
        env.run.stop.cancels(self.work.canceller());
        self.backend = self.work.backend()?;
        let server = self.work.server()?;
        writable(&server)?;
        if let Some(identity) = still_here(env, &mut *self.work, &server, &id)? {
            self.note(format!("the server was failed over meanwhile: its timeline is {} now", identity.timeline));
            self.own(JOURNAL_WAIT, |me| Ok(env.journal().set_identity(&mut *me.work, &identity)?))?;
        }
        self.fence()?;
        self.load()?;
        self.outcome.reconnects += 1;
        Ok(())
    }

    /// Makes sure of the control session and of the lease; then ends what the lost work session may still be doing.
    fn renew_control(&mut self, id: &MigrationId) -> Result<(), RunError> {
        let (env, control) = (self.env, self.control);
        control.renew(env, id)?;
        if !control.on(|session| env.journal().fence(session, id, control.epoch()))? {
            return Err(RunError::LostLease);
        }
        let found =
            clear_leftovers(env, &mut self.rng, || control.on(|session| env.journal().end_leftovers(session, id)))?;
        self.outcome.leftovers.extend(found);
        Ok(())
    }
}
