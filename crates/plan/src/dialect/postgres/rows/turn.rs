//! The step in which the direction turns, and the way back.

use segue_model::ident::Ident;
use segue_model::lock::LockMode;
use segue_model::sql::{Hole, Sql};
use segue_model::step::{Action, Condition, Phase, Step, Undo, UndoStep};

use super::moving::{Leaving, Moving, Of};
use super::sync::{self, Turn, on_target};
use crate::dialect::postgres::work::{Work, beside, undo_beside, undo_step, undo_step_if};
use crate::dialect::postgres::{prove, sql};

/// Returns the step. New code leaves the old columns out, so these must take NULL from then on, and have no default that would
/// look like a value of old code.
pub(super) fn step(moving: &Moving<'_>) -> Step {
    let source = &moving.source.name;
    let mut all = vec![];
    for old in &moving.old {
        all.extend(old.column.not_null.then(|| prove::drop_not_null(source, &old.column.name)));
        all.extend(old.column.default.is_some().then(|| prove::drop_default(source, &old.column.name)));
    }
    let facts: &'static [&'static str] = match all.is_empty() {
        true => &["fn.replace", "trg.enable"],
        false => &["fn.replace", "trg.enable", "col.drop_not_null", "col.drop_default"],
    };
    all.push(sync::late(moving));
    all.extend(sync::enable(moving, Turn::Back, &[source, &moving.target]));
    let work = Work {
        phase: Phase::Flip,
        title: format!("let rows of {} write those of {source} from here on", moving.target),
        action: Action::Sql(all),
        facts,
        table: source,
        undo: Undo::Lossless(undo(moving)),
    };
    beside(work.step(), on_target(moving, LockMode::ShareRowExclusive))
}

/// NOT NULL is proved before it is set again, so that no scan runs under the lock: first whoever takes the flip back is told of
/// rows that have no value, then no write leaves one behind, then every row is read.
fn undo(moving: &Moving<'_>) -> Vec<UndoStep> {
    let source = &moving.source.name;
    let required: Vec<&Leaving<'_>> = moving.old.iter().filter(|old| old.column.not_null).collect();
    let check = |old: &Leaving<'_>| moving.names.check(&old.column.name);
    let mut parts = vec![];
    if !required.is_empty() {
        parts.push(undo_step_if(source, &["dml.select_window"], vec![], vec![all_there(moving, &required)]));
        let add = required.iter().flat_map(|old| {
            let check = check(old);
            [prove::drop_sql(source, &check), prove::add_sql(source, (&old.column.name, &old.kind), &check)]
        });
        parts.push(undo_step(source, &["con.drop_check", "con.add_check_nv"], add.collect()));
        let validate = required.iter().map(|old| prove::validate_sql(source, &check(old)));
        parts.push(undo_step(source, &["con.validate_check"], validate.collect()));
    }
    let mut all: Vec<Sql> = sync::enable(moving, Turn::Forward, &[source, &moving.target]);
    all.push(sync::forward(moving));
    for old in &moving.old {
        let name = &old.column.name;
        all.extend(old.column.not_null.then(|| prove::settle(source, name, &check(old))).into_iter().flatten());
        let default = old.column.default.as_deref();
        all.extend(default.map(|printed| prove::set_default(source, name, &Sql::of_catalog(printed))));
    }
    let facts: &'static [&'static str] =
        match moving.old.iter().any(|old| old.column.not_null || old.column.default.is_some()) {
            true => &["fn.replace", "trg.enable", "col.set_not_null_valid_check", "con.drop_check", "col.set_default"],
            false => &["fn.replace", "trg.enable"],
        };
    parts.push(undo_beside(undo_step(source, facts, all), on_target(moving, LockMode::ShareRowExclusive)));
    parts
}

/// Returns the condition that every row has a value in the columns that must have one.
fn all_there(moving: &Moving<'_>, required: &[&Leaving<'_>]) -> Condition {
    let nulls = required.iter().map(|old| old.kind.is_null(&moving.column(Of::Source, &old.column.name)));
    let nulls: Vec<Sql> = nulls.collect();
    let names: Vec<&Ident> = required.iter().map(|old| &old.column.name).collect();
    Condition {
        sql: sql(
            "SELECT pg_catalog.count(*) || ' rows have no row in the new table, and must have an old value' \
             FROM {source} AS s WHERE {nulls} HAVING pg_catalog.count(*) OPERATOR(pg_catalog.>) 0",
            &[("source", Hole::Table(&moving.source.name)), ("nulls", Hole::Join(&nulls, " OR "))],
        ),
        says: format!("each row has a value in {}", crate::figures::listed(names.into_iter())),
        hint: format!("Go forward with `segue contract`, or write rows of {} for these first.", moving.target),
    }
}
