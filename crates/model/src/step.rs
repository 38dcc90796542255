//! One thing done to the database: planned, reviewed, journalled and undone as a unit.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::ident::TableName;
use crate::lock::{Blocks, LockTries, RelationLock};
use crate::sql::Sql;

/// When a step runs. Ordered as they run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    /// The new shape appears, empty.
    Expand,
    /// Both shapes are kept right by triggers.
    Sync,
    /// Existing rows are brought over.
    Backfill,
    /// It is shown that nothing is missing.
    Verify,
    /// The authority moves to the new shape.
    Flip,
    /// The old shape is hidden, still undoable.
    Contract,
    /// The old shape is dropped.
    Cleanup,
}

impl Phase {
    /// Every phase, in order.
    pub const ALL: [Self; 7] =
        [Self::Expand, Self::Sync, Self::Backfill, Self::Verify, Self::Flip, Self::Contract, Self::Cleanup];
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Expand => "expand",
            Self::Sync => "sync",
            Self::Backfill => "backfill",
            Self::Verify => "verify",
            Self::Flip => "flip",
            Self::Contract => "contract",
            Self::Cleanup => "cleanup",
        })
    }
}

/// One thing done to the database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// Its number in the plan, from 1.
    pub id: u32,
    /// When it runs.
    pub phase: Phase,
    /// What it does, in one line for a reviewer.
    pub title: String,
    /// What is done.
    pub action: Action,
    /// The engine's own locks, by relation of the application; `blocks` is what they mean together.
    pub locks: Vec<RelationLock>,
    /// What the application cannot do meanwhile.
    pub blocks: Blocks,
    /// Every row is written again under the lock.
    pub rewrites: bool,
    /// Every row is read under the lock.
    pub scans: bool,
    /// Whether it runs in one transaction with its journal entry, or outside any.
    pub transaction: Transaction,
    /// Short tries within a budget; `None` where a short wait must not apply (VALIDATE, CREATE INDEX CONCURRENTLY).
    pub tries: Option<LockTries>,
    /// Planned for later: contract and cleanup are looked at again when their time comes.
    pub provisional: bool,
    /// How it is taken back.
    pub undo: Undo,
    /// Reviewed with the rest: what clears the remains of this step after an interruption, before it is done again.
    pub on_interrupted: Vec<Sql>,
}

/// What a step does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Statements, in order.
    Sql(Vec<Sql>),
    /// A statement outside a transaction; `settle` gives one row, one text: `done`, `undone` or `broken`.
    Settled {
        /// The statement.
        sql: Sql,
        /// Asked after an interruption.
        settle: Sql,
    },
    /// A statement per window of a table, until a pass over the whole table changes nothing.
    Backfill(Backfill),
    /// A count per window of a table.
    Verify(Verify),
    /// Nothing is done until this holds.
    Gate(Gate),
    /// The copy of what cleanup drops.
    Snapshot(Snapshot),
}

/// Whether a step has a transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Transaction {
    /// One transaction, with the step's journal entry in it. A backfill: one a window.
    Own,
    /// None: the statement commits by itself in parts.
    None,
}

/// How a table is cut into windows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cut {
    /// The table.
    pub table: TableName,
    /// What sizes and totals count: `pages` or `rows`.
    pub unit: String,
    /// By what.
    pub by: CutBy,
    /// Units of the first window; the runner steers later ones by time.
    pub size: u32,
    /// The time that a window should take while others are at work in the database, in milliseconds; when nobody is, the
    /// runner's own target holds, which is longer.
    pub target_ms: u32,
    /// How long to rest after a window, in percent of the time that it kept other writers out (SQLite): they need a turn.
    /// Beyond 30 ms, in which whoever waits has looked again, no longer than that time itself.
    pub rest_percent: u32,
}

/// By what a table is cut. Bounds are parameters: a [`crate::bound::Bound`] gives as many values as it has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CutBy {
    /// By whole numbers (pages on PostgreSQL, rowids on SQLite): a window is `[$1, $2)`.
    Numbers {
        /// Gives one row: the lowest bound and the bound after the highest.
        extent: Sql,
        /// Gives one row: the end of the window that begins at `$1` and takes about `$2` units; `None`: `$1 + $2`.
        end: Option<Sql>,
    },
    /// By a unique key of k columns without NULLs: a window is from `$1…$k` to `$k+1…$2k`, both included.
    Keys {
        /// k.
        columns: u32,
        /// Gives no row when the table is empty; else one: the k values of the lowest key, then those of the highest.
        extent: Sql,
        /// For the window that begins at `$1…$k`, ends at most at `$k+1…$2k` and takes `$2k+1` rows: gives one row with the k
        /// values of its last key and then the k values of the key after it, in that range; no row when fewer rows are left.
        end: Sql,
        /// Gives one number: about how many rows there are.
        total: Sql,
    },
}

/// See [`Action::Backfill`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Backfill {
    /// The windows.
    pub cut: Cut,
    /// Run first in each window's transaction (`SET LOCAL segue.backfill = '…'`).
    pub before: Vec<Sql>,
    /// Changes the rows of a window that are absent; others stay as they are.
    pub fill: Sql,
    /// As `fill`, but passes over rows that others have locked: for a window that met one. They are come back to. `None`
    /// where the engine locks no rows.
    pub fill_unlocked: Option<Sql>,
    /// Finds rows that the transform cannot convert, where there can be any. They stay absent and are quarantined, and flip is
    /// refused while any remain.
    pub failures: Option<Failures>,
    /// Keeps the room that dead rows take in bounds, where the engine leaves them behind.
    pub pace: Option<Pace>,
    /// Rows are filled when somebody touches them; the windows run only when a person asks for it.
    pub lazy: bool,
    /// One pass is enough, whatever it changed: a later step looks at all rows again.
    pub once: bool,
}

/// See [`Backfill::failures`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failures {
    /// Gives one number: rows of the whole table that cannot be converted.
    pub count: Sql,
    /// Gives three texts for each row of a window that cannot be converted, at most 1000: its key, the column, and why, in the
    /// server's words.
    pub list: Sql,
}

/// See [`Backfill::pace`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pace {
    /// Makes the room of dead rows usable again; outside a transaction.
    pub vacuum: Sql,
    /// Gives one number: the table's size in bytes.
    pub size: Sql,
    /// Gives two texts for each snapshot, slot or prepared transaction that is older than `$1` seconds and keeps dead rows
    /// from being cleared: which, and `known`; `maybe` where it is not sure that it does, or
    /// is hidden from our role.
    pub holders: Sql,
    /// Run after each so many percent of a pass.
    pub percent: u32,
    /// The table may grow by so many percent before a snapshot that prevents the clearing holds the backfill back.
    pub growth_percent: u32,
}

/// See [`Action::Verify`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verify {
    /// The windows.
    pub cut: Cut,
    /// Conditions on the means of sync: every trigger is there and enabled.
    pub conditions: Vec<Condition>,
    /// Gives one row for a window: how many rows of one table, their checksum as text, and then the same of its copy. A checksum
    /// does not depend on the rows' order. `count` is then asked only where they differ. `None` where both sides stand in the same row, which `count` compares itself.
    pub compare: Option<Sql>,
    /// Gives one row for a window: rows, rows that are not related, rows that are absent though they must not be.
    pub count: Sql,
    /// Gives up to 10 keys, as one text each, of rows in a window that are wrong.
    pub sample: Sql,
    /// Run first in each repair's transaction.
    pub before_repair: Vec<Sql>,
    /// Rewrites the wrong rows of a window from the old shape: while the authority is there.
    pub repair_from_old: Sql,
    /// The same from the new shape: after flip. `None` where there is no back transform.
    pub repair_from_new: Option<Sql>,
}

/// See [`Action::Gate`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gate {
    /// What the database must show.
    pub conditions: Vec<Condition>,
    /// What a person must say.
    pub asks: Option<Asks>,
}

/// What a person must say, because no database can show it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Asks {
    /// No process that uses the old shape runs any more.
    OldVersionStopped,
    /// No process that uses the new shape runs any more.
    NewVersionStopped,
}

/// A query that must give no rows; the first column of each row says what is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Condition {
    /// The query.
    pub sql: Sql,
    /// What must hold, for a reviewer: `both sync triggers are there and enabled`.
    pub says: String,
    /// What to do when it does not.
    pub hint: String,
}

/// See [`Action::Snapshot`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Snapshot {
    /// The copy. It stays until a person drops it.
    pub keeps: TableName,
    /// Creates it: full, or empty where windows or a backfill after it fill it.
    pub create: Vec<Sql>,
    /// Fills it by windows, where one statement would hold others up (SQLite).
    pub copy: Option<(Cut, Sql)>,
}

/// How a step is taken back, and what that costs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Undo {
    /// Everything is as before.
    Lossless(Vec<UndoStep>),
    /// `loses` says what, in a user's words.
    Lossy {
        /// What is done.
        steps: Vec<UndoStep>,
        /// What is lost.
        loses: String,
    },
    /// The step left nothing behind.
    Nothing,
    /// The step destroys data, so rollback stops before it.
    Impossible,
}

impl Undo {
    /// Returns the class as plans print it.
    pub fn class(&self) -> &'static str {
        match self {
            Self::Lossless(_) => "lossless",
            Self::Lossy { .. } => "lossy",
            Self::Nothing => "nothing",
            Self::Impossible => "impossible",
        }
    }

    /// Returns what is done, in order.
    pub fn steps(&self) -> &[UndoStep] {
        match self {
            Self::Lossless(steps) | Self::Lossy { steps, .. } => steps,
            Self::Nothing | Self::Impossible => &[],
        }
    }
}

/// One part of an undo: a transaction, or one and then a transaction a window.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UndoStep {
    /// Gives one number; 0: this part is done already, or there is nothing for it to do, and it is passed over. Asked in front
    /// of the part, also after an interruption.
    pub needed: Option<Sql>,
    /// The statements. Without `needed` and `windows`, each must do nothing harmful when it is repeated after an interruption
    /// (`IF EXISTS`).
    pub sql: Vec<Sql>,
    /// Done after `sql`, which is then committed together with the checkpoint that says so: once.
    pub windows: Option<Windows>,
    /// What must hold first; a row given refuses the rollback. Asked before the locks are taken, since it may read every
    /// row: what must still hold under them, the statements themselves must prove (a validated CHECK, a cast that raises).
    /// Asked before anything is undone too, but not where there is `needed`.
    pub conditions: Vec<Condition>,
    /// Its locks.
    pub locks: Vec<RelationLock>,
    /// Whether it has a transaction.
    pub transaction: Transaction,
    /// Short tries, or none.
    pub tries: Option<LockTries>,
    /// What this transaction saves from being lost, where it does.
    pub keeps: Option<Kept>,
}

/// One pass of a statement over a table, where it would keep others waiting if it were done at once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Windows {
    /// The windows.
    pub cut: Cut,
    /// What is done in each.
    pub sql: Sql,
}

/// A copy that an undo makes of values which only the new shape holds. It stays until a person drops it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kept {
    /// The copy.
    pub table: TableName,
    /// Gives one number: its rows.
    pub count: Sql,
    /// Run when there are none: nothing would have been lost.
    pub drop_empty: Sql,
}
