//! No, with a reason and a hint.

use segue_model::change::Place;

/// A refusal with its place in the file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{refusal}")]
pub struct Refused {
    /// Where; `None` when the whole file is meant.
    pub at: Option<Place>,
    /// What and why.
    pub refusal: Refusal,
}

/// Why a change is not planned. Shown to the user as it is.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// SQL that a later version will carry out.
    #[error("not yet: {what}")]
    NotYet {
        /// What it is.
        what: String,
        /// What to do instead.
        instead: String,
    },
    /// The table is not in the database.
    #[error("there is no table `{table}`")]
    NoTable {
        /// As written.
        table: String,
        /// The nearest name that exists.
        nearest: Option<String>,
    },
    /// The column is not in the table.
    #[error("the table `{table}` has no column `{column}`")]
    NoColumn {
        /// The table.
        table: String,
        /// As written.
        column: String,
        /// The nearest name that exists.
        nearest: Option<String>,
    },
    /// A name that the file wants is in use.
    #[error("`{name}` exists already")]
    Exists {
        /// The name.
        name: String,
    },
    /// A transform can be NULL where the column may not.
    #[error("`{expr}` can be NULL, and `{table}.{column}` must not")]
    NotTotal {
        /// The table.
        table: String,
        /// The column.
        column: String,
        /// The transform.
        expr: String,
        /// One that is total.
        suggestion: String,
    },
    /// A transform is missing.
    #[error("nothing says how `{table}.{column}` follows from {from}")]
    NoTransform {
        /// The table.
        table: String,
        /// The column.
        column: String,
        /// What it must follow from, in words.
        from: String,
        /// The line to add.
        line: String,
        /// The file to add it to, in words.
        file: String,
    },
    /// SQL that cannot be understood.
    #[error("this SQL is not understood: `{what}`")]
    Opaque {
        /// Its first words.
        what: String,
    },
    /// The engine or this database cannot do it while the application runs.
    #[error("{what}: {why}")]
    Impossible {
        /// What is refused.
        what: String,
        /// Why.
        why: String,
        /// What the user can do.
        instead: String,
    },
}

impl Refusal {
    /// What the user can do about it, in one sentence.
    pub fn hint(&self) -> String {
        match self {
            Self::NotYet { instead, .. } | Self::Impossible { instead, .. } => instead.clone(),
            Self::NoTable { nearest: Some(nearest), .. } | Self::NoColumn { nearest: Some(nearest), .. } => {
                format!("Did you mean `{nearest}`?")
            }
            Self::NoTable { .. } => "Check the name, its schema and the database that the URL points to.".to_owned(),
            Self::NoColumn { .. } => {
                "Check the name, and whether an earlier migration that adds it was applied.".to_owned()
            }
            Self::Exists { name } => format!("Choose another name, or drop `{name}` first."),
            Self::NotTotal { suggestion, .. } => format!("Write `{suggestion}`."),
            Self::NoTransform { line, file, .. } => format!("Add to {file}: `{line}`"),
            Self::Opaque { .. } => "Write it as statements that Segue knows, one change a statement.".to_owned(),
        }
    }

    /// Returns the refusal at this place.
    pub fn at(self, place: &Place) -> Refused {
        Refused { at: Some(place.clone()), refusal: self }
    }
}
