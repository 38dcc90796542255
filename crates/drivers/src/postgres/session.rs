//! [`Session`] over one connection.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use segue_model::catalog::Catalog;
use segue_model::ident::TableName;
use segue_model::lock::RelationLock;
use segue_model::pressure::{Reading, Signal};
use segue_model::server::Server;
use segue_model::session::{Begin, Blocker, Cancel, Fail, FailKind, Session};
use segue_model::sql::{Hole, Sql, StandardQuoting};
use segue_model::value::{Row, Value};

use super::cancel::Canceller;
use super::lag::Lag;
use super::run::{Reply, Wire};
use super::server::{self, Login};
use super::statements::Statements;
use super::{blockers, inspect, lock, pressure, shape};

/// For what takes a round trip or two.
const SHORT: Duration = Duration::from_secs(10);

/// For reading a whole catalog.
const LONG: Duration = Duration::from_secs(60);

/// For COMMIT, which may wait for a synchronous standby.
const COMMIT: Duration = Duration::from_secs(60);

/// The longest wait for a lock outside a transaction. Nothing that blocks the application is run there.
const LOCK_WAIT_OUTSIDE_MS: u64 = 5_000;

/// What taking locks may cost beyond waiting for them.
const LOCK_MARGIN: Duration = Duration::from_secs(1);

/// The longest lock wait of a transaction that may keep others out: short tries, windows, the journal's own. Between its
/// statements there is nothing to wait for, so a run that stops within it is ended by the server after 2 s.
const LOCK_WAIT_QUICK: Duration = Duration::from_secs(5);

/// `statement_timeout` is a signed 32-bit number of milliseconds.
const TIMEOUT_MS_MAX: u64 = 2_147_483_647;

/// A connection whose settings are pinned.
pub(super) struct PostgresSession {
    wire: Wire,
    login: Login,
    transaction: Transaction,
    /// What the server's session has; `None`: not known.
    statement_timeout_ms: Option<u64>,
    lock_timeout_ms: Option<u64>,
    /// Others may need the cores.
    spares_others: bool,
    /// The same as the server's session knows it; `None`: not known.
    told_to_spare: Option<bool>,
    /// The longest wait for one lock in the open transaction.
    lock_wait: Duration,
    /// The question for a shape is prepared; it stays so whatever becomes of the transaction.
    shape_prepared: bool,
    statements: Statements,
    /// What [`Session::pressure`] saw before, here and in other sessions of the process.
    lag: Arc<Mutex<Lag>>,
    /// The place in the WAL that standbys are asked for, until they have it or more is committed here.
    standby_mark: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Transaction {
    None,
    /// BEGIN goes with the first statement, which saves a round trip.
    Begun(Begin),
    Open,
    /// A statement failed: COMMIT would answer as if all were well and roll back.
    Failed,
    /// The message with BEGIN in it failed: whether the server has a transaction is not known, and nothing may run as if.
    Void,
}

impl PostgresSession {
    pub(super) fn new(wire: Wire, login: Login) -> Self {
        Self {
            wire,
            statements: Statements::new(login.pooled),
            login,
            transaction: Transaction::None,
            statement_timeout_ms: None,
            lock_timeout_ms: None,
            spares_others: false,
            told_to_spare: Some(false),
            lock_wait: Duration::ZERO,
            shape_prepared: false,
            lag: Arc::default(),
            standby_mark: None,
        }
    }

    /// Goes on from what other sessions have seen of standbys.
    pub(super) fn sharing(self, lag: Arc<Mutex<Lag>>) -> Self {
        Self { lag, ..self }
    }

    /// Sends one message and keeps account of what it does to the transaction.
    fn send(&mut self, sql: &str, limit: Duration) -> Result<Reply, Fail> {
        let answer = self.wire.send(sql, limit);
        match (&answer, self.transaction) {
            (Ok(_), Transaction::Begun(_)) => self.transaction = Transaction::Open,
            (Err(_), Transaction::Begun(_)) => self.transaction = Transaction::Void,
            (Err(_), Transaction::Open) => self.transaction = Transaction::Failed,
            // Only ROLLBACK TO SAVEPOINT succeeds in a failed transaction.
            (Ok(_), Transaction::Failed) => self.transaction = Transaction::Open,
            _ => {}
        }
        answer
    }

    /// Returns what must go before `sql`: BEGIN where it was not sent yet, and the limits that the server is to keep, which
    /// it does also when we are gone.
    fn opening(&mut self, sql: &str, limit: Duration) -> Vec<Sql> {
        let mut opening = match self.transaction {
            Transaction::Begun(begin) => vec![beginning(begin)],
            Transaction::Failed | Transaction::Void => return Vec::new(),
            Transaction::None | Transaction::Open => Vec::new(),
        };
        let statement = millis(limit);
        if self.statement_timeout_ms != Some(statement) {
            opening.push(setting("SET statement_timeout = {ms}", statement));
            self.statement_timeout_ms = Some(statement);
        }
        if self.transaction == Transaction::None {
            // CREATE INDEX CONCURRENTLY waits for every older transaction, and must.
            let wait = if is_concurrent(sql) { 0 } else { LOCK_WAIT_OUTSIDE_MS };
            if self.lock_timeout_ms != Some(wait) {
                opening.push(setting("SET lock_timeout = {ms}", wait));
                self.lock_timeout_ms = Some(wait);
            }
            opening.extend(self.sparing());
        }
        opening
    }

    /// Returns what tells the server's session how many processes may build an index (PostgreSQL 15, chapter 20.4.6).
    fn sparing(&mut self) -> Option<Sql> {
        let wanted = self.spares_others;
        (self.told_to_spare.replace(wanted) != Some(wanted)).then(|| {
            Sql::fixed(if wanted {
                "SET max_parallel_maintenance_workers = 0"
            } else {
                "RESET max_parallel_maintenance_workers"
            })
        })
    }

    /// Sends what must go before, in a message of its own.
    fn open(&mut self, sql: &str, limit: Duration) -> Result<(), Fail> {
        let opening = self.opening(sql, limit);
        if opening.is_empty() {
            return Ok(());
        }
        let opening = Sql::fill(&StandardQuoting, "{all}", &[("all", Hole::Join(&opening, "; "))]);
        self.settled(|session| session.send(opening.as_str(), limit.min(SHORT))).map(drop)
    }

    /// Runs what may hold settings of ours: they go where it fails, with the transaction that it was part of.
    fn settled(&mut self, send: impl FnOnce(&mut Self) -> Result<Reply, Fail>) -> Result<Reply, Fail> {
        let answer = send(self);
        if answer.is_err() {
            (self.statement_timeout_ms, self.lock_timeout_ms, self.told_to_spare) = (None, None, None);
        }
        answer
    }

    fn run(&mut self, sql: &str, params: &[Value], limit: Duration) -> Result<Reply, Fail> {
        if self.transaction == Transaction::Void {
            return Err(given_up());
        }
        self.sweep()?;
        let outside = self.transaction == Transaction::None;
        match self.attempt(sql, params, limit) {
            Err((fail, true)) if outside && !fail.outcome_unknown() => {
                self.attempt(sql, params, limit).map_err(|(fail, _)| fail)
            }
            // The transaction is lost, and may succeed when it is done again.
            Err((fail, true)) => Err(Fail { kind: FailKind::Serialization, ..fail }),
            Err((fail, false)) => Err(fail),
            Ok(reply) => Ok(reply),
        }
    }

    /// Sends a statement; a failure comes with whether it only says that what was prepared is outdated.
    fn attempt(&mut self, sql: &str, params: &[Value], limit: Duration) -> Result<Reply, (Fail, bool)> {
        let framed = self.statements.framed(sql, params).map_err(|fail| (fail, false))?;
        if params.is_empty() && self.transaction == Transaction::None {
            // Alone: some statements cannot be one of several.
            self.open(sql, limit).map_err(|fail| (fail, false))?;
        }
        let opening = self.opening(sql, limit);
        let separator = if opening.is_empty() { "" } else { "; " };
        let opening = Sql::fill(&StandardQuoting, "{all}", &[("all", Hole::Join(&opening, "; "))]);
        let before = [opening.as_str(), separator, framed.head.as_str()].concat();
        let whole = [before.as_str(), if framed.shows { sql } else { "" }, framed.tail.as_str()].concat();
        let answer = self.settled(|session| session.send(&whole, limit));
        self.statements.answered(&framed, sql, params.len(), answer.as_ref().err());
        answer.map_err(|fail| {
            let outdated = framed.is_outdated(&fail);
            let position = fail.position.filter(|_| framed.shows);
            let position = position.map(|at| at.saturating_sub(before.len()).min(sql.len()));
            (Fail { position, ..fail }, outdated)
        })
    }

    /// Drops what is prepared and of no more use.
    fn sweep(&mut self) -> Result<(), Fail> {
        if self.transaction == Transaction::Failed {
            return Ok(());
        }
        let Some(question) = self.statements.sweep() else { return Ok(()) };
        self.open("", SHORT)?;
        let rows = self.send(question.as_str(), SHORT)?.rows;
        let there: Vec<_> = rows.iter().map(|row| server::text(row, 0)).collect();
        match self.statements.swept(&there) {
            Some(drops) => self.send(drops.as_str(), SHORT).map(drop),
            None => Ok(()),
        }
    }

    /// In one transaction: what is told of one table fits what is told of another.
    fn read_catalog(&mut self, choose: Option<&mut inspect::Choose<'_>>) -> Result<Catalog, Fail> {
        let own = self.transaction == Transaction::None;
        if own {
            self.begin(Begin::Read)?;
        }
        let version = self.login.version;
        let path = self.login.search_path.clone();
        let catalog = inspect::inspect(version, &path, &mut |sql| Ok(self.run(sql, &[], LONG)?.rows), choose);
        if own {
            self.rollback();
        }
        catalog
    }

    /// Where no transaction is open, one statement is one.
    fn committed_outside(&mut self) {
        if self.transaction == Transaction::None {
            self.standby_mark = None;
        }
    }
}

impl Session for PostgresSession {
    fn server(&mut self) -> Result<Server, Fail> {
        if self.transaction == Transaction::Void {
            return Err(given_up());
        }
        self.open("", SHORT)?;
        server::server(&mut self.wire, &self.login, self.transaction != Transaction::None, SHORT)
    }

    fn inspect(&mut self) -> Result<Catalog, Fail> {
        self.read_catalog(None)
    }

    fn inspect_about(&mut self, choose: &mut dyn FnMut(&Catalog) -> Vec<TableName>) -> Result<Catalog, Fail> {
        self.read_catalog(Some(choose))
    }

    fn shape(&mut self, tables: &[TableName]) -> Result<String, Fail> {
        let path = self.login.search_path.clone();
        if !self.shape_prepared {
            self.run(shape::preparation(self.login.version, &path).as_str(), &[], SHORT)?;
            self.shape_prepared = true;
        }
        let rows = self.run(shape::question(&path, tables).as_str(), &[], SHORT)?.rows;
        Ok(rows.first().map(|row| server::text(row, 0)).unwrap_or_default())
    }

    fn begin(&mut self, begin: Begin) -> Result<(), Fail> {
        if self.transaction != Transaction::None {
            return Err(Fail::new(FailKind::Usage, "a transaction is open already"));
        }
        self.lock_wait = match begin {
            Begin::Read => SHORT,
            Begin::Write { lock_wait } | Begin::Window { lock_wait } => lock_wait,
        };
        self.transaction = Transaction::Begun(begin);
        Ok(())
    }

    fn commit(&mut self) -> Result<(), Fail> {
        match self.transaction {
            Transaction::None => return Err(Fail::new(FailKind::Usage, "no transaction is open")),
            Transaction::Begun(_) => {
                self.transaction = Transaction::None;
                return Ok(());
            }
            Transaction::Failed | Transaction::Void => {
                self.rollback();
                return Err(Fail::new(
                    FailKind::Server,
                    "a statement of the transaction failed, so it was rolled back",
                ));
            }
            Transaction::Open => {}
        }
        let mut message = self.opening("", COMMIT);
        message.push(Sql::fixed("COMMIT"));
        let message = Sql::fill(&StandardQuoting, "{all}", &[("all", Hole::Join(&message, "; "))]);
        let answer = self.settled(|session| session.wire.send(message.as_str(), COMMIT));
        self.transaction = Transaction::None;
        self.standby_mark = None;
        answer.map(drop)
    }

    fn rollback(&mut self) {
        if matches!(self.transaction, Transaction::None | Transaction::Begun(_)) {
            self.transaction = Transaction::None;
            return;
        }
        self.transaction = Transaction::None;
        // A SET inside the transaction went with it.
        (self.statement_timeout_ms, self.lock_timeout_ms) = (None, None);
        if !self.wire.is_dead() && self.wire.send("ROLLBACK", SHORT).is_err() {
            // The server ends the transaction with the connection; whoever uses it next learns that it is lost.
            self.wire.give_up();
        }
    }

    fn lock(&mut self, locks: &[RelationLock]) -> Result<(), Fail> {
        let Some(question) = lock::not_tables(locks) else { return Ok(()) };
        let others: Vec<i64> =
            self.run(question.as_str(), &[], SHORT)?.rows.iter().filter_map(|row| row.first()?.as_i64()).collect();
        let tables = (0_i64..).zip(locks).filter(|(at, _)| !others.contains(at)).map(|(_, lock)| lock.clone());
        let Some((sql, number)) = lock::taking(&tables.collect::<Vec<_>>()) else { return Ok(()) };
        let limit = self.lock_wait.saturating_mul(number) + LOCK_MARGIN;
        self.run(sql.as_str(), &[], limit).map(drop)
    }

    fn execute(&mut self, sql: &str, params: &[Value], limit: Duration) -> Result<u64, Fail> {
        let count = self.run(sql, params, limit)?.count;
        self.committed_outside();
        Ok(count)
    }

    fn query(&mut self, sql: &str, params: &[Value], limit: Duration) -> Result<Vec<Row>, Fail> {
        Ok(self.run(sql, params, limit)?.rows)
    }

    fn blockers(&mut self, locks: &[RelationLock]) -> Result<Vec<Blocker>, Fail> {
        match blockers::query(locks) {
            Some(sql) => Ok(self.run(sql.as_str(), &[], SHORT)?.rows.iter().map(blockers::read).collect()),
            None => Ok(Vec::new()),
        }
    }

    fn backend(&mut self) -> Result<(i64, String), Fail> {
        let rows = self.run(include_str!("backend.sql"), &[], SHORT)?.rows;
        let row =
            rows.first().ok_or_else(|| Fail::new(FailKind::Server, "the server does not show our own backend"))?;
        if row[1] == Value::Null {
            return Err(hidden(&server::text(row, 2), &server::text(row, 3)));
        }
        Ok((row[0].as_i64().unwrap_or(0), server::text(row, 1)))
    }

    fn canceller(&self) -> Box<dyn Cancel> {
        Box::new(Canceller(Arc::clone(self.wire.route())))
    }

    /// Under load a standby is always a little behind; so the place that is asked for stays the same from call to call
    /// until every standby has it, or this session commits more.
    fn lagging_standbys(&mut self) -> Result<Vec<String>, Fail> {
        let mark = match &self.standby_mark {
            Some(mark) => mark.clone(),
            None => {
                let rows = self.run(include_str!("standby_mark.sql"), &[], SHORT)?.rows;
                rows.first().map(|row| server::text(row, 0)).unwrap_or_default()
            }
        };
        let rows = self.run(include_str!("standbys.sql"), &[Value::from(mark.as_str())], SHORT)?.rows;
        self.standby_mark = (!rows.is_empty()).then_some(mark);
        Ok(rows.iter().map(|row| server::text(row, 0)).collect())
    }

    fn pressure(&mut self, signals: &[Signal]) -> Result<Vec<(Signal, Reading)>, Fail> {
        let sql = pressure::question(signals, self.login.version);
        let lag = Arc::clone(&self.lag);
        // Kept while the server is asked: of two sessions that look, what one sees later is noted later.
        let mut lag = lag.lock().unwrap_or_else(PoisonError::into_inner);
        let asked = Instant::now();
        let rows = self.run(sql.as_str(), &[], SHORT)?.rows;
        Ok(pressure::readings(signals, &rows, &mut lag, asked, &self.wire.route().endpoint))
    }

    fn spare_others(&mut self, spare: bool) {
        self.spares_others = spare;
    }

    fn others_at_work(&mut self) -> Result<bool, Fail> {
        let rows = self.run(include_str!("others.sql"), &[], SHORT)?.rows;
        // What cannot be read may be work.
        Ok(rows.first().and_then(|row| row.first()).and_then(Value::as_bool).unwrap_or(true))
    }

    fn seconds_now(&mut self) -> Result<i64, Fail> {
        let sql = "SELECT pg_catalog.floor(EXTRACT(epoch FROM pg_catalog.clock_timestamp()))::bigint";
        let rows = self.run(sql, &[], SHORT)?.rows;
        let now = rows.first().and_then(|row| row.first()).and_then(Value::as_i64);
        now.ok_or_else(|| Fail::new(FailKind::Server, "the server does not tell the time"))
    }
}

/// Returns the statements that begin a transaction, as one text.
fn beginning(begin: Begin) -> Sql {
    match begin {
        Begin::Read => Sql::fixed("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET LOCAL lock_timeout = '5s'"),
        Begin::Write { lock_wait } => {
            writing("BEGIN ISOLATION LEVEL READ COMMITTED; SET LOCAL lock_timeout = {ms}{idle}", lock_wait)
        }
        Begin::Window { lock_wait } => writing(
            "BEGIN ISOLATION LEVEL READ COMMITTED; SET LOCAL synchronous_commit = off; SET LOCAL lock_timeout = {ms}{idle}",
            lock_wait,
        ),
    }
}

fn writing(template: &'static str, lock_wait: Duration) -> Sql {
    let ms = Hole::Int(i64::try_from(millis(lock_wait)).unwrap_or(i64::MAX));
    Sql::fill(&StandardQuoting, template, &[("ms", ms), ("idle", Hole::Sql(&idle_limit(lock_wait)))])
}

fn setting(template: &'static str, ms: u64) -> Sql {
    Sql::fill(&StandardQuoting, template, &[("ms", Hole::Int(i64::try_from(ms).unwrap_or(i64::MAX)))])
}

fn given_up() -> Fail {
    let message = "the transaction could not begin with its first statement, so nothing more is done in it";
    Fail::new(FailKind::Server, message)
}

fn millis(limit: Duration) -> u64 {
    // 0 would mean without end.
    u64::try_from(limit.as_millis()).unwrap_or(TIMEOUT_MS_MAX).clamp(1, TIMEOUT_MS_MAX)
}

/// A role that is set at login (`ALTER ROLE … SET role`) is shown no details of sessions that logged in as another, its own
/// among them: whether the holder of a lease is alive could not be told, and no backend that was left behind be found.
fn hidden(role: &str, login: &str) -> Fail {
    let message = format!(
        "the role {role}, which is set when {login} logs in, cannot see its own sessions: GRANT pg_read_all_stats TO {role}, \
         or log in as a role that is not changed"
    );
    Fail::new(FailKind::Usage, message)
}

fn idle_limit(lock_wait: Duration) -> Sql {
    if lock_wait <= LOCK_WAIT_QUICK {
        Sql::fixed("; SET LOCAL idle_in_transaction_session_timeout = '2s'")
    } else {
        Sql::fixed("")
    }
}

fn is_concurrent(sql: &str) -> bool {
    sql.split_whitespace().take(6).any(|word| word.eq_ignore_ascii_case("concurrently"))
}
