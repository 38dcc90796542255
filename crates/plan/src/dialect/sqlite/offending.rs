//! Rows that a change does not take: looked for before anything is changed.

use segue_model::catalog::Table;
use segue_model::ident::Ident;
use segue_model::probe::{Answer, Probe};
use segue_model::sql::{Hole, Sql};
use segue_model::value::Value;

use super::sql;
use crate::operation::Context;
use crate::refusal::Refusal;

/// How many rows are named.
const NAMED_MAX: i64 = 10;

/// Rows of a table that stand in the way.
pub(super) struct Offending<'a> {
    /// The table.
    pub(super) table: &'a Table,
    /// What the answer is filed under.
    pub(super) key: String,
    /// The condition on a row that it is one.
    pub(super) condition: Sql,
    /// What is refused: `SET NOT NULL on …`.
    pub(super) what: String,
    /// What such rows do: `have no value in it`.
    pub(super) rows: String,
    /// How they are mended.
    pub(super) mend: String,
}

impl Offending<'_> {
    /// Returns the question: how many there are, and the keys of the first.
    pub(super) fn probe(&self) -> Probe {
        let asked = sql(
            "SELECT count(*) OVER (), {keys} FROM {table} WHERE {condition} LIMIT {max}",
            &[
                ("keys", Hole::Sql(&keys(self.table))),
                ("table", Hole::Table(&self.table.name)),
                ("condition", Hole::Sql(&self.condition)),
                ("max", Hole::Int(NAMED_MAX)),
            ],
        );
        Probe { key: self.key.clone(), sql: asked }
    }

    /// Refuses where the answer names any.
    ///
    /// # Errors
    /// A refusal with how many there are, the first of them, and what mends them.
    pub(super) fn refuse(&self, context: &Context<'_>) -> Result<(), Refusal> {
        refuse(self.key.as_str(), (&self.what, &self.rows, &self.mend), context)
    }
}

/// Rows that share a key which is to be unique.
pub(super) struct Duplicates<'a> {
    /// The table.
    pub(super) table: &'a Table,
    /// What the answer is filed under.
    pub(super) key: String,
    /// The key, as SQL.
    pub(super) columns: Vec<Sql>,
    /// Only rows of which this holds count.
    pub(super) predicate: Option<Sql>,
    /// What is refused.
    pub(super) what: String,
}

impl Duplicates<'_> {
    /// Returns the question: how many keys are there more than once, and the first of them.
    pub(super) fn probe(&self) -> Probe {
        let given = self.columns.iter().map(|column| sql("{column} IS NOT NULL", &[("column", Hole::Sql(column))]));
        let given: Vec<Sql> = given.chain(self.predicate.clone()).collect();
        let shown = self.columns.iter().map(|column| sql("quote({column})", &[("column", Hole::Sql(column))]));
        let shown: Vec<Sql> = shown.collect();
        let asked = sql(
            "SELECT count(*) OVER (), {shown} || ' (' || count(*) || ' rows)' FROM {table} WHERE {given} \
             GROUP BY {columns} HAVING count(*) > 1 LIMIT {max}",
            &[
                ("shown", Hole::Join(&shown, " || ', ' || ")),
                ("table", Hole::Table(&self.table.name)),
                ("given", Hole::Join(&given, " AND ")),
                ("columns", Hole::Join(&self.columns, ", ")),
                ("max", Hole::Int(NAMED_MAX)),
            ],
        );
        Probe { key: self.key.clone(), sql: asked }
    }

    /// Refuses where the answer names any.
    ///
    /// # Errors
    /// A refusal with how many there are, the first of them, and what finds the rest.
    pub(super) fn refuse(&self, context: &Context<'_>) -> Result<(), Refusal> {
        let listed = sql("{columns}", &[("columns", Hole::Join(&self.columns, ", "))]);
        let mend = sql(
            "SELECT {columns}, count(*) FROM {table} GROUP BY {columns} HAVING count(*) > 1",
            &[("columns", Hole::Sql(&listed)), ("table", Hole::Table(&self.table.name))],
        );
        let mend = format!("Change or delete all but one of each: `{mend}` finds them.");
        refuse(self.key.as_str(), (&self.what, "keys are there more than once", &mend), context)
    }
}

fn refuse(key: &str, (what, rows, mend): (&str, &str, &str), context: &Context<'_>) -> Result<(), Refusal> {
    // An answer that took too long, or that our own session cannot give, is left to the statement itself.
    let Some(Answer::Rows(found)) = context.answers.get(key) else { return Ok(()) };
    let Some(count) = found.first().and_then(|row| row.first()).and_then(Value::as_i64) else { return Ok(()) };
    let named: Vec<&str> = found.iter().filter_map(|row| row.get(1).and_then(Value::as_str)).collect();
    let more = if usize::try_from(count).is_ok_and(|count| count > named.len()) { ", …" } else { "" };
    Err(Refusal::Impossible {
        what: what.to_owned(),
        why: format!("{count} {rows}: {}{more}", named.join("; ")),
        instead: mend.to_owned(),
    })
}

/// Returns what names a row: its primary key, or its rowid.
fn keys(table: &Table) -> Sql {
    let key = table.primary_key();
    let named: Vec<&Ident> = if key.is_empty() { table.rowid_name.iter().collect() } else { key.iter().collect() };
    let named: Vec<Sql> = named
        .into_iter()
        .map(|name| {
            let said = format!("{} ", name.as_str());
            sql("{said} || quote({name})", &[("said", Hole::Text(&said)), ("name", Hole::Name(name))])
        })
        .collect();
    if named.is_empty() { Sql::fixed("'a row'") } else { sql("{all}", &[("all", Hole::Join(&named, " || ', ' || "))]) }
}
