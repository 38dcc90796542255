//! What has happened, as it is kept in the migrated database.

use serde::{Deserialize, Serialize};

use crate::bound::Bound;
use crate::ident::MigrationId;
use crate::tuning::Tuning;

/// The format of the journal's tables. An older one is brought forward while nothing is under way; a newer one is not touched.
pub const FORMAT: u32 = 2;

/// How far a migration is. Ordered as a migration goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// It was taken back, everything is as before. May be started again.
    RolledBack,
    /// Its rollback has begun and must be finished.
    RollingBack,
    /// It has begun; the journal's events say how far.
    Started,
    /// The new shape is there and empty (reached with `apply --to expand`).
    Expanded,
    /// Both shapes are right and verified; the new code may be deployed.
    Ready,
    /// The new shape is the authority.
    Flipped,
    /// The old shape is hidden.
    Contracted,
    /// Finished: history.
    Done,
}

impl State {
    /// Returns the word that the journal and `status` use.
    pub fn name(self) -> &'static str {
        match self {
            Self::RolledBack => "rolled_back",
            Self::RollingBack => "rolling_back",
            Self::Started => "started",
            Self::Expanded => "expanded",
            Self::Ready => "ready",
            Self::Flipped => "flipped",
            Self::Contracted => "contracted",
            Self::Done => "done",
        }
    }

    /// Returns the state of this name.
    pub fn named(name: &str) -> Option<Self> {
        use State::{Contracted, Done, Expanded, Flipped, Ready, RolledBack, RollingBack, Started};
        [RolledBack, RollingBack, Started, Expanded, Ready, Flipped, Contracted, Done]
            .into_iter()
            .find(|s| s.name() == name)
    }
}

/// A migration in the journal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Its id.
    pub id: MigrationId,
    /// The checksum of the file that was applied.
    pub checksum: String,
    /// The plan, as its JSON text.
    pub plan: String,
    /// The plan's hash.
    pub hash: String,
    /// How far it is.
    pub state: State,
    /// 1 for the first start, one more for each start after a rollback.
    pub attempt: u32,
    /// Since when it is in this state: seconds, by the database's clock.
    pub state_age_s: u64,
    /// When it was last changed, by the database's clock, ISO 8601 in UTC.
    pub changed_at: String,
}

/// What happened to a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mark {
    /// It is about to be done.
    Intent,
    /// It was done.
    Done,
    /// It failed; nothing of it remains unless it has no transaction.
    Failed,
    /// It is about to be undone.
    UndoIntent,
    /// It was undone.
    Undone,
}

impl Mark {
    /// Returns the word that the journal uses.
    pub fn name(self) -> &'static str {
        match self {
            Self::Intent => "intent",
            Self::Done => "done",
            Self::Failed => "failed",
            Self::UndoIntent => "undo_intent",
            Self::Undone => "undone",
        }
    }

    /// Returns the mark of this name.
    pub fn named(name: &str) -> Option<Self> {
        [Self::Intent, Self::Done, Self::Failed, Self::UndoIntent, Self::Undone].into_iter().find(|m| m.name() == name)
    }
}

/// One entry about a step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// The migration.
    pub migration: MigrationId,
    /// Its attempt.
    pub attempt: u32,
    /// The step's number.
    pub step: u32,
    /// What happened.
    pub mark: Mark,
    /// The backend that does it: process id on the server (SQLite: of the process).
    pub pid: i64,
    /// When that backend started, as the server prints it; tells a reused pid apart.
    pub backend_start: String,
    /// After `done` and `undone`: the structure of the plan's tables as this step left it (see `Session::shape`). Else empty.
    pub shape: String,
    /// Figures and remarks as JSON text (`{"rows":…}`), or empty.
    pub note: String,
}

/// How far a pass of a backfill or of a snapshot copy is: workers cut spans off at `next`, until nothing is left.
#[derive(Debug, Clone, PartialEq)]
pub struct Checkpoint {
    /// The step's number.
    pub step: u32,
    /// 1 for the first pass over the table, more for sweeps.
    pub pass: u32,
    /// Where the next span begins; `None`: every span of this pass was cut off.
    pub next: Option<Bound>,
    /// Where this pass ends.
    pub end: Bound,
    /// Spans cut off so far in all passes: the number of the last one.
    pub spans: i64,
    /// Units in the finished spans of this pass.
    pub done: u64,
    /// Units of this pass in all, about.
    pub total: u64,
    /// Rows changed in the finished spans of this pass.
    pub rows: u64,
}

/// A stretch of a pass that one worker goes through, window by window.
#[derive(Debug, Clone, PartialEq)]
pub struct Span {
    /// The step's number.
    pub step: u32,
    /// Its number within the step, from 1.
    pub number: i64,
    /// The pass.
    pub pass: u32,
    /// Where its next window begins; `None`: it is finished.
    pub next: Option<Bound>,
    /// Where it ends.
    pub end: Bound,
    /// Units done.
    pub done: u64,
    /// Rows changed.
    pub rows: u64,
    /// It is one window with rows that somebody else had locked: it is come back to when the rest is done.
    pub waits: bool,
}

/// A session that moves windows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Worker {
    /// Its backend.
    pub pid: i64,
    /// When that backend started, as the server prints it.
    pub backend_start: String,
}

/// A row that could not be converted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quarantined {
    /// The backfill.
    pub step: u32,
    /// The row's key as one text.
    pub key: String,
    /// The column that it has no value for.
    pub column: String,
    /// Why, in the server's words; values masked.
    pub error: String,
}

/// What people order while a migration runs.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Orders {
    /// It is to stand still; who said so (host, user and process), for people.
    pub paused_by: Option<String>,
    /// What they set; the rest is as it was started.
    pub tuning: Tuning,
}

/// Who holds the right to run a migration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    /// Host, user and process, for people: `deploy-7 ci 4711`.
    pub name: String,
    /// The backend of its control session.
    pub pid: i64,
    /// When that backend started.
    pub backend_start: String,
}

/// What came of asking for the lease.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Claim {
    /// It is ours.
    Taken {
        /// Its number: one more than the last.
        epoch: i64,
        /// Whose it was without having been given back: that run was killed.
        from: Option<Holder>,
    },
    /// Somebody alive has it.
    Held {
        /// Who.
        by: Holder,
        /// Seconds since their last heartbeat, by the database's clock.
        beat_age_s: u64,
    },
}

/// A backend of an earlier run that was still there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leftover {
    /// Its process id.
    pub pid: i64,
    /// The statement it was running, cut short.
    pub query: String,
    /// It was ended; `false`: it is building an index and is waited for.
    pub ended: bool,
}
