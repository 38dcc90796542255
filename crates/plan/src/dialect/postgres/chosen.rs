//! The name that the server would choose for an object that has none in the file, so that the catalog ends as if the file
//! had run as written.

use segue_model::ident::{Ident, TableName};
use segue_model::probe::{Answer, Probe};
use segue_model::sql::{Hole, Sql};
use segue_model::value::Value;

use super::mirror::display;
use super::object_name::{self, object_name};
use super::sql;
use crate::operation::Context;
use crate::refusal::Refusal;

/// How many names are tried: `c_check`, `c_check1`, …
const TRIED: usize = 20;

/// What is to be named.
#[derive(Clone, Copy)]
pub(super) struct Unnamed<'a> {
    /// The table that it is of.
    pub(super) table: &'a TableName,
    /// The column that the name tells, where it tells one.
    pub(super) column: Option<&'a Ident>,
    /// `check`, `fkey`, `key`, `pkey`, `seq`.
    pub(super) label: &'static str,
    /// How many such objects of this file get their names before it.
    pub(super) nth: usize,
}

impl Unnamed<'_> {
    /// Returns the question which names are free.
    pub(super) fn probe(&self) -> Probe {
        let tried = (0_i64..).zip(0..TRIED).map(|(n, pass)| {
            let name = self.of_pass(pass);
            sql("({n}, {name}::pg_catalog.text)", &[("n", Hole::Int(n)), ("name", Hole::Text(&name))])
        });
        let tried: Vec<Sql> = tried.collect();
        let template = match self.label {
            "seq" => include_str!("chosen/relation.sql"),
            "key" | "pkey" => include_str!("chosen/index.sql"),
            _ => include_str!("chosen/constraint.sql"),
        };
        let sql = sql(
            template.trim_end(),
            &[
                ("names", Hole::Join(&tried, ", ")),
                ("schema", Hole::Text(self.table.schema.as_str())),
                ("nth", Hole::Int(i64::try_from(self.nth).unwrap_or(i64::MAX))),
            ],
        );
        Probe { key: self.key(), sql }
    }

    /// Returns the name.
    ///
    /// # Errors
    /// A refusal when the server did not say, or each name that is tried is taken.
    pub(super) fn name(&self, context: &Context<'_>) -> Result<Ident, Refusal> {
        let row = match context.answers.get(&self.key()) {
            Some(Answer::Rows(rows)) => rows.first(),
            Some(Answer::Failed { .. } | Answer::TimedOut) | None => None,
        };
        let name = row.and_then(|row| row.first()).and_then(Value::as_str).and_then(|name| Ident::new(name).ok());
        name.ok_or_else(|| Refusal::Impossible {
            what: format!("a name like `{}`", self.of_pass(0)),
            why: "which one the server would choose could not be told".to_owned(),
            instead: "Write a name of your own into the file: `CONSTRAINT name …`.".to_owned(),
        })
    }

    fn key(&self) -> String {
        let column = self.column.map_or("", Ident::as_str);
        format!("chosen {} {}:{}:{column}", self.label, self.nth, display(self.table))
    }

    /// Returns what the server tries in this pass.
    fn of_pass(&self, pass: usize) -> String {
        let column = self.column.map(Ident::as_str);
        object_name(self.table.name.as_str(), column, &object_name::of_pass(self.label, pass))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn first(table: &str, column: Option<&str>, label: &'static str, pass: usize) -> String {
        let table = TableName { schema: Ident::known("s"), name: Ident::new(table).unwrap() };
        let column = column.map(|column| Ident::new(column).unwrap());
        Unnamed { table: &table, column: column.as_ref(), label, nth: 0 }.of_pass(pass)
    }

    /// What a server of each version gave for these tables.
    #[test]
    fn a_name_is_cut_as_the_server_cuts_it() {
        assert_eq!(first("t", Some("c"), "check", 0), "t_c_check");
        assert_eq!(first("t", Some("c"), "check", 2), "t_c_check2");
        assert_eq!(first("t", None, "pkey", 0), "t_pkey");
        let long = first(&"t".repeat(60), Some(&"c".repeat(60)), "fkey", 0);
        assert_eq!(long, [&"t".repeat(29), "_", &"c".repeat(28), "_fkey"].concat());
        assert_eq!(long.len(), 63);
        let wide = first(&"ü".repeat(30), Some("c"), "seq", 0);
        assert!(wide.len() <= 63 && wide.ends_with("ü_c_seq"), "{wide}");
    }
}
