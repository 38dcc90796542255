//! Whether each role that writes to a table can reach what the sync calls in its name.
//!
//! A trigger's function needs no right of the writer's, and its condition was resolved when it was created; but the names in
//! a function's body are looked up when it first runs in a session, as the writer: it needs USAGE on their schemas, and
//! EXECUTE on what is called. A writer that comes through a view may lack both.

use std::collections::BTreeSet;

use segue_model::expr::{Expr, NameKind, NameUse};
use segue_model::ident::{Ident, TableName};
use segue_model::probe::{Answer, Probe};
use segue_model::sql::{Hole, Sql, TypeName};
use segue_model::value::{Row, Value};

use super::lookup::Lookup;
use super::mirror::{Mirror, display, regclass};
use super::sql;
use crate::operation::Context;
use crate::refusal::Refusal;

/// Returns the question which writers lack what. `first` tells two operations on the table apart.
pub(super) fn probe(
    table: &TableName,
    first: &Ident,
    transforms: &[&Expr],
    types: &[&TypeName],
    lookup: &Lookup,
) -> Probe {
    let uses: Vec<&NameUse> = transforms.iter().flat_map(|expr| &expr.uses).collect();
    let named = uses.iter().map(|name| lookup.found_in(name).as_str());
    let typed = types.iter().map(|name| lookup.type_of(name).schema.as_str());
    let schemas: BTreeSet<&str> = named.chain(typed).filter(|schema| *schema != "pg_catalog").collect();
    let called = |kind| {
        let mine = uses.iter().filter(|name| name.kind == kind);
        let mine = mine.map(|name| (lookup.found_in(name).as_str(), name.name.as_str()));
        pairs(mine.filter(|(schema, _)| *schema != "pg_catalog").collect())
    };
    let sql = sql(
        include_str!("reach.sql").trim_end(),
        &[
            ("table", Hole::Sql(&regclass(table))),
            ("beside", Hole::Text(table.schema.as_str())),
            ("schemas", Hole::Join(&texts(&schemas), ", ")),
            ("functions", Hole::Join(&called(NameKind::Function), ", ")),
            ("operators", Hole::Join(&called(NameKind::Operator), ", ")),
        ],
    );
    Probe { key: key(table, first), sql }
}

/// Refuses a table to which a role writes that cannot reach what the sync calls.
///
/// # Errors
/// The refusal.
pub(super) fn gate(mirror: &Mirror<'_>, context: &Context<'_>) -> Result<(), Refusal> {
    let table = mirror.table();
    let rows = match context.answers.get(&key(table, &mirror.new[0].column)) {
        Some(Answer::Rows(rows)) => rows,
        Some(Answer::Failed { message, .. }) => return Err(unknown(table, message)),
        Some(Answer::TimedOut) | None => return Err(unknown(table, "the server did not answer in time")),
    };
    let tries = !mirror.helper_names().is_empty();
    match rows.iter().filter_map(lack).find(|lack| tries || lack.kind != "helpers") {
        None => Ok(()),
        Some(lack) => Err(Refusal::Impossible {
            what: format!("the role `{}` writes to {table}, and has no right to use {}", lack.role, lack.object),
            why: "the sync calls it in the name of whoever writes, so its writes would fail".to_owned(),
            instead: format!("Run `{}`, or take from the role its right to write.", lack.grant),
        }),
    }
}

/// What a writer lacks.
struct Lack<'r> {
    kind: &'r str,
    role: &'r str,
    object: &'r str,
    grant: &'r str,
}

fn lack(row: &Row) -> Option<Lack<'_>> {
    let text = |at: usize| row.get(at).and_then(Value::as_str);
    Some(Lack { kind: text(0)?, role: text(1)?, object: text(2)?, grant: text(3)? })
}

/// A list is never empty in SQL; no schema and no function bears the empty name.
fn texts(names: &BTreeSet<&str>) -> Vec<Sql> {
    std::iter::once(&"").chain(names).map(|name| sql("{n}", &[("n", Hole::Text(name))])).collect()
}

fn pairs(names: BTreeSet<(&str, &str)>) -> Vec<Sql> {
    std::iter::once(("", ""))
        .chain(names)
        .map(|(schema, name)| sql("({s}, {n})", &[("s", Hole::Text(schema)), ("n", Hole::Text(name))]))
        .collect()
}

fn unknown(table: &TableName, why: &str) -> Refusal {
    Refusal::Impossible {
        what: format!("which roles write to {table}, and what they may use, could not be looked up"),
        why: why.to_owned(),
        instead: "Try again; if it stays, check the connection and the role's rights.".to_owned(),
    }
}

fn key(table: &TableName, first: &Ident) -> String {
    format!("reach:{}:{}", display(table), first.as_str())
}
