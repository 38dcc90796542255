//! What a change would cost as written, here.

use serde::{Deserialize, Serialize};

use crate::lock::{Blocks, LockMode};

/// What one change would do if its statement were run as written, on this database.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verdict {
    /// The statement's number in the file, from 1.
    pub statement: usize,
    /// The kind of change: `add_column`, `set_not_null`, …
    pub change: String,
    /// The table, `schema.name`.
    pub table: String,
    /// `expand` when old code goes on working beside it, `contract` when it does not.
    pub label: Label,
    /// The id of the engine's fact that says so: `addcol.null`.
    #[serde(default)]
    pub fact: String,
    /// The engine's strongest lock on the table.
    pub lock: LockMode,
    /// Locks on other relations.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub others: Vec<OtherLock>,
    /// What that blocks.
    pub blocks: Blocks,
    /// Every row is written again.
    pub rewrites: bool,
    /// Every row is read under the lock.
    pub scans: bool,
    /// Code that runs now goes on working.
    pub compatible: bool,
    /// `lossless`, `lossy` or `impossible`.
    pub reversible: String,
    /// What a reviewer should know, by rule.
    pub findings: Vec<Finding>,
}

/// A lock that a change takes beside the one on its table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OtherLock {
    /// On what, in a user's words: `the referenced table`.
    pub what: String,
    /// The lock.
    pub lock: LockMode,
}

/// Which side of a deploy a change belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Label {
    /// Before the new code.
    Expand,
    /// After the old code is gone.
    Contract,
}

/// One remark by a rule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// The rule's id: `not-null-scan`.
    pub rule: String,
    /// How bad.
    pub severity: Severity,
    /// The line in the migration file.
    pub line: u32,
    /// What is wrong, with figures of this database.
    pub message: String,
    /// What to do, or what the plan does about it.
    pub help: String,
}

/// How bad a finding is, ordered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Good to know.
    Note,
    /// Could hurt.
    Warning,
    /// Would stop the application if run as written.
    Error,
}
