//! What becomes of anything that is no table, column, constraint, index or partition, and of a table's own properties.

use crate::ident::TableRef;

/// A change of an object, carried out as it is written, or refused with the reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectChange {
    /// The words of the statement or command: `CREATE VIEW`, `ALTER TYPE … ADD VALUE`, `ENABLE ROW LEVEL SECURITY`.
    pub words: String,
    /// Which it is, by the id of its fact (`view.create`); the dialect's facts say what it locks.
    pub fact: &'static str,
    /// The object's name, where it has one of its own.
    pub object: Option<TableRef>,
    /// The table that it is about, where it names one.
    pub table: Option<TableRef>,
    /// The statement that takes it back, where that is known from the text alone: `DROP VIEW n`.
    pub undo: Option<ObjectUndo>,
}

/// How an object's change is taken back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ObjectUndo {
    /// `DROP <what> IF EXISTS <object>`.
    Drop(&'static str),
    /// `DROP <what> IF EXISTS <object> ON <table>`.
    DropOn(&'static str),
}

impl ObjectChange {
    /// Returns the word for verdicts.
    pub fn kind(&self) -> &'static str {
        self.fact
    }
}
