//! A file cut into statements and the comments between them.

use crate::grammar::Grammar;
use crate::problem::Fault;
use crate::token::{Kind, Token};

/// The next statement of a file and the comments before it.
pub(crate) struct Piece {
    /// The comments outside of a statement.
    pub(crate) outside: Vec<Token>,
    /// The statement's tokens, without comments and the final semicolon; empty at the end of the file.
    pub(crate) tokens: Vec<Token>,
    /// The comments in the statement.
    pub(crate) inside: Vec<Token>,
    /// Where the next piece begins; `None` at the end of the file.
    pub(crate) next: Option<usize>,
    /// What stopped the cutting: nothing after it can be read.
    pub(crate) broken: Option<Fault>,
}

/// Returns the piece that begins at byte `from`. One piece at a time keeps memory small for a large file.
pub(crate) fn piece(grammar: &dyn Grammar, text: &str, from: usize) -> Piece {
    let mut piece = Piece { outside: Vec::new(), tokens: Vec::new(), inside: Vec::new(), next: None, broken: None };
    for token in grammar.tokens(&text[from..]) {
        let token = match token {
            Ok(token) => Token { start: token.start + from, end: token.end + from, ..token },
            Err(fault) => {
                piece.broken = Some(fault.shifted(from));
                return piece;
            }
        };
        if token.kind == Kind::Comment {
            let comments = if piece.tokens.is_empty() { &mut piece.outside } else { &mut piece.inside };
            comments.push(token);
            continue;
        }
        if let Some(fault) = grammar.foreign(text, &token) {
            piece.broken = Some(fault);
            return piece;
        }
        if token.kind == Kind::Semicolon {
            if piece.tokens.is_empty() {
                continue;
            }
            if grammar.ends(text, &piece.tokens) {
                piece.next = Some(token.end);
                return piece;
            }
        }
        piece.tokens.push(token);
    }
    piece
}
