//! The commands that change a database.

use std::time::Duration;

use segue_model::ident::MigrationId;
use segue_model::journal::{Record, State};
use segue_model::plan::Plan;
use segue_model::plan_file::{from_json, to_json};
use segue_model::session::Connector;
use segue_model::step::Phase;
use segue_model::tuning::Tuning;

use crate::clock::{Clock, MachineClock};
use crate::engage::{Chosen, peek, under_lease};
use crate::error::RunError;
use crate::observer::Observer;
use crate::outcome::{Outcome, VerifyReport};
use crate::quarantine::Retried;
use crate::running::{Env, Running};
use crate::shape::difference;
use crate::stop::Stop;

/// What a run works with. Each method takes the lease of one migration, does its part and gives the lease back.
#[derive(Clone)]
pub struct Run<'a> {
    /// The database.
    pub connector: &'a dyn Connector,
    /// Is told what happens.
    pub observer: &'a dyn Observer,
    /// The user's wish to stop.
    pub stop: &'a Stop,
    /// The rest.
    pub options: Options,
}

/// Asks an address and says in words why it did not answer with 200. The words name it by scheme and host alone: a path or a
/// query may hold a key.
pub type AsksAddress = fn(&str) -> Result<(), String>;

/// How a run behaves.
#[derive(Debug, Clone)]
pub struct Options {
    /// Host, user and process, for whoever meets our lease: `deploy-7 ci 4711`. Should differ between two processes.
    pub holder: String,
    /// How old the last heartbeat of another run must be before it counts as dead, where its backend cannot be seen.
    pub lease_expiry: Duration,
    /// Where jitter comes from.
    pub seed: u64,
    /// The least time between contract and cleanup.
    pub cool_down: Duration,
    /// How fast it may go, and what holds it back.
    pub tuning: Tuning,
    /// Rows that are brought over when somebody touches them are all brought over now.
    pub complete: bool,
    /// Asks an address for [`segue_model::tuning::Limits::http`]; the failure in words. `None`: such a limit always holds
    /// back.
    pub http: Option<AsksAddress>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            holder: format!("process {}", std::process::id()),
            lease_expiry: Duration::from_secs(15),
            seed: u64::from(std::process::id()),
            cool_down: Duration::ZERO,
            tuning: Tuning::default(),
            complete: false,
            http: None,
        }
    }
}

/// How far `apply` goes. An additive migration has no `ready` and no `flip`: it goes to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// The new shape is there, empty.
    Expand,
    /// Both shapes are right and verified.
    Ready,
    /// The new shape is the authority.
    Flip,
    /// As far as needs no person: done for an additive migration, else ready.
    End,
}

/// What a person said, because no database can show it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Said {
    /// No process that uses the old shape runs any more.
    pub old_version_stopped: bool,
    /// No process that uses the new shape runs any more.
    pub new_version_stopped: bool,
    /// The old shape may be dropped, and nothing refers to it any more.
    pub cleanup_agreed: bool,
    /// A rollback may lose what only the new shape holds: it is not verified first.
    pub accept_loss: bool,
}

impl Run<'_> {
    /// Starts a migration, or goes on with it when it is in flight with the same plan. Done with the same file: nothing
    /// happens. Rolled back: it starts anew.
    ///
    /// # Errors
    /// Any [`RunError`]; [`RunError::Changed`] when another plan or another file of this migration is in the database.
    pub fn apply(&self, plan: &Plan, target: Target) -> Result<Outcome, RunError> {
        self.apply_by(&MachineClock::start(), plan, target)
    }

    /// Goes on with a migration by the plan in the journal.
    ///
    /// # Errors
    /// Any [`RunError`]; [`RunError::NoSuchMigration`], [`RunError::WrongState`] when it was rolled back or is being.
    pub fn resume(&self, id: &MigrationId, target: Target) -> Result<Outcome, RunError> {
        self.resume_by(&MachineClock::start(), id, target)
    }

    /// Verifies every row again, at any gate, and once all rows are brought over. With `repair`, wrong rows are rewritten from the authority first.
    ///
    /// # Errors
    /// Any [`RunError`]; [`RunError::Verification`] when rows are wrong.
    pub fn verify(&self, id: &MigrationId, repair: bool) -> Result<VerifyReport, RunError> {
        self.verify_by(&MachineClock::start(), id, repair)
    }

    /// Tries the rows again that could not be converted, from the end of the backfill until flip: goes over their tables once
    /// more, and notes those that are left.
    ///
    /// # Errors
    /// Any [`RunError`]; [`RunError::WrongState`] before the backfill and after flip.
    pub fn retry_quarantine(&self, id: &MigrationId) -> Result<Retried, RunError> {
        self.retry_quarantine_by(&MachineClock::start(), id)
    }

    /// Moves the authority to the new shape. Wants the migration to be ready.
    ///
    /// # Errors
    /// Any [`RunError`].
    pub fn flip(&self, id: &MigrationId) -> Result<Outcome, RunError> {
        self.flip_by(&MachineClock::start(), id)
    }

    /// Hides the old shape. Wants the migration to be flipped.
    ///
    /// # Errors
    /// Any [`RunError`]; [`RunError::Gate`] while nobody has said that the old version is stopped.
    pub fn contract(&self, id: &MigrationId, said: Said) -> Result<Outcome, RunError> {
        self.contract_by(&MachineClock::start(), id, said)
    }

    /// Drops the old shape. Wants the migration to be contracted, and the cool-down to be over. One that reverses another
    /// ends with both taken back: either may be applied again.
    ///
    /// # Errors
    /// Any [`RunError`]; [`RunError::Gate`] while nobody has agreed to it.
    pub fn cleanup(&self, id: &MigrationId, said: Said) -> Result<Outcome, RunError> {
        self.cleanup_by(&MachineClock::start(), id, said)
    }

    /// Takes a migration back, from any state but done. Once both shapes were in use, every row is verified first, and values
    /// that only the new shape can hold are kept in a copy.
    ///
    /// # Errors
    /// Any [`RunError`]; [`RunError::RollbackClosed`] when something cannot be taken back any more,
    /// [`RunError::Verification`] when rows are wrong.
    pub fn rollback(&self, id: &MigrationId, said: Said) -> Result<Outcome, RunError> {
        self.rollback_by(&MachineClock::start(), id, said)
    }

    pub(crate) fn apply_by(&self, clock: &dyn Clock, plan: &Plan, target: Target) -> Result<Outcome, RunError> {
        let env = Env { run: self, clock };
        let id = &plan.migration;
        if let Some(record) = peek(env, id)?
            && record.state == State::Done
            && record.checksum == plan.checksum
        {
            return Ok(Outcome::nothing_yet(record.id, record.state));
        }
        under_lease(
            env,
            id,
            |record| choose(plan, record),
            |running| {
                running.forward(target)?;
                Ok(running.outcome())
            },
        )
    }

    pub(crate) fn resume_by(&self, clock: &dyn Clock, id: &MigrationId, target: Target) -> Result<Outcome, RunError> {
        self.on_known(clock, id, |running| {
            let (state, wanted) = (running.record.state, State::Started);
            if state < wanted {
                return Err(RunError::WrongState { id: running.id().clone(), state, wanted });
            }
            running.forward(target)?;
            Ok(running.outcome())
        })
    }

    pub(crate) fn verify_by(
        &self,
        clock: &dyn Clock,
        id: &MigrationId,
        repair: bool,
    ) -> Result<VerifyReport, RunError> {
        self.on_known(clock, id, |running| {
            running.is_at_a_gate()?;
            running.verify_again(repair)?;
            Ok(running.outcome.verified.clone().unwrap_or_default())
        })
    }

    pub(crate) fn retry_quarantine_by(&self, clock: &dyn Clock, id: &MigrationId) -> Result<Retried, RunError> {
        self.on_known(clock, id, |running| running.retry_quarantine())
    }

    pub(crate) fn flip_by(&self, clock: &dyn Clock, id: &MigrationId) -> Result<Outcome, RunError> {
        self.advance(clock, id, Said::default(), (State::Ready, State::Flipped), |running| running.flip())
    }

    pub(crate) fn contract_by(&self, clock: &dyn Clock, id: &MigrationId, said: Said) -> Result<Outcome, RunError> {
        self.advance(clock, id, said, (State::Flipped, State::Contracted), |running| running.contract())
    }

    pub(crate) fn cleanup_by(&self, clock: &dyn Clock, id: &MigrationId, said: Said) -> Result<Outcome, RunError> {
        self.advance(clock, id, said, (State::Contracted, State::Done), |running| running.cleanup())
    }

    fn advance(
        &self,
        clock: &dyn Clock,
        id: &MigrationId,
        said: Said,
        (from, to): (State, State),
        go: impl Fn(&mut Running<'_>) -> Result<(), RunError>,
    ) -> Result<Outcome, RunError> {
        self.on_known(clock, id, |running| {
            let state = running.record.state;
            if state == from {
                running.said = said;
                go(running)?;
            } else if state != to && !(to == State::Done && running.has_reversed()?) {
                return Err(running.wrong_state(from));
            }
            Ok(running.outcome())
        })
    }

    pub(crate) fn rollback_by(&self, clock: &dyn Clock, id: &MigrationId, said: Said) -> Result<Outcome, RunError> {
        self.on_known(clock, id, |running| {
            let state = running.record.state;
            if state == State::Done {
                return Err(RunError::WrongState { id: running.id().clone(), state, wanted: State::Contracted });
            }
            if state != State::RolledBack {
                running.said = said;
                running.take_back()?;
            }
            Ok(running.outcome())
        })
    }

    fn on_known<T>(
        &self,
        clock: &dyn Clock,
        id: &MigrationId,
        body: impl FnMut(&mut Running<'_>) -> Result<T, RunError>,
    ) -> Result<T, RunError> {
        let env = Env { run: self, clock };
        let unknown = || RunError::NoSuchMigration { id: id.clone() };
        // Looked for before a lease is asked for, which would leave a row behind for an id that does not exist.
        peek(env, id)?.ok_or_else(unknown)?;
        under_lease(env, id, |record| journalled(record.ok_or_else(unknown)?), body)
    }
}

impl Running<'_> {
    /// Between two gates the names are those of neither: what is counted or repaired then could be the wrong side. Once all
    /// rows are brought over there are two sides to compare, also when `apply` stopped because they differ.
    fn is_at_a_gate(&self) -> Result<(), RunError> {
        let state = self.record.state;
        let wanted = match state {
            State::Ready if self.has_begun(Phase::Flip) => State::Flipped,
            State::Flipped if self.has_begun(Phase::Contract) => State::Contracted,
            State::Contracted if self.has_begun(Phase::Cleanup) => State::Done,
            State::Ready | State::Flipped | State::Contracted => return Ok(()),
            State::Started | State::Expanded if self.is_brought_over() => return Ok(()),
            State::RolledBack | State::RollingBack | State::Started | State::Expanded | State::Done => State::Ready,
        };
        Err(self.wrong_state(wanted))
    }

    fn wrong_state(&self, wanted: State) -> RunError {
        if self.is_left_to_touches() {
            return self.not_all_touched();
        }
        RunError::WrongState { id: self.id().clone(), state: self.record.state, wanted }
    }

    fn is_brought_over(&self) -> bool {
        let steps = &self.plan.steps;
        let before = steps.iter().filter(|step| step.phase <= Phase::Backfill).all(|step| self.is_done(step.id));
        let flips = steps.iter().any(|step| step.phase > Phase::Verify && self.may_be_there(step));
        before && !flips
    }
}

/// Decides what `apply` does, given what the journal has.
fn choose(plan: &Plan, record: Option<Record>) -> Result<Chosen, RunError> {
    match record {
        None => Ok(begins(plan, 1)),
        Some(record) => match record.state {
            State::RolledBack => Ok(begins(plan, record.attempt + 1)),
            State::RollingBack => {
                let wanted = State::RolledBack;
                Err(RunError::WrongState { id: record.id, state: record.state, wanted })
            }
            State::Done if record.checksum == plan.checksum => journalled(record),
            State::Done => {
                let diff = format!("- file {}\n+ file {}", record.checksum, plan.checksum);
                Err(RunError::Changed { id: record.id, state: record.state, diff })
            }
            State::Started | State::Expanded | State::Ready | State::Flipped | State::Contracted => {
                if record.hash == plan.hash {
                    return journalled(record);
                }
                let diff = difference(&record.plan, &to_json(plan));
                Err(RunError::Changed { id: record.id, state: record.state, diff })
            }
        },
    }
}

fn begins(plan: &Plan, attempt: u32) -> Chosen {
    let record = Record {
        id: plan.migration.clone(),
        checksum: plan.checksum.clone(),
        plan: to_json(plan),
        hash: plan.hash.clone(),
        state: State::Started,
        attempt,
        state_age_s: 0,
        changed_at: String::new(),
    };
    Chosen { record, plan: plan.clone(), starts: true }
}

/// Goes by the plan in the journal, which must be the one that was approved.
pub(crate) fn journalled(record: Record) -> Result<Chosen, RunError> {
    let bad = |why: String| RunError::BadJournal { id: record.id.clone(), why };
    let plan = from_json(&record.plan).map_err(|why| bad(why.to_string()))?;
    if plan.hash != record.hash {
        return Err(bad(format!("its plan has the hash {}, and {} was approved", plan.hash, record.hash)));
    }
    Ok(Chosen { record, plan, starts: false })
}
