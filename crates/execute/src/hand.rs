//! A session of ours that works under a lease: the run's own, or a worker's.

use std::time::Duration;

use fastrand::Rng;
use segue_model::ident::MigrationId;
use segue_model::journal::Worker;
use segue_model::session::{Begin, Fail, FailKind, Journal, Session};
use segue_model::sql::Sql;
use segue_model::value::{Row, Value};

use crate::control::Control;
use crate::error::RunError;
use crate::guard::{Patience, persist};
use crate::running::Env;
use crate::stop::Cancellable;
use crate::throttle::Valve;

/// What the session of the run itself is for.
pub(crate) const LEADER: &str = "work";

/// What the session of a further worker is for.
pub(crate) const WORKER: &str = "worker";

/// A session with all that one of our transactions needs.
pub(crate) struct Hand<'r> {
    /// What it works with.
    pub(crate) env: Env<'r>,
    /// The lease.
    pub(crate) control: &'r Control,
    /// What holds the run back.
    pub(crate) valve: &'r Valve,
    /// The migration.
    pub(crate) id: MigrationId,
    /// Its attempt.
    pub(crate) attempt: u32,
    /// The session.
    pub(crate) work: Box<dyn Session>,
    /// The session's process id and start.
    pub(crate) backend: (i64, String),
    /// Where jitter comes from.
    pub(crate) rng: Rng,
    /// What the session is for.
    pub(crate) label: &'static str,
    /// Transactions that were done again.
    pub(crate) retries: u64,
    /// Times that the connection was made again.
    pub(crate) reconnects: u32,
    /// Losses of the connection since the last window that was done.
    pub(crate) lost_in_a_row: u32,
    /// Lets the user's second request to stop reach the statement.
    cancellable: Cancellable<'r>,
}

impl<'r> Hand<'r> {
    /// Returns a hand with this session.
    pub(crate) fn new(
        env: Env<'r>,
        (control, valve): (&'r Control, &'r Valve),
        (id, attempt): (MigrationId, u32),
        label: &'static str,
        mut work: Box<dyn Session>,
    ) -> Result<Self, Fail> {
        let cancellable = env.run.stop.cancels(work.canceller());
        let backend = work.backend()?;
        let rng = Rng::with_seed(env.run.options.seed ^ backend.0.unsigned_abs());
        Ok(Self {
            env,
            control,
            valve,
            id,
            attempt,
            work,
            backend,
            rng,
            label,
            retries: 0,
            reconnects: 0,
            lost_in_a_row: 0,
            cancellable,
        })
    }

    /// Connects anew, in place of a session that is gone.
    pub(crate) fn connect_anew(&mut self) -> Result<(), Fail> {
        self.work = self.env.connect(&self.id, self.label)?;
        self.cancellable = self.env.run.stop.cancels(self.work.canceller());
        self.backend = self.work.backend()?;
        Ok(())
    }

    /// Returns whether this is the session of the run itself, not that of one more worker.
    pub(crate) fn leads(&self) -> bool {
        self.label == LEADER
    }

    /// Returns the engine's journal.
    pub(crate) fn journal(&self) -> &'r dyn Journal {
        self.env.journal()
    }

    /// Returns the session as the journal names it.
    pub(crate) fn worker(&self) -> Worker {
        Worker { pid: self.backend.0, backend_start: self.backend.1.clone() }
    }

    /// Fails when the lease is not ours any more. While our own heartbeat takes it again with a new connection, the
    /// transaction is to be done again.
    pub(crate) fn fence(&mut self) -> Result<(), RunError> {
        let epoch = self.control.epoch();
        if self.journal().fence(&mut *self.work, &self.id, epoch)? {
            if self.leads() {
                // The heartbeat may have taken the lease again with another number.
                self.valve.leads(epoch);
            }
            return Ok(());
        }
        if self.control.may_have_moved_from(epoch) {
            return Err(
                Fail::new(FailKind::Serialization, "the lease was just taken again by our own heartbeat").into()
            );
        }
        Err(RunError::LostLease)
    }

    /// Leaves the cores to others for the next long statement, if there are any at work.
    pub(crate) fn spare_others(&mut self) {
        self.work.spare_others(!self.valve.is_quiet());
    }

    /// Runs one reviewed statement, unless the user wants to stop at once.
    pub(crate) fn execute(&mut self, sql: &Sql, params: &[Value], limit: Duration) -> Result<u64, RunError> {
        if self.env.run.stop.at_once() {
            return Err(RunError::Interrupted);
        }
        Ok(self.work.execute(sql.as_str(), params, limit)?)
    }

    /// Runs reviewed statements in order.
    pub(crate) fn execute_all(&mut self, all: &[Sql], limit: Duration) -> Result<(), RunError> {
        all.iter().try_for_each(|sql| self.execute(sql, &[], limit).map(drop))
    }

    /// Asks one reviewed question.
    pub(crate) fn query(&mut self, sql: &Sql, params: &[Value], limit: Duration) -> Result<Vec<Row>, RunError> {
        if self.env.run.stop.at_once() {
            return Err(RunError::Interrupted);
        }
        Ok(self.work.query(sql.as_str(), params, limit)?)
    }

    /// As [`own`].
    pub(crate) fn own<T>(
        &mut self,
        lock_wait: Duration,
        body: impl FnOnce(&mut Self) -> Result<T, RunError>,
    ) -> Result<T, RunError> {
        own(self, lock_wait, body)
    }

    /// As [`persist`].
    pub(crate) fn persist<T>(
        &mut self,
        patience: &Patience<'_>,
        op: impl FnMut(&mut Self) -> Result<T, RunError>,
    ) -> Result<T, RunError> {
        persist(self, patience, op)
    }

    /// Returns a time around `middle`: half to one and a half of it, so that two runs do not meet again and again.
    pub(crate) fn jittered(&mut self, middle: Duration) -> Duration {
        middle.mul_f64(0.5 + self.rng.f64())
    }
}

/// Somebody who works with a hand.
pub(crate) trait Handed<'r> {
    /// Returns the hand.
    fn hand(&mut self) -> &mut Hand<'r>;

    /// Makes the connection again, and learns what was committed.
    fn reconnect(&mut self, because: &Fail) -> Result<(), RunError>;
}

impl<'r> Handed<'r> for Hand<'r> {
    fn hand(&mut self) -> &mut Hand<'r> {
        self
    }

    fn reconnect(&mut self, because: &Fail) -> Result<(), RunError> {
        self.reconnect_worker(because)
    }
}

/// Runs one writing transaction of ours: fenced last thing before COMMIT, so that a run that lost its lease while it slept
/// changes nothing.
pub(crate) fn own<'r, M: Handed<'r>, T>(
    me: &mut M,
    lock_wait: Duration,
    body: impl FnOnce(&mut M) -> Result<T, RunError>,
) -> Result<T, RunError> {
    fenced(me, Begin::Write { lock_wait }, body)
}

/// As [`own`], for a window that notes in the same transaction how far its span is.
pub(crate) fn own_window<'r, M: Handed<'r>, T>(
    me: &mut M,
    lock_wait: Duration,
    body: impl FnOnce(&mut M) -> Result<T, RunError>,
) -> Result<T, RunError> {
    fenced(me, Begin::Window { lock_wait }, body)
}

/// Runs one transaction that is fenced last thing before COMMIT.
fn fenced<'r, M: Handed<'r>, T>(
    me: &mut M,
    begin: Begin,
    body: impl FnOnce(&mut M) -> Result<T, RunError>,
) -> Result<T, RunError> {
    within(me, begin, |me| {
        let value = body(me)?;
        me.hand().fence()?;
        Ok(value)
    })
}

/// Runs one transaction.
pub(crate) fn within<'r, M: Handed<'r>, T>(
    me: &mut M,
    begin: Begin,
    body: impl FnOnce(&mut M) -> Result<T, RunError>,
) -> Result<T, RunError> {
    me.hand().work.begin(begin)?;
    let result = body(me).and_then(|value| {
        me.hand().work.commit()?;
        Ok(value)
    });
    if result.is_err() {
        me.hand().work.rollback();
    }
    result
}
