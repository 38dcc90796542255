//! Who answers: product, version, identity and the settings that change an answer.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::engine::Engine;

/// A server as one of our sessions sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Server {
    /// The product.
    pub engine: Engine,
    /// Its version.
    pub version: Version,
    /// Which database this is.
    pub identity: Identity,
    /// The role that we are (PostgreSQL).
    pub role: String,
    /// That role is a superuser.
    pub superuser: bool,
    /// That role passes row security.
    pub bypass_row_security: bool,
    /// That role may keep the user's triggers asleep while it writes (PostgreSQL: `session_replication_role`).
    pub silences_triggers: bool,
    /// It replays another server's WAL: no writes here.
    pub standby: bool,
    /// The session or the file refuses writes.
    pub read_only: bool,
    /// The connection goes through a pooler that changes backends between transactions.
    pub pooled: bool,
    /// SQLite: the oldest library that writes this file, as `sqlite.app_version` or the file's header says.
    pub app_version: Option<Version>,
    /// Settings that change what an expression means or what a statement does (`TimeZone`, `DateStyle`, `search_path`, `journal_mode`, …).
    pub settings: BTreeMap<String, String>,
}

/// A version number.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Version {
    /// PostgreSQL 15.4 → 15; SQLite 3.54.1 → 3.
    pub major: u32,
    /// PostgreSQL 15.4 → 4; SQLite 3.54.1 → 54.
    pub minor: u32,
    /// SQLite 3.54.1 → 1.
    pub patch: u32,
}

impl Version {
    /// Returns what plans call the major version: `15` for PostgreSQL, `3.54` for SQLite.
    pub fn major_text(&self, engine: Engine) -> String {
        match engine {
            Engine::Postgres => self.major.to_string(),
            Engine::Sqlite => format!("{}.{}", self.major, self.minor),
        }
    }

    /// Returns the whole version.
    pub fn text(&self, engine: Engine) -> String {
        match engine {
            Engine::Postgres => format!("{}.{}", self.major, self.minor),
            Engine::Sqlite => format!("{}.{}.{}", self.major, self.minor, self.patch),
        }
    }
}

/// Which database a journal belongs to.
///
/// PostgreSQL: system identifier and database oid, with the timeline apart (a failover changes only that). SQLite: a random
/// text written into the journal when it is created, and the device and inode of the file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// The cluster, or the file.
    pub system: String,
    /// The database in it.
    pub database: String,
    /// PostgreSQL's timeline; elsewhere 0.
    pub timeline: u32,
}
