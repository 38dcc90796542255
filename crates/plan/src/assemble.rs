//! Operations → a whole plan: their steps in the order of the phases, with all that a reviewer must know.

use segue_model::change::{Change, Migration};
use segue_model::plan::{Evidence, Plan};
use segue_model::step::{Phase, Step};

use crate::classify::classify;
use crate::company::about;
use crate::dialect::{Planned, dialect};
use crate::fingerprint::fingerprint;
use crate::group::causes;
use crate::moving::{self, moving};
use crate::operation::{Context, Operation};
use crate::refusal::Refused;
use crate::strategy::{choose, rollback_points};
use crate::transform;
use crate::wanted::touched;

/// Returns the plan of these operations.
///
/// # Errors
/// Every refusal of the dialect.
pub(crate) fn assemble(operations: &[Operation<'_>], context: &Context<'_>, shape: &str) -> Result<Plan, Vec<Refused>> {
    let planned = planned(operations, context)?;
    let (strategy, reason) = choose(operations, context);
    let mut notes = notes(operations, &planned, context.migration);
    notes.extend(moving::note(context.migration));
    let flip = sentences(planned.iter().map(|planned| planned.flip.as_str()));
    let mut steps = in_order(planned);
    if moving::is_lazy(context.migration) {
        moving::leave_for_later(&mut steps);
    }
    let Context { migration, catalog, server, .. } = context;
    let mut plan = Plan {
        engine: server.engine,
        server_major: server.version.major_text(server.engine),
        migration: migration.id.clone(),
        checksum: migration.checksum.clone(),
        hash: String::new(),
        strategy,
        reason,
        verdicts: classify(context),
        rollback_points: rollback_points(strategy, &steps),
        steps,
        flip,
        notes,
        tables: touched(migration, catalog),
        about: about(operations, context),
        shape: shape.to_owned(),
        settings: server.settings.clone(),
        evidence: Evidence::default(),
    };
    plan.evidence = evidence(&plan, context);
    plan.hash = fingerprint(&plan);
    Ok(plan)
}

fn planned(operations: &[Operation<'_>], context: &Context<'_>) -> Result<Vec<Planned>, Vec<Refused>> {
    let dialect = dialect(context.catalog.engine);
    let (mut planned, mut refused) = (vec![], vec![]);
    for operation in operations {
        match dialect.steps(operation, context) {
            Ok(one) => planned.push(one),
            Err(one) => refused.push(one),
        }
    }
    if refused.is_empty() { Ok(planned) } else { Err(causes(refused)) }
}

/// File order is kept within a phase. What is far off is looked at again when its time comes.
fn in_order(planned: Vec<Planned>) -> Vec<Step> {
    let mut steps: Vec<Step> = planned.into_iter().flat_map(|planned| planned.steps).collect();
    steps.sort_by_key(|step| step.phase);
    for (id, step) in (1..).zip(&mut steps) {
        step.id = id;
        step.provisional = step.phase >= Phase::Contract;
    }
    steps
}

fn notes(operations: &[Operation<'_>], planned: &[Planned], migration: &Migration) -> Vec<String> {
    let mut notes: Vec<String> = planned.iter().flat_map(|planned| planned.notes.iter().cloned()).collect();
    let loses = planned.iter().filter_map(|planned| planned.loses.as_deref());
    notes.extend(loses.map(|loses| format!("Rollback from `ready` on loses {}.", loses.trim_end_matches('.'))));
    notes.extend(operations.iter().flat_map(transform::notes));
    notes.extend(down_note(migration));
    let mut once: Vec<String> = Vec::with_capacity(notes.len());
    for note in notes {
        if !once.contains(&note) {
            once.push(note);
        }
    }
    once
}

/// The down file is planned when it is wanted; that it will be refused then should be known now.
fn down_note(migration: &Migration) -> Option<String> {
    let down = migration.down.as_deref()?;
    let (what, at) = down.changes.iter().find_map(|change| match &change.what {
        Change::NotYet { what, .. } | Change::Opaque { what } => Some((what, &change.at)),
        _ => None,
    })?;
    Some(format!(
        "The down file holds what is not carried out yet (line {}: {what}): `segue rollback` does not need it, `segue down` \
         will refuse it.",
        at.line
    ))
}

fn sentences<'s>(all: impl Iterator<Item = &'s str>) -> String {
    let mut once: Vec<&str> = vec![];
    for sentence in all.filter(|sentence| !sentence.is_empty()) {
        if !once.contains(&sentence) {
            once.push(sentence);
        }
    }
    once.join(" ")
}

fn evidence(plan: &Plan, context: &Context<'_>) -> Evidence {
    let tables = || plan.tables.iter().filter_map(|name| context.catalog.table(name));
    Evidence {
        server_version: context.server.version.text(context.server.engine),
        rows: tables().filter_map(|table| Some((table.name.to_string(), table.size.rows?))).collect(),
        bytes: tables().map(|table| (table.name.to_string(), table.size.bytes)).collect(),
        moving: moving(&plan.steps, context),
    }
}
