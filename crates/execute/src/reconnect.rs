//! Going on after a lost connection.

use std::time::Duration;

use segue_model::journal::Leftover;
use segue_model::session::{Fail, FailKind};

use crate::engage::{still_here, writable};
use crate::error::RunError;
use crate::hand::{Hand, Handed};
use crate::leftovers::clear_leftovers;
use crate::observer::Progress;
use crate::running::{JOURNAL_WAIT, Running};

/// The longest that a lost server is waited for: a restart or a failover takes less.
const RECONNECT: Duration = Duration::from_secs(60);

impl Running<'_> {
    /// Makes the connection again within a minute, makes sure that the lease is still ours, and reads the journal anew:
    /// what was committed is there, what is not was not.
    pub(crate) fn reconnect_run(&mut self, because: &Fail) -> Result<(), RunError> {
        until_it_answers(self, because, |me| {
            if !me.alone {
                me.renew_control()?;
            }
            if let Some(timeline) = me.hand.try_to_reconnect()? {
                me.note(format!("the server was failed over meanwhile: its timeline is {timeline} now"));
            }
            me.load()
        })
    }

    /// Makes sure of the control session and of the lease; then ends what the lost work session may still be doing.
    fn renew_control(&mut self) -> Result<(), RunError> {
        let found = self.hand.end_leftovers()?;
        self.outcome.leftovers.extend(found);
        Ok(())
    }
}

impl Hand<'_> {
    /// Makes a worker's connection again within a minute. The span that it had is taken anew, by whoever comes first, once
    /// the server has ended the old backend: until then nobody has it, so that no window is half done by two.
    pub(crate) fn reconnect_worker(&mut self, because: &Fail) -> Result<(), RunError> {
        until_it_answers(self, because, |me| me.try_to_reconnect().map(drop))
    }

    /// Makes a connection again that asks for nothing under a lease.
    pub(crate) fn reconnect_to_look(&mut self, because: &Fail) -> Result<(), RunError> {
        until_it_answers(self, because, |me| Ok(me.connect_anew()?))
    }

    /// Ends the backends that lost sessions of this migration left, and all others but that of the control session.
    pub(crate) fn end_leftovers(&mut self) -> Result<Vec<Leftover>, RunError> {
        let Self { env, control, id, .. } = self;
        control.renew(*env, id)?;
        if !control.on(|session| env.journal().fence(session, id, control.epoch()))? {
            return Err(RunError::LostLease);
        }
        clear_leftovers(*env, &mut self.rng, || control.on(|session| env.journal().end_leftovers(session, id)))
    }

    /// Returns the timeline where it is another one now.
    fn try_to_reconnect(&mut self) -> Result<Option<u32>, RunError> {
        self.connect_anew()?;
        let server = self.work.server()?;
        writable(&server)?;
        let moved = still_here(self.env, &mut *self.work, &server, &self.id)?;
        if let Some(identity) = moved.as_ref().filter(|_| self.leads()) {
            self.own(JOURNAL_WAIT, |me| Ok(me.journal().set_identity(&mut *me.work, identity)?))?;
        }
        self.fence()?;
        self.reconnects += 1;
        Ok(moved.map(|identity| identity.timeline))
    }
}

/// Tries until the server answers, for at most a minute.
fn until_it_answers<'r, M: Handed<'r>>(
    me: &mut M,
    because: &Fail,
    mut reconnect: impl FnMut(&mut M) -> Result<(), RunError>,
) -> Result<(), RunError> {
    let env = me.hand().env;
    me.hand().work.rollback();
    let began = env.clock.now();
    let mut pause = Duration::from_millis(100);
    loop {
        env.check_stop()?;
        env.tell(&Progress::Reconnecting { because });
        let fail = match reconnect(me) {
            Err(RunError::Fail { source, .. }) => source,
            other => return other,
        };
        let passes = fail.outcome_unknown() || fail.is_transient() || fail.kind == FailKind::Connect;
        if !passes || env.clock.now().saturating_sub(began) >= RECONNECT {
            return Err(fail.into());
        }
        let jittered = me.hand().jittered(pause);
        env.wait(jittered)?;
        pause = (pause * 2).min(Duration::from_secs(5));
    }
}
