//! Other columns in a definition as the server prints it. A text cannot show which of its words are columns; the server can
//! say how many are. Every word that could be one is counted, so where both figures are the same, each of them is.

use segue_model::ident::Ident;
use segue_model::sql::{Hole, Sql};

use super::super::sql;

/// A column, the one that takes its place, and how often the server says that it stands in the definition.
pub(in super::super) struct Place<'a> {
    pub(in super::super) column: &'a Ident,
    pub(in super::super) copy: &'a Ident,
    pub(in super::super) refs: usize,
}

/// Returns the definition with the copies in the places of the columns; `None` where that cannot be proved right.
pub(in super::super) fn substitute(printed: &str, places: &[Place<'_>]) -> Option<Sql> {
    let tokens = tokens(printed)?;
    let mut found = vec![0_usize; places.len()];
    let mut text = String::with_capacity(printed.len() + 32);
    for (at, token) in tokens.iter().enumerate() {
        let place = name_of(token).and_then(|name| places.iter().position(|place| place.column.as_str() == name));
        match place {
            Some(place) if may_be_column(&tokens, at) => {
                found[place] += 1;
                text.push_str(sql("{c}", &[("c", Hole::Name(places[place].copy))]).as_str());
            }
            _ => text.push_str(token),
        }
    }
    let proved = places.iter().zip(&found).all(|(place, found)| place.refs == *found);
    proved.then(|| Sql::of_catalog(&text))
}

/// A name after a dot, before one, before an argument list or after `::` or COLLATE is of a schema, a function, a type or a
/// collation.
fn may_be_column(tokens: &[&str], at: usize) -> bool {
    let word = |token: &&&str| !token.trim().is_empty();
    let before = tokens[..at].iter().rev().find(word).copied().unwrap_or_default();
    let after = tokens[at + 1..].iter().find(word).copied().unwrap_or_default();
    !matches!(before, "." | "::" | "COLLATE") && !matches!(after, "." | "(")
}

/// Returns the name that a token spells. What the server prints bare is folded already; its own words are in capitals.
fn name_of(token: &str) -> Option<String> {
    match token.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) {
        Some(quoted) => Some(quoted.replace("\"\"", "\"")),
        None => token.starts_with(begins_name).then(|| token.to_owned()),
    }
}

fn begins_name(c: char) -> bool {
    c.is_alphabetic() || c == '_' || !c.is_ascii()
}

/// Returns the text in pieces: names, literals, numbers, `::`, white space, and each other character by itself; `None` where
/// it ends within a quote.
fn tokens(text: &str) -> Option<Vec<&str>> {
    let mut tokens = vec![];
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let length = match first {
            '\'' => quoted(rest, '\'', false)?,
            'E' if rest[1..].starts_with('\'') => 1 + quoted(&rest[1..], '\'', true)?,
            '"' => quoted(rest, '"', false)?,
            ':' if rest.starts_with("::") => 2,
            c if begins_name(c) => run(rest, |c| begins_name(c) || c.is_ascii_digit() || c == '$'),
            c if c.is_ascii_digit() => run(rest, |c| c.is_ascii_alphanumeric() || c == '.' || c == '_'),
            c if c.is_whitespace() => run(rest, char::is_whitespace),
            c => c.len_utf8(),
        };
        let (token, after) = rest.split_at(length);
        tokens.push(token);
        rest = after;
    }
    Some(tokens)
}

fn run(text: &str, belongs: impl Fn(char) -> bool) -> usize {
    text.find(|c| !belongs(c)).unwrap_or(text.len())
}

/// Returns where a quoted piece ends; a quote in it is doubled, or escaped where that is so.
fn quoted(text: &str, quote: char, escapes: bool) -> Option<usize> {
    let mut chars = text.char_indices().skip(1).peekable();
    while let Some((at, c)) = chars.next() {
        if escapes && c == '\\' {
            chars.next();
        } else if c == quote {
            match chars.peek() {
                Some((_, next)) if *next == quote => {
                    chars.next();
                }
                _ => return Some(at + c.len_utf8()),
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(printed: &str, column: &str, refs: usize) -> Option<String> {
        let (column, copy) = (Ident::new(column).unwrap(), Ident::known("n"));
        let places = [Place { column: &column, copy: &copy, refs }];
        substitute(printed, &places).map(|sql| sql.as_str().to_owned())
    }

    #[test]
    fn only_the_column_itself_is_replaced() {
        let printed = "(lower(name), surname, \"name\", 'name', E'\\'name', public.name(name), (x)::name COLLATE name)";
        let must = "(lower(\"n\"), surname, \"n\", 'name', E'\\'name', public.name(\"n\"), (x)::name COLLATE name)";
        assert_eq!(put(printed, "name", 3).unwrap(), must);
        assert_eq!(put("(\"we\"\"ird\" > 1e5)", "we\"ird", 1).unwrap(), "(\"n\" > 1e5)");
    }

    #[test]
    fn a_word_that_may_be_a_column_or_not_is_no_proof() {
        assert_eq!(put("(EXTRACT(year FROM day) > 3)", "year", 0), None);
        assert_eq!(put("((year > 1) AND (EXTRACT(year FROM day) > 3))", "year", 1), None);
        assert_eq!(put("(id > 1)", "id", 2), None);
        assert_eq!(put("('id", "id", 0), None);
    }
}
