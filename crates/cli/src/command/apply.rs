//! `segue apply`.

mod detach;
mod join;

use std::path::Path;
use std::sync::Arc;

use segue_execute::{Outcome, Run, RunError, Target};
use segue_model::change::{Directive, Migration};
use segue_model::ident::MigrationId;
use segue_model::journal::{Record, State};
use segue_model::plan::Plan;
use segue_model::plan_file;
use segue_model::tuning::Tuning;

use super::plan::journalled;
use crate::args::{Apply, Common, Format, To, Which};
use crate::choice;
use crate::config::Config;
use crate::database::Database;
use crate::failure::Failure;
use crate::operate::{self, Wish};
use crate::outcome;
use crate::planning;
use crate::project::{Project, Texts};
use crate::quarantine;
use crate::report;
use crate::tuning::set_pair;

/// Carries out the named migration, or all that are pending or under way, in file order.
pub(super) fn run(config: &Config, typed: &Apply, common: &Common, format: Format) -> Result<(), Failure> {
    let wish = wish(typed)?;
    if typed.join {
        return join::run(config, &typed.which, wish, format);
    }
    let wish = detach::arrive(config, wish)?;
    let project = Project::open(&config.migrations)?;
    let mut database = Database::open(config)?;
    database.check_writable()?;
    let records = database.records()?;
    records.iter().try_for_each(|record| project.check_unchanged(record))?;
    let reviewed = typed.plan.as_deref().map(read_reviewed).transpose()?;
    let ids = wanted(&typed.which, &project, &records, reviewed.as_ref())?;
    if ids.is_empty() {
        return nothing_pending(format);
    }
    if typed.detach {
        return detach::run(config, typed, common, &mut database, &ids, &wish.tuning, format);
    }
    let work = Work { config, project: &project, to: typed.to, reviewed: reviewed.as_ref() };
    let mut outcomes = vec![];
    let result = work.one_by_one(&mut database, &ids, wish, &mut outcomes);
    match (typed.which.migration.is_some(), outcomes.as_slice()) {
        (true, [one]) => outcome::show(one, format)?,
        (true, []) => {}
        (_, all) => outcome::show_all(all, format)?,
    }
    result
}

/// Returns what was typed for this run alone.
fn wish(typed: &Apply) -> Result<Wish, Failure> {
    let mut tuning = Tuning::default();
    typed.set.iter().try_for_each(|pair| set_pair(&mut tuning, pair))?;
    if let Some(hours) = &typed.only {
        set_pair(&mut tuning, &format!("only={hours}"))?;
    }
    Ok(Wish { tuning, complete: typed.complete })
}

fn nothing_pending(format: Format) -> Result<(), Failure> {
    match format {
        Format::Json => outcome::show_all(&[], format),
        Format::Text | Format::Sql => {
            report::line("nothing is pending");
            Ok(())
        }
    }
}

/// Returns the ids to bring on, in file order.
fn wanted(
    which: &Which,
    project: &Project,
    records: &[Record],
    reviewed: Option<&Plan>,
) -> Result<Vec<MigrationId>, Failure> {
    let known: Vec<MigrationId> = records.iter().map(|record| record.id.clone()).collect();
    match (&which.migration, reviewed) {
        (Some(wanted), reviewed) => {
            let id = project.named(wanted, &known)?;
            match reviewed.filter(|plan| plan.migration != id) {
                Some(plan) => Err(Failure::usage(format!("the plan is of `{}`, not of `{id}`", plan.migration))
                    .hint("Name the plan's own migration, or none.")),
                None => Ok(vec![id]),
            }
        }
        (None, Some(plan)) => Ok(vec![plan.migration.clone()]),
        (None, None) => {
            let under_way = |state: State| matches!(state, State::Started | State::Expanded | State::RollingBack);
            let mut ids = choice::pending(project, records);
            ids.extend(records.iter().filter(|record| under_way(record.state)).map(|record| record.id.clone()));
            ids.sort();
            Ok(ids)
        }
    }
}

/// How often a plan is made that no longer fits when it is to begin: while another migration takes its steps in the same table.
const PLANS_MAX: u32 = 5;

/// What is the same for all migrations of one run.
struct Work<'a> {
    config: &'a Config,
    project: &'a Project,
    to: Option<To>,
    reviewed: Option<&'a Plan>,
}

impl Work<'_> {
    fn one_by_one(
        &self,
        database: &mut Database,
        ids: &[MigrationId],
        wish: Wish,
        outcomes: &mut Vec<Outcome>,
    ) -> Result<(), Failure> {
        let connector = Arc::clone(&database.connector);
        operate::run_as(connector.as_ref(), self.config, wish, |run| {
            for id in ids {
                match self.one(database, id, run) {
                    Ok(outcome) => outcomes.push(outcome),
                    Err(failure) => return Err(quarantine::explained(failure, database, id)),
                }
            }
            Ok(())
        })
    }

    /// Brings one migration on.
    fn one(&self, database: &mut Database, id: &MigrationId, run: &Run<'_>) -> Result<Outcome, Failure> {
        let records = database.records()?;
        if let Some(record) = records.iter().find(|record| record.id == *id && record.state != State::RolledBack) {
            check_is_under_way(record, self.reviewed)?;
            return go_on(record, self.to, run);
        }
        let (migration, texts) = self.project.migration(database.engine(), id)?;
        let mut again = PLANS_MAX;
        loop {
            let plan = fresh(self.config, self.project, database, &migration, &texts, &records)?;
            if let Some(reviewed) = self.reviewed {
                check_reviewed(reviewed, &plan)?;
            }
            match run.apply(&plan, target(self.to)) {
                // Nothing was begun, and what changed meanwhile may be a step of another migration.
                Err(RunError::Drift { step: None, .. }) if again > 1 && self.reviewed.is_none() => again -= 1,
                result => return result.map_err(operate::failure),
            }
        }
    }
}

/// Refuses when the plan that was reviewed is not the one that is under way.
fn check_is_under_way(record: &Record, reviewed: Option<&Plan>) -> Result<(), Failure> {
    match reviewed.filter(|plan| plan.hash != record.hash) {
        Some(_) => {
            Err(Failure::refused(format!("`{}` is under way here with another plan than the reviewed one", record.id))
                .hint(format!(
                    "See the plan under way: segue plan {0}; go on with it: segue apply {0}; or take it back.",
                    record.id
                )))
        }
        None => Ok(()),
    }
}

/// Goes on with a migration that has begun; one that is at its target already stays there.
fn go_on(record: &Record, to: Option<To>, run: &Run<'_>) -> Result<Outcome, Failure> {
    // A plan that a newer version wrote is refused here, with what to do about it.
    journalled(record)?;
    run.resume(&record.id, target(to)).map_err(operate::failure)
}

/// Plans a migration that has not begun.
///
/// # Errors
/// Exit code 5 when a migration that it depends on, or one under way on the same tables, must be finished first.
pub(super) fn fresh(
    config: &Config,
    project: &Project,
    database: &mut Database,
    migration: &Migration,
    texts: &Texts,
    records: &[Record],
) -> Result<Plan, Failure> {
    check_depends(project, migration, records)?;
    let plan = planning::plan(database, migration, texts, &config.thresholds)?;
    check_free(&plan, records)?;
    Ok(plan)
}

fn check_depends(project: &Project, migration: &Migration, records: &[Record]) -> Result<(), Failure> {
    for directive in &migration.directives {
        let Directive::Depends(needed) = &directive.what else { continue };
        let reached = records.iter().any(|record| record.id == *needed && record.state >= State::Ready);
        if reached {
            continue;
        }
        if !project.has(needed) {
            return Err(project.missing(needed.as_str()));
        }
        return Err(Failure::gate(format!("`{}` depends on `{needed}`, which is not applied here", migration.id))
            .hint(format!("Type: segue apply {needed}")));
    }
    Ok(())
}

/// Refuses while another migration is under way in the same table, and both cannot go on beside each other.
fn check_free(plan: &Plan, records: &[Record]) -> Result<(), Failure> {
    for record in records.iter().filter(|record| !matches!(record.state, State::Done | State::RolledBack)) {
        let other = journalled(record)?;
        if let (Some(conflict), true) = (plan.waits_for(&other), record.id != plan.migration) {
            let next = operate::next(&record.id, record.state).unwrap_or_default();
            return Err(Failure::gate(format!(
                "`{}` waits for `{}`, which is changing {}",
                plan.migration,
                record.id,
                conflict.subject()
            ))
            .hint(format!("Finish that one first: {next}")));
        }
    }
    Ok(())
}

fn read_reviewed(path: &Path) -> Result<Plan, Failure> {
    let plan = plan_file::from_json(&operate::read_text(path)?)
        .map_err(|error| Failure::refused(format!("`{}` is not a plan: {error}", path.display())))?;
    if segue_plan::fingerprint::verify(&plan) {
        return Ok(plan);
    }
    Err(Failure::refused(format!("`{}` was edited: its hash does not stand for its steps", path.display()))
        .hint("Write the plan again with: segue plan --format json"))
}

/// Refuses when what would run is not what was reviewed.
fn check_reviewed(reviewed: &Plan, fresh: &Plan) -> Result<(), Failure> {
    if reviewed.hash == fresh.hash {
        return Ok(());
    }
    let what = if reviewed.checksum != fresh.checksum {
        "the migration file was edited since"
    } else if reviewed.shape != fresh.shape {
        "the tables have changed since"
    } else if reviewed.settings != fresh.settings {
        "settings of the server have changed since"
    } else {
        "this version of Segue, or this server, plans other steps"
    };
    Err(Failure::refused(format!("the reviewed plan of `{}` no longer fits: {what}", fresh.migration))
        .hint("Review the plan anew: segue plan"))
}

/// Returns where a run stops; where nothing is asked for, as far as needs no person.
pub(super) fn target(to: Option<To>) -> Target {
    match to {
        Some(To::Expand) => Target::Expand,
        Some(To::Ready) => Target::Ready,
        Some(To::Flip) => Target::Flip,
        None => Target::End,
    }
}
