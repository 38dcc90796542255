//! `segue verify`.

use segue_execute::VerifyReport;
use segue_model::ident::MigrationId;
use segue_model::journal::State;
use serde::Serialize;

use crate::args::{Format, Which};
use crate::choice::{self, Chosen};
use crate::config::Config;
use crate::failure::Failure;
use crate::operate;
use crate::report;

/// Where there are two shapes to compare.
const COMPARABLE: [State; 3] = [State::Ready, State::Flipped, State::Contracted];

/// What was found, as JSON.
#[derive(Serialize)]
struct Report<'a> {
    migration: &'a str,
    wrong: u64,
    tables: Vec<Table<'a>>,
}

#[derive(Serialize)]
struct Table<'a> {
    table: String,
    rows: u64,
    unrelated: u64,
    absent: u64,
    repaired: u64,
    samples: &'a [String],
}

/// Compares both shapes row by row.
pub(super) fn run(config: &Config, which: &Which, repair: bool, format: Format) -> Result<(), Failure> {
    let Chosen { database, id, .. } = choice::open(config, which, &COMPARABLE)?;
    let found =
        operate::run(database.connector.as_ref(), config, |run| run.verify(&id, repair).map_err(operate::failure))?;
    show(&id, &found, format)?;
    if found.is_clean() {
        return Ok(());
    }
    Err(Failure::verification(format!("{} rows of `{id}` are wrong", found.wrong()))
        .hint(format!("Rewrite them from the shape that is the truth now: segue verify {id} --repair")))
}

fn show(id: &MigrationId, found: &VerifyReport, format: Format) -> Result<(), Failure> {
    if format != Format::Json {
        report::line(&operate::verified(found));
        return Ok(());
    }
    let tables = found.tables.iter().map(|table| Table {
        table: table.table.to_string(),
        rows: table.rows,
        unrelated: table.unrelated,
        absent: table.absent,
        repaired: table.repaired,
        samples: &table.samples,
    });
    report::json(&Report { migration: id.as_str(), wrong: found.wrong(), tables: tables.collect() })
}
