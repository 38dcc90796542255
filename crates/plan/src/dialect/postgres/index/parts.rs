//! The parts of an index of a partitioned table.

use segue_model::ident::{Ident, TableName, TableRef};
use segue_model::probe::{Answer, Probe};
use segue_model::sql::Hole;
use segue_model::value::{Row, Value};

use crate::dialect::postgres::mirror::{display, regclass};
use crate::dialect::postgres::sql;
use crate::operation::Context;
use crate::refusal::Refusal;

/// The index of a partition, at whatever depth.
#[derive(Debug)]
pub(super) struct Part {
    /// Its name.
    pub(super) index: TableName,
    /// The index that it is a part of.
    pub(super) whole: TableName,
}

impl Part {
    /// Returns its name as a file would write it.
    pub(super) fn reference(&self) -> TableRef {
        TableRef { schema: Some(self.index.schema.clone()), name: self.index.name.clone() }
    }
}

/// Returns the question which parts an index has.
pub(super) fn probe(index: &TableName) -> Probe {
    Probe {
        key: key(index),
        sql: sql(
            "SELECT n.nspname, c.relname, m.nspname, p.relname \
             FROM pg_catalog.pg_partition_tree({index}) WITH ORDINALITY AS t(relid, parentrelid, isleaf, level, at) \
             JOIN pg_catalog.pg_class AS c ON c.oid = t.relid JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace \
             JOIN pg_catalog.pg_class AS p ON p.oid = t.parentrelid JOIN pg_catalog.pg_namespace AS m ON m.oid = p.relnamespace \
             WHERE t.level > 0 ORDER BY t.at LIMIT 1000",
            &[("index", Hole::Sql(&regclass(index)))],
        ),
    }
}

fn key(index: &TableName) -> String {
    ["parts:", &display(index)].concat()
}

/// Returns the parts, each after the one that it is a part of.
///
/// # Errors
/// A refusal where they are not known.
pub(super) fn of(index: &TableName, context: &Context<'_>) -> Result<Vec<Part>, Refusal> {
    match context.answers.get(&key(index)) {
        Some(Answer::Rows(rows)) if rows.len() < 1000 => Ok(rows.iter().filter_map(part).collect()),
        _ => Err(Refusal::Impossible {
            what: format!("the parts of the index `{}` could not be looked up", index.name),
            why: "without them nobody could take the change back".to_owned(),
            instead: "Try again; if it stays, check the connection and the role's rights.".to_owned(),
        }),
    }
}

fn part(row: &Row) -> Option<Part> {
    let name = |at: usize| Ident::new(row.get(at).and_then(Value::as_str)?).ok();
    Some(Part {
        index: TableName { schema: name(0)?, name: name(1)? },
        whole: TableName { schema: name(2)?, name: name(3)? },
    })
}
