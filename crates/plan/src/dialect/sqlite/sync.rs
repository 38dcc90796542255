//! The triggers that keep both shapes right. They run in the application's library, so they use nothing but plain SQL.
//!
//! SQLite's BEFORE triggers cannot change the row, so these are AFTER triggers with an UPDATE inside. Where a transform loses
//! something, that UPDATE toggles a marker column: a nested firing is then told apart from a write of the application,
//! whether `recursive_triggers` is on or off.

use segue_model::ident::Ident;
use segue_model::sql::{Hole, Sql};
use segue_model::step::{Action, Condition, Phase, Step, Undo, UndoStep};

use super::mirror::{Mirror, Of};
use super::names::Names;
use super::work::{Work, undo_step};
use super::{rescue, sql};

/// A trigger: its name and its text, which is just what `sqlite_schema` keeps.
pub(super) struct Trigger {
    pub(super) name: Ident,
    pub(super) create: Sql,
}

/// Returns the step that creates the triggers of a pair.
pub(super) fn pair(mirror: &Mirror<'_>, names: &Names) -> Step {
    // What a rename writes is in the old column to the bit, so nothing needs to be kept.
    let keeps = mirror.marker.is_some().then(|| rescue::step(mirror, names));
    step(mirror, &pair_triggers(mirror, names), keeps, "keep both shapes right from now on")
}

/// Returns the step that creates the trigger that fills a new column.
pub(super) fn fill(mirror: &Mirror<'_>, names: &Names) -> Step {
    let title = "fill the new column of each row that is inserted without it";
    step(mirror, &fill_triggers(mirror, names), Some(rescue::step(mirror, names)), title)
}

fn step(mirror: &Mirror<'_>, triggers: &[Trigger], keeps: Option<UndoStep>, title: &str) -> Step {
    let drop = undo_step(mirror.name(), &["trig.drop"], drops(triggers));
    Work {
        phase: Phase::Sync,
        title: title.to_owned(),
        action: Action::Sql(triggers.iter().map(|trigger| trigger.create.clone()).collect()),
        facts: &["trig.create"],
        table: mirror.name(),
        undo: Undo::Lossless(keeps.into_iter().chain([drop]).collect()),
    }
    .step()
}

/// Returns the statements that drop triggers, and may be repeated.
pub(super) fn drops(triggers: &[Trigger]) -> Vec<Sql> {
    let drop = |trigger: &Trigger| sql("DROP TRIGGER IF EXISTS main.{name}", &[("name", Hole::Name(&trigger.name))]);
    triggers.iter().map(drop).collect()
}

/// Returns the triggers of a pair.
pub(super) fn pair_triggers(mirror: &Mirror<'_>, names: &Names) -> Vec<Trigger> {
    vec![
        inserted(mirror, names.of("segue_io_"), include_str!("sync/inserted_old.sql"), true),
        inserted(mirror, names.of("segue_in_"), include_str!("sync/inserted_new.sql"), false),
        updated_new(mirror, names.of("segue_un_")),
        updated_old(mirror, names.of("segue_uo_")),
    ]
}

fn inserted(mirror: &Mirror<'_>, name: Ident, template: &'static str, forward: bool) -> Trigger {
    let side = if forward { &mirror.new } else { &mirror.old };
    let create = sql(
        template.trim_end(),
        &[
            ("trigger", Hole::Name(&name)),
            ("table", Hole::Name(&mirror.name().name)),
            ("rowid", Hole::Name(&mirror.rowid)),
            ("absent", Hole::Sql(&mirror.absent(Of::New))),
            ("follows", Hole::Sql(&mirror.follows(Of::New, &mirror.new))),
            ("values", Hole::Sql(&mirror.assignments(side))),
        ],
    );
    Trigger { name, create }
}

fn updated_new(mirror: &Mirror<'_>, name: Ident) -> Trigger {
    let create = sql(
        include_str!("sync/updated_new.sql").trim_end(),
        &[
            ("trigger", Hole::Name(&name)),
            ("table", Hole::Name(&mirror.name().name)),
            ("columns", Hole::Join(&columns(mirror), ", ")),
            ("rowid", Hole::Name(&mirror.rowid)),
            ("not_ours", Hole::Sql(&not_ours(mirror))),
            ("new_changed", Hole::Sql(&mirror.changed(&mirror.new))),
            ("follows", Hole::Sql(&mirror.follows(Of::New, &mirror.new))),
            ("values", Hole::Sql(&mirror.assignments(&mirror.old))),
        ],
    );
    Trigger { name, create }
}

fn updated_old(mirror: &Mirror<'_>, name: Ident) -> Trigger {
    let create = sql(
        include_str!("sync/updated_old.sql").trim_end(),
        &[
            ("trigger", Hole::Name(&name)),
            ("table", Hole::Name(&mirror.name().name)),
            ("columns", Hole::Join(&columns(mirror), ", ")),
            ("rowid", Hole::Name(&mirror.rowid)),
            ("not_ours", Hole::Sql(&not_ours(mirror))),
            ("new_changed", Hole::Sql(&mirror.changed(&mirror.new))),
            ("old_changed", Hole::Sql(&mirror.changed(&mirror.old))),
            ("follows", Hole::Sql(&mirror.follows(Of::New, &mirror.new))),
            ("values", Hole::Sql(&mirror.assignments(&mirror.new))),
        ],
    );
    Trigger { name, create }
}

fn columns(mirror: &Mirror<'_>) -> Vec<Sql> {
    mirror.old.iter().chain(&mirror.new).map(|derived| mirror.column(Of::Row, &derived.name)).collect()
}

fn not_ours(mirror: &Mirror<'_>) -> Sql {
    match &mirror.marker {
        Some(marker) => sql("NEW.{m} IS OLD.{m}", &[("m", Hole::Name(marker))]),
        None => Sql::fixed("1"),
    }
}

/// Returns the trigger that fills a new column, once, on insert.
pub(super) fn fill_triggers(mirror: &Mirror<'_>, names: &Names) -> Vec<Trigger> {
    let name = names.of("segue_fill_");
    let create = sql(
        include_str!("sync/fill.sql").trim_end(),
        &[
            ("trigger", Hole::Name(&name)),
            ("table", Hole::Name(&mirror.name().name)),
            ("rowid", Hole::Name(&mirror.rowid)),
            ("absent", Hole::Sql(&mirror.absent(Of::New))),
            ("fillable", Hole::Sql(&mirror.fillable(Of::New))),
            ("values", Hole::Sql(&mirror.assignments(&mirror.new))),
        ],
    );
    vec![Trigger { name, create }]
}

/// Returns, for each trigger, the condition that it is there with one of the texts that we gave it: `triggers` as created,
/// `renamed` as SQLite has rewritten them when the old columns were hidden.
pub(super) fn there(triggers: &[Trigger], renamed: &[Trigger]) -> Vec<Condition> {
    triggers.iter().zip(renamed).map(|(created, renamed)| condition(created, renamed)).collect()
}

fn condition(created: &Trigger, renamed: &Trigger) -> Condition {
    let name = created.name.as_str();
    Condition {
        sql: sql(
            include_str!("verify/trigger.sql").trim_end(),
            &[
                ("says", Hole::Text(&format!("the trigger {name} is missing, or is not the one that was planned"))),
                ("name", Hole::Text(name)),
                ("created", Hole::Text(created.create.as_str())),
                ("renamed", Hole::Text(renamed.create.as_str())),
            ],
        ),
        says: format!("the sync trigger `{}` is there, as it was created", created.name),
        hint: "Somebody has changed it: roll the migration back and start it again.".to_owned(),
    }
}
