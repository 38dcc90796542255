//! One connection as an application holds it: prepared statements, autocommit.

pub(crate) mod postgres;
pub(crate) mod sqlite;

use segue_model::value::{Row, Value};

use crate::place::Fault;

/// One connection of an application.
pub(crate) trait Connection: Send {
    /// Runs a statement, prepared at its first use on this connection.
    fn run(&mut self, sql: &'static str, values: &[Value]) -> Result<Vec<Row>, Fault>;

    /// Forgets a prepared statement, so that its next use prepares it anew.
    fn forget(&mut self, sql: &'static str);

    /// Runs statements that take and give nothing.
    fn batch(&mut self, sql: &str) -> Result<(), Fault>;

    /// Tells whether the database understands the statement: whether the table and the columns it names are there.
    fn understands(&mut self, sql: &'static str) -> Result<bool, Fault>;

    /// Gives each row of a query to `each`, in bounded memory.
    fn scan(&mut self, sql: &'static str, each: &mut dyn FnMut(Row)) -> Result<(), Fault>;
}
