//! The ports through which a database is reached. `drivers` implements them, `execute` and `cli` use them.

use std::time::Duration;

use crate::catalog::Catalog;
use crate::engine::Engine;
use crate::ident::{MigrationId, TableName};
use crate::journal::{Checkpoint, Claim, Event, Holder, Leftover, Orders, Quarantined, Record, Span, State, Worker};
use crate::lock::RelationLock;
use crate::pressure::{Reading, Signal};
use crate::server::{Identity, Server};
use crate::value::{Row, Value};

/// What went wrong in a database, translated from the engine's own codes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Fail {
    /// The kind.
    pub kind: FailKind,
    /// The server's message, or ours; never holds a secret or row data.
    pub message: String,
    /// SQLSTATE, or SQLite's extended result code as a number.
    pub code: Option<String>,
    /// The constraint, table or column that the server names.
    pub object: Option<String>,
    /// Byte offset into the statement, where the server tells it.
    pub position: Option<usize>,
}

/// The kinds of failure that callers tell apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FailKind {
    /// The connection is gone: the outcome of the statement is unknown.
    Lost,
    /// Our own deadline passed: the outcome is unknown.
    Deadline,
    /// It was cancelled, and did nothing.
    Cancelled,
    /// The lock was not had within the try.
    LockTimeout,
    /// It was chosen as the victim of a deadlock.
    Deadlock,
    /// It lost against a concurrent transaction.
    Serialization,
    /// No space left.
    DiskFull,
    /// The role may not.
    Permission,
    /// The database or the session refuses writes.
    ReadOnly,
    /// A value does not fit or cannot be converted.
    Conversion,
    /// A unique constraint.
    Unique,
    /// A NOT NULL constraint.
    NotNull,
    /// A foreign key.
    ForeignKey,
    /// A check constraint.
    Check,
    /// The SQL is wrong.
    Syntax,
    /// A table, column, function or type does not exist.
    Undefined,
    /// Something of that name exists.
    Duplicate,
    /// No server answers at that address.
    Connect,
    /// The server does not accept who we are.
    Authentication,
    /// The encrypted connection cannot be made.
    Tls,
    /// The URL, the configuration or the file is not usable.
    Usage,
    /// Anything else that the server says.
    Server,
}

impl Fail {
    /// Returns a failure of this kind, with nothing but a message.
    pub fn new(kind: FailKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), code: None, object: None, position: None }
    }

    /// Returns whether the statement may or may not have been carried out.
    pub fn outcome_unknown(&self) -> bool {
        matches!(self.kind, FailKind::Lost | FailKind::Deadline)
    }

    /// Returns whether the same transaction may succeed when it is tried again at once.
    pub fn is_transient(&self) -> bool {
        matches!(self.kind, FailKind::LockTimeout | FailKind::Deadlock | FailKind::Serialization)
    }
}

/// How a transaction begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Begin {
    /// One snapshot, no writes (PostgreSQL: REPEATABLE READ READ ONLY).
    Read,
    /// Writes; each statement waits at most this long for a lock (SQLite: BEGIN IMMEDIATE with that busy limit).
    Write {
        /// The longest wait for one lock.
        lock_wait: Duration,
    },
    /// As `Write`, for what is done again when a crash of the server takes it back together with the note that it was done:
    /// COMMIT does not wait for the disk, nor for a synchronous standby (PostgreSQL: `synchronous_commit = off`). It lasts
    /// once any later transaction of ours does.
    Window {
        /// The longest wait for one lock.
        lock_wait: Duration,
    },
}

/// Somebody whose transaction holds a lock that a step needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Blocker {
    /// Their backend.
    pub pid: i64,
    /// Their role.
    pub user: String,
    /// Their `application_name`.
    pub application: String,
    /// How long their transaction has been open.
    pub age: Duration,
    /// Their statement, cut to 80 characters, literals removed.
    pub query: String,
}

/// One connection. Not shared between threads; ends when dropped.
pub trait Session: Send {
    /// Returns who answers.
    ///
    /// # Errors
    /// Any [`Fail`], as for all methods here.
    fn server(&mut self) -> Result<Server, Fail>;

    /// Returns the whole catalog, in a constant number of queries.
    ///
    /// # Errors
    /// Any [`Fail`].
    fn inspect(&mut self) -> Result<Catalog, Fail>;

    /// Reads the catalog as [`Session::inspect`] does, in full only for the tables that `choose` names among those that are
    /// there (to it, indexes are told by name), and for those around them: what shares their columns, and what foreign keys lead to or come from there. Of the
    /// others name, kind, owner and size are told, and nothing else: a database may have ten thousand of them.
    ///
    /// # Errors
    /// As [`Session::inspect`].
    fn inspect_about(&mut self, choose: &mut dyn FnMut(&Catalog) -> Vec<TableName>) -> Result<Catalog, Fail> {
        let _ = choose;
        self.inspect()
    }

    /// Returns the structure of `tables` as sorted lines of text, one fact a line, in one query: columns, constraints,
    /// indexes, triggers, policies, grants, and what depends on them. Equal text means equal structure. A missing table
    /// gives one line that says so. Works inside a transaction and sees its changes.
    ///
    /// # Errors
    /// Any [`Fail`].
    fn shape(&mut self, tables: &[TableName]) -> Result<String, Fail>;

    /// Begins a transaction.
    ///
    /// # Errors
    /// [`FailKind::LockTimeout`] on SQLite when the write lock is not had.
    fn begin(&mut self, begin: Begin) -> Result<(), Fail>;

    /// Commits. On [`Fail::outcome_unknown`] it may or may not have been committed.
    ///
    /// # Errors
    /// Any [`Fail`].
    fn commit(&mut self) -> Result<(), Fail>;

    /// Gives up the transaction; nothing happens when there is none, or the connection is gone.
    fn rollback(&mut self);

    /// Takes the locks, strongest last, within the transaction's lock wait. SQLite: nothing to do.
    ///
    /// # Errors
    /// [`FailKind::LockTimeout`].
    fn lock(&mut self, locks: &[RelationLock]) -> Result<(), Fail>;

    /// Runs one statement (without parameters PostgreSQL also takes several) and returns the number of rows it changed.
    /// `$1`, `$2`, … are `params`; on PostgreSQL each arrives as text and the SQL casts it.
    ///
    /// # Errors
    /// [`FailKind::Deadline`] after `limit`.
    fn execute(&mut self, sql: &str, params: &[Value], limit: Duration) -> Result<u64, Fail>;

    /// Runs one query and returns its rows. PostgreSQL gives every value as text.
    ///
    /// # Errors
    /// [`FailKind::Deadline`] after `limit`.
    fn query(&mut self, sql: &str, params: &[Value], limit: Duration) -> Result<Vec<Row>, Fail>;

    /// Returns the other transactions that hold, or wait for, a lock on these relations that conflicts with ours. Never waits.
    ///
    /// # Errors
    /// Any [`Fail`].
    fn blockers(&mut self, locks: &[RelationLock]) -> Result<Vec<Blocker>, Fail>;

    /// Returns our backend's process id and start.
    ///
    /// # Errors
    /// Any [`Fail`].
    fn backend(&mut self) -> Result<(i64, String), Fail>;

    /// Returns what can stop this session's statement from another thread.
    fn canceller(&self) -> Box<dyn Cancel>;

    /// Returns, for each known standby that has not replayed what was committed before this call, its name.
    ///
    /// # Errors
    /// Any [`Fail`].
    fn lagging_standbys(&mut self) -> Result<Vec<String>, Fail>;

    /// Measures `signals` in one query, each in its unit. What cannot be measured is [`Reading::Unknown`], never left out.
    ///
    /// # Errors
    /// Any [`Fail`].
    fn pressure(&mut self, signals: &[Signal]) -> Result<Vec<(Signal, Reading)>, Fail>;

    /// Returns whether a session that is not ours did anything in this database within the last two seconds, or may have.
    ///
    /// # Errors
    /// Any [`Fail`].
    fn others_at_work(&mut self) -> Result<bool, Fail>;

    /// From now on a long statement keeps to one process (`spare`) or takes as many as the server lets it: others may need
    /// the cores. An engine whose statements have one process anyway does nothing.
    fn spare_others(&mut self, spare: bool) {
        let _ = spare;
    }

    /// Returns the seconds since 1970 in UTC, by the database's clock.
    ///
    /// # Errors
    /// Any [`Fail`].
    fn seconds_now(&mut self) -> Result<i64, Fail>;
}

/// Stops the statement that a session is running.
pub trait Cancel: Send + Sync {
    /// Asks; the statement then fails with [`FailKind::Cancelled`]. Nothing happens when none is running.
    fn cancel(&self);
}

/// Makes sessions to one database, and knows its journal.
pub trait Connector: Send + Sync {
    /// Returns the product.
    fn engine(&self) -> Engine;

    /// Returns the address without its secrets, for people.
    fn address(&self) -> String;

    /// Connects. `label` says what the session is for and becomes the `application_name`: `segue <migration> <what>`.
    ///
    /// # Errors
    /// Any [`Fail`].
    fn connect(&self, label: &str) -> Result<Box<dyn Session>, Fail>;

    /// Returns the journal of this engine.
    fn journal(&self) -> &dyn Journal;

    /// Takes what keeps a second process out for as long as it lives, where the engine needs that: SQLite, the OS lock on
    /// `<db>-segue.lock`. PostgreSQL: `None`.
    ///
    /// # Errors
    /// [`FailKind::LockTimeout`] when another process has it.
    fn hold(&self) -> Result<Option<Box<dyn Send>>, Fail>;
}

/// The journal's SQL of one engine. Each method uses the session's transaction where one is open.
pub trait Journal: Send + Sync {
    /// Returns whether the database has a journal.
    ///
    /// # Errors
    /// Any [`Fail`], as for all methods here.
    fn exists(&self, session: &mut dyn Session) -> Result<bool, Fail>;

    /// Creates the journal where there is none, in a transaction of its own.
    ///
    /// # Errors
    /// [`FailKind::Usage`] for a journal of another format.
    fn install(&self, session: &mut dyn Session) -> Result<(), Fail>;

    /// Refuses a journal that this version can neither read nor bring forward; changes nothing.
    ///
    /// # Errors
    /// [`FailKind::Usage`], saying which version is to be used.
    fn check_readable(&self, session: &mut dyn Session) -> Result<(), Fail>;

    /// Returns the database that the journal was created in or adopted by.
    ///
    /// # Errors
    /// Any [`Fail`].
    fn identity(&self, session: &mut dyn Session) -> Result<Identity, Fail>;

    /// Notes that the journal now belongs to this database: a new timeline after a failover.
    ///
    /// # Errors
    /// Any [`Fail`].
    fn set_identity(&self, session: &mut dyn Session, identity: &Identity) -> Result<(), Fail>;

    /// Returns every migration, ordered by id.
    ///
    /// # Errors
    /// Any [`Fail`].
    fn records(&self, session: &mut dyn Session) -> Result<Vec<Record>, Fail>;

    /// Writes a migration that starts, or starts again: inserts, or replaces all but the id. Clears nothing else.
    ///
    /// # Errors
    /// Any [`Fail`].
    fn start(&self, session: &mut dyn Session, record: &Record) -> Result<(), Fail>;

    /// Notes how far a migration is.
    ///
    /// # Errors
    /// Any [`Fail`].
    fn set_state(&self, session: &mut dyn Session, id: &MigrationId, state: State) -> Result<(), Fail>;

    /// Returns the events of an attempt in the order written.
    ///
    /// # Errors
    /// Any [`Fail`].
    fn events(&self, session: &mut dyn Session, id: &MigrationId, attempt: u32) -> Result<Vec<Event>, Fail>;

    /// Writes an event.
    ///
    /// # Errors
    /// Any [`Fail`].
    fn record(&self, session: &mut dyn Session, event: &Event) -> Result<(), Fail>;

    /// Returns how far a step of an attempt is.
    ///
    /// # Errors
    /// Any [`Fail`].
    fn checkpoint(
        &self,
        session: &mut dyn Session,
        id: &MigrationId,
        attempt: u32,
        step: u32,
    ) -> Result<Option<Checkpoint>, Fail>;

    /// Writes how far a step is, in the transaction of the window that brought it there.
    ///
    /// # Errors
    /// Any [`Fail`].
    fn set_checkpoint(
        &self,
        session: &mut dyn Session,
        id: &MigrationId,
        attempt: u32,
        at: &Checkpoint,
    ) -> Result<(), Fail>;

    /// Returns how far a step is, and keeps others from cutting spans off until the transaction ends.
    ///
    /// # Errors
    /// Any [`Fail`].
    fn checkpoint_to_cut(
        &self,
        session: &mut dyn Session,
        id: &MigrationId,
        attempt: u32,
        step: u32,
    ) -> Result<Option<Checkpoint>, Fail>;

    /// Returns the spans of a step that are not finished, in the order of their numbers.
    ///
    /// # Errors
    /// Any [`Fail`].
    fn spans(&self, session: &mut dyn Session, id: &MigrationId, attempt: u32, step: u32) -> Result<Vec<Span>, Fail>;

    /// Gives `worker` the first span of the checkpoint's pass that no living worker has, of those that wait (`waits`) or of
    /// those that do not; passes over spans that others are taking at the moment.
    ///
    /// # Errors
    /// Any [`Fail`].
    fn take_span(
        &self,
        session: &mut dyn Session,
        id: &MigrationId,
        attempt: u32,
        step: u32,
        worker: &Worker,
        waits: bool,
    ) -> Result<Option<Span>, Fail>;

    /// Writes a span, new or known by its number; `None` as its worker: anybody may take it.
    ///
    /// # Errors
    /// Any [`Fail`].
    fn put_span(
        &self,
        session: &mut dyn Session,
        id: &MigrationId,
        attempt: u32,
        span: &Span,
        worker: Option<&Worker>,
    ) -> Result<(), Fail>;

    /// Removes a span that is finished and adds its figures to the step's checkpoint.
    ///
    /// # Errors
    /// Any [`Fail`].
    fn end_span(&self, session: &mut dyn Session, id: &MigrationId, attempt: u32, span: &Span) -> Result<(), Fail>;

    /// Notes rows that could not be converted; known ones are replaced.
    ///
    /// # Errors
    /// Any [`Fail`].
    fn quarantine(
        &self,
        session: &mut dyn Session,
        id: &MigrationId,
        attempt: u32,
        rows: &[Quarantined],
    ) -> Result<(), Fail>;

    /// Returns how many rows are quarantined, and the first `limit` of them by step and key.
    ///
    /// # Errors
    /// Any [`Fail`].
    fn quarantined(
        &self,
        session: &mut dyn Session,
        id: &MigrationId,
        attempt: u32,
        limit: u32,
    ) -> Result<(u64, Vec<Quarantined>), Fail>;

    /// Forgets the quarantined rows of a step.
    ///
    /// # Errors
    /// Any [`Fail`].
    fn clear_quarantine(
        &self,
        session: &mut dyn Session,
        id: &MigrationId,
        attempt: u32,
        step: u32,
    ) -> Result<(), Fail>;

    /// Returns what people ordered while the migration runs; the default where nobody did.
    ///
    /// # Errors
    /// Any [`Fail`].
    fn orders(&self, session: &mut dyn Session, id: &MigrationId) -> Result<Orders, Fail>;

    /// Returns what people ordered, and keeps others from changing it until the transaction ends: what is changed of it must
    /// not undo what somebody else orders at the same moment.
    ///
    /// # Errors
    /// [`FailKind::LockTimeout`] when somebody else is changing it.
    fn orders_to_change(&self, session: &mut dyn Session, id: &MigrationId) -> Result<Orders, Fail>;

    /// Writes what people order.
    ///
    /// # Errors
    /// Any [`Fail`].
    fn set_orders(&self, session: &mut dyn Session, id: &MigrationId, orders: &Orders) -> Result<(), Fail>;

    /// Returns the last figures that a run gave of itself, as JSON text, and their age in seconds.
    ///
    /// # Errors
    /// Any [`Fail`].
    fn report(&self, session: &mut dyn Session, id: &MigrationId) -> Result<Option<(String, u64)>, Fail>;

    /// Writes the figures of a run; those of an older lease do not replace a newer one's.
    ///
    /// # Errors
    /// Any [`Fail`].
    fn set_report(&self, session: &mut dyn Session, id: &MigrationId, epoch: i64, report: &str) -> Result<(), Fail>;

    /// Returns the lease's number while somebody holds it.
    ///
    /// # Errors
    /// Any [`Fail`].
    fn epoch(&self, session: &mut dyn Session, id: &MigrationId) -> Result<Option<i64>, Fail>;

    /// Asks for the lease in a transaction of its own: at once when nobody has it or its holder's backend is gone; when the
    /// holder's last heartbeat is older than `expiry` by the database's clock and it cannot be told whether its backend is
    /// alive; and when it is alive, only when the heartbeat is older than ten times that.
    ///
    /// # Errors
    /// Any [`Fail`].
    fn claim(
        &self,
        session: &mut dyn Session,
        id: &MigrationId,
        holder: &Holder,
        expiry: Duration,
    ) -> Result<Claim, Fail>;

    /// Returns whether the lease still has this epoch, share-locking it until the transaction ends. The last thing before
    /// a COMMIT.
    ///
    /// # Errors
    /// Any [`Fail`].
    fn fence(&self, session: &mut dyn Session, id: &MigrationId, epoch: i64) -> Result<bool, Fail>;

    /// Writes a heartbeat.
    ///
    /// # Errors
    /// Any [`Fail`].
    fn beat(&self, session: &mut dyn Session, id: &MigrationId, epoch: i64) -> Result<(), Fail>;

    /// Gives the lease back.
    ///
    /// # Errors
    /// Any [`Fail`].
    fn release(&self, session: &mut dyn Session, id: &MigrationId, epoch: i64) -> Result<(), Fail>;

    /// Returns who holds the lease, and the age of their last heartbeat in seconds. `None`: nobody, or their backend is gone.
    ///
    /// # Errors
    /// Any [`Fail`].
    fn holder(&self, session: &mut dyn Session, id: &MigrationId) -> Result<Option<(Holder, u64)>, Fail>;

    /// Ends the backends that earlier runs of this migration left behind (by `application_name`, never our own), except
    /// those that build an index concurrently.
    ///
    /// # Errors
    /// Any [`Fail`].
    fn end_leftovers(&self, session: &mut dyn Session, id: &MigrationId) -> Result<Vec<Leftover>, Fail>;

    /// Removes all that the journal knows of a migration, in a transaction of its own.
    ///
    /// # Errors
    /// Any [`Fail`].
    fn forget(&self, session: &mut dyn Session, id: &MigrationId) -> Result<(), Fail>;
}
