//! What an engine's SQL is like: the port behind which each engine's parser stands.

use segue_model::change::{Beside, Change, NewTable};
use segue_model::expr::Expr;
use segue_model::ident::{Ident, TableRef};

use crate::problem::Fault;
use crate::token::{Token, Tokens};

/// One engine's SQL. Bytes count from the beginning of the text given.
pub(crate) trait Grammar {
    /// Returns the words of a text, comments too.
    fn tokens<'t>(&self, text: &'t str) -> Tokens<'t>;

    /// Returns what is wrong with a token that belongs to another program (psql).
    fn foreign(&self, text: &str, token: &Token) -> Option<Fault>;

    /// Returns whether a semicolon after these tokens ends the statement.
    fn ends(&self, text: &str, tokens: &[Token]) -> bool;

    /// Returns what is wrong with the text after a statement that another program would take as data.
    fn data_after(&self, text: &str, tokens: &[Token], next: usize) -> Option<Fault>;

    /// Returns what a statement wants; `tokens` are its words, without comments.
    fn read(&self, text: &str, tokens: &[Token]) -> Result<Vec<Found>, Fault>;

    /// Returns what a CREATE TABLE says of its table; `None` where that is not read.
    fn new_table(&self, text: &str) -> Option<NewTable>;

    /// Returns the columns that are not NULL where a condition holds, as far as its text shows.
    fn present_columns(&self, condition: &str) -> Vec<Ident>;

    /// Returns an expression over the columns of `table`.
    fn expression(&self, text: &str, table: &TableRef) -> Result<Expr, Fault>;

    /// Returns the name that a token stands for.
    fn name(&self, text: &str, token: &Token) -> Result<Ident, Fault>;

    /// Returns whether two names mean the same object.
    fn same(&self, left: &Ident, right: &Ident) -> bool;

    /// Returns whether every table has a column of this name that its definition does not list.
    fn is_hidden_column(&self, name: &Ident) -> bool;
}

/// Something that a statement wants, and the byte where that is said.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) at: usize,
    pub(crate) what: Wanted,
}

/// What a statement wants, before the rest of the file is known.
#[derive(Debug)]
pub(crate) enum Wanted {
    Change(Change),
    /// A new table with these columns; `None` where the statement takes further ones from elsewhere.
    Table {
        table: TableRef,
        columns: Option<Vec<Ident>>,
        /// Other tables to which it is bound.
        beside: Vec<Beside>,
    },
    /// A new index over these columns of its table, and perhaps over expressions.
    Index {
        change: Change,
        columns: Vec<Mention>,
    },
    /// An UPDATE of one table: a transform if all columns that it sets are added in the same file.
    Update {
        table: TableRef,
        /// `c` of `WHERE c IS NULL`.
        only_absent: Option<Ident>,
        sets: Vec<Set>,
    },
}

/// A column that a statement names, and its bytes.
#[derive(Debug)]
pub(crate) struct Mention {
    pub(crate) column: Ident,
    pub(crate) span: (usize, usize),
}

/// One assignment of an UPDATE: the column and the bytes of its expression.
#[derive(Debug)]
pub(crate) struct Set {
    pub(crate) column: Ident,
    pub(crate) value: (usize, usize),
}

/// Returns `NotYet` as something found at this byte.
pub(crate) fn not_yet(at: usize, what: impl Into<String>, table: Option<TableRef>) -> Found {
    Found { at, what: Wanted::Change(Change::NotYet { what: what.into(), table }) }
}

/// Returns what a statement is that does nothing where something of that name exists. An undo would then drop what somebody
/// else made, and no look beforehand tells what is there at the moment of the statement.
pub(crate) fn if_missing(words: &str) -> String {
    format!("{words} IF NOT EXISTS (leave IF NOT EXISTS out: a rollback must never drop what was there before)")
}

/// Returns whether two references can mean the same table.
pub(crate) fn same_table(grammar: &dyn Grammar, left: &TableRef, right: &TableRef) -> bool {
    let schemas = match (&left.schema, &right.schema) {
        (Some(left), Some(right)) => grammar.same(left, right),
        _ => true,
    };
    schemas && grammar.same(&left.name, &right.name)
}
