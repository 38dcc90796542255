//! Going on after a failover: a standby that took the server's place may not have what was committed last.

use segue_model::session::{Fail, FailKind};

use crate::engage::{find, still_here, writable};
use crate::error::RunError;
use crate::reconnect::until_it_answers;
use crate::running::{JOURNAL_WAIT, Running};

/// How often one run starts over.
const FAILOVERS_MAX: u32 = 5;

impl Running<'_> {
    /// Opens the journal and does `body`; where the server turns out to be another one, anew from what its journal says.
    /// Steps that were done there are not done again, those that are open are settled by the catalog.
    pub(crate) fn through_failovers<T>(
        &mut self,
        mut body: impl FnMut(&mut Self) -> Result<T, RunError>,
    ) -> Result<T, RunError> {
        let mut result = self.open().and_then(|()| body(self));
        for _ in 0..FAILOVERS_MAX {
            let Err(RunError::Rewound { what }) = &result else { break };
            self.note(format!("{what}: the run goes on from what the journal says there"));
            result = self.start_over(what).and_then(|()| body(self));
        }
        result
    }

    /// Makes the connection anew, sees that the lease is ours there, and reads what the journal has.
    fn start_over(&mut self, what: &str) -> Result<(), RunError> {
        let because = Fail::new(FailKind::Lost, what);
        until_it_answers(self, &because, |me| {
            if !me.alone {
                me.renew_control()?;
            }
            me.hand.connect_anew()?;
            let server = me.hand.work.server()?;
            writable(&server)?;
            let identity = still_here(me.env, &mut *me.hand.work, &server, &me.record.id)?;
            me.hand.control.is_on(server.identity.timeline);
            if let Some(identity) = identity {
                me.own(JOURNAL_WAIT, |me| Ok(me.env.journal().set_identity(&mut *me.hand.work, &identity)?))?;
            }
            me.hand.fence()?;
            me.hand.reconnects += 1;
            Ok(())
        })?;
        self.read_again()
    }

    /// Reads the migration. One whose start was lost is started again by the run that started it.
    fn read_again(&mut self) -> Result<(), RunError> {
        self.events.clear();
        let Running { env, hand, record, .. } = self;
        let found = find(env.journal(), &mut *hand.work, &record.id)?;
        match found.filter(|found| found.attempt == self.record.attempt) {
            Some(found) => {
                (self.record, self.starts) = (found, false);
                self.outcome.state = self.record.state;
            }
            None if self.began => self.starts = true,
            None => {
                return Err(RunError::Rewound { what: format!("`{}` is not under way there", self.record.id) });
            }
        }
        self.open()
    }
}
