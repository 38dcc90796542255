//! Messages of a server without the values that they quote.

/// Returns the message with what it quotes made unreadable: letters become `x`, digits `9`. A value may hold quotes itself,
/// so all that stands between the first quote and the last counts as quoted; what stands in parentheses too. Elsewhere only
/// numbers are values.
pub(crate) fn mask(message: &str) -> String {
    let (from, to) = quoted(message);
    let mut masked = String::with_capacity(message.len());
    let mut before = ' ';
    for (at, character) in message.char_indices() {
        let inside = (from..to).contains(&at);
        let number = character.is_numeric() && !is_of_a_name(before);
        masked.push(match character {
            _ if character.is_numeric() && (inside || number) => '9',
            _ if character.is_alphabetic() && inside => 'x',
            _ if inside && !character.is_ascii() && !is_quote(character) => 'x',
            _ if character.is_control() => ' ',
            _ => character,
        });
        // A digit that stands for a number does not make the next one part of a name.
        before = if number { ' ' } else { character };
    }
    masked
}

fn is_of_a_name(character: char) -> bool {
    character.is_alphanumeric() || character == '_'
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
    use super::mask;

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
            ("can't cast -1.5e3", "can't cast -9.9e3"),
            ("bad value 'it''s Ünïcode'", "bad value 'xx''x xxxxxxx'"),
            ("two: \"a\" secret\" end", "two: \"x\" xxxxxx\" end"),
            ("failing row contains (1, Mary, null)", "failing row contains (9, xxxx, xxxx)"),
            ("ungültige Eingabe: „Maria 7“", "ungültige Eingabe: „xxxxx 9“"),
            ("open \"Mary", "open \"xxxx"),
            ("line\nbreak", "line break"),
            ("", ""),
        ] {
            assert_eq!(mask(message), masked, "{message}");
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
