//! Formats, lints, builds and tests: what CI runs, and what a developer runs before a commit.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::run::{Failed, cargo, is_installed, program};
use crate::setup;

/// How much is tested.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reach {
    /// Within CI's time: PostgreSQL 13, 15 and 18, crash points sampled.
    Usual,
    /// Everything on every version; leaves a result file.
    Full,
}

/// What cargo's test programs counted.
#[derive(Debug, Default)]
struct Counts {
    passed: u64,
    failed: u64,
    ignored: u64,
    /// The tests that had nothing to run on, by the line they print.
    skipped: BTreeSet<String>,
}

/// Runs everything and stops at the first failure.
pub(crate) fn test(root: &Path, reach: Reach) -> Result<(), Failed> {
    let began = Instant::now();
    setup::build(root)?;
    setup::components(root)?;
    let majors: &[u32] = if reach == Reach::Full { &setup::ALL } else { &setup::USUAL };
    let present = setup::servers(root, majors)?;
    setup::companions(root);
    cargo(root, &["fmt", "--all", "--check"]).run()?;
    cargo(root, &["clippy", "--profile", "ci", "--workspace", "--all-targets", "--", "-D", "warnings"]).run()?;
    deny(root)?;
    cargo(root, &["build", "--profile", "ci", "--package", "segue"]).run()?;
    let counts = tests(root, reach, majors, &present)?;
    if reach == Reach::Full {
        write_result(root, majors, &counts, began.elapsed())?;
    }
    Ok(())
}

/// Licences, bans and sources; the advisory database is not asked, because the answer would change without a change here.
fn deny(root: &Path) -> Result<(), Failed> {
    if is_installed("cargo-deny") {
        return cargo(root, &["deny", "--offline", "check", "licenses", "bans", "sources"]).run();
    }
    println!("skipped: cargo deny (not installed: `cargo install cargo-deny`)");
    Ok(())
}

/// Runs all tests; a version of PostgreSQL that is here must then be used, and every stored snapshot must be looked at.
fn tests(root: &Path, reach: Reach, majors: &[u32], present: &[u32]) -> Result<Counts, Failed> {
    let looked_at = root.join("target").join(format!("snapshots-{}", std::process::id()));
    let mut run = cargo(root, &["test", "--profile", "ci", "--workspace"])
        .env("INSTA_UPDATE", "no")
        .env("INSTA_SNAPSHOT_REFERENCES_FILE", &looked_at)
        .env("SEGUE_TEST_MAJORS", setup::list(majors));
    if std::env::var_os("SEGUE_TEST_REQUIRE").is_none() {
        let required: Vec<String> = present.iter().map(|major| format!("postgres{major}")).collect();
        run = run.env("SEGUE_TEST_REQUIRE", required.join(","));
    }
    let mut counts = Counts::default();
    let ended = if reach == Reach::Full {
        run.env("SEGUE_TEST_FULL", "1").run_watched(|line| counts.read(line))
    } else {
        run.run()
    };
    let referenced = std::fs::read_to_string(&looked_at).unwrap_or_default();
    // It may not exist: no test has a stored snapshot.
    drop(std::fs::remove_file(&looked_at));
    ended?;
    unreferenced(root, &referenced)?;
    Ok(counts)
}

/// Fails when a stored snapshot belongs to no test any more.
fn unreferenced(root: &Path, referenced: &str) -> Result<(), Failed> {
    let kept: BTreeSet<PathBuf> = referenced.lines().map(|line| canonical(Path::new(line))).collect();
    let mut stale = Vec::new();
    find_snapshots(&root.join("crates"), &mut |path| {
        if !kept.contains(&canonical(&path)) {
            stale.push(format!("  {}", path.strip_prefix(root).unwrap_or(&path).display()));
        }
    });
    if stale.is_empty() {
        return Ok(());
    }
    Err(Failed::new(format!("no test looks at these snapshots: delete them\n{}", stale.join("\n"))))
}

fn canonical(path: &Path) -> PathBuf {
    path.canonicalize().unwrap_or_else(|_| path.to_owned())
}

fn find_snapshots(folder: &Path, each: &mut impl FnMut(PathBuf)) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            find_snapshots(&path, each);
        } else if path.extension().is_some_and(|extension| extension == "snap" || extension == "new") {
            each(path);
        }
    }
}

impl Counts {
    /// Reads a line such as `test result: ok. 12 passed; 0 failed; 1 ignored; …`.
    fn read(&mut self, line: &str) {
        if let Some(at) = line.find("skipped: no ") {
            self.skipped.insert(line[at..].to_owned());
        }
        let Some((_, figures)) = line.strip_prefix("test result: ").and_then(|rest| rest.split_once(". ")) else {
            return;
        };
        for figure in figures.split("; ") {
            let Some((number, what)) = figure.split_once(' ') else { continue };
            let number: u64 = number.parse().unwrap_or(0);
            match what {
                "passed" => self.passed += number,
                "failed" => self.failed += number,
                "ignored" => self.ignored += number,
                _ => {}
            }
        }
    }
}

/// Writes `docs/results/<day>-<commit>.md`.
fn write_result(root: &Path, majors: &[u32], counts: &Counts, took: Duration) -> Result<(), Failed> {
    let said =
        |name: &str, arguments: &[&str]| program(root, name, arguments).output().unwrap_or_else(|| "unknown".into());
    let day = said("date", &["-u", "+%Y-%m-%d"]);
    let commit = said("git", &["rev-parse", "--short", "HEAD"]);
    let processors = std::thread::available_parallelism().map_or_else(|_| "unknown".to_owned(), |n| n.to_string());
    let mut text = format!("# Full test of {commit}, {day}\n\n");
    let figures = [
        ("machine", format!("{}, {processors} processors, {}", said("uname", &["-srm"]), memory())),
        ("compiler", said("rustc", &["--version"])),
        ("PostgreSQL", setup::list(majors)),
        ("passed", counts.passed.to_string()),
        ("failed", counts.failed.to_string()),
        ("ignored", counts.ignored.to_string()),
        ("skipped", format!("{:?}", counts.skipped)),
        ("seconds, with building", took.as_secs().to_string()),
    ];
    for (what, figure) in figures {
        writeln!(text, "- {what}: {figure}").expect("a String takes text");
    }
    let path = root.join("docs/results").join(format!("{day}-{commit}.md"));
    let failed = |error: std::io::Error| Failed::new(format!("{}: {error}", path.display()));
    std::fs::create_dir_all(root.join("docs/results")).map_err(failed)?;
    std::fs::write(&path, text).map_err(failed)?;
    println!("written: {}", path.strip_prefix(root).unwrap_or(&path).display());
    Ok(())
}

/// Returns the memory as Linux tells it.
fn memory() -> String {
    let info = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let total = info.lines().find_map(|line| line.strip_prefix("MemTotal:")).map(str::trim);
    total.map_or_else(|| "memory unknown".to_owned(), |total| format!("{total} of memory"))
}

#[cfg(test)]
mod tests {
    use super::{Counts, unreferenced};

    #[test]
    fn a_snapshot_that_no_test_looks_at_is_a_failure() {
        let root = std::env::temp_dir().join(format!("segue-xtask-{}", std::process::id()));
        let folder = root.join("crates/plan/tests/snapshots");
        std::fs::create_dir_all(&folder).expect("a temporary folder can be made");
        for name in ["kept.snap", "stale.snap"] {
            std::fs::write(folder.join(name), "").expect("the folder is ours");
        }
        let kept = folder.join("kept.snap").display().to_string();
        let both = format!("{kept}\n{}\n", folder.join("stale.snap").display());
        let (one_left, none_left) = (unreferenced(&root, &kept), unreferenced(&root, &both));
        std::fs::remove_dir_all(&root).expect("the folder is ours");
        let says = one_left.expect_err("one is stale").says;
        assert!(says.contains("stale.snap") && !says.contains("kept.snap"), "{says}");
        assert!(none_left.is_ok());
    }

    #[test]
    fn counts_are_read_from_the_closing_lines() {
        let mut counts = Counts::default();
        counts.read("test result: ok. 12 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.10s");
        counts
            .read("test result: FAILED. 3 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.10s");
        counts.read("test some::thing ... ok");
        assert_eq!((counts.passed, counts.failed, counts.ignored), (15, 2, 1));
    }
}
