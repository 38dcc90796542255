//! Privileges on a table or a column, copied one by one.

use segue_model::ident::{Ident, TableName};
use segue_model::probe::{Answer, Probe};
use segue_model::sql::{Hole, Sql};
use segue_model::value::{Row, Value};

use super::mirror::{display, regclass};
use super::sql;
use crate::operation::Context;

/// A privilege that somebody other than the owner holds.
#[derive(Debug)]
pub(super) struct Grant {
    /// Who; `None` is PUBLIC.
    grantee: Option<Ident>,
    privilege: &'static str,
    with_option: bool,
    /// On which column alone.
    pub(super) column: Option<Ident>,
    /// The owner gave it, as one that is given again will be.
    pub(super) by_owner: bool,
}

/// What the server says of a table's privileges.
#[derive(Debug, Default)]
pub(super) struct Grants {
    /// What is held, in a fixed order.
    pub(super) held: Vec<Grant>,
    /// Whom a new relation of the schema would be open to without a word; `None` is PUBLIC.
    by_default: Vec<Option<Ident>>,
}

/// Privileges that mean something on a view or a column.
const PRIVILEGES: &[&str] = &["SELECT", "INSERT", "UPDATE", "DELETE", "REFERENCES"];

/// Returns the question who holds what on a table and its columns, and what new relations of `schema` are given.
pub(super) fn probe(table: &TableName, schema: &Ident) -> Probe {
    Probe {
        key: key(table),
        sql: sql(
            include_str!("grants.sql").trim_end(),
            &[("table", Hole::Sql(&regclass(table))), ("schema", Hole::Text(schema.as_str()))],
        ),
    }
}

fn key(table: &TableName) -> String {
    ["grants:", &display(table)].concat()
}

/// Returns what the server said; nothing when it did not.
pub(super) fn grants(table: &TableName, context: &Context<'_>) -> Grants {
    let Some(Answer::Rows(rows)) = context.answers.get(&key(table)) else { return Grants::default() };
    let of_kind = |kind: &'static str| rows.iter().filter(move |row| text(row, 0) == Some(kind));
    Grants { held: of_kind("held").filter_map(grant).collect(), by_default: of_kind("default").map(role).collect() }
}

fn grant(row: &Row) -> Option<Grant> {
    let privilege = text(row, 2)?;
    Some(Grant {
        grantee: role(row),
        privilege: PRIVILEGES.iter().find(|known| **known == privilege)?,
        with_option: row.get(3).and_then(Value::as_bool)?,
        column: text(row, 4).and_then(|name| Ident::new(name).ok()),
        by_owner: row.get(5).and_then(Value::as_bool)?,
    })
}

/// No role has an empty name.
fn role(row: &Row) -> Option<Ident> {
    text(row, 1).and_then(|name| Ident::new(name).ok())
}

fn text(row: &Row, at: usize) -> Option<&str> {
    row.get(at).and_then(Value::as_str)
}

impl Grants {
    /// Returns the statements after which a new relation is open to those alone to whom the table is, for what a view can be
    /// used for.
    pub(super) fn on_view(&self, view: &TableName) -> Vec<Sql> {
        let revoked = self.by_default.iter().map(|role| {
            sql(
                "REVOKE ALL ON {view} FROM {role}",
                &[("view", Hole::Table(view)), ("role", Hole::Sql(&named(role.as_ref())))],
            )
        });
        let of_view = |grant: &&Grant| grant.privilege != "REFERENCES";
        let given = self.held.iter().filter(of_view).map(|grant| grant.on(view, grant.column.as_ref()));
        revoked.chain(given).collect()
    }

    /// Returns the statements that give on `to` what is held on the column `from`.
    pub(super) fn on_column(&self, table: &TableName, from: &Ident, to: &Ident) -> Vec<Sql> {
        let of_column = self.held.iter().filter(|grant| grant.column.as_ref() == Some(from));
        of_column.map(|grant| grant.on(table, Some(to))).collect()
    }
}

impl Grant {
    fn on(&self, relation: &TableName, column: Option<&Ident>) -> Sql {
        let columns = column.map_or_else(|| Sql::fixed(""), |column| sql(" ({c})", &[("c", Hole::Name(column))]));
        let option = Sql::fixed(if self.with_option { " WITH GRANT OPTION" } else { "" });
        sql(
            "GRANT {privilege}{columns} ON {relation} TO {role}{option}",
            &[
                ("privilege", Hole::Sql(&Sql::fixed(self.privilege))),
                ("columns", Hole::Sql(&columns)),
                ("relation", Hole::Table(relation)),
                ("role", Hole::Sql(&named(self.grantee.as_ref()))),
                ("option", Hole::Sql(&option)),
            ],
        )
    }
}

fn named(role: Option<&Ident>) -> Sql {
    role.map_or_else(|| Sql::fixed("PUBLIC"), |role| sql("{r}", &[("r", Hole::Name(role))]))
}
