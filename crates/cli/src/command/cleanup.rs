//! `segue cleanup`.

use segue_execute::Said;
use segue_model::journal::{Record, State};
use segue_model::step::{Action, Phase};

use super::plan::journalled;
use crate::args::{Format, Which};
use crate::choice::{self, Chosen};
use crate::config::Config;
use crate::failure::Failure;
use crate::operate;
use crate::outcome;

/// What a person must say before something is dropped.
#[derive(Debug, Clone, Copy)]
pub(super) struct Consent {
    /// `--yes`.
    pub(super) yes: bool,
    /// `--i-checked-references`.
    pub(super) references: bool,
}

/// Drops the old shape, after a copy of it was made.
pub(super) fn run(config: &Config, which: &Which, consent: Consent, format: Format) -> Result<(), Failure> {
    let Chosen { database, records, id } = choice::open(config, which, &[State::Contracted])?;
    if let Some(record) = records.iter().find(|record| record.id == id && record.state == State::Contracted) {
        check_consent(record, consent)?;
    }
    // What was read here may have changed since: the run asks for the consent again, under its lease.
    let said = Said { cleanup_agreed: consent.yes && consent.references, ..Said::default() };
    let outcome =
        operate::run(database.connector.as_ref(), config, |run| run.cleanup(&id, said).map_err(operate::failure))?;
    outcome::show(&outcome, format)
}

/// Refuses, saying what would be dropped, until the person has agreed to both.
fn check_consent(record: &Record, consent: Consent) -> Result<(), Failure> {
    if consent.yes && consent.references {
        return Ok(());
    }
    let plan = journalled(record)?;
    let drops = plan.steps.iter().filter(|step| step.phase == Phase::Cleanup);
    let drops: Vec<String> = drops
        .filter(|step| !matches!(step.action, Action::Gate(_) | Action::Verify(_)))
        .map(|step| format!("  {}. {}", step.id, step.title))
        .collect();
    let missing = match (consent.yes, consent.references) {
        (false, false) => "--yes --i-checked-references",
        (false, true) => "--yes",
        _ => "--i-checked-references",
    };
    Err(Failure::gate(format!("cleanup of `{}` cannot be taken back, so a person must agree to it", record.id))
        .report(format!("cleanup would do:\n{}", drops.join("\n")))
        .hint(format!(
            "Look for references to the old shape in code, views and jobs, then type: segue cleanup {} {missing}",
            record.id
        )))
}
