//! The lock that keeps a second process out.

use std::ffi::OsString;
use std::fs::{File, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};
use std::time::Duration;

use segue_model::session::{Fail, FailKind};

use super::cancel;

/// How often a lock that somebody has is tried, and the rest between: 200 ms in all.
const TRIES: u32 = 11;
const REST: Duration = Duration::from_millis(20);

/// Returns the path of the lock file beside a database: `<db>-segue.lock`.
pub(super) fn path_beside(database: &Path) -> PathBuf {
    let mut name = OsString::from(database.as_os_str());
    name.push("-segue.lock");
    PathBuf::from(name)
}

/// Held for as long as it lives. The operating system gives the lock back however the process ends.
///
/// The file stays when the lock goes: whoever removed it could remove the one that a third process has locked meanwhile.
pub(super) struct Hold {
    _file: File,
}

/// Takes the lock.
pub(super) fn take(path: &Path) -> Result<Hold, Fail> {
    let file = OpenOptions::new().create(true).truncate(false).write(true).open(path).map_err(|cause| {
        let kind = match cause.kind() {
            std::io::ErrorKind::PermissionDenied => FailKind::Permission,
            std::io::ErrorKind::ReadOnlyFilesystem => FailKind::ReadOnly,
            _ => FailKind::Usage,
        };
        Fail::new(kind, format!("the lock file `{}` cannot be created: {cause}", path.display()))
    })?;
    match patiently(&file) {
        Ok(()) => Ok(Hold { _file: file }),
        Err(TryLockError::WouldBlock) => Err(Fail::new(
            FailKind::LockTimeout,
            format!("another run works on this database: it holds `{}`", path.display()),
        )),
        Err(TryLockError::Error(cause)) => {
            Err(Fail::new(FailKind::Usage, format!("`{}` cannot be locked: {cause}", path.display())))
        }
    }
}

/// Tries again for a moment: a look at whether the lock is held, see [`is_held`], has it for an instant itself.
fn patiently(file: &File) -> Result<(), TryLockError> {
    for _ in 1..TRIES {
        match file.try_lock() {
            Err(TryLockError::WouldBlock) => cancel::rest(REST),
            decided => return decided,
        }
    }
    file.try_lock()
}

/// Returns whether some process, perhaps this one, holds the lock now.
///
/// Asks for a shared lock and gives it back at once, so the file is opened for reading only and never created.
pub(super) fn is_held(path: &Path) -> bool {
    File::open(path).is_ok_and(|file| matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock)))
}
