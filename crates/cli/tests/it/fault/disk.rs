//! No space left, for the database or for its file.

use std::path::{Path, PathBuf};
use std::process::Command;

use segue_model::engine::Engine;
use segue_testkit::disk::DiskFault;
use segue_testkit::postgres;
use segue_testkit::postgres::PostgresServer;
use segue_testkit::skipped;
use segue_traffic::scenario;

use super::place::{BACK, Case, Change, assert_code};

/// A file system of a few megabytes, gone on drop.
struct SmallDisk {
    folder: PathBuf,
}

impl SmallDisk {
    /// Mounts one, for which one must be root.
    fn mount(megabytes: u32) -> Option<Self> {
        let folder = tempfile::Builder::new().prefix("segue-small-").tempdir().expect("a temporary folder can be made");
        let folder = folder.keep();
        let size = format!("size={megabytes}m,mode=0777");
        let mounted = run("mount", &["-t", "tmpfs", "-o", &size, "tmpfs"], &folder);
        if !mounted {
            drop(std::fs::remove_dir(&folder));
            return None;
        }
        Some(Self { folder })
    }

    /// Takes all but so many bytes of its room.
    fn leave(&self, bytes: u64) {
        let file = self.folder.join("filler");
        let taken = std::fs::File::create(&file).expect("the folder takes files");
        let mut chunk = 1 << 20;
        let mut size = 0;
        while chunk >= 4096 {
            let whole = vec![0_u8; usize::try_from(chunk).expect("it is a megabyte at most")];
            if std::os::unix::fs::FileExt::write_all_at(&taken, &whole, size).is_ok() {
                size += chunk
            } else {
                chunk /= 2
            }
        }
        taken.set_len(size.saturating_sub(bytes)).expect("a file can be cut");
    }

    /// Gives it back.
    fn free(&self) {
        std::fs::remove_file(self.folder.join("filler")).expect("it was made");
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // A server that still has a file open keeps it for itself; nobody else sees it any more.
        run("umount", &["--lazy"], &self.folder);
        drop(std::fs::remove_dir(&self.folder));
    }
}

fn run(program: &str, arguments: &[&str], folder: &Path) -> bool {
    let status = Command::new(program).args(arguments).arg(folder).stderr(std::process::Stdio::null()).status();
    status.is_ok_and(|status| status.success())
}

/// Creates an empty database whose files are on the disk.
fn database_on(server: &PostgresServer, disk: &SmallDisk) -> String {
    let url = server.database();
    let name = url.rsplit('/').next().unwrap_or_default();
    let home = disk.folder.join("space");
    std::fs::create_dir(&home).expect("the disk takes folders");
    let owner = std::os::unix::fs::MetadataExt::uid(
        &server.data_folder().expect("it is ours").metadata().expect("it is there"),
    );
    std::os::unix::fs::chown(&home, Some(owner), None).expect("who may mount may give away");
    let mut client = server.connect("postgres");
    client.batch(&format!("CREATE TABLESPACE {name} LOCATION '{}'", home.display()));
    client.batch(&format!("ALTER DATABASE {name} SET TABLESPACE {name}"));
    url
}

#[test]
fn a_disk_that_is_full_ends_the_run_and_a_larger_one_lets_it_go_on() {
    let Some(server) = postgres(15).filter(|server| server.port().is_some()) else { return };
    let Some(disk) = SmallDisk::mount(64) else { return skipped("right to mount a file system") };
    let change = Change::new(scenario::split(Engine::Postgres), 30_000);
    let case = Case::on(database_on(server, &disk), &change);
    let mut client = case.client();
    disk.leave(600_000);
    let full = case.segue().run(&["apply"]);
    assert_code(&full, 3);
    assert!(full.stderr.contains("No space left") || full.stderr.contains("53100"), "{}", full.stderr);
    // The application goes on with what needs no room.
    client.batch("SELECT count(*) FROM people");
    assert_code(&case.segue().run(&["status"]), 0);
    disk.free();
    case.segue().ok(&["apply"]);
    assert_eq!(client.value("SELECT count(*) FROM people WHERE full_name IS NULL").as_deref(), Some("0"));
    case.finish(1);
    drop(client);
    gone(server, &case.url);
}

/// Drops the database, so that the disk can be unmounted.
fn gone(server: &PostgresServer, url: &str) {
    let name = url.rsplit('/').next().unwrap_or_default();
    let mut client = server.connect("postgres");
    client.batch(&format!("DROP DATABASE {name} WITH (FORCE)"));
    client.batch(&format!("DROP TABLESPACE {name}"));
}

/// From some write on nothing can be written any more; with room again, the run goes on or back.
#[test]
fn a_file_that_cannot_grow_ends_the_run_and_later_it_goes_on_or_back() {
    let change = Change::new(scenario::split(Engine::Sqlite), 600);
    let straight = Case::sqlite(&change);
    let begin = straight.content();
    straight.segue().ok(&["apply"]);
    let ready = straight.content();
    let full = std::env::var_os("SEGUE_TEST_FULL").is_some();
    let mut run = 0;
    for (number, at) in (1_u64..320).step_by(if full { 1 } else { 23 }).enumerate() {
        let case = Case::sqlite(&change);
        let count = case.project.path().join("count");
        let Some(environment) = DiskFault::Full(at).environment(&count) else { return skipped("C compiler") };
        let segue =
            environment.into_iter().fold(case.segue().clone(), |segue, (name, value)| segue.with_env(&name, &value));
        let output = segue.run(&["apply"]);
        let told = output.code == 3 && output.stderr.contains("disk");
        assert!(output.code == 0 || told, "write {at}: {}: {}", output.code, output.stderr);
        let back = number % 2 == 0;
        let again = case.segue().run(if back { BACK } else { &["apply"] });
        let nothing_left = again.code == 2 && again.stderr.contains("no migration is");
        assert!(again.code == 0 || nothing_left, "write {at}: {}: {}", again.code, again.stderr);
        let difference = if back { &begin } else { &ready }.difference(&case.content());
        assert!(difference.is_empty(), "write {at}:\n{difference}");
        run += 1;
    }
    println!("SQLite, disk full: {run} points");
}
