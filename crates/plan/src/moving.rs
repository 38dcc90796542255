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

/// Lets the windows of every backfill wait for a person, but not those of cleanup: what it copies must be there before it
/// drops.
pub(crate) fn leave_for_later(steps: &mut [Step]) {
    for step in steps.iter_mut().filter(|step| step.phase == Phase::Backfill) {
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
    use segue_model::ident::{Ident, TableName};
    use segue_model::lock::Blocks;
    use segue_model::sql::Sql;
    use segue_model::step::{Backfill, Cut, CutBy, Transaction, Undo};

    use super::*;

    fn backfill(id: u32, phase: Phase) -> Step {
        let cut = Cut {
            table: TableName { schema: Ident::known("main"), name: Ident::known("users") },
            unit: "rows".to_owned(),
            by: CutBy::Numbers { extent: Sql::fixed("extent"), end: None },
            size: 200,
            target_ms: 10,
            rest_percent: 0,
        };
        let (before, fill) = (vec![], Sql::fixed("fill"));
        let (fill_unlocked, failures, pace, (lazy, once)) = (None, None, None, (false, false));
        Step {
            id,
            phase,
            title: "fill".to_owned(),
            action: Action::Backfill(Backfill { cut, before, fill, fill_unlocked, failures, pace, lazy, once }),
            locks: vec![],
            blocks: Blocks::Nothing,
            rewrites: false,
            scans: false,
            transaction: Transaction::Own,
            tries: None,
            provisional: false,
            undo: Undo::Nothing,
            on_interrupted: vec![],
        }
    }

    #[test]
    fn what_cleanup_copies_is_not_left_for_later() {
        let mut steps = [backfill(1, Phase::Backfill), backfill(2, Phase::Cleanup)];
        leave_for_later(&mut steps);
        let lazy = |step: &Step| matches!(&step.action, Action::Backfill(backfill) if backfill.lazy);
        assert_eq!(steps.each_ref().map(lazy), [true, false]);
    }

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
