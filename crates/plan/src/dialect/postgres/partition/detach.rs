//! DETACH PARTITION: while the application runs, where the server can.

use segue_model::catalog::{Table, TableKind};
use segue_model::change::{PartitionAction, PartitionChange};
use segue_model::ident::{Ident, TableName};
use segue_model::lock::{LockMode, RelationLock};
use segue_model::probe::{Answer, Probe};
use segue_model::sql::{Hole, Sql};
use segue_model::step::{Action, Phase, Step, Undo, UndoStep};
use segue_model::value::Value;

use super::attach::{attach_sql, on_referenced};
use super::check_name;
use super::parent::{self, Parent};
use crate::dialect::Planned;
use crate::dialect::postgres::mirror::{display, regclass};
use crate::dialect::postgres::prove::{drop_sql, validate_sql};
use crate::dialect::postgres::sql;
use crate::dialect::postgres::work::{Work, beside, undo_beside, undo_step};
use crate::operation::Context;
use crate::refusal::Refusal;

/// Returns the question which rows a partition takes.
pub(super) fn probe(partition: &TableName) -> Probe {
    Probe {
        key: key(partition),
        sql: sql(
            "SELECT pg_catalog.pg_get_expr(c.relpartbound, c.oid), pg_catalog.pg_get_partition_constraintdef(c.oid) \
             FROM pg_catalog.pg_class AS c WHERE c.oid = {partition} AND c.relispartition",
            &[("partition", Hole::Sql(&regclass(partition)))],
        ),
    }
}

fn key(partition: &TableName) -> String {
    ["bound:", &display(partition)].concat()
}

/// A partition that goes.
struct Going<'a> {
    table: &'a TableName,
    partition: &'a TableName,
    default: Option<&'a TableName>,
    bound: String,
    /// What holds for all its rows; the default partition has it from all others.
    condition: Option<String>,
    check: Ident,
}

/// Returns the steps.
///
/// # Errors
/// A refusal of what is no partition of the table.
pub(super) fn plan(
    table: &Table,
    change: &PartitionChange,
    finalize: bool,
    context: &Context<'_>,
) -> Result<Planned, Refusal> {
    let parent = parent::of(table, context)?;
    let partition = context
        .catalog
        .find(&change.partition)
        .ok_or_else(|| Refusal::NoTable { table: change.partition.to_string(), nearest: None })?;
    if finalize {
        return Ok(Planned { steps: vec![finalized(table, &partition.name)], ..Planned::default() });
    }
    let going = going(table, &parent, partition, context)?;
    let concurrently = context.server.version.major >= 14 && parent.default.is_none();
    let keeps_check = matches!(change.what, PartitionAction::Detach { concurrently: true, .. });
    if concurrently {
        return Ok(Planned { steps: going.concurrently(keeps_check).into(), ..Planned::default() });
    }
    let why = if parent.default.is_some() { "it has a default partition" } else { "its version cannot" };
    let note = format!(
        "{} is detached under a lock on {} for an instant, not CONCURRENTLY: {why}",
        partition.name, table.name
    );
    let step = going.at_once(if context.server.version.major >= 14 {
        LockMode::AccessExclusive
    } else {
        LockMode::ShareUpdateExclusive
    });
    // The partition gets foreign keys of its own, and the default one a wider range.
    let mut others = on_referenced(table, LockMode::ShareRowExclusive);
    let default = parent.default.iter().filter(|default| **default != partition.name);
    others.extend(default.map(|relation| RelationLock { relation: relation.clone(), mode: LockMode::AccessExclusive }));
    let step = beside(step, others);
    Ok(Planned { steps: vec![step], notes: vec![note], ..Planned::default() })
}

fn going<'a>(
    table: &'a Table,
    parent: &'a Parent,
    partition: &'a Table,
    context: &Context<'_>,
) -> Result<Going<'a>, Refusal> {
    let row = match context.answers.get(&key(&partition.name)) {
        Some(Answer::Rows(rows)) => rows.first(),
        _ => None,
    };
    let text = |at: usize| row.and_then(|row| row.get(at)).and_then(Value::as_str).map(str::to_owned);
    let is_partition = matches!(partition.kind, TableKind::Partition | TableKind::Partitioned | TableKind::Foreign);
    let Some(bound) = text(0).filter(|_| is_partition) else {
        return Err(Refusal::Impossible {
            what: format!("DETACH PARTITION {}", partition.name),
            why: format!("it is no partition of {}", table.name),
            instead: "Check the name, and whether it was detached before.".to_owned(),
        });
    };
    Ok(Going {
        table: &table.name,
        partition: &partition.name,
        default: parent.default.as_ref().filter(|default| **default != partition.name),
        bound,
        condition: text(1),
        check: check_name(&partition.name, "attach", context),
    })
}

impl Going<'_> {
    fn at_once(&self, mode: LockMode) -> Step {
        let step = Work {
            phase: Phase::Expand,
            title: format!("detach {} from {}", self.partition, self.table),
            action: Action::Sql(vec![self.sql("ALTER TABLE {table} DETACH PARTITION {partition}")]),
            facts: &["part.detach"],
            table: self.table,
            undo: Undo::Lossless(self.back()),
        };
        beside(step.step(), vec![RelationLock { relation: self.partition.clone(), mode }])
    }

    /// The server commits in two parts. After the first one nothing sees the partition any more, so that counts as done, and
    /// a step of its own makes sure of the second.
    fn concurrently(&self, keeps_check: bool) -> [Step; 2] {
        let settle = sql(
            "SELECT CASE WHEN pg_catalog.count(*) = 0 THEN 'done' ELSE 'undone' END FROM pg_catalog.pg_inherits AS i \
             WHERE i.inhrelid = {partition} AND NOT i.inhdetachpending",
            &[("partition", Hole::Sql(&regclass(self.partition)))],
        );
        let detach = Work {
            phase: Phase::Expand,
            title: format!("detach {} from {}", self.partition, self.table),
            action: Action::Settled {
                sql: self.sql("ALTER TABLE {table} DETACH PARTITION {partition} CONCURRENTLY"),
                settle,
            },
            facts: &["part.detach_conc"],
            table: self.table,
            undo: Undo::Lossless(self.back()),
        };
        let mut all = vec![self.finalize()];
        if !keeps_check {
            all.extend(self.drop_servers_check());
        }
        let finish = Work {
            phase: Phase::Expand,
            title: format!("finish the detachment of {}", self.partition),
            action: Action::Sql(all),
            facts: &["part.finish_detach"],
            table: self.table,
            undo: Undo::Nothing,
        };
        let lock = RelationLock { relation: self.partition.clone(), mode: LockMode::AccessExclusive };
        let finish = if keeps_check { finish.step() } else { beside(finish.step(), vec![lock]) };
        [detach.step(), finish]
    }

    /// Does nothing where the server has come to its end.
    fn finalize(&self) -> Sql {
        let body = sql(
            "BEGIN IF EXISTS (SELECT FROM pg_catalog.pg_inherits AS i WHERE i.inhrelid = {oid} AND i.inhdetachpending) THEN \
             ALTER TABLE {table} DETACH PARTITION {partition} FINALIZE; END IF; END",
            &[
                ("oid", Hole::Sql(&regclass(self.partition))),
                ("table", Hole::Table(self.table)),
                ("partition", Hole::Table(self.partition)),
            ],
        );
        sql("DO LANGUAGE plpgsql {body}", &[("body", Hole::Body(&body))])
    }

    /// The server leaves a CHECK of the bounds behind, which DETACH without CONCURRENTLY does not.
    fn drop_servers_check(&self) -> Option<Sql> {
        let condition = self.condition.as_ref()?;
        let body = sql(
            "DECLARE c pg_catalog.name; BEGIN FOR c IN SELECT o.conname FROM pg_catalog.pg_constraint AS o \
             WHERE o.conrelid = {oid} AND o.contype = 'c' AND pg_catalog.pg_get_constraintdef(o.oid) = {text} LOOP \
             EXECUTE pg_catalog.format({drop}, c); END LOOP; END",
            &[
                ("oid", Hole::Sql(&regclass(self.partition))),
                ("text", Hole::Text(&["CHECK (", condition, ")"].concat())),
                (
                    "drop",
                    Hole::Text(
                        &["ALTER TABLE ", &display(self.partition).replace('%', "%%"), " DROP CONSTRAINT %I"].concat(),
                    ),
                ),
            ],
        );
        Some(sql("DO LANGUAGE plpgsql {body}", &[("body", Hole::Body(&body))]))
    }

    /// Returns the parts of the undo: proved first, so that nothing is read under the lock.
    fn back(&self) -> Vec<UndoStep> {
        let mut parts = vec![];
        let needed = || Some(self.is_detached());
        let mut proofs: Vec<(&TableName, &Ident)> = vec![];
        if let Some(condition) = &self.condition {
            let condition = Sql::of_catalog(condition);
            let excluding = sql("NOT ({c})", &[("c", Hole::Sql(&condition))]);
            let mut sides = vec![(self.partition, &condition)];
            sides.extend(self.default.map(|default| (default, &excluding)));
            for (table, condition) in sides {
                let add = sql(
                    "ALTER TABLE {table} ADD CONSTRAINT {check} CHECK ({condition}) NOT VALID",
                    &[
                        ("table", Hole::Table(table)),
                        ("check", Hole::Name(&self.check)),
                        ("condition", Hole::Sql(condition)),
                    ],
                );
                let again = vec![drop_sql(table, &self.check), add];
                parts.push(UndoStep { needed: needed(), ..undo_step(table, &["con.add_check_nv"], again) });
                let validate = vec![validate_sql(table, &self.check)];
                parts.push(UndoStep { needed: needed(), ..undo_step(table, &["con.validate_check"], validate) });
                proofs.push((table, &self.check));
            }
        }
        let attach = attach_sql(self.table, self.partition, &Sql::of_catalog(&self.bound));
        let lock = |relation: &TableName| RelationLock { relation: relation.clone(), mode: LockMode::AccessExclusive };
        let attach = undo_beside(
            undo_step(self.table, &["part.attach_check"], vec![attach]),
            std::iter::once(self.partition).chain(self.default).map(lock).collect(),
        );
        parts.push(UndoStep { needed: needed(), ..attach });
        parts.extend(
            proofs
                .into_iter()
                .map(|(table, check)| undo_step(table, &["con.drop_check"], vec![drop_sql(table, check)])),
        );
        parts.extend(self.drop_servers_check().map(|drop| undo_step(self.partition, &["con.drop_check"], vec![drop])));
        parts
    }

    fn is_detached(&self) -> Sql {
        sql(
            "SELECT 1 - pg_catalog.count(*) FROM pg_catalog.pg_class AS c WHERE c.oid = {partition} AND c.relispartition",
            &[("partition", Hole::Sql(&regclass(self.partition)))],
        )
    }

    fn sql(&self, template: &'static str) -> Sql {
        sql(template, &[("table", Hole::Table(self.table)), ("partition", Hole::Table(self.partition))])
    }
}

/// A detachment that somebody began cannot be taken back by the server.
fn finalized(table: &Table, partition: &TableName) -> Step {
    let step = Work {
        phase: Phase::Expand,
        title: format!("finish the detachment of {partition}"),
        action: Action::Sql(vec![sql(
            "ALTER TABLE {table} DETACH PARTITION {partition} FINALIZE",
            &[("table", Hole::Table(&table.name)), ("partition", Hole::Table(partition))],
        )]),
        facts: &["part.finish_detach"],
        table: &table.name,
        undo: Undo::Lossy {
            steps: vec![],
            loses: format!("that {partition} could still be waited for: attach it again by hand"),
        },
    };
    beside(step.step(), vec![RelationLock { relation: partition.clone(), mode: LockMode::AccessExclusive }])
}
