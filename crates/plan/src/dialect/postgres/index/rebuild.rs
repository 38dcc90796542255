//! An index as the catalog knows it, built again while the application writes.

use segue_model::catalog::{Index, Table};
use segue_model::ident::{Ident, TableName};
use segue_model::probe::{Answer, Probe};
use segue_model::sql::{Hole, Sql};
use segue_model::step::UndoStep;
use segue_model::value::Value;

use super::settle;
use crate::dialect::postgres::mirror::{display, regclass};
use crate::dialect::postgres::sql;
use crate::dialect::postgres::work::undo_step;
use crate::operation::Context;
use crate::refusal::Refusal;

/// What an index carries that its definition does not say.
#[derive(Debug, Default)]
pub(super) struct Carried {
    pub(super) tablespace: Option<Ident>,
    comment: Option<String>,
    clustered: bool,
    /// It is a part of the index of a partitioned table.
    pub(super) is_part: bool,
    /// Storage parameters.
    pub(super) options: Vec<(Ident, String)>,
    /// Statistics targets by column, from 1.
    pub(super) statistics: Vec<(i64, i64)>,
}

/// Returns the question what an index carries.
pub(super) fn probe(index: &TableName) -> Probe {
    Probe {
        key: key(index),
        sql: sql(
            "SELECT (SELECT s.spcname FROM pg_catalog.pg_tablespace AS s WHERE s.oid = c.reltablespace), \
             pg_catalog.obj_description(c.oid, 'pg_class'), i.indisclustered::pg_catalog.text, \
             c.relispartition::pg_catalog.text, pg_catalog.array_to_string(c.reloptions, E'\\n'), \
             (SELECT pg_catalog.string_agg(a.attnum || '=' || a.attstattarget, E'\\n' ORDER BY a.attnum) \
             FROM pg_catalog.pg_attribute AS a WHERE a.attrelid = c.oid AND a.attstattarget >= 0) \
             FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_index AS i ON i.indexrelid = c.oid WHERE c.oid = {index}",
            &[("index", Hole::Sql(&regclass(index)))],
        ),
    }
}

fn key(index: &TableName) -> String {
    ["index:", &display(index)].concat()
}

/// Returns what an index carries.
///
/// # Errors
/// A refusal where the server did not say.
pub(super) fn carried(index: &TableName, context: &Context<'_>) -> Result<Carried, Refusal> {
    let row = match context.answers.get(&key(index)) {
        Some(Answer::Rows(rows)) => rows.first(),
        Some(Answer::Failed { .. } | Answer::TimedOut) | None => None,
    };
    let Some(row) = row else {
        return Err(Refusal::Impossible {
            what: format!("the index `{}` could not be looked up", index.name),
            why: "without it nobody could take the change back".to_owned(),
            instead: "Try again; if it stays, check the connection and the role's rights.".to_owned(),
        });
    };
    let text = |at: usize| row.get(at).and_then(Value::as_str);
    let pairs = |at: usize| text(at).unwrap_or_default().lines().filter_map(|line| line.split_once('='));
    Ok(Carried {
        tablespace: text(0).and_then(|name| Ident::new(name).ok()),
        comment: text(1).map(str::to_owned),
        clustered: text(2) == Some("true"),
        is_part: text(3) == Some("true"),
        options: pairs(4).filter_map(|(name, value)| Some((Ident::new(name).ok()?, value.to_owned()))).collect(),
        statistics: pairs(5).filter_map(|(at, to)| Some((at.parse().ok()?, to.parse().ok()?))).collect(),
    })
}

/// Returns the parts of an undo that build an index of a table again.
///
/// # Errors
/// A refusal where its definition is not understood.
pub(super) fn undo(table: &TableName, index: &Index, context: &Context<'_>) -> Result<Vec<UndoStep>, Refusal> {
    let place = TableName { schema: table.schema.clone(), name: index.name.clone() };
    let carried = match context.answers.contains_key(&key(&place)) {
        true => carried(&place, context)?,
        false => Carried::default(),
    };
    let create = create(index, carried.tablespace.as_ref(), "CONCURRENTLY ")?;
    let again = vec![settle::drop_concurrently(&place), create];
    let build = UndoStep { needed: Some(settle::is_missing(&place)), ..undo_step(table, &["idx.create_conc"], again) };
    let mut parts = vec![build];
    parts.extend(carried.besides(table, &place));
    Ok(parts)
}

/// Returns the statement that creates an index as it is; `how`: `CONCURRENTLY `, or nothing.
///
/// # Errors
/// A refusal where its definition is not understood.
pub(super) fn create(index: &Index, tablespace: Option<&Ident>, how: &'static str) -> Result<Sql, Refusal> {
    let odd = || Refusal::NotYet {
        what: format!("taking `{}` away, whose definition is not understood: {}", index.name, index.definition),
        instead: "Do it by hand, and keep its definition.".to_owned(),
    };
    let begin = if index.unique { "CREATE UNIQUE INDEX " } else { "CREATE INDEX " };
    let rest = index.definition.strip_prefix(begin).ok_or_else(odd)?;
    let condition = index.predicate.as_ref().map_or_else(String::new, |predicate| [" WHERE ", predicate].concat());
    let body = rest.strip_suffix(condition.as_str()).ok_or_else(odd)?;
    let tablespace = match tablespace {
        None => Sql::fixed(""),
        Some(name) => sql(" TABLESPACE {name}", &[("name", Hole::Name(name))]),
    };
    Ok(sql(
        "CREATE {unique}INDEX {how}{body}{tablespace}{condition}",
        &[
            ("unique", Hole::Sql(&Sql::fixed(if index.unique { "UNIQUE " } else { "" }))),
            ("how", Hole::Sql(&Sql::fixed(how))),
            ("body", Hole::Sql(&Sql::of_catalog(body))),
            ("tablespace", Hole::Sql(&tablespace)),
            ("condition", Hole::Sql(&Sql::of_catalog(&condition))),
        ],
    ))
}

impl Carried {
    /// Returns the part of an undo that gives an index back what its definition does not say.
    pub(super) fn besides(&self, table: &TableName, index: &TableName) -> Option<UndoStep> {
        let mut all = vec![];
        if let Some(comment) = &self.comment {
            all.push(sql(
                "COMMENT ON INDEX {index} IS {comment}",
                &[("index", Hole::Table(index)), ("comment", Hole::Text(comment))],
            ));
        }
        all.extend(self.statistics.iter().map(|(column, target)| statistics(index, *column, *target)));
        if self.clustered {
            all.push(sql(
                "ALTER TABLE {table} CLUSTER ON {index}",
                &[("table", Hole::Table(table)), ("index", Hole::Name(&index.name))],
            ));
        }
        (!all.is_empty()).then(|| undo_step(table, &["idx.comment"], all))
    }
}

/// Returns the statement that sets the statistics target of a column of an index; -1: the default.
pub(super) fn statistics(index: &TableName, column: i64, target: i64) -> Sql {
    sql(
        "ALTER INDEX {index} ALTER COLUMN {column} SET STATISTICS {target}",
        &[("index", Hole::Table(index)), ("column", Hole::Int(column)), ("target", Hole::Int(target))],
    )
}

/// Returns whether a table's rows could not be replicated without the index.
pub(super) fn identifies_rows(table: &Table, index: &Index) -> Option<Refusal> {
    index.carries.iter().any(|carried| carried == "replica identity").then(|| Refusal::Impossible {
        what: format!("DROP INDEX `{}`", index.name),
        why: format!(
            "it is the replica identity of {}: while the table is published, each UPDATE and DELETE would fail",
            table.name
        ),
        instead: "Give the table another one first: `ALTER TABLE … REPLICA IDENTITY …`.".to_owned(),
    })
}
