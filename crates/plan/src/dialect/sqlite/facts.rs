//! What SQLite does natively: one record a statement shape, measured on libraries 3.40 to 3.54.
//!
//! Every write takes the one write lock of the file. Steps, verdicts and rules take costs from here and never repeat them.

use segue_model::change::Change;
use segue_model::lock::LockMode;

use crate::dialect::Cost;

/// What one shape of statement does.
#[derive(Debug)]
pub(super) struct Fact {
    /// Its id: `addcol.null`.
    pub(super) id: &'static str,
    /// The lock of the file.
    pub(super) lock: LockMode,
    /// Every row is written again under the lock.
    pub(super) rewrites: bool,
    /// Every row is read under the lock.
    pub(super) scans: bool,
    /// Code that runs now goes on working.
    pub(super) compatible: bool,
    /// `lossless`, `lossy` or `impossible`.
    pub(super) reversible: &'static str,
}

impl Fact {
    const fn metadata(id: &'static str) -> Self {
        Self { id, lock: LockMode::Write, rewrites: false, scans: false, compatible: true, reversible: "lossless" }
    }

    const fn scanning(self) -> Self {
        Self { scans: true, ..self }
    }

    const fn rewriting(self) -> Self {
        Self { rewrites: true, scans: true, ..self }
    }

    const fn breaking(self) -> Self {
        Self { compatible: false, ..self }
    }

    const fn reversible(self, reversible: &'static str) -> Self {
        Self { reversible, ..self }
    }
}

const FACTS: [Fact; 18] = [
    Fact::metadata("tab.create"),
    Fact::metadata("tab.drop").breaking().reversible("impossible"),
    // Names in the schema alone.
    Fact::metadata("tab.swap").breaking().reversible("impossible"),
    Fact::metadata("idx.create").scanning(),
    Fact::metadata("addcol.null"),
    Fact::metadata("addcol.const_default"),
    // Refused by SQLite itself.
    Fact::metadata("addcol.not_null").breaking(),
    Fact::metadata("dropcol.plain").rewriting().breaking().reversible("impossible"),
    Fact::metadata("col.rename").breaking(),
    Fact::metadata("notnull.set").scanning().breaking(),
    Fact::metadata("notnull.drop"),
    Fact::metadata("trig.create"),
    Fact::metadata("trig.drop"),
    Fact::metadata("dml.update").rewriting().reversible("lossy"),
    // One window of rows, and the lock only for as long as that takes.
    Fact::metadata("dml.update_window"),
    Fact::metadata("dml.copy_window"),
    Fact::metadata("dml.copy").scanning(),
    Fact { lock: LockMode::None, ..Fact::metadata("read") },
];

/// Returns the fact of this id.
pub(super) fn fact(id: &str) -> &'static Fact {
    FACTS.iter().find(|fact| fact.id == id).expect("every fact that is asked for is in the table")
}

/// Returns what `change` costs as written.
pub(super) fn cost(change: &Change) -> Option<Cost> {
    let id = match change {
        Change::CreateTable { .. } => "tab.create",
        Change::CreateIndex { .. } => "idx.create",
        Change::AddColumn { column, .. } => match (&column.default, column.not_null) {
            (Some(_), _) => "addcol.const_default",
            (None, false) => "addcol.null",
            (None, true) => "addcol.not_null",
        },
        Change::DropColumn { .. } => "dropcol.plain",
        Change::SetNotNull { .. } => "notnull.set",
        Change::Transform { .. } => "dml.update",
        Change::AlterType { .. }
        | Change::Column(_)
        | Change::Constraint(_)
        | Change::Index(_)
        | Change::Partition(_)
        | Change::Naming(_)
        | Change::Object(_)
        | Change::Rows(_)
        | Change::NotYet { .. }
        | Change::Opaque { .. } => return None,
    };
    Some(of(fact(id)))
}

/// Returns what every fact says.
pub(super) fn all() -> Vec<Cost> {
    FACTS.iter().map(of).collect()
}

fn of(fact: &'static Fact) -> Cost {
    Cost {
        fact: fact.id,
        lock: fact.lock,
        others: &[],
        rewrites: fact.rewrites,
        rebuilds: fact.rewrites,
        scans: fact.scans,
        fails: false,
        transactional: true,
        compatible: fact.compatible,
        reversible: fact.reversible,
    }
}
