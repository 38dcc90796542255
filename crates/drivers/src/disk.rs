//! Free room on a disk.

use std::path::Path;

/// Returns the bytes that are free where this folder or file is, for those who are not root; `None` when it cannot be reached.
pub(crate) fn free_bytes(path: &Path) -> Option<f64> {
    let room = rustix::fs::statvfs(path).ok()?;
    Some(room.f_bavail as f64 * room.f_frsize as f64)
}
