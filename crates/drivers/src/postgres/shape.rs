//! The structure of some tables as sorted lines.

use segue_model::ident::{Ident, TableName};
use segue_model::sql::{Hole, Sql, StandardQuoting};

/// Returns what prepares the question, once a session: planning it takes several times as long as answering it.
///
/// Names are looked up in `pg_catalog` alone meanwhile, so that the server prints every other name with its schema.
pub(super) fn preparation(version: u32, search_path: &str) -> Sql {
    let since = |since: u32, fragment: &'static str, before: &'static str| {
        Sql::fixed(if version >= since { fragment } else { before })
    };
    let compression = since(140_000, "a.attcompression::text", "''");
    let columns_and_rows = since(
        150_000,
        "COALESCE(' columns ' || (SELECT string_agg(quote_ident(a.attname), ', ' ORDER BY a.attname) \
         FROM pg_attribute a WHERE a.attrelid = t.oid AND a.attnum = ANY (pr.prattrs::int2[])), '') \
         || COALESCE(' where ' || pg_get_expr(pr.prqual, t.oid), '')",
        "''",
    );
    let schemas = since(
        150_000,
        "SELECT t.label, format('publication %I of the schema', p.pubname) FROM t \
         JOIN pg_publication_namespace pn ON pn.pnnspid = t.relnamespace JOIN pg_publication p ON p.oid = pn.pnpubid",
        "SELECT NULL::text, NULL::text WHERE false",
    );
    let prepare = Sql::fill(
        &StandardQuoting,
        include_str!("shape.sql"),
        &[
            ("compression", Hole::Sql(&compression)),
            ("columns_and_rows", Hole::Sql(&columns_and_rows)),
            ("schemas", Hole::Sql(&schemas)),
        ],
    );
    in_catalog(&prepare, search_path)
}

/// Returns the one message that asks. Its first row is the answer.
pub(super) fn question(search_path: &str, tables: &[TableName]) -> Sql {
    let list = |part: &dyn Fn(&TableName) -> &Ident| -> Vec<Sql> {
        let literal = |table| Sql::fill(&StandardQuoting, "{name}", &[("name", Hole::Text(part(table).as_str()))]);
        tables.iter().map(literal).collect()
    };
    let (schemas, names) = (list(&|table| &table.schema), list(&|table| &table.name));
    let ask = Sql::fill(
        &StandardQuoting,
        "SET LOCAL plan_cache_mode = force_generic_plan; \
         EXECUTE segue_shape (ARRAY[{schemas}]::text[], ARRAY[{names}]::text[]); \
         SET LOCAL plan_cache_mode = auto",
        &[("schemas", Hole::Join(&schemas, ", ")), ("names", Hole::Join(&names, ", "))],
    );
    in_catalog(&ask, search_path)
}

fn in_catalog(sql: &Sql, search_path: &str) -> Sql {
    Sql::fill(
        &StandardQuoting,
        "SET LOCAL search_path = pg_catalog; {sql}; SELECT pg_catalog.set_config('search_path', {path}, true)",
        &[("sql", Hole::Sql(sql)), ("path", Hole::Text(search_path))],
    )
}
