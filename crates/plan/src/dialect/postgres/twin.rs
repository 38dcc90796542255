//! Indexes on a column that is renamed: each gets a twin on the copy, built while the application runs.

use segue_model::catalog::{Index, IndexKey};
use segue_model::ident::{Ident, TableName};
use segue_model::sql::{Hole, Sql};
use segue_model::step::{Action, Condition, Phase, Step, Undo};

use super::gates;
use super::names::Names;
use super::sql;
use super::work::{Work, undo_step};
use crate::operation::Retype;
use crate::refusal::Refusal;

/// An index, and the one that takes its place.
#[derive(Debug)]
pub(super) struct Twin {
    /// The index's schema and name.
    pub(super) index: TableName,
    /// The twin's name until the swap.
    pub(super) twin: TableName,
    /// Both are unique.
    pub(super) unique: bool,
    create: Sql,
}

/// Returns a twin for each index on the column.
///
/// # Errors
/// A refusal for an index that cannot be built from its key columns.
pub(super) fn twins(retype: &Retype<'_>, names: &Names<'_>, new: &Ident) -> Result<Vec<Twin>, Refusal> {
    let column = &retype.column.name;
    let on = |index: &&Index| {
        index.keys.iter().any(|key| key.column.as_ref() == Some(column))
            || index.include.contains(column)
            || gates::names(&index.definition, column) && index.keys.iter().any(|key| key.column.is_none())
            || index.predicate.as_ref().is_some_and(|predicate| gates::names(predicate, column))
    };
    retype.table.indexes.iter().filter(on).map(|index| twin(retype, index, names, new)).collect()
}

fn twin(retype: &Retype<'_>, index: &Index, names: &Names<'_>, new: &Ident) -> Result<Twin, Refusal> {
    if let Some(why) = odd(retype, index) {
        return Err(Refusal::NotYet {
            what: format!("a type change under the index `{}`, which {why}", index.name),
            instead: "Drop the index first, and create it again afterwards.".to_owned(),
        });
    }
    let table = &retype.table.name;
    let place = |name: Ident| TableName { schema: table.schema.clone(), name };
    let twin = names.beside(&index.name, "twin");
    Ok(Twin {
        create: create(retype, index, &twin, new),
        index: place(index.name.clone()),
        twin: place(twin),
        unique: index.unique,
    })
}

/// Returns why a copy by key columns would not be the same index.
fn odd(retype: &Retype<'_>, index: &Index) -> Option<String> {
    let column = &retype.column.name;
    if !index.carries.is_empty() {
        return Some(format!("has {}", index.carries.join(", ")));
    }
    if index.primary || index.of_constraint {
        return Some("belongs to a constraint".to_owned());
    }
    if !index.valid {
        return Some("is not valid".to_owned());
    }
    if !matches!(index.method.as_str(), "btree" | "hash") {
        return Some(format!("is a {} index", index.method));
    }
    if index.keys.iter().any(|key| key.column.is_none()) {
        return Some("is on an expression".to_owned());
    }
    if index.keys.iter().any(|key| !key.default_class) {
        return Some("has an operator class or collation of its own".to_owned());
    }
    let names = index.predicate.as_ref().is_some_and(|predicate| gates::names(predicate, column));
    names.then(|| "names the column in its WHERE".to_owned())
}

fn create(retype: &Retype<'_>, index: &Index, twin: &Ident, new: &Ident) -> Sql {
    let swapped = |column: &Ident| if *column == retype.column.name { new.clone() } else { column.clone() };
    let keys: Vec<Sql> =
        index.keys.iter().filter_map(|key| Some(key_sql(key, &swapped(key.column.as_ref()?), &index.method))).collect();
    let include: Vec<Ident> = index.include.iter().map(swapped).collect();
    let include = match include.as_slice() {
        [] => Sql::fixed(""),
        columns => sql(" INCLUDE ({c})", &[("c", Hole::Names(columns.iter().collect()))]),
    };
    let predicate = index.predicate.as_ref().map(|printed| Sql::of_catalog(printed));
    let predicate = predicate.map_or_else(|| Sql::fixed(""), |p| sql(" WHERE ({p})", &[("p", Hole::Sql(&p))]));
    let unique = if index.unique { Sql::fixed("UNIQUE ") } else { Sql::fixed("") };
    let method = Sql::fixed(if index.method == "hash" { "hash" } else { "btree" });
    sql(
        "CREATE {unique}INDEX CONCURRENTLY {twin} ON {table} USING {method} ({keys}){include}{predicate}",
        &[
            ("unique", Hole::Sql(&unique)),
            ("twin", Hole::Name(twin)),
            ("table", Hole::Table(&retype.table.name)),
            ("method", Hole::Sql(&method)),
            ("keys", Hole::Join(&keys, ", ")),
            ("include", Hole::Sql(&include)),
            ("predicate", Hole::Sql(&predicate)),
        ],
    )
}

fn key_sql(key: &IndexKey, column: &Ident, method: &str) -> Sql {
    let template = match (method, key.descending, key.nulls_first) {
        ("hash", ..) => "{c}",
        (_, false, false) => "{c} ASC NULLS LAST",
        (_, false, true) => "{c} ASC NULLS FIRST",
        (_, true, false) => "{c} DESC NULLS LAST",
        (_, true, true) => "{c} DESC NULLS FIRST",
    };
    sql(template, &[("c", Hole::Name(column))])
}

impl Twin {
    /// Returns the step that builds the twin.
    pub(super) fn step(&self, table: &TableName) -> Step {
        let drop = sql("DROP INDEX CONCURRENTLY IF EXISTS {twin}", &[("twin", Hole::Table(&self.twin))]);
        let settle = sql(
            include_str!("twin.sql").trim_end(),
            &[("schema", Hole::Text(self.twin.schema.as_str())), ("name", Hole::Text(self.twin.name.as_str()))],
        );
        let work = Work {
            phase: Phase::Backfill,
            title: format!("build the index that takes the place of `{}`", self.index.name),
            action: Action::Settled { sql: self.create.clone(), settle },
            facts: &["idx.create_conc"],
            table,
            undo: Undo::Lossless(vec![undo_step(table, &["idx.drop_conc"], vec![drop.clone()])]),
        };
        Step { on_interrupted: vec![drop], ..work.step() }
    }
}

/// Returns the condition that every twin is built; `None` when there is none.
pub(super) fn condition(twins: &[Twin]) -> Option<Condition> {
    let names: Vec<Sql> = twins
        .iter()
        .map(|twin| {
            let name = sql("{i}", &[("i", Hole::Table(&twin.twin))]);
            sql("({name}::pg_catalog.text)", &[("name", Hole::Body(&name))])
        })
        .collect();
    (!names.is_empty()).then(|| Condition {
        sql: sql(
            "SELECT 'the index ' || w.name || ' is missing or not valid' FROM (VALUES {names}) AS w(name) WHERE NOT EXISTS \
             (SELECT FROM pg_catalog.pg_index AS i WHERE i.indexrelid = pg_catalog.to_regclass(w.name) AND i.indisvalid)",
            &[("names", Hole::Join(&names, ", "))],
        ),
        says: "the indexes on the copy are built".to_owned(),
        hint: "Run `segue apply` again: it builds them anew.".to_owned(),
    })
}
