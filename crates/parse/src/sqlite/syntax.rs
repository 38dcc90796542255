//! The parser called: one statement at a time, its panics caught.

use std::panic::{AssertUnwindSafe, catch_unwind};

use sqlite3_parser::ast::{Cmd, Stmt};
use sqlite3_parser::lexer::sql::{Error, Parser, ParserError};
use sqlite3_parser::{Bump, FallibleIterator};

use crate::problem::Fault;
use crate::token::Token;

/// What a reader makes of a statement; `None` where the parser itself broke down over it.
pub(super) type Read<T> = Option<Result<T, Fault>>;

/// Reads the one statement of a text.
pub(super) fn with<T>(text: &str, tokens: &[Token], read: impl FnOnce(&Stmt<'_>) -> Result<T, Fault>) -> Read<T> {
    // Nothing outlives the call but its result, so nothing half-made can be seen after a panic.
    catch_unwind(AssertUnwindSafe(|| {
        let bump = Bump::new();
        let mut parser = Parser::new(&bump, text.as_bytes());
        match parser.next() {
            Ok(Some(Cmd::Stmt(statement))) => read(&statement),
            Ok(Some(Cmd::Explain(_) | Cmd::ExplainQueryPlan(_))) => {
                Err(Fault::syntax((0, text.len()), "EXPLAIN has no place in a migration"))
            }
            Ok(None) => Err(Fault::syntax((0, text.len()), "this is not one statement")),
            Err(error) => Err(located(text, tokens, &error)),
        }
    }))
    .ok()
}

fn located(text: &str, tokens: &[Token], error: &Error) -> Fault {
    let Error::ParserError(error, position) = error else {
        return Fault::syntax((0, text.len()), "unrecognized token");
    };
    let at = position.as_ref().map_or(0, |position| offset(text, position.line, position.column));
    let token = tokens.iter().find(|token| token.start == at);
    match (error, token) {
        (ParserError::UnexpectedEof, _) | (_, None) => {
            Fault::syntax((text.len(), text.len()), "the statement ends too early")
        }
        (ParserError::Custom(message), Some(token)) => Fault::syntax((token.start, token.end), message.as_str()),
        (ParserError::SyntaxError(_), Some(token)) => {
            let message = format!("syntax error at or near \"{}\"", token.text(text));
            Fault::syntax((token.start, token.end), message)
        }
    }
}

/// Returns the byte at a line and a column of bytes.
fn offset(text: &str, line: usize, column: usize) -> usize {
    let start: usize = text.split_inclusive('\n').take(line.saturating_sub(1)).map(str::len).sum();
    start + column.saturating_sub(1)
}
