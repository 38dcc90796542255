//! How the old shape goes: shown right once more, copied, then dropped.
//!
//! Where a table can be gone through by its primary key, the copy is made by windows, and *after* the sync has ended. While
//! the triggers are there every write through the new columns changes the old ones too, so what a window had copied would be
//! out of date by the time of the drop, and to look for such rows again would need every row read under the lock. Once they
//! are gone nobody writes the old columns any more: code that knows them has been gone since contract, and what writes the
//! new ones leaves them as they are. Then the order in which rows are copied does not matter, and the copy is what the old
//! columns held at one moment, that at which the sync ended, which is also what is dropped. Of rows written later:
//!
//! - an inserted one has NULL in every old column, and rows without an old value are left out of the copy;
//! - an updated one keeps its old values, and is copied with them;
//! - a deleted one is in the copy when its window came first, and takes nothing along that somebody could still ask for;
//! - one whose key changes is copied under the key at which a window finds it, perhaps under both; where another row has taken
//!   the key that it was copied under, what that row holds takes its place. No number of passes ends that while an application
//!   goes on changing keys. So one pass brings nearly all rows over, and then one statement, in one snapshot, what has another
//!   key by then: it reads every row, writes few, and leaves the copy as one made by a single statement would be.
//!
//! What NULL and values of before would be refused by goes with the sync: NOT NULL, and every unique index over an old column.
//! New code writes other values beside the old ones, and such an index would compare them still. It would go with the column.
//!
//! With the end of the sync the way back is closed, as it is by a drop: a run that is killed after it goes on where it was.

use segue_model::catalog::Column;
use segue_model::ident::Ident;
use segue_model::sql::{Hole, Sql};
use segue_model::step::{Action, Backfill, Phase, Snapshot, Step, Undo};

use super::cut::{Windows, by_primary_key};
use super::mirror::{Derived, Kind, Mirror, Of, regclass};
use super::work::{Work, undo_step};
use super::{gates, native, prove, sql, sync, verify};

/// What goes, and under which name it is kept.
pub(super) struct Going<'a> {
    /// The column's name now.
    pub(super) now: &'a Ident,
    /// Its name in the copy.
    pub(super) kept_as: &'a Ident,
}

/// Returns the steps that drop the old columns, with `settle` (NOT NULL, defaults, checks) in the transaction that ends the
/// sync.
pub(super) fn steps(mirror: &Mirror<'_>, going: &[Going<'_>], settle: Vec<Sql>, major: u32) -> Vec<Step> {
    let now: Vec<&Ident> = going.iter().map(|column| column.now).collect();
    let conditions = vec![sync::condition(mirror), gates::nothing_bound(mirror, &now)];
    let mut steps = vec![
        gates::gate(Phase::Cleanup, "the old columns are not used any more", mirror.table(), conditions, None),
        verify::step(mirror, Phase::Cleanup, major),
    ];
    match by_windows(mirror) {
        Ok(windows) => steps.extend([
            end_sync(mirror, &now, settle),
            create_empty(mirror, going),
            fill(mirror, going, windows),
            copy_rest(mirror, going),
            drop(mirror, &now),
        ]),
        Err(why) => steps.extend([copy_whole(mirror, going, why), drop_with_sync(mirror, &now, settle)]),
    }
    steps
}

/// Returns the steps that copy and drop columns which follow from none and to which none follows: there is no sync to end.
pub(super) fn copied_and_dropped(mirror: &Mirror<'_>, going: &[Going<'_>]) -> Vec<Step> {
    let now: Vec<&Ident> = going.iter().map(|column| column.now).collect();
    match by_windows(mirror) {
        Ok(windows) => vec![
            create_empty(mirror, going),
            fill(mirror, going, windows),
            copy_rest(mirror, going),
            drop(mirror, &now),
        ],
        Err(why) => vec![copy_whole(mirror, going, why), drop(mirror, &now)],
    }
}

/// Returns the windows of the copy, or why it is made by one statement.
fn by_windows(mirror: &Mirror<'_>) -> Result<Windows, &'static str> {
    if mirror.table.primary_key().is_empty() {
        return Err("it has no primary key");
    }
    if let Some(why) = needs_values(mirror) {
        return Err(why);
    }
    by_primary_key(mirror).ok_or("its primary key cannot be cut into windows")
}

/// Returns why rows of new code must not leave the old columns NULL, which they do between the end of the sync and the drop.
fn needs_values(mirror: &Mirror<'_>) -> Option<&'static str> {
    let domain = mirror.old.iter().any(|derived| derived.kind.class == 'd');
    domain.then_some("a domain may refuse NULL in an old column")
}

/// Both kinds of copy are named alike and go alike.
fn keep(mirror: &Mirror<'_>, title: String, create: Vec<Sql>, facts: &'static [&'static str]) -> Step {
    let keeps = mirror.names.keeps();
    // Until the drop the copy is worth nothing: what takes it away lets a later run make a fresh one.
    let gone = sql("DROP TABLE IF EXISTS {keeps}", &[("keeps", Hole::Table(&keeps))]);
    Work {
        phase: Phase::Cleanup,
        title,
        action: Action::Snapshot(Snapshot { keeps, create, copy: None }),
        facts,
        table: mirror.table(),
        undo: Undo::Lossless(vec![undo_step(mirror.table(), &[], vec![gone])]),
    }
    .step()
}

fn copy_whole(mirror: &Mirror<'_>, going: &[Going<'_>], why: &str) -> Step {
    let (table, keeps) = (mirror.table(), mirror.names.keeps());
    let what = if mirror.table.primary_key().is_empty() { "every column" } else { "the key and the old columns" };
    let title = format!("copy {what} of {table} in one statement ({why}) to {keeps}, which stays until you drop it");
    let create = create(mirror, going, "CREATE TABLE {keeps} AS SELECT {columns} FROM {table}");
    keep(mirror, title, vec![create], &["tab.create_as", "dml.select_window"])
}

fn create_empty(mirror: &Mirror<'_>, going: &[Going<'_>]) -> Step {
    let (table, keeps) = (mirror.table(), mirror.names.keeps());
    let title =
        format!("create {keeps}, empty, for the key and the old columns of {table}; it stays until you drop it");
    let key = mirror.table.primary_key().iter().collect();
    let create = vec![
        create(mirror, going, "CREATE TABLE {keeps} AS SELECT {columns} FROM {table} WITH NO DATA"),
        sql(
            "ALTER TABLE {keeps} ADD PRIMARY KEY ({key})",
            &[("keeps", Hole::Table(&keeps)), ("key", Hole::Names(key))],
        ),
    ];
    keep(mirror, title, create, &["tab.create_as_empty"])
}

fn create(mirror: &Mirror<'_>, going: &[Going<'_>], template: &'static str) -> Sql {
    let (keeps, columns) = (mirror.names.keeps(), kept_columns(mirror, going));
    let holes = [
        ("keeps", Hole::Table(&keeps)),
        ("columns", Hole::Join(&columns, ", ")),
        ("table", Hole::Table(mirror.table())),
    ];
    sql(template, &holes)
}

fn fill(mirror: &Mirror<'_>, going: &[Going<'_>], Windows { cut, window }: Windows) -> Step {
    let (table, keeps) = (mirror.table(), mirror.names.keeps());
    let rows =
        sql("{window} AND {present}", &[("window", Hole::Sql(&window)), ("present", Hole::Sql(&present(mirror)))]);
    let (before, fill, fill_unlocked) = (vec![], copy(mirror, going, &rows), None);
    let (failures, pace, lazy, once) = (None, None, false, true);
    Work {
        phase: Phase::Cleanup,
        title: format!("copy the key and the old columns of {table} to {keeps}"),
        action: Action::Backfill(Backfill { cut, before, fill, fill_unlocked, failures, pace, lazy, once }),
        facts: &["dml.copy_window"],
        table,
        undo: Undo::Nothing,
    }
    .step()
}

fn copy_rest(mirror: &Mirror<'_>, going: &[Going<'_>]) -> Step {
    Work {
        phase: Phase::Cleanup,
        title: format!("copy to {} what has another key since its window", mirror.names.keeps()),
        action: Action::Sql(vec![copy(mirror, going, &present(mirror))]),
        facts: &["dml.copy_rest"],
        table: mirror.table(),
        undo: Undo::Nothing,
    }
    .step()
}

/// Nobody changes what a row is copied from. But its key may be another row's by now: a key that is there already takes what
/// the row that bears it holds.
fn copy(mirror: &Mirror<'_>, going: &[Going<'_>], rows: &Sql) -> Sql {
    let (table, keeps) = (mirror.table(), mirror.names.keeps());
    let columns = kept_columns(mirror, going);
    let key: Vec<&Ident> = mirror.table.primary_key().iter().collect();
    let names = key.iter().copied().chain(going.iter().map(|column| column.kept_as)).collect();
    let each = |template: &'static str| -> Vec<Sql> {
        going.iter().map(|column| sql(template, &[("c", Hole::Name(column.kept_as))])).collect()
    };
    sql(
        include_str!("cleanup/copy.sql").trim_end(),
        &[
            ("keeps", Hole::Table(&keeps)),
            ("names", Hole::Names(names)),
            ("columns", Hole::Join(&columns, ", ")),
            ("table", Hole::Table(table)),
            ("rows", Hole::Sql(rows)),
            ("key", Hole::Names(key)),
            ("takes", Hole::Join(&each("{c} = EXCLUDED.{c}"), ", ")),
            ("is", Hole::Join(&each("kept.{c}"), ", ")),
            ("comes", Hole::Join(&each("EXCLUDED.{c}"), ", ")),
        ],
    )
}

/// Returns the condition that a row holds an old value.
fn present(mirror: &Mirror<'_>) -> Sql {
    let each = old(mirror).iter().map(|derived| derived.kind.is_not_null(&mirror.column(Of::Row, &derived.column)));
    let each: Vec<Sql> = each.collect();
    sql("({each})", &[("each", Hole::Join(&each, " OR "))])
}

/// Returns the old columns: after a swap of names it is the old one that follows.
fn old<'m>(mirror: &'m Mirror<'_>) -> &'m [Derived] {
    match mirror.kind {
        Kind::TwoWay => &mirror.old,
        Kind::Follow | Kind::Fill => &mirror.new,
    }
}

/// The key and the old columns under their old names; without a key everything, so that a row can be told.
fn kept_columns(mirror: &Mirror<'_>, going: &[Going<'_>]) -> Vec<Sql> {
    let key = mirror.table.primary_key();
    let old = |name: &Ident| going.iter().any(|column| column.kept_as == name || column.now == name);
    let others: Vec<&Ident> = if key.is_empty() {
        let new = mirror.new.iter().map(|derived| &derived.column);
        mirror.table.columns.iter().map(|column| &column.name).chain(new).filter(|name| !old(name)).collect()
    } else {
        key.iter().collect()
    };
    let others = others.into_iter().map(|name| mirror.column(Of::Row, name));
    let dropped = going
        .iter()
        .map(|column| sql("{now} AS {then}", &[("now", Hole::Name(column.now)), ("then", Hole::Name(column.kept_as))]));
    others.chain(dropped).collect()
}

/// What new code leaves out of the old columns is NULL from here on, which they must take: in one transaction, because
/// without the triggers an old NOT NULL would refuse the new code's rows, and a unique index would compare values of before.
fn end_sync(mirror: &Mirror<'_>, columns: &[&Ident], settle: Vec<Sql>) -> Step {
    let mut all = sync::drop(mirror);
    all.push(drop_unique(mirror, columns));
    all.extend(open(mirror));
    all.extend(settle);
    Work {
        phase: Phase::Cleanup,
        title: format!(
            "end the sync: nothing changes {} from here on, and no unique index compares what is left there",
            listed(columns)
        ),
        action: Action::Sql(all),
        facts: &[
            "trg.drop",
            "fn.drop",
            "idx.drop",
            "col.drop_not_null",
            "col.drop_default",
            "col.set_not_null_valid_check",
            "con.drop_check",
            "col.set_default",
        ],
        table: mirror.table(),
        undo: Undo::Impossible,
    }
    .step()
}

/// Returns the statement that drops the unique indexes over the old columns: those that are there when it runs, since one may
/// have been made after the plan.
fn drop_unique(mirror: &Mirror<'_>, columns: &[&Ident]) -> Sql {
    let names: Vec<Sql> = columns.iter().map(|c| sql("{c}", &[("c", Hole::Text(c.as_str()))])).collect();
    let body = sql(
        include_str!("cleanup/drop_unique.sql").trim_end(),
        &[("table", Hole::Sql(&regclass(mirror.table()))), ("columns", Hole::Join(&names, ", "))],
    );
    sql("DO {body}", &[("body", Hole::Body(&body))])
}

/// Returns the statements that take NOT NULL and the default from the old columns.
fn open(mirror: &Mirror<'_>) -> Vec<Sql> {
    let table = mirror.table();
    let of = |column: &Column| {
        let now = mirror.renamed.get(&column.name).unwrap_or(&column.name);
        let not_null = column.not_null.then(|| prove::drop_not_null(table, now));
        let default = column.default.is_some().then(|| prove::drop_default(table, now));
        not_null.into_iter().chain(default)
    };
    let is_old = |column: &&Column| mirror.old.iter().any(|derived| derived.column == column.name);
    mirror.table.columns.iter().filter(is_old).flat_map(of).collect()
}

fn drop(mirror: &Mirror<'_>, columns: &[&Ident]) -> Step {
    Work {
        phase: Phase::Cleanup,
        title: format!("drop {}", listed(columns)),
        action: Action::Sql(vec![native::drop_columns(mirror.table(), columns)]),
        facts: &["dropcol.indexed"],
        table: mirror.table(),
        undo: Undo::Impossible,
    }
    .step()
}

/// In one transaction, because an old NOT NULL column without its trigger would refuse the new code's rows.
fn drop_with_sync(mirror: &Mirror<'_>, columns: &[&Ident], settle: Vec<Sql>) -> Step {
    let mut all = sync::drop(mirror);
    all.extend(settle);
    all.push(native::drop_columns(mirror.table(), columns));
    Work {
        phase: Phase::Cleanup,
        title: format!("drop {} and the sync triggers", listed(columns)),
        action: Action::Sql(all),
        facts: &[
            "trg.drop",
            "fn.drop",
            "col.set_not_null_valid_check",
            "con.drop_check",
            "col.set_default",
            "dropcol.indexed",
        ],
        table: mirror.table(),
        undo: Undo::Impossible,
    }
    .step()
}

fn listed(columns: &[&Ident]) -> String {
    columns.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}
