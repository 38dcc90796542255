//! CREATE TABLE … PARTITION OF: created beside the partitioned table and then attached, which keeps nobody waiting.

use segue_model::catalog::Table;
use segue_model::change::{Bound, PartitionChange};
use segue_model::ident::TableName;
use segue_model::lock::{LockMode, RelationLock};
use segue_model::sql::{Hole, Sql, Written};
use segue_model::step::{Action, Phase, Step, Undo};

use super::attach::{self, Excluded};
use super::named;
use super::parent::{self, Parent};
use crate::dialect::Planned;
use crate::dialect::postgres::sql;
use crate::dialect::postgres::work::{Work, beside, undo_beside, undo_step};
use crate::operation::{Context, Native};
use crate::refusal::Refusal;

/// Returns the steps; `how`: the bound, what stands after it, and whether columns or constraints of its own are written.
///
/// # Errors
/// A refusal for rows of the default partition that belong to the new one.
pub(super) fn plan(
    native: &Native<'_>,
    table: &Table,
    change: &PartitionChange,
    (bound, tail, own): (&Bound, Option<&Written>, bool),
    context: &Context<'_>,
) -> Result<Planned, Refusal> {
    let parent = parent::of(table, context)?;
    let name = named(change, context);
    let excluded = Excluded::of(&parent, (bound, &name), context)?;
    let mut steps: Vec<Step> = excluded.iter().flat_map(Excluded::begin).collect();
    if own {
        steps.push(as_written(native, table, &parent, &name));
    } else {
        let attach = attach::step(table, &parent, (&name, bound), &["part.attach_check"], LockMode::ShareRowExclusive);
        steps.splice(0..0, [beside_it(table, &parent, (&name, tail), context)]);
        steps.push(attach);
    }
    steps.extend(excluded.iter().map(Excluded::end));
    Ok(Planned { steps, notes: excluded.iter().map(Excluded::note).collect(), ..Planned::default() })
}

fn beside_it(
    table: &Table,
    parent: &Parent,
    (name, tail): (&TableName, Option<&Written>),
    context: &Context<'_>,
) -> Step {
    let compression = if context.server.version.major >= 14 { " INCLUDING COMPRESSION" } else { "" };
    let tail = tail.map_or_else(|| Sql::fixed(""), |tail| sql(" {t}", &[("t", Hole::Sql(&Sql::written(tail)))]));
    let elsewhere = tail.as_str().to_ascii_uppercase().contains("TABLESPACE");
    let tablespace = match parent.tablespace.as_ref().filter(|_| !elsewhere) {
        None => Sql::fixed(""),
        Some(space) => sql(" TABLESPACE {s}", &[("s", Hole::Name(space))]),
    };
    let create = sql(
        "CREATE TABLE {name} (LIKE {table} INCLUDING DEFAULTS INCLUDING GENERATED INCLUDING CONSTRAINTS \
         INCLUDING STORAGE{compression}){tail}{tablespace}",
        &[
            ("name", Hole::Table(name)),
            ("table", Hole::Table(&table.name)),
            ("compression", Hole::Sql(&Sql::fixed(compression))),
            ("tail", Hole::Sql(&tail)),
            ("tablespace", Hole::Sql(&tablespace)),
        ],
    );
    Work {
        phase: Phase::Expand,
        title: format!("create {name}, like {}", table.name),
        action: Action::Sql(vec![create]),
        facts: &["tab.create_like", "dml.select_window"],
        table: &table.name,
        undo: Undo::Lossy {
            steps: vec![undo_step(name, &["tab.drop"], vec![drop(name)])],
            loses: format!("the rows written to {name}"),
        },
    }
    .step()
}

/// What has columns or constraints of its own takes a lock on the partitioned table, for an instant.
fn as_written(native: &Native<'_>, table: &Table, parent: &Parent, name: &TableName) -> Step {
    let lock = |relation: &TableName| RelationLock { relation: relation.clone(), mode: LockMode::AccessExclusive };
    let undo = undo_step(&table.name, &["part.create_of"], vec![drop(name)]);
    let gone = attach::on_referenced(table, LockMode::AccessExclusive);
    let step = Work {
        phase: Phase::Expand,
        title: format!("create {name}, a partition of {}", table.name),
        action: Action::Sql(vec![Sql::verbatim(native.statement)]),
        facts: &["part.create_of"],
        table: &table.name,
        undo: Undo::Lossy { steps: vec![undo_beside(undo, gone)], loses: format!("the rows written to {name}") },
    };
    let mut others: Vec<RelationLock> = parent.default.iter().map(lock).collect();
    others.extend(attach::on_referenced(table, LockMode::ShareRowExclusive));
    beside(step.step(), others)
}

fn drop(table: &TableName) -> Sql {
    sql("DROP TABLE IF EXISTS {table}", &[("table", Hole::Table(table))])
}
