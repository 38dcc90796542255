//! (a) A new column filled from columns that stay.

use segue_model::ident::Ident;
use segue_model::probe::Probe;
use segue_model::sql::{Hole, Sql, TypeName};
use segue_model::step::{Action, Asks, Phase, Step, Undo};

use super::asked::{self, Types};
use super::mirror::{Derived, Form, Kind, Mirror};
use super::names::Names;
use super::steady::{self, Taken};
use super::work::{Work, undo_step};
use super::{backfill, gates, keep, lookup, native, prove, reach, sql, sync, verify};
use crate::dialect::Planned;
use crate::operation::{Context, Fill};
use crate::refusal::Refusal;

/// Returns the open questions.
///
/// # Errors
/// A refusal that needs no further answer.
pub(super) fn probes(fill: &Fill<'_>, context: &Context<'_>) -> Result<Vec<Probe>, Refusal> {
    let mut open = names(fill).probes(context);
    open.push(gates::owner_probe(&fill.table.name));
    open.retain(|probe| !context.answers.contains_key(&probe.key));
    if !open.is_empty() {
        return Ok(open);
    }
    let lookup = names(fill).resolve(context)?;
    let asked = asked::result_probe(&fill.table.name, &fill.column.name, &fill.forward, &types(fill), &lookup);
    let reach = reach::probe(&fill.table.name, &fill.column.name, &[&fill.forward], &[&fill.column.type_name], &lookup);
    let steady = steady::probe(taken(fill), &types(fill), &lookup);
    let own = asked::own_default_probe(&fill.table.name, fill.column, &lookup);
    Ok([asked, reach, steady]
        .into_iter()
        .chain(own)
        .filter(|probe| !context.answers.contains_key(&probe.key))
        .collect())
}

/// Returns the steps.
///
/// # Errors
/// A refusal when this cannot be done while the application runs.
pub(super) fn plan(fill: &Fill<'_>, context: &Context<'_>) -> Result<Planned, Refusal> {
    gates::table(fill.table, context)?;
    let mirror = mirror(fill, context)?;
    if !is_there(fill) {
        gates::addable(fill.table, fill.column, &mirror.lookup)?;
    }
    let major = context.server.version.major;
    let column = &fill.column.name;
    gates::free(&mirror, fill.not_null.then_some(column))?;
    asked::own_default(&fill.table.name, fill.column, context)?;
    steady::gate(taken(fill), &types(fill), &mirror.lookup, context)?;
    reach::gate(&mirror, context)?;
    let check = mirror.names.check(column);
    let proved_early = fill.not_null && mirror.new[0].form.is_total() && is_total(fill);

    let mut steps = if is_there(fill) {
        vec![sync::step(&mirror, false)]
    } else {
        vec![add(&mirror, fill), sync::step(&mirror, true)]
    };
    if proved_early {
        steps.push(prove::add(Phase::Sync, mirror.table(), (column, &mirror.new[0].kind), &check));
    }
    steps.push(fill_rows(&mirror, fill, major));
    steps.push(backfill::analyze(&mirror));
    if proved_early {
        steps.push(prove::validate(Phase::Verify, mirror.table(), column, &check));
    }
    steps.push(verify::step(&mirror, Phase::Verify, major));
    steps.push(gates::gate(Phase::Flip, "every row is filled", mirror.table(), gates::conditions(&mirror), None));
    steps.extend(contract(&mirror, fill, &check, proved_early));
    steps.push(cleanup(&mirror, fill));
    Ok(Planned { steps, notes: notes(&mirror, fill), flip: flip(fill), loses: Some(loses(&mirror, fill)) })
}

/// Returns whether the column is one that the table has already: then it is its NULLs that are filled.
fn is_there(fill: &Fill<'_>) -> bool {
    fill.table.columns.iter().any(|column| column.name == fill.column.name)
}

fn loses(mirror: &Mirror<'_>, fill: &Fill<'_>) -> String {
    if is_there(fill) { were_null(&fill.column.name) } else { keep::loses(mirror) }
}

/// Returns what is lost when NULLs get a value.
pub(super) fn were_null(column: &Ident) -> String {
    format!("which rows had NULL in `{column}`")
}

/// A NULL of a column that stays does not come back with the column's end.
fn fill_rows(mirror: &Mirror<'_>, fill: &Fill<'_>, major: u32) -> Step {
    let step = backfill::step(mirror, major);
    if !is_there(fill) {
        return step;
    }
    let title = format!("give the NULLs of `{}` their value", fill.column.name);
    Step { title, undo: Undo::Lossy { steps: vec![], loses: were_null(&fill.column.name) }, ..step }
}

fn names<'a>(fill: &'a Fill<'a>) -> lookup::Names<'a> {
    let types = fill.table.columns.iter().map(|column| &column.type_name);
    lookup::Names {
        exprs: std::iter::once(&fill.forward).chain(&fill.column.default).collect(),
        types: read_only(types.collect(), fill).into_iter().chain([&fill.column.type_name]).collect(),
    }
}

/// Only the types of columns that the transform reads matter.
fn read_only<'a>(types: Vec<&'a TypeName>, fill: &Fill<'_>) -> Vec<&'a TypeName> {
    let read = fill.forward.columns();
    let columns = fill.table.columns.iter();
    columns.zip(types).filter(|(column, _)| read.contains(&column.name)).map(|(_, name)| name).collect()
}

fn taken<'a>(fill: &'a Fill<'a>) -> Taken<'a> {
    let column = fill.column;
    Taken { table: &fill.table.name, column: &column.name, kind: &column.type_name, expr: &fill.forward }
}

fn types<'a>(fill: &'a Fill<'a>) -> Types<'a> {
    fill.table.columns.iter().map(|column| (&column.name, &column.type_name)).collect()
}

pub(super) fn mirror<'a>(fill: &'a Fill<'a>, context: &Context<'a>) -> Result<Mirror<'a>, Refusal> {
    let lookup = names(fill).resolve(context)?;
    let table = &fill.table.name;
    generated(fill)?;
    let names = Names::new(context, table, &fill.column.name);
    let kind = lookup.type_of(&fill.column.type_name).clone();
    let from = asked::result(table, &fill.column.name, &fill.forward, &types(fill), &lookup, context)?;
    let form = Form::of(kind.fit(from.as_ref()), fill.forward.can_raise, || {
        tried(&names, &fill.column.name, &fill.forward, &types(fill), &lookup)
    });
    let new = Derived { column: fill.column.name.clone(), kind, expr: fill.forward.clone(), form };
    let renamed = std::collections::BTreeMap::new();
    let (kind, required) = (Kind::Fill, fill.not_null);
    Ok(Mirror { table: fill.table, names, kind, new: vec![new], old: vec![], required, renamed, lookup })
}

/// A generated column is not known yet when a BEFORE trigger runs.
fn generated(fill: &Fill<'_>) -> Result<(), Refusal> {
    let read = fill.forward.columns();
    match fill.table.columns.iter().find(|column| column.generated.is_some() && read.contains(&column.name)) {
        Some(column) => Err(Refusal::NotYet {
            what: format!("a transform that reads the generated column `{}.{}`", fill.table.name, column.name),
            instead: "Write its expression in the transform.".to_owned(),
        }),
        None => Ok(()),
    }
}

/// Returns the functions that try an expression for a column.
pub(super) fn tried(
    names: &Names<'_>,
    column: &Ident,
    expr: &segue_model::expr::Expr,
    types: &Types<'_>,
    lookup: &lookup::Lookup,
) -> Form {
    let args = expr
        .columns()
        .into_iter()
        .filter_map(|name| Some((name.clone(), lookup.type_of(types.get(name)?).clone())))
        .collect();
    Form::Tried {
        convert: names.helper(column, "convert"),
        why: names.helper(column, "why"),
        args,
        unstable: !lookup.unstable(expr).is_empty(),
    }
}

/// Returns whether the transform gives a value for every row.
pub(super) fn is_total(fill: &Fill<'_>) -> bool {
    let nullable = |name: &Ident| fill.table.columns.iter().any(|column| column.name == *name && !column.not_null);
    !fill.forward.nullness.possible(&nullable)
}

fn add(mirror: &Mirror<'_>, fill: &Fill<'_>) -> Step {
    let column = &fill.column.name;
    let added = sql(
        "ALTER TABLE {table} ADD COLUMN {column} {type}",
        &[
            ("table", Hole::Table(mirror.table())),
            ("column", Hole::Name(column)),
            ("type", Hole::Type(&fill.column.type_name)),
        ],
    );
    Work {
        phase: Phase::Expand,
        title: format!("add `{column}` to {}, empty", mirror.table()),
        action: Action::Sql(vec![added]),
        facts: &["addcol.null"],
        table: mirror.table(),
        undo: Undo::Lossy {
            steps: vec![undo_step(
                mirror.table(),
                &["dropcol.plain"],
                vec![native::drop_columns(mirror.table(), &[column])],
            )],
            loses: keep::loses(mirror),
        },
    }
    .step()
}

fn contract(mirror: &Mirror<'_>, fill: &Fill<'_>, check: &Ident, proved_early: bool) -> Vec<Step> {
    let (table, column) = (mirror.table(), &fill.column.name);
    let asks = Some(Asks::OldVersionStopped);
    let mut steps = vec![gates::gate(
        Phase::Contract,
        "code that leaves the column out is gone",
        table,
        gates::conditions(mirror),
        asks,
    )];
    if fill.not_null && !proved_early {
        steps.push(prove::add(Phase::Contract, table, (column, &mirror.new[0].kind), check));
        steps.push(prove::validate(Phase::Contract, table, column, check));
    }
    if fill.not_null {
        steps.push(
            Work {
                phase: Phase::Contract,
                title: format!("make `{column}` NOT NULL, which is proved already"),
                action: Action::Sql(prove::settle(table, column, check)),
                facts: &["col.set_not_null_valid_check", "con.drop_check"],
                table,
                undo: Undo::Lossless(vec![undo_step(
                    table,
                    &["col.drop_not_null"],
                    vec![prove::drop_not_null(table, column)],
                )]),
            }
            .step(),
        );
    }
    steps
}

fn cleanup(mirror: &Mirror<'_>, fill: &Fill<'_>) -> Step {
    let mut all: Vec<Sql> = sync::drop(mirror);
    if let Some(default) = &fill.column.default {
        all.push(prove::set_default(mirror.table(), &fill.column.name, &asked::bare(default, &mirror.lookup)));
    }
    Work {
        phase: Phase::Cleanup,
        title: "drop the triggers that fill the column".to_owned(),
        action: Action::Sql(all),
        facts: &["trg.drop", "fn.drop", "col.set_default"],
        table: mirror.table(),
        undo: Undo::Impossible,
    }
    .step()
}

fn notes(mirror: &Mirror<'_>, fill: &Fill<'_>) -> Vec<String> {
    let column = &fill.column.name;
    if is_there(fill) {
        let mut notes = gates::notes_of_rows(mirror);
        notes.push(format!("until cleanup a write that leaves `{column}` NULL gets the value of the UPDATE"));
        return notes;
    }
    let mut notes = gates::notes(mirror);
    if !fill.not_null {
        notes.push(format!("until cleanup an INSERT that gives NULL for `{column}` gets the transform's value"));
    }
    notes
}

fn flip(fill: &Fill<'_>) -> String {
    if is_there(fill) {
        return format!(
            "nothing in the database changes: from ready on deploy the code that never leaves `{}` NULL, then run `segue flip`",
            fill.column.name
        );
    }
    format!(
        "nothing in the database changes: from ready on deploy the code that writes `{}`, then run `segue flip`",
        fill.column.name
    )
}
