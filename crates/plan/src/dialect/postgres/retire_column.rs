//! A column that goes away without another in its place: new code may leave it out first, then it is hidden, then dropped.

use std::collections::BTreeMap;

use segue_model::catalog::{Column, Constraint, ConstraintKind, Dependent, Index, Table};
use segue_model::ident::{Ident, TableName};
use segue_model::lock::{LockMode, RelationLock};
use segue_model::probe::{Answer, Probe};
use segue_model::sql::{Hole, Sql};
use segue_model::step::{Action, Asks, Condition, Phase, Step, Undo, UndoStep};
use segue_model::value::Value;

use super::cleanup::{self, Going};
use super::mirror::{Derived, Form, Kind, Mirror, display, regclass};
use super::names::{Names, deprecated};
use super::types::Resolved;
use super::work::{Work, beside, undo_step, undo_step_if};
use super::{gates, lookup, naming, native, pair, prove, rename_column, sql};
use crate::dialect::Planned;
use crate::operation::{Context, Native};
use crate::refusal::Refusal;

/// Dependents that the server drops with a column without a word; others keep it from going.
const GO_ALONG: &[&str] = &["check", "statistics", "index expression"];

/// Returns the open questions.
///
/// # Errors
/// A refusal for a type that cannot be found.
pub(super) fn probes(table: &Table, wanted: &Ident, context: &Context<'_>) -> Result<Vec<Probe>, Refusal> {
    let Some(column) = context.catalog.column(table, wanted) else { return Ok(vec![]) };
    let mut open = types(column).probes(context);
    open.push(gates::owner_probe(&table.name));
    open.extend(prove::name_probe(&table.name, column, context.server.version.major));
    if open.iter().all(|probe| context.answers.contains_key(&probe.key)) {
        let kind = types(column).resolve(context)?.type_of(&column.type_name).clone();
        open.extend(checks(table, column).filter_map(|check| check_probe(table, column, &kind, check)));
    }
    Ok(open)
}

fn types(column: &Column) -> lookup::Names<'_> {
    lookup::Names { exprs: vec![], types: vec![&column.type_name] }
}

fn checks<'t>(table: &'t Table, column: &'t Column) -> impl Iterator<Item = &'t Constraint> {
    of_column(table, column).filter(|constraint| constraint.kind == ConstraintKind::Check)
}

fn of_column<'t>(table: &'t Table, column: &'t Column) -> impl Iterator<Item = &'t Constraint> {
    table.constraints.iter().filter(|constraint| constraint.columns.contains(&column.name))
}

/// Asks whether a CHECK that names the column alone lets rows pass that leave it out.
fn check_probe(table: &Table, column: &Column, kind: &Resolved, check: &Constraint) -> Option<Probe> {
    let condition = check.definition.strip_prefix("CHECK ")?;
    let condition = condition.strip_suffix(" NOT VALID").unwrap_or(condition);
    let condition = condition.strip_suffix(" NO INHERIT").unwrap_or(condition);
    (check.columns.len() == 1 && is_left_null(column)).then(|| Probe {
        key: check_key(table, check),
        sql: sql(
            "SELECT {condition} IS NOT FALSE FROM (SELECT CAST(NULL AS {type}) AS {column}) AS r",
            &[
                ("condition", Hole::Sql(&Sql::of_catalog(condition))),
                ("type", Hole::Type(&kind.full())),
                ("column", Hole::Name(&column.name)),
            ],
        ),
    })
}

fn check_key(table: &Table, check: &Constraint) -> String {
    format!("check left out:{}:{}", display(&table.name), check.name.as_ref().map_or("", Ident::as_str))
}

/// Returns whether a row that leaves the column out has NULL there.
fn is_left_null(column: &Column) -> bool {
    column.default.is_none() && column.identity.is_none() && column.generated.is_none()
}

/// Returns the steps.
///
/// # Errors
/// A refusal when something needs the column, or rows that leave it out could be refused.
pub(super) fn plan(
    table: &Table,
    wanted: &Ident,
    native: &Native<'_>,
    context: &Context<'_>,
) -> Result<Planned, Refusal> {
    let Some(column) = context.catalog.column(table, wanted) else { return Ok(naming::missing(native)) };
    gates::table(table, context)?;
    rename_column::not_elsewhere(native, table, &[&column.name], context)?;
    unused(table, column)?;
    let kind = types(column).resolve(context)?.type_of(&column.type_name).clone();
    may_be_left_out(table, column, &kind, context)?;
    let hidden = deprecated(table, &column.name)?;
    let names = Names::new(context, &table.name, &column.name);
    let mut steps = vec![];
    if column.not_null && is_left_null(column) {
        steps.push(open(table, column, &kind, &names, context)?);
    }
    steps.push(gates::gate(
        Phase::Contract,
        "code that uses the column is gone",
        &table.name,
        vec![nothing_uses(&table.name, &column.name)],
        Some(Asks::OldVersionStopped),
    ));
    steps.push(hide(&table.name, &column.name, &hidden));
    steps.push(gates::gate(
        Phase::Cleanup,
        "nothing uses the column",
        &table.name,
        vec![nothing_uses(&table.name, &hidden)],
        None,
    ));
    steps.extend(dropped(table, column, &hidden, names, context)?);
    let flip = format!(
        "nothing in the database changes: from ready on deploy the code that does without `{}`, then run `segue flip`",
        column.name
    );
    Ok(Planned { steps, notes: notes(table, column), flip, loses: None })
}

/// What the naive statement would not drop without CASCADE, nor do we.
fn unused(table: &Table, column: &Column) -> Result<(), Refusal> {
    let needs = |dependent: &&Dependent| {
        dependent.columns.contains(&column.name) && !GO_ALONG.contains(&dependent.kind.as_str())
    };
    let dependents = table.dependents.iter().filter(needs).map(|found| format!("the {} `{}`", found.kind, found.name));
    let keys = table.referenced_by.iter().filter(|key| key.referenced_columns.contains(&column.name));
    let keys = keys.map(|key| {
        let name = key.name.as_ref().map(Ident::to_string).unwrap_or_default();
        format!("the foreign key `{name}` of {}", key.table)
    });
    let users: Vec<String> = dependents.chain(keys).collect();
    if users.is_empty() {
        return Ok(());
    }
    Err(Refusal::Impossible {
        what: format!("DROP COLUMN `{}` of {}", column.name, table.name),
        why: ["it is needed: ", &users.join("; ")].concat(),
        instead: "Drop or rewrite what is named in an earlier migration: nothing goes by CASCADE.".to_owned(),
    })
}

/// From ready on new code writes rows without the column, and none of them may fail for it.
fn may_be_left_out(table: &Table, column: &Column, kind: &Resolved, context: &Context<'_>) -> Result<(), Refusal> {
    let why = in_constraints(table, column, context)
        .or_else(|| {
            (column.not_null && kind.class == 'd' && is_left_null(column))
                .then(|| "its domain may refuse NULL".to_owned())
        })
        .or_else(|| {
            let index = table.indexes.iter().find(|index| is_crowded(index, column))?;
            Some(format!("every row that leaves it out would have the same value in the unique index `{}`", index.name))
        });
    match why {
        None => Ok(()),
        Some(why) => Err(Refusal::Impossible {
            what: format!("new code cannot write rows of {} without `{}`", table.name, column.name),
            why,
            instead: "Drop that constraint or index in an earlier migration, and then the column.".to_owned(),
        }),
    }
}

fn in_constraints(table: &Table, column: &Column, context: &Context<'_>) -> Option<String> {
    of_column(table, column).find_map(|constraint| {
        let name = constraint.name.as_ref().map(Ident::to_string).unwrap_or_default();
        let several = constraint.columns.len() > 1;
        match constraint.kind {
            ConstraintKind::PrimaryKey => Some(format!("it is in the primary key `{name}`")),
            ConstraintKind::Check if several => Some(format!("the CHECK `{name}` compares it with other columns")),
            ConstraintKind::Check if is_left_null(column) && !passes(table, constraint, context) => {
                Some(format!("the CHECK `{name}` refuses NULL, or may"))
            }
            ConstraintKind::ForeignKey if several && constraint.definition.contains(" MATCH FULL") => {
                Some(format!("the foreign key `{name}` is MATCH FULL: all of its columns are NULL, or none"))
            }
            ConstraintKind::Check | ConstraintKind::Unique | ConstraintKind::ForeignKey | ConstraintKind::Exclusion => {
                None
            }
        }
    })
}

fn passes(table: &Table, check: &Constraint, context: &Context<'_>) -> bool {
    match context.answers.get(&check_key(table, check)) {
        Some(Answer::Rows(rows)) => rows.first().and_then(|row| row.first()).and_then(Value::as_bool).unwrap_or(false),
        Some(Answer::Failed { .. } | Answer::TimedOut) | None => false,
    }
}

/// A constant is the same in each row; what a function gives may differ.
fn is_crowded(index: &Index, column: &Column) -> bool {
    let constant = column.default.as_ref().is_some_and(|default| !default.contains('('));
    let nulls_alike = index.carries.iter().any(|carried| carried == "nulls not distinct");
    let alone = index.keys.len() == 1 && index.keys[0].column.as_ref() == Some(&column.name);
    index.unique && alone && (constant || is_left_null(column) && nulls_alike)
}

/// Returns the step after which rows may leave the column out. On the way back it is proved first.
fn open(
    table: &Table,
    column: &Column,
    kind: &Resolved,
    names: &Names<'_>,
    context: &Context<'_>,
) -> Result<Step, Refusal> {
    let (name, check) = (&column.name, names.check(&column.name));
    if table.constraints.iter().any(|other| other.name.as_ref() == Some(&check)) {
        return Err(Refusal::Exists { name: [table.name.to_string(), check.to_string()].join(".") });
    }
    let table = &table.name;
    let set = prove::set_not_null_as(table, name, name, context);
    let back: Vec<UndoStep> = vec![
        undo_step_if(table, &["dml.select_window"], vec![], vec![nowhere_null(table, name, kind)]),
        undo_step(
            table,
            &["con.drop_check", "con.add_check_nv"],
            vec![prove::drop_sql(table, &check), prove::add_sql(table, (name, kind), &check)],
        ),
        undo_step(table, &["con.validate_check"], vec![prove::validate_sql(table, &check)]),
        undo_step(
            table,
            &["col.set_not_null_valid_check", "con.drop_check"],
            vec![set, prove::drop_sql(table, &check)],
        ),
    ];
    Ok(Work {
        phase: Phase::Expand,
        title: format!("let rows of {table} leave `{name}` out"),
        action: Action::Sql(vec![prove::drop_not_null(table, name)]),
        facts: &["col.drop_not_null"],
        table,
        undo: Undo::Lossless(back),
    }
    .step())
}

fn nowhere_null(table: &TableName, column: &Ident, kind: &Resolved) -> Condition {
    let null = kind.is_null(&sql("{c}", &[("c", Hole::Name(column))]));
    Condition {
        sql: sql(
            "SELECT pg_catalog.count(*) || ' rows have no value in the column' FROM {table} WHERE {null} \
             HAVING pg_catalog.count(*) OPERATOR(pg_catalog.>) 0",
            &[("table", Hole::Table(table)), ("null", Hole::Sql(&null))],
        ),
        says: format!("every row of {table} has a value in `{column}`, as old code expects"),
        hint: format!("Give these rows a value of `{column}`, or go forward."),
    }
}

fn hide(table: &TableName, column: &Ident, hidden: &Ident) -> Step {
    let back = pair::if_column_of(table, hidden, &[pair::rename_of(table, hidden, column)]);
    Work {
        phase: Phase::Contract,
        title: format!("hide `{column}` of {table}"),
        action: Action::Sql(vec![pair::rename_of(table, column, hidden)]),
        facts: &["tab.rename_column"],
        table,
        undo: Undo::Lossless(vec![undo_step(table, &["tab.rename_column"], vec![back])]),
    }
    .step()
}

/// What the server drops with the column without a word is no obstacle: it depends on it in two ways.
fn nothing_uses(table: &TableName, column: &Ident) -> Condition {
    let holes = [("table", Hole::Sql(&regclass(table))), ("column", Hole::Text(column.as_str()))];
    Condition {
        sql: sql(include_str!("retire_column/users.sql").trim_end(), &holes),
        says: "no view, foreign key or other object uses the column that is dropped".to_owned(),
        hint: "Drop or rewrite these objects first.".to_owned(),
    }
}

/// The copy, and the end. A foreign key that goes along locks its other table.
fn dropped<'a>(
    table: &'a Table,
    column: &Column,
    hidden: &Ident,
    names: Names<'a>,
    context: &Context<'_>,
) -> Result<Vec<Step>, Refusal> {
    let lookup = types(column).resolve(context)?;
    let kind = lookup.type_of(&column.type_name).clone();
    let expr = rename_column::copy_of(&column.name);
    let old = vec![Derived { column: column.name.clone(), kind, expr, form: Form::Exact }];
    let renamed = BTreeMap::from([(column.name.clone(), hidden.clone())]);
    let mirror = Mirror { table, names, kind: Kind::TwoWay, new: vec![], old, required: false, renamed, lookup };
    let going = [Going { now: hidden, kept_as: &column.name }];
    let mut steps = cleanup::copied_and_dropped(&mirror, &going);
    let others = of_column(table, column).filter_map(|key| key.references.clone()).filter(|other| *other != table.name);
    let others = others.map(|relation| RelationLock { relation, mode: LockMode::AccessExclusive });
    let last = steps.pop().map(|last| beside(last, others.collect()));
    steps.extend(last);
    Ok(steps)
}

fn notes(table: &Table, column: &Column) -> Vec<String> {
    let mut notes = vec![native::select_star(&table.name)];
    let constraints = of_column(table, column).map(|constraint| {
        let to = constraint.references.as_ref().map_or_else(String::new, |other| format!(" to {other}"));
        format!("the constraint `{}`{to}", constraint.name.as_ref().map(Ident::to_string).unwrap_or_default())
    });
    let names = |index: &&Index| !index.of_constraint && gates::names(&index.definition, &column.name);
    let indexes = table.indexes.iter().filter(names).map(|index| format!("the index `{}`", index.name));
    let sequences = column.owns_sequences.iter().map(|sequence| format!("the sequence {sequence}"));
    let statistics =
        table.dependents.iter().filter(|found| found.kind == "statistics" && found.columns.contains(&column.name));
    let statistics = statistics.map(|found| format!("the statistics `{}`", found.name));
    let along: Vec<String> = constraints.chain(indexes).chain(sequences).chain(statistics).collect();
    if !along.is_empty() {
        notes.push(format!(
            "cleanup drops with `{}`: {}; the copy holds its values alone",
            column.name,
            along.join(", ")
        ));
    }
    let triggers: Vec<String> = table.triggers.iter().map(|trigger| format!("`{}`", trigger.name)).collect();
    if !triggers.is_empty() {
        notes.push(format!(
            "look whether the functions of the triggers {} of {} name `{}`: from contract on they would fail",
            triggers.join(", "),
            table.name,
            column.name
        ));
    }
    notes
}
