//! How existing rows come into the new table.
//!
//! A window locks its rows of the source before it reads them, and reads what is committed then. So a writer of such a row
//! comes before the window, which sees its value or finds the row of the target that its trigger wrote; or it comes after, and
//! its trigger finds the row that the window wrote.

use segue_model::lock::LockMode;
use segue_model::sql::{Hole, Sql};
use segue_model::step::{Action, Backfill, Phase, Step, Undo};

use super::moving::{Moving, Of, named};
use super::sync::on_target;
use crate::dialect::postgres::cut::{Windows, by_index};
use crate::dialect::postgres::sql;
use crate::dialect::postgres::work::{Work, beside};

/// Returns the step that writes a row of the target for each row of the source that has none.
pub(super) fn step(moving: &Moving<'_>, major: u32) -> Step {
    let Windows { cut, window } = by_index(moving.source, &moving.source_key(), major);
    let reads = named(&moving.watched(), moving, Of::Source);
    let fill = |skip: &'static str| {
        sql(
            include_str!("fill.sql").trim_end(),
            &[
                ("reads", Hole::Join(&reads, ", ")),
                ("source", Hole::Table(&moving.source.name)),
                ("window", Hole::Sql(&window)),
                ("holds", Hole::Sql(&moving.holds(Of::Source))),
                ("target", Hole::Table(&moving.target)),
                ("matches", Hole::Sql(&moving.matches(Of::Target, Of::Source))),
                ("skip", Hole::Sql(&Sql::fixed(skip))),
                ("names", Hole::Names(moving.written())),
                ("values", Hole::Join(&moving.values(Of::Source), ", ")),
                ("key", Hole::Names(moving.key.iter().map(|pair| &pair.into).collect())),
            ],
        )
    };
    let work = Work {
        phase: Phase::Backfill,
        title: format!("write rows of {} for existing rows of {}", moving.target, moving.source.name),
        action: Action::Backfill(Backfill {
            cut,
            before: vec![moving.mark_transaction()],
            fill: fill(""),
            fill_unlocked: Some(fill(" SKIP LOCKED")),
            failures: None,
            pace: None,
            lazy: false,
            once: false,
        }),
        facts: &["dml.select_for_update"],
        table: &moving.source.name,
        undo: Undo::Nothing,
    };
    beside(work.step(), on_target(moving, LockMode::RowExclusive))
}

/// Returns the step that tells the planner of queries about the new rows.
pub(super) fn analyze(moving: &Moving<'_>) -> Step {
    Work {
        phase: Phase::Backfill,
        title: format!("gather statistics of {}", moving.target),
        action: Action::Sql(vec![sql("ANALYZE {target}", &[("target", Hole::Table(&moving.target))])]),
        facts: &["tab.analyze"],
        table: &moving.target,
        undo: Undo::Nothing,
    }
    .step()
}
