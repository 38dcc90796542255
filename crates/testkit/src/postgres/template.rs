//! Data folders made by `initdb` once, then copied: a copy takes a tenth of the time.

use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::Command;

use super::account::{Account, own_user};
use super::binaries::Binaries;
use super::server::PASSWORD_ROLE;

/// Puts a fresh data folder at `data`: a copy of this version's template, or one of its own, which then has a system
/// identifier that no other server has.
pub(super) fn data(binaries: &Binaries, data: &Path, own_identity: bool) {
    std::fs::create_dir(data).expect("the server's folder is ours");
    if own_identity {
        initdb(binaries, data);
    } else {
        let words = format!("data {} {}", Account::of_server().label(), binaries.version());
        let name: String = words.chars().map(|c| if c.is_ascii_alphanumeric() || c == '.' { c } else { '-' }).collect();
        let template = cache().join(name);
        once(&template, |scratch| initdb(binaries, scratch));
        copy(&template, data);
    }
    admit(data);
}

/// Returns the folder of what is made once for all test processes of this user.
pub(crate) fn cache() -> PathBuf {
    let user = own_user();
    let folder = std::env::temp_dir().join(format!("segue-testkit-{user}"));
    if !folder.is_dir() {
        // Another process may make it at the same time: then it is there, which is all that is wanted.
        drop(std::fs::create_dir(&folder));
        drop(std::fs::set_permissions(&folder, std::fs::Permissions::from_mode(0o755)));
    }
    let metadata = folder.symlink_metadata().unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    // Its name can be guessed, so it must be ours: what lies in it is run.
    assert!(
        metadata.is_dir() && metadata.uid() == user && metadata.mode() & 0o022 == 0,
        "{} is not a folder that only user {user} can write: remove it",
        folder.display()
    );
    folder
}

/// Makes the folder `wanted` by `make`, unless it is there; complete or not at all, whoever else tries meanwhile.
pub(crate) fn once(wanted: &Path, make: impl FnOnce(&Path)) {
    if wanted.exists() {
        return;
    }
    let parent = wanted.parent().expect("it stands in the cache");
    let scratch = tempfile::Builder::new().prefix(".making-").tempdir_in(parent).expect("the cache is ours");
    let content = scratch.path().join("content");
    std::fs::create_dir(&content).expect("it was made just now");
    // The scratch folder is made for its owner alone; the server's account must pass through it.
    std::fs::set_permissions(scratch.path(), std::fs::Permissions::from_mode(0o755)).expect("it is ours");
    make(&content);
    if let Err(error) = std::fs::rename(&content, wanted) {
        assert!(wanted.exists(), "{}: {error}", wanted.display());
    }
}

/// Copies the content of a folder with owners, modes and links.
pub(crate) fn copy(from: &Path, to: &Path) {
    let mut command = Command::new("cp");
    command.args(["--archive", "--reflink=auto", "--"]).arg(from.join(".")).arg(to);
    run(&mut command);
}

fn initdb(binaries: &Binaries, data: &Path) {
    Account::of_server().owns(data);
    std::fs::set_permissions(data, std::fs::Permissions::from_mode(0o700)).expect("it was made just now");
    let mut command = binaries.command("initdb");
    command.args(["--username=postgres", "--auth=trust", "--encoding=UTF8", "--locale=C.UTF-8", "--no-sync"]);
    command.arg("--pgdata").arg(data);
    run(&mut command);
}

/// Says who gets in. The first line that fits decides; one role needs its password, for tests of what happens without.
fn admit(data: &Path) {
    let hba = format!(
        "host all {PASSWORD_ROLE} 127.0.0.1/32 scram-sha-256\n\
         local all all trust\nhost all all 127.0.0.1/32 trust\n\
         local replication all trust\nhost replication all 127.0.0.1/32 trust\n"
    );
    let path = data.join("pg_hba.conf");
    std::fs::write(&path, hba).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
}

fn run(command: &mut Command) {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(
        output.status.success(),
        "{command:?}\n{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}
