//! The migration files of a project.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use segue_model::change::Migration;
use segue_model::engine::Engine;
use segue_model::ident::MigrationId;
use segue_model::journal::{Record, State};
use segue_model::nearest::nearest;
use segue_parse::Source;

use crate::args::id_of;
use crate::diagnostic;
use crate::failure::Failure;

/// The most bytes that a migration file may have.
const BYTES_MAX: u64 = 64 * 1024 * 1024;

/// The files of a folder, in file order.
#[derive(Debug)]
pub(crate) struct Project {
    folder: PathBuf,
    files: BTreeMap<MigrationId, PathBuf>,
}

/// A migration file's bytes, and those of its down file.
#[derive(Debug)]
pub(crate) struct Texts {
    /// The up file as the user would name it.
    pub(crate) up_name: String,
    /// Its bytes.
    pub(crate) up: Vec<u8>,
    /// The down file.
    pub(crate) down: Option<(String, Vec<u8>)>,
}

impl Project {
    /// Reads the folder's listing. A missing folder has no files.
    ///
    /// # Errors
    /// Exit code 2 for a folder that cannot be read or a file name that is no migration id.
    pub(crate) fn open(folder: &Path) -> Result<Self, Failure> {
        let mut files = BTreeMap::new();
        let entries = match std::fs::read_dir(folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Ok(Self { folder: folder.to_owned(), files });
            }
            Err(error) => return Err(Failure::usage(format!("`{}` cannot be read: {error}", folder.display()))),
        };
        for entry in entries {
            let entry = entry.map_err(|e| Failure::usage(format!("`{}` cannot be read: {e}", folder.display())))?;
            let name = entry.file_name();
            let name = name.to_string_lossy();
            if !name.ends_with(".sql") || name.ends_with(".down.sql") {
                continue;
            }
            let id = id_of(&name).ok_or_else(|| {
                Failure::usage(format!(
                    "`{}` is no name for a migration",
                    entry.path().display().to_string().escape_debug()
                ))
                .hint("Use letters, digits, `_` and `-`, as in 20261120093000_full_name.sql.")
            })?;
            if id.reverses().is_some() {
                return Err(Failure::usage(format!(
                    "`{}` would be taken for the reversal of another migration",
                    entry.path().display()
                ))
                .hint("A down file is called NAME.down.sql; a migration of its own must not end in `_down`."));
            }
            files.insert(id, entry.path());
        }
        Ok(Self { folder: folder.to_owned(), files })
    }

    /// Returns the ids in file order.
    pub(crate) fn ids(&self) -> impl Iterator<Item = &MigrationId> {
        self.files.keys()
    }

    /// Returns whether there is a file for `id`.
    pub(crate) fn has(&self, id: &MigrationId) -> bool {
        self.files.contains_key(id)
    }

    /// Returns the bytes of a migration's files.
    ///
    /// # Errors
    /// Exit code 2 when there is no such file or it cannot be read.
    pub(crate) fn texts(&self, id: &MigrationId) -> Result<Texts, Failure> {
        let path = self.files.get(id).ok_or_else(|| self.missing(id.as_str()))?;
        let down = path.with_extension("down.sql");
        let down_bytes = if down.exists() { Some((down.display().to_string(), bytes_of(&down)?)) } else { None };
        Ok(Texts { up_name: path.display().to_string(), up: bytes_of(path)?, down: down_bytes })
    }

    /// Reads a migration.
    ///
    /// # Errors
    /// Exit code 1 with a report for SQL or a directive that is not understood.
    pub(crate) fn migration(&self, engine: Engine, id: &MigrationId) -> Result<(Migration, Texts), Failure> {
        let texts = self.texts(id)?;
        let up = Source { file: &texts.up_name, text: &texts.up };
        let down = texts.down.as_ref().map(|(file, text)| Source { file, text });
        let migration = segue_parse::migration(engine, id.clone(), &up, down.as_ref())
            .map_err(|problems| diagnostic::problems(&problems, &texts))?;
        says_something(&migration, &texts)?;
        Ok((migration, texts))
    }

    /// Reads a migration's down file as a migration of its own, with the up file as its way back.
    ///
    /// # Errors
    /// Exit code 2 when there is no down file; otherwise as [`Self::migration`].
    pub(crate) fn reversed(&self, engine: Engine, id: &MigrationId) -> Result<(Migration, Texts), Failure> {
        let texts = self.texts(id)?;
        let Some((down_name, down)) = texts.down else {
            return Err(Failure::usage(format!("`{id}` has no down file"))
                .hint(format!("Write {} beside it.", self.folder.join(format!("{id}.down.sql")).display())));
        };
        let texts = Texts { up_name: down_name, up: down, down: Some((texts.up_name, texts.up)) };
        let up = Source { file: &texts.up_name, text: &texts.up };
        let down = texts.down.as_ref().map(|(file, text)| Source { file, text });
        let migration = segue_parse::migration(engine, down_id(id)?, &up, down.as_ref())
            .map_err(|problems| diagnostic::problems(&problems, &texts))?;
        says_something(&migration, &texts)?;
        Ok((migration, texts))
    }

    /// Refuses when the file of a migration that is under way or applied was edited since.
    ///
    /// # Errors
    /// Exit code 1.
    pub(crate) fn check_unchanged(&self, record: &Record) -> Result<(), Failure> {
        if record.state == State::RolledBack || !self.has(&record.id) {
            return Ok(());
        }
        let texts = self.texts(&record.id)?;
        if segue_parse::checksum(&texts.up) == record.checksum {
            return Ok(());
        }
        Err(Failure::refused(format!("`{}` was edited after it was applied to this database", texts.up_name)).hint(
            "Put the file back as it was (git checkout), and write the further change as a migration of its own: segue new NAME",
        ))
    }

    /// Says that there is no such migration, and which one may be meant.
    pub(crate) fn missing(&self, wanted: &str) -> Failure {
        let shown = wanted.escape_debug();
        let failure = Failure::usage(format!("there is no migration `{shown}` in `{}`", self.folder.display()));
        match nearest(wanted, self.ids().map(MigrationId::as_str)) {
            Some(near) => failure.hint(format!("Did you mean `{near}`?")),
            None if self.files.is_empty() => failure.hint("The folder holds no migration files; --dir names another."),
            None => {
                let last: Vec<&str> = self.files.keys().rev().take(5).map(MigrationId::as_str).collect();
                failure.hint(format!("The last ones are: {}", last.join(", ")))
            }
        }
    }

    /// Returns the migration that the user names: its id, its file, or a part that only one id has.
    ///
    /// # Errors
    /// Exit code 2 when none or several fit.
    pub(crate) fn named(&self, wanted: &str, known: &[MigrationId]) -> Result<MigrationId, Failure> {
        let all: Vec<&MigrationId> = self.ids().chain(known.iter().filter(|id| !self.has(id))).collect();
        if let Some(id) = id_of(wanted).filter(|id| all.contains(&id)) {
            return Ok(id);
        }
        let fitting: Vec<&&MigrationId> =
            all.iter().filter(|id| !wanted.is_empty() && id.as_str().contains(wanted)).collect();
        match fitting.as_slice() {
            [one] => Ok((**one).clone()),
            [] => Err(self.missing(wanted)),
            several => Err(several_fit(several.iter().map(|id| id.as_str()))),
        }
    }
}

/// Refuses a file without a statement: applied as it is, it would be history before it says anything.
fn says_something(migration: &Migration, texts: &Texts) -> Result<(), Failure> {
    if migration.changes.is_empty() {
        return Err(Failure::refused(format!("`{}` holds no statement", texts.up_name))
            .hint("Write the change into it, or remove the file."));
    }
    Ok(())
}

/// Says that a migration must be named.
pub(crate) fn several_fit<'a>(ids: impl Iterator<Item = &'a str>) -> Failure {
    Failure::usage("several migrations fit; name one").hint(ids.collect::<Vec<_>>().join("\n"))
}

/// Returns the id under which the reversal of `id` is journalled.
pub(crate) fn down_id(id: &MigrationId) -> Result<MigrationId, Failure> {
    MigrationId::new(format!("{id}_down")).map_err(|error| Failure::usage(error.to_string()))
}

fn bytes_of(path: &Path) -> Result<Vec<u8>, Failure> {
    let cannot = |error: std::io::Error| Failure::usage(format!("`{}` cannot be read: {error}", path.display()));
    let size = std::fs::metadata(path).map_err(cannot)?.len();
    if size > BYTES_MAX {
        return Err(Failure::refused(format!("`{}` has {size} bytes, more than a migration should", path.display()))
            .hint("Load data by the database's own tools, and keep the migration to the schema."));
    }
    std::fs::read(path).map_err(cannot)
}
