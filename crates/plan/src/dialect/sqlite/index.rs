//! A change of an index.

use segue_model::catalog::{Index, Table};
use segue_model::change::{Change, IndexChange};
use segue_model::ident::{Ident, TableRef};
use segue_model::probe::Probe;
use segue_model::sql::{Hole, Sql};
use segue_model::step::{Action, Phase, Step, Undo};

use super::alone::{existing, is_taken, later, not_beside_pairs, the_column};
use super::definition::{NewIndexText, new_index_text};
use super::offending::Duplicates;
use super::work::{Work, undo_step};
use super::{sql, twin};
use crate::dialect::Planned;
use crate::operation::{Context, Native, Stage};
use crate::refusal::Refusal;

/// Milliseconds that SQLite takes to make an index over a thousand rows: 253 to 276 ms for 400,000 were measured.
const MS_A_THOUSAND_ROWS: u64 = 1;

/// Returns the open questions.
///
/// # Errors
/// A refusal that needs no further answer.
pub(super) fn probes(native: &Native<'_>, _context: &Context<'_>) -> Result<Vec<Probe>, Refusal> {
    let Change::CreateIndex { .. } = native.change else { return Ok(vec![]) };
    let table = existing(native)?;
    let text = read(native)?;
    let asks = text.unique && native.stage == Stage::Now && !names_new(&text, table);
    Ok(asks.then(|| duplicates(table, &text).probe()).into_iter().collect())
}

/// Returns the steps.
///
/// # Errors
/// A refusal when this cannot be done while the application runs.
pub(super) fn plan(native: &Native<'_>, context: &Context<'_>) -> Result<Planned, Refusal> {
    match native.change {
        Change::CreateIndex { index: Some(index), .. } => create(native, index, context),
        Change::Index(IndexChange::Drop { indexes, if_exists, .. }) => drop(native, indexes, *if_exists, context),
        Change::Index(
            IndexChange::Create(_)
            | IndexChange::Rename { .. }
            | IndexChange::Attach { .. }
            | IndexChange::Reindex { .. }
            | IndexChange::Alter { .. },
        ) => Err(later(native)),
        _ => Err(later(native)),
    }
}

fn read<'n>(native: &Native<'n>) -> Result<NewIndexText<'n>, Refusal> {
    new_index_text(&native.statement.text).ok_or_else(|| later(native))
}

/// Expressions may name a column that the file adds.
fn names_new(text: &NewIndexText<'_>, table: &Table) -> bool {
    let known = |column: &Ident| table.columns.iter().any(|c| c.name.as_str().eq_ignore_ascii_case(column.as_str()));
    text.columns.iter().any(|column| !known(column))
}

fn duplicates<'a>(table: &'a Table, text: &NewIndexText<'_>) -> Duplicates<'a> {
    Duplicates {
        table,
        key: format!("duplicates {} {}", table.name.name.as_str(), text.keys.join(", ")),
        columns: text.keys.iter().map(|key| Sql::of_catalog(key)).collect(),
        predicate: text
            .predicate
            .map(|predicate| sql("({predicate})", &[("predicate", Hole::Sql(&Sql::of_catalog(predicate)))])),
        what: format!("a UNIQUE index on `{}`", table.name.name),
    }
}

fn create(native: &Native<'_>, index: &Ident, context: &Context<'_>) -> Result<Planned, Refusal> {
    let table = existing(native)?;
    not_beside_pairs(native, context)?;
    if is_taken(index, context) {
        return Err(Refusal::Exists { name: index.to_string() });
    }
    let text = read(native)?;
    let mut stage = native.stage;
    for column in &text.columns {
        match super::alone::added_by_file(table, column, context) {
            Some(added) => stage = stage.max(added),
            None => {
                the_column(table, column, context)?;
            }
        }
    }
    if text.unique && stage == Stage::Now {
        duplicates(table, &text).refuse(context)?;
    }
    if stage == Stage::Now && twin::bounds_the_stall(table, context) {
        return twin::plan(native, context);
    }
    let back = sql("DROP INDEX IF EXISTS main.{index}", &[("index", Hole::Name(index))]);
    let step = Work {
        phase: if stage == Stage::Filled { Phase::Backfill } else { Phase::Expand },
        title: format!("create the index `{index}` on `{}`", table.name.name),
        action: Action::Sql(vec![Sql::verbatim(native.statement)]),
        facts: &["idx.create"],
        table: &table.name,
        undo: Undo::Lossless(vec![undo_step(&table.name, &["idx.drop"], vec![back])]),
    }
    .step();
    Ok(Planned { steps: vec![step], notes: vec![stall(table)], ..Planned::default() })
}

fn stall(table: &Table) -> String {
    let name = &table.name.name;
    match table.size.rows {
        Some(rows) => {
            let ms = (rows / 1000).max(1).saturating_mul(MS_A_THOUSAND_ROWS);
            format!(
                "no other connection can write while the index of `{name}` is made: about {ms} ms; reads go on in WAL mode"
            )
        }
        None => format!("no other connection can write while the index of `{name}` is made; reads go on in WAL mode"),
    }
}

/// Space is given back to the file, which takes the write lock as long as that takes: 25 ms for 400,000 rows, 218 ms where
/// the library is built with SECURE_DELETE.
fn drop(native: &Native<'_>, indexes: &[TableRef], if_exists: bool, context: &Context<'_>) -> Result<Planned, Refusal> {
    let mut planned = Planned::default();
    for wanted in indexes {
        let find = |table: &'_ Table| -> Option<Index> {
            table.indexes.iter().find(|index| context.catalog.same(&index.name, &wanted.name)).cloned()
        };
        let found = context.catalog.tables.iter().find_map(|table| Some((table, find(table)?)));
        match found {
            Some((table, index)) => planned.steps.push(drop_one(native, table, &index)?),
            None if if_exists => {
                planned.notes.push(format!("there is no index `{}`: there is nothing to drop", wanted.name));
            }
            None => {
                return Err(Refusal::Impossible {
                    what: format!("DROP INDEX `{}`", wanted.name),
                    why: "there is no such index".to_owned(),
                    instead: "Check the name.".to_owned(),
                });
            }
        }
    }
    Ok(planned)
}

fn drop_one(_native: &Native<'_>, table: &Table, index: &Index) -> Result<Step, Refusal> {
    let what = format!("DROP INDEX `{}`", index.name);
    if index.definition.is_empty() {
        return Err(Refusal::Impossible {
            what,
            why: "it belongs to a PRIMARY KEY or UNIQUE constraint".to_owned(),
            instead: "Say ALTER TABLE … DROP CONSTRAINT.".to_owned(),
        });
    }
    let plain: Vec<&Ident> = index.keys.iter().filter_map(|key| key.column.as_ref()).collect();
    let needs = |key: &&segue_model::catalog::Constraint| {
        index.unique
            && key.referenced_columns.len() == plain.len()
            && key.referenced_columns.iter().all(|column| plain.contains(&column))
            && table.primary_key() != key.referenced_columns
    };
    if let Some(key) = table.referenced_by.iter().find(needs) {
        return Err(Refusal::Impossible {
            what,
            why: format!(
                "a foreign key of `{}` finds its rows by it, and every write would fail without",
                key.table.name
            ),
            instead: "Drop the foreign key first.".to_owned(),
        });
    }
    let drop = sql("DROP INDEX main.{index}", &[("index", Hole::Name(&index.name))]);
    let back = vec![Sql::of_catalog(&index.definition)];
    Ok(Work {
        phase: Phase::Expand,
        title: format!("drop the index `{}` of `{}`", index.name, table.name.name),
        action: Action::Sql(vec![drop]),
        facts: &["idx.drop"],
        table: &table.name,
        undo: Undo::Lossless(vec![undo_step(&table.name, &["idx.create"], back)]),
    }
    .step())
}
