//! What a run of the tests must not do without.

use std::io::Write as _;

/// What `SEGUE_TEST_REQUIRE` names must be there: `postgres13,postgres18`.
const REQUIRE: &str = "SEGUE_TEST_REQUIRE";

/// Says that a test did not run for want of `what` (`postgres 15`).
///
/// # Panics
/// When `SEGUE_TEST_REQUIRE` names it (`postgres15`): then its absence is the failure.
#[track_caller]
pub fn skipped(what: &str) {
    let list = std::env::var(REQUIRE).unwrap_or_default();
    assert!(!names(&list, what), "{what} is required by {REQUIRE}={list}, and it is not here: run `cargo xtask setup`");
    // Not by println: cargo's harness would keep it from the person who must see it. A closed stdout is no failure.
    drop(writeln!(std::io::stdout().lock(), "skipped: no {what}"));
}

/// Returns whether a list such as `postgres13, postgres18` names `what`; spaces do not count.
fn names(list: &str, what: &str) -> bool {
    let squeezed = |text: &str| text.replace(' ', "").to_ascii_lowercase();
    list.split(',').any(|item| !item.trim().is_empty() && squeezed(item) == squeezed(what))
}

#[cfg(test)]
mod tests {
    use super::names;

    #[test]
    fn a_requirement_is_found_with_and_without_spaces() {
        assert!(names("postgres13,postgres15", "postgres 15"));
        assert!(names(" postgres 18 ", "postgres18"));
        assert!(!names("postgres13", "postgres 1"));
        assert!(!names("", ""));
    }
}
