//! SQLite files that go away with the test.

use std::path::{Path, PathBuf};
use std::time::Duration;

pub use rusqlite::Connection;
use tempfile::TempDir;

/// A database file in a folder of its own; both go away when this is dropped.
#[derive(Debug)]
pub struct TempDatabase {
    folder: TempDir,
}

impl TempDatabase {
    /// Creates an empty database in WAL mode and runs `setup` in it.
    ///
    /// # Panics
    /// When the file cannot be made or `setup` fails.
    #[track_caller]
    pub fn new(setup: &str) -> Self {
        let folder =
            tempfile::Builder::new().prefix("segue-sqlite-").tempdir().expect("a temporary folder can be made");
        let database = Self { folder };
        let connection = Connection::open(database.path()).expect("a file in our own folder can be created");
        connection
            .pragma_update(None, "journal_mode", "wal")
            .unwrap_or_else(|error| panic!("the file does not take WAL mode: {error}"));
        connection.execute_batch(setup).unwrap_or_else(|error| panic!("{error}\n{setup}"));
        database
    }

    /// Returns the file.
    pub fn path(&self) -> PathBuf {
        self.folder.path().join("app.db")
    }

    /// Returns the folder, for a project's files beside it.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Returns the URL that Segue takes.
    pub fn url(&self) -> String {
        format!("sqlite:{}", self.path().display())
    }

    /// Connects with a busy wait of five seconds and foreign keys on.
    ///
    /// # Panics
    /// When the file cannot be opened.
    #[track_caller]
    pub fn connect(&self) -> Connection {
        connect(&self.path())
    }
}

/// Connects to a file that exists, with a busy wait of five seconds and foreign keys on.
///
/// # Panics
/// When the file cannot be opened.
#[track_caller]
pub fn connect(path: &Path) -> Connection {
    let flags = rusqlite::OpenFlags::SQLITE_OPEN_READ_WRITE;
    let connection =
        Connection::open_with_flags(path, flags).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    connection.busy_timeout(Duration::from_secs(5)).expect("a fresh connection takes a busy limit");
    connection.pragma_update(None, "foreign_keys", true).expect("a fresh connection takes the pragma");
    connection
}
