//! DROP INDEX: while the application runs, and so that it can be built again.

use segue_model::catalog::{Index, Table, TableKind};
use segue_model::ident::TableRef;
use segue_model::lock::LockMode;
use segue_model::probe::Probe;
use segue_model::sql::Hole;
use segue_model::step::{Action, Phase, Step, Undo, UndoStep};

use super::{beneath, found, parts, place, rebuild, settle, tree};
use crate::dialect::Planned;
use crate::dialect::postgres::work::{Work, beside, undo_step};
use crate::dialect::postgres::{leaves, sql};
use crate::operation::Context;
use crate::refusal::Refusal;

/// Returns the questions what the indexes carry, and which partitions have a part of them.
///
/// # Errors
/// A refusal for an index that is not there.
pub(super) fn probes(indexes: &[TableRef], if_exists: bool, context: &Context<'_>) -> Result<Vec<Probe>, Refusal> {
    let mut open = vec![];
    for index in indexes {
        let Some((table, index)) = there(index, if_exists, context)? else { continue };
        open.push(rebuild::probe(&place(table, index)));
        open.extend(leaves::probe(table));
        if table.kind == TableKind::Partitioned {
            open.push(parts::probe(&place(table, index)));
        }
    }
    Ok(open)
}

/// Returns the steps; `how`: IF EXISTS, and CASCADE.
///
/// # Errors
/// A refusal for an index that belongs to something, or that is not there.
pub(super) fn plan(
    indexes: &[TableRef],
    (if_exists, cascade): (bool, bool),
    context: &Context<'_>,
) -> Result<Planned, Refusal> {
    let mut planned = Planned::default();
    for wanted in indexes {
        let Some((table, index)) = there(wanted, if_exists, context)? else {
            planned.notes.push(format!("there is no index `{wanted}`, so DROP INDEX IF EXISTS does nothing"));
            continue;
        };
        gate(table, index, cascade)?;
        let carried = rebuild::carried(&place(table, index), context)?;
        if carried.is_part {
            return Err(Refusal::Impossible {
                what: format!("DROP INDEX `{}`", index.name),
                why: "it is a part of the index of a partitioned table, and goes only with it".to_owned(),
                instead: "Drop the index of the partitioned table.".to_owned(),
            });
        }
        planned.steps.push(match table.kind {
            TableKind::Partitioned => with_parts(table, index, context)?,
            _ => alone(table, index, context)?,
        });
    }
    Ok(planned)
}

fn there<'c>(
    wanted: &TableRef,
    if_exists: bool,
    context: &Context<'c>,
) -> Result<Option<(&'c Table, &'c Index)>, Refusal> {
    match found(wanted, context) {
        Err(_) if if_exists && context.catalog.find(wanted).is_none() => Ok(None),
        other => other.map(Some),
    }
}

fn gate(table: &Table, index: &Index, cascade: bool) -> Result<(), Refusal> {
    if index.of_constraint || index.primary {
        return Err(Refusal::Impossible {
            what: format!("DROP INDEX `{}`", index.name),
            why: format!("the constraint `{}` of {} needs it", index.name, table.name),
            instead: format!("Drop the constraint: `ALTER TABLE … DROP CONSTRAINT {}`.", index.name),
        });
    }
    if cascade {
        return Err(Refusal::Impossible {
            what: format!("DROP INDEX `{}` CASCADE", index.name),
            why: "what hangs on it would go without being named, and could not be brought back".to_owned(),
            instead: "Leave CASCADE out, and drop what hangs on it by name.".to_owned(),
        });
    }
    if let Some(key) = table.referenced_by.iter().find(|key| rests_on(index, &key.referenced_columns)) {
        let other =
            table.indexes.iter().any(|other| other.name != index.name && rests_on(other, &key.referenced_columns));
        if !other {
            return Err(Refusal::Impossible {
                what: format!("DROP INDEX `{}`", index.name),
                why: format!("a foreign key of {} points to its columns", key.table),
                instead: "Drop that foreign key first, in an earlier migration.".to_owned(),
            });
        }
    }
    rebuild::identifies_rows(table, index).map_or(Ok(()), Err)
}

/// Returns whether a foreign key may point to the columns of the index.
fn rests_on(index: &Index, columns: &[segue_model::ident::Ident]) -> bool {
    let mut keys = index.keys.iter().map(|key| key.column.as_ref());
    index.unique
        && index.predicate.is_none()
        && index.keys.len() == columns.len()
        && keys.all(|key| key.is_some_and(|key| columns.contains(key)))
}

fn alone(table: &Table, index: &Index, context: &Context<'_>) -> Result<Step, Refusal> {
    let place = place(table, index);
    let undo = match index.valid {
        true => Undo::Lossless(rebuild::undo(&table.name, index, context)?),
        // It was of no use to anybody.
        false => Undo::Nothing,
    };
    let work = Work {
        phase: Phase::Expand,
        title: format!("drop the index `{}` of {}", index.name, table.name),
        action: Action::Settled {
            sql: sql("DROP INDEX CONCURRENTLY {index}", &[("index", Hole::Table(&place))]),
            settle: settle::settle_dropped(&place),
        },
        facts: &["idx.drop_conc"],
        table: &table.name,
        undo,
    };
    Ok(work.step())
}

/// PostgreSQL drops the index of a partitioned table only under a lock on all of it: instant, but everybody waits.
fn with_parts(table: &Table, index: &Index, context: &Context<'_>) -> Result<Step, Refusal> {
    let whole = place(table, index);
    let step = Work {
        phase: Phase::Expand,
        title: format!("drop the index `{}` of {} and of its partitions", index.name, table.name),
        action: Action::Sql(vec![sql("DROP INDEX {index}", &[("index", Hole::Table(&whole))])]),
        facts: &["idx.drop"],
        table: &table.name,
        undo: Undo::Lossless(parts_again(table, index, context)?),
    };
    Ok(beside(step.step(), beneath(table, LockMode::AccessExclusive, context)?))
}

/// Each part is built again by itself, and then all are put together.
fn parts_again(table: &Table, index: &Index, context: &Context<'_>) -> Result<Vec<UndoStep>, Refusal> {
    let whole = place(table, index);
    let carried = rebuild::carried(&whole, context)?;
    let mut again = vec![declare(table, index, &carried)?];
    let parts = parts::of(&whole, context)?;
    for part in &parts {
        let Some((on, index)) = context.catalog.index(&part.reference()) else { continue };
        match on.kind {
            TableKind::Partitioned => again.push(declare(on, index, &rebuild::Carried::default())?),
            _ => again.extend(rebuild::undo(&on.name, index, context)?),
        }
    }
    let attach = parts.iter().rev().map(|part| {
        let attach = tree::attach_sql(&part.whole, &part.index);
        undo_step(&table.name, &["idx.attach_index"], vec![attach])
    });
    again.extend(attach);
    again.extend(carried.besides(&table.name, &whole));
    Ok(again)
}

fn declare(table: &Table, index: &Index, carried: &rebuild::Carried) -> Result<UndoStep, Refusal> {
    let create = rebuild::create(index, carried.tablespace.as_ref(), "")?;
    let part = undo_step(&table.name, &["idx.create_only_partitioned"], vec![create]);
    Ok(UndoStep { needed: Some(settle::is_gone(&place(table, index))), ..part })
}
