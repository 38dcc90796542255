//! How the server makes the name of an object that is written without one.
//!
//! Source: `makeObjectName`, `ChooseIndexColumnNames` and `ChooseIndexNameAddition` of the server (`commands/indexcmds.c`), which
//! are alike from 13 to 18.

use super::names::BYTES_MAX;

/// Returns `first_second_label`, the longer of the two names cut until it fits.
pub(super) fn object_name(first: &str, second: Option<&str>, label: &str) -> String {
    let room = BYTES_MAX - label.len() - 1 - usize::from(second.is_some());
    let (mut one, mut two) = (first.len(), second.map_or(0, str::len));
    while one + two > room {
        if one > two { one -= 1 } else { two -= 1 }
    }
    let second = second.map_or_else(String::new, |second| ["_", cut(second, two)].concat());
    [cut(first, one), &second, "_", label].concat()
}

/// Returns the label of a pass: the first has no number.
pub(super) fn of_pass(label: &str, pass: usize) -> String {
    if pass == 0 { label.to_owned() } else { [label, &pass.to_string()].concat() }
}

/// Returns the names of an index's own columns: what repeats gets a number.
pub(super) fn told_apart<'n>(columns: impl IntoIterator<Item = &'n str>) -> Vec<String> {
    let mut names: Vec<String> = vec![];
    for column in columns {
        let numbered = (1..).map(|number: u32| {
            let number = number.to_string();
            [cut(column, BYTES_MAX - number.len()), &number].concat()
        });
        let mut all = std::iter::once(column.to_owned()).chain(numbered);
        names.extend(all.find(|name| !names.contains(name)));
    }
    names
}

/// Joins names by `_` until they are longer than any name.
pub(super) fn joined(names: &[String]) -> String {
    let mut joined = String::new();
    for name in names {
        if !joined.is_empty() {
            joined.push('_');
        }
        joined.push_str(name);
        if joined.len() > BYTES_MAX {
            break;
        }
    }
    joined
}

/// Returns at most so many bytes of a text, cut between characters.
fn cut(text: &str, bytes_max: usize) -> &str {
    let end = (0..=bytes_max.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
    &text[..end]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longer_name_is_cut_first_and_between_characters() {
        assert_eq!(object_name("t", Some("a"), "check"), "t_a_check");
        assert_eq!(object_name("t", None, "pkey"), "t_pkey");
        let (table, column) = ("t".repeat(40), "é".repeat(20));
        let name = object_name(&table, Some(&column), "key");
        assert_eq!(name, ["t".repeat(29).as_str(), "_", "é".repeat(14).as_str(), "_key"].concat());
    }

    #[test]
    fn a_column_that_is_included_too_is_told_apart() {
        assert_eq!(told_apart(["a", "a", "a"]), ["a", "a1", "a2"]);
    }
}
