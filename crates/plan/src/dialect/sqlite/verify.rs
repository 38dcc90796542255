//! How it is shown that nothing is missing.

use segue_model::sql::{Hole, Sql};
use segue_model::step::{Action, Condition, Phase, Step, Undo, Verify};

use super::backfill::cut;
use super::contract::after_hiding;
use super::mirror::Mirror;
use super::names::Names;
use super::work::Work;
use super::{sql, sync};

/// Returns the step that verifies a pair before cleanup, when the old columns have their hidden names.
pub(super) fn hidden(mirror: &Mirror<'_>, names: &Names) -> Step {
    let renamed = after_hiding(mirror);
    let step = pair_by(&renamed, conditions(mirror, names));
    Step { phase: Phase::Cleanup, ..step }
}

/// Returns the step that verifies a pair.
pub(super) fn pair(mirror: &Mirror<'_>, names: &Names) -> Step {
    pair_by(mirror, conditions(mirror, names))
}

fn pair_by(mirror: &Mirror<'_>, conditions: Vec<Condition>) -> Step {
    let related = mirror.related();
    let wrong = sql(
        "(NOT {related} OR {missing})",
        &[("related", Hole::Sql(&related)), ("missing", Hole::Sql(&mirror.missing()))],
    );
    step(mirror, conditions, &related, &wrong, true)
}

/// Returns the conditions that the triggers of a pair are there.
pub(super) fn conditions(mirror: &Mirror<'_>, names: &Names) -> Vec<Condition> {
    let renamed = after_hiding(mirror);
    sync::there(&sync::pair_triggers(mirror, names), &sync::pair_triggers(&renamed, names))
}

/// Returns the step that verifies a column that is filled once. Any value is right; only NULL may be wrong.
pub(super) fn fill(mirror: &Mirror<'_>, names: &Names) -> Step {
    let triggers = sync::fill_triggers(mirror, names);
    step(mirror, sync::there(&triggers, &triggers), &Sql::fixed("1"), &mirror.missing(), false)
}

fn step(mirror: &Mirror<'_>, conditions: Vec<Condition>, related: &Sql, wrong: &Sql, back: bool) -> Step {
    let table = mirror.name();
    let window = mirror.window();
    let count = sql(
        include_str!("verify/count.sql").trim_end(),
        &[
            ("related", Hole::Sql(related)),
            ("missing", Hole::Sql(&mirror.missing())),
            ("table", Hole::Table(table)),
            ("window", Hole::Sql(&window)),
        ],
    );
    let sample = sql(
        "SELECT 'rowid ' || {rowid} FROM {table} WHERE {window} AND {wrong} ORDER BY {rowid} LIMIT 10",
        &[
            ("rowid", Hole::Name(&mirror.rowid)),
            ("table", Hole::Table(table)),
            ("window", Hole::Sql(&window)),
            ("wrong", Hole::Sql(wrong)),
        ],
    );
    let repair = |values: &Sql| {
        sql(
            "UPDATE {table} SET {values} WHERE {window} AND {wrong}",
            &[
                ("table", Hole::Table(table)),
                ("values", Hole::Sql(values)),
                ("window", Hole::Sql(&window)),
                ("wrong", Hole::Sql(wrong)),
            ],
        )
    };
    Work {
        phase: Phase::Verify,
        title: format!("show that every row of `{}` is right in both shapes", table.name),
        action: Action::Verify(Verify {
            cut: cut(mirror),
            conditions,
            compare: None,
            count,
            sample,
            before_repair: vec![],
            repair_from_old: repair(&mirror.assignments(&mirror.new)),
            repair_from_new: back.then(|| repair(&mirror.assignments(&mirror.old))),
        }),
        facts: &["read"],
        table,
        undo: Undo::Nothing,
    }
    .step()
}
