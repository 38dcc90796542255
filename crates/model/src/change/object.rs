//! What becomes of anything that is no table, column, constraint, index or partition, and of a table's own properties.

use crate::ident::TableRef;
use crate::sql::Written;

/// A change of an object, carried out as it is written, or refused with the reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectChange {
    /// The words of the statement or command: `CREATE VIEW`, `ALTER TYPE … ADD VALUE`, `ENABLE ROW LEVEL SECURITY`.
    pub words: String,
    /// Which it is, by the id of its fact (`view.create`); the dialect's facts say what it locks.
    pub fact: &'static str,
    /// The object as SQL names it, where it has a name of its own: `"s"."v"`, `"f"("pg_catalog"."int4")`.
    pub object: Option<Written>,
    /// The view, materialized view or sequence that it locks, where it is one; on SQLite the object, whatever it is.
    pub relation: Option<TableRef>,
    /// The table that it is about, where it names one.
    pub table: Option<TableRef>,
    /// The command after `ALTER TABLE t`, where it is one.
    pub command: Option<Written>,
    /// How it is taken back, part by part; none: it leaves nothing behind that could be.
    pub undo: Vec<ObjectUndo>,
}

/// One part of how an object's change is taken back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ObjectUndo {
    /// `DROP <what> IF EXISTS <object>`.
    Drop(&'static str),
    /// `DROP <what> IF EXISTS <object> ON <table>`.
    DropOn(&'static str),
    /// A statement made of the user's own: `ALTER POLICY b ON t RENAME TO a`.
    Statement(Written),
    /// What is there before is made again, as the server prints it.
    Restore(Restored),
    /// `COMMENT ON … IS` what it is before.
    Comment(Written),
}

/// What of an object the server can print so that it can be made again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Restored {
    /// A view: its query, options, owner, grants and comments.
    View,
    /// A view that the statement replaces; gone first, since columns cannot be taken from one that stays.
    ReplacedView,
    /// A materialized view, its indexes too.
    MaterializedView,
    /// A function or procedure.
    Routine,
    /// A trigger of the table.
    Trigger,
    /// A policy of the table.
    Policy,
    /// A rule of the table.
    Rule,
    /// A sequence: its numbers' range, step and cache.
    Sequence,
    /// Which column owns the sequence.
    SequenceOwner,
    /// Extended statistics.
    Statistics,
    /// The owner of a relation.
    Owner,
    /// The options of a relation.
    Options,
    /// Which rows are written to the log for subscribers.
    ReplicaIdentity,
    /// The index by which the table is clustered.
    Clustered,
    /// Which triggers fire.
    TriggerStates,
    /// Which rules apply.
    RuleStates,
    /// Whether row security is on.
    RowSecurity,
    /// Who may do what with a relation.
    Grants,
    /// Who may do what in a schema.
    SchemaGrants,
    /// An empty schema.
    Schema,
    /// A publication, without its tables.
    Publication,
    /// A default of a domain.
    DomainDefault,
}

impl ObjectChange {
    /// Returns the word for verdicts.
    pub fn kind(&self) -> &'static str {
        self.fact
    }
}
