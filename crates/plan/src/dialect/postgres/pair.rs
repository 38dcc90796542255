//! (b) New columns in place of old ones, each following from the other.

use std::collections::BTreeMap;

use segue_model::expr::Expr;
use segue_model::ident::{Ident, TableName};
use segue_model::probe::Probe;
use segue_model::sql::{Hole, Sql, TypeName};
use segue_model::step::{Action, Asks, Phase, Step, Undo};

use super::asked::{self, Round, Types};
use super::cleanup::{self, Going};
use super::fill::tried;
use super::mirror::{Derived, Form, Kind, Mirror, regclass};
use super::names::{Names, deprecated};
use super::steady::{self, Taken};
use super::types::Resolved;
use super::work::{Work, undo_step};
use super::{backfill, gates, keep, lookup, native, prove, reach, sql, sync, unique, verify};
use crate::dialect::Planned;
use crate::operation::{Context, NewSide, Pair};
use crate::refusal::Refusal;

/// Returns the open questions.
///
/// # Errors
/// A refusal that needs no further answer.
pub(super) fn probes(pair: &Pair<'_>, context: &Context<'_>) -> Result<Vec<Probe>, Refusal> {
    let mut open = names(pair).probes(context);
    open.push(gates::owner_probe(&pair.table.name));
    open.retain(|probe| !context.answers.contains_key(&probe.key));
    if !open.is_empty() {
        return Ok(open);
    }
    let lookup = names(pair).resolve(context)?;
    let (table, types) = (&pair.table.name, types(pair));
    let new = pair.new.iter().map(|side| (&side.column.name, &side.forward));
    let old = pair.old.iter().map(|side| (&side.column.name, &side.back));
    open.extend(new.chain(old).map(|(column, expr)| asked::result_probe(table, column, expr, &types, &lookup)));
    let told = pair.new.iter().filter(|side| side.column.default.is_some() || never_required(pair));
    open.extend(told.map(|side| asked::defaults_probe(pair.table, side.column, &side.forward, &types, &lookup)));
    open.extend(pair.new.iter().filter_map(|side| asked::own_default_probe(table, side.column, &lookup)));
    open.extend(taken(pair).map(|taken| steady::probe(taken, &types, &lookup)));
    open.push(asked::sample_probe(table, &round(pair), &lookup));
    let transforms: Vec<&Expr> =
        pair.new.iter().map(|side| &side.forward).chain(pair.old.iter().map(|side| &side.back)).collect();
    let new = pair.new.iter().map(|side| &side.column.type_name);
    let kinds: Vec<&TypeName> = new.chain(pair.old.iter().map(|side| &side.column.type_name)).collect();
    open.push(reach::probe(table, &pair.new[0].column.name, &transforms, &kinds, &lookup));
    open.retain(|probe| !context.answers.contains_key(&probe.key));
    Ok(open)
}

/// Returns the steps.
///
/// # Errors
/// A refusal when this cannot be done while the application runs.
pub(super) fn plan(pair: &Pair<'_>, context: &Context<'_>) -> Result<Planned, Refusal> {
    plan_with(pair, context, &self::settle)
}

/// What makes the new columns in cleanup what they are to be at last: NOT NULL, with their defaults.
pub(super) type Settle<'s> = &'s dyn Fn(&Pair<'_>, &Mirror<'_>) -> Vec<Sql>;

/// Returns the steps, the last statements about the new columns being those of `settle`.
///
/// # Errors
/// A refusal when this cannot be done while the application runs.
pub(super) fn plan_with(pair: &Pair<'_>, context: &Context<'_>, settle: Settle<'_>) -> Result<Planned, Refusal> {
    gates::table(pair.table, context)?;
    for side in &pair.old {
        gates::bound(pair.table, side.column)?;
    }
    sides_apart(pair)?;
    let mirror = mirror(pair, context)?;
    for side in &pair.new {
        gates::addable(pair.table, side.column, &mirror.lookup)?;
    }
    for side in &pair.new {
        asked::own_default(&pair.table.name, side.column, context)?;
    }
    tellable(pair, context)?;
    old_not_null(pair, &mirror)?;
    unique::gate(pair, &mirror)?;
    gates::free(&mirror, pair.new.iter().filter(|side| side.not_null).map(|side| &side.column.name))?;
    for taken in taken(pair) {
        steady::gate(taken, &types(pair), &mirror.lookup, context)?;
    }
    reach::gate(&mirror, context)?;
    let hidden = hidden_names(pair)?;
    let loses = (!is_rename(&mirror)).then(|| keep::loses(&mirror));
    let mut notes = notes(pair, &mirror);
    if loses.is_some() {
        notes.push(asked::sampled(&pair.table.name, &pair.new[0].column.name, context));
    }
    let settle = settle(pair, &mirror);
    let steps = steps(pair, &mirror, &hidden, (loses.as_deref(), settle), context)?;
    Ok(Planned { steps, notes, flip: flip(pair), loses })
}

fn steps(
    pair: &Pair<'_>,
    mirror: &Mirror<'_>,
    hidden: &BTreeMap<Ident, Ident>,
    (loses, settle): (Option<&str>, Vec<Sql>),
    context: &Context<'_>,
) -> Result<Vec<Step>, Refusal> {
    let (table, major) = (mirror.table(), context.server.version.major);
    let early: Vec<(&Ident, &Resolved)> = proved(pair, mirror, true);
    let mut steps = vec![add(pair, mirror, loses), sync::step(mirror, loses.is_some())];
    steps.extend(early.iter().map(|side| prove::add(Phase::Sync, table, *side, &mirror.names.check(side.0))));
    steps.push(backfill::step(mirror, major));
    steps.push(backfill::analyze(mirror));
    steps.extend(
        early.iter().map(|(column, _)| prove::validate(Phase::Verify, table, column, &mirror.names.check(column))),
    );
    steps.push(verify::step(mirror, Phase::Verify, major));
    steps.push(gates::gate(Phase::Flip, "every row is right in both shapes", table, gates::conditions(mirror), None));
    steps.push(gates::gate(
        Phase::Contract,
        "code that uses the old columns is gone",
        table,
        gates::conditions(mirror),
        Some(Asks::OldVersionStopped),
    ));
    for (column, kind) in proved(pair, mirror, false) {
        steps.push(prove::add(Phase::Contract, table, (column, kind), &mirror.names.check(column)));
        steps.push(prove::validate(Phase::Contract, table, column, &mirror.names.check(column)));
    }
    let after = Mirror { renamed: hidden.clone(), ..self::mirror(pair, context)? };
    steps.push(hide(mirror, &after));
    let going: Vec<Going<'_>> = hidden.iter().map(|(old, now)| Going { now, kept_as: old }).collect();
    steps.extend(cleanup::steps(&after, &going, settle, major));
    Ok(steps)
}

fn names<'a>(pair: &'a Pair<'a>) -> lookup::Names<'a> {
    let defaults = pair.new.iter().filter_map(|side| side.column.default.as_ref());
    let exprs: Vec<&Expr> = pair
        .new
        .iter()
        .map(|side| &side.forward)
        .chain(pair.old.iter().map(|side| &side.back))
        .chain(defaults)
        .collect();
    let read: Vec<&Ident> = exprs.iter().flat_map(|expr| expr.columns()).collect();
    let types = types(pair)
        .into_iter()
        .filter(|(name, _)| {
            let side = pair.new.iter().any(|side| side.column.name == **name);
            side || pair.old.iter().any(|side| side.column.name == **name) || read.contains(name)
        })
        .map(|(_, kind)| kind)
        .collect();
    lookup::Names { exprs, types }
}

fn types<'a>(pair: &'a Pair<'a>) -> Types<'a> {
    let table = pair.table.columns.iter().map(|column| (&column.name, &column.type_name));
    table.chain(pair.new.iter().map(|side| (&side.column.name, &side.column.type_name))).collect()
}

/// Returns each transform of both sides with the column that takes it.
fn taken<'a>(pair: &'a Pair<'a>) -> impl Iterator<Item = Taken<'a>> {
    let table = &pair.table.name;
    let new = pair.new.iter().map(move |side| {
        let column = side.column;
        Taken { table, column: &column.name, kind: &column.type_name, expr: &side.forward }
    });
    let old = pair.old.iter().map(move |side| {
        let column = side.column;
        Taken { table, column: &column.name, kind: &column.type_name, expr: &side.back }
    });
    new.chain(old)
}

fn round<'a>(pair: &'a Pair<'a>) -> Round<'a> {
    Round {
        forward: pair.new.iter().map(|side| (&side.column.name, &side.column.type_name, &side.forward)).collect(),
        back: pair.old.iter().map(|side| (&side.column.name, &side.column.type_name, &side.back)).collect(),
    }
}

fn mirror<'a>(pair: &'a Pair<'a>, context: &Context<'a>) -> Result<Mirror<'a>, Refusal> {
    let lookup = names(pair).resolve(context)?;
    let names = Names::new(context, &pair.table.name, &pair.new[0].column.name);
    let types = types(pair);
    let derive = |column: &Ident, kind: &TypeName, expr: &Expr| -> Result<Derived, Refusal> {
        let kind = lookup.type_of(kind).clone();
        let from = asked::result(&pair.table.name, column, expr, &types, &lookup, context)?;
        let tried = || tried(&names, column, expr, &types, &lookup);
        let form = Form::of(kind.fit(from.as_ref()), expr.can_raise, tried);
        Ok(Derived { column: column.clone(), kind, expr: expr.clone(), form })
    };
    let new = pair.new.iter().map(|side| derive(&side.column.name, &side.column.type_name, &side.forward));
    let new = new.collect::<Result<Vec<_>, _>>()?;
    let old = pair.old.iter().map(|side| derive(&side.column.name, &side.column.type_name, &side.back));
    let old = old.collect::<Result<Vec<_>, _>>()?;
    let (renamed, required) = (BTreeMap::new(), !never_required(pair));
    Ok(Mirror { table: pair.table, names, kind: Kind::TwoWay, new, old, required, renamed, lookup })
}

/// Only other names for the same values: whatever new code writes stands in the old columns too.
fn is_rename(mirror: &Mirror<'_>) -> bool {
    let mut sides = mirror.new.iter().chain(&mirror.old);
    let copies = sides.all(|derived| derived.form.is_total() && asked::column(&derived.expr).is_some());
    let held = |new: &Ident| mirror.old.iter().any(|old| asked::column(&old.expr) == Some(new));
    copies && mirror.new.iter().all(|derived| held(&derived.column))
}

/// Each side follows from the other alone, so no value is read after it was written.
fn sides_apart(pair: &Pair<'_>) -> Result<(), Refusal> {
    let is_new = |name: &Ident| pair.new.iter().any(|side| side.column.name == *name);
    let is_old = |name: &Ident| pair.old.iter().any(|side| side.column.name == *name);
    let generated = |name: &Ident| pair.table.columns.iter().any(|c| c.name == *name && c.generated.is_some());
    let forward = pair.new.iter().find(|side| side.forward.columns().iter().any(|c| is_new(c) || generated(c)));
    let back = pair.old.iter().find(|side| side.back.columns().iter().any(|c| is_old(c) || generated(c)));
    let which = forward.map(|side| &side.column.name).or(back.map(|side| &side.column.name));
    match which {
        Some(column) => Err(Refusal::NotYet {
            what: format!(
                "a transform of `{}.{column}` that reads its own side, or a generated column",
                pair.table.name
            ),
            instead: "Write the new columns from the old ones alone, and the old from the new.".to_owned(),
        }),
        None => Ok(()),
    }
}

/// Returns whether new code may leave every new column NULL.
fn never_required(pair: &Pair<'_>) -> bool {
    pair.new.iter().all(|side| !side.not_null)
}

/// A new-shape row must be tellable from one that leaves the new columns out (Q1, Q2).
fn tellable(pair: &Pair<'_>, context: &Context<'_>) -> Result<(), Refusal> {
    for side in &pair.new {
        let known = asked::defaults(&pair.table.name, &side.column.name, context);
        if side.column.default.is_some() && !known.is_some_and(|(_, same)| same) {
            return Err(ambiguous(
                pair,
                side,
                "its DEFAULT is not what the transform makes of the old columns' defaults",
                "\
                Let both agree, or set the default in a later migration.",
            ));
        }
        if never_required(pair) && !known.is_some_and(|(null, _)| null) {
            return Err(ambiguous(
                pair,
                side,
                "new code may write NULL, and the transform of the old columns' defaults is not \
                NULL: such a row cannot be told from one that leaves the column out",
                "\
                Make the column NOT NULL, or let the transform give NULL for the old defaults (`nullif(…, '')`).",
            ));
        }
    }
    Ok(())
}

fn ambiguous(pair: &Pair<'_>, side: &NewSide<'_>, why: &str, instead: &str) -> Refusal {
    Refusal::Impossible {
        what: format!("`{}.{}` would be ambiguous while both shapes are written", pair.table.name, side.column.name),
        why: why.to_owned(),
        instead: instead.to_owned(),
    }
}

/// A new-shape write must never fail for the old shape's NOT NULL (Q4, Q5).
fn old_not_null(pair: &Pair<'_>, mirror: &Mirror<'_>) -> Result<(), Refusal> {
    let nullable = |name: &Ident| {
        let new = pair.new.iter().find(|side| side.column.name == *name).map(|side| side.not_null);
        let kept = pair.table.columns.iter().find(|column| column.name == *name).map(|column| column.not_null);
        !new.or(kept).unwrap_or(false)
    };
    for (side, derived) in pair.old.iter().zip(&mirror.old).filter(|(side, _)| side.column.not_null) {
        let why = if side.back.nullness.possible(&nullable) {
            format!("`{}` can be NULL", side.back.source)
        } else if !derived.form.is_total() {
            format!("not every value of `{}` fits its type {}", side.back.source, side.column.type_name)
        } else {
            continue;
        };
        return Err(Refusal::Impossible {
            what: format!(
                "writes of new code could fail on the NOT NULL of `{}.{}`",
                pair.table.name, side.column.name
            ),
            why,
            instead: format!(
                "In an earlier migration `ALTER TABLE … ALTER COLUMN {} DROP NOT NULL` or widen it, or let `back` give a value \
                 for every row.",
                side.column.name
            ),
        });
    }
    Ok(())
}

fn hidden_names(pair: &Pair<'_>) -> Result<BTreeMap<Ident, Ident>, Refusal> {
    let mut hidden = BTreeMap::new();
    for side in &pair.old {
        let name = deprecated(pair.table, &side.column.name)?;
        let taken = pair.new.iter().any(|new| new.column.name == name) || hidden.values().any(|other| *other == name);
        if taken {
            return Err(Refusal::Exists { name: format!("{}.{name}", pair.table.name) });
        }
        hidden.insert(side.column.name.clone(), name);
    }
    Ok(hidden)
}

/// Returns the columns that end NOT NULL, with their types: those whose transform always gives a value, or the others.
fn proved<'p>(pair: &'p Pair<'_>, mirror: &'p Mirror<'_>, total: bool) -> Vec<(&'p Ident, &'p Resolved)> {
    let nullable = |name: &Ident| pair.table.columns.iter().any(|column| column.name == *name && !column.not_null);
    pair.new
        .iter()
        .zip(&mirror.new)
        .filter(|(side, _)| side.not_null)
        .filter(|(side, derived)| (derived.form.is_total() && !side.forward.nullness.possible(&nullable)) == total)
        .map(|(side, derived)| (&side.column.name, &derived.kind))
        .collect()
}

fn add(pair: &Pair<'_>, mirror: &Mirror<'_>, loses: Option<&str>) -> Step {
    let added: Vec<Sql> = pair
        .new
        .iter()
        .map(|side| {
            let (name, kind) = (Hole::Name(&side.column.name), Hole::Type(&side.column.type_name));
            sql("ADD COLUMN {column} {type}", &[("column", name), ("type", kind)])
        })
        .collect();
    let names: Vec<&Ident> = pair.new.iter().map(|side| &side.column.name).collect();
    let undo = vec![undo_step(mirror.table(), &["dropcol.plain"], vec![native::drop_columns(mirror.table(), &names)])];
    Work {
        phase: Phase::Expand,
        title: format!("add {} to {}, empty", quoted(&names), mirror.table()),
        action: Action::Sql(vec![sql(
            "ALTER TABLE {table} {added}",
            &[("table", Hole::Table(mirror.table())), ("added", Hole::Join(&added, ", "))],
        )]),
        facts: &["addcol.null"],
        table: mirror.table(),
        undo: match loses {
            Some(loses) => Undo::Lossy { steps: undo, loses: loses.to_owned() },
            None => Undo::Lossless(undo),
        },
    }
    .step()
}

/// Returns the step after which the old names are gone, and everything can still be taken back.
fn hide(mirror: &Mirror<'_>, after: &Mirror<'_>) -> Step {
    let table = mirror.table();
    let names: Vec<&Ident> = after.renamed.keys().collect();
    let mut hide: Vec<Sql> = after.renamed.iter().map(|(old, now)| rename(mirror, old, now)).collect();
    hide.extend(sync::replace_functions(after));
    let mut show: Vec<Sql> = after.renamed.iter().map(|(old, now)| rename_if(mirror, now, old)).collect();
    show.extend(sync::replace_functions(mirror));
    Work {
        phase: Phase::Contract,
        title: format!("hide {} of {table}", quoted(&names)),
        action: Action::Sql(hide),
        facts: &["tab.rename_column", "fn.replace"],
        table,
        undo: Undo::Lossless(vec![undo_step(table, &["tab.rename_column", "fn.replace"], show)]),
    }
    .step()
}

fn rename(mirror: &Mirror<'_>, from: &Ident, to: &Ident) -> Sql {
    rename_of(mirror.table(), from, to)
}

/// Returns the statement that gives a column of `table` another name.
pub(super) fn rename_of(table: &TableName, from: &Ident, to: &Ident) -> Sql {
    sql(
        "ALTER TABLE {table} RENAME COLUMN {from} TO {to}",
        &[("table", Hole::Table(table)), ("from", Hole::Name(from)), ("to", Hole::Name(to))],
    )
}

/// RENAME COLUMN knows no IF EXISTS, and an undo may be repeated.
fn rename_if(mirror: &Mirror<'_>, from: &Ident, to: &Ident) -> Sql {
    if_column(mirror, from, &[rename(mirror, from, to)])
}

/// Returns statements that are carried out only while the table has the column.
pub(super) fn if_column(mirror: &Mirror<'_>, column: &Ident, then: &[Sql]) -> Sql {
    if_column_of(mirror.table(), column, then)
}

/// Returns statements that are carried out only while `table` has the column.
pub(super) fn if_column_of(table: &TableName, column: &Ident, then: &[Sql]) -> Sql {
    let body = sql(
        include_str!("if_column.sql").trim_end(),
        &[
            ("table", Hole::Sql(&regclass(table))),
            ("column", Hole::Text(column.as_str())),
            ("then", Hole::Join(then, ";\n    ")),
        ],
    );
    sql("DO {body}", &[("body", Hole::Body(&body))])
}

fn settle(pair: &Pair<'_>, mirror: &Mirror<'_>) -> Vec<Sql> {
    let table = mirror.table();
    let not_null = pair.new.iter().filter(|side| side.not_null).map(|side| &side.column.name);
    let mut all: Vec<Sql> =
        not_null.flat_map(|column| prove::settle(table, column, &mirror.names.check(column))).collect();
    for side in &pair.new {
        if let Some(default) = &side.column.default {
            all.push(prove::set_default(table, &side.column.name, &asked::bare(default, &mirror.lookup)));
        }
    }
    all
}

fn notes(pair: &Pair<'_>, mirror: &Mirror<'_>) -> Vec<String> {
    let mut notes = gates::notes(mirror);
    notes.extend(unique::notes(pair));
    notes
}

fn flip(pair: &Pair<'_>) -> String {
    let names: Vec<&Ident> = pair.new.iter().map(|side| &side.column.name).collect();
    format!(
        "nothing in the database changes: from ready on deploy the code that uses {}, then run `segue flip`, and the new columns \
         are the truth",
        quoted(&names)
    )
}

fn quoted(names: &[&Ident]) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}
