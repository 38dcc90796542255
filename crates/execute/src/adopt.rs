//! Taking over the journal of a database that is a copy of another.

use segue_model::ident::MigrationId;
use segue_model::journal::{Claim, State};
use segue_model::session::{Begin, Fail, FailKind, Session};

use crate::clock::{Clock, MachineClock};
use crate::engage::{held, holder, is_over, name_of, release, starter, writable};
use crate::error::RunError;
use crate::leftovers::patiently;
use crate::run::Run;
use crate::running::{Env, JOURNAL_WAIT};

/// What an adoption found and did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Adopted {
    /// The database that the journal belonged to.
    pub from: String,
    /// The one that it belongs to now.
    pub here: String,
    /// They are the same: nothing was to be done.
    pub is_same: bool,
    /// What is under way, and how far: steps that were open are settled by the catalog when it goes on or is taken back.
    pub unfinished: Vec<(MigrationId, State)>,
}

impl Run<'_> {
    /// Makes the journal this database's own, where it is a copy of another: the history and what is under way are kept.
    ///
    /// # Errors
    /// Any [`RunError`]; [`RunError::Held`] while somebody runs a migration here.
    pub fn adopt(&self) -> Result<Adopted, RunError> {
        self.adopt_by(&MachineClock::start())
    }

    pub(crate) fn adopt_by(&self, clock: &dyn Clock) -> Result<Adopted, RunError> {
        let env = Env { run: self, clock };
        let mut session = self.connector.connect("segue look")?;
        writable(&session.server()?)?;
        if !env.journal().exists(&mut *session)? {
            return Err(Fail::new(FailKind::Usage, "this database has no journal: there is nothing to adopt").into());
        }
        let records = env.journal().records(&mut *session)?;
        let unfinished: Vec<(MigrationId, State)> = records
            .into_iter()
            .filter(|record| !is_over(record.state))
            .map(|record| (record.id, record.state))
            .collect();
        drop(session);
        let Some((first, _)) = unfinished.first() else { return adopted(env, &[]) };
        let _hold = self.connector.hold().map_err(|fail| held(env, first, fail))?;
        adopted(env, &unfinished)
    }
}

/// Adopts the journal while the leases of all that is under way are ours. A lease of the other server's backend is nobody's.
fn adopted(env: Env<'_>, unfinished: &[(MigrationId, State)]) -> Result<Adopted, RunError> {
    let mut taken = Vec::new();
    let result = claim_all(env, unfinished, &mut taken).and_then(|()| write_identity(env, unfinished));
    for (id, mut session, epoch) in taken {
        release(env, id, &mut *session, epoch);
    }
    result
}

type Taken<'m> = (&'m MigrationId, Box<dyn Session>, i64);

fn claim_all<'m>(
    env: Env<'_>,
    unfinished: &'m [(MigrationId, State)],
    taken: &mut Vec<Taken<'m>>,
) -> Result<(), RunError> {
    let mut rng = fastrand::Rng::with_seed(env.run.options.seed);
    for (id, _) in unfinished {
        let mut session = starter(env, id)?;
        let us = holder(env, &mut *session)?;
        let expiry = env.run.options.lease_expiry;
        match patiently(env, &mut rng, || env.journal().claim(&mut *session, id, &us, expiry))? {
            Claim::Taken { epoch, .. } => taken.push((id, session, epoch)),
            Claim::Held { by, beat_age_s } => return Err(RunError::Held { by: by.name, beat_age_s: Some(beat_age_s) }),
        }
    }
    Ok(())
}

fn write_identity(env: Env<'_>, unfinished: &[(MigrationId, State)]) -> Result<Adopted, RunError> {
    let mut session = env.run.connector.connect("segue look")?;
    let here = session.server()?.identity;
    let mut rng = fastrand::Rng::with_seed(env.run.options.seed);
    let from = patiently(env, &mut rng, || {
        let written = session.begin(Begin::Write { lock_wait: JOURNAL_WAIT }).and_then(|()| {
            let from = env.journal().identity(&mut *session)?;
            env.journal().set_identity(&mut *session, &here)?;
            session.commit()?;
            Ok(from)
        });
        if written.is_err() {
            session.rollback();
        }
        written
    })?;
    let is_same = (&from.system, &from.database) == (&here.system, &here.database);
    Ok(Adopted { from: name_of(&from), here: name_of(&here), is_same, unfinished: unfinished.to_vec() })
}
