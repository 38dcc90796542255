//! Where the database file is.

use std::path::{Path, PathBuf};

use percent_encoding::percent_decode_str;
use segue_model::session::{Fail, FailKind};

/// A database file that exists.
#[derive(Debug, Clone)]
pub(super) struct Address {
    /// Absolute, without symbolic links: SQLite keeps its own side files there, so we keep ours there too.
    pub(super) path: PathBuf,
    /// The address asks for no writes (`mode=ro`).
    pub(super) read_only: bool,
}

impl Address {
    /// Reads `sqlite:PATH`, `sqlite://PATH` or a `file:` URI.
    pub(super) fn parse(url: &str) -> Result<Self, Fail> {
        if let Some(rest) = url.strip_prefix("file:") {
            let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
            let path = path.split('#').next().unwrap_or(path);
            return Self::existing(Path::new(&decoded(without_authority(path)?)?), mode(query)?);
        }
        let Some(rest) = url.strip_prefix("sqlite:") else {
            return Err(usage(format!("`{}` is no address of a SQLite file: write `sqlite:PATH`", url.escape_debug())));
        };
        let rest = rest.strip_prefix("//").unwrap_or(rest);
        if rest.is_empty() || rest.starts_with(":memory:") {
            return Err(usage("a database in memory belongs to one process: name a file, `sqlite:PATH`".to_owned()));
        }
        // A file may really be called `a?b%20c`: the name as it stands goes first.
        if Path::new(rest).exists() {
            return Self::existing(Path::new(rest), false);
        }
        let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
        let read_only = mode(query)?;
        if Path::new(path).exists() {
            return Self::existing(Path::new(path), read_only);
        }
        Self::existing(Path::new(&decoded(path)?), read_only)
    }

    fn existing(path: &Path, read_only: bool) -> Result<Self, Fail> {
        let shown = path.display();
        let full = path.canonicalize().map_err(|error| match error.kind() {
            std::io::ErrorKind::NotFound => usage(format!(
                "there is no file `{shown}`: check the path, or create the database with your application first"
            )),
            std::io::ErrorKind::PermissionDenied => {
                Fail::new(FailKind::Permission, format!("`{shown}` may not be looked at: {error}"))
            }
            _ => usage(format!("`{shown}` cannot be opened: {error}")),
        })?;
        if full.is_file() {
            return Ok(Self { path: full, read_only });
        }
        Err(usage(format!("`{shown}` is not a file: name the database file itself")))
    }
}

/// `file:/p`, `file:///p` and `file://localhost/p` are the same; another host is refused, as SQLite does.
fn without_authority(path: &str) -> Result<&str, Fail> {
    let Some(rest) = path.strip_prefix("//") else { return Ok(path) };
    match rest.find('/') {
        Some(at) if rest[..at].is_empty() || rest[..at].eq_ignore_ascii_case("localhost") => Ok(&rest[at..]),
        _ => Err(usage(format!("`file:{}` names a host: write `file:///PATH`", path.escape_debug()))),
    }
}

fn decoded(path: &str) -> Result<String, Fail> {
    percent_decode_str(path)
        .decode_utf8()
        .map(std::borrow::Cow::into_owned)
        .map_err(|_| usage(format!("`{}` is not UTF-8 after its `%` are decoded", path.escape_debug())))
}

/// Returns whether the query asks for no writes. Parameters that change how SQLite locks the file are refused: under
/// `nolock` or `immutable` nothing that we promise would hold.
fn mode(query: &str) -> Result<bool, Fail> {
    let mut read_only = false;
    for parameter in query.split('&').filter(|p| !p.is_empty()) {
        match parameter {
            "mode=ro" => read_only = true,
            "mode=rw" | "mode=rwc" | "cache=private" | "cache=shared" => {}
            other => {
                return Err(usage(format!(
                    "`{}` is not supported in the address of a SQLite file: only `mode=ro` and `mode=rw` are",
                    other.escape_debug()
                )));
            }
        }
    }
    Ok(read_only)
}

fn usage(message: String) -> Fail {
    Fail::new(FailKind::Usage, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_of_a_path_finds_the_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("my db?.db");
        std::fs::write(&path, "").unwrap();
        let shown = path.to_str().unwrap();
        let encoded = shown.replace(' ', "%20").replace('?', "%3f");
        let urls = [format!("sqlite:{shown}"), format!("sqlite://{shown}"), format!("sqlite:{encoded}?mode=rwc")];
        for url in urls.into_iter().chain([format!("file:{encoded}"), format!("file://{encoded}?mode=ro")]) {
            let address = Address::parse(&url).unwrap();
            assert_eq!(address.path, path.canonicalize().unwrap(), "{url}");
            assert_eq!(address.read_only, url.ends_with("mode=ro"));
        }
    }

    #[test]
    fn what_cannot_be_used_is_said() {
        for url in
            ["sqlite::memory:", "sqlite:", "file://host/x", "sqlite:/no/such/file", "file:x?vfs=unix-none", "sqlite:/"]
        {
            assert_eq!(Address::parse(url).unwrap_err().kind, FailKind::Usage, "{url}");
        }
    }
}
