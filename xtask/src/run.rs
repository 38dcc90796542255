//! Other programs, shown before they run.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};

/// Why a command of ours ends.
#[derive(Debug)]
pub(crate) struct Failed {
    /// For a person.
    pub(crate) says: String,
    /// The exit code.
    pub(crate) code: u8,
}

impl Failed {
    /// Returns a failure with exit code 1.
    pub(crate) fn new(says: impl Into<String>) -> Self {
        Self { says: says.into(), code: 1 }
    }
}

/// A program with its arguments, run in a folder.
pub(crate) struct Program {
    command: Command,
    shown: String,
}

/// Returns the cargo that runs us, to be run in `root`.
pub(crate) fn cargo(root: &Path, arguments: &[&str]) -> Program {
    let mut program = program(root, &std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned()), arguments);
    program.shown = format!("cargo {}", arguments.join(" "));
    program
}

/// Returns any program, to be run in `folder`.
pub(crate) fn program(folder: &Path, name: &str, arguments: &[&str]) -> Program {
    let mut command = Command::new(name);
    command.args(arguments).current_dir(folder);
    Program { command, shown: format!("{name} {}", arguments.join(" ")) }
}

impl Program {
    /// Adds an environment variable.
    pub(crate) fn env(mut self, name: &str, value: impl AsRef<std::ffi::OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    /// Shows it and runs it to the end.
    pub(crate) fn run(mut self) -> Result<(), Failed> {
        println!("$ {}", self.shown);
        let status = self.command.status().map_err(|error| Failed::new(format!("`{}`: {error}", self.shown)))?;
        ended(&self.shown, status)
    }

    /// Shows it and runs it to the end, passing each line of its stdout to `each` as well as to ours.
    pub(crate) fn run_watched(mut self, mut each: impl FnMut(&str)) -> Result<(), Failed> {
        println!("$ {}", self.shown);
        let failed = |error: std::io::Error| Failed::new(format!("`{}`: {error}", self.shown));
        let mut child = self.command.stdout(Stdio::piped()).spawn().map_err(failed)?;
        let stdout = child.stdout.take().expect("it is piped");
        for line in BufReader::new(stdout).lines() {
            let line = line.map_err(failed)?;
            println!("{line}");
            each(&line);
        }
        let status = child.wait().map_err(failed)?;
        ended(&self.shown, status)
    }

    /// Runs it silently and returns what it printed; `None` when it is not there or fails.
    pub(crate) fn output(mut self) -> Option<String> {
        let output = self.command.stderr(Stdio::null()).output().ok()?;
        output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
    }
}

fn ended(shown: &str, status: ExitStatus) -> Result<(), Failed> {
    if status.success() {
        return Ok(());
    }
    let code = status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(1);
    Err(Failed { says: format!("`{shown}` failed"), code })
}

/// Returns whether a program of this name is on the PATH.
pub(crate) fn is_installed(name: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join(name).is_file())
}
