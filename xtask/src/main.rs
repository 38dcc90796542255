//! Everything a developer types: `cargo xtask setup | demo | test [--full] | bench [NAME] | soak`.
//!
//! Depends on nothing but the standard library, so that it builds before anything is installed.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a program for people at a terminal")]

mod bench;
mod run;
mod setup;
mod test;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use run::{Failed, cargo};

const USAGE: &str = "\
usage: cargo xtask <command>

  setup          installs what the build and the tests need; quick when it is all there
  demo [ARGS]    installs what the build needs, builds, and runs `segue demo` (ARGS go to it: --rows, --database-url …)
  test [--full]  installs, then formats, lints, builds and tests; --full: every PostgreSQL version, a result file
  bench [NAME]   runs a bench of crates/cli/benches; without NAME, lists them
  soak [ARGS]    changes generated tables under traffic and faults: --minutes N, --seed S, --engine postgres|sqlite|both,
                 --round K for one round alone, --lanes N rounds side by side, --majors 13,18";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match dispatch(&arguments.iter().map(String::as_str).collect::<Vec<_>>()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failed) => {
            eprintln!("error: {}", failed.says);
            ExitCode::from(failed.code)
        }
    }
}

fn dispatch(arguments: &[&str]) -> Result<(), Failed> {
    let root = root();
    match arguments {
        ["setup"] => {
            setup::build(&root)?;
            setup::components(&root)?;
            setup::servers(&root, &setup::ALL)?;
            setup::companions(&root);
            Ok(())
        }
        ["demo", rest @ ..] => {
            setup::build(&root)?;
            let fixed = ["run", "--quiet", "--profile", "ci", "--package", "segue", "--", "demo"];
            cargo(&root, &[&fixed, rest].concat()).run()
        }
        ["test"] => test::test(&root, test::Reach::Usual),
        ["test", "--full"] => test::test(&root, test::Reach::Full),
        ["bench"] => bench::list(&root),
        ["bench", name, rest @ ..] => setup::build(&root).and_then(|()| bench::bench(&root, name, rest)),
        ["soak", rest @ ..] => setup::build(&root).and_then(|()| bench::soak(&root, rest)),
        ["help" | "--help" | "-h"] => {
            println!("{USAGE}");
            Ok(())
        }
        [] => Err(Failed { says: format!("no command\n\n{USAGE}"), code: 2 }),
        other => Err(Failed { says: format!("`{}` is no command\n\n{USAGE}", other.join(" ")), code: 2 }),
    }
}

/// Returns the workspace.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask is a folder of the workspace").to_owned()
}
