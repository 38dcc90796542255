//! Rows that could not be converted, as the user is told of them.

use std::fmt;

use segue_model::ident::MigrationId;
use segue_model::journal::Quarantined;
use serde::Serialize;

use crate::database::Database;
use crate::failure::Failure;

/// The most rows that are shown.
const SHOWN_MAX: u32 = 5;

/// One row, as JSON. The error was masked when it was written down.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Sample {
    step: u32,
    key: String,
    column: String,
    error: String,
}

/// Rows that could not be converted: how many, and the first of them.
#[derive(Debug, Clone, Default, Serialize)]
pub(crate) struct Quarantine {
    /// How many.
    pub(crate) rows: u64,
    /// The first of them.
    pub(crate) samples: Vec<Sample>,
}

impl Quarantine {
    /// Returns what the journal and the run say.
    pub(crate) fn new(rows: u64, samples: &[Quarantined]) -> Self {
        Self { rows, samples: samples.iter().map(Sample::new).collect() }
    }

    /// Returns a line on how many there are, a line for each that is shown, and how to go on; nothing where there are none.
    pub(crate) fn as_text(&self, id: impl fmt::Display) -> String {
        if self.rows == 0 {
            return String::new();
        }
        let mut text = format!("{} rows could not be converted; they are as they were:\n", self.rows);
        for Sample { key, column, error, .. } in &self.samples {
            text.push_str(&format!("  {}, {column}: {}\n", key.escape_debug(), error.escape_debug()));
        }
        text.push_str(&format!("  correct them, then: segue verify {id} --retry-quarantine\n"));
        text
    }
}

impl Sample {
    fn new(row: &Quarantined) -> Self {
        Self { step: row.step, key: row.key.clone(), column: row.column.clone(), error: row.error.clone() }
    }
}

/// Returns what is quarantined of a migration.
///
/// # Errors
/// Exit code 3.
pub(crate) fn of(database: &mut Database, id: &MigrationId) -> Result<Quarantine, Failure> {
    let Some(record) = database.record(id)? else { return Ok(Quarantine::default()) };
    of_attempt(database, id, record.attempt)
}

/// Returns what is quarantined of an attempt.
///
/// # Errors
/// Exit code 3.
pub(crate) fn of_attempt(database: &mut Database, id: &MigrationId, attempt: u32) -> Result<Quarantine, Failure> {
    let journal = database.connector.journal();
    let (rows, samples) = journal.quarantined(database.session.as_mut(), id, attempt, SHOWN_MAX)?;
    Ok(Quarantine::new(rows, &samples))
}

/// Returns a run's failure with what is quarantined, where anything is and can be read.
pub(crate) fn explained(failure: Failure, database: &mut Database, id: &MigrationId) -> Failure {
    match of(database, id) {
        Ok(found) if found.rows > 0 => failure.report(found.as_text(id)),
        Ok(_) | Err(_) => failure,
    }
}
