//! How it is shown that no row is missing or wrong, and how a wrong one is put right.

use segue_model::ident::Ident;
use segue_model::sql::{Hole, Sql};
use segue_model::step::{Action, Phase, Step, Undo, Verify};

use super::backfill::{assignments, bypass, cut, window};
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
    let window = window(major);
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
        cut: cut(mirror.table()),
        conditions: vec![sync::condition(mirror)],
        count: sql(
            include_str!("verify/count.sql").trim_end(),
            &[
                ("table", Hole::Table(mirror.table())),
                ("window", Hole::Sql(&window)),
                ("related", Hole::Sql(&related)),
                ("missed", Hole::Sql(&missed)),
            ],
        ),
        sample: wrong(include_str!("verify/sample.sql").trim_end(), ("key", Hole::Sql(&key(mirror)))),
        before_repair: vec![bypass()],
        repair_from_old: copied(mirror),
        repair_from_new,
    }
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
fn key(mirror: &Mirror<'_>) -> Sql {
    let columns: Vec<&Ident> = mirror.table.primary_key().iter().collect();
    match columns.as_slice() {
        [] => Sql::fixed("'ctid ' || ctid::pg_catalog.text"),
        [one] => sql("{c}::pg_catalog.text", &[("c", Hole::Sql(&mirror.column(Of::Row, one)))]),
        several => {
            sql("{record}::pg_catalog.text", &[("record", Hole::Sql(&mirror.record(Of::Row, several.iter().copied())))])
        }
    }
}
