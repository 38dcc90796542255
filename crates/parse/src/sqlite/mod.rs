//! SQLite's SQL, by `sqlite3-parser`.

mod alter;
mod constraint;
mod expr;
mod function;
mod lex;
mod name;
mod object;
mod statement;
mod syntax;
#[cfg(test)]
mod tests;

use segue_model::change::NewTable;
use segue_model::expr::Expr;
use segue_model::ident::{Ident, TableRef};

use crate::grammar::{Found, Grammar};
use crate::problem::Fault;
use crate::token::{Kind, Token, Tokens};

/// SQLite's SQL.
pub(crate) struct Sqlite;

impl Grammar for Sqlite {
    fn tokens<'t>(&self, text: &'t str) -> Tokens<'t> {
        Box::new(lex::Lexer::new(text))
    }

    fn foreign(&self, _text: &str, _token: &Token) -> Option<Fault> {
        None
    }

    /// In a CREATE TRIGGER only a semicolon after `; END` ends the statement (the rule of `sqlite3_complete`).
    fn ends(&self, text: &str, tokens: &[Token]) -> bool {
        !creates_trigger(text, tokens)
            || matches!(tokens, [.., semicolon, end] if semicolon.kind == Kind::Semicolon && end.is(text, "END"))
    }

    fn data_after(&self, _text: &str, _tokens: &[Token], _next: usize) -> Option<Fault> {
        None
    }

    fn read(&self, text: &str, tokens: &[Token]) -> Result<Vec<Found>, Fault> {
        statement::read(text, tokens)
    }

    fn expression(&self, text: &str, table: &TableRef) -> Result<Expr, Fault> {
        expr::read(text, table)
    }

    fn new_table(&self, _text: &str) -> Option<NewTable> {
        None
    }

    fn present_columns(&self, _condition: &str) -> Vec<Ident> {
        vec![]
    }

    fn name(&self, text: &str, token: &Token) -> Result<Ident, Fault> {
        name::ident(token.text(text)).map_err(|fault| fault.shifted(token.start))
    }

    fn same(&self, left: &Ident, right: &Ident) -> bool {
        left.as_str().eq_ignore_ascii_case(right.as_str())
    }

    fn is_hidden_column(&self, name: &Ident) -> bool {
        ["rowid", "oid", "_rowid_"].iter().any(|hidden| name.as_str().eq_ignore_ascii_case(hidden))
    }
}

fn creates_trigger(text: &str, tokens: &[Token]) -> bool {
    let mut words = tokens
        .iter()
        .skip_while(|token| token.is(text, "EXPLAIN") || token.is(text, "QUERY") || token.is(text, "PLAN"));
    if !words.next().is_some_and(|token| token.is(text, "CREATE")) {
        return false;
    }
    let is_temporary = |token: &&Token| token.is(text, "TEMP") || token.is(text, "TEMPORARY");
    words.find(|token| !is_temporary(token)).is_some_and(|token| token.is(text, "TRIGGER"))
}
