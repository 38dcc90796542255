//! The foreign keys that a table must have before it becomes a partition: missing ones would be checked under a lock.

use segue_model::catalog::{Constraint, ConstraintKind, Table};
use segue_model::ident::{Ident, TableName};
use segue_model::lock::{LockMode, RelationLock};
use segue_model::sql::{Hole, Sql};
use segue_model::step::{Action, Phase, Step, Undo};

use crate::dialect::postgres::prove::{drop_sql, validate_sql};
use crate::dialect::postgres::sql;
use crate::dialect::postgres::work::{Work, beside, undo_beside, undo_step};
use crate::refusal::Refusal;

/// Returns the steps that give `partition` the foreign keys of `table` that it lacks.
///
/// # Errors
/// A refusal where another constraint has the name of one.
pub(super) fn steps(table: &Table, partition: &Table) -> Result<Vec<Step>, Refusal> {
    let mut steps = vec![];
    let keys = table.constraints.iter().filter(|constraint| constraint.kind == ConstraintKind::ForeignKey);
    for key in keys {
        let same = |own: &&Constraint| own.kind == key.kind && own.definition == key.definition && own.validated;
        let (Some(name), Some(other)) = (&key.name, &key.references) else { continue };
        if partition.constraints.iter().any(|own| same(&own)) || *other == table.name {
            continue;
        }
        if partition.constraints.iter().any(|own| own.name.as_ref() == Some(name)) {
            return Err(Refusal::Exists { name: format!("{}.{name}", partition.name) });
        }
        steps.extend(add(&partition.name, (name, other), &key.definition));
    }
    Ok(steps)
}

fn add(table: &TableName, (name, other): (&Ident, &TableName), definition: &str) -> [Step; 2] {
    let lock = |mode| vec![RelationLock { relation: other.clone(), mode }];
    let add = Work {
        phase: Phase::Expand,
        title: format!("let {table} refer only to rows of {other}"),
        action: Action::Sql(vec![sql(
            "ALTER TABLE {table} ADD CONSTRAINT {name} {definition} NOT VALID",
            &[
                ("table", Hole::Table(table)),
                ("name", Hole::Name(name)),
                ("definition", Hole::Sql(&Sql::of_catalog(definition))),
            ],
        )]),
        facts: &["con.add_fk_nv"],
        table,
        undo: Undo::Lossless(vec![undo_beside(
            undo_step(table, &["con.drop_fk"], vec![drop_sql(table, name)]),
            lock(LockMode::AccessExclusive),
        )]),
    };
    let validate = Work {
        phase: Phase::Expand,
        title: format!("prove that {table} refers only to rows of {other}"),
        action: Action::Sql(vec![validate_sql(table, name)]),
        facts: &["con.validate_fk"],
        table,
        undo: Undo::Nothing,
    };
    [beside(add.step(), lock(LockMode::ShareRowExclusive)), beside(validate.step(), lock(LockMode::RowShare))]
}
