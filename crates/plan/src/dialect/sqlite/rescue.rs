//! What a rollback keeps: rows of which the new columns hold more than the old ones can.

use segue_model::ident::Ident;
use segue_model::sql::Hole;
use segue_model::step::{Kept, UndoStep};

use super::mirror::{Mirror, Of};
use super::names::Names;
use super::sql;
use super::work::undo_step;

/// Returns the transaction that copies them, before the sync ends and the new columns go. It may be repeated.
pub(super) fn step(mirror: &Mirror<'_>, names: &Names) -> UndoStep {
    let table = names.rescue();
    let drop = sql("DROP TABLE IF EXISTS {copy}", &[("copy", Hole::Table(&table))]);
    let columns: Vec<&Ident> =
        mirror.table.primary_key().iter().chain(mirror.new.iter().map(|new| &new.name)).collect();
    let create = sql(
        "CREATE TABLE {copy} AS SELECT {rowid} AS segue_rowid, {columns} FROM {table} WHERE NOT ({absent}) AND NOT ({follows})",
        &[
            ("copy", Hole::Table(&table)),
            ("rowid", Hole::Name(&mirror.rowid)),
            ("columns", Hole::Names(columns)),
            ("table", Hole::Table(mirror.name())),
            ("absent", Hole::Sql(&mirror.absent(Of::Row))),
            ("follows", Hole::Sql(&mirror.follows(Of::Row, &mirror.new))),
        ],
    );
    let kept = Kept {
        count: sql("SELECT count(*) FROM {copy}", &[("copy", Hole::Table(&table))]),
        drop_empty: drop.clone(),
        table,
    };
    UndoStep { keeps: Some(kept), ..undo_step(mirror.name(), &["dml.copy"], vec![drop, create]) }
}
