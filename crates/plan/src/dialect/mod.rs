//! What one engine knows without being connected.

mod postgres;
mod sqlite;

use segue_model::change::{Change, Located};
use segue_model::engine::Engine;
use segue_model::lock::{Blocks, LockMode};
use segue_model::probe::Probe;
use segue_model::sql::Quoting;
use segue_model::step::Step;

use crate::operation::{Context, Native, Operation, Retype};
use crate::refusal::Refused;

/// What one engine knows without being connected: no I/O, so no failure from outside.
pub trait Dialect: Quoting {
    /// Returns the questions that are still open for `operation`, given the answers so far; none when it can be planned.
    ///
    /// # Errors
    /// A refusal that needs no (further) answer.
    fn probes(&self, operation: &Operation<'_>, context: &Context<'_>) -> Result<Vec<Probe>, Refused>;

    /// Returns the steps of all phases that make `operation` true, in order within each phase.
    ///
    /// # Errors
    /// A refusal when this engine cannot do it while the application runs.
    fn steps(&self, operation: &Operation<'_>, context: &Context<'_>) -> Result<Planned, Refused>;

    /// Returns whether the engine changes this type at once, so that no second shape is needed.
    fn retypes_at_once(&self, retype: &Retype<'_>) -> bool;

    /// Returns whether a migration may add to a table while another one is under way there: no step writes the table again by
    /// a list of its columns.
    fn bears_company(&self) -> bool;
    /// Returns whether the plan of `native` has all phases, because both shapes are there for a while, and not only those that
    /// run at once.
    fn keeps_old_shape(&self, native: &Native<'_>, context: &Context<'_>) -> bool;

    /// Returns whether [`Dialect::steps`] decides about an ADD COLUMN with this further clause; else it is refused before.
    fn adds_with(&self, clause: &str) -> bool;

    /// Returns the names of columns that every table has without saying so, which no column may take.
    fn system_columns(&self) -> &'static [&'static str];

    /// Returns what `change` would do if its statement were run as written (from the dialect's `facts.rs`); `None` when
    /// the facts do not know it.
    fn cost(&self, change: &Located<Change>, context: &Context<'_>) -> Option<Cost>;

    /// Returns what every fact says that holds on a major version.
    fn facts(&self, major: u32) -> Vec<Cost>;

    /// Returns the questions that are still open on whose answers the cost of `change` depends. Without them it is told as
    /// the worst that it can be.
    fn cost_probes(&self, change: &Change, context: &Context<'_>) -> Vec<Probe>;
}

/// What a dialect makes of one operation. Steps carry `id` 0: the planner numbers them.
#[derive(Debug, Clone, Default)]
pub struct Planned {
    /// The steps.
    pub steps: Vec<Step>,
    /// What the user should know.
    pub notes: Vec<String>,
    /// What flip means for this operation; empty when there is none.
    pub flip: String,
    /// What rollback from `ready` on would lose, where it would.
    pub loses: Option<String>,
}

/// The cost of a statement as written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cost {
    /// The fact's id: `addcol.null`.
    pub fact: &'static str,
    /// The strongest lock on the table.
    pub lock: LockMode,
    /// Strongest locks on other relations: what they are in a user's words, and the lock.
    pub others: &'static [(&'static str, LockMode)],
    /// Every row is written again, or the file that holds them is replaced.
    pub rewrites: bool,
    /// Indexes that were there are built again.
    pub rebuilds: bool,
    /// Every row is read under the lock.
    pub scans: bool,
    /// The engine refuses it, whatever the rows are.
    pub fails: bool,
    /// It may run in a transaction.
    pub transactional: bool,
    /// Code that runs now goes on working.
    pub compatible: bool,
    /// `lossless`, `lossy` or `impossible`.
    pub reversible: &'static str,
}

impl Cost {
    /// Returns what the locks block, those on other relations too: who reads a table takes its indexes' locks.
    pub fn blocks(&self) -> Blocks {
        let others = self.others.iter().map(|(_, lock)| lock.blocks());
        others.chain([self.lock.blocks()]).max().unwrap_or(Blocks::Nothing)
    }
}

/// Returns the dialect of an engine: the one place that chooses.
pub fn dialect(engine: Engine) -> &'static dyn Dialect {
    match engine {
        Engine::Postgres => &postgres::Postgres,
        Engine::Sqlite => &sqlite::Sqlite,
    }
}
