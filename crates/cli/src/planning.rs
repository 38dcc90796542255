//! From a migration's text to the plan for one database.

use std::collections::BTreeMap;

use segue_model::change::Migration;
use segue_model::plan::Plan;
use segue_plan::operation::Thresholds;

use crate::database::Database;
use crate::diagnostic;
use crate::failure::Failure;
use crate::project::Texts;

/// The most rounds of questions: names first, then expressions over them, then what those raised.
const ROUNDS_MAX: usize = 6;

/// Returns the plan that makes `migration` true on this database.
///
/// # Errors
/// Exit code 1 with a report for what is refused, 3 when the server fails.
pub(crate) fn plan(
    database: &mut Database,
    migration: &Migration,
    texts: &Texts,
    thresholds: &Thresholds,
) -> Result<Plan, Failure> {
    let catalog = database.inspect(migration)?;
    let mut answers = BTreeMap::new();
    for _ in 0..ROUNDS_MAX {
        let probes = segue_plan::probes(migration, &catalog, &database.server, &answers, thresholds)
            .map_err(|refused| diagnostic::refusals(&refused, texts))?;
        if probes.is_empty() {
            break;
        }
        database.ask(&probes, &mut answers)?;
    }
    let tables = segue_plan::touched(migration, &catalog);
    let shape = database.session.shape(&tables)?;
    segue_plan::plan(migration, &catalog, &database.server, &answers, &shape, thresholds)
        .map_err(|refused| diagnostic::refusals(&refused, texts))
}
