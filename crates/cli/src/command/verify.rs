//! `segue verify`.

use segue_execute::VerifyReport;
use segue_model::ident::MigrationId;
use segue_model::journal::State;
use serde::Serialize;

use crate::args::{Format, Which};
use crate::choice::{self, Chosen};
use crate::config::Config;
use crate::duration::of_option;
use crate::failure::Failure;
use crate::operate;
use crate::quarantine::Quarantine;
use crate::report;
use crate::verified::{self, verified};

/// Where there are two shapes to compare.
const COMPARABLE: [State; 3] = [State::Ready, State::Flipped, State::Contracted];

/// Where rows may have been left out because they could not be converted.
const RETRIABLE: [State; 3] = [State::Started, State::Expanded, State::Ready];

/// What was found, as JSON.
#[derive(Serialize)]
struct Report<'a> {
    migration: &'a str,
    wrong: u64,
    tables: Vec<verified::Table<'a>>,
}

/// Compares both shapes row by row.
pub(super) fn run(config: &Config, which: &Which, repair: bool, format: Format) -> Result<(), Failure> {
    let Chosen { database, id, .. } = choice::open(config, which, &COMPARABLE)?;
    let found =
        operate::run(database.connector.as_ref(), config, |run| run.verify(&id, repair).map_err(operate::failure))?;
    judge(&id, &found, format)
}

/// Shows what was found, and fails when that is anything.
fn judge(id: &MigrationId, found: &VerifyReport, format: Format) -> Result<(), Failure> {
    show(id, found, format)?;
    if found.is_clean() {
        return Ok(());
    }
    Err(Failure::verification(format!("{} rows of `{id}` are wrong", found.wrong()))
        .hint(format!("Rewrite them from the shape that is the truth now: segue verify {id} --repair")))
}

/// What a new try to convert rows gave, as JSON.
#[derive(Serialize)]
struct Retried {
    migration: String,
    before: u64,
    quarantine: Quarantine,
}

/// Tries again to bring over the rows that could not be converted.
pub(super) fn retry_quarantine(config: &Config, which: &Which, format: Format) -> Result<(), Failure> {
    let Chosen { database, id, .. } = choice::open(config, which, &RETRIABLE)?;
    let retried =
        operate::run(database.connector.as_ref(), config, |run| run.retry_quarantine(&id).map_err(operate::failure))?;
    let quarantine = Quarantine::new(retried.after, &retried.samples);
    let text = format!(
        "{id}: {} rows were quarantined, {} are now\n{}",
        retried.before,
        retried.after,
        quarantine.as_text(&id)
    );
    match format {
        Format::Json => report::json(&Retried { migration: id.to_string(), before: retried.before, quarantine })?,
        Format::Text | Format::Sql => report::line(&text),
    }
    if retried.after == 0 {
        return Ok(());
    }
    Err(Failure::verification(format!("{} rows of `{id}` still cannot be converted", retried.after))
        .hint("Correct the rows named here, then type the same command again."))
}

/// Verifies again and again, until Ctrl-C or until something is found.
pub(super) fn continuously(config: &Config, which: &Which, every: &str, format: Format) -> Result<(), Failure> {
    let pause = of_option("--every", every)?;
    let Chosen { database, id, .. } = choice::open(config, which, &COMPARABLE)?;
    let found = operate::run(database.connector.as_ref(), config, |run| {
        run.verify_continuously(&id, pause).map_err(operate::failure)
    })?;
    judge(&id, &found, format)
}

fn show(id: &MigrationId, found: &VerifyReport, format: Format) -> Result<(), Failure> {
    if format != Format::Json {
        report::line(&verified(found));
        return Ok(());
    }
    report::json(&Report { migration: id.as_str(), wrong: found.wrong(), tables: verified::tables(found) })
}
