//! Going on after a lost connection.

use std::time::Duration;

use segue_model::ident::MigrationId;
use segue_model::journal::{Claim, Leftover};
use segue_model::session::{Fail, FailKind, Session};

use crate::control::Control;
use crate::engage::{holder, same_database, writable};
use crate::error::RunError;
use crate::leftovers::clear_leftovers;
use crate::observer::Progress;
use crate::running::{Env, JOURNAL_WAIT, Running};

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
        if let Some(identity) = same_database(env, &mut *self.work, &server)? {
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
        if control.failed() || control.holding().is_none() {
            self.claim_again(id)?;
        }
        if !fenced(env, control, id, self.epoch)? {
            return Err(RunError::LostLease);
        }
        let found = clear_leftovers(env, &mut self.rng, || ask_control(env, control, id))?;
        self.outcome.leftovers.extend(found);
        Ok(())
    }

    /// Takes the lease again with a new control session. The old one's backend is gone, so anybody could have had it
    /// meanwhile: then what we know of the journal is stale, and the lease counts as lost.
    fn claim_again(&mut self, id: &MigrationId) -> Result<(), RunError> {
        let env = self.env;
        *self.control.holding() = None;
        let mut session = env.connect(id, "control")?;
        let holder = holder(env, &mut *session)?;
        match env.journal().claim(&mut *session, id, &holder, env.run.options.lease_expiry)? {
            Claim::Taken { epoch, from: Some(from) } if from.name == holder.name => {
                self.epoch = epoch;
                self.control.hold(session, epoch);
                Ok(())
            }
            Claim::Held { by, .. } if by.name == holder.name => {
                Err(Fail::new(FailKind::Lost, "the server has not noticed yet that our old connection is gone").into())
            }
            Claim::Taken { .. } | Claim::Held { .. } => Err(RunError::LostLease),
        }
    }
}

/// Returns whether the lease is still ours, as the control session sees it.
fn fenced(env: Env<'_>, control: &Control, id: &MigrationId, epoch: i64) -> Result<bool, Fail> {
    on_control(control, |session| env.journal().fence(session, id, epoch))
}

/// Ends what earlier runs left behind, by the control session.
fn ask_control(env: Env<'_>, control: &Control, id: &MigrationId) -> Result<Vec<Leftover>, Fail> {
    on_control(control, |session| env.journal().end_leftovers(session, id))
}

/// Uses the control session between two heartbeats, and notes when it turns out to be gone.
fn on_control<T>(control: &Control, op: impl FnOnce(&mut dyn Session) -> Result<T, Fail>) -> Result<T, Fail> {
    let mut holding = control.holding();
    let Some(holding) = holding.as_mut() else {
        return Err(Fail::new(FailKind::Lost, "the control session is gone"));
    };
    let result = op(&mut *holding.session);
    holding.failed |= result.as_ref().is_err_and(Fail::outcome_unknown);
    result
}
