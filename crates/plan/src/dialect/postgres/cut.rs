//! How a table is cut into windows: by its pages, or by a key where pages cannot be scanned by range.

use segue_model::catalog::{Column, Index, IndexKey, Table};
use segue_model::ident::{Ident, TableName};
use segue_model::sql::{Hole, Quoting, Sql, TypeName};
use segue_model::step::{Cut, CutBy};

use super::mirror::{Kind, Mirror, regclass};
use super::{Postgres, sql};

/// The first version that scans a range of row addresses.
const TID_RANGE: u32 = 14;

/// Pages of the first window: a quarter of a megabyte.
const PAGES_FIRST: u32 = 32;

/// Rows of the first window by a key.
const ROWS_FIRST: u32 = 1000;

/// The time that a window should take while others are at work: a client that writes to one of its rows waits until it
/// commits.
const WINDOW_MS: u32 = 20;

/// How a table is cut, and the condition that a row stands in a window.
pub(super) struct Windows {
    /// The cut.
    pub(super) cut: Cut,
    /// The condition; its parameters are the bounds.
    pub(super) window: Sql,
}

/// Returns how the table of a mirror is cut. Before 14 each possible address of a page would be listed, so a key is taken
/// where there is one that the change leaves alone.
pub(super) fn windows(mirror: &Mirror<'_>, major: u32) -> Windows {
    if major >= TID_RANGE {
        return by_pages(mirror.table(), major);
    }
    match key(mirror) {
        Some(key) => by_key(mirror.table(), &key),
        None => by_pages(mirror.table(), major),
    }
}

/// Returns how a table is cut by the unique index over just these columns, none of which the change alters, where that can
/// be; else by its pages.
pub(super) fn by_index(table: &Table, columns: &[&Ident], major: u32) -> Windows {
    let over = |index: &&Index| {
        let keys: Vec<&Ident> = index.keys.iter().filter_map(|key| key.column.as_ref()).collect();
        keys.len() == columns.len() && keys.iter().all(|key| columns.contains(key))
    };
    let mut fit = table.indexes.iter().filter(|index| is_ordered(index)).filter(over);
    match fit.find_map(|index| index.keys.iter().map(|key| key_column(table, key)).collect::<Option<Vec<_>>>()) {
        Some(key) => by_key(&table.name, &key),
        None => by_pages(&table.name, major),
    }
}

/// Returns how the table of a mirror is cut by its primary key, where that can be: an update moves a row to another page, but
/// only one that changes its key moves it to another of these windows.
pub(super) fn by_primary_key(mirror: &Mirror<'_>) -> Option<Windows> {
    let index = mirror.table.indexes.iter().find(|index| index.primary && is_ordered(index))?;
    Some(by_key(mirror.table(), &key_columns(mirror, index)?))
}

/// Returns how a table is cut by its pages.
pub(super) fn by_pages(table: &TableName, major: u32) -> Windows {
    // A page of 8 kB holds at most 291 rows.
    let window = if major >= TID_RANGE { include_str!("cut/range.sql") } else { include_str!("cut/list.sql") };
    let extent = sql(
        "SELECT 0, (pg_catalog.pg_relation_size({table}) / pg_catalog.current_setting('block_size')::pg_catalog.int8)",
        &[("table", Hole::Sql(&regclass(table)))],
    );
    let by = CutBy::Numbers { extent, end: None };
    Windows { cut: cut(table, "pages", by, PAGES_FIRST), window: Sql::fixed(window.trim_end()) }
}

fn cut(table: &TableName, unit: &str, by: CutBy, size: u32) -> Cut {
    Cut { table: table.clone(), unit: unit.to_owned(), by, size, target_ms: WINDOW_MS, rest_percent: 0 }
}

/// A column of a key, and its type without modifiers.
type KeyColumn<'a> = (&'a Ident, TypeName);

/// Returns the columns of a unique index whose order a comparison of rows follows: the primary key's if it is one.
fn key<'a>(mirror: &Mirror<'a>) -> Option<Vec<KeyColumn<'a>>> {
    let mut fit: Vec<&Index> = mirror.table.indexes.iter().filter(|index| is_ordered(index)).collect();
    fit.sort_by_key(|index| !index.primary);
    fit.into_iter().find_map(|index| key_columns(mirror, index))
}

fn key_columns<'a>(mirror: &Mirror<'a>, index: &Index) -> Option<Vec<KeyColumn<'a>>> {
    let steady = |key: &&IndexKey| !key.column.as_ref().is_some_and(|column| is_changed(mirror, column));
    index.keys.iter().map(|key| key_column(mirror.table, Some(key).filter(steady)?)).collect()
}

/// ROW comparison follows the default operator classes, all columns in one direction, as an index is read forward or
/// backward.
fn is_ordered(index: &Index) -> bool {
    let plain = index.unique && index.valid && index.method == "btree" && index.predicate.is_none();
    let first = index.keys.first();
    let same = |key: &IndexKey| {
        first.is_some_and(|first| key.descending == first.descending)
            && key.nulls_first == key.descending
            && key.default_class
    };
    plain && first.is_some() && index.keys.iter().all(same)
}

fn key_column<'a>(table: &'a Table, key: &IndexKey) -> Option<KeyColumn<'a>> {
    let column = table.columns.iter().find(|column| Some(&column.name) == key.column.as_ref())?;
    let steady = column.not_null && is_plain_text(column);
    steady.then(|| Some((&column.name, type_of(column)?))).flatten()
}

/// A column that exchanges names with its copy is of another type afterwards.
fn is_changed(mirror: &Mirror<'_>, column: &Ident) -> bool {
    let mut sides = mirror.new.iter().chain(&mirror.old);
    sides.any(|side| side.column == *column || (mirror.kind == Kind::Follow && side.expr.columns().contains(column)))
}

/// Returns whether a key's value, which a bound carries as text, is the same text in every session: no `DateStyle`,
/// `IntervalStyle`, `TimeZone`, `extra_float_digits`, `lc_monetary` or `bytea_output` has a part in it. And whether values that
/// are equal have the same text: a collation of the user's own may hold others for equal.
fn is_plain_text(column: &Column) -> bool {
    match column.base_type.as_str() {
        "int2" | "int4" | "int8" | "numeric" | "uuid" | "bool" | "oid" => true,
        "text" | "varchar" | "bpchar" => {
            column.collation.as_deref().is_none_or(|collation| collation.starts_with("pg_catalog."))
        }
        _ => false,
    }
}

/// Returns a column's type without modifiers: they would round or cut what is compared. `None` where it is not of the
/// system, since its operators then are not either.
fn type_of(column: &Column) -> Option<TypeName> {
    let of_system = !column.type_name.as_str().contains('.');
    of_system.then(|| TypeName::spelled([Postgres.name("pg_catalog"), Postgres.name(&column.base_type)].join(".")))
}

fn by_key(of: &TableName, key: &[KeyColumn<'_>]) -> Windows {
    let each = |template: &'static str| -> Vec<Sql> {
        key.iter().map(|(name, _)| sql(template, &[("c", Hole::Name(name))])).collect()
    };
    let named: Vec<Ident> = (1..=key.len()).map(numbered).collect();
    let texts: Vec<Sql> = key
        .iter()
        .zip(&named)
        .map(|((name, _), k)| sql("{c}::pg_catalog.text AS {k}", &[("c", Hole::Name(name)), ("k", Hole::Name(k))]))
        .collect();
    let place =
        |template: &'static str| -> Vec<Sql> { named.iter().map(|k| sql(template, &[("k", Hole::Name(k))])).collect() };
    let (columns, down, window) = (each("{c}"), each("{c} DESC"), key_window(key));
    let table = || Hole::Table(of);
    let extent = sql(
        include_str!("cut/extent.sql").trim_end(),
        &[
            ("texts", Hole::Join(&texts, ", ")),
            ("table", table()),
            ("columns", Hole::Join(&columns, ", ")),
            ("down", Hole::Join(&down, ", ")),
        ],
    );
    let end = sql(
        include_str!("cut/end.sql").trim_end(),
        &[
            ("last", Hole::Join(&place("pg_catalog.max({k}) FILTER (WHERE place OPERATOR(pg_catalog.=) 1)"), ", ")),
            ("next", Hole::Join(&place("pg_catalog.max({k}) FILTER (WHERE place OPERATOR(pg_catalog.=) 2)"), ", ")),
            ("texts", Hole::Join(&texts, ", ")),
            ("columns", Hole::Join(&columns, ", ")),
            ("table", table()),
            ("window", Hole::Sql(&window)),
            ("rows", Hole::Sql(&parameter(2 * key.len() + 1))),
        ],
    );
    let total = sql(
        "SELECT GREATEST(c.reltuples, 0)::pg_catalog.int8 FROM pg_catalog.pg_class AS c WHERE c.oid = {table}",
        &[("table", Hole::Sql(&regclass(of)))],
    );
    let columns = u32::try_from(key.len()).unwrap_or(u32::MAX);
    Windows { cut: cut(of, "rows", CutBy::Keys { columns, extent, end, total }, ROWS_FIRST), window }
}

/// Returns the condition that a row's key is from `$1…$k` to `$k+1…$2k`. With several columns the first stands once more by
/// itself: of a comparison of rows alone the server cannot tell how few rows it leaves.
fn key_window(key: &[KeyColumn<'_>]) -> Sql {
    let bound = |from: usize| -> Vec<Sql> {
        let numbered = key.iter().zip(from..);
        let cast = |((_, kind), number): (&KeyColumn<'_>, usize)| {
            sql("CAST({p} AS {t})", &[("p", Hole::Sql(&parameter(number))), ("t", Hole::Type(kind))])
        };
        numbered.map(cast).collect()
    };
    let columns: Vec<Sql> = key.iter().map(|(name, _)| sql("{c}", &[("c", Hole::Name(name))])).collect();
    let (low, high) = (bound(1), bound(key.len() + 1));
    let first = sql(
        "{c} OPERATOR(pg_catalog.>=) {low} AND {c} OPERATOR(pg_catalog.<=) {high}",
        &[("c", Hole::Sql(&columns[0])), ("low", Hole::Sql(&low[0])), ("high", Hole::Sql(&high[0]))],
    );
    if key.len() == 1 {
        return first;
    }
    sql(
        "{first} AND ROW({columns}) OPERATOR(pg_catalog.>=) ROW({low}) AND ROW({columns}) OPERATOR(pg_catalog.<=) ROW({high})",
        &[
            ("first", Hole::Sql(&first)),
            ("columns", Hole::Join(&columns, ", ")),
            ("low", Hole::Join(&low, ", ")),
            ("high", Hole::Join(&high, ", ")),
        ],
    )
}

fn numbered(number: usize) -> Ident {
    Ident::new(["k", &number.to_string()].concat()).expect("a letter and a number are a name")
}

fn parameter(number: usize) -> Sql {
    sql("${n}", &[("n", Hole::Int(i64::try_from(number).unwrap_or(i64::MAX)))])
}
