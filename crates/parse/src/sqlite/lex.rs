//! The words of SQLite's SQL, by the parser's own tokenizer.

use sqlite3_parser::dialect::TokenType;
use sqlite3_parser::lexer::Splitter;
use sqlite3_parser::lexer::sql::{Error, Tokenizer};

use crate::problem::{Fault, ProblemKind};
use crate::token::{Kind, Token};

pub(super) struct Lexer<'t> {
    text: &'t str,
    at: usize,
    tokenizer: Tokenizer,
}

impl<'t> Lexer<'t> {
    pub(super) fn new(text: &'t str) -> Self {
        Self { text, at: 0, tokenizer: Tokenizer::new() }
    }

    fn fault(&self, error: &Error) -> Fault {
        let end = match error {
            Error::UnterminatedLiteral(_) | Error::UnterminatedBracket(_) | Error::UnterminatedBlockComment(_) => {
                self.text.len()
            }
            _ => self.at + self.text[self.at..].chars().next().map_or(0, char::len_utf8),
        };
        let kind = match error {
            Error::UnterminatedLiteral(_) if self.text[self.at..].starts_with('\'') => {
                ProblemKind::Unterminated { what: "string" }
            }
            Error::UnterminatedLiteral(_) | Error::UnterminatedBracket(_) => {
                ProblemKind::Unterminated { what: "quoted name" }
            }
            Error::UnterminatedBlockComment(_) => ProblemKind::Unterminated { what: "comment" },
            Error::BadVariableName(_) => syntax("this is no name of a parameter"),
            Error::BadNumber(_) | Error::MalformedHexInteger(_) => syntax("this is no number"),
            Error::MalformedBlobLiteral(_) => syntax("this is no blob literal"),
            _ => syntax("unrecognized token"),
        };
        Fault { span: (self.at, end), kind }
    }
}

fn syntax(message: &str) -> ProblemKind {
    ProblemKind::Syntax { message: message.to_owned() }
}

impl Iterator for Lexer<'_> {
    type Item = Result<Token, Fault>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let rest = &self.text.as_bytes()[self.at..];
            if rest.is_empty() {
                return None;
            }
            let (token, length) = match self.tokenizer.split(rest) {
                Ok(split) => split,
                Err(error) => {
                    let fault = self.fault(&error);
                    self.at = self.text.len();
                    return Some(Err(fault));
                }
            };
            let start = self.at;
            self.at += length.max(1);
            let is_comment = rest[0] == b'-' || rest[0] == b'/';
            match token {
                Some((_, of)) => return Some(Ok(Token { kind: kind(of, rest[0]), start, end: self.at })),
                None if is_comment => return Some(Ok(Token { kind: Kind::Comment, start, end: self.at })),
                None => {}
            }
        }
    }
}

fn kind(of: TokenType, first: u8) -> Kind {
    match of {
        TokenType::TK_LP => Kind::Open,
        TokenType::TK_RP => Kind::Close,
        TokenType::TK_COMMA => Kind::Comma,
        TokenType::TK_SEMI => Kind::Semicolon,
        TokenType::TK_DOT => Kind::Dot,
        TokenType::TK_EQ => Kind::Equals,
        TokenType::TK_STRING | TokenType::TK_BLOB => Kind::Text,
        TokenType::TK_INTEGER | TokenType::TK_FLOAT => Kind::Number,
        TokenType::TK_VARIABLE => Kind::Other,
        _ if matches!(first, b'"' | b'`' | b'[') => Kind::Quoted,
        _ if first.is_ascii_alphabetic() || first == b'_' || first >= 0x80 => Kind::Word,
        _ => Kind::Other,
    }
}
