//! PostgreSQL's SQL, by its own parser (`pg_query`).

mod column;
mod constraint;
mod expr;
mod function;
mod index;
mod lex;
mod name;
mod naming;
mod new_column;
mod new_table;
mod object;
mod partition;
mod rows;
mod statement;
mod syntax;
#[cfg(test)]
mod tests;

use segue_model::change::NewTable;
use segue_model::expr::Expr;
use segue_model::ident::{Ident, TableRef};

use crate::grammar::{Found, Grammar};
use crate::problem::{Fault, ProblemKind};
use crate::token::{Kind, Token, Tokens};

/// PostgreSQL's SQL.
pub(crate) struct Postgres;

impl Grammar for Postgres {
    fn tokens<'t>(&self, text: &'t str) -> Tokens<'t> {
        Box::new(lex::Lexer::new(text))
    }

    fn foreign(&self, text: &str, token: &Token) -> Option<Fault> {
        if token.kind != Kind::Backslash {
            return None;
        }
        let rest = &text[token.start..];
        let command: String = rest.chars().take_while(|c| !c.is_whitespace()).take(40).collect();
        let span = (token.start, token.start + command.len());
        Some(Fault { span, kind: ProblemKind::MetaCommand { command } })
    }

    /// A semicolon in parentheses (CREATE RULE) or in `BEGIN ATOMIC … END` ends no statement.
    fn ends(&self, text: &str, tokens: &[Token]) -> bool {
        if !tokens.first().is_some_and(|token| token.is(text, "CREATE")) {
            return true;
        }
        !in_parentheses(tokens) && !in_atomic_body(text, tokens)
    }

    fn data_after(&self, text: &str, tokens: &[Token], next: usize) -> Option<Fault> {
        let is_copy = tokens.first().is_some_and(|token| token.is(text, "COPY"));
        let from_stdin = tokens.windows(2).any(|pair| pair[0].is(text, "FROM") && pair[1].is(text, "STDIN"));
        if !is_copy || !from_stdin {
            return None;
        }
        let start = next + text[next..].find(|c: char| !c.is_whitespace())?;
        Some(Fault { span: (start, start), kind: ProblemKind::CopyData })
    }

    fn read(&self, text: &str, tokens: &[Token]) -> Result<Vec<Found>, Fault> {
        statement::read(text, tokens)
    }

    fn expression(&self, text: &str, table: &TableRef) -> Result<Expr, Fault> {
        expr::read(text, table)
    }

    fn new_table(&self, text: &str) -> Option<NewTable> {
        new_table::read(text)
    }

    fn present_columns(&self, condition: &str) -> Vec<Ident> {
        rows::present_columns(condition)
    }

    fn name(&self, text: &str, token: &Token) -> Result<Ident, Fault> {
        name::of_token(text, token)
    }

    fn same(&self, left: &Ident, right: &Ident) -> bool {
        left == right
    }

    fn is_hidden_column(&self, name: &Ident) -> bool {
        ["ctid", "xmin", "cmin", "xmax", "cmax", "tableoid"].contains(&name.as_str())
    }
}

fn in_parentheses(tokens: &[Token]) -> bool {
    let count = |kind| tokens.iter().filter(|token| token.kind == kind).count();
    count(Kind::Open) > count(Kind::Close)
}

fn in_atomic_body(text: &str, tokens: &[Token]) -> bool {
    let begins = |pair: &[Token]| pair[0].is(text, "BEGIN") && pair[1].is(text, "ATOMIC");
    let Some(begin) = tokens.windows(2).position(begins) else { return false };
    let mut depth = 1_i32;
    for token in &tokens[begin + 2..] {
        if token.is(text, "CASE") {
            depth += 1;
        } else if token.is(text, "END") {
            depth -= 1;
        }
    }
    depth > 0
}
