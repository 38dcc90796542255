//! The built binary, run as a user runs it.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// How to run `segue`: which binary, in which folder, against which database.
#[derive(Debug, Clone)]
pub struct Segue {
    binary: PathBuf,
    database_url: String,
    folder: PathBuf,
    environment: Vec<(String, String)>,
}

/// What a run gave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Output {
    /// The exit code; -1 when a signal ended it.
    pub code: i32,
    /// Data.
    pub stdout: String,
    /// Progress and errors.
    pub stderr: String,
}

impl Segue {
    /// Finds the binary that was built with the test.
    ///
    /// # Panics
    /// When there is none: `cargo build -p segue` with the test's profile makes it.
    #[track_caller]
    pub fn new(database_url: &str, folder: &Path) -> Self {
        let binary = binary();
        assert!(binary.is_file(), "there is no {}: run `cargo build --profile ci -p segue`", binary.display());
        Self::of(&binary, database_url, folder)
    }

    /// Takes a given binary: a release build, an older version.
    pub fn of(binary: &Path, database_url: &str, folder: &Path) -> Self {
        Self {
            binary: binary.to_owned(),
            database_url: database_url.to_owned(),
            folder: folder.to_owned(),
            environment: Vec::new(),
        }
    }

    /// Adds an environment variable to every run.
    #[must_use]
    pub fn with_env(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Runs to the end.
    ///
    /// # Panics
    /// When the binary cannot be started.
    #[track_caller]
    pub fn run(&self, arguments: &[&str]) -> Output {
        finished(self.spawn(arguments))
    }

    /// Runs to the end and returns what it printed to stdout.
    ///
    /// # Panics
    /// When it does not end with 0; the message holds both outputs.
    #[track_caller]
    pub fn ok(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        assert!(
            output.code == 0,
            "segue {} ended with {}\n--- stdout\n{}--- stderr\n{}",
            arguments.join(" "),
            output.code,
            output.stdout,
            output.stderr
        );
        output.stdout
    }

    /// Starts it with both outputs piped. [`Child::kill`] is SIGKILL; see [`finished`] for the rest.
    ///
    /// # Panics
    /// When the binary cannot be started.
    #[track_caller]
    pub fn spawn(&self, arguments: &[&str]) -> Child {
        self.command(arguments).spawn().unwrap_or_else(|error| panic!("{}: {error}", self.binary.display()))
    }

    /// Returns the command, for runs of another kind. The environment holds nothing of ours but `DATABASE_URL`: what the
    /// developer's shell says about PostgreSQL must not decide a test.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.binary);
        command.args(arguments).current_dir(&self.folder);
        for (name, _) in std::env::vars_os() {
            let text = name.to_string_lossy();
            if text.starts_with("PG") || text.starts_with("SEGUE_") {
                command.env_remove(&name);
            }
        }
        command.env("DATABASE_URL", &self.database_url).envs(self.environment.iter().cloned());
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// Returns the folder in which it runs.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Returns the binary.
    pub fn binary(&self) -> &Path {
        &self.binary
    }
}

/// Waits for a started run and returns what it gave.
///
/// # Panics
/// When its outputs cannot be read.
#[track_caller]
pub fn finished(child: Child) -> Output {
    let output = child.wait_with_output().expect("the outputs of our own child can be read");
    Output {
        code: output.status.code().unwrap_or(-1),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// Returns where the binary must be: where cargo says, else beside the running test (`target/ci/deps/it-…` → `target/ci/segue`).
fn binary() -> PathBuf {
    if let Some(path) = std::env::var_os("CARGO_BIN_EXE_segue") {
        return path.into();
    }
    let test = std::env::current_exe().expect("a test knows its own file");
    let profile = test.parent().and_then(Path::parent).expect("cargo puts tests into target/PROFILE/deps");
    profile.join(format!("segue{}", std::env::consts::EXE_SUFFIX))
}
