//! Why a run did not reach its target.

use std::time::Duration;

use segue_model::ident::{MigrationId, TableName};
use segue_model::journal::State;
use segue_model::session::{Blocker, Fail, FailKind};
use segue_model::step::Phase;

use crate::outcome::VerifyReport;

/// Why a run did not reach its target. After each of them the migration can be resumed or rolled back, unless it says otherwise.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The database said no, or is gone.
    #[error("{}{}", if *.undoing { "the undo of " } else { "" }, place(*.step, *.phase))]
    Fail {
        /// The step, where one was under way.
        step: Option<u32>,
        /// Its phase.
        phase: Option<Phase>,
        /// The step was being taken back.
        undoing: bool,
        /// What the database said.
        #[source]
        source: Fail,
    },
    /// Another run has the lease.
    #[error("another run holds this migration: {by}{}", beat(*.beat_age_s))]
    Held {
        /// Who: host, user and process.
        by: String,
        /// Seconds since it last gave a sign of life, where that is known.
        beat_age_s: Option<u64>,
    },
    /// What must hold before going on does not.
    #[error("{}: {}", gate(*.step), .reasons.join("; "))]
    Gate {
        /// The step, where the gate is one.
        step: Option<u32>,
        /// What does not hold.
        reasons: Vec<String>,
        /// What to do, as sentences.
        hints: Vec<String>,
    },
    /// Rows are wrong.
    #[error("{} of {} rows are wrong", .report.wrong(), .report.tables.iter().map(|t| t.rows).sum::<u64>())]
    Verification {
        /// What was found.
        report: VerifyReport,
        /// What to do, as sentences.
        hint: String,
    },
    /// The migration in the database is not the one that is asked for.
    #[error("`{id}` is {} in this database, with another plan", .state.name())]
    Changed {
        /// The migration.
        id: MigrationId,
        /// How far the one in the database is.
        state: State,
        /// What differs, as `-` (journalled) and `+` (asked for) lines.
        diff: String,
    },
    /// The structure of the tables is not the one that the plan was made for.
    #[error("the tables have changed since the plan was made{}", before(*.step))]
    Drift {
        /// The step that was about to be done.
        step: Option<u32>,
        /// What differs, as `-` (expected) and `+` (found) lines.
        diff: String,
    },
    /// The migration is not where this command needs it.
    #[error("`{id}` is {}, and this needs it to be {}", .state.name(), .wanted.name())]
    WrongState {
        /// The migration.
        id: MigrationId,
        /// How far it is.
        state: State,
        /// How far it must be.
        wanted: State,
    },
    /// The database knows no such migration.
    #[error("`{id}` was never started in this database")]
    NoSuchMigration {
        /// The migration.
        id: MigrationId,
    },
    /// The journal was made in another database: this one is a copy, made while a migration was under way.
    #[error("this database is a copy: its journal was made in {journal}, and this is {here}; {} there", under_way(.unfinished))]
    OtherDatabase {
        /// Where the journal was made.
        journal: String,
        /// Which database this is.
        here: String,
        /// What is under way.
        unfinished: Vec<MigrationId>,
    },
    /// The journal cannot be read.
    #[error("the journal of `{id}` cannot be used: {why}")]
    BadJournal {
        /// The migration.
        id: MigrationId,
        /// Why.
        why: String,
    },
    /// What this run had written is not in the database any more: a standby that did not have it took the server's place.
    #[error("the database does not have any more what this run wrote last: {what}")]
    Rewound {
        /// What shows it.
        what: String,
    },
    /// The user asked to stop.
    #[error("stopped as asked")]
    Interrupted,
    /// Another run took the lease over meanwhile; nothing was written since.
    #[error("another run has taken this migration over")]
    LostLease,
    /// The lock was not had within the budget.
    #[error("step {step} did not get its locks within its budget of {} s", .budget.as_secs())]
    BudgetSpent {
        /// The step.
        step: u32,
        /// All tries together.
        budget: Duration,
        /// Who was in the way at last, where the server tells it.
        blockers: Vec<Blocker>,
    },
    /// Something was destroyed or written that rollback cannot take back.
    #[error("this migration can no longer be rolled back: {reason}")]
    RollbackClosed {
        /// Why.
        reason: String,
        /// What to do.
        hint: String,
    },
    /// More rows cannot be converted than anybody would look through.
    #[error("{rows} or more rows of `{table}` cannot be converted, and {threshold} may be left for later{}", shown(.samples))]
    Quarantine {
        /// The migration.
        id: MigrationId,
        /// The table.
        table: TableName,
        /// Rows that cannot be converted, of those looked at until there were too many.
        rows: u64,
        /// How many may be.
        threshold: u64,
        /// Some of them, each with the server's words, values masked.
        samples: Vec<String>,
    },
    /// The old shape must stay for a while after it was hidden.
    #[error("the cool-down is not over: {} s remain", .remaining.as_secs())]
    CoolDown {
        /// The rest.
        remaining: Duration,
    },
}

impl From<Fail> for RunError {
    fn from(source: Fail) -> Self {
        Self::Fail { step: None, phase: None, undoing: false, source }
    }
}

impl RunError {
    /// Returns the process's exit code for it.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Fail { source, .. } => exit_code_of(source.kind),
            Self::Changed { .. } | Self::Drift { .. } | Self::OtherDatabase { .. } => 1,
            Self::NoSuchMigration { .. } => 2,
            Self::BadJournal { .. } | Self::BudgetSpent { .. } | Self::Rewound { .. } => 3,
            Self::Held { .. } | Self::LostLease => 4,
            Self::Gate { .. } | Self::WrongState { .. } | Self::RollbackClosed { .. } | Self::CoolDown { .. } => 5,
            Self::Verification { .. } | Self::Quarantine { .. } => 6,
            Self::Interrupted => 130,
        }
    }

    /// Returns what the user can do about it, in a few sentences.
    pub fn hint(&self) -> String {
        match self {
            Self::Fail { phase, undoing, source, .. } => {
                // In cleanup there may be no way back any more; who goes back already needs no word of it.
                let forward = !undoing && *phase != Some(Phase::Cleanup);
                hint_of(source.kind, forward).to_owned()
            }
            Self::Held { .. } => {
                "Wait for that run, or stop it; once its process is gone this one can take over.".to_owned()
            }
            Self::Gate { hints, .. } => hints.join(" "),
            Self::Verification { hint, .. } => hint.clone(),
            Self::Changed { state: State::Done, .. } => {
                "An applied migration is history: restore its file, and write the new change as a new migration."
                    .to_owned()
            }
            Self::Changed { id, .. } => {
                format!("Restore the file, or run `segue rollback {id}` and apply the new one.")
            }
            Self::Drift { step: None, .. } => "Nothing was begun: plan anew with `segue plan`.".to_owned(),
            Self::Drift { step: Some(_), .. } => {
                "Undo the change shown here and run the same command again, or, before cleanup, take the migration back with \
                 `segue rollback`."
                    .to_owned()
            }
            Self::WrongState { id, state, wanted } => wrong_state_hint(id, *state, *wanted),
            Self::NoSuchMigration { .. } => {
                "Check the id and the database URL; `segue status` lists what this database knows.".to_owned()
            }
            Self::OtherDatabase { .. } => {
                "Check the database URL. Where this copy shall be worked with on its own, type: segue adopt".to_owned()
            }
            Self::BadJournal { .. } => {
                "A newer Segue may have written it: use the version that began this migration.".to_owned()
            }
            Self::Rewound { .. } => "Run the same command again: it goes on from what the database has now.".to_owned(),
            Self::Interrupted => "Nothing is half done: run the same command again to go on.".to_owned(),
            Self::LostLease => "See `segue status`, and leave the migration to that run.".to_owned(),
            Self::BudgetSpent { blockers, .. } => budget_hint(blockers),
            Self::RollbackClosed { hint, .. } => hint.clone(),
            Self::Quarantine { id, .. } => format!(
                "Correct their old values, or take the migration back with `segue rollback {id}` and make the transform convert \
                 them; then run the same command again. To go on and correct them later, raise `quarantine`."
            ),
            Self::CoolDown { .. } => {
                "Run `segue cleanup` again then; until that, `segue rollback` brings the old shape back.".to_owned()
            }
        }
    }

    /// Returns the error with its step, where it has none yet.
    pub(crate) fn at_step(self, id: u32) -> Self {
        match self {
            Self::Fail { step: None, undoing, source, .. } => {
                Self::Fail { step: Some(id), phase: None, undoing, source }
            }
            other => other,
        }
    }

    /// Returns the error with its place, where it has none yet.
    pub(crate) fn at(self, id: u32, at: Phase) -> Self {
        match self {
            Self::Fail { step: None, undoing, source, .. } => {
                Self::Fail { step: Some(id), phase: Some(at), undoing, source }
            }
            Self::Drift { step: None, diff } => Self::Drift { step: Some(id), diff },
            other => other,
        }
    }

    /// Returns the error with the place of the step that was being taken back, where it has none yet.
    pub(crate) fn at_undo(self, id: u32, of: Phase) -> Self {
        match self.at(id, of) {
            Self::Fail { step, phase, source, .. } => Self::Fail { step, phase, undoing: true, source },
            other => other,
        }
    }
}

fn shown(samples: &[String]) -> String {
    if samples.is_empty() { String::new() } else { format!("; for example {}", samples.join("; ")) }
}

fn under_way(unfinished: &[MigrationId]) -> String {
    let names: Vec<String> = unfinished.iter().map(|id| format!("`{id}`")).collect();
    let is = if names.len() == 1 { "was" } else { "were" };
    format!("{} {is} under way", names.join(", "))
}

fn place(step: Option<u32>, phase: Option<Phase>) -> String {
    match (step, phase) {
        (Some(step), Some(phase)) => format!("step {step} ({phase}) failed"),
        (Some(step), None) => format!("step {step} failed"),
        (None, _) => "the database could not be worked with".to_owned(),
    }
}

fn gate(step: Option<u32>) -> String {
    step.map_or_else(|| "a gate is not met".to_owned(), |step| format!("the gate of step {step} is not met"))
}

fn beat(age_s: Option<u64>) -> String {
    age_s.map_or_else(String::new, |age| format!(" (last sign of life {age} s ago)"))
}

fn before(step: Option<u32>) -> String {
    step.map_or_else(String::new, |step| format!(" (seen before step {step})"))
}

fn exit_code_of(kind: FailKind) -> u8 {
    match kind {
        FailKind::Usage => 2,
        FailKind::ReadOnly | FailKind::Syntax | FailKind::Undefined | FailKind::Duplicate => 1,
        FailKind::Cancelled
        | FailKind::Lost
        | FailKind::Deadline
        | FailKind::LockTimeout
        | FailKind::Deadlock
        | FailKind::Serialization
        | FailKind::DiskFull
        | FailKind::Permission
        | FailKind::Conversion
        | FailKind::Unique
        | FailKind::NotNull
        | FailKind::ForeignKey
        | FailKind::Check
        | FailKind::Connect
        | FailKind::Authentication
        | FailKind::Tls
        | FailKind::Server => 3,
    }
}

/// `forward`: the step may be taken back instead of being done again.
fn hint_of(kind: FailKind, forward: bool) -> &'static str {
    match kind {
        FailKind::Lost | FailKind::Deadline | FailKind::Connect => {
            "Run the same command again when the server answers: what was committed is kept, nothing is done twice."
        }
        FailKind::Cancelled => "Somebody or something cancelled our statement; run the same command again to go on.",
        FailKind::LockTimeout | FailKind::Deadlock | FailKind::Serialization => {
            "Run the same command again, if possible when fewer long transactions are open."
        }
        FailKind::DiskFull => "Make room, then run the same command again to go on.",
        FailKind::Permission => "Grant what the message names to our role, then run the same command again.",
        FailKind::ReadOnly => "Connect to the primary, or make the database writable.",
        FailKind::Conversion => {
            "Correct the rows of the window named here, or make the transform convert them; then run the same command again."
        }
        FailKind::Unique | FailKind::NotNull | FailKind::ForeignKey | FailKind::Check if forward => {
            "Correct the rows that break the constraint, then run the same command again, or `segue rollback`."
        }
        FailKind::Unique | FailKind::NotNull | FailKind::ForeignKey | FailKind::Check => {
            "Correct the rows that break the constraint, then run the same command again."
        }
        FailKind::Syntax | FailKind::Undefined | FailKind::Duplicate if forward => {
            "Take the migration back with `segue rollback`, correct the file, and apply it again."
        }
        FailKind::Syntax | FailKind::Undefined | FailKind::Duplicate => {
            "Correct in the database what the message names, then run the same command again."
        }
        FailKind::Authentication => "Check user, password and the server's access rules.",
        FailKind::Tls => "Check the server's certificate and the `sslmode` of the URL.",
        FailKind::Usage => "Check the database URL and the configuration.",
        FailKind::Server if forward => {
            "Read the server's message; then run the same command again, or `segue rollback`."
        }
        FailKind::Server => "Read the server's message; then run the same command again.",
    }
}

fn wrong_state_hint(id: &MigrationId, state: State, wanted: State) -> String {
    match state {
        State::RollingBack => format!("Its rollback has begun: run `segue rollback {id}` again to finish it."),
        State::Done => "It is finished; `segue down` plans its down file as a new change.".to_owned(),
        State::RolledBack => format!("It was taken back: run `segue apply {id}` to start it again."),
        State::Started | State::Expanded | State::Ready | State::Flipped | State::Contracted if state > wanted => {
            "It is past that already; see `segue status`.".to_owned()
        }
        State::Started | State::Expanded => format!("Run `segue apply {id}` first."),
        State::Ready => format!("Run `segue flip {id}` first."),
        State::Flipped => format!("Run `segue contract {id}` first."),
        State::Contracted => format!("Run `segue cleanup {id}` first."),
    }
}

fn budget_hint(blockers: &[Blocker]) -> String {
    let Some(oldest) = blockers.iter().max_by_key(|blocker| blocker.age) else {
        return "Run the same command again, if possible when fewer transactions are open.".to_owned();
    };
    format!(
        "In the way: process {} ({}, {}), its transaction open for {} s: `{}`. End it or wait for it, then run the same command again.",
        oldest.pid,
        oldest.user,
        oldest.application,
        oldest.age.as_secs(),
        oldest.query
    )
}
