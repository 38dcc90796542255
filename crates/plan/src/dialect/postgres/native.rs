//! Statements that are safe as written.

use segue_model::change::{Change, NewColumn};
use segue_model::ident::{Ident, TableName};
use segue_model::lock::{LockMode, RelationLock};
use segue_model::probe::{Answer, Probe};
use segue_model::sql::{Hole, Sql};
use segue_model::step::{Action, Phase, Step, Undo};

use super::work::{Work, beside, undo_beside, undo_step};
use super::{asked, lookup, sql};
use crate::dialect::Planned;
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
        AsWrittenKind::CreateTable { schema, name } => {
            schema_exists(schema, context)?;
            let table = TableName { schema: schema.clone(), name: name.clone() };
            let parents = referenced(written, &table, context);
            Ok(Planned { steps: vec![create_table(written, &table, &parents)], ..Planned::default() })
        }
        AsWrittenKind::CreateIndex { index, schema, table } => {
            let table = TableName { schema: schema.clone(), name: table.clone() };
            Ok(Planned { steps: vec![create_index(written, &table, index.as_ref())], ..Planned::default() })
        }
        AsWrittenKind::AlterNewTable { schema, table } => {
            let table = TableName { schema: schema.clone(), name: table.clone() };
            Ok(Planned { steps: vec![alter_new_table(written, &table)], ..Planned::default() })
        }
        AsWrittenKind::AddColumns { table, columns } => {
            for column in columns {
                if lookup.type_of(&column.type_name).class == 'd' {
                    return Err(domain(column));
                }
                asked::own_default(&table.name, column, context)?;
            }
            let step =
                add_columns(written, &table.name, columns, &|name| table.columns.iter().any(|c| c.name == *name));
            Ok(Planned { steps: vec![step], notes: vec![select_star(&table.name)], ..Planned::default() })
        }
    }
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

fn domain(column: &NewColumn) -> Refusal {
    Refusal::NotYet {
        what: format!(
            "a new column `{}` of a domain: PostgreSQL checks or rewrites every row under its lock",
            column.name
        ),
        instead: "Use the domain's base type.".to_owned(),
    }
}

/// Returns the tables that exist already and to which the new one's foreign keys point.
fn referenced(written: &AsWritten<'_>, table: &TableName, context: &Context<'_>) -> Vec<TableName> {
    let definitions = context.migration.changes.iter().filter(|change| change.at == *written.at);
    let definitions = definitions.filter_map(|change| match &change.what {
        Change::CreateTable { definition, .. } => definition.as_deref(),
        _ => None,
    });
    let named = definitions.flat_map(|definition| &definition.references);
    let found = named.filter_map(|reference| context.catalog.find(&reference.table)).map(|found| found.name.clone());
    let mut once: Vec<TableName> = found.filter(|found| found != table).collect();
    once.sort();
    once.dedup();
    once
}

/// A foreign key makes triggers on the table that it points to, and takes them away again.
fn create_table(written: &AsWritten<'_>, table: &TableName, parents: &[TableName]) -> Step {
    let drop = sql("DROP TABLE IF EXISTS {table}", &[("table", Hole::Table(table))]);
    let (made, gone): (&'static [&'static str], &'static [&'static str]) = match parents {
        [] => (&["tab.create"], &["tab.drop"]),
        _ => (&["tab.create_with_fk"], &["tab.drop_with_fk_out"]),
    };
    let of_parents = |mode| parents.iter().map(|parent| RelationLock { relation: parent.clone(), mode }).collect();
    let work = Work {
        phase: Phase::Expand,
        title: format!("create the table {table}"),
        action: Action::Sql(vec![Sql::verbatim(written.statement)]),
        facts: made,
        table,
        undo: Undo::Lossy {
            steps: vec![undo_beside(undo_step(table, gone, vec![drop]), of_parents(LockMode::AccessExclusive))],
            loses: format!("the rows written to {table}"),
        },
    };
    beside(work.step(), of_parents(LockMode::ShareRowExclusive))
}

/// The table is this file's own, so its index goes with it.
fn create_index(written: &AsWritten<'_>, table: &TableName, index: Option<&Ident>) -> Step {
    let title = match index {
        Some(index) => format!("create the index `{index}` on the new table {table}"),
        None => format!("create an index on the new table {table}"),
    };
    Work {
        phase: Phase::Expand,
        title,
        action: Action::Sql(vec![Sql::verbatim(written.statement)]),
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
