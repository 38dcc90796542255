//! NOT NULL of a column that is there: proved before it is set, and proved again before it comes back.

use segue_model::catalog::{Column, ConstraintKind, Table};
use segue_model::change::{Change, ColumnProperty};
use segue_model::ident::{Ident, TableName};
use segue_model::probe::{Answer, Probe};
use segue_model::sql::{Hole, Sql};
use segue_model::step::{Action, Condition, Phase, Step, Undo, UndoStep};
use segue_model::value::Value;

use super::attribute::{self, NAMED_NOT_NULL};
use super::mirror::{display, regclass};
use super::names::Names;
use super::types::{self, Resolved};
use super::work::{Work, undo_step, undo_step_if};
use super::{lookup, prove, sql};
use crate::dialect::Planned;
use crate::figures::typed_table;
use crate::operation::Context;
use crate::refusal::Refusal;

/// How many keys of rows in the way are named.
const NAMED: i64 = 10;

/// Returns the open questions before NOT NULL is set.
///
/// # Errors
/// A refusal that needs no further answer.
pub(super) fn probes(table: &Table, column: &Column, context: &Context<'_>) -> Result<Vec<Probe>, Refusal> {
    if column.not_null || is_filled(table, &column.name, context) {
        return Ok(vec![]);
    }
    let mut open = vec![types::probe(&column.type_name), keys_probe(table, &column.name)];
    if !keys(table, &column.name, context).is_empty() {
        open.push(count_probe(table, &column.name));
    }
    Ok(open)
}

/// Returns the steps that make the column NOT NULL.
///
/// # Errors
/// A refusal when rows are NULL.
pub(super) fn set(table: &Table, column: &Column, context: &Context<'_>) -> Result<Planned, Refusal> {
    if is_filled(table, &column.name, context) {
        return Ok(Planned::default());
    }
    if column.not_null {
        return Ok(Planned { steps: vec![settle(table, column, true)], ..Planned::default() });
    }
    no_nulls(table, &column.name, context)?;
    if is_proved(table, &column.name) {
        return Ok(Planned { steps: vec![settle(table, column, false)], ..Planned::default() });
    }
    let kind = plain(table, column, context)?;
    let check = check_name(table, &column.name, context)?;
    let steps = vec![
        prove::add(Phase::Expand, &table.name, (&column.name, &kind), &check),
        prove::validate(Phase::Expand, &table.name, &column.name, &check),
        settle(table, column, false),
        drop_check(table, &column.name, &check),
    ];
    Ok(Planned { steps, notes: unknown(table, &column.name, context), ..Planned::default() })
}

/// Returns the steps that let the column be NULL. NULLs that are written meanwhile are in the way of going back.
///
/// # Errors
/// A refusal for a column that is never NULL for another reason.
pub(super) fn drop(table: &Table, column: &Column, written: Sql, context: &Context<'_>) -> Result<Planned, Refusal> {
    never_null(table, column)?;
    let undo = if column.not_null { Undo::Lossless(way_back(table, column, context)?) } else { Undo::Nothing };
    let step = Work {
        phase: Phase::Expand,
        title: format!("let `{}` of {} be NULL", column.name, table.name),
        action: Action::Sql(vec![written]),
        facts: &["col.drop_not_null"],
        table: &table.name,
        undo,
    };
    let note = format!(
        "code that reads `{}` of {} may find NULL from now on, and each NULL is in the way of a rollback",
        column.name, table.name
    );
    Ok(Planned { steps: vec![step.step()], notes: vec![note], ..Planned::default() })
}

/// Returns whether this file gives the NULLs of the column a value: then NOT NULL comes with that.
fn is_filled(table: &Table, column: &Ident, context: &Context<'_>) -> bool {
    context.migration.changes.iter().any(|change| match &change.what {
        Change::Column(change) => {
            matches!(change.what, ColumnProperty::Fill(_))
                && change.column == *column
                && context.catalog.find(&change.table).is_some_and(|found| found.name == table.name)
        }
        _ => false,
    })
}

/// Returns whether a CHECK that holds says so already.
fn is_proved(table: &Table, column: &Ident) -> bool {
    let name = sql("{c}", &[("c", Hole::Name(column))]);
    let says = |definition: &str| {
        let inner = definition.strip_prefix("CHECK ((").and_then(|rest| rest.strip_suffix(" IS NOT NULL))"));
        inner.is_some_and(|inner| inner == column.as_str() || inner == name.as_str())
    };
    let mut checks = table.constraints.iter().filter(|constraint| constraint.kind == ConstraintKind::Check);
    checks.any(|check| check.validated && says(&check.definition))
}

fn settle(table: &Table, column: &Column, already: bool) -> Step {
    let (name, column) = (&table.name, &column.name);
    let undo = undo_step(name, &["col.drop_not_null"], vec![prove::drop_not_null(name, column)]);
    let says = if already { "it is already" } else { "which is proved already" };
    Work {
        phase: Phase::Expand,
        title: format!("make `{column}` NOT NULL, {says}"),
        action: Action::Sql(vec![prove::set_not_null(name, column)]),
        facts: &["col.set_not_null_valid_check"],
        table: name,
        undo: if already { Undo::Nothing } else { Undo::Lossless(vec![undo]) },
    }
    .step()
}

/// In the same ALTER it would go first, and the proof with it.
fn drop_check(table: &Table, column: &Ident, check: &Ident) -> Step {
    Work {
        phase: Phase::Expand,
        title: format!("drop the CHECK that proved `{column}`"),
        action: Action::Sql(vec![prove::drop_sql(&table.name, check)]),
        facts: &["con.drop_check"],
        table: &table.name,
        undo: Undo::Nothing,
    }
    .step()
}

fn check_name(table: &Table, column: &Ident, context: &Context<'_>) -> Result<Ident, Refusal> {
    let check = Names::new(context, &table.name, column).check(column);
    match table.constraints.iter().any(|constraint| constraint.name.as_ref() == Some(&check)) {
        true => Err(Refusal::Exists { name: format!("{}.{check}", table.name) }),
        false => Ok(check),
    }
}

/// A CHECK of a row type asks for each of its fields, and proves nothing about the row; of a domain it asks the value.
fn plain(table: &Table, column: &Column, context: &Context<'_>) -> Result<Resolved, Refusal> {
    let names = lookup::Names { exprs: vec![], types: vec![&column.type_name] };
    let kind = names.resolve(context)?.type_of(&column.type_name).clone();
    match kind.class {
        'c' => Err(Refusal::NotYet {
            what: format!("SET NOT NULL on `{}` of {}, whose type is a row", column.name, table.name),
            instead:
                "No CHECK proves it, so that the server would read every row under its lock: do it when nobody writes."
                    .to_owned(),
        }),
        _ => Ok(Resolved { class: 'b', ..kind }),
    }
}

fn is_null(table: &Table, column: &Ident, template: &'static str, limit: i64) -> Sql {
    sql(
        template,
        &[
            ("key", Hole::Sql(&key(table))),
            ("table", Hole::Table(&table.name)),
            ("column", Hole::Name(column)),
            ("limit", Hole::Int(limit)),
        ],
    )
}

/// Returns a row's key as one text.
fn key(table: &Table) -> Sql {
    match table.primary_key() {
        [] => Sql::fixed("'ctid ' || ctid::pg_catalog.text"),
        [one] => sql("{c}::pg_catalog.text", &[("c", Hole::Name(one))]),
        several => sql("ROW({c})::pg_catalog.text", &[("c", Hole::Names(several.iter().collect()))]),
    }
}

fn keys_probe(table: &Table, column: &Ident) -> Probe {
    let sql = is_null(table, column, "SELECT {key} FROM {table} WHERE {column} IS NULL LIMIT {limit}", NAMED);
    Probe { key: keys_key(&table.name, column), sql }
}

fn count_probe(table: &Table, column: &Ident) -> Probe {
    let sql = sql(
        "SELECT pg_catalog.count(*) FROM {table} WHERE {column} IS NULL",
        &[("table", Hole::Table(&table.name)), ("column", Hole::Name(column))],
    );
    Probe { key: count_key(&table.name, column), sql }
}

fn keys_key(table: &TableName, column: &Ident) -> String {
    format!("null keys:{}:{}", display(table), column.as_str())
}

fn count_key(table: &TableName, column: &Ident) -> String {
    format!("null count:{}:{}", display(table), column.as_str())
}

fn keys<'c>(table: &Table, column: &Ident, context: &Context<'c>) -> Vec<&'c str> {
    match context.answers.get(&keys_key(&table.name, column)) {
        Some(Answer::Rows(rows)) => rows.iter().filter_map(|row| row.first().and_then(Value::as_str)).collect(),
        Some(Answer::Failed { .. } | Answer::TimedOut) | None => vec![],
    }
}

fn no_nulls(table: &Table, column: &Ident, context: &Context<'_>) -> Result<(), Refusal> {
    let keys = keys(table, column, context);
    if keys.is_empty() {
        return Ok(());
    }
    let count = match context.answers.get(&count_key(&table.name, column)) {
        Some(Answer::Rows(rows)) => rows.first().and_then(|row| row.first()).and_then(Value::as_i64),
        Some(Answer::Failed { .. } | Answer::TimedOut) | None => None,
    };
    let count = match count {
        Some(1) => "1 row has".to_owned(),
        Some(count) => format!("{count} rows have"),
        None => "rows have".to_owned(),
    };
    let shown = typed_table(table, context.catalog);
    Err(Refusal::Impossible {
        what: format!("SET NOT NULL on `{column}` of {}", table.name),
        why: format!("{count} NULL there: {}", keys.join(", ")),
        instead: format!(
            "Write `UPDATE {shown} SET {column} = … WHERE {column} IS NULL;` before it in this file: the NULLs are then filled by \
             windows, also those that are still written."
        ),
    })
}

fn unknown(table: &Table, column: &Ident, context: &Context<'_>) -> Vec<String> {
    let known = matches!(context.answers.get(&keys_key(&table.name, column)), Some(Answer::Rows(_)));
    let note =
        || format!("whether `{column}` of {} is NULL anywhere took too long to find out: VALIDATE tells", table.name);
    if known { vec![] } else { vec![note()] }
}

fn never_null(table: &Table, column: &Column) -> Result<(), Refusal> {
    let why = if table.primary_key().contains(&column.name) {
        "it is in the primary key"
    } else if column.identity.is_some() {
        "it is an identity column"
    } else {
        return Ok(());
    };
    Err(Refusal::Impossible {
        what: format!("DROP NOT NULL on `{}` of {}", column.name, table.name),
        why: why.to_owned(),
        instead: "Take that from the column first.".to_owned(),
    })
}

/// Rows that are NULL by then are found before anything is undone, and the CHECK proves that there are none when it counts.
fn way_back(table: &Table, column: &Column, context: &Context<'_>) -> Result<Vec<UndoStep>, Refusal> {
    let (name, kind) = (&table.name, plain(table, column, context)?);
    let check = check_name(table, &column.name, context)?;
    let drop = || prove::drop_sql(name, &check);
    let condition = Condition {
        sql: is_null(
            table,
            &column.name,
            "SELECT 'the row at ' || {key} || ' has NULL' FROM {table} WHERE {column} IS NULL LIMIT {limit}",
            NAMED,
        ),
        says: format!("no row of {name} has NULL in `{}`", column.name),
        hint: "Give these rows a value first.".to_owned(),
    };
    Ok(vec![
        undo_step_if(
            name,
            &["con.add_check_nv"],
            vec![drop(), prove::add_sql(name, (&column.name, &kind), &check)],
            vec![condition],
        ),
        undo_step(name, &["con.validate_check"], vec![prove::validate_sql(name, &check)]),
        UndoStep {
            needed: Some(is_nullable(name, &column.name)),
            ..undo_step(name, &["col.set_not_null_valid_check"], vec![set_back(table, column, context)?])
        },
        undo_step(name, &["con.drop_check"], vec![drop()]),
    ])
}

/// From 18 on it had a name.
fn set_back(table: &Table, column: &Column, context: &Context<'_>) -> Result<Sql, Refusal> {
    let name = match context.server.version.major >= NAMED_NOT_NULL {
        true => attribute::of(&table.name, &column.name, context)?.not_null,
        false => None,
    };
    Ok(match name {
        Some(name) => sql(
            "ALTER TABLE {table} ADD CONSTRAINT {name} NOT NULL {column}",
            &[("table", Hole::Table(&table.name)), ("name", Hole::Name(&name)), ("column", Hole::Name(&column.name))],
        ),
        None => prove::set_not_null(&table.name, &column.name),
    })
}

fn is_nullable(table: &TableName, column: &Ident) -> Sql {
    sql(
        "SELECT pg_catalog.count(*) FROM pg_catalog.pg_attribute AS a WHERE a.attrelid = {table} AND a.attname = {column} \
         AND NOT a.attnotnull",
        &[("table", Hole::Sql(&regclass(table))), ("column", Hole::Text(column.as_str()))],
    )
}
