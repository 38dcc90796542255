//! Everything about a schema as sorted lines of text: equal dumps mean equal structure.
//!
//! Each line begins with the kind of fact (`column`, `index`, `grant`, `comment`, …) and names the object. What is left out
//! is listed in [`IGNORED`]; what changes by mere use (sequence values) is kept apart in lines that begin with
//! [`SEQUENCE_VALUE`].

pub mod postgres;
pub mod sqlite;

/// What two equal dumps may still differ in.
pub const IGNORED: &[&str] = &["column position"];

/// How lines begin that say where a sequence stands: rows written and rolled back move it too.
pub const SEQUENCE_VALUE: &str = "sequence value ";

/// Returns a dump without the lines that begin with `prefix`.
#[must_use]
pub fn without(dump: Vec<String>, prefix: &str) -> Vec<String> {
    dump.into_iter().filter(|line| !line.starts_with(prefix)).collect()
}

/// Returns what differs, one line a fact: `- ` is only in the first, `+ ` only in the second. Empty when they are equal.
#[must_use]
pub fn difference(before: &[String], after: &[String]) -> Vec<String> {
    let mut lines: Vec<String> = missing(before, after).map(|line| format!("- {line}")).collect();
    lines.extend(missing(after, before).map(|line| format!("+ {line}")));
    lines
}

/// Panics with the difference and the ignore list unless both dumps are equal.
///
/// # Panics
/// When they differ.
#[track_caller]
pub fn assert_same(before: &[String], after: &[String]) {
    let difference = difference(before, after);
    assert!(difference.is_empty(), "ignored: {}\n{}", IGNORED.join(", "), difference.join("\n"));
}

/// Returns the lines of one that the other lacks; a line that stands twice must be there twice.
fn missing<'a>(one: &'a [String], other: &'a [String]) -> impl Iterator<Item = &'a String> {
    let mut left: std::collections::HashMap<&String, usize> = std::collections::HashMap::new();
    for line in other {
        *left.entry(line).or_default() += 1;
    }
    one.iter().filter(move |line| match left.get_mut(line) {
        Some(count) if *count > 0 => {
            *count -= 1;
            false
        }
        _ => true,
    })
}

/// Returns one row as text: `name=value` by column name, values in single quotes, NULL without.
fn row_text(columns: &[String], values: impl Iterator<Item = Option<String>>) -> String {
    let cells = columns.iter().zip(values).map(|(column, value)| match value {
        Some(text) => format!("{column}='{}'", text.replace('\'', "''")),
        None => format!("{column}=NULL"),
    });
    cells.collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::difference;

    #[test]
    fn a_difference_names_both_sides_and_counts_doubles() {
        let lines = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(difference(&lines("a b b"), &lines("a b c")), ["- b", "+ c"]);
        assert!(difference(&lines("a b"), &lines("a b")).is_empty());
    }
}
