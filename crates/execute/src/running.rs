//! A migration that this process is running under its lease: what every step needs.

use std::rc::Rc;
use std::time::Duration;

use segue_model::ident::MigrationId;
use segue_model::journal::{Event, Mark, Record, State};
use segue_model::plan::{Plan, Strategy};
use segue_model::session::{Begin, Fail, Journal, Session};
use segue_model::sql::Sql;
use segue_model::step::{Step, Undo};
use segue_model::value::{Row, Value};

use crate::clock::Clock;
use crate::engage::Moved;
use crate::error::RunError;
use crate::guard::{Patience, persist};
use crate::hand::{Hand, Handed, own, within};
use crate::observer::Progress;
use crate::outcome::Outcome;
use crate::phase::goes_in_parts;
use crate::run::{Run, Said};

/// How long a transaction that only writes the journal waits for a lock.
pub(crate) const JOURNAL_WAIT: Duration = Duration::from_secs(1);

/// The longest that a question may take which reads a catalog or a handful of rows.
pub(crate) const QUESTION: Duration = Duration::from_secs(60);

/// What a run works with.
#[derive(Clone, Copy)]
pub(crate) struct Env<'r> {
    /// As the caller gave it.
    pub(crate) run: &'r Run<'r>,
    /// The time.
    pub(crate) clock: &'r dyn Clock,
}

impl<'r> Env<'r> {
    /// Returns the engine's journal.
    pub(crate) fn journal(self) -> &'r dyn Journal {
        self.run.connector.journal()
    }

    /// Tells the observer.
    pub(crate) fn tell(self, progress: &Progress<'_>) {
        self.run.observer.on(progress);
    }

    /// Connects; the label makes the session known as ours to whoever looks at the server, and to the next run.
    pub(crate) fn connect(self, id: &MigrationId, what: &str) -> Result<Box<dyn Session>, Fail> {
        self.run.connector.connect(&format!("segue {id} {what}"))
    }

    /// Fails when the user asked to stop.
    pub(crate) fn check_stop(self) -> Result<(), RunError> {
        if self.run.stop.requested() { Err(RunError::Interrupted) } else { Ok(()) }
    }

    /// Lets time pass, and fails when the user asks to stop meanwhile.
    pub(crate) fn wait(self, time: Duration) -> Result<(), RunError> {
        self.clock.wait(time, self.run.stop);
        self.check_stop()
    }
}

/// A migration that this process is running under its lease.
pub(crate) struct Running<'r> {
    /// What it works with.
    pub(crate) env: Env<'r>,
    /// The session that does the work.
    pub(crate) hand: Hand<'r>,
    /// Another process is kept out by the operating system: there is no control session.
    pub(crate) alone: bool,
    /// Where the database went since the journal was last written.
    pub(crate) moved: Option<Moved>,
    /// Until when writers who waited for our last lock have their turn.
    pub(crate) others_until: Duration,
    /// The record is not written yet.
    pub(crate) starts: bool,
    /// This run began the attempt.
    pub(crate) began: bool,
    /// What a person said.
    pub(crate) said: Said,
    /// As the journal has it.
    pub(crate) record: Record,
    /// What is being done.
    pub(crate) plan: Rc<Plan>,
    /// What happened in this attempt, as the journal has it.
    pub(crate) events: Vec<Event>,
    /// What the run will report.
    pub(crate) outcome: Outcome,
}

impl Running<'_> {
    /// Returns what came of the run so far.
    pub(crate) fn outcome(&self) -> Outcome {
        let Self { outcome, hand, .. } = self;
        let (retries, reconnects) = (outcome.retries + hand.retries, outcome.reconnects + hand.reconnects);
        let (throttled, vacuums) = (hand.valve.held().into_iter().collect(), hand.valve.note(|f| f.vacuums()));
        let no_way_back = self.plan.steps.iter().any(|step| step.undo == Undo::Impossible && self.may_be_there(step));
        Outcome { retries, reconnects, throttled, vacuums, no_way_back, ..outcome.clone() }
    }

    /// Returns the migration.
    pub(crate) fn id(&self) -> &MigrationId {
        &self.record.id
    }

    /// Returns whether people decide when old and new code are gone.
    pub(crate) fn by_hand(&self) -> bool {
        match self.plan.strategy {
            Strategy::ExpandContract => true,
            Strategy::Additive | Strategy::Native => false,
        }
    }

    /// Returns whether the step was done, and not undone since.
    pub(crate) fn is_done(&self, step: u32) -> bool {
        self.last_mark(step, &[Mark::Done, Mark::Undone]) == Some(Mark::Done)
    }

    /// Returns whether the step was begun and is neither done nor undone: what it left behind is unknown.
    pub(crate) fn is_open(&self, step: u32) -> bool {
        matches!(
            self.last_mark(step, &[Mark::Intent, Mark::Failed, Mark::Done, Mark::Undone]),
            Some(Mark::Intent | Mark::Failed)
        )
    }

    /// Returns whether the step's undo was begun and is not finished.
    pub(crate) fn is_undoing(&self, step: u32) -> bool {
        self.last_mark(step, &[Mark::UndoIntent, Mark::Done, Mark::Undone]) == Some(Mark::UndoIntent)
    }

    /// Returns whether something of the step may be in the database. One that failed or was interrupted in its
    /// transaction left nothing behind.
    pub(crate) fn may_be_there(&self, step: &Step) -> bool {
        self.is_done(step.id) || self.is_undoing(step.id) || (goes_in_parts(step) && self.is_open(step.id))
    }

    fn last_mark(&self, step: u32, of: &[Mark]) -> Option<Mark> {
        self.events.iter().rev().find(|event| event.step == step && of.contains(&event.mark)).map(|event| event.mark)
    }

    /// Writes that the step is about to be done (or undone) by our backend, in a transaction of its own. Once is enough.
    pub(crate) fn intend(&mut self, step: &Step, mark: Mark) -> Result<(), RunError> {
        let last = self.events.iter().rev().find(|event| event.step == step.id);
        let said = last.is_some_and(|event| {
            event.mark == mark && (event.pid, &event.backend_start) == (self.hand.backend.0, &self.hand.backend.1)
        });
        if said {
            return Ok(());
        }
        let event = self.own(JOURNAL_WAIT, |me| me.record(step, mark, String::new(), String::new()))?;
        self.events.push(event);
        Ok(())
    }

    /// Writes what happened to a step into the transaction that is open. The caller keeps the event once it is committed.
    pub(crate) fn record(&mut self, step: &Step, mark: Mark, shape: String, note: String) -> Result<Event, RunError> {
        let event = Event {
            migration: self.record.id.clone(),
            attempt: self.record.attempt,
            step: step.id,
            mark,
            pid: self.hand.backend.0,
            backend_start: self.hand.backend.1.clone(),
            shape,
            note,
        };
        self.env.journal().record(&mut *self.hand.work, &event)?;
        Ok(event)
    }

    /// Writes that the step is done, with the structure that it leaves, into the transaction that is open.
    pub(crate) fn record_done(&mut self, step: &Step, note: String) -> Result<Event, RunError> {
        let shape = self.shape()?;
        self.record(step, Mark::Done, shape, note)
    }

    /// Writes that the step is done in a transaction of its own.
    pub(crate) fn finish(&mut self, step: &Step, note: &str) -> Result<(), RunError> {
        self.persist(&Patience::journal(step), |me| {
            if me.is_done(step.id) {
                return Ok(());
            }
            let event = me.own(JOURNAL_WAIT, |me| me.record_done(step, note.to_owned()))?;
            me.events.push(event);
            Ok(())
        })
    }

    /// Writes how far the migration is.
    pub(crate) fn set_state(&mut self, state: State) -> Result<(), RunError> {
        self.persist(&Patience::nothing(), |me| {
            me.own(JOURNAL_WAIT, |me| {
                let Running { env, hand, record, .. } = me;
                Ok(env.journal().set_state(&mut *hand.work, &record.id, state)?)
            })
        })?;
        self.record.state = state;
        self.outcome.state = state;
        Ok(())
    }

    /// As [`crate::hand::own`].
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

    /// Runs one reading transaction.
    pub(crate) fn reading<T>(&mut self, body: impl FnOnce(&mut Self) -> Result<T, RunError>) -> Result<T, RunError> {
        within(self, Begin::Read, body)
    }

    /// As [`Hand::fence`].
    pub(crate) fn fence(&mut self) -> Result<(), RunError> {
        self.hand.fence()
    }

    /// As [`Hand::execute`].
    pub(crate) fn execute(&mut self, sql: &Sql, params: &[Value], limit: Duration) -> Result<u64, RunError> {
        self.hand.execute(sql, params, limit)
    }

    /// As [`Hand::execute_all`].
    pub(crate) fn execute_all(&mut self, all: &[Sql], limit: Duration) -> Result<(), RunError> {
        self.hand.execute_all(all, limit)
    }

    /// As [`Hand::query`].
    pub(crate) fn query(&mut self, sql: &Sql, params: &[Value], limit: Duration) -> Result<Vec<Row>, RunError> {
        self.hand.query(sql, params, limit)
    }

    /// Notes what the user should know, now and at the end.
    pub(crate) fn note(&mut self, text: String) {
        self.env.tell(&Progress::Note { text: &text });
        self.outcome.notes.push(text);
    }

    /// Notes it, unless it was noted before.
    pub(crate) fn note_once(&mut self, text: String) {
        if !self.outcome.notes.contains(&text) {
            self.note(text);
        }
    }
}

impl<'r> Handed<'r> for Running<'r> {
    fn hand(&mut self) -> &mut Hand<'r> {
        &mut self.hand
    }

    fn reconnect(&mut self, because: &Fail) -> Result<(), RunError> {
        self.reconnect_run(because)
    }
}
