//! The end of a migration, which for a reversal is also the end of what it reverses.

use segue_model::ident::MigrationId;
use segue_model::journal::State;

use crate::engage::find;
use crate::error::RunError;
use crate::guard::Patience;
use crate::running::{JOURNAL_WAIT, Running};

impl Running<'_> {
    /// Notes that everything is done. A finished reversal leaves the database as it was before the migration that it
    /// reverses: both count as taken back from the same moment on, and either may be applied again.
    pub(crate) fn end(&mut self) -> Result<(), RunError> {
        let Some(reversed) = self.persist(&Patience::nothing(), |me| me.reversed(State::Done))? else {
            return self.set_state(State::Done);
        };
        self.persist(&Patience::nothing(), |me| {
            me.own(JOURNAL_WAIT, |me| {
                let Running { env, hand, record, .. } = me;
                env.journal().set_state(&mut *hand.work, &reversed, State::RolledBack)?;
                Ok(env.journal().set_state(&mut *hand.work, &record.id, State::RolledBack)?)
            })
        })?;
        self.record.state = State::RolledBack;
        self.outcome.state = State::Done;
        self.note(format!("`{reversed}` is reversed; it may be applied again"));
        Ok(())
    }

    /// Returns whether this is a reversal that an earlier run brought to its end.
    pub(crate) fn has_reversed(&mut self) -> Result<bool, RunError> {
        if self.record.state != State::RolledBack {
            return Ok(false);
        }
        let ended = self.persist(&Patience::nothing(), |me| me.reversed(State::RolledBack))?.is_some();
        let all_done = self.plan.steps.iter().all(|step| self.is_done(step.id));
        if ended && all_done {
            self.outcome.state = State::Done;
        }
        Ok(ended && all_done)
    }

    /// Returns the migration that this one reverses, where the journal has it in `state`.
    fn reversed(&mut self, state: State) -> Result<Option<MigrationId>, RunError> {
        let Running { env, hand, record, .. } = self;
        let Some(id) = record.id.reverses() else { return Ok(None) };
        Ok(find(env.journal(), &mut *hand.work, &id)?.filter(|found| found.state == state).map(|found| found.id))
    }
}
