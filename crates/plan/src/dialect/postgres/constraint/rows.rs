//! Rows that a constraint would not allow: counted, and up to ten of them named, before anything is changed.

use segue_model::catalog::Table;
use segue_model::ident::{Ident, TableName};
use segue_model::probe::{Answer, Probe};
use segue_model::sql::{Hole, Sql};
use segue_model::step::Condition;
use segue_model::value::{Row, Value};

use super::super::mirror::display;
use super::super::sql;
use crate::figures::grouped;
use crate::operation::Context;
use crate::refusal::Refusal;

/// Rows that are in the way.
pub(super) struct Bad {
    /// Tells the question from others about the table.
    pub(super) key: String,
    /// What is read, with the alias by which `condition` names its columns, where it needs one.
    pub(super) from: Sql,
    /// Which rows.
    pub(super) condition: Sql,
    /// What a row, or a group of rows, is called: its key.
    pub(super) label: Sql,
    /// `GROUP BY … HAVING …`, where several rows are bad together.
    pub(super) grouped: Option<Sql>,
}

/// What is known of them.
pub(super) enum Known {
    /// There are none.
    None,
    /// There are so many, and these are among them.
    Some(u64, Vec<String>),
    /// The server could not say within its time.
    Unknown,
    /// The server does not accept the question, and so would not accept the constraint.
    Failed(String),
}

/// Returns a key under which an answer about the constraint of a table is filed.
pub(super) fn key(what: &str, table: &TableName, about: &str) -> String {
    [what, ":", &display(table), ":", about].concat()
}

/// Returns what a row is called: its primary key, or its place. `alias` is what its columns are named by.
pub(super) fn label(table: &Table, alias: Option<&'static str>) -> Sql {
    let key: Vec<&Ident> = table.primary_key().iter().collect();
    if key.is_empty() {
        let alias = alias.map_or_else(|| Sql::fixed(""), sql_alias);
        return sql("'ctid=' || {alias}ctid::pg_catalog.text", &[("alias", Hole::Sql(&alias))]);
    }
    values(&key, alias)
}

/// Returns `a=1, b=2` of a row.
pub(super) fn values(columns: &[&Ident], alias: Option<&'static str>) -> Sql {
    let alias = alias.map_or_else(|| Sql::fixed(""), sql_alias);
    let each: Vec<Sql> = columns
        .iter()
        .map(|column| {
            sql(
                "pg_catalog.concat({name}, '=', {alias}{column})",
                &[("name", Hole::Text(column.as_str())), ("alias", Hole::Sql(&alias)), ("column", Hole::Name(column))],
            )
        })
        .collect();
    sql("pg_catalog.concat_ws(', ', {each})", &[("each", Hole::Join(&each, ", "))])
}

fn sql_alias(alias: &'static str) -> Sql {
    sql("{alias}.", &[("alias", Hole::Sql(&Sql::fixed(alias)))])
}

impl Bad {
    /// Returns the question how many there are, and which.
    pub(super) fn probe(&self) -> Probe {
        let question = sql(
            "SELECT n.count, k.key FROM (SELECT pg_catalog.count(*) AS count FROM ({all}) AS bad) AS n \
             LEFT JOIN ({some}) AS k ON true",
            &[("all", Hole::Sql(&self.select(&Sql::fixed("1"), ""))), ("some", Hole::Sql(&self.some()))],
        );
        Probe { key: self.key.clone(), sql: question }
    }

    fn some(&self) -> Sql {
        let label = sql("({label})::pg_catalog.text AS key", &[("label", Hole::Sql(&self.label))]);
        self.select(&label, " LIMIT 10")
    }

    fn select(&self, what: &Sql, limit: &'static str) -> Sql {
        let grouped = self.grouped.clone().unwrap_or_else(|| Sql::fixed(""));
        sql(
            "SELECT {what} FROM {from} WHERE {condition}{grouped}{limit}",
            &[
                ("what", Hole::Sql(what)),
                ("from", Hole::Sql(&self.from)),
                ("condition", Hole::Sql(&self.condition)),
                ("grouped", Hole::Sql(&grouped)),
                ("limit", Hole::Sql(&Sql::fixed(limit))),
            ],
        )
    }

    /// Returns the condition that there are none.
    pub(super) fn condition(&self, says: String, hint: String) -> Condition {
        let sql =
            sql("SELECT 'in the way is the row ' || k.key FROM ({some}) AS k", &[("some", Hole::Sql(&self.some()))]);
        Condition { sql, says, hint }
    }

    /// Returns the statement that shows them all.
    pub(super) fn shows(&self) -> Sql {
        let label = self.label.clone();
        match &self.grouped {
            Some(_) => self.select(&sql("{label}, pg_catalog.count(*)", &[("label", Hole::Sql(&label))]), ""),
            None => self.select(&Sql::fixed("*"), ""),
        }
    }

    /// Returns what the server said.
    pub(super) fn known(&self, context: &Context<'_>) -> Known {
        match context.answers.get(&self.key) {
            Some(Answer::Rows(rows)) => read(rows),
            Some(Answer::Failed { message, .. }) => Known::Failed(message.clone()),
            Some(Answer::TimedOut) | None => Known::Unknown,
        }
    }

    /// Refuses while there are any; returns a note where that is not known. `are` says what such rows are: `violate it`.
    ///
    /// # Errors
    /// The refusal, with their number, some of them, and the SQL that mends it.
    pub(super) fn gate(
        &self,
        what: &str,
        are: &str,
        mend: &str,
        context: &Context<'_>,
    ) -> Result<Option<String>, Refusal> {
        match self.known(context) {
            Known::None => Ok(None),
            Known::Unknown => Ok(Some(format!(
                "whether all rows fit {what} could not be told within seconds: the step that reads them all finds it, and \
                 stops there"
            ))),
            Known::Failed(message) => Err(Refusal::Impossible {
                what: what.to_owned(),
                why: message,
                instead: "Correct the definition; the server would refuse it too.".to_owned(),
            }),
            Known::Some(count, keys) => Err(Refusal::Impossible {
                what: what.to_owned(),
                why: format!("{are}: {}", some(count, &keys)),
                instead: mend.to_owned(),
            }),
        }
    }
}

fn read(rows: &[Row]) -> Known {
    let count = rows.first().and_then(|row| row.first()).and_then(Value::as_i64).and_then(|n| u64::try_from(n).ok());
    let keys = rows.iter().filter_map(|row| row.get(1).and_then(Value::as_str).map(str::to_owned)).collect();
    match count {
        Some(0) => Known::None,
        Some(count) => Known::Some(count, keys),
        None => Known::Unknown,
    }
}

fn some(count: u64, keys: &[String]) -> String {
    let shown: Vec<String> = keys.iter().map(|key| key.escape_debug().to_string()).collect();
    let more = if count > keys.len() as u64 { ", …" } else { "" };
    format!("{} ({}{more})", grouped(count), shown.join("; "))
}
