//! The partitions of a table, those of partitions too.

use segue_model::catalog::{Table, TableKind};
use segue_model::ident::{Ident, TableName};
use segue_model::probe::{Answer, Probe};
use segue_model::sql::Hole;
use segue_model::value::{Row, Value};

use super::mirror::{display, regclass};
use super::sql;
use crate::operation::Context;
use crate::refusal::Refusal;

/// More partitions than this are not looked at: a step would be needed for each.
const MOST: usize = 999;

/// A partition, at whatever depth.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Member {
    /// Its name.
    pub(super) name: TableName,
    /// The table that it is a partition of.
    pub(super) parent: TableName,
    /// It is partitioned itself, so it has no rows of its own.
    pub(super) is_partitioned: bool,
    /// Its rows are on another server.
    pub(super) is_foreign: bool,
}

/// Returns the question which partitions a table has; `None` where it is not partitioned.
pub(super) fn probe(table: &Table) -> Option<Probe> {
    (table.kind == TableKind::Partitioned).then(|| Probe {
        key: key(&table.name),
        sql: sql(
            "SELECT n.nspname, c.relname, c.relkind::pg_catalog.text, m.nspname, p.relname \
             FROM pg_catalog.pg_partition_tree({table}) WITH ORDINALITY AS t(relid, parentrelid, isleaf, level, at) \
             JOIN pg_catalog.pg_class AS c ON c.oid = t.relid JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace \
             JOIN pg_catalog.pg_class AS p ON p.oid = t.parentrelid JOIN pg_catalog.pg_namespace AS m ON m.oid = p.relnamespace \
             WHERE t.level > 0 ORDER BY t.at LIMIT 1000",
            &[("table", Hole::Sql(&regclass(&table.name)))],
        ),
    })
}

fn key(table: &TableName) -> String {
    ["partitions:", &display(table)].concat()
}

/// Returns the partitions, each after the one that holds it; none where the table is not partitioned.
///
/// # Errors
/// A refusal where they are not known, or too many.
pub(super) fn of(table: &Table, context: &Context<'_>) -> Result<Vec<Member>, Refusal> {
    if table.kind != TableKind::Partitioned {
        return Ok(vec![]);
    }
    let rows = match context.answers.get(&key(&table.name)) {
        Some(Answer::Rows(rows)) => rows,
        Some(Answer::Failed { message, .. }) => return Err(unknown(table, message)),
        Some(Answer::TimedOut) | None => return Err(unknown(table, "the server did not answer in time")),
    };
    if rows.len() > MOST {
        return Err(Refusal::NotYet {
            what: format!("a change of {}, which has more than {MOST} partitions", table.name),
            instead: "Change its partitions one by one, by their own names.".to_owned(),
        });
    }
    Ok(rows.iter().filter_map(member).collect())
}

fn member(row: &Row) -> Option<Member> {
    let name = |at: usize| Ident::new(row.get(at).and_then(Value::as_str)?).ok();
    let kind = row.get(2).and_then(Value::as_str)?;
    Some(Member {
        name: TableName { schema: name(0)?, name: name(1)? },
        parent: TableName { schema: name(3)?, name: name(4)? },
        is_partitioned: kind == "p",
        is_foreign: kind == "f",
    })
}

fn unknown(table: &Table, why: &str) -> Refusal {
    Refusal::Impossible {
        what: format!("the partitions of {} could not be looked up", table.name),
        why: why.to_owned(),
        instead: "Try again; if it stays, check the connection and the role's rights.".to_owned(),
    }
}
