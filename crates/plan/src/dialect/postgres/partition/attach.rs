//! ATTACH PARTITION: what it would do under its locks is done before it.

use segue_model::catalog::Table;
use segue_model::change::{Bound, BoundKind, PartitionChange};
use segue_model::ident::{Ident, TableName};
use segue_model::lock::{LockMode, RelationLock};
use segue_model::probe::{Answer, Probe};
use segue_model::sql::{Hole, Sql};
use segue_model::step::{Action, Phase, Step, Undo, UndoStep};
use segue_model::value::Value;

use super::parent::{self, Parent};
use super::{bound, check_name, foreign, indexes, named, takes_from_default};
use crate::dialect::Planned;
use crate::dialect::postgres::mirror::{display, regclass};
use crate::dialect::postgres::prove::{drop_sql, validate_sql};
use crate::dialect::postgres::sql;
use crate::dialect::postgres::work::{Work, beside, undo_beside, undo_step};
use crate::operation::Context;
use crate::refusal::Refusal;

/// Returns the questions about rows that stand in the wrong place, and about indexes.
///
/// # Errors
/// A refusal where the server did not answer before.
pub(super) fn probes(
    table: &Table,
    change: &PartitionChange,
    bound: &Bound,
    context: &Context<'_>,
) -> Result<Vec<Probe>, Refusal> {
    let parent = parent::of(table, context)?;
    let mut open: Vec<Probe> = default_probe(&parent, bound, &named(change, context)).into_iter().collect();
    let Some(partition) = context.catalog.find(&change.partition) else { return Ok(open) };
    if let Some(condition) = bound::condition(&parent, bound) {
        open.push(rows_probe("outside:", &partition.name, &partition.name, &not(&condition)));
    }
    open.extend([indexes::probe(&table.name), indexes::probe(&partition.name)]);
    Ok(open)
}

/// Returns the question which rows of the default partition belong to the new one; `None` where there can be none.
pub(super) fn default_probe(parent: &Parent, bound: &Bound, partition: &TableName) -> Option<Probe> {
    let default = parent.default.as_ref().filter(|_| takes_from_default(bound))?;
    let condition = bound::condition(parent, bound)?;
    Some(rows_probe("in default:", default, partition, &condition))
}

fn rows_probe(what: &str, from: &TableName, partition: &TableName, condition: &Sql) -> Probe {
    Probe {
        key: [what, &display(partition)].concat(),
        sql: sql(
            "SELECT pg_catalog.left(CAST(f AS pg_catalog.text), 200), pg_catalog.count(*) OVER () \
             FROM (SELECT * FROM {from} WHERE {condition} LIMIT 1000) AS f LIMIT 10",
            &[("from", Hole::Table(from)), ("condition", Hole::Sql(condition))],
        ),
    }
}

fn not(condition: &Sql) -> Sql {
    sql("(NOT ({c})) IS NOT FALSE", &[("c", Hole::Sql(condition))])
}

/// Refuses rows that stand in the wrong place.
fn misplaced(
    what: &str,
    (from, partition): (&TableName, &TableName),
    condition: &Sql,
    context: &Context<'_>,
) -> Result<(), Refusal> {
    let Some(Answer::Rows(rows)) = context.answers.get(&[what, &display(partition)].concat()) else { return Ok(()) };
    let Some(count) = rows.first().and_then(|row| row.get(1)).and_then(Value::as_i64) else { return Ok(()) };
    let shown: Vec<&str> = rows.iter().filter_map(|row| row.first()?.as_str()).collect();
    let count = if count >= 1000 { "1000 or more".to_owned() } else { count.to_string() };
    Err(Refusal::Impossible {
        what: format!("{partition} as a partition with these bounds"),
        why: format!("{count} rows of {from} stand in the way: {}", shown.join(", ")),
        instead: format!(
            "See them by `SELECT * FROM {} WHERE {condition}`, and move or delete them first.",
            display(from)
        ),
    })
}

/// Returns the steps.
///
/// # Errors
/// A refusal for rows that stand in the wrong place, and for a table that cannot be a partition of the other.
pub(super) fn plan(
    table: &Table,
    change: &PartitionChange,
    bound: &Bound,
    context: &Context<'_>,
) -> Result<Planned, Refusal> {
    let parent = parent::of(table, context)?;
    let name = named(change, context);
    let mut steps = vec![];
    let mut notes = vec![];
    let mut fact: &'static [&'static str] = &["part.attach_check"];
    let mut proof = None;
    if let Some(partition) = context.catalog.find(&change.partition) {
        alike(table, partition)?;
        steps.extend(indexes::steps(table, partition, context)?);
        steps.extend(foreign::steps(table, partition)?);
        match bound::condition(&parent, bound) {
            Some(condition) => {
                misplaced("outside:", (&name, &name), &not(&condition), context)?;
                let check = check_name(&name, "attach", context);
                let [add, validate] = prove(&name, &check, &condition);
                steps.extend([add, reading(validate, &parent, bound)]);
                proof = Some(check);
            }
            None => {
                fact = &["part.attach"];
                notes.push(format!(
                    "{name} is read under a lock on it alone when it is attached: its bounds are proved only then"
                ));
            }
        }
    }
    let excluded = Excluded::of(&parent, (bound, &name), context)?;
    steps.extend(excluded.iter().flat_map(Excluded::begin));
    notes.extend(excluded.iter().map(Excluded::note));
    steps.push(step(table, &parent, (&name, bound), fact, LockMode::AccessExclusive));
    steps.extend(proof.iter().map(|check| drop_check(&name, check)));
    steps.extend(excluded.iter().map(Excluded::end));
    Ok(Planned { steps, notes, ..Planned::default() })
}

/// A hash is told by the partitioned table, which is looked at for every row.
fn reading(step: Step, parent: &Parent, bound: &Bound) -> Step {
    match bound.what {
        BoundKind::Hash { .. } => {
            beside(step, vec![RelationLock { relation: parent.name.clone(), mode: LockMode::AccessShare }])
        }
        BoundKind::Default | BoundKind::List(_) | BoundKind::Range { .. } => step,
    }
}

/// Refuses what the server would refuse in the end, after all indexes are built.
fn alike(table: &Table, partition: &Table) -> Result<(), Refusal> {
    let refused = |why: String, instead: String| {
        Err(Refusal::Impossible { what: format!("{} as a partition of {}", partition.name, table.name), why, instead })
    };
    if partition.kind == segue_model::catalog::TableKind::Partition
        || partition.inherits && partition.kind != segue_model::catalog::TableKind::Partitioned
    {
        return refused("it is a partition or a child already".to_owned(), "Detach it first.".to_owned());
    }
    for column in &table.columns {
        let Some(own) = partition.columns.iter().find(|own| own.name == column.name) else {
            return refused(format!("it has no column `{}`", column.name), "Add the column first.".to_owned());
        };
        if own.type_name != column.type_name {
            return refused(
                format!("its column `{}` is {}, not {}", column.name, own.type_name, column.type_name),
                "Change its type first.".to_owned(),
            );
        }
        if column.not_null && !own.not_null {
            return refused(
                format!("its column `{}` may be NULL", column.name),
                format!(
                    "Make it NOT NULL first: `ALTER TABLE {} ALTER COLUMN … SET NOT NULL`.",
                    display(&partition.name)
                ),
            );
        }
    }
    match partition.columns.iter().find(|own| !table.columns.iter().any(|column| column.name == own.name)) {
        Some(more) => refused(
            format!("it has a column `{}` that {} has not", more.name, table.name),
            "Drop the column, or add it to the partitioned table, first.".to_owned(),
        ),
        None => Ok(()),
    }
}

/// Returns the steps after which each row of a table fulfils a condition, and the server knows it.
fn prove(table: &TableName, check: &Ident, condition: &Sql) -> [Step; 2] {
    let add = sql(
        "ALTER TABLE {table} ADD CONSTRAINT {check} CHECK ({condition}) NOT VALID",
        &[("table", Hole::Table(table)), ("check", Hole::Name(check)), ("condition", Hole::Sql(condition))],
    );
    let undo = undo_step(table, &["con.drop_check"], vec![drop_sql(table, check)]);
    let add = Work {
        phase: Phase::Expand,
        title: format!("let {table} take only rows that belong there"),
        action: Action::Sql(vec![add]),
        facts: &["con.add_check_nv"],
        table,
        undo: Undo::Lossless(vec![undo]),
    };
    let validate = Work {
        phase: Phase::Expand,
        title: format!("prove that all rows of {table} belong there"),
        action: Action::Sql(vec![validate_sql(table, check)]),
        facts: &["con.validate_check"],
        table,
        undo: Undo::Nothing,
    };
    [add.step(), validate.step()]
}

fn drop_check(table: &TableName, check: &Ident) -> Step {
    Work {
        phase: Phase::Expand,
        title: format!("drop the proof from {table}"),
        action: Action::Sql(vec![drop_sql(table, check)]),
        facts: &["con.drop_check"],
        table,
        undo: Undo::Nothing,
    }
    .step()
}

/// The default partition while a new one takes a part of its range.
pub(super) struct Excluded {
    default: TableName,
    check: Ident,
    condition: Sql,
}

impl Excluded {
    /// Returns it; `None` where no default partition has a part in it.
    ///
    /// # Errors
    /// A refusal for its rows that belong to the new partition, and for bounds that are not known beforehand.
    pub(super) fn of(
        parent: &Parent,
        (bound, partition): (&Bound, &TableName),
        context: &Context<'_>,
    ) -> Result<Option<Self>, Refusal> {
        let Some(default) = parent.default.clone().filter(|_| takes_from_default(bound)) else { return Ok(None) };
        let Some(condition) = bound::condition(parent, bound) else {
            return Err(Refusal::Impossible {
                what: format!("a new partition of {} beside its default partition", parent.name),
                why: format!(
                    "all rows of {default} would be read while nobody can read or write, as its bounds are not literals, or the key is of several expressions"
                ),
                instead: "Write the bounds as literals.".to_owned(),
            });
        };
        misplaced("in default:", (&default, partition), &condition, context)?;
        let check = check_name(&default, partition.name.as_str(), context);
        Ok(Some(Self { default, check, condition: sql("NOT ({c})", &[("c", Hole::Sql(&condition))]) }))
    }

    /// Returns the steps before the new partition comes.
    pub(super) fn begin(&self) -> [Step; 2] {
        prove(&self.default, &self.check, &self.condition)
    }

    /// Returns the step after it.
    pub(super) fn end(&self) -> Step {
        drop_check(&self.default, &self.check)
    }

    /// Returns what the user should know.
    pub(super) fn note(&self) -> String {
        format!(
            "until the new partition is there, {} takes no row of its range any more: such an INSERT fails for that time",
            self.default
        )
    }
}

/// Returns the step that makes a table a partition: everything is proved, so nothing is read. `on_others` is the lock on tables
/// that foreign keys point to: SHARE ROW EXCLUSIVE where they are made, ACCESS EXCLUSIVE where those of the table are taken over.
pub(super) fn step(
    table: &Table,
    parent: &Parent,
    (partition, bound): (&TableName, &Bound),
    facts: &'static [&'static str],
    on_others: LockMode,
) -> Step {
    let exclusive = |relation: &TableName| RelationLock { relation: relation.clone(), mode: LockMode::AccessExclusive };
    let mut others = vec![exclusive(partition)];
    others.extend(parent.default.iter().filter(|_| takes_from_default(bound)).map(exclusive));
    for lock in on_referenced(table, on_others) {
        if !others.iter().any(|known| known.relation == lock.relation) {
            others.push(lock);
        }
    }
    let step = Work {
        phase: Phase::Expand,
        title: format!("make {partition} a partition of {}", table.name),
        action: Action::Sql(vec![attach_sql(&table.name, partition, &Sql::written(&bound.written))]),
        facts,
        table: &table.name,
        undo: Undo::Lossless(vec![detach_undo(table, partition)]),
    };
    beside(step.step(), others)
}

/// Returns a lock on each table that foreign keys of the partitioned one point to: a partition has them too.
pub(super) fn on_referenced(table: &Table, mode: LockMode) -> Vec<RelationLock> {
    let named = table.constraints.iter().filter_map(|constraint| constraint.references.as_ref());
    let mut once: Vec<&TableName> = named.filter(|other| **other != table.name).collect();
    once.sort();
    once.dedup();
    once.into_iter().map(|other| RelationLock { relation: other.clone(), mode }).collect()
}

/// Returns the statement that makes a table a partition.
pub(super) fn attach_sql(table: &TableName, partition: &TableName, bound: &Sql) -> Sql {
    sql(
        "ALTER TABLE {table} ATTACH PARTITION {partition} {bound}",
        &[("table", Hole::Table(table)), ("partition", Hole::Table(partition)), ("bound", Hole::Sql(bound))],
    )
}

fn detach_undo(table: &Table, partition: &TableName) -> UndoStep {
    let detach = sql(
        "ALTER TABLE {table} DETACH PARTITION {partition}",
        &[("table", Hole::Table(&table.name)), ("partition", Hole::Table(partition))],
    );
    let part = undo_step(&table.name, &["part.detach"], vec![detach]);
    let mut others = vec![RelationLock { relation: partition.clone(), mode: LockMode::AccessExclusive }];
    others.extend(on_referenced(table, LockMode::ShareRowExclusive));
    UndoStep { needed: Some(is_attached(partition)), ..undo_beside(part, others) }
}

/// Returns the question whether a table is a partition.
pub(super) fn is_attached(partition: &TableName) -> Sql {
    sql(
        "SELECT pg_catalog.count(*) FROM pg_catalog.pg_class AS c WHERE c.oid = {partition} AND c.relispartition",
        &[("partition", Hole::Sql(&regclass(partition)))],
    )
}
