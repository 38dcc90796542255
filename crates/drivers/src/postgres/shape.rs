//! The structure of some tables as sorted lines.

use segue_model::ident::TableName;
use segue_model::sql::{Hole, Sql, StandardQuoting};

/// Returns the one message that asks for it: names are looked up in `pg_catalog` alone meanwhile, so that the server
/// prints every other name with its schema. Its second row is the answer.
pub(super) fn query(version: u32, search_path: &str, tables: &[TableName]) -> String {
    let wanted: Vec<_> = tables
        .iter()
        .map(|table| {
            let holes = [("nsp", Hole::Text(table.schema.as_str())), ("rel", Hole::Text(table.name.as_str()))];
            Sql::fill(&StandardQuoting, "({nsp}, {rel})", &holes)
        })
        .collect();
    let wanted = if wanted.is_empty() {
        Sql::fixed("SELECT NULL::text, NULL::text WHERE false")
    } else {
        Sql::fill(&StandardQuoting, "VALUES {rows}", &[("rows", Hole::Join(&wanted, ", "))])
    };
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
    Sql::fill(
        &StandardQuoting,
        include_str!("shape.sql"),
        &[
            ("wanted", Hole::Sql(&wanted)),
            ("compression", Hole::Sql(&compression)),
            ("columns_and_rows", Hole::Sql(&columns_and_rows)),
            ("schemas", Hole::Sql(&schemas)),
            ("path", Hole::Text(search_path)),
        ],
    )
    .as_str()
    .to_owned()
}
