//! Where the application's database is.

use std::path::PathBuf;

use segue_model::engine::Engine;

use crate::connection::{Connection, postgres, sqlite};

/// Where the application's database is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// A file that exists.
    Sqlite(PathBuf),
    /// A URL, reached without TLS. A schema other than `public` is named in it: `?options=-c%20search_path%3Dapp`.
    Postgres(String),
}

/// Why the application's database did not do what a client asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// The connection is gone, or there was no answer in time: whether a write happened is unknown.
    Lost(String),
    /// A prepared statement no longer fits the table (SQLSTATE 0A000): it must be prepared again.
    Stale(String),
    /// Anything else; nothing was done.
    Refused(String),
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Lost(why) => write!(f, "connection lost: {why}"),
            Self::Stale(why) | Self::Refused(why) => f.write_str(why),
        }
    }
}

impl std::error::Error for Fault {}

impl Place {
    /// Returns the product that is there.
    pub fn engine(&self) -> Engine {
        match self {
            Self::Sqlite(_) => Engine::Sqlite,
            Self::Postgres(_) => Engine::Postgres,
        }
    }

    pub(crate) fn connect(&self) -> Result<Box<dyn Connection>, Fault> {
        Ok(match self {
            Self::Sqlite(path) => Box::new(sqlite::File::open(path)?),
            Self::Postgres(url) => Box::new(postgres::Server::connect(url)?),
        })
    }
}
