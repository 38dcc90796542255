//! The tree keeps the rules that no compiler checks: who may name what, which way the crates point, where files stand.
//!
//! A failure names file, line and rule. A list of exceptions gives the reason of each.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Which crates each crate may depend on, besides `model`: stages before its own.
const ARROWS: &[(&str, &[&str])] = &[
    ("model", &[]),
    ("parse", &[]),
    ("plan", &[]),
    ("drivers", &[]),
    ("execute", &[]),
    ("traffic", &[]),
    ("testkit", &[]),
    ("cli", &["parse", "plan", "drivers", "execute", "traffic"]),
];

/// Which crates the tests of each crate may use besides: earlier stages that make their input, and the testkit.
const TEST_ARROWS: &[(&str, &[&str])] = &[
    ("plan", &["parse", "testkit"]),
    ("drivers", &["testkit"]),
    ("execute", &["parse", "plan"]),
    ("traffic", &["testkit"]),
    ("cli", &["testkit"]),
];

/// Where the engine may decide, and why. Everything else holds a `dyn`.
const ENGINE_DECIDES: &[(&str, &str)] = &[
    ("crates/plan/src/dialect/mod.rs", "chooses the dialect"),
    ("crates/drivers/src/lib.rs", "chooses the connector"),
    ("crates/parse/src/lib.rs", "chooses the grammar"),
    ("crates/model/src/engine.rs", "says its own names"),
    ("crates/model/src/server.rs", "spells a version: two figures or three"),
    ("crates/model/src/catalog.rs", "compares names: with or without case"),
    ("crates/traffic/", "an application, which speaks to one product"),
];

/// Who may wait besides `execute::clock`, and why.
const WAITS: &[(&str, &str)] = &[
    ("crates/execute/src/clock.rs", "the clock"),
    ("crates/drivers/src/sqlite/cancel.rs", "SQLite calls it while it waits for the write lock"),
    ("crates/cli/src/command/demo/", "watches its own migration, as a person does"),
    ("crates/testkit/", "waits for real servers"),
    ("crates/traffic/", "keeps the pace of real clients"),
];

/// The files that the folder of every engine has, so that who knows one finds their way in the other. An engine may have
/// more.
const OF_EVERY_ENGINE: &[(&str, &[&str])] = &[
    (
        "crates/plan/src/dialect",
        &["backfill.rs", "facts.rs", "mod.rs", "names.rs", "native.rs", "sync.rs", "types.rs", "verify.rs"],
    ),
    (
        "crates/drivers/src",
        &[
            "cancel.rs",
            "connect.rs",
            "error.rs",
            "inspect.rs",
            "journal.rs",
            "journal.sql",
            "mod.rs",
            "run.rs",
            "server.rs",
            "shape.rs",
        ],
    ),
];

/// No file of code is longer: then it holds two things.
const LINES_MAX: usize = 900;

/// A line of a file.
struct Line<'a> {
    number: usize,
    text: &'a str,
    /// It stands in a `#[cfg(test)]` module, or in a test's own file.
    is_test: bool,
}

/// A file of the tree, by its path from the root.
struct File {
    path: String,
    text: String,
}

impl File {
    fn lines(&self) -> Vec<Line<'_>> {
        let of_tests =
            self.path.contains("/tests/") || self.path.contains("/benches/") || self.path.ends_with("/tests.rs");
        let mut is_test = of_tests;
        let numbered = (1..).zip(self.text.lines());
        let lines = numbered.map(|(number, text)| {
            // A module of tests is the last thing in its file.
            is_test |= text.trim() == "#[cfg(test)]";
            Line { number, text, is_test }
        });
        lines.collect()
    }

    /// Returns the lines that are code: no comment, and no test where `tests` is false.
    fn code(&self, tests: bool) -> impl Iterator<Item = Line<'_>> {
        self.lines()
            .into_iter()
            .filter(move |line| (tests || !line.is_test) && !line.text.trim_start().starts_with("//"))
    }

    /// Returns the crate's folder name; `xtask` for it.
    fn krate(&self) -> &str {
        self.path.strip_prefix("crates/").unwrap_or(&self.path).split('/').next().unwrap_or_default()
    }
}

fn root() -> PathBuf {
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).parent();
    crates.and_then(Path::parent).expect("the package stands in `crates`").to_owned()
}

/// Returns the files under `crates` and `xtask` with one of these extensions, sorted by path.
fn files(extensions: &[&str]) -> Vec<File> {
    let root = root();
    let mut found = Vec::new();
    for folder in ["crates", "xtask"] {
        collect(&root.join(folder), &mut |path| {
            let extension = path.extension().and_then(|extension| extension.to_str()).unwrap_or_default();
            if extensions.contains(&extension) {
                let text = std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
                let path = path.strip_prefix(&root).expect("it was found there").display().to_string();
                found.push(File { path, text });
            }
        });
    }
    found.sort_by(|one, other| one.path.cmp(&other.path));
    found
}

fn collect(folder: &Path, each: &mut impl FnMut(&Path)) {
    let entries = std::fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    for entry in entries {
        let path = entry.expect("a folder of ours can be read").path();
        if path.is_dir() {
            collect(&path, each);
        } else {
            each(&path);
        }
    }
}

/// Returns where the lines break a rule, each as `file:line: rule`.
fn broken(file: &File, tests: bool, rule: &str, breaks: impl Fn(&str) -> bool) -> Vec<String> {
    let lines = file.code(tests).filter(|line| breaks(line.text));
    lines.map(|line| format!("{}:{}: {rule}: {}", file.path, line.number, line.text.trim())).collect()
}

#[track_caller]
fn assert_none(findings: &[String]) {
    assert!(findings.is_empty(), "\n{}", findings.join("\n"));
}

/// Returns whether `word` stands in `text` with no letter, digit or underscore on either side.
fn has_word(text: &str, word: &str) -> bool {
    let part = |c: char| c.is_alphanumeric() || c == '_';
    text.match_indices(word).any(|(at, _)| !text[..at].ends_with(part) && !text[at + word.len()..].starts_with(part))
}

fn is_listed(path: &str, list: &[(&str, &str)]) -> bool {
    list.iter().any(|(listed, _)| if listed.ends_with('/') { path.starts_with(listed) } else { path == *listed })
}

#[test]
fn only_parse_names_a_syntax_tree() {
    let mut findings = Vec::new();
    for file in files(&["rs"]).iter().filter(|file| !matches!(file.krate(), "parse" | "xtask") && !is_this(file)) {
        for name in ["pg_query", "sqlite3_parser"] {
            findings.extend(broken(file, true, "only `parse` names a syntax tree", |text| has_word(text, name)));
        }
    }
    assert_none(&findings);
}

#[test]
fn only_drivers_name_a_driver() {
    let mut findings = Vec::new();
    let free = ["drivers", "testkit", "traffic"];
    for file in files(&["rs"]).iter().filter(|file| !free.contains(&file.krate()) && !is_this(file)) {
        for name in ["rusqlite", "tokio_postgres", "tokio_postgres_rustls"] {
            findings.extend(broken(file, true, "only `drivers` names a driver", |text| has_word(text, name)));
        }
    }
    assert_none(&findings);
}

#[test]
fn only_the_command_line_prints() {
    let mut findings = Vec::new();
    for file in files(&["rs"]).iter().filter(|file| !matches!(file.krate(), "cli" | "xtask")) {
        for name in ["println!", "eprintln!", "print!", "eprint!"] {
            let opened = format!("{name}(");
            findings.extend(broken(file, false, "only `cli` prints", |text| has_word(text, &opened)));
        }
    }
    assert_none(&findings);
}

#[test]
fn only_the_clock_waits() {
    let mut findings = Vec::new();
    for file in files(&["rs"]).iter().filter(|file| file.krate() != "xtask" && !is_listed(&file.path, WAITS)) {
        for name in ["thread::sleep", "thread::park_timeout", "sleep_until"] {
            findings.extend(broken(file, false, "only `execute::clock` waits", |text| has_word(text, name)));
        }
    }
    assert_none(&findings);
}

#[test]
fn model_parse_and_plan_are_pure() {
    let mut findings = Vec::new();
    for file in files(&["rs"]).iter().filter(|file| matches!(file.krate(), "model" | "parse" | "plan")) {
        for name in ["std::fs", "std::env", "std::net", "std::process", "std::thread", "SystemTime", "Instant", "File"]
        {
            let rule = "no I/O, clock or environment here";
            findings.extend(broken(file, false, rule, |text| has_word(text, name)));
        }
    }
    assert_none(&findings);
}

#[test]
fn the_engine_decides_where_it_may() {
    let mut findings = Vec::new();
    for file in files(&["rs"]).iter().filter(|file| !is_listed(&file.path, ENGINE_DECIDES)) {
        let rule = "the engine decides only in the files listed in ENGINE_DECIDES: put it behind a trait";
        findings.extend(broken(file, false, rule, decides_by_engine));
    }
    assert_none(&findings);
}

/// A pattern, a comparison or a `matches!` with a variant of the engine.
fn decides_by_engine(text: &str) -> bool {
    ["Engine::Postgres", "Engine::Sqlite"].iter().any(|variant| {
        text.match_indices(variant).any(|(at, _)| {
            let (before, after) = (text[..at].trim_end(), text[at + variant.len()..].trim_start());
            let compared = |side: &str| side.starts_with("==") || side.starts_with("!=");
            after.starts_with("=>")
                || after.starts_with('|')
                || compared(after)
                || before.ends_with("==")
                || before.ends_with("!=")
                || before.contains("matches!(")
        })
    })
}

#[test]
fn every_engine_has_the_same_files() {
    let mut findings = Vec::new();
    for (folder, names) in OF_EVERY_ENGINE {
        for engine in ["postgres", "sqlite"] {
            let paths = names.iter().map(|name| format!("{folder}/{engine}/{name}"));
            let missing = paths.filter(|path| !root().join(path).is_file());
            findings.extend(missing.map(|path| format!("{path}:1: every engine has a file of this name")));
        }
    }
    assert_none(&findings);
}

#[test]
fn arrows_between_crates_point_one_way() {
    let arrows: BTreeMap<_, _> = ARROWS.iter().copied().collect();
    let of_tests: BTreeMap<_, _> = TEST_ARROWS.iter().copied().collect();
    let mut findings = Vec::new();
    for file in files(&["toml"]).iter().filter(|file| file.path.ends_with("/Cargo.toml")) {
        let name = file.krate();
        if name != "xtask" && !arrows.contains_key(name) {
            findings.push(format!("{}:1: `{name}` has no place among the arrows", file.path));
        }
        let mut section = "";
        for line in file.lines() {
            if line.text.starts_with('[') {
                section = line.text.trim_matches(['[', ']']);
            }
            let Some(target) = dependency(line.text) else { continue };
            let allowed = arrows.get(name).copied().unwrap_or_default().contains(&target)
                || (section == "dev-dependencies" && of_tests.get(name).copied().unwrap_or_default().contains(&target))
                || (target == "model" && name != "xtask" && name != "testkit");
            if section.contains("dependencies") && !allowed {
                findings.push(format!("{}:{}: `{name}` may not point at `{target}`", file.path, line.number));
            }
        }
    }
    assert_none(&findings);
}

/// Reads `segue-plan.workspace = true` as `plan`.
fn dependency(line: &str) -> Option<&str> {
    let rest = line.strip_prefix("segue-")?;
    Some(rest.split(['.', ' ', '=']).next().unwrap_or_default())
}

#[test]
fn every_crate_is_on_the_map() {
    let map = std::fs::read_to_string(root().join("ARCHITECTURE.md")).expect("the map is ARCHITECTURE.md");
    let unmapped = ARROWS.iter().filter(|(name, _)| !map.contains(&format!("`crates/{name}`")));
    let findings: Vec<String> = unmapped.map(|(name, _)| format!("ARCHITECTURE.md:1: no `crates/{name}`")).collect();
    assert_none(&findings);
}

#[test]
fn nothing_is_left_for_later() {
    let mut findings = Vec::new();
    for file in files(&["rs", "sql", "toml", "sh"]).iter().filter(|file| !is_this(file)) {
        for line in file.lines() {
            if ["TODO", "FIXME", "XXX", "HACK"].iter().any(|word| has_word(line.text, word)) {
                findings.push(format!("{}:{}: left for later: {}", file.path, line.number, line.text.trim()));
            }
        }
    }
    assert_none(&findings);
}

#[test]
fn no_code_is_commented_out() {
    let mut findings = Vec::new();
    for file in files(&["rs"]) {
        for line in file.lines() {
            let text = line.text.trim();
            let comment = text.strip_prefix("//").filter(|rest| !rest.starts_with(['/', '!'])).map(str::trim);
            if comment.is_some_and(is_code) {
                findings.push(format!("{}:{}: code in a comment: {text}", file.path, line.number));
            }
        }
    }
    assert_none(&findings);
}

/// What no English sentence looks like.
fn is_code(comment: &str) -> bool {
    let begins = ["let ", "use ", "pub ", "fn ", "impl ", "mod ", "#["];
    let ends = [";", "{", "}", "},", ");"];
    let closed = ends.iter().any(|end| comment.ends_with(end));
    closed && (begins.iter().any(|begin| comment.starts_with(begin)) || comment.contains(['(', '=']))
        || matches!(comment, "}" | "{" | "});" | "};")
}

#[test]
fn errors_are_handled_outside_tests() {
    let mut findings = Vec::new();
    for file in files(&["rs"]).iter().filter(|file| !is_this(file)) {
        for name in [".unwrap()", ".unwrap_err()", "todo!(", "unimplemented!(", "dbg!("] {
            let rule = "handle it, or say by `expect` why it holds";
            findings.extend(broken(file, false, rule, |text| text.contains(name)));
        }
    }
    assert_none(&findings);
}

#[test]
fn no_file_is_too_long() {
    let long = files(&["rs", "sql"]).into_iter().map(|file| (file.text.lines().count(), file.path));
    let findings: Vec<String> = long
        .filter(|(count, _)| *count > LINES_MAX)
        .map(|(count, path)| format!("{path}:{count}: longer than {LINES_MAX} lines: it holds two things"))
        .collect();
    assert_none(&findings);
}

/// This file spells out what it forbids.
fn is_this(file: &File) -> bool {
    file.path.ends_with("/it/tidy.rs")
}

#[test]
fn the_rules_can_fail() {
    assert!(decides_by_engine("        Engine::Postgres => 1,"));
    assert!(decides_by_engine("if engine == Engine::Sqlite {"));
    assert!(decides_by_engine("matches!(engine, Engine::Sqlite)"));
    assert!(!decides_by_engine("Self::Sqlite(_) => Engine::Sqlite,"));
    assert!(has_word("use tokio_postgres::Client;", "tokio_postgres"));
    assert!(!has_word("tokio_postgres_rustls", "tokio_postgres"));
    assert!(is_code("let x = 1;") && is_code("run(&x);") && is_code("}"));
    assert!(!is_code("A session that was closed just now may still count; see above."));
    assert_eq!(dependency("segue-plan.workspace = true"), Some("plan"));
    let file = File { path: "crates/x/src/y.rs".into(), text: "a.unwrap();\n#[cfg(test)]\nb.unwrap();".into() };
    assert_eq!(
        broken(&file, false, "rule", |text| text.contains(".unwrap()")),
        ["crates/x/src/y.rs:1: rule: a.unwrap();"]
    );
}
