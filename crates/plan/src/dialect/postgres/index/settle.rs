//! What the catalog says about an index after a statement that has no transaction.

use segue_model::ident::TableName;
use segue_model::sql::{Hole, Sql};

use crate::dialect::postgres::sql;

/// Returns the question whether an index was built: whole, not at all, or left invalid.
pub(in crate::dialect::postgres) fn settle_created(index: &TableName) -> Sql {
    sql(include_str!("../twin.sql").trim_end(), &named(index))
}

/// Returns the question whether an index is gone. One that is marked for its end is dropped again.
pub(super) fn settle_dropped(index: &TableName) -> Sql {
    sql(
        "SELECT CASE WHEN pg_catalog.count(*) = 0 THEN 'done' ELSE 'undone' END FROM pg_catalog.pg_class AS c \
         JOIN pg_catalog.pg_namespace AS s ON s.oid = c.relnamespace WHERE c.relname = {name} AND s.nspname = {schema}",
        &named(index),
    )
}

/// Returns the question whether an index stands alone: one that was attached goes with its parent.
pub(in crate::dialect::postgres) fn stands_alone(index: &TableName) -> Sql {
    sql(
        "SELECT pg_catalog.count(*) FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS s \
         ON s.oid = c.relnamespace WHERE c.relname = {name} AND s.nspname = {schema} AND NOT c.relispartition",
        &named(index),
    )
}

/// Returns the question whether an index is missing or not valid.
pub(super) fn is_missing(index: &TableName) -> Sql {
    sql(
        "SELECT 1 - pg_catalog.count(*) FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS s \
         ON s.oid = c.relnamespace JOIN pg_catalog.pg_index AS i ON i.indexrelid = c.oid AND i.indisvalid \
         WHERE c.relname = {name} AND s.nspname = {schema}",
        &named(index),
    )
}

/// Returns the question whether an index is missing, valid or not.
pub(super) fn is_gone(index: &TableName) -> Sql {
    sql(
        "SELECT 1 - pg_catalog.count(*) FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS s \
         ON s.oid = c.relnamespace WHERE c.relname = {name} AND s.nspname = {schema}",
        &named(index),
    )
}

fn named(index: &TableName) -> [(&'static str, Hole<'_>); 2] {
    [("schema", Hole::Text(index.schema.as_str())), ("name", Hole::Text(index.name.as_str()))]
}

/// Returns the statement that drops an index while the application runs, and may be repeated.
pub(in crate::dialect::postgres) fn drop_concurrently(index: &TableName) -> Sql {
    sql("DROP INDEX CONCURRENTLY IF EXISTS {index}", &[("index", Hole::Table(index))])
}
