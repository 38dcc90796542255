//! The table before the traffic.

use segue_model::value::Value;

use crate::place::{Fault, Place};
use crate::scenario::Scenario;

/// The note of a row that was seeded and never annotated.
pub(crate) const NOTE: &str = "seeded";

/// Creates the scenario's table and fills it with `rows` rows, in a few statements: NULLs, empty, longest and non-Latin texts
/// among them. On SQLite the file is created where it is missing, in WAL mode.
///
/// # Errors
/// A [`Fault`] when the table exists, or the database cannot be reached.
pub fn seed(place: &Place, scenario: &Scenario, rows: u32) -> Result<(), Fault> {
    if let Place::Sqlite(path) = place {
        rusqlite::Connection::open(path)?.query_row("PRAGMA journal_mode = WAL", [], |_| Ok(()))?;
    }
    let mut connection = place.connect()?;
    connection.batch(scenario.create)?;
    connection.run(scenario.fill, &[Value::Int(rows.into())])?;
    if scenario.settle.is_empty() { Ok(()) } else { connection.batch(scenario.settle) }
}
