//! The flip of a type change: two columns exchange names in one short transaction, and can exchange them back.

use segue_model::ident::{Ident, TableName};
use segue_model::sql::{Hole, Sql};
use segue_model::step::{Action, Condition, Phase, Step, Undo, UndoStep};

use super::faithful::{Bound, Subject};
use super::mirror::Mirror;
use super::pair::if_column;
use super::work::{Work, beside, undo_beside, undo_step, undo_step_if};
use super::{prove, sql, sync};
use crate::operation::Retype;

/// Everything that the exchange needs.
pub(super) struct Swap<'a> {
    /// The change.
    pub(super) retype: &'a Retype<'a>,
    /// Before: the copy follows the column.
    pub(super) forward: &'a Mirror<'a>,
    /// After: what was the column follows it.
    pub(super) reverse: &'a Mirror<'a>,
    /// The copy's name before.
    pub(super) new: &'a Ident,
    /// The old column's name after.
    pub(super) old: &'a Ident,
    /// The CHECK that proves the copy.
    pub(super) proof: Ident,
    /// The CHECK that proves the old column, on the way back.
    pub(super) proof_back: Ident,
    /// What the NOT NULL constraint is called, where it has a name (18).
    pub(super) not_null_name: Option<Ident>,
    /// The column and its copy.
    pub(super) subject: &'a Subject<'a>,
    /// What is bound to the column.
    pub(super) bound: &'a Bound,
    /// That nothing else is bound to the column, before the way back.
    pub(super) nothing_else: Condition,
    /// The range of the new type, where it is of whole numbers.
    pub(super) wide: Option<(i64, i64)>,
}

/// What either exchange does, in one transaction.
const FACTS: &[&str] = &[
    "trg.drop",
    "fn.drop",
    "col.drop_not_null",
    "col.drop_default",
    "tab.rename_column",
    "col.set_not_null_valid_check",
    "con.drop_check",
    "col.set_default",
    "idx.rename",
    "con.drop_fk",
    "con.drop_pk",
    "con.add_pk_using_index",
    "fn.create",
    "trg.create",
    "trg.enable",
];

/// Returns the step.
pub(super) fn step(swap: &Swap<'_>) -> Step {
    let column = &swap.retype.column.name;
    let (before, after) = swap.bound.exchange(swap.subject, swap.wide);
    let mut all = sync::drop(swap.forward);
    all.extend(before);
    all.extend(exchange(swap, swap.old, swap.new, &swap.proof));
    all.extend(after);
    all.extend(sync::create(swap.reverse));
    let work = Work {
        phase: Phase::Flip,
        title: format!("`{column}` and its copy exchange names"),
        action: Action::Sql(all),
        facts: FACTS,
        table: table(swap),
        undo: Undo::Lossless(undo(swap)),
    };
    beside(work.step(), swap.bound.other_locks(swap.subject))
}

/// The old column is proved before it bears the name again, so that no scan runs under the lock: first whoever takes the
/// change back is told of values that do not fit, then no write leaves one behind, then every row is read.
fn undo(swap: &Swap<'_>) -> Vec<UndoStep> {
    let (not_null, column) = (swap.retype.column.not_null, &swap.retype.column.name);
    let (before, after) = swap.bound.exchange_back(swap.subject);
    let mut back = sync::drop(swap.reverse);
    back.extend(before);
    back.extend(exchange(swap, swap.new, swap.old, &swap.proof_back));
    back.extend(after);
    back.extend(sync::create(swap.forward));
    if !not_null {
        back.push(prove::drop_sql(table(swap), &swap.proof_back));
    }
    let back = vec![if_column(swap.reverse, swap.old, &back)];
    let add = match not_null {
        true => prove::add_sql(table(swap), (swap.old, &swap.reverse.new[0].kind), &swap.proof_back),
        false => prove::add_along_sql(table(swap), swap.old, column, &swap.proof_back),
    };
    let prove = [prove::drop_sql(table(swap), &swap.proof_back), add];
    let validate = [prove::validate_sql(table(swap), &swap.proof_back)];
    let fits = [fits(swap), swap.nothing_else.clone()].into_iter().chain(swap.bound.own.sequence_fits()).collect();
    let mut all = vec![
        undo_step_if(table(swap), &["dml.select_window"], vec![], fits),
        undo_step(
            table(swap),
            &["con.drop_check", "con.add_check_nv"],
            vec![if_column(swap.reverse, swap.old, &prove)],
        ),
        undo_step(table(swap), &["con.validate_check"], vec![if_column(swap.reverse, swap.old, &validate)]),
    ];
    all.extend(swap.bound.rebuilt(swap.subject));
    all.push(undo_beside(undo_step(table(swap), FACTS, back), swap.bound.other_locks(swap.subject)));
    all
}

/// Returns the statements after which the column's name belongs to `comes`, and what had it is `goes`.
fn exchange(swap: &Swap<'_>, goes: &Ident, comes: &Ident, proof: &Ident) -> Vec<Sql> {
    let (table, column) = (table(swap), &swap.retype.column.name);
    let (not_null, default) = (swap.retype.column.not_null, swap.retype.column.default.as_deref());
    let mut all = vec![];
    if not_null {
        all.push(prove::drop_not_null(table, column));
    }
    if default.is_some() {
        all.push(prove::drop_default(table, column));
    }
    all.push(rename(table, column, goes));
    all.push(rename(table, comes, column));
    if not_null {
        all.push(set_not_null(swap));
        all.push(prove::drop_sql(table, proof));
    }
    all.extend(default.map(|printed| prove::set_default(table, column, &Sql::of_catalog(printed))));
    all
}

fn set_not_null(swap: &Swap<'_>) -> Sql {
    let (table, column) = (table(swap), &swap.retype.column.name);
    match &swap.not_null_name {
        Some(name) => sql(
            "ALTER TABLE {table} ADD CONSTRAINT {name} NOT NULL {column}",
            &[("table", Hole::Table(table)), ("name", Hole::Name(name)), ("column", Hole::Name(column))],
        ),
        None => prove::set_not_null(table, column),
    }
}

fn rename(table: &TableName, from: &Ident, to: &Ident) -> Sql {
    sql(
        "ALTER TABLE {table} RENAME COLUMN {from} TO {to}",
        &[("table", Hole::Table(table)), ("from", Hole::Name(from)), ("to", Hole::Name(to))],
    )
}

/// Returns the condition that every value has come along: one that does not fit the old type left it NULL.
fn fits(swap: &Swap<'_>) -> Condition {
    let column = &swap.retype.column.name;
    Condition {
        sql: sql(
            "SELECT pg_catalog.count(*) || ' rows hold a value that does not fit the old type' FROM {table} \
             WHERE {column} IS NOT NULL AND {old} IS NULL HAVING pg_catalog.count(*) > 0",
            &[("table", Hole::Table(table(swap))), ("column", Hole::Name(column)), ("old", Hole::Name(swap.old))],
        ),
        says: format!("every value of `{column}` fits {}", swap.retype.column.type_name),
        hint: "Go forward with `segue contract`, or give these rows values that fit first.".to_owned(),
    }
}

fn table<'a>(swap: &Swap<'a>) -> &'a TableName {
    &swap.retype.table.name
}
