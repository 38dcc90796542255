//! Statements that are safe as written.

use std::collections::BTreeSet;

use segue_model::catalog::Table;
use segue_model::change::{Change, NewColumn};
use segue_model::ident::{Ident, TableName};
use segue_model::lock::{LockMode, RelationLock};
use segue_model::probe::{Answer, Probe};
use segue_model::sql::{Hole, Sql};
use segue_model::step::{Action, Phase, Step, Undo};

use super::facts::fact;
use super::work::{Work, beside, undo_beside, undo_step};
use super::{added, asked, descendants, index, lookup, sql};
use crate::dialect::Planned;
use crate::figures::shown_type;
use crate::operation::{AsWritten, AsWrittenKind, Context};
use crate::refusal::Refusal;

/// Returns the questions about the types of new columns, their defaults, and the schema of a new table.
///
/// # Errors
/// A refusal that needs no further answer.
pub(super) fn probes(written: &AsWritten<'_>, context: &Context<'_>) -> Result<Vec<Probe>, Refusal> {
    let mut open = names(written).probes(context);
    if !open.is_empty() {
        return Ok(open);
    }
    let lookup = names(written).resolve(context)?;
    match &written.what {
        AsWrittenKind::AddColumns { table, columns } => {
            open.extend(columns.iter().filter_map(|column| asked::own_default_probe(&table.name, column, &lookup)));
            let domains = columns.iter().filter(|column| lookup.type_of(&column.type_name).class == 'd');
            open.extend(domains.map(|column| added::domain_probe(&column.type_name)));
            open.extend(descendants::probe(table));
        }
        AsWrittenKind::CreateTable { schema, .. } => open.push(schema_probe(schema)),
        AsWrittenKind::CreateIndex { .. } | AsWrittenKind::AlterNewTable { .. } => {}
    }
    open.retain(|probe| !context.answers.contains_key(&probe.key));
    Ok(open)
}

fn schema_probe(schema: &Ident) -> Probe {
    Probe {
        key: schema_key(schema),
        sql: sql(
            "SELECT nspname FROM pg_catalog.pg_namespace WHERE nspname = {schema}",
            &[("schema", Hole::Text(schema.as_str()))],
        ),
    }
}

fn schema_key(schema: &Ident) -> String {
    ["schema:", schema.as_str()].concat()
}

fn schema_exists(schema: &Ident, context: &Context<'_>) -> Result<(), Refusal> {
    match context.answers.get(&schema_key(schema)) {
        Some(Answer::Rows(rows)) if rows.is_empty() => Err(Refusal::Impossible {
            what: format!("CREATE TABLE in the schema `{schema}`"),
            why: "there is no such schema".to_owned(),
            instead: "Check its name, or create the schema first.".to_owned(),
        }),
        Some(Answer::Rows(_) | Answer::Failed { .. } | Answer::TimedOut) | None => Ok(()),
    }
}

/// Returns the one step.
///
/// # Errors
/// A refusal for a type that makes the statement rewrite the table.
pub(super) fn plan(written: &AsWritten<'_>, context: &Context<'_>) -> Result<Planned, Refusal> {
    let lookup = names(written).resolve(context)?;
    match &written.what {
        AsWrittenKind::CreateTable { schema, name, beside } => {
            schema_exists(schema, context)?;
            let table = TableName { schema: schema.clone(), name: name.clone() };
            Ok(Planned { steps: vec![create_table(written, &table, beside)], ..Planned::default() })
        }
        AsWrittenKind::CreateIndex { index, schema, table } => {
            let table = TableName { schema: schema.clone(), name: table.clone() };
            let sql = index::on_new_table(written.at, &table, context);
            let sql = sql.unwrap_or_else(|| Sql::verbatim(written.statement));
            Ok(Planned { steps: vec![create_index(sql, &table, index.as_ref())], ..Planned::default() })
        }
        AsWrittenKind::AlterNewTable { schema, table } => {
            let table = TableName { schema: schema.clone(), name: table.clone() };
            let step = beside(alter_new_table(written, &table), referenced(written, context));
            Ok(Planned { steps: vec![step], ..Planned::default() })
        }
        AsWrittenKind::AddColumns { table, columns } => {
            for column in columns {
                asked::own_default(&table.name, column, context)?;
            }
            let constrains = |column: &&&NewColumn| {
                lookup.type_of(&column.type_name).class == 'd' && added::domain_constrains(&column.type_name, context)
            };
            let there = |name: &Ident| table.columns.iter().any(|c| c.name == *name);
            let mut step = add_columns(written, &table.name, columns, &there);
            let mut steps = vec![];
            if let Some(column) = columns.iter().find(constrains) {
                steps.push(small(table, column)?);
                step = Step { rewrites: true, scans: true, ..step };
            }
            steps.push(step);
            let steps = descendants::locked_too(steps, table, context);
            Ok(Planned { steps, notes: vec![select_star(&table.name)], ..Planned::default() })
        }
    }
}

/// A domain that constrains its values makes the server write each row again.
fn small(table: &Table, column: &NewColumn) -> Result<Step, Refusal> {
    let what = format!("ADD COLUMN `{}` to {}", column.name, table.name);
    let why = format!("the domain {} checks each row under the lock", shown_type(&column.type_name));
    let instead =
        "Add the column with the domain's base type, and what the domain checks as a CHECK of the column.".to_owned();
    added::still_small(table, what, &why, instead)
}

/// Returns the note about what prepared statements see when a column comes or goes.
pub(super) fn select_star(table: &TableName) -> String {
    format!(
        "prepared statements that read `SELECT *` or `RETURNING *` of {table} fail once, or until they are prepared again, \
         when a column is added or dropped (0A000): name the columns, or recycle the pool then"
    )
}

fn names<'a>(written: &AsWritten<'a>) -> lookup::Names<'a> {
    match &written.what {
        AsWrittenKind::AddColumns { columns, .. } => {
            let exprs = columns.iter().filter_map(|column| column.default.as_ref()).collect();
            lookup::Names { exprs, types: columns.iter().map(|column| &column.type_name).collect() }
        }
        AsWrittenKind::CreateTable { .. } | AsWrittenKind::CreateIndex { .. } | AsWrittenKind::AlterNewTable { .. } => {
            lookup::Names::default()
        }
    }
}

/// A foreign key of a new table keeps writers off the other one until COMMIT, and taking it away keeps readers off too.
fn create_table(written: &AsWritten<'_>, table: &TableName, others: &[(&Table, &'static str)]) -> Step {
    let referenced: Vec<_> = others.iter().filter(|(_, id)| *id == "tab.create_with_fk").copied().collect();
    let (bound, freed) = (beside_locks(others, None), beside_locks(&referenced, Some("tab.drop_with_fk_out")));
    let drop = sql("DROP TABLE IF EXISTS {table}", &[("table", Hole::Table(table))]);
    let work = Work {
        phase: Phase::Expand,
        title: format!("create the table {table}"),
        action: Action::Sql(vec![Sql::verbatim(written.statement)]),
        facts: &["tab.create"],
        table,
        undo: Undo::Lossy {
            steps: vec![undo_beside(undo_step(table, &["tab.drop"], vec![drop]), freed)],
            loses: format!("the rows written to {table}"),
        },
    };
    beside(work.step(), bound)
}

/// Returns the lock on each table to which a new one is bound, the strongest one once: as its fact says, or as `instead` does
/// for those that a foreign key refers to.
fn beside_locks(others: &[(&Table, &'static str)], instead: Option<&'static str>) -> Vec<RelationLock> {
    let mut locks: Vec<RelationLock> = vec![];
    for (table, id) in others {
        let id = instead.filter(|_| *id == "tab.create_with_fk").unwrap_or(id);
        let mode = fact(id).others.iter().map(|(_, mode)| *mode).max().unwrap_or(LockMode::None);
        match locks.iter_mut().find(|lock| lock.relation == table.name) {
            Some(lock) => lock.mode = lock.mode.max(mode),
            None => locks.push(RelationLock { relation: table.name.clone(), mode }),
        }
    }
    locks
}

/// The table is this file's own, so its index goes with it.
fn create_index(sql: Sql, table: &TableName, index: Option<&Ident>) -> Step {
    let title = match index {
        Some(index) => format!("create the index `{index}` on the new table {table}"),
        None => format!("create an index on the new table {table}"),
    };
    Work {
        phase: Phase::Expand,
        title,
        action: Action::Sql(vec![sql]),
        facts: &["idx.create"],
        table,
        undo: Undo::Nothing,
    }
    .step()
}

/// Nobody uses the table yet, and what is done to it goes with it.
fn alter_new_table(written: &AsWritten<'_>, table: &TableName) -> Step {
    Work {
        phase: Phase::Expand,
        title: format!("finish the new table {table}"),
        action: Action::Sql(vec![Sql::verbatim(written.statement)]),
        facts: &["tab.alter_new"],
        table,
        undo: Undo::Nothing,
    }
    .step()
}

/// A foreign key of a new table locks the one that it points to against writes.
fn referenced(written: &AsWritten<'_>, context: &Context<'_>) -> Vec<RelationLock> {
    let of_statement = context.migration.changes.iter().filter(|change| {
        change
            .statement
            .and_then(|at| context.migration.statements.get(at))
            .is_some_and(|other| other == written.statement)
    });
    let tables = of_statement.filter(|change| matches!(change.what, Change::Constraint(_)));
    let named = tables.flat_map(|change| change.what.other_tables());
    let found: BTreeSet<&TableName> =
        named.filter_map(|table| context.catalog.find(table)).map(|table| &table.name).collect();
    found.into_iter().map(|table| RelationLock { relation: table.clone(), mode: LockMode::ShareRowExclusive }).collect()
}

fn add_columns(
    written: &AsWritten<'_>,
    table: &TableName,
    columns: &[&NewColumn],
    exists: &dyn Fn(&Ident) -> bool,
) -> Step {
    let added: Vec<&Ident> = columns.iter().map(|column| &column.name).filter(|name| !exists(name)).collect();
    let names: Vec<String> = added.iter().map(|name| format!("`{name}`")).collect();
    let undo = match added.as_slice() {
        [] => Undo::Nothing,
        added => Undo::Lossy {
            steps: vec![undo_step(table, &["dropcol.plain"], vec![drop_columns(table, added)])],
            loses: format!("the values written to {}", names.join(", ")),
        },
    };
    Work {
        phase: Phase::Expand,
        title: format!("add {} to {table}", names.join(", ")),
        action: Action::Sql(vec![Sql::verbatim(written.statement)]),
        facts: &["addcol.const_default"],
        table,
        undo,
    }
    .step()
}

/// Returns the statement that drops columns, and may be repeated.
pub(super) fn drop_columns(table: &TableName, columns: &[&Ident]) -> Sql {
    let drops: Vec<Sql> =
        columns.iter().map(|column| sql("DROP COLUMN IF EXISTS {c}", &[("c", Hole::Name(column))])).collect();
    sql("ALTER TABLE {table} {drops}", &[("table", Hole::Table(table)), ("drops", Hole::Join(&drops, ", "))])
}
