//! How the old shape is hidden, and at last dropped.

use segue_model::ident::{Ident, TableName};
use segue_model::sql::{Hole, Sql};
use segue_model::step::{Action, Asks, Condition, Gate, Phase, Snapshot, Step, Undo};

use super::backfill::cut;
use super::mirror::{Derived, Mirror};
use super::names::{Names, hidden};
use super::rebuild::emptied_and_dropped;
use super::sql;
use super::sync::{self, Trigger};
use super::verify;
use super::work::{Work, undo_step};

/// Returns the mirror as it is once the old columns are hidden.
pub(super) fn after_hiding<'a>(mirror: &Mirror<'a>) -> Mirror<'a> {
    let renamed = mirror.old.iter().map(|old| (old.name.clone(), hidden(&old.name))).collect();
    Mirror { renamed, ..mirror.clone() }
}

/// Returns flip and contract of a pair.
pub(super) fn pair(mirror: &Mirror<'_>, names: &Names) -> Vec<Step> {
    let conditions = verify::conditions(mirror, names);
    let table = mirror.name();
    vec![
        gate(table, Phase::Flip, "the sync is as it was planned", conditions.clone(), None),
        gate(
            table,
            Phase::Contract,
            "nothing uses the old columns any more",
            conditions,
            Some(Asks::OldVersionStopped),
        ),
        hide(mirror),
    ]
}

/// Returns flip, contract and cleanup of a column that is filled.
pub(super) fn fill(mirror: &Mirror<'_>, names: &Names) -> Vec<Step> {
    let triggers = sync::fill_triggers(mirror, names);
    let table = mirror.name();
    let mut steps = vec![];
    if mirror.new.iter().any(|new| new.not_null) {
        let conditions = sync::there(&triggers, &triggers);
        let title = "nothing inserts without the new column any more";
        steps.push(gate(table, Phase::Contract, title, conditions, Some(Asks::OldVersionStopped)));
    }
    steps.extend(set_not_null(mirror, Phase::Contract));
    steps.push(drop_triggers(table, &triggers));
    steps
}

/// Returns a gate.
pub(super) fn gate(
    table: &TableName,
    phase: Phase,
    title: &str,
    conditions: Vec<Condition>,
    asks: Option<Asks>,
) -> Step {
    Work {
        phase,
        title: title.to_owned(),
        action: Action::Gate(Gate { conditions, asks }),
        facts: &["read"],
        table,
        undo: Undo::Nothing,
    }
    .step()
}

/// Returns the step that hides the old columns. The triggers follow by themselves: SQLite rewrites their texts in the same transaction.
pub(super) fn hide(mirror: &Mirror<'_>) -> Step {
    let table = mirror.name();
    let there = mirror.old.iter().map(|old| rename(table, &old.name, &hidden(&old.name))).collect();
    let back = mirror.old.iter().map(|old| rename(table, &hidden(&old.name), &old.name)).collect();
    let names: Vec<String> = mirror.old.iter().map(|old| format!("`{}`", old.name)).collect();
    Work {
        phase: Phase::Contract,
        title: format!(
            "hide {}: each becomes `…_deprecated`{}",
            names.join(", "),
            if mirror.new.is_empty() { "" } else { ", still in sync" }
        ),
        action: Action::Sql(there),
        facts: &["col.rename"],
        table,
        undo: Undo::Lossless(vec![undo_step(table, &["col.rename"], back)]),
    }
    .step()
}

pub(super) fn rename(table: &TableName, from: &Ident, to: &Ident) -> Sql {
    sql(
        "ALTER TABLE {table} RENAME COLUMN {from} TO {to}",
        &[("table", Hole::Table(table)), ("from", Hole::Name(from)), ("to", Hole::Name(to))],
    )
}

/// Returns the step that keeps a copy of the old columns.
///
/// The copy has no declared types, so every value stays as it is; it is made by windows, because one statement would keep
/// every writer out until it ends.
pub(super) fn snapshot(mirror: &Mirror<'_>, names: &Names) -> Step {
    let table = mirror.name();
    let keeps = names.keep();
    let rowid = Ident::known("segue_rowid");
    let columns = kept(mirror);
    let from: Vec<Ident> = columns.iter().map(|(from, _)| from.clone()).collect();
    let to: Vec<Ident> = columns.into_iter().map(|(_, to)| to).collect();
    let create = sql(
        "CREATE TABLE IF NOT EXISTS {keeps} ({rowid} INTEGER PRIMARY KEY, {columns})",
        &[("keeps", Hole::Table(&keeps)), ("rowid", Hole::Name(&rowid)), ("columns", Hole::Names(to.iter().collect()))],
    );
    let copy = sql(
        "INSERT OR REPLACE INTO {keeps} SELECT {rowid}, {columns} FROM {table} WHERE {window}",
        &[
            ("keeps", Hole::Table(&keeps)),
            ("rowid", Hole::Name(&mirror.rowid)),
            ("columns", Hole::Names(from.iter().collect())),
            ("table", Hole::Table(table)),
            ("window", Hole::Sql(&mirror.window())),
        ],
    );
    Work {
        phase: Phase::Cleanup,
        title: format!("keep a copy of the old columns in `{}`", keeps.name),
        undo: Undo::Lossless(emptied_and_dropped(&keeps, &rowid)),
        action: Action::Snapshot(Snapshot { keeps, create: vec![create], copy: Some((cut(mirror), copy)) }),
        facts: &["dml.copy_window"],
        table,
    }
    .step()
}

/// The key and the old columns, as they are called now and in the copy.
fn kept(mirror: &Mirror<'_>) -> Vec<(Ident, Ident)> {
    let key = mirror.table.primary_key().iter().map(|column| (column.clone(), column.clone()));
    let old = mirror.old.iter().map(|old: &Derived| (hidden(&old.name), old.name.clone()));
    key.chain(old).collect()
}

/// Returns the step that ends the sync.
pub(super) fn drop_triggers(table: &TableName, triggers: &[Trigger]) -> Step {
    Work {
        phase: Phase::Cleanup,
        title: "end the sync".to_owned(),
        action: Action::Sql(sync::drops(triggers)),
        facts: &["trig.drop"],
        table,
        undo: Undo::Impossible,
    }
    .step()
}

/// Returns the steps that make those new columns NOT NULL which end so.
pub(super) fn set_not_null(mirror: &Mirror<'_>, phase: Phase) -> Vec<Step> {
    mirror.new.iter().filter(|new| new.not_null).map(|new| set_not_null_of(mirror.name(), &new.name, phase)).collect()
}

/// Returns the statement that makes a column NOT NULL.
pub(super) fn not_null(table: &TableName, column: &Ident) -> Sql {
    sql(
        "ALTER TABLE {table} ALTER COLUMN {column} SET NOT NULL",
        &[("table", Hole::Table(table)), ("column", Hole::Name(column))],
    )
}

fn set_not_null_of(table: &TableName, column: &Ident, phase: Phase) -> Step {
    let back = sql(
        "ALTER TABLE {table} ALTER COLUMN {column} DROP NOT NULL",
        &[("table", Hole::Table(table)), ("column", Hole::Name(column))],
    );
    Work {
        phase,
        title: format!("`{column}` is NOT NULL from now on"),
        action: Action::Sql(vec![not_null(table, column)]),
        facts: &["notnull.set"],
        table,
        undo: Undo::Lossless(vec![undo_step(table, &["notnull.drop"], vec![back])]),
    }
    .step()
}
