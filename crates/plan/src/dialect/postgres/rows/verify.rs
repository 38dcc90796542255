//! How it is shown that each row has its row in the other table, and that both say the same.

use segue_model::ident::Ident;
use segue_model::lock::LockMode;
use segue_model::sql::{Hole, Sql};
use segue_model::step::{Action, Condition, Cut, Phase, Step, Undo, Verify};

use super::moving::{Moving, Of, all_of, assign, named, record};
use super::sync::{self, Turn, on_target};
use crate::dialect::postgres::cut::{Windows, by_index, by_pages};
use crate::dialect::postgres::sql;
use crate::dialect::postgres::work::{Work, beside};

/// Returns the step that compares each row of the source with its row of the target, while the source is the truth.
pub(super) fn before_flip(moving: &Moving<'_>, major: u32) -> Step {
    let wrong = Wrong {
        unrelated: sql(
            "({there} AND ({holds}) IS NOT TRUE OR {there} AND NOT {forward})",
            &[
                ("there", Hole::Sql(&there(moving))),
                ("holds", Hole::Sql(&moving.holds(Of::Source))),
                ("forward", Hole::Sql(&moving.is_forward(Of::Source))),
            ],
        ),
        missed: sql(
            "(NOT {there} AND {holds})",
            &[("there", Hole::Sql(&there(moving))), ("holds", Hole::Sql(&moving.holds(Of::Source)))],
        ),
    };
    let title = format!("show that each row of {} has its row in {}", moving.source.name, moving.target);
    let verify = of_source(moving, &wrong, Turn::Forward, major);
    step(moving, Phase::Verify, title, Verify { compare: Some(compare(moving, major)), ..verify })
}

/// Returns the step that compares them while the target is the truth. Either side may follow from the other, and a row of the
/// source without old values needs none in the target.
pub(super) fn after_flip(moving: &Moving<'_>, phase: Phase, major: u32) -> Step {
    let wrong = Wrong {
        unrelated: sql(
            "({there} AND NOT {forward} AND NOT {back})",
            &[
                ("there", Hole::Sql(&there(moving))),
                ("forward", Hole::Sql(&moving.is_forward(Of::Source))),
                ("back", Hole::Sql(&moving.is_back(Of::Target))),
            ],
        ),
        missed: sql(
            "(NOT {there} AND {holds} AND {any_old})",
            &[
                ("there", Hole::Sql(&there(moving))),
                ("holds", Hole::Sql(&moving.holds(Of::Source))),
                ("any_old", Hole::Sql(&moving.any_old(Of::Source))),
            ],
        ),
    };
    let turn = if moving.is_hidden { Turn::BackAlone } else { Turn::Back };
    let title = format!("show that {} still says what {} does", moving.source.name, moving.target);
    step(moving, phase, title, of_source(moving, &wrong, turn, major))
}

/// Returns the step that looks for rows of the target that follow from no row of the source. Windows are of the target, and are
/// told with those of the source: together they show that both tables agree.
pub(super) fn strays(moving: &Moving<'_>, major: u32) -> Step {
    let Windows { cut, window } = by_pages(&moving.target, major);
    let stray = sql(
        include_str!("strays.sql").trim_end(),
        &[
            ("source", Hole::Table(&moving.source.name)),
            ("matches", Hole::Sql(&moving.matches(Of::Target, Of::Source))),
            ("holds", Hole::Sql(&moving.holds(Of::Source))),
        ],
    );
    let fill = |template: &'static str| {
        sql(
            template,
            &[("target", Hole::Table(&moving.target)), ("window", Hole::Sql(&window)), ("stray", Hole::Sql(&stray))],
        )
    };
    let key: Vec<Ident> = moving.key.iter().map(|pair| pair.into.clone()).collect();
    let verify = Verify {
        cut: Cut { table: moving.source.name.clone(), ..cut },
        conditions: conditions(moving, Turn::Forward),
        compare: None,
        count: fill(
            "SELECT pg_catalog.count(*), pg_catalog.count(*) FILTER (WHERE {stray}), 0 FROM {target} AS t WHERE {window}",
        ),
        sample: sql(
            "SELECT {key} FROM {target} AS t WHERE {window} AND {stray} LIMIT 10",
            &[
                ("key", Hole::Sql(&key_text(&named(&key, moving, Of::Target)))),
                ("target", Hole::Table(&moving.target)),
                ("window", Hole::Sql(&window)),
                ("stray", Hole::Sql(&stray)),
            ],
        ),
        before_repair: vec![moving.mark_transaction()],
        repair_from_old: fill("DELETE FROM {target} AS t WHERE {window} AND {stray}"),
        repair_from_new: None,
    };
    let title = format!("show that {} holds no row that {} does not", moving.target, moving.source.name);
    step(moving, Phase::Verify, title, verify)
}

/// When a row of the source and its row of the target are not right.
struct Wrong {
    unrelated: Sql,
    missed: Sql,
}

fn step(moving: &Moving<'_>, phase: Phase, title: String, verify: Verify) -> Step {
    let work = Work {
        phase,
        title,
        action: Action::Verify(verify),
        facts: &["dml.select_window"],
        table: &moving.source.name,
        undo: Undo::Nothing,
    };
    beside(work.step(), on_target(moving, LockMode::AccessShare))
}

fn conditions(moving: &Moving<'_>, turn: Turn) -> Vec<Condition> {
    vec![sync::condition(moving, turn)]
}

fn of_source(moving: &Moving<'_>, wrong: &Wrong, turn: Turn, major: u32) -> Verify {
    let Windows { cut, window } = by_index(moving.source, &moving.source_key(), major);
    let both = both(moving, &window);
    let key: Vec<Ident> = moving.key.iter().map(|pair| pair.from.clone()).collect();
    let wrong_of = |template: &'static str| {
        sql(
            template,
            &[
                ("both", Hole::Sql(&both)),
                ("unrelated", Hole::Sql(&wrong.unrelated)),
                ("missed", Hole::Sql(&wrong.missed)),
            ],
        )
    };
    Verify {
        cut,
        conditions: conditions(moving, turn),
        compare: None,
        count: wrong_of(include_str!("count.sql").trim_end()),
        sample: sql(
            include_str!("sample.sql").trim_end(),
            &[
                ("key", Hole::Sql(&key_text(&named(&key, moving, Of::Source)))),
                ("both", Hole::Sql(&both)),
                ("unrelated", Hole::Sql(&wrong.unrelated)),
                ("missed", Hole::Sql(&wrong.missed)),
            ],
        ),
        before_repair: vec![moving.mark_transaction()],
        repair_from_old: mend_target(moving, wrong, &both),
        repair_from_new: Some(mend_source(moving, wrong, &both)),
    }
}

fn both(moving: &Moving<'_>, window: &Sql) -> Sql {
    sql(
        include_str!("both.sql").trim_end(),
        &[
            ("source", Hole::Table(&moving.source.name)),
            ("window", Hole::Sql(window)),
            ("target", Hole::Table(&moving.target)),
            ("matches", Hole::Sql(&moving.matches(Of::Target, Of::Source))),
        ],
    )
}

/// A row of the target that was found has a key; of several columns each.
fn there(moving: &Moving<'_>) -> Sql {
    sql("{k} IS NOT NULL", &[("k", Hole::Sql(&moving.column(Of::Target, &moving.key[0].into)))])
}

fn compare(moving: &Moving<'_>, major: u32) -> Sql {
    let Windows { window, .. } = by_index(moving.source, &moving.source_key(), major);
    let has: Vec<Sql> = moving.written().into_iter().map(|column| moving.column(Of::Target, column)).collect();
    let sum = |values: &[Sql]| {
        sql(
            "pg_catalog.hashtextextended(CAST({r} AS pg_catalog.text), 0)::pg_catalog.numeric",
            &[("r", Hole::Sql(&record(values)))],
        )
    };
    sql(
        include_str!("compare.sql").trim_end(),
        &[
            ("holds", Hole::Sql(&moving.holds(Of::Source))),
            ("there", Hole::Sql(&there(moving))),
            ("must", Hole::Sql(&sum(&moving.values(Of::Source)))),
            ("has", Hole::Sql(&sum(&has))),
            ("both", Hole::Sql(&both(moving, &window))),
        ],
    )
}

fn mend_target(moving: &Moving<'_>, wrong: &Wrong, both: &Sql) -> Sql {
    let carried = || moving.carried.iter().map(|carried| &carried.column);
    let comes: Vec<Sql> = carried().map(|column| sql("EXCLUDED.{c}", &[("c", Hole::Name(column))])).collect();
    sql(
        include_str!("mend_target.sql").trim_end(),
        &[
            ("reads", Hole::Join(&named(&moving.watched(), moving, Of::Source), ", ")),
            ("both", Hole::Sql(both)),
            ("unrelated", Hole::Sql(&wrong.unrelated)),
            ("missed", Hole::Sql(&wrong.missed)),
            ("target", Hole::Table(&moving.target)),
            ("matches", Hole::Sql(&moving.matches(Of::Target, Of::Source))),
            ("holds", Hole::Sql(&moving.holds(Of::Source))),
            ("names", Hole::Names(moving.written())),
            ("values", Hole::Join(&moving.values(Of::Source), ", ")),
            ("key", Hole::Names(moving.key.iter().map(|pair| &pair.into).collect())),
            ("takes", Hole::Join(&assign(carried(), &comes), ", ")),
        ],
    )
}

/// The truth is the target: without a row there the old columns are NULL.
fn mend_source(moving: &Moving<'_>, wrong: &Wrong, both: &Sql) -> Sql {
    let source_key: Vec<Ident> = moving.key.iter().map(|pair| pair.from.clone()).collect();
    let values = moving.back_values(Of::Target).into_iter().zip(moving.leaving()).map(|(value, column)| {
        sql(
            "CASE WHEN {there} THEN {value} END AS {c}",
            &[("there", Hole::Sql(&there(moving))), ("value", Hole::Sql(&value)), ("c", Hole::Name(column))],
        )
    });
    let of_wrong = |column: &Ident| sql("w.{c}", &[("c", Hole::Name(column))]);
    let comes: Vec<Sql> = moving.leaving().into_iter().map(of_wrong).collect();
    let is = source_key.iter().map(|column| sql("s.{c} OPERATOR(pg_catalog.=) w.{c}", &[("c", Hole::Name(column))]));
    sql(
        include_str!("mend_source.sql").trim_end(),
        &[
            ("source", Hole::Table(&moving.source.name)),
            ("takes", Hole::Join(&assign(moving.leaving(), &comes), ", ")),
            ("keys", Hole::Join(&named(&source_key, moving, Of::Source), ", ")),
            ("values", Hole::Join(&values.collect::<Vec<Sql>>(), ", ")),
            ("both", Hole::Sql(both)),
            ("unrelated", Hole::Sql(&wrong.unrelated)),
            ("missed", Hole::Sql(&wrong.missed)),
            ("is", Hole::Sql(&all_of(&is.collect::<Vec<Sql>>()))),
        ],
    )
}

/// Returns a key as one text.
fn key_text(columns: &[Sql]) -> Sql {
    match columns {
        [one] => sql("{c}::pg_catalog.text", &[("c", Hole::Sql(one))]),
        several => sql("{r}::pg_catalog.text", &[("r", Hole::Sql(&record(several)))]),
    }
}
