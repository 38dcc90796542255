//! What will happen: reviewable, serialised, versioned.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::company::About;
use crate::engine::Engine;
use crate::ident::{MigrationId, TableName};
use crate::step::{Phase, Step};
use crate::verdict::Verdict;

/// The format that [`Plan`] is written in. Fields are added, never changed in meaning.
pub const FORMAT: u32 = 1;

/// Everything that a migration will do to one database.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// The product it is for.
    pub engine: Engine,
    /// The major version it is for.
    pub server_major: String,
    /// The migration.
    pub migration: MigrationId,
    /// The checksum of the migration's file.
    pub checksum: String,
    /// `sha256:<hex>` over steps, shape and settings: what was reviewed is what runs.
    pub hash: String,
    /// How we go about it.
    pub strategy: Strategy,
    /// Why, in one sentence.
    pub reason: String,
    /// What the change would cost as written.
    pub verdicts: Vec<Verdict>,
    /// What is done, in order.
    pub steps: Vec<Step>,
    /// Phases after which rollback is possible.
    pub rollback_points: Vec<Phase>,
    /// What flip means here, for the user.
    pub flip: String,
    /// What the user should know: prices, what clients will see, what rollback would lose.
    pub notes: Vec<String>,
    /// The tables it touches that exist already.
    pub tables: Vec<TableName>,
    /// What it is about in each of them: what may be under way beside it.
    pub about: Vec<About>,
    /// The tables' structure that the plan was made for, as `Session::shape` prints it.
    pub shape: String,
    /// Settings that change an answer, hashed.
    pub settings: BTreeMap<String, String>,
    /// Not hashed: versions, row counts, sizes, samples.
    pub evidence: Evidence,
}

/// How we go about a migration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Strategy {
    /// As written: old code goes on, nothing is rewritten.
    Additive,
    /// The engine's own safe sequence.
    Native,
    /// Both shapes side by side.
    ExpandContract,
}

impl Strategy {
    /// Returns the word that plans and directives use.
    pub fn name(self) -> &'static str {
        match self {
            Self::Additive => "additive",
            Self::Native => "native",
            Self::ExpandContract => "expand-contract",
        }
    }
}

/// What was seen when the plan was made, and may have changed since.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Evidence {
    /// The server's full version.
    pub server_version: String,
    /// Rows by table; a table without an estimate is left out.
    pub rows: BTreeMap<String, u64>,
    /// Bytes by table.
    pub bytes: BTreeMap<String, u64>,
    /// How rows are brought over, by table: chosen by size, with the reason.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub moving: BTreeMap<String, Moving>,
}

/// How the rows of one table are brought over.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Moving {
    /// The way.
    pub mode: Mode,
    /// Why, in one clause: `1,000,000 rows, between 100,000 and 10,000,000`.
    pub because: String,
}

/// A way to bring rows over. Each goes by windows that are committed one by one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// A small table: one worker, without pacing or throttle.
    Inline,
    /// Windows with pacing and throttle.
    Batched,
    /// As `Batched`, meant to go on without anybody watching (`apply --detach`).
    Background,
    /// When somebody touches a row, or a person asks for the rest (`apply --complete`).
    Lazy,
}
