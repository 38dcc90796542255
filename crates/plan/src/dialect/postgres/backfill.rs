//! How existing rows are brought over: one UPDATE a window, without a word of values through the client.

use segue_model::sql::{Hole, Sql};
use segue_model::step::{Action, Backfill, Failures, Pace, Phase, Step, Transaction, Undo};

use super::cut::{Windows, by_primary_key, windows};
use super::mirror::{Derived, Mirror, Of, regclass};
use super::verify::key;
use super::work::Work;
use super::{sql, user_trigger};

/// Dead rows are cleared so often that a pass needs room for a fifth of the table besides.
const PACE_PERCENT: u32 = 20;

/// As much as pacing lets a table grow, and a little more.
const GROWTH_PERCENT: u32 = 25;

/// Returns the step that fills the new columns of rows where they are absent.
pub(super) fn step(mirror: &Mirror<'_>, major: u32) -> Step {
    let values = assignments(mirror, &mirror.new);
    let title = "fill the new columns of existing rows".to_owned();
    filling(mirror, (title, windows(mirror, major)), &values, &mirror.fillable(Of::Row))
}

/// Returns the step that brings over the rows that are there once, however many are written meanwhile: by the key where there
/// is one, since a row stays in its window then.
pub(super) fn once(mirror: &Mirror<'_>, title: String, major: u32) -> Step {
    let windows = by_primary_key(mirror).unwrap_or_else(|| windows(mirror, major));
    let values = assignments(mirror, &mirror.new);
    let mut step = filling(mirror, (title, windows), &values, &mirror.fillable(Of::Row));
    if let Action::Backfill(backfill) = &mut step.action {
        backfill.once = true;
    }
    step
}

/// Returns the step that sets `values` in each row that is `fillable`.
pub(super) fn filling(
    mirror: &Mirror<'_>,
    (title, Windows { cut, window }): (String, Windows),
    values: &[Sql],
    fillable: &Sql,
) -> Step {
    let fill = |template: &'static str| {
        sql(
            template.trim_end(),
            &[
                ("table", Hole::Table(mirror.table())),
                ("values", Hole::Join(values, ", ")),
                ("window", Hole::Sql(&window)),
                ("fillable", Hole::Sql(fillable)),
            ],
        )
    };
    let work = Work {
        phase: Phase::Backfill,
        title,
        action: Action::Backfill(Backfill {
            cut,
            before: before(mirror),
            fill: fill(include_str!("backfill/fill.sql")),
            fill_unlocked: Some(fill(include_str!("backfill/unlocked.sql"))),
            failures: failures(mirror, &window),
            pace: Some(pace(mirror)),
            lazy: false,
            once: false,
        }),
        facts: &["dml.update_window", "tab.vacuum"],
        table: mirror.table(),
        undo: Undo::Nothing,
    };
    // Each window has one; dead rows are cleared between them.
    Step { transaction: Transaction::Own, ..work.step() }
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

/// Returns what lets a statement of ours pass the sync triggers, which then need not compute the same again.
pub(super) fn bypass(mirror: &Mirror<'_>) -> Sql {
    sql("SET LOCAL segue.backfill = {pass}", &[("pass", Hole::Text(&mirror.names.pass()))])
}

/// Returns what a window begins with. Where our role may, it also keeps the user's triggers asleep: a row that is filled was
/// not written by anybody. Ours are ENABLE ALWAYS. Foreign keys sleep too, and none of them is about a column that is filled.
fn before(mirror: &Mirror<'_>) -> Vec<Sql> {
    let silence = Sql::fixed("SET LOCAL session_replication_role = 'replica'");
    let silenced = mirror.names.silences() && user_trigger::can_be_silenced(mirror.table);
    std::iter::once(bypass(mirror)).chain(silenced.then_some(silence)).collect()
}

/// Returns how rows that cannot be converted are counted and named; `None` when every row can.
fn failures(mirror: &Mirror<'_>, window: &Sql) -> Option<Failures> {
    let fails = mirror.unconvertible()?;
    let table = || Hole::Table(mirror.table());
    let of_column = |derived: &Derived| {
        Some(sql(
            include_str!("backfill/failed.sql").trim_end(),
            &[
                ("key", Hole::Sql(&key(mirror))),
                ("column", Hole::Text(derived.column.as_str())),
                ("why", Hole::Sql(&mirror.why(derived)?)),
                ("table", table()),
                ("window", Hole::Sql(window)),
                ("fails", Hole::Sql(&mirror.unconverted(derived)?)),
            ],
        ))
    };
    let each: Vec<Sql> = mirror.new.iter().filter_map(of_column).collect();
    Some(Failures {
        count: sql(
            "SELECT pg_catalog.count(*) FROM {table} WHERE {fails}",
            &[("table", table()), ("fails", Hole::Sql(&fails))],
        ),
        list: sql("{each}\nLIMIT 1000", &[("each", Hole::Join(&each, "\nUNION ALL\n"))]),
    })
}

/// Returns how dead rows are kept from taking room. The file is not cut, which would lock the application out.
///
/// A slot's `catalog_xmin` is no holder: it keeps dead rows of the system's tables alone. How old a snapshot is that a slot
/// or a standby's feedback holds, no view tells in seconds, so one that does not move or is far behind is named.
fn pace(mirror: &Mirror<'_>) -> Pace {
    Pace {
        vacuum: sql("VACUUM (TRUNCATE false) {table}", &[("table", Hole::Table(mirror.table()))]),
        size: sql("SELECT pg_catalog.pg_table_size({table})", &[("table", Hole::Sql(&regclass(mirror.table())))]),
        holders: Sql::fixed(include_str!("backfill/holders.sql").trim_end()),
        percent: PACE_PERCENT,
        growth_percent: GROWTH_PERCENT,
    }
}
