//! Changes × catalog × server × answers → a [`Plan`] or [`Refused`]. Pure: no I/O, no clock, no environment.
//!
//! [`probes`] is asked again with the answers so far until it has no further question; then [`plan`] decides.

mod assemble;
mod classify;
mod company;
mod figures;
mod moving;
mod strategy;
mod transform;
mod wanted;

pub mod dialect;
pub mod fingerprint;
pub mod group;
pub mod operation;
pub mod refusal;
pub mod render;
pub mod rule;

#[cfg(test)]
#[path = "../tests/fixture/mod.rs"]
#[allow(dead_code, reason = "shared with the integration tests, which use the rest")]
mod fixture;

use segue_model::catalog::Catalog;
use segue_model::change::{Change, Directive, Located, Migration};
use segue_model::ident::{MigrationId, TableName};
use segue_model::plan::Plan;
use segue_model::probe::{Answers, Probe};
use segue_model::server::Server;
use segue_model::verdict::{Finding, Verdict};

use crate::group::{causes, group, sorted};
use crate::operation::{Context, Operation, Thresholds};
use crate::refusal::Refused;

/// Returns the tables that exist already and that the file names, up and down, sorted.
pub fn touched(migration: &Migration, catalog: &Catalog) -> Vec<TableName> {
    wanted::touched(migration, catalog)
}

/// Returns the tables that must be read in full to plan the file: those that it names, or all where an object may be about any
/// of them, as a function or statistics that only bear a name of their own.
pub fn read_in_full(migration: &Migration, catalog: &Catalog) -> Vec<TableName> {
    let files = std::iter::once(migration).chain(migration.down.as_deref());
    let anything = |change: &Located<Change>| match &change.what {
        Change::Object(object) => object.table.as_ref().and_then(|table| catalog.find(table)).is_none(),
        _ => false,
    };
    if files.flat_map(|file| &file.changes).any(anything) {
        return catalog.tables.iter().map(|table| table.name.clone()).collect();
    }
    touched(migration, catalog)
}

/// Returns the migrations that the file says must be there first, in file order.
pub fn depends(migration: &Migration) -> Vec<&MigrationId> {
    let depends = migration.directives.iter().filter_map(|directive| match &directive.what {
        Directive::Depends(id) => Some(id),
        _ => None,
    });
    depends.collect()
}

/// Returns what each change would cost as written, also of a file that [`plan`] refuses.
pub fn verdicts(migration: &Migration, catalog: &Catalog, server: &Server, answers: &Answers) -> Vec<Verdict> {
    classify::classify(&Context { migration, catalog, server, answers, thresholds: &Thresholds::DEFAULT })
}

/// Returns the questions that are still open on whose answers [`verdicts`] depend: whether a type is a domain, how much the
/// value of a function may vary.
pub fn verdict_probes(migration: &Migration, catalog: &Catalog, server: &Server, answers: &Answers) -> Vec<Probe> {
    let context = Context { migration, catalog, server, answers, thresholds: &Thresholds::DEFAULT };
    let dialect = dialect::dialect(catalog.engine);
    let changes = migration.changes.iter();
    let mut open: Vec<Probe> = changes.flat_map(|change| dialect.cost_probes(&change.what, &context)).collect();
    open.sort_by(|one, other| one.key.cmp(&other.key));
    open.dedup_by(|one, other| one.key == other.key);
    open
}

/// Returns what the rules say of each change, also of a file that [`plan`] refuses.
pub fn findings(migration: &Migration, catalog: &Catalog, server: &Server, answers: &Answers) -> Vec<Finding> {
    classify::all_findings(&Context { migration, catalog, server, answers, thresholds: &Thresholds::DEFAULT })
}

/// Returns the questions that are still open, given the answers so far; none when [`plan`] can decide.
///
/// # Errors
/// Every refusal that needs no further answer, sorted by place.
pub fn probes(
    migration: &Migration,
    catalog: &Catalog,
    server: &Server,
    answers: &Answers,
    thresholds: &Thresholds,
) -> Result<Vec<Probe>, Vec<Refused>> {
    let context = Context { migration, catalog, server, answers, thresholds };
    let operations = operations(&context)?;
    let dialect = dialect::dialect(catalog.engine);
    let (mut open, mut refused): (Vec<Probe>, Vec<Refused>) = (vec![], vec![]);
    for operation in &operations {
        match dialect.probes(operation, &context) {
            Ok(probes) => open.extend(probes),
            Err(one) => refused.push(one),
        }
    }
    if !refused.is_empty() {
        return Err(causes(refused));
    }
    open.retain(|probe| !answers.contains_key(&probe.key));
    open.sort_by(|one, other| one.key.cmp(&other.key));
    open.dedup_by(|one, other| one.key == other.key);
    Ok(open)
}

/// Returns the plan of a file. `shape` is the structure of the [`touched`] tables as the session prints it; `thresholds` say
/// by how many rows the way is chosen in which they are brought over.
///
/// # Errors
/// Every refusal, sorted by place.
pub fn plan(
    migration: &Migration,
    catalog: &Catalog,
    server: &Server,
    answers: &Answers,
    shape: &str,
    thresholds: &Thresholds,
) -> Result<Plan, Vec<Refused>> {
    let context = Context { migration, catalog, server, answers, thresholds };
    assemble::assemble(&operations(&context)?, &context, shape)
}

/// What the file means, when nothing in it must be refused whatever the server says.
fn operations<'a>(context: &Context<'a>) -> Result<Vec<Operation<'a>>, Vec<Refused>> {
    let grouped = group(context.migration, context.catalog);
    let chosen = grouped.as_ref().ok().map(|operations| strategy::choose(operations, context).0);
    let moves = grouped.as_ref().is_ok_and(|operations| operations.iter().any(Operation::moves_rows));
    let directives = strategy::refused_directives(context.migration, chosen, moves);
    match grouped {
        Ok(operations) if directives.is_empty() => Ok(operations),
        Ok(_) => Err(sorted(directives)),
        Err(refused) => Err(sorted(refused.into_iter().chain(directives).collect())),
    }
}
