//! What SQLite does natively: one record a statement shape, measured on libraries 3.40 to 3.54.
//!
//! Every write takes the one write lock of the file. Steps, verdicts and rules take costs from here and never repeat them.

use segue_model::catalog::ConstraintKind;
use segue_model::change::{
    Change, ColumnProperty, ConstraintAction, ConstraintChange, IndexChange, NamingChange, NewColumn, NewConstraint,
};
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

const FACTS: [Fact; 31] = [
    Fact::metadata("tab.create"),
    Fact::metadata("tab.drop").breaking().reversible("impossible"),
    // Names in the schema alone.
    Fact::metadata("tab.swap").breaking().reversible("impossible"),
    Fact::metadata("tab.rename").breaking(),
    Fact::metadata("tab.create_virtual"),
    // Every row is read, and every key written, in one transaction.
    Fact::metadata("idx.create").scanning(),
    // Its pages are given back.
    Fact::metadata("idx.drop"),
    Fact::metadata("view.create"),
    Fact::metadata("view.drop").breaking(),
    Fact::metadata("addcol.null"),
    Fact::metadata("addcol.const_default"),
    Fact::metadata("addcol.virtual"),
    Fact::metadata("addcol.references"),
    // SQLite reads every row for a CHECK, and for a generated column that is NOT NULL.
    Fact::metadata("addcol.check").scanning(),
    // Refused by SQLite itself.
    Fact::metadata("addcol.not_null").breaking(),
    Fact::metadata("dropcol.plain").rewriting().breaking().reversible("impossible"),
    Fact::metadata("col.rename").breaking(),
    Fact::metadata("notnull.set").scanning().breaking(),
    Fact::metadata("notnull.drop"),
    Fact::metadata("check.add").scanning(),
    Fact::metadata("fk.add").scanning(),
    Fact::metadata("constraint.drop"),
    // The text in the schema alone.
    Fact::metadata("schema.text"),
    Fact::metadata("trig.create"),
    Fact::metadata("trig.drop"),
    Fact::metadata("dml.update").rewriting().reversible("lossy"),
    // One window of rows, and the lock only for as long as that takes.
    Fact::metadata("dml.update_window"),
    Fact::metadata("dml.copy_window"),
    Fact::metadata("dml.copy").scanning(),
    // There is no statement for it: the table is written again by hand, in one transaction ("12 steps").
    Fact::metadata("tab.rebuild").rewriting().breaking(),
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
        Change::AddColumn { column, .. } if !column.others.is_empty() => adding(column)[0],
        Change::AddColumn { column, .. } => match (&column.default, column.not_null) {
            (Some(_), _) => "addcol.const_default",
            (None, false) => "addcol.null",
            (None, true) => "addcol.not_null",
        },
        Change::DropColumn { .. } => "dropcol.plain",
        Change::SetNotNull { .. } => "notnull.set",
        Change::Transform { .. } => "dml.update",
        Change::AlterType { .. } => "tab.rebuild",
        Change::Column(column) => match column.what {
            ColumnProperty::SetDefault(_) | ColumnProperty::DropDefault => "tab.rebuild",
            ColumnProperty::DropNotNull => "notnull.drop",
            ColumnProperty::Fill(_) => "dml.update",
            _ => return None,
        },
        Change::Constraint(ConstraintChange { what, .. }) => match what {
            ConstraintAction::Add(NewConstraint { kind: Some(ConstraintKind::Check), .. }) => "check.add",
            ConstraintAction::Add(NewConstraint { kind: Some(ConstraintKind::ForeignKey), .. }) => "fk.add",
            ConstraintAction::Add(_) => "tab.rebuild",
            ConstraintAction::Drop { .. } => "constraint.drop",
            ConstraintAction::Validate { .. } | ConstraintAction::Alter { .. } => return None,
        },
        Change::Index(IndexChange::Drop { .. }) => "idx.drop",
        Change::Naming(naming) => match naming {
            NamingChange::Table { .. } => "tab.rename",
            NamingChange::Column { .. } => "col.rename",
            NamingChange::DropTable { .. } => "tab.drop",
            NamingChange::DropColumn { .. } => "dropcol.plain",
            NamingChange::Constraint { .. } | NamingChange::Schema { .. } => return None,
        },
        Change::Object(object) => FACTS.iter().find(|fact| fact.id == object.fact)?.id,
        Change::Index(_) | Change::Partition(_) | Change::Rows(_) | Change::NotYet { .. } | Change::Opaque { .. } => {
            return None;
        }
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

/// Returns the ids of the facts of a column that is added.
pub(super) fn adding(column: &NewColumn) -> &'static [&'static str] {
    let has = |word: &str| column.others.iter().any(|other| other == word);
    if has("CHECK") || (has("GENERATED") && column.not_null) {
        &["addcol.check"]
    } else if has("GENERATED") {
        &["addcol.virtual"]
    } else if has("REFERENCES") {
        &["addcol.references"]
    } else if column.default.is_none() && !column.not_null {
        &["addcol.null"]
    } else {
        &["addcol.const_default"]
    }
}
