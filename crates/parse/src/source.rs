//! A file's bytes as text, and where each byte of it stands.

use segue_model::change::Place;
use sha2::{Digest, Sha256};

use crate::problem::{Fault, Problem, ProblemKind};

/// A file to be read.
#[derive(Debug, Clone, Copy)]
pub struct Source<'a> {
    /// Its name as the user wrote it.
    pub file: &'a str,
    /// Its bytes.
    pub text: &'a [u8],
}

/// Returns `sha256:<hex>` over the bytes with CRLF → LF and without BOM.
pub fn checksum(bytes: &[u8]) -> String {
    let digest = Sha256::digest(unix_lines(bytes));
    let hex: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256:{hex}")
}

/// Returns the file as text, with CRLF → LF and without BOM.
///
/// # Errors
/// A [`Problem`] with its place when the file is not UTF-8 or holds a NUL character.
pub fn normalise(source: &Source<'_>) -> Result<String, Problem> {
    let text = String::from_utf8(unix_lines(source.text)).map_err(|error| {
        let good = error.utf8_error().valid_up_to();
        let before = String::from_utf8_lossy(&error.as_bytes()[..good]).into_owned();
        Lines::new(source.file, &before).problem(&before, Fault { span: (good, good), kind: ProblemKind::NotUtf8 })
    })?;
    match text.find('\0') {
        None => Ok(text),
        Some(at) => {
            let fault = Fault { span: (at, at + 1), kind: ProblemKind::Nul };
            Err(Lines::new(source.file, &text).problem(&text, fault))
        }
    }
}

fn unix_lines(bytes: &[u8]) -> Vec<u8> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let mut lines = Vec::with_capacity(bytes.len());
    for (at, byte) in bytes.iter().enumerate() {
        if !(*byte == b'\r' && bytes.get(at + 1) == Some(&b'\n')) {
            lines.push(*byte);
        }
    }
    lines
}

/// How many bytes lie between two notes of the count of characters, so that a file of one long line is still quick.
const BLOCK: usize = 1024;

/// Where each byte of a text stands.
pub(crate) struct Lines {
    file: String,
    /// The first byte of each line.
    starts: Vec<usize>,
    /// How many characters begin before byte `i * BLOCK`.
    chars: Vec<usize>,
}

impl Lines {
    pub(crate) fn new(file: &str, text: &str) -> Self {
        let mut starts = vec![0];
        let mut chars = Vec::with_capacity(text.len() / BLOCK + 1);
        let mut count = 0;
        for (at, byte) in text.bytes().enumerate() {
            if at % BLOCK == 0 {
                chars.push(count);
            }
            count += usize::from(begins_character(byte));
            if byte == b'\n' {
                starts.push(at + 1);
            }
        }
        chars.push(count);
        Self { file: file.to_owned(), starts, chars }
    }

    /// Returns the place of a byte; the end of the text for one beyond it.
    pub(crate) fn place(&self, text: &str, at: usize) -> Place {
        let at = at.min(text.len());
        let line = self.starts.partition_point(|start| *start <= at);
        let column = self.chars_before(text, at) - self.chars_before(text, self.starts[line - 1]) + 1;
        let number = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        Place { file: self.file.clone(), line: number(line), column: number(column) }
    }

    pub(crate) fn problem(&self, text: &str, fault: Fault) -> Problem {
        Problem { at: self.place(text, fault.span.0), span: Some(fault.span), kind: fault.kind }
    }

    fn chars_before(&self, text: &str, at: usize) -> usize {
        let block = at / BLOCK;
        match self.chars.get(block) {
            Some(count) if block * BLOCK <= at => {
                let rest = &text.as_bytes()[block * BLOCK..at];
                count + rest.iter().filter(|byte| begins_character(**byte)).count()
            }
            _ => self.chars.last().copied().unwrap_or(0),
        }
    }
}

fn begins_character(byte: u8) -> bool {
    byte & 0xc0 != 0x80
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(text: &str, at: usize) -> (u32, u32) {
        let place = Lines::new("f", text).place(text, at);
        (place.line, place.column)
    }

    #[test]
    fn columns_count_characters() {
        assert_eq!(place("é🎉x\ny", 6), (1, 3));
        assert_eq!(place("é🎉x\ny", 8), (2, 1));
        assert_eq!(place("", 0), (1, 1));
        assert_eq!(place("a\n", 2), (2, 1));
        assert_eq!(place("a", 99), (1, 2));
    }

    #[test]
    fn places_in_a_long_line_agree_with_counting() {
        let text = "aé🎉".repeat(2000);
        for at in [0, 1023, 1024, 1025, 2048, 13_999, 14_000] {
            let expected = text.bytes().take(at).filter(|byte| begins_character(*byte)).count() + 1;
            assert_eq!(place(&text, at), (1, u32::try_from(expected).unwrap()), "{at}");
        }
    }

    #[test]
    fn line_ends_and_the_byte_order_mark_do_not_count() {
        assert_eq!(checksum(b"\xef\xbb\xbfa\r\nb"), checksum(b"a\nb"));
        assert_ne!(checksum(b"a\rb"), checksum(b"a\nb"));
        assert_eq!(checksum(b""), "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
        let text = normalise(&Source { file: "f", text: b"\xef\xbb\xbfa\r\nb\r" }).unwrap();
        assert_eq!(text, "a\nb\r");
    }

    #[test]
    fn bytes_that_are_no_text_are_shown_with_their_place() {
        let problem = normalise(&Source { file: "f", text: "a\r\né\u{fffd}".as_bytes() });
        assert!(problem.is_ok());
        let problem = normalise(&Source { file: "f", text: b"a\r\n\xc3\xa9\xffz" }).unwrap_err();
        assert_eq!((problem.at.line, problem.at.column, problem.kind), (2, 2, ProblemKind::NotUtf8));
        let problem = normalise(&Source { file: "f", text: b"a\nb\0" }).unwrap_err();
        assert_eq!((problem.at.line, problem.at.column, problem.kind), (2, 2, ProblemKind::Nul));
    }
}
