//! An index of a partitioned table: declared for the whole, built partition by partition while the application writes, and
//! put together.

use segue_model::catalog::{Index, Table, TableKind};
use segue_model::change::NewIndex;
use segue_model::ident::{Ident, TableName};
use segue_model::lock::{LockMode, RelationLock};
use segue_model::probe::{Answer, Probe};
use segue_model::sql::{Hole, Sql};
use segue_model::step::{Action, Phase, Step, Undo, UndoStep};
use segue_model::value::Value;

use super::build::Building;
use super::chosen::Names;
use super::{beneath, rebuild, settle};
use crate::dialect::postgres::leaves::{self, Member};
use crate::dialect::postgres::mirror::{display, regclass};
use crate::dialect::postgres::sql;
use crate::dialect::postgres::work::{Work, beside, undo_beside, undo_step};
use crate::operation::Context;
use crate::refusal::Refusal;

/// Returns the question which indexes of the partitions belong to no index of a partitioned table yet; `None` where the
/// table is not partitioned.
pub(super) fn free_probe(table: &Table) -> Option<Probe> {
    (table.kind == TableKind::Partitioned).then(|| Probe {
        key: free_key(&table.name),
        sql: sql(
            "SELECT n.nspname, c.relname, i.relname FROM pg_catalog.pg_partition_tree({table}) AS t(relid, parentrelid, \
             isleaf, level) JOIN pg_catalog.pg_class AS c ON c.oid = t.relid JOIN pg_catalog.pg_namespace AS n \
             ON n.oid = c.relnamespace JOIN pg_catalog.pg_index AS x ON x.indrelid = c.oid AND x.indisvalid \
             JOIN pg_catalog.pg_class AS i ON i.oid = x.indexrelid AND NOT i.relispartition WHERE t.level > 0 \
             ORDER BY 1, 2, i.oid LIMIT 1000",
            &[("table", Hole::Sql(&regclass(&table.name)))],
        ),
    })
}

fn free_key(table: &TableName) -> String {
    ["free indexes:", &display(table)].concat()
}

/// Returns the index of a partition that the server would take for the new one instead of building another.
pub(super) fn fitting<'c>(new: &NewIndex, root: &Table, member: &Member, context: &Context<'c>) -> Option<&'c Index> {
    let keys = new.plain_keys?;
    let Some(Answer::Rows(rows)) = context.answers.get(&free_key(&root.name)) else { return None };
    let text = |row: &segue_model::value::Row, at: usize| row.get(at).and_then(Value::as_str).map(str::to_owned);
    let is_free = |index: &Index| {
        rows.iter().any(|row| {
            text(row, 0).as_deref() == Some(member.name.schema.as_str())
                && text(row, 1).as_deref() == Some(member.name.name.as_str())
                && text(row, 2).as_deref() == Some(index.name.as_str())
        })
    };
    let (key, include) = new.columns.split_at(keys.min(new.columns.len()));
    let fits = |index: &&Index| {
        let plain = index.keys.iter().all(|key| key.default_class && !key.descending && !key.nulls_first);
        let columns: Option<Vec<&Ident>> = index.keys.iter().map(|key| key.column.as_ref()).collect();
        let distinct = !index.carries.iter().any(|carried| carried == "nulls not distinct");
        plain
            && columns.is_some_and(|columns| columns.into_iter().eq(key))
            && index.include == include
            && index.method == "btree"
            && index.predicate.is_none()
            && index.unique == new.unique
            && distinct != new.nulls_not_distinct
            && is_free(index)
    };
    context.catalog.table(&member.name)?.indexes.iter().find(fits)
}

/// Returns the steps: every index is declared or built, and then each is attached to the one above it.
///
/// # Errors
/// A refusal where a partition cannot have such an index.
pub(super) fn steps(
    building: &Building<'_>,
    table: &Table,
    names: &Names,
    context: &Context<'_>,
) -> Result<Vec<Step>, Refusal> {
    let Some(index) = &names.index else { return Ok(vec![]) };
    let root = TableName { schema: table.name.schema.clone(), name: index.clone() };
    let members: Vec<Member> = if building.new.only { vec![] } else { leaves::of(table, context)? };
    foreign(building.new, &members)?;
    let members: Vec<Member> = members.into_iter().filter(|member| !member.is_foreign).collect();
    let mut again = vec![];
    for (member, index) in &names.reused {
        again.extend(rebuild::undo(member, index, context)?);
    }
    let mut steps = vec![declare(building, table, &root, again, context)?];
    for member in &members {
        let Some(index) = names.of_members.get(&member.name) else { continue };
        let index = TableName { schema: member.name.schema.clone(), name: index.clone() };
        steps.push(match member.is_partitioned {
            true => declare_below(building, member, &index, &members),
            false => building.concurrently(&member.name, &index, true),
        });
    }
    for member in members.iter().rev() {
        let above = if member.parent == table.name { Some(root.clone()) } else { index_of(&member.parent, names) };
        if let (Some(above), Some(index)) = (above, index_of(&member.name, names)) {
            steps.push(attach(building.phase, (&above, &member.parent), (&index, &member.name)));
        }
    }
    Ok(steps)
}

/// Returns the index of a partition, new or taken as it is.
fn index_of(table: &TableName, names: &Names) -> Option<TableName> {
    let own = names.of_members.get(table).or_else(|| names.reused.get(table).map(|index| &index.name))?;
    Some(TableName { schema: table.schema.clone(), name: own.clone() })
}

/// Rows on another server are in no index of ours: the server passes them over, and promises no uniqueness over them.
fn foreign(new: &NewIndex, members: &[Member]) -> Result<(), Refusal> {
    match members.iter().find(|member| member.is_foreign && new.unique) {
        None => Ok(()),
        Some(member) => Err(Refusal::Impossible {
            what: format!("a unique index over {}, a foreign table", member.name),
            why: "PostgreSQL cannot promise that rows on another server are unique".to_owned(),
            instead: "Create it on the other partitions, by their own names.".to_owned(),
        }),
    }
}

/// The index of the whole: not valid before every partition has its part, so nothing uses it.
fn declare(
    building: &Building<'_>,
    table: &Table,
    index: &TableName,
    again: Vec<UndoStep>,
    context: &Context<'_>,
) -> Result<Step, Refusal> {
    let drop = undo_step(&table.name, &["idx.drop"], vec![drop_index(index)]);
    let mut undo = vec![undo_beside(drop, beneath(table, LockMode::AccessExclusive, context)?)];
    undo.extend(again);
    Ok(declaration(building, &table.name, index, undo))
}

fn declare_below(building: &Building<'_>, member: &Member, index: &TableName, members: &[Member]) -> Step {
    let drop = undo_step(&member.name, &["idx.drop"], vec![drop_index(index)]);
    let below = below(&member.name, members);
    let locks = below.into_iter().map(|relation| RelationLock { relation, mode: LockMode::AccessExclusive }).collect();
    let undo = UndoStep { needed: Some(settle::stands_alone(index)), ..undo_beside(drop, locks) };
    declaration(building, &member.name, index, vec![undo])
}

fn below(table: &TableName, members: &[Member]) -> Vec<TableName> {
    let mut found: Vec<TableName> = vec![];
    for member in members {
        if member.parent == *table || found.contains(&member.parent) {
            found.push(member.name.clone());
        }
    }
    found
}

fn declaration(building: &Building<'_>, table: &TableName, index: &TableName, undo: Vec<UndoStep>) -> Step {
    Work {
        phase: building.phase,
        title: format!("declare the index `{}` for the partitions of {table}", index.name),
        action: Action::Sql(vec![building.only(table, &index.name)]),
        facts: &["idx.create_only_partitioned"],
        table,
        undo: Undo::Lossless(undo),
    }
    .step()
}

fn drop_index(index: &TableName) -> Sql {
    sql("DROP INDEX IF EXISTS {index}", &[("index", Hole::Table(index))])
}

/// Returns the step that makes an index a part of another, each with its table. It is never taken away alone: it goes with
/// the whole.
pub(super) fn attach(
    phase: Phase,
    (whole, of): (&TableName, &TableName),
    (part, on): (&TableName, &TableName),
) -> Step {
    let step = Work {
        phase,
        title: format!("make `{}` of {on} a part of `{}`", part.name, whole.name),
        action: Action::Sql(vec![attach_sql(whole, part)]),
        facts: &["idx.attach_index"],
        table: of,
        undo: Undo::Nothing,
    };
    beside(step.step(), vec![RelationLock { relation: on.clone(), mode: LockMode::AccessShare }])
}

/// Returns the statement that does so; it does nothing where that is done.
pub(super) fn attach_sql(whole: &TableName, part: &TableName) -> Sql {
    sql("ALTER INDEX {whole} ATTACH PARTITION {part}", &[("whole", Hole::Table(whole)), ("part", Hole::Table(part))])
}
