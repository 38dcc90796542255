//! One connection behind a blocking façade in which every call has a deadline.

use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use segue_model::session::{Fail, FailKind};
use segue_model::value::{Row, Value};
use tokio::runtime::Runtime;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_postgres::{Client, SimpleQueryMessage};

use super::cancel::Route;
use super::error;

/// How much later than the server's own `statement_timeout` ours strikes, so that the server is heard where it can speak.
const MARGIN: Duration = Duration::from_millis(500);

/// How long a server may take to receive a cancel request, and then to obey it.
const GRACE: Duration = Duration::from_secs(1);

/// How long the farewell may take.
const FAREWELL: Duration = Duration::from_millis(200);

/// An open connection.
pub(super) struct Wire {
    /// `None` only while it is being dropped.
    client: Option<Client>,
    reader: JoinHandle<()>,
    route: Arc<Route>,
    /// No answer will come any more, or one that nobody waits for.
    dead: bool,
    /// Last, so that it outlives the rest.
    runtime: Runtime,
}

/// What the server answered to one message.
#[derive(Debug, Default)]
pub(super) struct Reply {
    /// The rows of all its statements.
    pub(super) rows: Vec<Row>,
    /// Rows that its statements gave or changed.
    pub(super) count: u64,
}

impl Wire {
    /// Wraps a connection that was made on `runtime`.
    pub(super) fn new(runtime: Runtime, client: Client, reader: JoinHandle<()>, route: Route) -> Self {
        Self { client: Some(client), reader, route: Arc::new(route), dead: false, runtime }
    }

    /// Returns what cancels our statement.
    pub(super) fn route(&self) -> &Arc<Route> {
        &self.route
    }

    /// Returns whether no further statement can be run.
    pub(super) fn is_dead(&self) -> bool {
        self.dead
    }

    /// Marks the connection as of no further use.
    pub(super) fn give_up(&mut self) {
        self.dead = true;
    }

    /// Sends one message of the simple protocol: one statement, or several that are one transaction.
    ///
    /// After `limit` the statement is cancelled; a server that does not obey is given up, so a call ends within 2.5 s of it.
    pub(super) fn send(&mut self, sql: &str, limit: Duration) -> Result<Reply, Fail> {
        if sql.contains('\0') {
            return Err(Fail::new(FailKind::Conversion, "a statement cannot hold a NUL character"));
        }
        let client = self.client.as_ref().filter(|_| !self.dead);
        let client = client.ok_or_else(|| Fail::new(FailKind::Lost, "the connection to the server is lost"))?;
        let begun = Instant::now();
        let route = &self.route;
        let outcome = self.runtime.block_on(async {
            let mut answer = pin!(client.simple_query(sql));
            if let Ok(answer) = timeout(limit + MARGIN, &mut answer).await {
                return Some(answer);
            }
            // Whether the request arrives does not matter: what matters is whether the statement ends.
            drop(timeout(GRACE, route.send()).await);
            timeout(GRACE, answer).await.ok()
        });
        match outcome {
            Some(Ok(messages)) => Ok(reply(messages)),
            Some(Err(error)) => Err(self.failed(error::statement(&error, sql), begun.elapsed() >= limit, limit)),
            None => {
                self.dead = true;
                Err(too_late(limit))
            }
        }
    }

    /// `statement_timeout` and a cancel request have one SQLSTATE; only the time tells them apart in every language.
    fn failed(&mut self, fail: Fail, late: bool, limit: Duration) -> Fail {
        match fail.kind {
            FailKind::Cancelled if late => Fail { code: fail.code, ..too_late(limit) },
            FailKind::Lost => {
                self.dead = true;
                fail
            }
            _ => fail,
        }
    }
}

impl Drop for Wire {
    /// Says goodbye, so that the server does not log an unexpected end.
    fn drop(&mut self) {
        drop(self.client.take());
        if !self.dead {
            let reader = &mut self.reader;
            self.runtime.block_on(async { timeout(FAREWELL, reader).await.ok() });
        }
    }
}

fn too_late(limit: Duration) -> Fail {
    Fail::new(FailKind::Deadline, format!("no answer within {} ms", limit.as_millis()))
}

fn reply(messages: Vec<SimpleQueryMessage>) -> Reply {
    let mut reply = Reply::default();
    for message in messages {
        match message {
            SimpleQueryMessage::Row(row) => {
                let values = (0..row.len()).map(|at| row.get(at).map_or(Value::Null, Value::from));
                reply.rows.push(values.collect());
            }
            SimpleQueryMessage::CommandComplete(rows) => reply.count += rows,
            _ => {}
        }
    }
    reply
}
