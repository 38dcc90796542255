//! Which way the rows of a table are brought over: by its size, or as the file says.

use std::collections::BTreeMap;

use segue_model::catalog::Table;
use segue_model::change::{Directive, Migration};
use segue_model::plan::{Mode, Moving};
use segue_model::step::{Action, Phase, Step};

use crate::figures::{grouped, rows};
use crate::operation::{Context, Thresholds};
use crate::strategy::LAZY;

/// Returns whether the file leaves rows to those who touch them.
pub(crate) fn is_lazy(migration: &Migration) -> bool {
    migration.directives.iter().any(|directive| matches!(&directive.what, Directive::Strategy(name) if name == LAZY))
}

/// Returns what the user should know about rows that are left for later.
pub(crate) fn note(migration: &Migration) -> Option<String> {
    is_lazy(migration).then(|| {
        format!(
            "Strategy lazy: rows are filled when somebody writes them. Contract waits until all are, and so does what shows \
             that all are right; `segue apply {} --complete` brings the rest over.",
            migration.id
        )
    })
}

/// Lets the windows of every backfill wait for a person.
pub(crate) fn leave_for_later(steps: &mut [Step]) {
    for step in steps {
        if let Action::Backfill(backfill) = &mut step.action {
            backfill.lazy = true;
        }
    }
}

/// Returns the way of each table whose rows are brought over.
pub(crate) fn moving(steps: &[Step], context: &Context<'_>) -> BTreeMap<String, Moving> {
    let moves = steps.iter().filter(|step| step.phase == Phase::Backfill).filter_map(|step| match &step.action {
        Action::Backfill(backfill) => Some(&backfill.cut.table),
        _ => None,
    });
    let tables = moves.filter_map(|name| context.catalog.table(name));
    tables.map(|table| (table.name.to_string(), of(table, context))).collect()
}

fn of(table: &Table, context: &Context<'_>) -> Moving {
    if is_lazy(context.migration) {
        return Moving { mode: Mode::Lazy, because: format!("{}, and the file says so", rows(table)) };
    }
    let (mode, because) = by_size(table.size.rows, context.thresholds);
    Moving { mode, because: [rows(table), because].concat() }
}

/// A table that nobody has counted may be of any size.
fn by_size(rows: Option<u64>, thresholds: &Thresholds) -> (Mode, String) {
    let Thresholds { inline_below, background_above } = *thresholds;
    match rows {
        None => (Mode::Batched, String::new()),
        Some(rows) if rows < inline_below => (Mode::Inline, format!(", below {}", grouped(inline_below))),
        Some(rows) if rows > background_above => (Mode::Background, format!(", above {}", grouped(background_above))),
        Some(_) => (Mode::Batched, format!(", between {} and {}", grouped(inline_below), grouped(background_above))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn shown(rows: Option<u64>) -> String {
        let (mode, because) = by_size(rows, &Thresholds::DEFAULT);
        format!("{mode:?}{because}")
    }

    #[test]
    fn the_size_decides_the_way() {
        assert_eq!(shown(Some(99_999)), "Inline, below 100,000");
        assert_eq!(shown(Some(100_000)), "Batched, between 100,000 and 10,000,000");
        assert_eq!(shown(Some(10_000_000)), "Batched, between 100,000 and 10,000,000");
        assert_eq!(shown(Some(10_000_001)), "Background, above 10,000,000");
        assert_eq!(shown(None), "Batched");
    }
}
