//! What only the new shape holds outlives a rollback: it is copied before the triggers and the columns go.

use segue_model::ident::Ident;
use segue_model::sql::{Hole, Sql};
use segue_model::step::{Kept, UndoStep};

use super::mirror::{Mirror, Of};
use super::sql;
use super::work::undo_step;

/// Returns the transaction that makes the copy. Nobody waits for it, so it takes its time; repeated, it begins anew.
pub(super) fn undo(mirror: &Mirror<'_>) -> UndoStep {
    let table = mirror.names.keeps_new();
    let drop_empty = sql("DROP TABLE IF EXISTS {keeps}", &[("keeps", Hole::Table(&table))]);
    let create = sql(
        include_str!("keep.sql").trim_end(),
        &[
            ("keeps", Hole::Table(&table)),
            ("columns", Hole::Join(&columns(mirror), ", ")),
            ("table", Hole::Table(mirror.table())),
            ("absent", Hole::Sql(&mirror.absent(Of::Row))),
            ("differs", Hole::Sql(&mirror.differs(Of::Row, &mirror.new))),
        ],
    );
    let count = sql("SELECT pg_catalog.count(*) FROM {keeps}", &[("keeps", Hole::Table(&table))]);
    UndoStep {
        keeps: Some(Kept { table, count, drop_empty: drop_empty.clone() }),
        ..undo_step(mirror.table(), &["tab.create_as", "dml.select_window"], vec![drop_empty, create])
    }
}

/// Returns what the undo loses where the old shape cannot hold it, in a user's words.
pub(super) fn loses(mirror: &Mirror<'_>) -> String {
    let columns: Vec<String> = mirror.new.iter().map(|derived| format!("`{}`", derived.column)).collect();
    format!("values of {} that the old columns cannot hold; a copy of these rows is kept", columns.join(", "))
}

/// The key and the new columns; without a key everything, so that a row can be told.
fn columns(mirror: &Mirror<'_>) -> Vec<Sql> {
    let key = mirror.table.primary_key();
    let others: Vec<&Ident> =
        if key.is_empty() { mirror.table.columns.iter().map(|c| &c.name).collect() } else { key.iter().collect() };
    let new = mirror.new.iter().map(|derived| &derived.column);
    others.into_iter().chain(new).map(|name| mirror.column(Of::Row, name)).collect()
}
