//! What a run tells while it goes on.

use std::time::Duration;

use segue_model::journal::{Holder, Leftover};
use segue_model::session::{Blocker, Fail};
use segue_model::step::{Phase, Step};

use crate::outcome::VerifyReport;

/// Is told what happens. Called by each worker on its own thread: it should return soon.
pub trait Observer: Sync {
    /// Takes one piece of news.
    fn on(&self, progress: &Progress<'_>);
}

/// An observer that does not care.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl Observer for Silent {
    fn on(&self, _: &Progress<'_>) {}
}

/// One piece of news.
#[derive(Debug, Clone, Copy)]
pub enum Progress<'a> {
    /// The first step of a phase that is still to be done comes next.
    PhaseBegins {
        /// The phase.
        phase: Phase,
    },
    /// A step is about to be done.
    StepBegins {
        /// The step.
        step: &'a Step,
    },
    /// A step was done.
    StepDone {
        /// The step.
        step: &'a Step,
        /// How long it took in this run.
        took: Duration,
    },
    /// A step is about to be taken back.
    UndoBegins {
        /// The step.
        step: &'a Step,
    },
    /// A step was taken back.
    Undone {
        /// The step.
        step: &'a Step,
    },
    /// A window was done.
    Window {
        /// The step.
        step: u32,
        /// The pass over the table, from 1.
        pass: u32,
        /// Units of this pass that are done.
        done: u64,
        /// Units of this pass in all.
        total: u64,
        /// What a unit is: `pages` or `rows`.
        unit: &'a str,
        /// Rows changed (backfill), copied (snapshot) or looked at (verify) in this window.
        rows: u64,
        /// How long it took.
        took: Duration,
    },
    /// A lock is not to be had at the moment.
    LockTry {
        /// The step.
        step: u32,
        /// The number of the try that comes next, or just failed.
        try_no: u32,
        /// Who is in the way, where the server tells it.
        blockers: &'a [Blocker],
    },
    /// Something else is waited for.
    Waiting {
        /// What, as a clause: `a standby has not replayed the change yet: replica2`.
        what: &'a str,
    },
    /// Windows, or a step that takes locks, are held back; told again when a reason or its figures change, about once a second
    /// at most.
    Throttled {
        /// Why, a clause each: `replica lag 12s, limit 10s`. Empty: nothing does any more.
        reasons: &'a [String],
    },
    /// The connection was lost and is made again.
    Reconnecting {
        /// Why.
        because: &'a Fail,
    },
    /// The lease was taken from a run that had not given it back.
    TookOver {
        /// Whose it was.
        from: &'a Holder,
    },
    /// A backend of an earlier run was still there.
    LeftoverEnded {
        /// What was found, and whether it was ended or is waited for.
        leftover: &'a Leftover,
    },
    /// A verification is finished.
    Verified {
        /// What it found.
        report: &'a VerifyReport,
    },
    /// Anything else that the user should know.
    Note {
        /// One sentence.
        text: &'a str,
    },
}
