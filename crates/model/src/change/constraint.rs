//! What becomes of a table's constraints.

use crate::catalog::ConstraintKind;
use crate::expr::Expr;
use crate::ident::{Ident, TableRef};
use crate::sql::Written;

/// A change of one constraint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConstraintChange {
    /// The table.
    pub table: TableRef,
    /// What is done.
    pub what: ConstraintAction,
    /// The command after `ALTER TABLE t`.
    pub command: Written,
}

/// What is done to a constraint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ConstraintAction {
    /// `ADD [CONSTRAINT name] …`.
    Add(NewConstraint),
    /// `VALIDATE CONSTRAINT`.
    Validate {
        /// Which.
        name: Ident,
    },
    /// `DROP CONSTRAINT`.
    Drop {
        /// Which.
        name: Ident,
        /// `IF EXISTS`.
        if_exists: bool,
        /// `CASCADE`.
        cascade: bool,
    },
    /// `ALTER CONSTRAINT … [NOT] DEFERRABLE`, `[NOT] ENFORCED`.
    Alter {
        /// Which.
        name: Ident,
        /// `[NOT] DEFERRABLE` or `INITIALLY …` is written.
        deferral: bool,
        /// `[NOT] ENFORCED`, where one is written.
        enforced: Option<bool>,
    },
}

/// A constraint that a migration adds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewConstraint {
    /// Its name, where one is written.
    pub name: Option<Ident>,
    /// What it is; `None` is PostgreSQL 18's `NOT NULL c`.
    pub kind: Option<ConstraintKind>,
    /// The plain columns that it names, in order.
    pub columns: Vec<Ident>,
    /// Of a CHECK; `None` where it cannot be taken apart, as with a whole row or a rare form of an expression.
    pub check: Option<Expr>,
    /// What a CHECK demands, as written, without its parentheses.
    pub demands: Option<Written>,
    /// Of a foreign key.
    pub references: Option<References>,
    /// `USING INDEX`.
    pub using_index: Option<Ident>,
    /// Of a UNIQUE or PRIMARY KEY: what its index is to be like.
    pub index: IndexParts,
    /// `NOT VALID` is written.
    pub not_valid: bool,
    /// `NOT ENFORCED` is written.
    pub not_enforced: bool,
    /// `DEFERRABLE` is written.
    pub deferrable: bool,
    /// `INITIALLY DEFERRED` is written.
    pub deferred: bool,
    /// `NO INHERIT` is written.
    pub no_inherit: bool,
    /// What stands after `CONSTRAINT name`, without `NOT VALID`: `CHECK (a > 0)`.
    pub definition: Written,
}

/// What the index of a UNIQUE or PRIMARY KEY constraint is like besides its columns.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct IndexParts {
    /// `INCLUDE` columns.
    pub include: Vec<Ident>,
    /// `NULLS NOT DISTINCT`.
    pub nulls_not_distinct: bool,
    /// The parentheses after `WITH`, as written.
    pub with: Option<Written>,
    /// `USING INDEX TABLESPACE`.
    pub tablespace: Option<Ident>,
    /// `WITHOUT OVERLAPS` (PostgreSQL 18).
    pub without_overlaps: bool,
}

/// Where a foreign key points to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct References {
    /// The other table.
    pub table: TableRef,
    /// Its columns; none where its primary key is meant.
    pub columns: Vec<Ident>,
    /// `MATCH FULL`.
    pub full: bool,
    /// `PERIOD` (PostgreSQL 18).
    pub period: bool,
}

impl ConstraintChange {
    /// Returns the word for verdicts.
    pub fn kind(&self) -> &'static str {
        match &self.what {
            ConstraintAction::Add(new) => match new.kind {
                Some(ConstraintKind::Check) => "add_check",
                Some(ConstraintKind::Unique) => "add_unique",
                Some(ConstraintKind::PrimaryKey) => "add_primary_key",
                Some(ConstraintKind::ForeignKey) => "add_foreign_key",
                Some(ConstraintKind::Exclusion) => "add_exclusion",
                None => "add_not_null",
            },
            ConstraintAction::Validate { .. } => "validate_constraint",
            ConstraintAction::Drop { .. } => "drop_constraint",
            ConstraintAction::Alter { .. } => "alter_constraint",
        }
    }
}
