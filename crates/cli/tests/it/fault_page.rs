//! `docs/faults.md` names every fault once, and only tests that exist.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

const PAGE: &str = include_str!("../../../../docs/faults.md");

/// Faults of the matrix.
const FAULTS: usize = 50;

/// Returns the cells of each row of the table, without its head.
fn rows() -> Vec<Vec<&'static str>> {
    let lines =
        PAGE.lines().filter(|line| line.starts_with("| ") && line[2..].starts_with(|c: char| c.is_ascii_digit()));
    lines.map(|line| line.trim_matches('|').split(" | ").map(str::trim).collect()).collect()
}

/// Returns the names of all tests of the workspace.
fn tests() -> BTreeSet<String> {
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the package stands in `crates`");
    let mut names = BTreeSet::new();
    let mut folders: Vec<PathBuf> = vec![crates.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).expect("a folder of ours can be read") {
            let path = entry.expect("a folder of ours can be read").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                names.extend(tests_of(&std::fs::read_to_string(&path).expect("a file of ours is text")));
            }
        }
    }
    names
}

/// Returns the names of the functions that follow a `#[test]`.
fn tests_of(text: &str) -> Vec<String> {
    let after = text.split("#[test]").skip(1);
    after.filter_map(|rest| rest.split("fn ").nth(1)?.split('(').next()).map(str::to_owned).collect()
}

#[test]
fn every_fault_has_its_row_in_order() {
    let numbers: Vec<usize> = rows().iter().filter_map(|cells| cells[0].parse().ok()).collect();
    assert_eq!(numbers, (1..=FAULTS).collect::<Vec<_>>());
    for cells in rows() {
        assert_eq!(cells.len(), 5, "{}", cells.join(" | "));
        let told = cells[3].contains('`')
            || ["not built", "not here", "by design"].iter().any(|why| cells[3].starts_with(why));
        assert!(told, "row {} names neither a test nor why there is none: {}", cells[0], cells[3]);
    }
}

#[test]
fn the_page_names_only_tests_that_exist() {
    let tests = tests();
    let missing: Vec<&str> = rows()
        .iter()
        .flat_map(|cells| cells[3].split('`').skip(1).step_by(2))
        .filter(|name| !tests.contains(*name))
        .collect();
    assert!(missing.is_empty(), "no such test: {}", missing.join(", "));
}
