//! What a rollback keeps: rows of which the new columns hold more than the old ones can.

use segue_model::ident::Ident;
use segue_model::sql::Hole;
use segue_model::step::{Kept, UndoStep, Windows};

use super::backfill::cut;
use super::mirror::{Mirror, Of};
use super::names::Names;
use super::sql;
use super::work::undo_step;

/// Returns the part of an undo that copies them, before the sync ends and the new columns go.
///
/// The copy has no declared types, so every value stays as it is. It is made by windows: which rows hold more is only known
/// when every row was looked at.
pub(super) fn step(mirror: &Mirror<'_>, names: &Names) -> UndoStep {
    let table = names.rescue();
    let (copy, rowid) = (("copy", Hole::Table(&table)), Ident::known("segue_rowid"));
    let drop = sql("DROP TABLE IF EXISTS {copy}", &[("copy", Hole::Table(&table))]);
    let columns: Vec<&Ident> =
        mirror.table.primary_key().iter().chain(mirror.new.iter().map(|new| &new.name)).collect();
    let create = sql(
        "CREATE TABLE {copy} ({rowid} INTEGER PRIMARY KEY, {columns})",
        &[("copy", Hole::Table(&table)), ("rowid", Hole::Name(&rowid)), ("columns", Hole::Names(columns.clone()))],
    );
    let fill = sql(
        "INSERT OR REPLACE INTO {copy} SELECT {rowid}, {columns} FROM {table} \
         WHERE {window} AND NOT ({absent}) AND NOT ({follows})",
        &[
            copy,
            ("rowid", Hole::Name(&mirror.rowid)),
            ("columns", Hole::Names(columns)),
            ("table", Hole::Table(mirror.name())),
            ("window", Hole::Sql(&mirror.window())),
            ("absent", Hole::Sql(&mirror.absent(Of::Row))),
            ("follows", Hole::Sql(&mirror.follows(Of::Row, &mirror.new))),
        ],
    );
    let kept = Kept {
        count: sql("SELECT count(*) FROM {copy}", &[("copy", Hole::Table(&table))]),
        drop_empty: drop.clone(),
        table: table.clone(),
    };
    UndoStep {
        keeps: Some(kept),
        windows: Some(Windows { cut: cut(mirror), sql: fill }),
        ..undo_step(mirror.name(), &["dml.copy_window"], vec![drop, create])
    }
}
