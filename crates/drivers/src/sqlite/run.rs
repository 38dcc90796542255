//! One connection: statements with their limits.

use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use rusqlite::config::DbConfig;
use rusqlite::types::ValueRef;
use rusqlite::{Connection, Statement};
use segue_model::catalog::Catalog;
use segue_model::ident::TableName;
use segue_model::lock::RelationLock;
use segue_model::pressure::{Reading, Signal};
use segue_model::server::Server;
use segue_model::session::{Begin, Blocker, Cancel, Fail, FailKind, Session};
use segue_model::value::{Row, Value};

use super::address::Address;
use super::cancel::{Canceller, Watch};
use super::pressure::{self, Seen};
use super::{error, inspect, server, shape};

/// How long BEGIN and COMMIT may take beyond the wait for the lock: writing what the transaction changed.
const COMMIT_LIMIT: Duration = Duration::from_secs(300);

/// The longest wait of a COMMIT for the readers to leave. Without a write-ahead log nobody begins to read meanwhile, so
/// behind a long reader a long wait stops every other one.
const COMMIT_WAIT: Duration = Duration::from_millis(50);

/// The least time between two checkpoints of a session that only reads.
const CHECKPOINT_EVERY: Duration = Duration::from_millis(250);

/// A connection to a database file.
pub(super) struct SqliteSession {
    connection: Connection,
    watch: Arc<Watch>,
    pub(super) address: Address,
    pub(super) fresh_name: String,
    transaction: Option<Begin>,
    checkpointed: Instant,
    /// What others did to the file, as [`Session::others_at_work`] saw it.
    pub(super) seen: Seen,
}

impl SqliteSession {
    pub(super) fn new(connection: Connection, watch: Arc<Watch>, address: Address, fresh_name: String) -> Self {
        let (transaction, checkpointed, seen) = (None, Instant::now(), Seen::default());
        Self { connection, watch, address, fresh_name, transaction, checkpointed, seen }
    }

    /// Returns whether SQLite itself refuses writes to the file.
    pub(super) fn is_read_only(&self) -> Result<bool, Fail> {
        self.connection.is_readonly("main").map_err(|cause| error::translated(cause, None))
    }

    /// Runs `body` with its limits; a wait for a lock ends with the transaction's lock wait, outside one with `limit`.
    fn limited<T>(&mut self, limit: Duration, body: impl Fn(&Connection) -> rusqlite::Result<T>) -> Result<T, Fail> {
        match self.transaction {
            Some(Begin::Write { lock_wait } | Begin::Window { lock_wait }) => self.once(limit, lock_wait, body),
            Some(Begin::Read) => self.once(limit, limit, body),
            None => self.in_turns(limit, body),
        }
    }

    fn once<T>(
        &mut self,
        limit: Duration,
        busy: Duration,
        body: impl Fn(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T, Fail> {
        self.watch.begin(limit, busy);
        let result = body(&self.connection);
        self.watch.end();
        result.map_err(|cause| error::translated(cause, Some(&self.watch)))
    }

    /// Runs what is a transaction by itself: it waits in the middle of its own COMMIT too, and a try that fails there has
    /// given everything back.
    fn in_turns<T>(&mut self, limit: Duration, body: impl Fn(&Connection) -> rusqlite::Result<T>) -> Result<T, Fail> {
        self.watch.begin(limit, COMMIT_WAIT);
        let mut result = body(&self.connection);
        while result.as_ref().is_err_and(error::is_busy) && self.watch.another_turn(COMMIT_WAIT) {
            result = body(&self.connection);
        }
        self.watch.end();
        result.map_err(|cause| error::translated(cause, Some(&self.watch)))
    }

    fn statement(&mut self, sql: &'static str) -> Result<(), Fail> {
        self.limited(COMMIT_LIMIT, |connection| rows_of(connection, sql, &[])).map(|_| ())
    }

    /// Copies the pages of the write-ahead log that nobody reads any more to the file, without waiting for anybody. While we
    /// only read, the application's own COMMITs would do it, each time for a thousand pages at once.
    fn checkpoint_in_passing(&mut self) {
        if self.checkpointed.elapsed() >= CHECKPOINT_EVERY && !self.address.read_only {
            // What is not copied now will be by whoever commits next.
            let _ = self.statement("PRAGMA main.wal_checkpoint(PASSIVE)");
            self.checkpointed = Instant::now();
        }
    }

    fn end_of_transaction(&mut self) {
        match self.transaction.take() {
            Some(Begin::Read) => {
                // Fails only when SQLite is out of memory; then the next write says so.
                let _ = self.statement("PRAGMA query_only = OFF");
            }
            Some(Begin::Write { .. } | Begin::Window { .. }) => self.usual_schema_rules(),
            None => {}
        }
    }

    /// Lets `"text"` in the schema be a text, as it was when somebody wrote it.
    fn read_quotes_as_the_schema_does(&self, on: bool) {
        for rule in [DbConfig::SQLITE_DBCONFIG_DQS_DDL, DbConfig::SQLITE_DBCONFIG_DQS_DML] {
            // Fails only for a connection that is closed.
            let _ = self.connection.set_db_config(rule, on);
        }
    }

    /// What a reviewed statement switched on for its own transaction ends with it, however it ends.
    fn usual_schema_rules(&self) {
        for rule in [DbConfig::SQLITE_DBCONFIG_LEGACY_ALTER_TABLE, DbConfig::SQLITE_DBCONFIG_WRITABLE_SCHEMA] {
            // Fails only for a connection that is closed.
            let _ = self.connection.set_db_config(rule, false);
        }
    }
}

impl Session for SqliteSession {
    fn server(&mut self) -> Result<Server, Fail> {
        server::ask(self)
    }

    fn inspect(&mut self) -> Result<Catalog, Fail> {
        inspect::inspect(self)
    }

    fn shape(&mut self, tables: &[TableName]) -> Result<String, Fail> {
        shape::shape(self, tables)
    }

    fn begin(&mut self, begin: Begin) -> Result<(), Fail> {
        self.transaction = Some(begin);
        let result = match begin {
            // The snapshot is taken by the first read, not by BEGIN.
            Begin::Read => self
                .statement("PRAGMA query_only = ON")
                .and_then(|()| self.statement("BEGIN"))
                .and_then(|()| self.statement("SELECT 1 FROM main.sqlite_schema LIMIT 1")),
            // Never plain BEGIN: a write after a read fails at once with SQLITE_BUSY_SNAPSHOT, whatever the wait.
            Begin::Write { .. } | Begin::Window { .. } => self.statement("BEGIN IMMEDIATE"),
        };
        if result.is_err() {
            self.rollback();
        }
        result
    }

    fn commit(&mut self) -> Result<(), Fail> {
        if self.connection.is_autocommit() {
            self.end_of_transaction();
            return Err(Fail::new(FailKind::Cancelled, "an interrupted statement has rolled the transaction back"));
        }
        let wait = match self.transaction {
            Some(Begin::Write { lock_wait } | Begin::Window { lock_wait }) => lock_wait.min(COMMIT_WAIT),
            Some(Begin::Read) | None => COMMIT_WAIT,
        };
        let only_read = matches!(self.transaction, Some(Begin::Read));
        let result = self.once(COMMIT_LIMIT, wait, |connection| rows_of(connection, "COMMIT", &[]));
        // A COMMIT that did not get past the readers leaves the transaction open, and every new reader out.
        self.rollback();
        if only_read && result.is_ok() {
            self.checkpoint_in_passing();
        }
        result.map(|_| ())
    }

    fn rollback(&mut self) {
        if !self.connection.is_autocommit() {
            // A failure to roll back leaves SQLite no transaction either: it is given up with the connection.
            let _ = self.statement("ROLLBACK");
        }
        self.end_of_transaction();
    }

    fn lock(&mut self, _locks: &[RelationLock]) -> Result<(), Fail> {
        Ok(())
    }

    fn execute(&mut self, sql: &str, params: &[Value], limit: Duration) -> Result<u64, Fail> {
        self.read_quotes_as_the_schema_does(reads_the_whole_schema(sql));
        let result = self.limited(limit, |connection| {
            let before = connection.total_changes();
            rows_of(connection, sql, params)?;
            // `changes` still tells of an earlier statement after one that changes no row.
            Ok(if connection.total_changes() == before { 0 } else { connection.changes() })
        });
        self.read_quotes_as_the_schema_does(false);
        result
    }

    fn query(&mut self, sql: &str, params: &[Value], limit: Duration) -> Result<Vec<Row>, Fail> {
        self.limited(limit, |connection| rows_of(connection, sql, params))
    }

    fn blockers(&mut self, _locks: &[RelationLock]) -> Result<Vec<Blocker>, Fail> {
        // The file does not tell who holds its lock.
        Ok(vec![])
    }

    fn backend(&mut self) -> Result<(i64, String), Fail> {
        // Tells one process from another that has its number later, whatever the clock says.
        static START: OnceLock<String> = OnceLock::new();
        let start = match START.get() {
            Some(start) => start,
            None => {
                let rows = self.query("SELECT lower(hex(randomblob(16)))", &[], Duration::from_secs(1))?;
                let drawn = rows.first().and_then(|row| row.first()).and_then(Value::as_str).unwrap_or_default();
                START.get_or_init(|| drawn.to_owned())
            }
        };
        Ok((i64::from(std::process::id()), start.clone()))
    }

    fn canceller(&self) -> Box<dyn Cancel> {
        Box::new(Canceller { watch: Arc::clone(&self.watch), interrupt: self.connection.get_interrupt_handle() })
    }

    fn lagging_standbys(&mut self) -> Result<Vec<String>, Fail> {
        Ok(vec![])
    }

    fn pressure(&mut self, signals: &[Signal]) -> Result<Vec<(Signal, Reading)>, Fail> {
        Ok(pressure::readings(signals, &self.address.path))
    }

    /// Every other connection counts, those of our own process too: the file does not tell them apart. So it is asked on
    /// the session that does the work.
    fn others_at_work(&mut self) -> Result<bool, Fail> {
        pressure::others_at_work(self)
    }

    fn seconds_now(&mut self) -> Result<i64, Fail> {
        pressure::seconds_now(self)
    }
}

/// Returns whether a statement makes SQLite read every text of the schema again, and brings no expression of its own.
fn reads_the_whole_schema(sql: &str) -> bool {
    sql.starts_with("ALTER TABLE ") && [" RENAME ", " DROP COLUMN "].iter().any(|what| sql.contains(what))
}

fn rows_of(connection: &Connection, sql: &str, params: &[Value]) -> rusqlite::Result<Vec<Row>> {
    let mut statement = connection.prepare(sql)?;
    bind(&mut statement, params)?;
    let width = statement.column_count();
    let mut rows = statement.raw_query();
    let mut all = vec![];
    while let Some(row) = rows.next()? {
        all.push((0..width).map(|at| row.get_ref(at).map(value_of)).collect::<rusqlite::Result<Row>>()?);
    }
    Ok(all)
}

/// `$1` is a name to SQLite, numbered by where it first stands: bound by name, `$2 … $1` is right too.
fn bind(statement: &mut Statement<'_>, params: &[Value]) -> rusqlite::Result<()> {
    for (at, value) in params.iter().enumerate() {
        let Some(index) = statement.parameter_index(&format!("${}", at + 1))? else { continue };
        match value {
            Value::Null => statement.raw_bind_parameter(index, rusqlite::types::Null)?,
            Value::Int(n) => statement.raw_bind_parameter(index, n)?,
            Value::Real(n) => statement.raw_bind_parameter(index, n)?,
            Value::Text(text) => statement.raw_bind_parameter(index, text)?,
            Value::Bytes(bytes) => statement.raw_bind_parameter(index, bytes)?,
        }
    }
    Ok(())
}

fn value_of(value: ValueRef<'_>) -> Value {
    match value {
        ValueRef::Null => Value::Null,
        ValueRef::Integer(n) => Value::Int(n),
        ValueRef::Real(n) => Value::Real(n),
        // SQLite stores whatever bytes it is given as text.
        ValueRef::Text(bytes) => match std::str::from_utf8(bytes) {
            Ok(text) => Value::Text(text.to_owned()),
            Err(_) => Value::Bytes(bytes.to_vec()),
        },
        ValueRef::Blob(bytes) => Value::Bytes(bytes.to_vec()),
    }
}
