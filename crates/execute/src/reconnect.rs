//! Going on after a lost connection.

use std::time::Duration;

use segue_model::journal::{Leftover, Mark};
use segue_model::session::{Fail, FailKind};

use crate::engage::{still_here, writable};
use crate::error::RunError;
use crate::hand::{Hand, Handed};
use crate::leftovers::clear_leftovers;
use crate::observer::Progress;
use crate::running::Running;

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
            me.hand.try_to_reconnect()?;
            me.load_what_follows()
        })
    }

    /// Reads the journal, which must have all that is known of it already.
    fn load_what_follows(&mut self) -> Result<(), RunError> {
        let known: Vec<(u32, Mark)> = self.events.iter().map(|event| (event.step, event.mark)).collect();
        self.load()?;
        let mut found = self.events.iter().map(|event| (event.step, event.mark));
        match known.into_iter().find(|known| found.next() != Some(*known)) {
            None => Ok(()),
            Some((step, mark)) => {
                Err(RunError::Rewound { what: format!("that step {step} was noted as `{}` is gone", mark.name()) })
            }
        }
    }

    /// Makes sure of the control session and of the lease; then ends what the lost work session may still be doing.
    pub(crate) fn renew_control(&mut self) -> Result<(), RunError> {
        let found = self.hand.end_leftovers()?;
        self.outcome.leftovers.extend(found);
        Ok(())
    }
}

impl Hand<'_> {
    /// Makes a worker's connection again within a minute. The span that it had is taken anew, by whoever comes first, once
    /// the server has ended the old backend: until then nobody has it, so that no window is half done by two.
    pub(crate) fn reconnect_worker(&mut self, because: &Fail) -> Result<(), RunError> {
        until_it_answers(self, because, Self::try_to_reconnect)
    }

    /// Makes a connection again that asks for nothing under a lease. Whoever looks reads everything anew, of whatever server.
    pub(crate) fn reconnect_to_look(&mut self, because: &Fail) -> Result<(), RunError> {
        until_it_answers(self, because, |me| {
            me.connect_anew()?;
            me.control.is_on(me.work.server()?.identity.timeline);
            Ok(())
        })
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

    fn try_to_reconnect(&mut self) -> Result<(), RunError> {
        self.connect_anew()?;
        let server = self.work.server()?;
        writable(&server)?;
        still_here(self.env, &mut *self.work, &server, &self.id)?;
        let timeline = server.identity.timeline;
        if self.control.is_news(timeline) {
            return Err(RunError::Rewound {
                what: format!("the server was failed over, its timeline is {timeline} now"),
            });
        }
        self.fence()?;
        self.reconnects += 1;
        Ok(())
    }
}

/// Tries until the server answers, for at most a minute.
pub(crate) fn until_it_answers<'r, M: Handed<'r>>(
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
        // A server that only reads may be a standby that is about to take its primary's place.
        let waited_for = matches!(fail.kind, FailKind::Connect | FailKind::ReadOnly);
        let passes = fail.outcome_unknown() || fail.is_transient() || waited_for;
        if !passes || env.clock.now().saturating_sub(began) >= RECONNECT {
            return Err(fail.into());
        }
        let jittered = me.hand().jittered(pause);
        env.wait(jittered)?;
        pause = (pause * 2).min(Duration::from_secs(5));
    }
}
