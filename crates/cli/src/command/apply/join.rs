//! `segue apply --join`: another process helps a run.

use segue_model::journal::State;
use serde::Serialize;

use crate::args::{Format, Which};
use crate::choice::{self, Chosen};
use crate::config::Config;
use crate::failure::Failure;
use crate::operate::{self, Wish};
use crate::report;

/// Where rows are brought over.
const MOVING: [State; 2] = [State::Started, State::Expanded];

/// What was done, as JSON.
#[derive(Serialize)]
struct Report<'a> {
    migration: &'a str,
    rows_filled: u64,
}

/// Brings rows over beside the run that has the lease, until they all are, or that run ends.
pub(super) fn run(config: &Config, which: &Which, wish: Wish, format: Format) -> Result<(), Failure> {
    let Chosen { database, id, .. } = choice::open(config, which, &MOVING)?;
    let rows =
        operate::run_as(database.connector.as_ref(), config, wish, |run| run.join(&id).map_err(operate::failure))?;
    if format == Format::Json {
        return report::json(&Report { migration: id.as_str(), rows_filled: rows });
    }
    report::line(&format!("{id}: helped to bring over {rows} rows\n  see:   segue status {id}"));
    Ok(())
}
