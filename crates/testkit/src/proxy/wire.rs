//! As much of PostgreSQL's wire protocol as it takes to tell requests and answers apart.

/// What a frontend asks before its startup message, each answered by a single byte: encryption by TLS or by GSSAPI.
const ENCRYPTION: [u32; 2] = [80_877_103, 80_877_104];

/// Asks to cancel another connection's statement; nothing follows.
const CANCEL: u32 = 80_877_102;

/// What a frontend sends, in pieces that are passed on or held back whole.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// Asks for encryption.
    Encryption(Vec<u8>),
    /// Begins the session; the `application_name`.
    Startup(Vec<u8>, String),
    /// One statement, or one group up to its Sync: it is answered by one ReadyForQuery.
    Request(Vec<u8>),
    /// Passwords, copied data, a farewell.
    Other(Vec<u8>),
}

/// Cuts what a frontend sends.
#[derive(Debug, Default)]
pub(super) struct Frontend {
    buffer: Vec<u8>,
    group: Vec<u8>,
    begun: bool,
}

impl Frontend {
    /// Takes what was read and returns the pieces that are complete.
    pub(super) fn take(&mut self, bytes: &[u8]) -> Vec<Part> {
        self.buffer.extend_from_slice(bytes);
        let mut parts = Vec::new();
        while let Some(part) = if self.begun { self.message() } else { self.first() } {
            parts.extend(part);
        }
        parts
    }

    /// Takes a message of the kind that has no type yet.
    fn first(&mut self) -> Option<Option<Part>> {
        let message = complete(&mut self.buffer, 0)?;
        let code = message.get(4..8).map(number)?;
        if ENCRYPTION.contains(&code) {
            return Some(Some(Part::Encryption(message)));
        }
        self.begun = true;
        let name = if code == CANCEL { String::new() } else { application(&message[8..]) };
        Some(Some(if code == CANCEL { Part::Other(message) } else { Part::Startup(message, name) }))
    }

    /// Takes a message with a type; those of one group are given together.
    fn message(&mut self) -> Option<Option<Part>> {
        let message = complete(&mut self.buffer, 1)?;
        let kind = message[0];
        self.group.extend(message);
        Some(match kind {
            b'Q' | b'S' => Some(Part::Request(std::mem::take(&mut self.group))),
            // Parse, Bind, Describe, Execute, Close: until their Sync.
            b'P' | b'B' | b'D' | b'E' | b'C' => None,
            _ => Some(Part::Other(std::mem::take(&mut self.group))),
        })
    }
}

/// Cuts what a backend sends, after each ReadyForQuery.
#[derive(Debug, Default)]
pub(super) struct Backend {
    buffer: Vec<u8>,
}

impl Backend {
    /// Takes what was read, of which the first `bare` bytes are no messages; returns the pieces, and whether each ends with a
    /// ReadyForQuery.
    pub(super) fn take(&mut self, bytes: &[u8], bare: usize) -> Vec<(Vec<u8>, bool)> {
        let (bare, bytes) = bytes.split_at(bare.min(bytes.len()));
        self.buffer.extend_from_slice(bytes);
        let mut pieces = Vec::new();
        let mut piece = bare.to_vec();
        while let Some(message) = complete(&mut self.buffer, 1) {
            let ready = message[0] == b'Z';
            piece.extend(message);
            if ready {
                pieces.push((std::mem::take(&mut piece), true));
            }
        }
        if !piece.is_empty() {
            pieces.push((piece, false));
        }
        pieces
    }
}

/// Takes one message off the front, where it is there as a whole: `head` bytes, then its length, which counts itself.
fn complete(buffer: &mut Vec<u8>, head: usize) -> Option<Vec<u8>> {
    let length = buffer.get(head..head + 4).map(number)?;
    let end = head + usize::try_from(length).ok()?;
    (buffer.len() >= end).then(|| buffer.drain(..end).collect())
}

fn number(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0, |sum, byte| sum << 8 | u32::from(*byte))
}

/// Returns the `application_name` of a startup message's parameters.
fn application(parameters: &[u8]) -> String {
    let words: Vec<&[u8]> = parameters.split(|byte| *byte == 0).collect();
    let named = words.chunks(2).find(|pair| pair[0] == b"application_name");
    named.and_then(|pair| pair.get(1)).map(|name| String::from_utf8_lossy(name).into_owned()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(kind: u8, body: &[u8]) -> Vec<u8> {
        let length = u32::try_from(body.len() + 4).expect("it is short");
        [&[kind][..], &length.to_be_bytes(), body].concat()
    }

    fn startup(code: u32, body: &[u8]) -> Vec<u8> {
        message(0, &[&code.to_be_bytes()[..], body].concat())[1..].to_vec()
    }

    #[test]
    fn a_session_is_cut_into_requests_however_it_arrives() {
        let asked = startup(ENCRYPTION[0], b"");
        let begun = startup(196_608, b"user\0x\0application_name\0segue 1 work\0\0");
        let group = [message(b'P', b"\0select 1\0\0\0"), message(b'B', b"\0"), message(b'S', b"")].concat();
        let query = message(b'Q', b"select 2\0");
        let all = [asked.clone(), begun.clone(), group.clone(), query.clone(), message(b'X', b"")].concat();
        let expected = [
            Part::Encryption(asked),
            Part::Startup(begun, "segue 1 work".to_owned()),
            Part::Request(group),
            Part::Request(query),
            Part::Other(message(b'X', b"")),
        ];
        for size in [1, 7, all.len()] {
            let mut frontend = Frontend::default();
            let parts: Vec<Part> = all.chunks(size).flat_map(|chunk| frontend.take(chunk)).collect();
            assert_eq!(parts, expected, "in pieces of {size}");
        }
    }

    #[test]
    fn answers_end_where_the_backend_is_ready() {
        let answer = [message(b'D', b"row"), message(b'Z', b"I")].concat();
        let notice = message(b'N', b"x");
        let mut backend = Backend::default();
        let all = [b"N".to_vec(), answer.clone(), notice.clone()].concat();
        assert_eq!(backend.take(&all, 1), [([b"N".to_vec(), answer].concat(), true), (notice, false)]);
    }
}
