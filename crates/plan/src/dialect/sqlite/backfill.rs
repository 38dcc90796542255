//! How existing rows are brought over: one UPDATE a window of rowids, without a word of values through the client.

use segue_model::ident::{Ident, TableName};
use segue_model::sql::{Hole, Sql};
use segue_model::step::{Action, Backfill, Cut, CutBy, Failures, Phase, Step, Undo};

use super::mirror::{Mirror, Of};
use super::sql;
use super::work::Work;

/// Rows of the first window: a few milliseconds.
const ROWS_FIRST: u32 = 200;

/// The time that a window should take: nobody else can write meanwhile.
const WINDOW_MS: u32 = 10;

/// Three times as long as it kept the others out, it lets them in; the runner cuts rests that need not be so long. SQLite's lock has no queue: who waits for it looks again
/// after 1, 3, 8, 18, 33, 53, 78, 103, 128, 178 ms and so on, and the larger the part of the time in which it is free, the
/// sooner a look finds it so. Windows of 20 ms and rests as long were measured to keep some writers out for 435 ms.
const REST_PERCENT: u32 = 300;

/// Returns how the table is cut into windows of about as many rows, however scattered their rowids are.
pub(super) fn cut(mirror: &Mirror<'_>) -> Cut {
    cut_of(mirror.name(), &mirror.rowid)
}

/// Returns the same for any table with a rowid.
pub(super) fn cut_of(table: &TableName, rowid: &Ident) -> Cut {
    let fill = |template: &'static str| {
        sql(template.trim_end(), &[("table", Hole::Table(table)), ("rowid", Hole::Name(rowid))])
    };
    Cut {
        table: table.clone(),
        unit: "rows".to_owned(),
        by: CutBy::Numbers {
            extent: fill(include_str!("backfill/extent.sql")),
            end: Some(fill(include_str!("backfill/end.sql"))),
        },
        size: ROWS_FIRST,
        target_ms: WINDOW_MS,
        rest_percent: REST_PERCENT,
    }
}

/// Returns the step that fills the new columns of rows where they are absent.
pub(super) fn step(mirror: &Mirror<'_>) -> Step {
    let fill = sql(
        "UPDATE {table} SET {values} WHERE {window} AND {absent} AND {fillable}",
        &[
            ("table", Hole::Table(mirror.name())),
            ("values", Hole::Sql(&mirror.assignments(&mirror.new))),
            ("window", Hole::Sql(&mirror.window())),
            ("absent", Hole::Sql(&mirror.absent(Of::Row))),
            ("fillable", Hole::Sql(&mirror.fillable(Of::Row))),
        ],
    );
    Work {
        phase: Phase::Backfill,
        title: format!("fill the new columns of existing rows of `{}`", mirror.name().name),
        action: Action::Backfill(Backfill {
            cut: cut(mirror),
            before: vec![],
            fill,
            fill_unlocked: None,
            failures: mirror.unconvertible().map(|fails| failures(mirror, &fails)),
            pace: None,
            lazy: false,
            once: false,
        }),
        facts: &["dml.update_window"],
        table: mirror.name(),
        undo: Undo::Nothing,
    }
    .step()
}

fn failures(mirror: &Mirror<'_>, fails: &Sql) -> Failures {
    let table = Hole::Table(mirror.name());
    Failures {
        count: sql("SELECT count(*) FROM {table} WHERE {fails}", &[("table", table), ("fails", Hole::Sql(fails))]),
        list: sql(
            "SELECT 'rowid ' || {rowid}, {column}, 'the transform gives no value that fits' FROM {table} \
             WHERE {window} AND {fails} ORDER BY {rowid} LIMIT 1000",
            &[
                ("rowid", Hole::Name(&mirror.rowid)),
                ("column", Hole::Text(mirror.new.first().map_or("", |derived| derived.name.as_str()))),
                ("table", Hole::Table(mirror.name())),
                ("window", Hole::Sql(&mirror.window())),
                ("fails", Hole::Sql(fails)),
            ],
        ),
    }
}
