//! Names of database objects, as the catalog stores them.

use std::fmt;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// The name of a database object as the catalog stores it: case already folded, quotes removed.
///
/// Never empty and never holds NUL. Whoever writes it into SQL quotes it (see [`crate::sql::Sql::fill`]).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Ident(String);

/// Why a text is no name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadIdent {
    /// No database accepts an empty name.
    #[error("a name cannot be empty")]
    Empty,
    /// No database accepts NUL in a name.
    #[error("a name cannot hold a NUL character")]
    Nul,
}

impl Ident {
    /// Returns the name.
    ///
    /// # Errors
    /// [`BadIdent`] when it is empty or holds NUL.
    pub fn new(name: impl Into<String>) -> Result<Self, BadIdent> {
        let name = name.into();
        if name.is_empty() {
            return Err(BadIdent::Empty);
        }
        if name.contains('\0') {
            return Err(BadIdent::Nul);
        }
        Ok(Self(name))
    }

    /// Returns a name that is known to be one when the program is written.
    ///
    /// # Panics
    /// When `name` is empty or holds NUL: a bug of ours.
    pub fn known(name: &'static str) -> Self {
        Self::new(name).expect("a name written in the source is a name")
    }

    /// Returns the bare name, unquoted.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns a name of ours: `<prefix><name cut to fit>_<tag>`, at most `bytes_max` bytes, cut between characters.
    ///
    /// `tag` is 8 hexadecimal digits (see [`tag_of`]) that tell two long names apart which begin alike.
    pub fn of_ours(prefix: &'static str, name: &str, tag: &str, bytes_max: usize) -> Self {
        let room = bytes_max.saturating_sub(prefix.len() + tag.len() + 1);
        let cut =
            name.char_indices().map(|(at, c)| at + c.len_utf8()).take_while(|end| *end <= room).last().unwrap_or(0);
        Self(format!("{prefix}{}_{tag}", &name[..cut]))
    }
}

/// Returns 8 hexadecimal digits that stand for `parts` (a migration's id and whatever else tells two objects apart).
pub fn tag_of(parts: &[&str]) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part.as_bytes());
    }
    hash.finalize().iter().take(4).map(|byte| format!("{byte:02x}")).collect()
}

impl TryFrom<String> for Ident {
    type Error = BadIdent;
    fn try_from(name: String) -> Result<Self, BadIdent> {
        Self::new(name)
    }
}

impl From<Ident> for String {
    fn from(ident: Ident) -> Self {
        ident.0
    }
}

/// For people: bare, control characters escaped so that a name cannot move the cursor of a terminal.
impl fmt::Display for Ident {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for c in self.0.chars() {
            if c.is_control() { write!(f, "{}", c.escape_default())? } else { write!(f, "{c}")? }
        }
        Ok(())
    }
}

/// A table as the catalog knows it. On SQLite the schema is `main`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct TableName {
    /// The schema that holds it.
    pub schema: Ident,
    /// Its own name.
    pub name: Ident,
}

impl fmt::Display for TableName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.schema, self.name)
    }
}

/// A table as a migration names it: perhaps without its schema.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct TableRef {
    /// The schema, where one is written.
    pub schema: Option<Ident>,
    /// The table's own name.
    pub name: Ident,
}

impl fmt::Display for TableRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.schema {
            Some(schema) => write!(f, "{schema}.{}", self.name),
            None => write!(f, "{}", self.name),
        }
    }
}

/// The id of a migration: its file name without `.sql`, of `[0-9A-Za-z_-]`, at most 200 bytes.
///
/// The narrow alphabet is what keeps a file name from entering SQL, a terminal or a path as anything but a name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct MigrationId(String);

/// A file name that is no migration id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{}` is not a migration id: only letters, digits, `_` and `-`, at most 200 of them", .0.escape_debug())]
pub struct BadMigrationId(pub String);

impl MigrationId {
    /// Returns the id.
    ///
    /// # Errors
    /// [`BadMigrationId`] when it is empty, too long, or holds anything but `[0-9A-Za-z_-]`.
    pub fn new(id: impl Into<String>) -> Result<Self, BadMigrationId> {
        let id = id.into();
        let fits = (1..=200).contains(&id.len());
        if fits && id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-') {
            Ok(Self(id))
        } else {
            Err(BadMigrationId(id))
        }
    }

    /// Returns the id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the migration that this one reverses, where its name says that it is a reversal: `1_a` for `1_a_down`.
    pub fn reverses(&self) -> Option<Self> {
        self.0.strip_suffix("_down").and_then(|id| Self::new(id).ok())
    }
}

impl TryFrom<String> for MigrationId {
    type Error = BadMigrationId;
    fn try_from(id: String) -> Result<Self, BadMigrationId> {
        Self::new(id)
    }
}

impl From<MigrationId> for String {
    fn from(id: MigrationId) -> Self {
        id.0
    }
}

impl fmt::Display for MigrationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_of_ours_is_cut_between_characters_and_within_the_bytes() {
        let long = "é".repeat(40);
        let name = Ident::of_ours("segue_", &long, "0123abcd", 63);
        assert_eq!(name.as_str(), format!("segue_{}_0123abcd", "é".repeat(24)));
        assert!(name.as_str().len() <= 63);
    }

    #[test]
    fn tags_tell_parts_apart_that_join_alike() {
        assert_ne!(tag_of(&["ab", "c"]), tag_of(&["a", "bc"]));
        assert_eq!(tag_of(&["a"]).len(), 8);
    }

    #[test]
    fn a_migration_id_cannot_carry_sql() {
        assert!(MigrationId::new("20261120_full-name").is_ok());
        for bad in ["", "a b", "a';--", "a/b", "é", "a\nb"] {
            assert!(MigrationId::new(bad).is_err(), "{bad}");
        }
    }
}
