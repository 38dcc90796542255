//! The words of PostgreSQL's SQL.
//!
//! The parser's own scanner gives nothing for a text that it cannot scan to its end; this one goes word by word, so that it
//! can say where a quote was opened, and stop before data that is no SQL.

use crate::problem::{Fault, ProblemKind};
use crate::token::{Kind, Token};

pub(super) struct Lexer<'t> {
    text: &'t str,
    at: usize,
}

impl<'t> Lexer<'t> {
    pub(super) fn new(text: &'t str) -> Self {
        Self { text, at: 0 }
    }

    fn rest(&self) -> &'t [u8] {
        &self.text.as_bytes()[self.at..]
    }

    /// Returns what the next word is and how many bytes it has.
    fn word(&self) -> Result<(Kind, usize), Fault> {
        let rest = self.rest();
        let second = rest.get(1).copied().unwrap_or(0);
        let third = rest.get(2).copied().unwrap_or(0);
        Ok(match rest[0] {
            b'-' if second == b'-' => (Kind::Comment, length(rest, |byte| byte != b'\n')),
            b'/' if second == b'*' => (Kind::Comment, self.block_comment()?),
            b'\'' => (Kind::Text, self.quoted(0, b'\'', false, "string")?),
            b'e' | b'E' if second == b'\'' => (Kind::Text, self.quoted(1, b'\'', true, "string")?),
            b'b' | b'B' | b'x' | b'X' if second == b'\'' => (Kind::Text, self.quoted(1, b'\'', false, "string")?),
            b'u' | b'U' if second == b'&' && third == b'\'' => (Kind::Text, self.quoted(2, b'\'', false, "string")?),
            b'u' | b'U' if second == b'&' && third == b'"' => {
                (Kind::Quoted, self.quoted(2, b'"', false, "quoted name")?)
            }
            b'"' => (Kind::Quoted, self.quoted(0, b'"', false, "quoted name")?),
            b'$' => self.dollar()?,
            b'0'..=b'9' => (Kind::Number, number(rest)),
            b'.' if second.is_ascii_digit() => (Kind::Number, number(rest)),
            byte if begins_word(byte) => (Kind::Word, length(rest, continues_word)),
            b'(' | b'[' => (Kind::Open, 1),
            b')' | b']' => (Kind::Close, 1),
            b',' => (Kind::Comma, 1),
            b';' => (Kind::Semicolon, 1),
            b'.' => (Kind::Dot, 1),
            b'\\' => (Kind::Backslash, 1),
            byte if is_operator(byte) => operator(rest),
            b':' if second == b':' || second == b'=' => (Kind::Other, 2),
            _ => (Kind::Other, 1),
        })
    }

    fn unterminated(&self, what: &'static str) -> Fault {
        Fault { span: (self.at, self.text.len()), kind: ProblemKind::Unterminated { what } }
    }

    /// Comments nest in PostgreSQL.
    fn block_comment(&self) -> Result<usize, Fault> {
        let rest = self.rest();
        let (mut depth, mut at) = (1, 2);
        while depth > 0 {
            match rest.get(at..at + 2) {
                Some(b"/*") => (depth, at) = (depth + 1, at + 2),
                Some(b"*/") => (depth, at) = (depth - 1, at + 2),
                Some(_) => at += 1,
                None => return Err(self.unterminated("comment")),
            }
        }
        Ok(at)
    }

    fn quoted(&self, open: usize, quote: u8, escapes: bool, what: &'static str) -> Result<usize, Fault> {
        let rest = self.rest();
        let mut at = open + 1;
        loop {
            match rest.get(at) {
                None => return Err(self.unterminated(what)),
                Some(b'\\') if escapes => at += 2,
                Some(byte) if *byte == quote => {
                    if rest.get(at + 1) != Some(&quote) {
                        return Ok(at + 1);
                    }
                    at += 2;
                }
                Some(_) => at += 1,
            }
        }
    }

    /// `$tag$ … $tag$`, else a parameter or a lone dollar.
    fn dollar(&self) -> Result<(Kind, usize), Fault> {
        let rest = self.rest();
        let tag = length(&rest[1..], |byte| continues_word(byte) && byte != b'$');
        let begins = tag == 0 || begins_word(rest[1]);
        if !begins || rest.get(tag + 1) != Some(&b'$') {
            let digits = length(&rest[1..], |byte| byte.is_ascii_digit());
            return Ok((Kind::Other, 1 + digits));
        }
        let body = self.at + tag + 2;
        let delimiter = &self.text[self.at..body];
        match self.text[body..].find(delimiter) {
            Some(close) => Ok((Kind::Text, tag + 2 + close + delimiter.len())),
            None => Err(self.unterminated("dollar-quoted string")),
        }
    }
}

impl Iterator for Lexer<'_> {
    type Item = Result<Token, Fault>;

    fn next(&mut self) -> Option<Self::Item> {
        self.at += length(self.rest(), |byte| matches!(byte, b' ' | b'\t' | b'\n' | b'\r' | 0x0b | 0x0c));
        if self.rest().is_empty() {
            return None;
        }
        let word = self.word();
        Some(
            word.map(|(kind, length)| {
                let start = self.at;
                self.at += length;
                Token { kind, start, end: self.at }
            })
            .inspect_err(|_| self.at = self.text.len()),
        )
    }
}

fn length(bytes: &[u8], belongs: impl Fn(u8) -> bool) -> usize {
    bytes.iter().position(|byte| !belongs(*byte)).unwrap_or(bytes.len())
}

fn begins_word(byte: u8) -> bool {
    byte.is_ascii_alphabetic() || byte == b'_' || byte >= 0x80
}

fn continues_word(byte: u8) -> bool {
    begins_word(byte) || byte.is_ascii_digit() || byte == b'$'
}

fn number(rest: &[u8]) -> usize {
    let mut at = 0;
    while let Some(byte) = rest.get(at) {
        let signed_exponent = at > 0
            && matches!(byte, b'+' | b'-')
            && matches!(rest[at - 1], b'e' | b'E')
            && !rest.starts_with(b"0x")
            && rest.get(at + 1).is_some_and(u8::is_ascii_digit);
        let range = *byte == b'.' && rest.get(at + 1) == Some(&b'.');
        if range || !(signed_exponent || byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.')) {
            break;
        }
        at += 1;
    }
    at
}

fn is_operator(byte: u8) -> bool {
    b"+-*/<>=~!@#%^&|`?".contains(&byte)
}

/// An operator ends before a comment, and in `+` or `-` only if it holds a character that no arithmetic has.
fn operator(rest: &[u8]) -> (Kind, usize) {
    let run = &rest[..length(rest, is_operator)];
    let comment = run.windows(2).position(|pair| pair == b"--" || pair == b"/*");
    let mut operator = &run[..comment.unwrap_or(run.len())];
    if !operator.iter().any(|byte| b"~!@#%^&|`?".contains(byte)) {
        while operator.len() > 1 && matches!(operator.last(), Some(b'+' | b'-')) {
            operator = &operator[..operator.len() - 1];
        }
    }
    (if operator == b"=" { Kind::Equals } else { Kind::Other }, operator.len().max(1))
}
