//! From SQL and its facts to a step: what it locks, blocks, reads and rewrites is looked up, never repeated.

use segue_model::ident::TableName;
use segue_model::lock::{Blocks, LockMode, LockTries, RelationLock};
use segue_model::sql::Sql;
use segue_model::step::{Action, Condition, Phase, Step, Transaction, Undo, UndoStep};

use super::facts::{Fact, fact};

/// Something to do to one table, with the facts that say what it costs.
pub(super) struct Work<'a> {
    /// When.
    pub(super) phase: Phase,
    /// For a reviewer.
    pub(super) title: String,
    /// What.
    pub(super) action: Action,
    /// The ids of the facts of its statements.
    pub(super) facts: &'static [&'static str],
    /// To which table.
    pub(super) table: &'a TableName,
    /// How it is taken back.
    pub(super) undo: Undo,
}

impl Work<'_> {
    /// Returns the step.
    pub(super) fn step(self) -> Step {
        let cost = Together::of(self.facts);
        Step {
            id: 0,
            phase: self.phase,
            title: self.title,
            action: self.action,
            locks: cost.locks(self.table),
            blocks: cost.blocks,
            rewrites: cost.rewrites,
            scans: cost.scans,
            transaction: cost.transaction,
            tries: cost.tries(),
            provisional: self.phase >= Phase::Contract,
            undo: self.undo,
            on_interrupted: vec![],
        }
    }
}

/// Returns the step with locks on further relations of the application.
pub(super) fn beside(step: Step, others: Vec<RelationLock>) -> Step {
    let blocks = others.iter().map(|lock| lock.mode.blocks()).chain([step.blocks]).max().unwrap_or(step.blocks);
    let short = blocks >= Blocks::Writes && step.transaction == Transaction::Own;
    let tries = step.tries.or_else(|| short.then(LockTries::default));
    Step { locks: step.locks.into_iter().chain(others).collect(), blocks, tries, ..step }
}

/// Returns the part of an undo with locks on further relations of the application.
pub(super) fn undo_beside(part: UndoStep, others: Vec<RelationLock>) -> UndoStep {
    let blocks = others.iter().any(|lock| lock.mode.blocks() >= Blocks::Writes);
    let short = blocks && part.transaction == Transaction::Own;
    let tries = part.tries.or_else(|| short.then(LockTries::default));
    UndoStep { locks: part.locks.into_iter().chain(others).collect(), tries, ..part }
}

/// Returns one transaction of an undo.
pub(super) fn undo_step(table: &TableName, facts: &'static [&'static str], sql: Vec<Sql>) -> UndoStep {
    undo_step_if(table, facts, sql, vec![])
}

/// Returns one transaction of an undo that begins only when `conditions` hold.
pub(super) fn undo_step_if(
    table: &TableName,
    facts: &'static [&'static str],
    sql: Vec<Sql>,
    conditions: Vec<Condition>,
) -> UndoStep {
    let cost = Together::of(facts);
    UndoStep {
        needed: None,
        sql,
        windows: None,
        conditions,
        locks: cost.locks(table),
        transaction: cost.transaction,
        tries: cost.tries(),
        keeps: None,
    }
}

/// What several statements cost in one transaction.
struct Together {
    lock: LockMode,
    blocks: Blocks,
    rewrites: bool,
    scans: bool,
    transaction: Transaction,
}

impl Together {
    fn of(ids: &'static [&'static str]) -> Self {
        let facts: Vec<&Fact> = ids.iter().map(|id| fact(id)).collect();
        Self {
            lock: facts.iter().map(|fact| fact.lock).max().unwrap_or(LockMode::None),
            blocks: facts.iter().flat_map(|fact| blocks(fact)).max().unwrap_or(Blocks::Nothing),
            rewrites: facts.iter().any(|fact| fact.rewrites),
            scans: facts.iter().any(|fact| fact.scans),
            transaction: if facts.iter().all(|fact| fact.transactional) { Transaction::Own } else { Transaction::None },
        }
    }

    fn locks(&self, table: &TableName) -> Vec<RelationLock> {
        match self.lock {
            LockMode::None => vec![],
            mode => vec![RelationLock { relation: table.clone(), mode }],
        }
    }

    /// Short tries are for locks that keep the application waiting; what only reads or waits for DDL may take its time.
    fn tries(&self) -> Option<LockTries> {
        let short = self.blocks >= Blocks::Writes && self.transaction == Transaction::Own;
        short.then(LockTries::default)
    }
}

/// What each lock of a statement blocks, on the table and beside it.
fn blocks(fact: &Fact) -> impl Iterator<Item = Blocks> {
    std::iter::once(fact.lock).chain(fact.others.iter().map(|(_, lock)| *lock)).map(LockMode::blocks)
}
