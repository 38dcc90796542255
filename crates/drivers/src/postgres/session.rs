//! [`Session`] over one connection.

use std::sync::Arc;
use std::time::Duration;

use segue_model::catalog::Catalog;
use segue_model::ident::{Ident, TableName};
use segue_model::lock::{LockMode, RelationLock};
use segue_model::server::Server;
use segue_model::session::{Begin, Blocker, Cancel, Fail, FailKind, Session};
use segue_model::sql::{Hole, Sql, StandardQuoting};
use segue_model::value::{Row, Value};

use super::cancel::Canceller;
use super::run::{Reply, Wire};
use super::server::{self, Login};
use super::{blockers, inspect, shape};

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
    /// The longest wait for one lock in the open transaction.
    lock_wait: Duration,
    /// The question for a shape is prepared; it stays so whatever becomes of the transaction.
    shape_prepared: bool,
    /// Numbers the prepared statements, so that one that outlived an error does not stand in the way.
    statements: u64,
    /// The place in the WAL that standbys are asked for, until they have it or more is committed here.
    standby_mark: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Transaction {
    None,
    Open,
    /// A statement failed: COMMIT would answer as if all were well and roll back.
    Failed,
}

impl PostgresSession {
    pub(super) fn new(wire: Wire, login: Login) -> Self {
        Self {
            wire,
            login,
            transaction: Transaction::None,
            statement_timeout_ms: None,
            lock_timeout_ms: None,
            lock_wait: Duration::ZERO,
            shape_prepared: false,
            statements: 0,
            standby_mark: None,
        }
    }

    /// Sends `sql` and keeps account of what it does to the transaction.
    fn send(&mut self, sql: &str, limit: Duration) -> Result<Reply, Fail> {
        let answer = self.wire.send(sql, limit);
        match (&answer, self.transaction) {
            (Err(_), Transaction::Open) => self.transaction = Transaction::Failed,
            // Only ROLLBACK TO SAVEPOINT succeeds in a failed transaction.
            (Ok(_), Transaction::Failed) => self.transaction = Transaction::Open,
            _ => {}
        }
        answer
    }

    /// Lets the server end the statement itself: it does so also when we are gone.
    fn budget(&mut self, sql: &str, limit: Duration) -> Result<(), Fail> {
        if self.transaction == Transaction::Failed {
            return Ok(());
        }
        let statement = millis(limit);
        if self.statement_timeout_ms != Some(statement) {
            self.set("SET statement_timeout = {ms}", statement, limit)?;
            self.statement_timeout_ms = Some(statement);
        }
        if self.transaction == Transaction::None {
            // CREATE INDEX CONCURRENTLY waits for every older transaction, and must.
            let wait = if is_concurrent(sql) { 0 } else { LOCK_WAIT_OUTSIDE_MS };
            if self.lock_timeout_ms != Some(wait) {
                self.set("SET lock_timeout = {ms}", wait, limit)?;
                self.lock_timeout_ms = Some(wait);
            }
        }
        Ok(())
    }

    fn set(&mut self, template: &'static str, ms: u64, limit: Duration) -> Result<(), Fail> {
        let ms = i64::try_from(ms).unwrap_or(i64::MAX);
        self.send(Sql::fill(&StandardQuoting, template, &[("ms", Hole::Int(ms))]).as_str(), limit.min(SHORT))?;
        Ok(())
    }

    fn run(&mut self, sql: &str, params: &[Value], limit: Duration) -> Result<Reply, Fail> {
        self.budget(sql, limit)?;
        if params.is_empty() {
            return self.send(sql, limit);
        }
        self.statements += 1;
        let (head, tail) = framed(self.statements, params)?;
        let whole = [head.as_str(), sql, tail.as_str()].concat();
        self.send(&whole, limit).map_err(|fail| Fail {
            position: fail.position.map(|at| at.saturating_sub(head.as_str().len()).min(sql.len())),
            ..fail
        })
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
        self.budget("", SHORT)?;
        server::server(&mut self.wire, &self.login, self.transaction != Transaction::None, SHORT)
    }

    fn inspect(&mut self) -> Result<Catalog, Fail> {
        let own = self.transaction == Transaction::None;
        if own {
            self.begin(Begin::Read)?;
        }
        let version = self.login.version;
        let path = self.login.search_path.clone();
        let catalog = inspect::inspect(version, &path, &mut |sql| Ok(self.run(sql, &[], LONG)?.rows));
        if own {
            self.rollback();
        }
        catalog
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
        let sql = match begin {
            Begin::Read => Sql::fixed("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET LOCAL lock_timeout = '5s'"),
            Begin::Write { lock_wait } => Sql::fill(
                &StandardQuoting,
                "BEGIN ISOLATION LEVEL READ COMMITTED; SET LOCAL lock_timeout = {ms}{idle}",
                &[
                    ("ms", Hole::Int(i64::try_from(millis(lock_wait)).unwrap_or(i64::MAX))),
                    ("idle", Hole::Sql(&idle_limit(lock_wait))),
                ],
            ),
        };
        self.wire.send(sql.as_str(), SHORT)?;
        self.lock_wait = match begin {
            Begin::Read => SHORT,
            Begin::Write { lock_wait } => lock_wait,
        };
        self.transaction = Transaction::Open;
        Ok(())
    }

    fn commit(&mut self) -> Result<(), Fail> {
        match self.transaction {
            Transaction::None => return Err(Fail::new(FailKind::Usage, "no transaction is open")),
            Transaction::Failed => {
                self.rollback();
                return Err(Fail::new(
                    FailKind::Server,
                    "a statement of the transaction failed, so it was rolled back",
                ));
            }
            Transaction::Open => {}
        }
        let answer = self.budget("", COMMIT).and_then(|()| self.wire.send("COMMIT", COMMIT));
        self.transaction = Transaction::None;
        self.standby_mark = None;
        if answer.is_err() {
            self.statement_timeout_ms = None;
        }
        answer.map(drop)
    }

    fn rollback(&mut self) {
        if self.transaction == Transaction::None {
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
        let mut wanted: Vec<_> = locks.iter().filter_map(|lock| Some((word(lock.mode)?, lock))).collect();
        if wanted.is_empty() {
            return Ok(());
        }
        // Strongest last: the wait for it then happens with everything else in hand, and only once.
        wanted.sort_by(|(_, one), (_, other)| (one.mode, &one.relation).cmp(&(other.mode, &other.relation)));
        let statements: Vec<_> = wanted
            .iter()
            .map(|(mode, lock)| {
                let holes = [("table", Hole::Table(&lock.relation)), ("mode", Hole::Sql(mode))];
                Sql::fill(&StandardQuoting, "LOCK TABLE {table} IN {mode} MODE", &holes)
            })
            .collect();
        let sql = Sql::fill(&StandardQuoting, "{all}", &[("all", Hole::Join(&statements, "; "))]);
        let each = u32::try_from(statements.len()).unwrap_or(u32::MAX);
        let limit = self.lock_wait.saturating_mul(each) + LOCK_MARGIN;
        self.budget(sql.as_str(), limit)?;
        self.send(sql.as_str(), limit).map(drop)
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

/// Returns what stands before and after a statement with parameters.
///
/// PREPARE and EXECUTE in one message of the simple protocol: the server binds the values, and every type of result comes
/// back as text, which the extended protocol of the driver cannot do.
fn framed(number: u64, params: &[Value]) -> Result<(Sql, Sql), Fail> {
    let name = Ident::of_ours("segue", "", &number.to_string(), 63);
    let types = vec![Sql::fixed("text"); params.len()];
    let values = params.iter().map(literal).collect::<Result<Vec<_>, _>>()?;
    let head = Sql::fill(
        &StandardQuoting,
        "PREPARE {name} ({types}) AS ",
        &[("name", Hole::Name(&name)), ("types", Hole::Join(&types, ", "))],
    );
    // On a line of its own: the statement may end with a comment.
    let tail = Sql::fill(
        &StandardQuoting,
        "\n; EXECUTE {name} ({values}); DEALLOCATE {again}",
        &[("name", Hole::Name(&name)), ("values", Hole::Join(&values, ", ")), ("again", Hole::Name(&name))],
    );
    Ok((head, tail))
}

fn literal(value: &Value) -> Result<Sql, Fail> {
    let text = match value {
        Value::Null => return Ok(Sql::fixed("NULL")),
        Value::Int(number) => number.to_string(),
        Value::Text(text) => text.clone(),
        Value::Real(_) | Value::Bytes(_) => {
            return Err(Fail::new(FailKind::Usage, "PostgreSQL takes parameters as text or whole numbers"));
        }
    };
    Ok(Sql::fill(&StandardQuoting, "{value}", &[("value", Hole::Text(&text))]))
}

/// Returns how LOCK TABLE spells a mode; SQLite's have none.
fn word(mode: LockMode) -> Option<Sql> {
    let word = match mode {
        LockMode::None | LockMode::Write => return None,
        LockMode::AccessShare => "ACCESS SHARE",
        LockMode::RowShare => "ROW SHARE",
        LockMode::RowExclusive => "ROW EXCLUSIVE",
        LockMode::ShareUpdateExclusive => "SHARE UPDATE EXCLUSIVE",
        LockMode::Share => "SHARE",
        LockMode::ShareRowExclusive => "SHARE ROW EXCLUSIVE",
        LockMode::Exclusive => "EXCLUSIVE",
        LockMode::AccessExclusive => "ACCESS EXCLUSIVE",
    };
    Some(Sql::fixed(word))
}
