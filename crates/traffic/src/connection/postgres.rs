//! An application on PostgreSQL.

use std::collections::HashMap;
use std::error::Error;
use std::future::Future;
use std::time::Duration;

use segue_model::value::{Row, Value};
use tokio::runtime::{Builder, Runtime};
use tokio::time::timeout;
use tokio_postgres::error::SqlState;
use tokio_postgres::types::private::BytesMut;
use tokio_postgres::types::{IsNull, ToSql, Type, to_sql_checked};
use tokio_postgres::{Client, Config, NoTls, Statement};

use super::Connection;
use crate::place::Fault;

/// Longer than any stall worth measuring: what takes longer is reported as lost.
const ANSWER_WITHIN: Duration = Duration::from_secs(60);
/// The final comparison reads the whole table; each batch of rows gets this long.
const BATCH_WITHIN: Duration = Duration::from_secs(300);
const ROWS_A_BATCH: i32 = 5_000;

/// A connection to a server, with a runtime of its own that runs only while the application waits.
pub(crate) struct Server {
    runtime: Runtime,
    client: Client,
    statements: HashMap<&'static str, Statement>,
}

impl Server {
    pub(crate) fn connect(url: &str) -> Result<Self, Fault> {
        let runtime =
            Builder::new_current_thread().enable_all().build().map_err(|error| Fault::Refused(error.to_string()))?;
        let mut config: Config = url.parse().map_err(fault)?;
        config.application_name("application").connect_timeout(Duration::from_secs(10));
        let (client, connection) = runtime.block_on(within(ANSWER_WITHIN, config.connect(NoTls)))?;
        // Its outcome shows at the next request of the client.
        drop(runtime.spawn(connection));
        Ok(Self { runtime, client, statements: HashMap::new() })
    }

    fn prepared(&mut self, sql: &'static str) -> Result<Statement, Fault> {
        if let Some(statement) = self.statements.get(sql) {
            return Ok(statement.clone());
        }
        let statement = self.runtime.block_on(within(ANSWER_WITHIN, self.client.prepare(sql)))?;
        self.statements.insert(sql, statement.clone());
        Ok(statement)
    }
}

impl Connection for Server {
    fn run(&mut self, sql: &'static str, values: &[Value]) -> Result<Vec<Row>, Fault> {
        let statement = self.prepared(sql)?;
        let parameters: Vec<Parameter<'_>> = values.iter().map(Parameter).collect();
        let parameters: Vec<&(dyn ToSql + Sync)> = parameters.iter().map(|p| p as &(dyn ToSql + Sync)).collect();
        let rows = self.runtime.block_on(within(ANSWER_WITHIN, self.client.query(&statement, &parameters)))?;
        rows.iter().map(row_of).collect()
    }

    fn forget(&mut self, sql: &'static str) {
        self.statements.remove(sql);
    }

    fn batch(&mut self, sql: &str) -> Result<(), Fault> {
        self.runtime.block_on(within(BATCH_WITHIN, self.client.batch_execute(sql)))
    }

    fn understands(&mut self, sql: &'static str) -> Result<bool, Fault> {
        let prepare = async { timeout(ANSWER_WITHIN, self.client.prepare(sql)).await };
        match self.runtime.block_on(prepare) {
            Ok(Ok(_)) => Ok(true),
            Ok(Err(error)) => match error.code() {
                Some(&SqlState::UNDEFINED_COLUMN | &SqlState::UNDEFINED_TABLE) => Ok(false),
                _ => Err(fault(error)),
            },
            Err(_) => Err(no_answer(ANSWER_WITHIN)),
        }
    }

    fn scan(&mut self, sql: &'static str, each: &mut dyn FnMut(Row)) -> Result<(), Fault> {
        let Self { runtime, client, .. } = self;
        runtime.block_on(async {
            let transaction = within(ANSWER_WITHIN, client.transaction()).await?;
            let portal = within(ANSWER_WITHIN, transaction.bind(sql, &[])).await?;
            loop {
                let rows = within(BATCH_WITHIN, transaction.query_portal(&portal, ROWS_A_BATCH)).await?;
                if rows.is_empty() {
                    return within(ANSWER_WITHIN, transaction.commit()).await;
                }
                for row in &rows {
                    each(row_of(row)?);
                }
            }
        })
    }
}

async fn within<T>(limit: Duration, asked: impl Future<Output = Result<T, tokio_postgres::Error>>) -> Result<T, Fault> {
    match timeout(limit, asked).await {
        Ok(answer) => answer.map_err(fault),
        Err(_) => Err(no_answer(limit)),
    }
}

fn no_answer(limit: Duration) -> Fault {
    Fault::Lost(format!("no answer within {} s", limit.as_secs()))
}

fn fault(error: tokio_postgres::Error) -> Fault {
    let text = match error.as_db_error() {
        Some(said) => format!("{} ({})", said.message(), said.code().code()),
        None => error.to_string(),
    };
    if error.code() == Some(&SqlState::FEATURE_NOT_SUPPORTED) {
        Fault::Stale(text)
    } else if lost(&error) {
        Fault::Lost(text)
    } else {
        Fault::Refused(text)
    }
}

/// Tells whether the connection is gone. `is_closed` alone says no to an ended backend and to a reset socket.
fn lost(error: &tokio_postgres::Error) -> bool {
    error.is_closed()
        || error.source().is_some_and(|source| source.is::<std::io::Error>())
        || error.code().is_some_and(|state| {
            state.code().starts_with("08") || matches!(state.code(), "57P01" | "57P02" | "57P03" | "57P05")
        })
}

#[derive(Debug)]
struct Parameter<'a>(&'a Value);

impl ToSql for Parameter<'_> {
    fn to_sql(&self, ty: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        match self.0 {
            Value::Null => Ok(IsNull::Yes),
            Value::Int(n) if *ty == Type::INT4 => i32::try_from(*n)?.to_sql(ty, out),
            Value::Int(n) => n.to_sql(ty, out),
            Value::Real(x) => x.to_sql(ty, out),
            Value::Text(text) => text.to_sql(ty, out),
            Value::Bytes(bytes) => bytes.to_sql(ty, out),
        }
    }

    fn accepts(ty: &Type) -> bool {
        [Type::INT4, Type::INT8, Type::TEXT, Type::VARCHAR].contains(ty)
    }

    to_sql_checked!();
}

fn row_of(row: &tokio_postgres::Row) -> Result<Row, Fault> {
    (0..row.len()).map(|at| value_at(row, at).map_err(fault)).collect()
}

fn value_at(row: &tokio_postgres::Row, at: usize) -> Result<Value, tokio_postgres::Error> {
    let ty = row.columns()[at].type_();
    Ok(if *ty == Type::INT4 {
        row.try_get::<_, Option<i32>>(at)?.map_or(Value::Null, |n| Value::Int(n.into()))
    } else if *ty == Type::INT8 {
        row.try_get::<_, Option<i64>>(at)?.map_or(Value::Null, Value::Int)
    } else {
        row.try_get::<_, Option<String>>(at)?.map_or(Value::Null, Value::Text)
    })
}
