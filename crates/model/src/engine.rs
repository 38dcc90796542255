//! Which database product is spoken to.

use serde::{Deserialize, Serialize};

/// A database product. Only a name: what a product can do stands behind the `Dialect` and `Connector` traits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Engine {
    /// PostgreSQL 13 to 18.
    Postgres,
    /// SQLite 3.35 and later.
    Sqlite,
}

impl Engine {
    /// Returns the name that people use.
    pub fn product(self) -> &'static str {
        match self {
            Self::Postgres => "PostgreSQL",
            Self::Sqlite => "SQLite",
        }
    }
}
