//! How it is shown that no row is missing or wrong, and how a wrong one is put right.

use segue_model::ident::Ident;
use segue_model::sql::{Hole, Sql};
use segue_model::step::{Action, Phase, Step, Undo, Verify};

use super::backfill::{assignments, bypass};
use super::cut::{Windows, windows};
use super::mirror::{Derived, Kind, Mirror, Of};
use super::work::Work;
use super::{sql, sync};

/// Returns the step that counts wrong rows.
pub(super) fn step(mirror: &Mirror<'_>, phase: Phase, major: u32) -> Step {
    Work {
        phase,
        title: "show that every row is right in both shapes".to_owned(),
        action: Action::Verify(verify(mirror, phase, major)),
        facts: &["dml.select_window"],
        table: mirror.table(),
        undo: Undo::Nothing,
    }
    .step()
}

fn verify(mirror: &Mirror<'_>, phase: Phase, major: u32) -> Verify {
    let Windows { cut, window } = windows(mirror, major);
    let (related, missed) = (mirror.related(Of::Row), mirror.missed(Of::Row));
    let wrong = |template, more: (&'static str, Hole<'_>)| {
        let table = Hole::Table(mirror.table());
        let window = Hole::Sql(&window);
        sql(
            template,
            &[
                ("table", table),
                ("window", window),
                ("related", Hole::Sql(&related)),
                ("missed", Hole::Sql(&missed)),
                more,
            ],
        )
    };
    let copied = |mirror: &Mirror<'_>| {
        wrong(
            include_str!("verify/repair.sql").trim_end(),
            ("values", Hole::Join(&assignments(mirror, &mirror.new), ", ")),
        )
    };
    let repair_from_new = match mirror.kind {
        Kind::TwoWay => {
            let values = kept_or_copied(mirror, &missed);
            Some(wrong(include_str!("verify/repair.sql").trim_end(), ("values", Hole::Join(&values, ", "))))
        }
        // After a swap what follows is the column that stands aside.
        Kind::Follow => (phase > Phase::Flip).then(|| copied(mirror)),
        Kind::Fill => None,
    };
    Verify {
        cut,
        conditions: vec![sync::condition(mirror)],
        compare: None,
        count: sql(
            include_str!("verify/count.sql").trim_end(),
            &[
                ("unrelated", Hole::Sql(&unrelated(mirror, &related, &missed))),
                ("missed", Hole::Sql(&missed)),
                ("table", Hole::Table(mirror.table())),
                ("window", Hole::Sql(&window)),
            ],
        ),
        sample: wrong(include_str!("verify/sample.sql").trim_end(), ("key", Hole::Sql(&key(mirror)))),
        before_repair: vec![bypass(mirror)],
        repair_from_old: copied(mirror),
        repair_from_new,
    }
}

/// Returns how many rows are not related and not missed. What is right at first sight is not looked at again.
fn unrelated(mirror: &Mirror<'_>, related: &Sql, missed: &Sql) -> Sql {
    if mirror.kind == Kind::Fill {
        return Sql::fixed("0");
    }
    let surely = mirror.surely_related();
    let doubtful: Vec<Sql> =
        surely.iter().map(|surely| sql("{surely} IS NOT TRUE AND ", &[("surely", Hole::Sql(surely))])).collect();
    sql(
        "pg_catalog.count(*) FILTER (WHERE {doubtful}NOT {related} AND NOT {missed})",
        &[("doubtful", Hole::Join(&doubtful, "")), ("related", Hole::Sql(related)), ("missed", Hole::Sql(missed))],
    )
}

/// The new side is the truth, except where it is missing: there it is filled, and the old side stays.
fn kept_or_copied(mirror: &Mirror<'_>, missed: &Sql) -> Vec<Sql> {
    let when = |derived: &Derived, missing: bool| {
        let (column, value) = (mirror.column(Of::Row, &derived.column), mirror.value(Of::Row, derived));
        let template = if missing {
            "{c} = CASE WHEN {missed} THEN {v} ELSE {c} END"
        } else {
            "{c} = CASE WHEN {missed} THEN {c} ELSE {v} END"
        };
        sql(template, &[("c", Hole::Sql(&column)), ("missed", Hole::Sql(missed)), ("v", Hole::Sql(&value))])
    };
    let filled = mirror.new.iter().map(|derived| when(derived, true));
    filled.chain(mirror.old.iter().map(|derived| when(derived, false))).collect()
}

/// Returns a row's key as one text: the primary key's columns, or where the row stands.
pub(super) fn key(mirror: &Mirror<'_>) -> Sql {
    let columns: Vec<&Ident> = mirror.table.primary_key().iter().collect();
    match columns.as_slice() {
        [] => Sql::fixed("'ctid ' || ctid::pg_catalog.text"),
        [one] => sql("{c}::pg_catalog.text", &[("c", Hole::Sql(&mirror.column(Of::Row, one)))]),
        several => {
            sql("{record}::pg_catalog.text", &[("record", Hole::Sql(&mirror.record(Of::Row, several.iter().copied())))])
        }
    }
}
