//! Runs of a binary, with one that every system has in its place.

use std::path::Path;

use segue_testkit::segue::{Segue, finished};

fn env_program(folder: &Path) -> Segue {
    Segue::of(Path::new("/usr/bin/env"), "sqlite:app.db", folder)
}

#[test]
fn a_run_gives_its_code_and_both_outputs() {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let segue = env_program(folder.path()).with_env("SEGUE_X", "given");
    let output = segue.run(&["sh", "-c", "pwd; echo $DATABASE_URL $SEGUE_X >&2; exit 5"]);
    let here = folder.path().canonicalize().expect("it is there");
    assert_eq!(output.code, 5);
    assert_eq!(output.stdout.trim(), here.display().to_string());
    assert_eq!(output.stderr, "sqlite:app.db given\n");
}

#[test]
fn a_run_that_was_killed_has_no_code() {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let mut child = env_program(folder.path()).spawn(&["sleep", "60"]);
    child.kill().expect("it is our child");
    assert_eq!(finished(child).code, -1);
}

#[test]
#[should_panic(expected = "ended with 3")]
fn ok_shows_what_a_failed_run_said() {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    env_program(folder.path()).ok(&["sh", "-c", "exit 3"]);
}
