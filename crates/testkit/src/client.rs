//! A small blocking PostgreSQL client for tests: SQL in, text out.

use std::fmt;
use std::time::Duration;

use tokio::runtime::Runtime;
use tokio_postgres::{NoTls, SimpleQueryMessage};

/// No statement of a test takes longer.
const DEADLINE: Duration = Duration::from_secs(120);

/// One connection. The plain methods panic with the SQL and the server's message, the `try_` ones return it.
pub struct Client {
    runtime: Runtime,
    client: tokio_postgres::Client,
}

/// One row: every value as text, or NULL.
pub type Row = Vec<Option<String>>;

/// What the server said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SqlError {
    /// SQLSTATE; empty when no server spoke.
    pub code: String,
    /// The message.
    pub message: String,
}

impl fmt::Display for SqlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} [{}]", self.message, self.code)
    }
}

impl std::error::Error for SqlError {}

impl Client {
    /// Connects.
    ///
    /// # Panics
    /// When the server does not let us in.
    #[track_caller]
    pub fn connect(url: &str) -> Self {
        Self::try_connect(url).unwrap_or_else(|error| panic!("cannot connect to {url}: {error}"))
    }

    /// Connects.
    ///
    /// # Errors
    /// What the server, or the way to it, said.
    pub fn try_connect(url: &str) -> Result<Self, SqlError> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime of one thread can be built");
        let connecting = async { tokio::time::timeout(DEADLINE, tokio_postgres::connect(url, NoTls)).await };
        let (client, connection) = runtime.block_on(connecting).map_err(|_| too_long())?.map_err(translated)?;
        // The task ends with the connection; what it would say reaches us through the statement that fails.
        runtime.spawn(async move { drop(connection.await) });
        Ok(Self { runtime, client })
    }

    /// Runs statements.
    ///
    /// # Panics
    /// When one fails.
    #[track_caller]
    pub fn batch(&mut self, sql: &str) {
        self.try_batch(sql).unwrap_or_else(|error| panic!("{error}\n{sql}"));
    }

    /// Runs statements.
    ///
    /// # Errors
    /// What the server said to the first that failed.
    pub fn try_batch(&mut self, sql: &str) -> Result<(), SqlError> {
        let running = async { tokio::time::timeout(DEADLINE, self.client.batch_execute(sql)).await };
        self.runtime.block_on(running).map_err(|_| too_long())?.map_err(translated)
    }

    /// Runs statements and returns all their rows.
    ///
    /// # Panics
    /// When one fails.
    #[track_caller]
    pub fn rows(&mut self, sql: &str) -> Vec<Row> {
        self.try_rows(sql).unwrap_or_else(|error| panic!("{error}\n{sql}"))
    }

    /// Runs statements and returns all their rows.
    ///
    /// # Errors
    /// What the server said to the first that failed.
    pub fn try_rows(&mut self, sql: &str) -> Result<Vec<Row>, SqlError> {
        let running = async { tokio::time::timeout(DEADLINE, self.client.simple_query(sql)).await };
        let messages = self.runtime.block_on(running).map_err(|_| too_long())?.map_err(translated)?;
        Ok(messages.iter().filter_map(texts).collect())
    }

    /// Returns the one value of a query; `None` when it is NULL.
    ///
    /// # Panics
    /// When it fails or gives no row.
    #[track_caller]
    pub fn value(&mut self, sql: &str) -> Option<String> {
        let rows = self.rows(sql);
        let row = rows.first().unwrap_or_else(|| panic!("no row\n{sql}"));
        row.first().cloned().unwrap_or_else(|| panic!("no column\n{sql}"))
    }

    /// Returns the first column of a query that takes texts as `$1`, `$2`, ….
    ///
    /// # Panics
    /// When it fails, or the column is not of type text or NULL: a line that is lost would go unseen.
    #[track_caller]
    pub fn column(&mut self, sql: &str, texts: &[&str]) -> Vec<String> {
        let parameters: Vec<&(dyn tokio_postgres::types::ToSql + Sync)> = texts.iter().map(|text| text as _).collect();
        let running = async { tokio::time::timeout(DEADLINE, self.client.query(sql, &parameters)).await };
        let result = self.runtime.block_on(running).map_err(|_| too_long()).and_then(|rows| rows.map_err(translated));
        let rows = result.unwrap_or_else(|error| panic!("{error}\n{sql}"));
        rows.iter().map(|row| row.get(0)).collect()
    }

    /// Returns the backend's process id.
    ///
    /// # Panics
    /// When the connection is gone.
    #[track_caller]
    pub fn pid(&mut self) -> i32 {
        let pid = self.value("SELECT pg_backend_pid()").expect("a backend has a number");
        pid.parse().expect("it is a number")
    }
}

/// Returns a row's values as text; `None` for what is no row.
fn texts(message: &SimpleQueryMessage) -> Option<Row> {
    match message {
        SimpleQueryMessage::Row(row) => Some((0..row.len()).map(|at| row.get(at).map(str::to_owned)).collect()),
        _ => None,
    }
}

fn too_long() -> SqlError {
    SqlError { code: String::new(), message: format!("no answer within {} s", DEADLINE.as_secs()) }
}

#[allow(clippy::needless_pass_by_value, reason = "it is used by map_err")]
fn translated(error: tokio_postgres::Error) -> SqlError {
    match error.as_db_error() {
        Some(server) => SqlError { code: server.code().code().to_owned(), message: server.message().to_owned() },
        None => SqlError { code: String::new(), message: chain(&error) },
    }
}

/// Returns an error with its causes: the driver's own text says only `error connecting to server`.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text.push_str(": ");
        text.push_str(&inner.to_string());
        cause = inner.source();
    }
    text
}

/// Returns a name as an SQL identifier.
pub fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}
