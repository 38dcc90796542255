//! Where the programs of a PostgreSQL version are.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::account::Account;

/// A folder with `initdb` and `postgres` of one version, readable by the account that runs them.
#[derive(Debug, Clone)]
pub struct Binaries {
    folder: PathBuf,
    major: u32,
}

impl Binaries {
    /// Finds the programs of a major version: Debian's, which come with `pg_basebackup` and `pgbench`, else those that
    /// `cargo xtask setup` unpacked under `target/postgres`.
    pub fn find(major: u32) -> Option<Self> {
        let system = Path::new("/usr/lib/postgresql").join(major.to_string());
        let unpacked = workspace().join("target/postgres").join(major.to_string()).join("native");
        let home = [system, unpacked].into_iter().find(|home| home.join("bin/initdb").is_file())?;
        Some(Self { folder: reachable(&home, major).join("bin"), major })
    }

    /// Returns the major version.
    pub fn major(&self) -> u32 {
        self.major
    }

    /// Returns the folder that holds them.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Returns a command for one of them, to be run by the server's account.
    pub(super) fn command(&self, program: &str) -> Command {
        let mut command = Command::new(self.folder.join(program));
        Account::of_server().applied(&mut command);
        // A locale of the developer's must not decide how a test sorts, nor a PG variable where it connects.
        command.env_clear().env("PATH", "/usr/bin:/bin").env("LC_ALL", "C.UTF-8").env("TZ", "UTC").current_dir("/");
        command
    }

    /// Returns what `postgres --version` says.
    pub(super) fn version(&self) -> String {
        let output = self.command("postgres").arg("--version").output().expect("the program was found and may be run");
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }
}

/// Returns the workspace.
fn workspace() -> &'static Path {
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).parent();
    crates.and_then(Path::parent).expect("testkit stands in the workspace's `crates`")
}

/// Returns `home`, or a copy of it where the server's account cannot reach it: a checkout under `/root`.
fn reachable(home: &Path, major: u32) -> PathBuf {
    let account = Account::of_server();
    if account.can_run(&home.join("bin/postgres")) && account.can_run(&home.join("bin/initdb")) {
        return home.to_owned();
    }
    let version = std::fs::read_to_string(home.with_file_name("VERSION")).unwrap_or_default();
    let copy = super::template::cache().join(format!("postgres-{major}-{}", version.trim()));
    super::template::once(&copy, |scratch| super::template::copy(home, scratch));
    copy
}
