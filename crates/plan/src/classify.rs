//! What each change would cost if its statement were run as written, here.

use segue_model::catalog::{Catalog, Table};
use segue_model::change::{Change, Located};
use segue_model::ident::TableRef;
use segue_model::verdict::{Finding, Label, OtherLock, Verdict};

use crate::dialect::dialect;
use crate::operation::Context;
use crate::rule::{Subject, findings};

/// Returns a verdict for each change whose cost the facts know, in file order.
pub(crate) fn classify(context: &Context<'_>) -> Vec<Verdict> {
    context.migration.changes.iter().filter_map(|change| verdict(change, context)).collect()
}

/// Returns what the rules say of every change, known to the facts or not, in file order.
pub(crate) fn all_findings(context: &Context<'_>) -> Vec<Finding> {
    let dialect = dialect(context.catalog.engine);
    let of_change = |change: &Located<Change>| {
        let table = change.what.table().and_then(|table| context.catalog.find(table));
        findings(&Subject { change, context, table, cost: dialect.cost(change, context) })
    };
    context.migration.changes.iter().flat_map(of_change).collect()
}

fn verdict(change: &Located<Change>, context: &Context<'_>) -> Option<Verdict> {
    let cost = dialect(context.catalog.engine).cost(change, context)?;
    let named = change.what.table();
    let table = named.and_then(|table| context.catalog.find(table));
    let findings = findings(&Subject { change, context, table, cost: Some(cost) });
    Some(Verdict {
        statement: change.statement? + 1,
        change: change.what.kind().to_owned(),
        table: named.map_or_else(String::new, |named| shown(named, table, context.catalog)),
        label: if cost.compatible { Label::Expand } else { Label::Contract },
        fact: cost.fact.to_owned(),
        lock: cost.lock,
        others: cost.others.iter().map(|(what, lock)| OtherLock { what: (*what).to_owned(), lock: *lock }).collect(),
        blocks: cost.blocks(),
        rewrites: cost.rewrites,
        scans: cost.scans,
        compatible: cost.compatible,
        reversible: cost.reversible.to_owned(),
        findings,
    })
}

/// A table of this file goes to the first schema of the search path.
fn shown(named: &TableRef, table: Option<&Table>, catalog: &Catalog) -> String {
    match (table, &named.schema, catalog.search_path.first()) {
        (Some(table), ..) => table.name.to_string(),
        (None, None, Some(schema)) => format!("{schema}.{}", named.name),
        (None, ..) => named.to_string(),
    }
}
