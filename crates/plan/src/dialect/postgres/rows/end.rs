//! How the old columns are hidden, and how they go.

use segue_model::ident::Ident;
use segue_model::lock::LockMode;
use segue_model::sql::{Hole, Sql};
use segue_model::step::{Action, Phase, Snapshot, Step, Undo};

use super::moving::{Moving, Of, named};
use super::sync::{self, Turn, on_target};
use super::verify;
use crate::dialect::postgres::gates::{gate, nothing_bound_in};
use crate::dialect::postgres::mirror::regclass;
use crate::dialect::postgres::native::drop_columns;
use crate::dialect::postgres::sql;
use crate::dialect::postgres::work::{Work, beside, undo_step};
use crate::figures::listed;

/// Returns the step after which the old names are gone, and nothing of the source writes the target any more.
pub(super) fn hide(moving: &Moving<'_>, hidden: &Moving<'_>) -> Step {
    let source = &moving.source.name;
    let mut hide: Vec<Sql> = moving.old.iter().map(|old| rename(moving, &old.column.name, &old.hidden)).collect();
    hide.push(sync::back(hidden));
    hide.extend(sync::drop_forward(moving));
    let mut show: Vec<Sql> = moving.old.iter().map(|old| rename_if(moving, &old.hidden, &old.column.name)).collect();
    show.push(sync::back(moving));
    show.extend(sync::create_forward(moving));
    Work {
        phase: Phase::Contract,
        title: format!("hide {} of {source}", listed(moving.old.iter().map(|old| &old.column.name))),
        action: Action::Sql(hide),
        facts: &["tab.rename_column", "fn.replace", "trg.drop"],
        table: source,
        undo: Undo::Lossless(vec![undo_step(
            source,
            &["tab.rename_column", "fn.replace", "trg.drop", "trg.create", "trg.enable"],
            show,
        )]),
    }
    .step()
}

fn rename(moving: &Moving<'_>, from: &Ident, to: &Ident) -> Sql {
    sql(
        "ALTER TABLE {table} RENAME COLUMN {from} TO {to}",
        &[("table", Hole::Table(&moving.source.name)), ("from", Hole::Name(from)), ("to", Hole::Name(to))],
    )
}

/// RENAME COLUMN knows no IF EXISTS, and an undo may be repeated.
fn rename_if(moving: &Moving<'_>, from: &Ident, to: &Ident) -> Sql {
    let then = rename(moving, from, to);
    let body = sql(
        include_str!("../if_column.sql").trim_end(),
        &[
            ("table", Hole::Sql(&regclass(&moving.source.name))),
            ("column", Hole::Text(from.as_str())),
            ("then", Hole::Sql(&then)),
        ],
    );
    sql("DO {body}", &[("body", Hole::Body(&body))])
}

/// Returns the steps that drop the old columns; `moving` knows them by their hidden names.
pub(super) fn cleanup(moving: &Moving<'_>, major: u32) -> Vec<Step> {
    let source = &moving.source.name;
    let conditions = vec![sync::condition(moving, Turn::BackAlone), nothing_bound_in(source, &moving.leaving())];
    vec![
        gate(Phase::Cleanup, "the old columns are not used any more", source, conditions, None),
        verify::after_flip(moving, Phase::Cleanup, major),
        keep(moving),
        drop(moving),
    ]
}

/// The key and the old columns under their old names, of rows that hold a value.
fn keep(moving: &Moving<'_>) -> Step {
    let (source, keeps) = (&moving.source.name, moving.names.keeps());
    let key: Vec<Ident> = match moving.source.primary_key() {
        [] => moving.key.iter().map(|pair| pair.from.clone()).collect(),
        key => key.to_vec(),
    };
    let old = moving.old.iter().map(|old| {
        sql("s.{now} AS {then}", &[("now", Hole::Name(&old.hidden)), ("then", Hole::Name(&old.column.name))])
    });
    let columns: Vec<Sql> = named(&key, moving, Of::Source).into_iter().chain(old).collect();
    let create = sql(
        "CREATE TABLE {keeps} AS SELECT {columns} FROM {source} AS s WHERE {any_old}",
        &[
            ("keeps", Hole::Table(&keeps)),
            ("columns", Hole::Join(&columns, ", ")),
            ("source", Hole::Table(source)),
            ("any_old", Hole::Sql(&moving.any_old(Of::Source))),
        ],
    );
    let gone = sql("DROP TABLE IF EXISTS {keeps}", &[("keeps", Hole::Table(&keeps))]);
    Work {
        phase: Phase::Cleanup,
        title: format!("copy the key and the old columns of {source} to {keeps}, which stays until you drop it"),
        action: Action::Snapshot(Snapshot { keeps, create: vec![create], copy: None }),
        facts: &["tab.create_as", "dml.select_window"],
        table: source,
        undo: Undo::Lossless(vec![undo_step(source, &[], vec![gone])]),
    }
    .step()
}

fn drop(moving: &Moving<'_>) -> Step {
    let source = &moving.source.name;
    let mut all = sync::drop_all(moving);
    all.push(drop_columns(source, &moving.leaving()));
    let work = Work {
        phase: Phase::Cleanup,
        title: format!("drop {} and our triggers", listed(moving.leaving().into_iter())),
        action: Action::Sql(all),
        facts: &["trg.drop", "fn.drop", "dropcol.indexed"],
        table: source,
        undo: Undo::Impossible,
    };
    beside(work.step(), on_target(moving, LockMode::AccessExclusive))
}
