//! How the old shape goes: shown right once more, copied, then dropped in one short transaction.

use segue_model::ident::Ident;
use segue_model::sql::{Hole, Sql};
use segue_model::step::{Action, Phase, Snapshot, Step, Transaction, Undo, UndoStep};

use super::mirror::{Mirror, Of};
use super::work::Work;
use super::{gates, native, sql, sync, verify};

/// What goes, and under which name it is kept.
pub(super) struct Going<'a> {
    /// The column's name now.
    pub(super) now: &'a Ident,
    /// Its name in the copy.
    pub(super) kept_as: &'a Ident,
}

/// Returns the steps that drop the old columns, with `settle` (NOT NULL, defaults, checks) in the same transaction.
///
/// In one transaction, because an old NOT NULL column without its trigger would refuse the new code's rows.
pub(super) fn steps(mirror: &Mirror<'_>, going: &[Going<'_>], settle: Vec<Sql>, major: u32) -> Vec<Step> {
    let now: Vec<&Ident> = going.iter().map(|column| column.now).collect();
    let conditions = vec![sync::condition(mirror), gates::nothing_bound(mirror, &now)];
    vec![
        gates::gate(Phase::Cleanup, "the old columns are not used any more", mirror.table(), conditions, None),
        verify::step(mirror, Phase::Cleanup, major),
        keep(mirror, going),
        drop(mirror, &now, settle),
    ]
}

fn keep(mirror: &Mirror<'_>, going: &[Going<'_>]) -> Step {
    let keeps = mirror.names.keeps();
    let columns = kept_columns(mirror, going);
    let create = sql(
        "CREATE TABLE {keeps} AS SELECT {columns} FROM {table}",
        &[
            ("keeps", Hole::Table(&keeps)),
            ("columns", Hole::Join(&columns, ", ")),
            ("table", Hole::Table(mirror.table())),
        ],
    );
    let title = match mirror.table.primary_key() {
        [] => format!(
            "copy every column of {} (it has no primary key) to {keeps}, which stays until you drop it",
            mirror.table()
        ),
        _ => {
            format!("copy the key and the old columns of {} to {keeps}, which stays until you drop it", mirror.table())
        }
    };
    // Until the drop the copy is worth nothing: a rollback takes it away, so that a later cleanup makes a fresh one.
    let gone = sql("DROP TABLE IF EXISTS {keeps}", &[("keeps", Hole::Table(&keeps))]);
    let undo = UndoStep {
        sql: vec![gone],
        conditions: vec![],
        locks: vec![],
        transaction: Transaction::Own,
        tries: None,
        keeps: None,
    };
    Work {
        phase: Phase::Cleanup,
        title,
        action: Action::Snapshot(Snapshot { keeps, create: vec![create], copy: None }),
        facts: &["tab.create_as"],
        table: mirror.table(),
        undo: Undo::Lossless(vec![undo]),
    }
    .step()
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

fn drop(mirror: &Mirror<'_>, columns: &[&Ident], settle: Vec<Sql>) -> Step {
    let names: Vec<String> = columns.iter().map(|name| format!("`{name}`")).collect();
    let mut all = sync::drop(mirror);
    all.extend(settle);
    all.push(native::drop_columns(mirror.table(), columns));
    Work {
        phase: Phase::Cleanup,
        title: format!("drop {} and the sync triggers", names.join(", ")),
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
