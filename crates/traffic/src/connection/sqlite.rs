//! An application on SQLite.

use std::path::Path;
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{OpenFlags, Statement, ToSql, params_from_iter};
use segue_model::value::{Row, Value};

use super::Connection;
use crate::place::Fault;

/// What applications set, and what most SQLite bindings default to.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// A connection to a file.
pub(crate) struct File(rusqlite::Connection);

impl File {
    pub(crate) fn open(path: &Path) -> Result<Self, Fault> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let file = rusqlite::Connection::open_with_flags(path, flags)?;
        file.busy_timeout(BUSY_TIMEOUT)?;
        // Else a quoted name of a column that is gone would be read as a text.
        file.set_db_config(DbConfig::SQLITE_DBCONFIG_DQS_DML, false)?;
        file.set_prepared_statement_cache_capacity(64);
        file.execute_batch("PRAGMA synchronous = NORMAL")?;
        Ok(Self(file))
    }
}

impl Connection for File {
    fn run(&mut self, sql: &'static str, values: &[Value]) -> Result<Vec<Row>, Fault> {
        let mut statement = self.0.prepare_cached(sql)?;
        let mut rows = Vec::new();
        each_row(&mut statement, values, &mut |row| rows.push(row))?;
        Ok(rows)
    }

    fn forget(&mut self, _sql: &'static str) {
        self.0.flush_prepared_statement_cache();
    }

    fn batch(&mut self, sql: &str) -> Result<(), Fault> {
        Ok(self.0.execute_batch(sql)?)
    }

    fn understands(&mut self, sql: &'static str) -> Result<bool, Fault> {
        match self.0.prepare(sql) {
            Ok(_) => Ok(true),
            // An unknown name, at a place in the text.
            Err(rusqlite::Error::SqlInputError { .. }) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    fn scan(&mut self, sql: &'static str, each: &mut dyn FnMut(Row)) -> Result<(), Fault> {
        let mut statement = self.0.prepare(sql)?;
        each_row(&mut statement, &[], each)
    }
}

fn each_row(statement: &mut Statement<'_>, values: &[Value], each: &mut dyn FnMut(Row)) -> Result<(), Fault> {
    let columns = statement.column_count();
    let mut rows = statement.query(params_from_iter(values.iter().map(Parameter)))?;
    while let Some(row) = rows.next()? {
        each((0..columns).map(|at| row.get_ref(at).map(value_of)).collect::<Result<Row, _>>()?);
    }
    Ok(())
}

struct Parameter<'a>(&'a Value);

impl ToSql for Parameter<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self.0 {
            Value::Null => ValueRef::Null,
            Value::Int(n) => ValueRef::Integer(*n),
            Value::Real(x) => ValueRef::Real(*x),
            Value::Text(text) => ValueRef::Text(text.as_bytes()),
            Value::Bytes(bytes) => ValueRef::Blob(bytes),
        }))
    }
}

fn value_of(value: ValueRef<'_>) -> Value {
    match value {
        ValueRef::Null => Value::Null,
        ValueRef::Integer(n) => Value::Int(n),
        ValueRef::Real(x) => Value::Real(x),
        // Bytes that are not UTF-8 are kept apart: they must not compare equal to a text that merely looks alike.
        ValueRef::Text(text) => match std::str::from_utf8(text) {
            Ok(text) => Value::Text(text.to_owned()),
            Err(_) => Value::Bytes(text.to_vec()),
        },
        ValueRef::Blob(bytes) => Value::Bytes(bytes.to_vec()),
    }
}

impl From<rusqlite::Error> for Fault {
    fn from(error: rusqlite::Error) -> Self {
        Self::Refused(error.to_string())
    }
}
