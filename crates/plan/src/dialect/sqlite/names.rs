//! Names of our objects.

use segue_model::catalog::Table;
use segue_model::ident::{Ident, TableName, tag_of};

use super::rebuild::Called;
use crate::operation::Context;
use crate::refusal::Refusal;

/// SQLite sets no limit; ours keeps names readable and the same on every engine.
pub(super) const BYTES_MAX: usize = 63;

/// The names of one operation's objects: readable by the table's name, apart by the tag.
#[derive(Debug, Clone)]
pub(super) struct Names {
    table: String,
    tag: String,
    keep: Ident,
    rescue: Ident,
}

impl Names {
    /// Returns the names for a change of `table` that adds `column`.
    ///
    /// # Errors
    /// [`Refusal::Exists`] when one is in use.
    pub(super) fn new(table: &Table, column: &Ident, context: &Context<'_>) -> Result<Self, Refusal> {
        let own = table.name.name.as_str();
        let id = context.migration.id.as_str();
        let all = &context.catalog.taken;
        let taken = |name: &Ident| {
            let full = format!("main.{}", name.as_str());
            all.iter().any(|other| other.eq_ignore_ascii_case(&full))
        };
        // An earlier cleanup or rollback of the same migration may have left its copy: it stays, and this one gets another name.
        let copy = |turn: usize| {
            let tag = tag_of(&[id, own, column.as_str(), &"keep".repeat(turn + 1)]);
            Ident::of_ours("segue_keep_", own, &tag, BYTES_MAX)
        };
        let mut free = (0..all.len() + 2).map(copy).filter(|name| !taken(name));
        let mut next = || free.next().expect("there are more names than taken ones");
        let (keep, rescue) = (next(), next());
        let names = Self { table: own.to_owned(), tag: tag_of(&[id, own, column.as_str()]), keep, rescue };
        let objects = ["segue_io_", "segue_in_", "segue_un_", "segue_uo_", "segue_fill_", "segue_miss_", "segue_ti_x_"];
        let rebuilt =
            [Called::CLEANUP, Called::ROLLBACK, Called::TWIN].into_iter().flat_map(|called| called.prefixes());
        let copied = [Called::CLEANUP, Called::ROLLBACK, Called::TWIN].into_iter().flat_map(|called| {
            let indexes = table.indexes.iter().filter(|index| !index.definition.is_empty());
            indexes.flat_map(move |index| called.indexes(index, table, id))
        });
        let clash = objects.into_iter().chain(rebuilt).map(|prefix| names.of(prefix)).chain(copied).find(taken);
        let column = Some(names.marker()).filter(|m| table.columns.iter().any(|c| context.catalog.same(&c.name, m)));
        match clash.or(column) {
            Some(name) => Err(Refusal::Exists { name: name.to_string() }),
            None => Ok(names),
        }
    }

    /// Returns the name of an object.
    pub(super) fn of(&self, prefix: &'static str) -> Ident {
        Ident::of_ours(prefix, &self.table, &self.tag, BYTES_MAX)
    }

    /// Returns the name of a table of ours.
    pub(super) fn table(&self, prefix: &'static str) -> TableName {
        in_main(&self.of(prefix))
    }

    /// Returns the name of the marker column.
    pub(super) fn marker(&self) -> Ident {
        self.of("segue_m_")
    }

    /// Returns the name of the copy that cleanup makes of the old columns.
    pub(super) fn keep(&self) -> TableName {
        in_main(&self.keep)
    }

    /// Returns the name of the copy that a rollback makes of what only the new columns hold.
    pub(super) fn rescue(&self) -> TableName {
        in_main(&self.rescue)
    }
}

fn in_main(name: &Ident) -> TableName {
    TableName { schema: Ident::known("main"), name: name.clone() }
}

/// Returns the name under which an old column hides.
pub(super) fn hidden(column: &Ident) -> Ident {
    Ident::new(format!("{}_deprecated", column.as_str())).expect("a name with more letters is a name")
}
