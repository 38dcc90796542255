//! Messages of a server without the values that they quote.

use std::borrow::Cow;

use segue_model::session::{Fail, FailKind};

/// The words that servers, and our own plans, use to say that a value cannot be converted or stored, names of common types
/// among them. Any other word may come from a row: a trigger or a function says what it likes.
const KNOWN: &str = "a access an and any array as at bad be between bigint bit boolean by byte bytea can can't cannot cast \
    char character characters check cidr column constraint contains conversion convert converted coordinate data date \
    date/time decimal default delimiter denominator digit digits dimension dimensions division does domain double empty \
    encoding end enum error exactly exceeds expected factor failed failing field file first fits float4 float8 for foreign format \
    from function gives has hex hexadecimal in index inet infinite infinity input int2 int4 int8 integer interval invalid is it \
    json jsonb key length less line logarithm long loss macaddr malformed mantissa maximum may minimum missing money \
    more must name named negative new no non-negative not null number numeric odd of on only operator or out over overflow \
    parameter path point precision query range real record relation result root row rowid scale sequence sign size smallint \
    square string subscript substring syntax take text than that the time timestamp timestamptz timetz timezone to token \
    too transform type unable underflow unexpected unique unrecognized unsupported update uuid value values varbit varchar \
    violates what whitespace width will with within without xml year zero zone";

/// Returns the message with what may be a value made unreadable: letters become `x`, digits `9`. A value may hold quotes
/// itself, so all that stands between the first quote and the last counts as quoted; what stands in parentheses too. Elsewhere
/// only words that servers are known to use can be read.
pub(crate) fn mask(message: &str) -> String {
    let (from, to) = quoted(message);
    let mut masked = String::with_capacity(message.len());
    push_words(&mut masked, &message[..from]);
    masked.extend(message[from..to].chars().map(unreadable));
    push_words(&mut masked, &message[to..]);
    masked
}

/// Returns what a failure says, with what may be a value of a row made unreadable: that of a conversion, and that of a function
/// or trigger of the application.
pub(crate) fn mask_said(fail: &Fail) -> Cow<'_, str> {
    let of_class = |class: &str| fail.code.as_ref().is_some_and(|code| code.starts_with(class));
    if fail.kind == FailKind::Conversion || of_class("22") || of_class("P0") {
        Cow::Owned(mask(&fail.message))
    } else {
        Cow::Borrowed(&fail.message)
    }
}

fn push_words(masked: &mut String, text: &str) {
    for word in text.split_inclusive(|character: char| character.is_whitespace() || character.is_control()) {
        let bare = word.trim_matches(|character: char| !character.is_alphanumeric()).to_lowercase();
        let is_known = KNOWN.split_ascii_whitespace().any(|known| known == bare);
        masked.extend(word.chars().map(|character| match character {
            _ if character.is_control() => ' ',
            _ if is_known => character,
            _ => unreadable(character),
        }));
    }
}

fn unreadable(character: char) -> char {
    match character {
        _ if character.is_numeric() => '9',
        _ if character.is_alphabetic() => 'x',
        _ if !character.is_ascii() && !is_quote(character) => 'x',
        _ if character.is_control() => ' ',
        _ => character,
    }
}

/// Returns where the first quote or parenthesis opens and the last one closes; to the end where it does not.
fn quoted(message: &str) -> (usize, usize) {
    let mut before = ' ';
    let mut first = None;
    for (at, character) in message.char_indices() {
        // The apostrophe of a word opens nothing.
        if is_quote(character) && !(character == '\'' && before.is_alphanumeric()) {
            first = Some((at, character.len_utf8()));
            break;
        }
        before = character;
    }
    let Some((from, length)) = first else { return (message.len(), message.len()) };
    let last = message.char_indices().rev().find(|(at, character)| *at >= from + length && is_quote(*character));
    (from, last.map_or(message.len(), |(at, _)| at))
}

fn is_quote(character: char) -> bool {
    matches!(character, '"' | '\'' | '`' | '(' | ')' | '«' | '»' | '„' | '“' | '”' | '‚' | '‘' | '’' | '‹' | '›')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_message_quotes_cannot_be_read() {
        for (message, masked) in [
            (
                "invalid input syntax for type integer: \"Mary 42\"",
                "invalid input syntax for type integer: \"xxxx 99\"",
            ),
            (
                "value \"3000000000\" is out of range for type int4",
                "value \"9999999999\" is out of range for type int4",
            ),
            ("cannot convert 4711 to a date", "cannot convert 9999 to a date"),
            ("can't cast -1.5e3", "can't cast -9.9x9"),
            ("bad value 'it''s Ünïcode'", "bad value 'xx''x xxxxxxx'"),
            ("two: \"a\" secret\" end", "xxx: \"x\" xxxxxx\" end"),
            ("failing row contains (1, Mary, null)", "failing row contains (9, xxxx, xxxx)"),
            ("ungültige Eingabe: „Maria 7“", "xxxxxxxxx xxxxxxx: „xxxxx 9“"),
            ("open \"Mary", "xxxx \"xxxx"),
            ("line\nbreak", "line xxxxx"),
            ("", ""),
            ("bad email mary@example.com", "bad xxxxx xxxx@xxxxxxx.xxx"),
            ("customer Mary\u{a0}Smith must not be empty", "xxxxxxxx xxxxxxxxxx must not be empty"),
            ("it is not between -128 and 127", "it is not between -999 and 999"),
        ] {
            assert_eq!(mask(message), masked, "{message}");
        }
    }

    #[test]
    fn only_what_a_row_or_the_application_may_have_said_is_masked() {
        let said = |code: &str, kind| Fail { code: Some(code.to_owned()), ..Fail::new(kind, "no Mary") };
        for (code, kind, masked) in [
            ("P0001", FailKind::Server, "no xxxx"),
            ("22P02", FailKind::Conversion, "no xxxx"),
            ("42P01", FailKind::Undefined, "no Mary"),
        ] {
            assert_eq!(mask_said(&said(code, kind)), masked, "{code}");
        }
    }

    #[test]
    fn no_word_of_a_value_survives() {
        let secrets = ["hunter2", "Grünwald", "0815", "o'neil", "a\"b\"c", "日本"];
        for secret in secrets {
            for quote in ["\"", "'", "`"] {
                let masked = mask(&format!("invalid input syntax: {quote}{secret}{quote} in column x"));
                assert!(!masked.contains(secret), "{masked}");
            }
        }
    }
}
