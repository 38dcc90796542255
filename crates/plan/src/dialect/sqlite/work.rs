//! From SQL and its facts to a step: what it locks, reads and rewrites is looked up, never repeated.

use segue_model::ident::TableName;
use segue_model::lock::{LockMode, LockTries, RelationLock};
use segue_model::sql::Sql;
use segue_model::step::{Action, Phase, Step, Transaction, Undo, UndoStep};

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
        let facts: Vec<&Fact> = self.facts.iter().map(|id| fact(id)).collect();
        let mode = strongest(&facts);
        Step {
            id: 0,
            phase: self.phase,
            title: self.title,
            action: self.action,
            locks: locks(self.table, mode),
            blocks: mode.blocks(),
            rewrites: facts.iter().any(|fact| fact.rewrites),
            scans: facts.iter().any(|fact| fact.scans),
            transaction: Transaction::Own,
            tries: tries(mode),
            provisional: self.phase >= Phase::Contract,
            undo: self.undo,
            on_interrupted: vec![],
        }
    }
}

/// Returns one transaction of an undo.
///
/// SQLite's DDL is transactional, and the journal's entry is in the same transaction: what is undone is never undone again.
pub(super) fn undo_step(table: &TableName, facts: &'static [&'static str], sql: Vec<Sql>) -> UndoStep {
    let mode = strongest(&facts.iter().map(|id| fact(id)).collect::<Vec<_>>());
    UndoStep {
        needed: None,
        sql,
        windows: None,
        conditions: vec![],
        locks: locks(table, mode),
        transaction: Transaction::Own,
        tries: tries(mode),
        keeps: None,
    }
}

fn strongest(facts: &[&Fact]) -> LockMode {
    facts.iter().map(|fact| fact.lock).max().unwrap_or(LockMode::None)
}

fn locks(table: &TableName, mode: LockMode) -> Vec<RelationLock> {
    match mode {
        LockMode::None => vec![],
        mode => vec![RelationLock { relation: table.clone(), mode }],
    }
}

fn tries(mode: LockMode) -> Option<LockTries> {
    (mode != LockMode::None).then(LockTries::default)
}
