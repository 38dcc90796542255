//! What goes into and comes out of a statement.

use serde::{Deserialize, Serialize};

/// A value that a statement takes or gives. PostgreSQL gives text for everything but NULL.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Value {
    /// No value.
    Null,
    /// A whole number.
    Int(i64),
    /// A floating-point number (SQLite only).
    Real(f64),
    /// Text.
    Text(String),
    /// Bytes (SQLite only).
    Bytes(Vec<u8>),
}

impl Value {
    /// Returns the whole number, also where the server gave it as text.
    pub fn as_i64(&self) -> Option<i64> {
        match self {
            Self::Int(n) => Some(*n),
            Self::Text(text) => text.parse().ok(),
            Self::Null | Self::Real(_) | Self::Bytes(_) => None,
        }
    }

    /// Returns the text, where it is one.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            Self::Null | Self::Int(_) | Self::Real(_) | Self::Bytes(_) => None,
        }
    }

    /// Returns what a boolean of either engine says: `t`/`f`, `true`/`false`, 1/0.
    pub fn as_bool(&self) -> Option<bool> {
        match self {
            Self::Int(n) => Some(*n != 0),
            Self::Text(text) => match text.as_str() {
                "t" | "true" | "1" => Some(true),
                "f" | "false" | "0" => Some(false),
                _ => None,
            },
            Self::Null | Self::Real(_) | Self::Bytes(_) => None,
        }
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<i64> for Value {
    fn from(n: i64) -> Self {
        Self::Int(n)
    }
}

/// One row of an answer.
pub type Row = Vec<Value>;
