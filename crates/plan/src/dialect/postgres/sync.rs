//! The triggers that keep both shapes right.

use segue_model::catalog::Trigger;
use segue_model::ident::{Ident, TableName};
use segue_model::sql::{Hole, Sql};
use segue_model::step::{Action, Condition, Phase, Step, Undo, UndoStep};

use super::mirror::{Derived, Kind, Mirror, Of};
use super::work::{Work, undo_step};
use super::{keep, sql};

/// A trigger of ours.
struct OurTrigger {
    name: Ident,
    events: &'static str,
    guard: Sql,
    function: TableName,
}

/// A function of ours.
struct OurFunction {
    name: TableName,
    body: Sql,
}

/// Returns the step that begins to keep both shapes right. Its undo first makes the copy of what only the new shape holds,
/// with `keeps`, while the functions that this takes are still there.
pub(super) fn step(mirror: &Mirror<'_>, keeps: bool) -> Step {
    let title = match mirror.kind {
        Kind::TwoWay => "keep old and new columns right, whichever is written",
        Kind::Follow => "keep the new column right when the old one is written",
        Kind::Fill if mirror.fills_what_is_there() => "fill the column in rows that leave it NULL",
        Kind::Fill => "fill the new column in rows that leave it out",
    };
    Work {
        phase: Phase::Sync,
        title: title.to_owned(),
        action: Action::Sql(create(mirror)),
        facts: &["fn.create", "trg.create", "trg.enable"],
        table: mirror.table(),
        undo: Undo::Lossless(keeps.then(|| keep::undo(mirror)).into_iter().chain([undo(mirror)]).collect()),
    }
    .step()
}

/// Returns the transaction that takes the triggers away.
fn undo(mirror: &Mirror<'_>) -> UndoStep {
    undo_step(mirror.table(), &["trg.drop", "fn.drop"], drop(mirror))
}

/// Returns the statements that create functions and triggers; together one transaction.
pub(super) fn create(mirror: &Mirror<'_>) -> Vec<Sql> {
    let triggers = triggers(mirror);
    let mut all = mirror.helpers();
    all.extend(replace_functions(mirror));
    all.extend(triggers.iter().map(|trigger| create_trigger(mirror.table(), trigger)));
    all.extend(triggers.iter().map(|trigger| {
        sql(
            "ALTER TABLE {table} ENABLE ALWAYS TRIGGER {trigger}",
            &[("table", Hole::Table(mirror.table())), ("trigger", Hole::Name(&trigger.name))],
        )
    }));
    all
}

/// Returns the statements that write the trigger functions (again): after a column was renamed.
pub(super) fn replace_functions(mirror: &Mirror<'_>) -> Vec<Sql> {
    functions(mirror)
        .iter()
        .map(|function| {
            sql(
                "CREATE OR REPLACE FUNCTION {function}() RETURNS trigger LANGUAGE plpgsql AS {body}",
                &[("function", Hole::Table(&function.name)), ("body", Hole::Body(&function.body))],
            )
        })
        .collect()
}

/// Returns the statements that drop triggers and functions; each may be repeated.
pub(super) fn drop(mirror: &Mirror<'_>) -> Vec<Sql> {
    let triggers = triggers(mirror).into_iter().map(|trigger| {
        sql(
            "DROP TRIGGER IF EXISTS {trigger} ON {table}",
            &[("trigger", Hole::Name(&trigger.name)), ("table", Hole::Table(mirror.table()))],
        )
    });
    let functions = function_names(mirror);
    let functions =
        functions.iter().map(|name| sql("DROP FUNCTION IF EXISTS {function}", &[("function", Hole::Table(name))]));
    triggers.chain(functions).collect()
}

/// Returns the condition that every trigger of ours is there and enabled, also for replication.
pub(super) fn condition(mirror: &Mirror<'_>) -> Condition {
    let names: Vec<Sql> = triggers(mirror)
        .iter()
        .map(|trigger| sql("({name}::pg_catalog.text)", &[("name", Hole::Text(trigger.name.as_str()))]))
        .collect();
    let table = sql("{t}", &[("t", Hole::Table(mirror.table()))]);
    let id = mirror.names.migration();
    Condition {
        sql: sql(
            include_str!("sync/enabled.sql").trim_end(),
            &[("names", Hole::Join(&names, ", ")), ("table", Hole::Body(&table))],
        ),
        says: "the sync triggers are there and enabled ALWAYS".to_owned(),
        hint: format!(
            "Somebody dropped or disabled a sync trigger, so rows may have drifted apart. Enable a disabled one with \
             `ALTER TABLE … ENABLE ALWAYS TRIGGER …`; create a dropped one again as the plan shows it (`segue plan {id} \
             --format sql`); then run `segue verify {id} --repair`."
        ),
    }
}

/// Returns the triggers of the user that may change a row before it is written.
pub(super) fn before_triggers<'t>(mirror: &Mirror<'t>) -> Vec<&'t Trigger> {
    mirror.table.triggers.iter().filter(|trigger| trigger.before_row && !is_ours(&trigger.name)).collect()
}

/// Returns whether a trigger is ours, of this or another migration.
pub(super) fn is_ours(name: &Ident) -> bool {
    name.as_str().starts_with("~segue_") || name.as_str().starts_with("!segue_")
}

/// Where a trigger of the user may change what the backfill has read, the last of ours looks at the values alone.
fn triggers(mirror: &Mirror<'_>) -> Vec<OurTrigger> {
    let names = mirror.names;
    let users = !before_triggers(mirror).is_empty();
    match mirror.kind {
        Kind::TwoWay if users => vec![
            both("pair", names.first_trigger(), passed(mirror, &unsettled(mirror)), mirror),
            both("forward", names.last_trigger("forward"), not_related(mirror), mirror),
        ],
        Kind::TwoWay => vec![both("pair", names.last_trigger("pair"), passed(mirror, &unsettled(mirror)), mirror)],
        Kind::Follow if users => vec![both("forward", names.last_trigger("forward"), differs(mirror), mirror)],
        Kind::Follow => vec![both("forward", names.last_trigger("forward"), passed(mirror, &differs(mirror)), mirror)],
        Kind::Fill => vec![
            OurTrigger {
                name: names.last_trigger("insert"),
                events: "INSERT",
                guard: passed(mirror, &mirror.fillable(Of::New)),
                function: names.function("forward"),
            },
            OurTrigger {
                name: names.last_trigger("update"),
                events: "UPDATE",
                guard: passed(mirror, &still_absent(mirror)),
                function: names.function("forward"),
            },
        ],
    }
}

/// The backfill computes the values itself, and passes.
fn passed(mirror: &Mirror<'_>, guard: &Sql) -> Sql {
    sql(
        "pg_catalog.current_setting('segue.backfill', true) IS DISTINCT FROM {pass} AND {guard}",
        &[("pass", Hole::Text(&mirror.names.pass())), ("guard", Hole::Sql(guard))],
    )
}

/// Returns the names of our triggers.
pub(super) fn trigger_names(mirror: &Mirror<'_>) -> Vec<Ident> {
    triggers(mirror).into_iter().map(|trigger| trigger.name).collect()
}

/// Returns the names of our functions.
pub(super) fn function_names(mirror: &Mirror<'_>) -> Vec<TableName> {
    let functions = functions(mirror).into_iter().map(|function| function.name);
    functions.chain(mirror.helper_names().into_iter().cloned()).collect()
}

fn both(function: &str, name: Ident, guard: Sql, mirror: &Mirror<'_>) -> OurTrigger {
    OurTrigger { name, events: "INSERT OR UPDATE", guard, function: mirror.names.function(function) }
}

fn differs(mirror: &Mirror<'_>) -> Sql {
    mirror.differs(Of::New, &mirror.new)
}

/// Both sides NULL agree where forward is NULL then, but the old one may not stay so.
fn unsettled(mirror: &Mirror<'_>) -> Sql {
    let differs = differs(mirror);
    match mirror.left_to_back(Of::New) {
        Some(left) => sql("({differs} OR {left})", &[("differs", Hole::Sql(&differs)), ("left", Hole::Sql(&left))]),
        None => differs,
    }
}

fn not_related(mirror: &Mirror<'_>) -> Sql {
    sql("NOT {related}", &[("related", Hole::Sql(&mirror.related(Of::New)))])
}

/// A row that was absent before and is still: whoever sets a filled column to NULL means it. But not in a column that code
/// of before this change writes.
fn still_absent(mirror: &Mirror<'_>) -> Sql {
    if mirror.fills_what_is_there() {
        return mirror.fillable(Of::New);
    }
    sql(
        "{before} AND {now}",
        &[("before", Hole::Sql(&mirror.absent(Of::Old))), ("now", Hole::Sql(&mirror.fillable(Of::New)))],
    )
}

fn functions(mirror: &Mirror<'_>) -> Vec<OurFunction> {
    let names = mirror.names;
    let forward = || OurFunction { name: names.function("forward"), body: forward_body(mirror) };
    match mirror.kind {
        Kind::TwoWay if before_triggers(mirror).is_empty() => {
            vec![OurFunction { name: names.function("pair"), body: two_way_body(mirror) }]
        }
        Kind::TwoWay => vec![OurFunction { name: names.function("pair"), body: two_way_body(mirror) }, forward()],
        Kind::Follow | Kind::Fill => vec![forward()],
    }
}

fn forward_body(mirror: &Mirror<'_>) -> Sql {
    let forward = assignments(mirror, &mirror.new);
    sql(include_str!("sync/forward.sql").trim_end(), &[("forward", Hole::Join(&forward, "\n  "))])
}

fn two_way_body(mirror: &Mirror<'_>) -> Sql {
    let forward = assignments(mirror, &mirror.new);
    let back = assignments(mirror, &mirror.old);
    let new: Vec<&Ident> = mirror.new.iter().map(|derived| &derived.column).collect();
    sql(
        include_str!("sync/two_way.sql").trim_end(),
        &[
            ("absent", Hole::Sql(&of_old(mirror))),
            ("forward", Hole::Join(&forward, "\n      ")),
            ("back", Hole::Join(&back, "\n      ")),
            ("new_changed", Hole::Sql(&mirror.changed(&new))),
            ("old_changed", Hole::Sql(&mirror.changed(&mirror.watched()))),
            ("left_out", Hole::Sql(&left_out(mirror))),
        ],
    )
}

/// A new row that leaves the new columns NULL is of old code, unless old code could not have written it either.
fn of_old(mirror: &Mirror<'_>) -> Sql {
    let absent = mirror.absent(Of::New);
    match mirror.left_to_back(Of::New) {
        Some(left) => sql("{absent} AND NOT {left}", &[("absent", Hole::Sql(&absent)), ("left", Hole::Sql(&left))]),
        None => absent,
    }
}

/// A row that is not filled yet, and is touched: where new code may mean NULL, `back` tells whether it does. A required
/// column is always filled, or its CHECK would fail a write that has nothing to do with it.
fn left_out(mirror: &Mirror<'_>) -> Sql {
    let absent = mirror.absent(Of::New);
    if mirror.required {
        return absent;
    }
    let differs = mirror.differs(Of::New, &mirror.old);
    sql("{absent} AND {differs}", &[("absent", Hole::Sql(&absent)), ("differs", Hole::Sql(&differs))])
}

/// The values are read before any of them is written: no side reads itself.
fn assignments(mirror: &Mirror<'_>, side: &[Derived]) -> Vec<Sql> {
    side.iter()
        .map(|derived| {
            let (column, value) = (mirror.column(Of::New, &derived.column), mirror.value(Of::New, derived));
            sql("{column} := {value};", &[("column", Hole::Sql(&column)), ("value", Hole::Sql(&value))])
        })
        .collect()
}

fn create_trigger(table: &TableName, trigger: &OurTrigger) -> Sql {
    sql(
        include_str!("sync/trigger.sql").trim_end(),
        &[
            ("trigger", Hole::Name(&trigger.name)),
            ("events", Hole::Sql(&Sql::fixed(trigger.events))),
            ("table", Hole::Table(table)),
            ("guard", Hole::Sql(&trigger.guard)),
            ("function", Hole::Table(&trigger.function)),
        ],
    )
}
