//! Names of objects of ours, and names that we give to the user's: within 63 bytes, told apart by a tag.

use segue_model::catalog::Table;
use segue_model::ident::{Ident, MigrationId, TableName, tag_of};

use crate::operation::Context;
use crate::refusal::Refusal;

/// What PostgreSQL cuts a name to, silently.
pub(super) const BYTES_MAX: usize = 63;

/// The ending of a hidden column's name.
const DEPRECATED: &str = "_deprecated";

/// Returns the schema that holds what is ours.
pub(super) fn schema() -> Ident {
    Ident::known("segue")
}

/// Names the objects of one operation on one table.
#[derive(Debug, Clone, Copy)]
pub(super) struct Names<'a> {
    migration: &'a MigrationId,
    table: &'a TableName,
    column: &'a Ident,
    /// What is in use, `schema.name`.
    taken: &'a [String],
    /// Our role may keep the user's triggers asleep.
    silences: bool,
}

impl<'a> Names<'a> {
    /// Returns the names for an operation whose first new column is `column`: two operations of a file never share it.
    pub(super) fn new(context: &Context<'a>, table: &'a TableName, column: &'a Ident) -> Self {
        let (taken, silences) = (&context.catalog.taken, context.server.silences_triggers);
        Self { migration: &context.migration.id, table, column, taken, silences }
    }

    /// Returns what `segue.backfill` is set to while our own statements write: the triggers of this operation let them pass,
    /// those of another one on the same table do their work.
    pub(super) fn pass(&self) -> String {
        self.tag("backfill")
    }

    /// Returns whether our role may keep the user's triggers asleep while it writes.
    pub(super) fn silences(&self) -> bool {
        self.silences
    }

    /// Returns the migration.
    pub(super) fn migration(&self) -> &MigrationId {
        self.migration
    }

    /// Returns a trigger's name that sorts before the user's.
    pub(super) fn first_trigger(&self) -> Ident {
        Ident::of_ours("!segue_", self.table.name.as_str(), &self.tag("first"), BYTES_MAX)
    }

    /// Returns a trigger's name that sorts before those of the server's own for foreign keys; `what` tells several apart.
    pub(super) fn early_trigger(&self, what: &str) -> Ident {
        Ident::of_ours("!segue_", self.table.name.as_str(), &self.tag(what), BYTES_MAX)
    }

    /// Returns a trigger's name that sorts after the user's; `what` tells several apart.
    pub(super) fn last_trigger(&self, what: &str) -> Ident {
        Ident::of_ours("~segue_", self.table.name.as_str(), &self.tag(what), BYTES_MAX)
    }

    /// Returns the name of a trigger function.
    pub(super) fn function(&self, what: &str) -> TableName {
        TableName { schema: schema(), name: self.ours(self.table.name.as_str(), what) }
    }

    /// Returns the name of a function that the application's role may call: it stands beside the table.
    pub(super) fn helper(&self, column: &Ident, what: &str) -> TableName {
        TableName {
            schema: self.table.schema.clone(),
            name: Ident::of_ours("segue_", column.as_str(), &self.tag_for(column, what), BYTES_MAX),
        }
    }

    /// Returns the name of the CHECK that proves a column.
    pub(super) fn check(&self, column: &Ident) -> Ident {
        Ident::of_ours("segue_", column.as_str(), &self.tag_for(column, "not null"), BYTES_MAX)
    }

    /// Returns a name beside `name`, for the copy or the original that stands aside.
    pub(super) fn beside(&self, name: &Ident, what: &str) -> Ident {
        Ident::of_ours("segue_", name.as_str(), &self.tag_for(name, what), BYTES_MAX)
    }

    /// Returns a name in our schema for what moves there and is called `name`: one that nothing there bears.
    pub(super) fn kept(&self, name: &Ident) -> TableName {
        let of_turn = |turn: usize| TableName { schema: schema(), name: self.beside(name, &"kept".repeat(turn + 1)) };
        (0..=self.taken.len())
            .map(of_turn)
            .find(|name| !self.is_taken(name))
            .expect("there are more names than taken ones")
    }

    /// Returns the name of the copy of what cleanup drops: one that no earlier cleanup of the same migration has left.
    pub(super) fn keeps(&self) -> TableName {
        self.copy("keep", None)
    }

    /// Returns the name of the copy of what a rollback drops: one that no earlier rollback has left, nor cleanup will.
    pub(super) fn keeps_new(&self) -> TableName {
        self.copy("keep new", Some(&self.keeps()))
    }

    fn copy(&self, what: &str, other: Option<&TableName>) -> TableName {
        let of_turn = |turn: usize| {
            let tag = self.tag(&what.repeat(turn + 1));
            TableName { schema: schema(), name: Ident::of_ours("keep_", self.table.name.as_str(), &tag, BYTES_MAX) }
        };
        let free = |name: &TableName| other != Some(name) && !self.is_taken(name);
        (0..self.taken.len() + 2).map(of_turn).find(free).expect("there are more names than taken ones")
    }

    /// Returns whether a relation, a function or a type bears this name.
    pub(super) fn is_taken(&self, name: &TableName) -> bool {
        self.taken.contains(&[name.schema.as_str(), ".", name.name.as_str()].concat())
    }

    fn ours(&self, name: &str, what: &str) -> Ident {
        Ident::of_ours("segue_", name, &self.tag(what), BYTES_MAX)
    }

    fn tag(&self, what: &str) -> String {
        self.tag_for(self.column, what)
    }

    fn tag_for(&self, name: &Ident, what: &str) -> String {
        tag_of(&[
            self.migration.as_str(),
            self.table.schema.as_str(),
            self.table.name.as_str(),
            self.column.as_str(),
            name.as_str(),
            what,
        ])
    }
}

/// Returns the name under which contract hides a column.
///
/// # Errors
/// A refusal when the table has a column of that name.
pub(super) fn deprecated(table: &Table, column: &Ident) -> Result<Ident, Refusal> {
    let hidden = hidden(column);
    match table.columns.iter().any(|other| other.name == hidden) {
        true => Err(Refusal::Exists { name: [table.name.to_string(), hidden.to_string()].join(".") }),
        false => Ok(hidden),
    }
}

/// Returns the name under which contract hides what bears `name`.
pub(super) fn hidden(name: &Ident) -> Ident {
    let room = BYTES_MAX - DEPRECATED.len();
    let name = name.as_str();
    let cut = name.char_indices().map(|(at, c)| at + c.len_utf8()).take_while(|end| *end <= room).last().unwrap_or(0);
    Ident::new([&name[..cut], DEPRECATED].concat()).expect("a name with an ending is a name")
}
