//! What the server says about a partitioned table.

use segue_model::catalog::Table;
use segue_model::ident::{Ident, TableName};
use segue_model::probe::{Answer, Probe};
use segue_model::sql::{Hole, TypeName};
use segue_model::value::{Row, Value};

use crate::dialect::postgres::mirror::{display, regclass};
use crate::dialect::postgres::sql;
use crate::operation::Context;
use crate::refusal::Refusal;

/// A partitioned table.
#[derive(Debug)]
pub(super) struct Parent {
    pub(super) name: TableName,
    /// Its default partition, where it has one.
    pub(super) default: Option<TableName>,
    /// What holds for all its rows, because it is a partition itself.
    pub(super) constraint: Option<String>,
    /// Where new partitions are put.
    pub(super) tablespace: Option<Ident>,
    /// The columns and expressions by which it is cut.
    pub(super) keys: Vec<Key>,
}

/// A column or an expression by which a table is cut.
#[derive(Debug)]
pub(super) struct Key {
    /// As SQL.
    pub(super) printed: String,
    /// The type of a column.
    pub(super) kind: Option<TypeName>,
}

/// Returns the questions.
pub(super) fn probes(table: &TableName) -> Vec<Probe> {
    let of = sql("{t}", &[("t", Hole::Sql(&regclass(table)))]);
    let keys = sql(
        "SELECT CASE WHEN k.attnum <> 0 THEN pg_catalog.quote_ident(a.attname) ELSE '(' || \
         pg_catalog.pg_get_expr(p.partexprs, p.partrelid) || ')' END, \
         pg_catalog.format_type(a.atttypid, a.atttypmod), \
         (SELECT pg_catalog.count(*) FROM pg_catalog.unnest(p.partattrs::pg_catalog.int2[]) AS e(n) WHERE e.n = 0) \
         FROM pg_catalog.pg_partitioned_table AS p \
         CROSS JOIN LATERAL pg_catalog.unnest(p.partattrs::pg_catalog.int2[]) WITH ORDINALITY AS k(attnum, at) \
         LEFT JOIN pg_catalog.pg_attribute AS a ON a.attrelid = p.partrelid AND a.attnum = k.attnum AND k.attnum <> 0 \
         WHERE p.partrelid = {table} ORDER BY k.at",
        &[("table", Hole::Sql(&of))],
    );
    let itself = sql(
        "SELECT n.nspname, d.relname, pg_catalog.pg_get_partition_constraintdef(c.oid), s.spcname \
         FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_partitioned_table AS p ON p.partrelid = c.oid \
         LEFT JOIN pg_catalog.pg_class AS d ON d.oid = p.partdefid \
         LEFT JOIN pg_catalog.pg_namespace AS n ON n.oid = d.relnamespace \
         LEFT JOIN pg_catalog.pg_tablespace AS s ON s.oid = c.reltablespace WHERE c.oid = {table}",
        &[("table", Hole::Sql(&of))],
    );
    vec![Probe { key: key("parent:", table), sql: itself }, Probe { key: key("partition keys:", table), sql: keys }]
}

fn key(what: &str, table: &TableName) -> String {
    [what, &display(table)].concat()
}

/// Returns what the server said.
///
/// # Errors
/// A refusal where it did not.
pub(super) fn of(table: &Table, context: &Context<'_>) -> Result<Parent, Refusal> {
    let rows = |what: &str| match context.answers.get(&key(what, &table.name)) {
        Some(Answer::Rows(rows)) => Ok(rows),
        _ => Err(Refusal::Impossible {
            what: format!("the partitions of {} could not be looked up", table.name),
            why: "the server did not answer".to_owned(),
            instead: "Try again; if it stays, check the connection and the role's rights.".to_owned(),
        }),
    };
    let (itself, keys) = (rows("parent:")?.first(), rows("partition keys:")?);
    let text = |at: usize| itself.and_then(|row| row.get(at)).and_then(Value::as_str);
    let name = |at: usize| text(at).and_then(|name| Ident::new(name).ok());
    let default = name(0).zip(name(1)).map(|(schema, name)| TableName { schema, name });
    Ok(Parent {
        name: table.name.clone(),
        default,
        constraint: text(2).map(str::to_owned),
        tablespace: name(3),
        keys: keys.iter().filter_map(read_key).collect(),
    })
}

fn read_key(row: &Row) -> Option<Key> {
    let text = |at: usize| row.get(at).and_then(Value::as_str);
    let kind = text(1).filter(|kind| *kind != "-").map(TypeName::spelled);
    // Several expressions are printed as one.
    let is_clear = kind.is_some() || row.get(2).and_then(Value::as_i64) == Some(1);
    is_clear.then(|| Some(Key { printed: text(0)?.to_owned(), kind })).flatten()
}
