//! A connection with the settings that our statements rely on.

use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};
use segue_model::session::{Fail, FailKind, Session};

use super::address::Address;
use super::cancel::Watch;
use super::run::SqliteSession;
use super::{error, functions};

/// How long the first read may take: it waits out a process that recovers the file.
const FIRST_READ: Duration = Duration::from_secs(10);

/// How much of a transaction each of our sessions keeps in memory: 16 MiB. What exceeds it is written before COMMIT, and
/// without a write-ahead log nobody reads from then on: our windows stay well below it.
const CACHE: &str = "PRAGMA main.cache_size = -16384";

/// After how many pages in the write-ahead log a COMMIT of ours, which by then has given the lock back, copies them to the
/// file without waiting for anybody: well before the 1000 at which the application's own COMMIT would do it, and wait for the
/// disk with pages that we wrote.
const CHECKPOINT: &str = "PRAGMA wal_autocheckpoint = 250";

/// Opens the file; `fresh_name` is what it is called while it has no journal.
pub(super) fn open(address: &Address, fresh_name: String) -> Result<SqliteSession, Fail> {
    // Never SQLITE_OPEN_CREATE: a mistyped path must not become an empty database. Without SQLITE_OPEN_URI a path is a path.
    let access = if address.read_only { OpenFlags::SQLITE_OPEN_READ_ONLY } else { OpenFlags::SQLITE_OPEN_READ_WRITE };
    let mut connection = Connection::open_with_flags(&address.path, access | OpenFlags::SQLITE_OPEN_NO_MUTEX)
        .map_err(|cause| unusable(address, &error::translated(cause, None)))?;
    let watch = settle(&mut connection).map_err(|cause| error::translated(cause, None))?;
    let mut session = SqliteSession::new(connection, watch, address.clone(), fresh_name);
    for sql in ["PRAGMA main.schema_version", CACHE, CHECKPOINT] {
        session.query(sql, &[], FIRST_READ).map_err(|fail| unusable(address, &fail))?;
    }
    Ok(session)
}

fn settle(connection: &mut Connection) -> rusqlite::Result<std::sync::Arc<Watch>> {
    // Off, whatever the application uses: no statement of ours writes a key, and ADD COLUMN … REFERENCES or a DROP TABLE
    // must neither fail nor cascade because our library was compiled with another default than the application's.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_FKEY, false)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_TRIGGER, true)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_LEGACY_ALTER_TABLE, false)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_WRITABLE_SCHEMA, false)?;
    // A mistyped `"name"` is an error instead of a text.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DQS_DDL, false)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DQS_DML, false)?;
    functions::add(connection)?;
    Watch::over(connection)
}

fn unusable(address: &Address, fail: &Fail) -> Fail {
    let shown = address.path.display();
    let message = match fail.kind {
        FailKind::LockTimeout => format!("`{shown}` is locked by another process: {}", fail.message),
        FailKind::Usage => format!("`{shown}` is not a SQLite database: check the path ({})", fail.message),
        FailKind::DiskFull => format!("the disk of `{shown}` has no room for the files beside it: {}", fail.message),
        _ => format!("`{shown}` cannot be opened: {}", fail.message),
    };
    let kind = match fail.kind {
        FailKind::LockTimeout | FailKind::Permission | FailKind::DiskFull => fail.kind,
        _ => FailKind::Usage,
    };
    Fail { kind, message, ..fail.clone() }
}
