//! The file's header, read beside SQLite.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use segue_model::server::Version;

/// Files that were opened once and stay open.
///
/// On Unix, closing *any* handle of a file drops all locks that the process holds on it (POSIX): SQLite's own among them,
/// were another connection of this process in a transaction. So a handle is kept for as long as the process lives.
static KEPT: Mutex<Vec<(String, File)>> = Mutex::new(Vec::new());

/// Where the version of the library that wrote the file last stands.
const LAST_WRITER: u64 = 96;

/// Returns the version of the library that last wrote the file, where its header tells one; `name` is [`file_name`]'s.
pub(super) fn last_writer(path: &Path, name: &str) -> Option<Version> {
    let mut kept = KEPT.lock().unwrap_or_else(PoisonError::into_inner);
    let at = match kept.iter().position(|(known, _)| known == name) {
        Some(at) => at,
        None => {
            kept.push((name.to_owned(), File::open(path).ok()?));
            kept.len() - 1
        }
    };
    let file = &mut kept[at].1;
    file.seek(SeekFrom::Start(LAST_WRITER)).ok()?;
    let mut bytes = [0; 4];
    file.read_exact(&mut bytes).ok()?;
    version_of(u32::from_be_bytes(bytes))
}

/// Returns the version that SQLite writes as one number: 3.54.1 is 3054001.
pub(super) fn version_of(number: u32) -> Option<Version> {
    let version = Version { major: number / 1_000_000, minor: number / 1000 % 1000, patch: number % 1000 };
    (version.major >= 3).then_some(version)
}

/// Returns what tells this file from its copies, and stays when it is renamed: its inode and time of birth. Not its device:
/// those numbers change between boots.
pub(super) fn file_name(path: &Path) -> std::io::Result<String> {
    let meta = std::fs::metadata(path)?;
    let born = meta.created().ok().and_then(|at| at.duration_since(std::time::UNIX_EPOCH).ok());
    let born = born.map_or(String::new(), |at| format!(" born {}.{:09}", at.as_secs(), at.subsec_nanos()));
    Ok(format!("{}{born}", inode(&meta)))
}

#[cfg(unix)]
fn inode(meta: &std::fs::Metadata) -> String {
    use std::os::unix::fs::MetadataExt;
    format!("inode {}", meta.ino())
}

#[cfg(not(unix))]
fn inode(_meta: &std::fs::Metadata) -> String {
    "file".to_owned()
}
