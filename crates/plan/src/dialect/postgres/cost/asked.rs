//! What must be asked of the server to tell a cost: whether a type is a domain with constraints, and how much the value of a
//! function may vary.

use segue_model::change::{Change, NewColumn};
use segue_model::expr::{Expr, NameKind};
use segue_model::probe::{Answer, Probe};
use segue_model::sql::{Hole, TypeName};
use segue_model::value::Value;

use super::super::sql;
use crate::operation::Context;

/// Functions of PostgreSQL's own whose value does not change during a statement (manual, 9.9.5 and 9.27).
const STABLE: &[&str] = &["now", "transaction_timestamp", "statement_timestamp", "current_setting", "txid_current"];

/// What a type is, as far as a rewrite depends on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// No domain.
    Plain,
    /// A domain over a type; constraints are checked in each row.
    Domain {
        /// It, or a domain that it is made of, has a CHECK or NOT NULL.
        checked: bool,
    },
}

/// Returns the questions about a change.
pub(super) fn probes(change: &Change, context: &Context<'_>) -> Vec<Probe> {
    let mut open = match change {
        Change::AddColumn { column, .. } => of_column(column),
        Change::AlterType { table, column, to, .. } => {
            let table = context.catalog.find(table);
            let from = table.and_then(|table| context.catalog.column(table, column)).map(|column| &column.type_name);
            from.into_iter().chain([to]).map(type_probe).collect()
        }
        _ => vec![],
    };
    open.retain(|probe| !context.answers.contains_key(&probe.key));
    open
}

fn of_column(column: &NewColumn) -> Vec<Probe> {
    let names = column.default.iter().flat_map(|default| &default.uses);
    let functions = names.filter(|name| name.kind == NameKind::Function).map(|name| {
        let schema = name.schema.as_ref().map_or("", |schema| schema.as_str());
        Probe {
            key: volatility_key(&name.name),
            sql: sql(
                "SELECT pg_catalog.max(CASE p.provolatile WHEN 'v' THEN '3v' WHEN 's' THEN '2s' ELSE '1i' END) \
                 FROM pg_catalog.pg_proc AS p JOIN pg_catalog.pg_namespace AS n ON n.oid = p.pronamespace \
                 WHERE p.proname = {name} AND n.nspname OPERATOR(pg_catalog.=) ANY (CASE WHEN {schema} = '' \
                 THEN pg_catalog.current_schemas(true) ELSE ARRAY[{schema}::pg_catalog.name] END)",
                &[("name", Hole::Text(&name.name)), ("schema", Hole::Text(schema))],
            ),
        }
    });
    functions.chain([type_probe(&column.type_name)]).collect()
}

fn type_probe(name: &TypeName) -> Probe {
    Probe {
        key: type_key(name),
        sql: sql(include_str!("domain.sql").trim_end(), &[("type", Hole::Text(name.as_str()))]),
    }
}

fn type_key(name: &TypeName) -> String {
    ["cost type:", name.as_str()].concat()
}

fn volatility_key(name: &str) -> String {
    ["cost function:", name].concat()
}

/// Returns what a type is; without an answer, no domain.
pub(super) fn kind(name: &TypeName, context: &Context<'_>) -> Kind {
    let Some(Answer::Rows(rows)) = context.answers.get(&type_key(name)) else { return Kind::Plain };
    let flag = |at: usize| rows.first().and_then(|row| row.get(at)).and_then(Value::as_bool).unwrap_or(false);
    if flag(0) { Kind::Domain { checked: flag(1) } } else { Kind::Plain }
}

/// Returns whether an expression may have another value in each row. What nothing is known of may.
pub(super) fn is_volatile(expr: &Expr, context: &Context<'_>) -> bool {
    let functions = expr.uses.iter().filter(|name| name.kind == NameKind::Function);
    functions.into_iter().any(|name| {
        let Some(Answer::Rows(rows)) = context.answers.get(&volatility_key(&name.name)) else {
            return !STABLE.contains(&name.name.as_str());
        };
        let worst = rows.first().and_then(|row| row.first()).and_then(Value::as_str);
        worst.is_none_or(|worst| worst.ends_with('v'))
    })
}

/// Returns whether an expression takes numbers from a sequence.
pub(super) fn takes_numbers(expr: &Expr) -> bool {
    expr.uses.iter().any(|name| name.kind == NameKind::Function && name.name == "nextval")
}
