//! From SQLite's result codes to the kinds of failure that callers tell apart.

use rusqlite::ffi;
use segue_model::session::{Fail, FailKind};

use super::cancel::Watch;

/// Translates a failure; `watch` tells why a statement was interrupted.
pub(super) fn translated(cause: rusqlite::Error, watch: Option<&Watch>) -> Fail {
    let (code, message, position) = match cause {
        rusqlite::Error::SqliteFailure(error, message) => {
            (error.extended_code, message.unwrap_or_else(|| ffi::code_to_str(error.extended_code).to_owned()), None)
        }
        rusqlite::Error::SqlInputError { error, msg, offset, .. } => {
            (error.extended_code, msg, usize::try_from(offset).ok())
        }
        rusqlite::Error::MultipleStatement => {
            return Fail::new(FailKind::Syntax, "one statement was expected, and more were given");
        }
        // Our own misuse, never an answer of the file: the text says which.
        other => return Fail::new(FailKind::Server, other.to_string()),
    };
    let kind = kind_of(code, &message, watch);
    Fail { kind, object: object_of(kind, &message), message, code: Some(code.to_string()), position }
}

/// Returns whether somebody else's lock was in the way.
pub(super) fn is_busy(cause: &rusqlite::Error) -> bool {
    cause.sqlite_error_code() == Some(rusqlite::ErrorCode::DatabaseBusy)
}

fn kind_of(code: i32, message: &str, watch: Option<&Watch>) -> FailKind {
    match code {
        ffi::SQLITE_BUSY_SNAPSHOT => return FailKind::Serialization,
        ffi::SQLITE_CONSTRAINT_UNIQUE | ffi::SQLITE_CONSTRAINT_PRIMARYKEY | ffi::SQLITE_CONSTRAINT_ROWID => {
            return FailKind::Unique;
        }
        ffi::SQLITE_CONSTRAINT_NOTNULL => return FailKind::NotNull,
        ffi::SQLITE_CONSTRAINT_FOREIGNKEY => return FailKind::ForeignKey,
        ffi::SQLITE_CONSTRAINT_CHECK => return FailKind::Check,
        ffi::SQLITE_CONSTRAINT_DATATYPE => return FailKind::Conversion,
        _ => {}
    }
    match code & 0xff {
        // The index of the write-ahead log could not be made as large as it must be.
        _ if code == ffi::SQLITE_IOERR_SHMSIZE => FailKind::DiskFull,
        ffi::SQLITE_BUSY | ffi::SQLITE_LOCKED => FailKind::LockTimeout,
        ffi::SQLITE_INTERRUPT if watch.is_some_and(Watch::is_late) && !watch.is_some_and(Watch::is_cancelled) => {
            FailKind::Deadline
        }
        ffi::SQLITE_INTERRUPT => FailKind::Cancelled,
        // In a session that could read the file, CANTOPEN is the journal beside it that may not be created.
        ffi::SQLITE_READONLY | ffi::SQLITE_CANTOPEN => FailKind::ReadOnly,
        ffi::SQLITE_FULL => FailKind::DiskFull,
        ffi::SQLITE_PERM | ffi::SQLITE_AUTH => FailKind::Permission,
        ffi::SQLITE_MISMATCH | ffi::SQLITE_TOOBIG => FailKind::Conversion,
        ffi::SQLITE_NOTADB => FailKind::Usage,
        ffi::SQLITE_ERROR => kind_by_message(message),
        _ => FailKind::Server,
    }
}

/// SQLite has one code for every mistake in SQL: only the text tells them apart.
fn kind_by_message(message: &str) -> FailKind {
    let has = |part: &str| message.contains(part);
    if has("no such") || has("unknown column") {
        FailKind::Undefined
    } else if has("already exists") || has("duplicate column name") || has("already another table") {
        FailKind::Duplicate
    } else if has("syntax error") || has("incomplete input") || has("unrecognized token") {
        FailKind::Syntax
    } else if has("constraint failed") {
        FailKind::Check
    } else {
        FailKind::Server
    }
}

/// `UNIQUE constraint failed: t.a, t.b` and `no such column: x` name what they mean after the colon.
fn object_of(kind: FailKind, message: &str) -> Option<String> {
    let names = matches!(
        kind,
        FailKind::Unique | FailKind::NotNull | FailKind::Check | FailKind::Conversion | FailKind::Undefined
    );
    let (_, object) = message.split_once(": ").filter(|_| names)?;
    Some(object.to_owned())
}
