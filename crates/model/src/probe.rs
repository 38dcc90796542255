//! A bounded, read-only question to the server that a plan needs answered.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::sql::Sql;
use crate::value::Row;

/// A question. Run in a read-only transaction with a limit of a few seconds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Probe {
    /// What the answer is filed under.
    pub key: String,
    /// A SELECT that gives at most 1,000 rows.
    pub sql: Sql,
}

/// What the server said.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Answer {
    /// The rows.
    Rows(Vec<Row>),
    /// The server refused: an expression that raises, a type that does not fit.
    Failed {
        /// SQLSTATE or extended result code.
        code: String,
        /// The server's message.
        message: String,
    },
    /// It took longer than allowed, so the answer is unknown.
    TimedOut,
}

/// Answers by the key of their probe.
pub type Answers = BTreeMap<String, Answer>;
