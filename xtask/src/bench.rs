//! The benches of the binary's package.

use std::path::Path;

use crate::run::{Failed, cargo};

/// What is no bench, though it stands among them.
const SOAK: &str = "soak";

/// Runs one bench on the release profile.
pub(crate) fn bench(root: &Path, name: &str, rest: &[&str]) -> Result<(), Failed> {
    let names = names(root);
    if !names.iter().any(|known| known == name) {
        return Err(Failed { says: format!("`{name}` is no bench\n{}", listed(&names)), code: 2 });
    }
    cargo(root, &["build", "--release", "--package", "segue"]).run()?;
    let fixed = ["bench", "--profile", "release", "--package", "segue", "--bench", name, "--"];
    cargo(root, &[&fixed, rest].concat()).run()
}

/// Runs random rounds: see `crates/cli/benches/soak`.
pub(crate) fn soak(root: &Path, rest: &[&str]) -> Result<(), Failed> {
    let fixed = ["bench", "--profile", "ci", "--package", "segue", "--bench", SOAK, "--"];
    cargo(root, &[&fixed, rest].concat()).run()
}

/// Prints the names.
pub(crate) fn list(root: &Path) -> Result<(), Failed> {
    println!("{}", listed(&names(root)));
    Ok(())
}

fn listed(names: &[String]) -> String {
    if names.is_empty() { "there are no benches".to_owned() } else { format!("benches: {}", names.join(" ")) }
}

/// Returns the names, each a file `crates/cli/benches/NAME.rs` or a folder with a `main.rs`, sorted.
fn names(root: &Path) -> Vec<String> {
    let files = std::fs::read_dir(root.join("crates/cli/benches")).into_iter().flatten().flatten();
    let mut names: Vec<String> = files
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|end| end == "rs") || path.join("main.rs").is_file())
        .filter_map(|path| path.file_stem().and_then(|stem| stem.to_str()).map(str::to_owned))
        .filter(|name| name != SOAK)
        .collect();
    names.sort();
    names
}
