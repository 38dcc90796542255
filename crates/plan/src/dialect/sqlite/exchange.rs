//! Two tables exchange their names in one short transaction, with everything that hangs on them, and can do so again.

use segue_model::ident::{Ident, TableName};
use segue_model::sql::{Hole, Sql};

use super::sql;
use super::sync::{Trigger, drops};

/// A table that takes the name of another, which takes a name of ours.
pub(super) struct Exchange<'a> {
    /// The name that it is about.
    pub(super) name: &'a TableName,
    /// The table that takes it, and the name that the one which has it takes.
    pub(super) other: &'a TableName,
    /// A name that is free.
    pub(super) meanwhile: &'a TableName,
    /// The text of the table that has the name afterwards.
    pub(super) text: String,
    /// The text of the other one afterwards: without foreign keys, which would keep somebody from deleting the rows that it
    /// points to while it is emptied.
    pub(super) text_going: String,
    /// Their indexes.
    pub(super) indexes: Vec<Moved>,
    /// The triggers of the user, which come back as they are.
    pub(super) users: Vec<(Ident, String)>,
    /// What was kept right so far ends.
    pub(super) ends: Vec<Trigger>,
    /// What is kept right from now on.
    pub(super) begins: Vec<Trigger>,
    /// `AUTOINCREMENT` stands in its text.
    pub(super) counts: bool,
}

/// An index that takes another name.
pub(super) struct Moved {
    /// Its name now.
    pub(super) from: Ident,
    /// Its name afterwards.
    pub(super) to: Ident,
    /// Its text afterwards.
    pub(super) text: String,
    /// It goes with the table that goes.
    pub(super) goes: bool,
}

impl Exchange<'_> {
    /// Returns the statements.
    ///
    /// The names are exchanged as before 3.26 (`legacy_alter_table`): views, foreign keys and triggers of other tables keep
    /// their texts, which name the table that is there again at the end. An index cannot be renamed by any statement, so its
    /// name is edited in the schema.
    pub(super) fn statements(&self) -> Vec<Sql> {
        let mut all = vec![Sql::fixed("PRAGMA legacy_alter_table = ON")];
        all.extend(drops(&self.ends));
        all.extend(self.users.iter().map(|(name, _)| sql("DROP TRIGGER main.{name}", &[("name", Hole::Name(name))])));
        all.extend(self.sequence());
        all.push(rename(self.name, self.meanwhile));
        all.push(rename(self.other, self.name));
        all.push(rename(self.meanwhile, self.other));
        all.push(Sql::fixed("PRAGMA writable_schema = ON"));
        // Those that go first: the others take their names.
        all.extend(self.indexes.iter().filter(|index| index.goes).map(|index| self.index(index)));
        all.extend(self.indexes.iter().filter(|index| !index.goes).map(|index| self.index(index)));
        all.push(set_text(self.name, &self.text));
        all.push(set_text(self.other, &self.text_going));
        all.push(Sql::fixed("PRAGMA writable_schema = RESET"));
        all.extend(self.users.iter().map(|(_, definition)| Sql::of_catalog(definition)));
        all.extend(self.begins.iter().map(|trigger| trigger.create.clone()));
        all.push(Sql::fixed("PRAGMA legacy_alter_table = OFF"));
        all.push(self.settled());
        all
    }

    /// The table that comes has counted up to the highest rowid that it was given; the other may have given out higher ones
    /// since deleted.
    fn sequence(&self) -> Vec<Sql> {
        if !self.counts {
            return vec![];
        }
        let (name, coming) = (self.name.name.as_str(), self.other.name.as_str());
        vec![
            sql("DELETE FROM main.sqlite_sequence WHERE name = {coming}", &[("coming", Hole::Text(coming))]),
            sql(
                "INSERT INTO main.sqlite_sequence (name, seq) SELECT {coming}, seq FROM main.sqlite_sequence WHERE name = {name}",
                &[("coming", Hole::Text(coming)), ("name", Hole::Text(name))],
            ),
        ]
    }

    fn index(&self, index: &Moved) -> Sql {
        let table = if index.goes { self.other } else { self.name };
        sql(
            "UPDATE main.sqlite_schema SET name = {to}, sql = {text} WHERE type = 'index' AND name = {from} AND tbl_name = {table}",
            &[
                ("to", Hole::Text(index.to.as_str())),
                ("text", Hole::Text(&index.text)),
                ("from", Hole::Text(index.from.as_str())),
                ("table", Hole::Text(table.name.as_str())),
            ],
        )
    }

    /// What the schema must be at the end, or nothing has happened.
    fn settled(&self) -> Sql {
        let row = |kind: &'static str, name: &Ident, text: &str| {
            sql(
                "({kind}, {name}, {text})",
                &[("kind", Hole::Text(kind)), ("name", Hole::Text(name.as_str())), ("text", Hole::Text(text))],
            )
        };
        let mut known =
            vec![row("table", &self.name.name, &self.text), row("table", &self.other.name, &self.text_going)];
        known.extend(self.indexes.iter().map(|index| row("index", &index.to, &index.text)));
        sql(
            include_str!("twin/unread.sql").trim_end(),
            &[
                ("what", Hole::Text("a table or an index is missing")),
                ("wanted", Hole::Int(i64::try_from(known.len()).unwrap_or(i64::MAX))),
                ("known", Hole::Join(&known, ", ")),
            ],
        )
    }
}

fn rename(from: &TableName, to: &TableName) -> Sql {
    sql("ALTER TABLE {from} RENAME TO {to}", &[("from", Hole::Table(from)), ("to", Hole::Name(&to.name))])
}

fn set_text(table: &TableName, text: &str) -> Sql {
    sql(
        "UPDATE main.sqlite_schema SET sql = {text} WHERE type = 'table' AND name = {table}",
        &[("text", Hole::Text(text)), ("table", Hole::Text(table.name.as_str()))],
    )
}
