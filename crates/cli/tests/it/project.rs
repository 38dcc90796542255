//! A project folder with migration files, for tests.

use std::path::Path;

use segue_testkit::segue::Segue;
use tempfile::TempDir;

/// A project folder, and `segue` run in it against one database.
pub(crate) struct Project {
    folder: TempDir,
    pub(crate) segue: Segue,
}

impl Project {
    /// Returns a project without migrations.
    pub(crate) fn new(url: &str) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        std::fs::create_dir(folder.path().join("migrations")).expect("a folder can be made in our own folder");
        let segue = Segue::new(url, folder.path());
        Self { folder, segue }
    }

    /// Writes `migrations/NAME`.
    pub(crate) fn write(&self, name: &str, text: impl AsRef<[u8]>) {
        std::fs::write(self.folder.path().join("migrations").join(name), text).expect("our own folder takes files");
    }

    /// Returns the folder.
    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }
}
