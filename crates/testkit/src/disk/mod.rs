//! A disk that fails a process at a counted write: a small library put before the system's own by the dynamic linker.

use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;

use crate::postgres::template::{cache, copy, once};

/// What happens at a write. Writes, syncs, truncations and removals of regular files count, from 1, over all threads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DiskFault {
    /// Nothing; they are counted.
    None,
    /// SIGKILL before it.
    KilledBefore(u64),
    /// SIGKILL when half of its bytes are written.
    Torn(u64),
    /// SIGKILL after it.
    KilledAfter(u64),
    /// From this one on there is no space left.
    Full(u64),
}

impl DiskFault {
    /// Every kind that ends the process, at one write.
    pub fn kills(at: u64) -> [Self; 3] {
        [Self::KilledBefore(at), Self::Torn(at), Self::KilledAfter(at)]
    }

    /// Returns the environment that makes a process meet this fault; it leaves the number of its writes in the file `count`
    /// when it ends by itself. `None` where no C compiler is to be had.
    pub fn environment(self, count: &std::path::Path) -> Option<Vec<(String, String)>> {
        let (kind, at) = match self {
            Self::None => ("none", 0),
            Self::KilledBefore(at) => ("before", at),
            Self::Torn(at) => ("torn", at),
            Self::KilledAfter(at) => ("after", at),
            Self::Full(at) => ("full", at),
        };
        let library = library()?;
        Some(vec![
            ("LD_PRELOAD".to_owned(), library.display().to_string()),
            ("TESTKIT_DISK_FAULT".to_owned(), kind.to_owned()),
            ("TESTKIT_DISK_AT".to_owned(), at.to_string()),
            ("TESTKIT_DISK_COUNT".to_owned(), count.display().to_string()),
        ])
    }
}

/// Compiles the library once for all test processes.
fn library() -> Option<&'static PathBuf> {
    static MADE: OnceLock<Option<PathBuf>> = OnceLock::new();
    MADE.get_or_init(make).as_ref()
}

fn make() -> Option<PathBuf> {
    if std::env::consts::OS != "linux" {
        return None;
    }
    let source = include_str!("fault.c");
    // Named after its text: a changed one is another library.
    let sum = source
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |sum, byte| (sum ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3));
    let folder = cache().join(format!("disk-{sum:016x}"));
    if !folder.is_dir() {
        let scratch = tempfile::tempdir().expect("a temporary folder can be made");
        let file = scratch.path().join("fault.c");
        std::fs::write(&file, source).expect("the folder is ours");
        let mut cc = Command::new("cc");
        cc.args(["-shared", "-fPIC", "-O1", "-o"]).arg(scratch.path().join("fault.so")).arg(&file).arg("-ldl");
        if !cc.status().is_ok_and(|status| status.success()) {
            return None;
        }
        once(&folder, |to| copy(scratch.path(), to));
    }
    Some(folder.join("fault.so"))
}
