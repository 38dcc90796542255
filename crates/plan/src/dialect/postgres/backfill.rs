//! How existing rows are brought over: one UPDATE a window of pages, without a word of values through the client.

use segue_model::ident::TableName;
use segue_model::sql::{Hole, Sql};
use segue_model::step::{Action, Backfill, Cut, Phase, Step, Undo};

use super::mirror::{Derived, Mirror, Of, regclass};
use super::sql;
use super::work::Work;

/// Pages of the first window: a quarter of a megabyte.
const PAGES_FIRST: u32 = 32;

/// The time that a window should take: a client that writes to one of its rows waits until it commits.
const WINDOW_MS: u32 = 20;

/// Returns the step that fills the new columns of rows where they are absent.
pub(super) fn step(mirror: &Mirror<'_>, major: u32) -> Step {
    Work {
        phase: Phase::Backfill,
        title: "fill the new columns of existing rows".to_owned(),
        action: Action::Backfill(Backfill {
            cut: cut(mirror.table()),
            before: vec![bypass()],
            fill: sql(
                include_str!("backfill.sql").trim_end(),
                &[
                    ("table", Hole::Table(mirror.table())),
                    ("values", Hole::Join(&assignments(mirror, &mirror.new), ", ")),
                    ("window", Hole::Sql(&window(major))),
                    ("fillable", Hole::Sql(&mirror.fillable(Of::Row))),
                ],
            ),
            unconvertible: mirror.unconvertible().map(|fails| {
                sql(
                    "SELECT pg_catalog.count(*) FROM {table} WHERE {fails}",
                    &[("table", Hole::Table(mirror.table())), ("fails", Hole::Sql(&fails))],
                )
            }),
        }),
        facts: &["dml.update_window"],
        table: mirror.table(),
        undo: Undo::Nothing,
    }
    .step()
}

/// Returns the step that tells the planner of queries about the new columns.
pub(super) fn analyze(mirror: &Mirror<'_>) -> Step {
    let columns = mirror.new.iter().map(|derived| &derived.column).collect();
    Work {
        phase: Phase::Backfill,
        title: "gather statistics of the new columns".to_owned(),
        action: Action::Sql(vec![sql(
            "ANALYZE {table} ({columns})",
            &[("table", Hole::Table(mirror.table())), ("columns", Hole::Names(columns))],
        )]),
        facts: &["tab.analyze"],
        table: mirror.table(),
        undo: Undo::Nothing,
    }
    .step()
}

/// Returns `column = value` for each column of a side.
pub(super) fn assignments(mirror: &Mirror<'_>, side: &[Derived]) -> Vec<Sql> {
    side.iter()
        .map(|derived| {
            let (column, value) = (mirror.column(Of::Row, &derived.column), mirror.value(Of::Row, derived));
            sql("{column} = {value}", &[("column", Hole::Sql(&column)), ("value", Hole::Sql(&value))])
        })
        .collect()
}

/// Returns what lets a window pass the sync triggers, which then need not compute the same again.
pub(super) fn bypass() -> Sql {
    Sql::fixed("SET LOCAL segue.backfill = 'on'")
}

/// Returns how a table is cut by its pages: no key is needed.
pub(super) fn cut(table: &TableName) -> Cut {
    Cut {
        table: table.clone(),
        unit: "pages".to_owned(),
        extent: sql(
            "SELECT 0, (pg_catalog.pg_relation_size({table}) / pg_catalog.current_setting('block_size')::pg_catalog.int8)",
            &[("table", Hole::Sql(&regclass(table)))],
        ),
        end: None,
        size: PAGES_FIRST,
        target_ms: WINDOW_MS,
        rest_percent: 0,
    }
}

/// Returns the condition that a row stands in window `$1`, `$2`. Scans of a range of row addresses came with 14; before, each
/// possible address is listed (a page of 8 kB holds at most 291 rows).
pub(super) fn window(major: u32) -> Sql {
    if major >= 14 {
        Sql::fixed(include_str!("backfill/range.sql").trim_end())
    } else {
        Sql::fixed(include_str!("backfill/list.sql").trim_end())
    }
}
