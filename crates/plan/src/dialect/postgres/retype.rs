//! (c) Another type under the same name, where the cast is transparent to old code both ways.

use std::collections::BTreeMap;

use segue_model::expr::{Expr, Nullness, Part};
use segue_model::ident::Ident;
use segue_model::probe::{Answer, Probe};
use segue_model::sql::{Hole, TypeName};
use segue_model::step::{Action, Asks, Phase, Step, Undo};
use segue_model::value::Value;

use super::cleanup::{self, Going};
use super::mirror::{Derived, Form, Kind, Mirror, display, regclass};
use super::names::Names;
use super::swap::{self, Swap};
use super::twin::{self, Twin};
use super::work::{Work, undo_step};
use super::{backfill, gates, lookup, native, prove, sql, sync, verify};
use crate::dialect::Planned;
use crate::figures::shown_type;
use crate::operation::{Context, Retype};
use crate::refusal::Refusal;

/// The first version that gives NOT NULL constraints names.
const NAMED_NOT_NULL: u32 = 18;

/// Returns the open questions.
///
/// # Errors
/// A refusal that needs no further answer.
pub(super) fn probes(retype: &Retype<'_>, context: &Context<'_>) -> Result<Vec<Probe>, Refusal> {
    let mut open = names(retype).probes(context);
    open.push(gates::owner_probe(&retype.table.name));
    if retype.column.not_null && context.server.version.major >= NAMED_NOT_NULL {
        open.push(not_null_probe(retype));
    }
    open.retain(|probe| !context.answers.contains_key(&probe.key));
    Ok(open)
}

/// Returns the steps.
///
/// # Errors
/// A refusal when this cannot be done while the application runs.
pub(super) fn plan(retype: &Retype<'_>, context: &Context<'_>) -> Result<Planned, Refusal> {
    gates::table(retype.table, context)?;
    let lookup = names(retype).resolve(context)?;
    let (from, to) = (lookup.type_of(&retype.column.type_name).clone(), lookup.type_of(retype.to).clone());
    if !from.transparent_to(&to) {
        return Err(two_names(retype));
    }
    using(retype, &to.name)?;
    plain(retype)?;
    gates::bound(retype.table, retype.column)?;

    let (table, column) = (&retype.table.name, &retype.column.name);
    let ours = Names::new(context, table, column);
    let (new, old) = (ours.beside(column, "new"), ours.beside(column, "old"));
    let twins = twin::twins(retype, &ours, &new)?;
    let read = || copy_of(column);
    let (low, high) = from.range().expect("transparent changes are between integers");
    let side = |name: &Ident, kind, form| Derived { column: name.clone(), kind, expr: read(), form };
    let follow = |names, derived| -> Result<Mirror<'_>, Refusal> {
        let (renamed, lookup) = (BTreeMap::new(), self::names(retype).resolve(context)?);
        let required = retype.column.not_null;
        Ok(Mirror {
            table: retype.table,
            names,
            kind: Kind::Follow,
            new: vec![derived],
            old: vec![],
            required,
            renamed,
            lookup,
        })
    };
    let forward = follow(Names::new(context, table, &new), side(&new, to, Form::Exact))?;
    let reverse = follow(Names::new(context, table, &old), side(&old, from, Form::Range(low, high)))?;
    free(retype, ours, [&forward, &reverse], &twins)?;
    let swap = Swap {
        retype,
        forward: &forward,
        reverse: &reverse,
        new: &new,
        old: &old,
        proof: ours.check(&new),
        proof_back: ours.check(&old),
        not_null_name: not_null_name(retype, context),
        twins: &twins,
    };
    Ok(Planned {
        steps: steps(retype, &swap, context.server.version.major),
        notes: notes(retype, &forward, &twins),
        flip: format!(
            "in one short transaction `{column}` and its copy of type {} exchange names; deploy code that needs the wide type \
             after it, and recycle connections that prepared statements on `{column}`",
            shown_type(retype.to)
        ),
        loses: None,
    })
}

fn steps(retype: &Retype<'_>, swap: &Swap<'_>, major: u32) -> Vec<Step> {
    let (table, forward) = (&retype.table.name, swap.forward);
    let mut steps = vec![add(retype, swap.new), sync::step(forward, false)];
    if retype.column.not_null {
        steps.push(prove::add(Phase::Sync, table, (swap.new, &forward.new[0].kind), &swap.proof));
    }
    steps.push(backfill::step(forward, major));
    steps.extend(swap.twins.iter().map(|twin| twin.step(table)));
    steps.push(backfill::analyze(forward));
    if retype.column.not_null {
        steps.push(prove::validate(Phase::Verify, table, swap.new, &swap.proof));
    }
    steps.push(verify::step(forward, Phase::Verify, major));
    let ready = std::iter::once(sync::condition(forward)).chain(twin::condition(swap.twins)).collect();
    steps.push(gates::gate(Phase::Flip, "the copy is right and indexed", table, ready, None));
    steps.push(swap::step(swap));
    steps.push(gates::gate(
        Phase::Contract,
        "code that needs the narrow type is gone",
        table,
        vec![sync::condition(swap.reverse)],
        Some(Asks::OldVersionStopped),
    ));
    let going = [Going { now: swap.old, kept_as: &retype.column.name }];
    steps.extend(cleanup::steps(swap.reverse, &going, vec![], major));
    steps
}

fn names<'a>(retype: &Retype<'a>) -> lookup::Names<'a> {
    lookup::Names { exprs: vec![], types: vec![&retype.column.type_name, retype.to] }
}

/// Refuses when a name of ours is somebody's already.
fn free(retype: &Retype<'_>, ours: Names<'_>, mirrors: [&Mirror<'_>; 2], twins: &[Twin]) -> Result<(), Refusal> {
    for mirror in mirrors {
        gates::free(mirror, [])?;
    }
    let beside = mirrors.map(|mirror| &mirror.new[0].column);
    let proofs = beside.map(|name| ours.check(name));
    let constraint = |name: &Ident| retype.table.constraints.iter().any(|other| other.name.as_ref() == Some(name));
    let column = |name: &Ident| retype.table.columns.iter().any(|other| other.name == *name);
    let in_table = beside.into_iter().filter(|name| column(name)).chain(proofs.iter().filter(|name| constraint(name)));
    let mut in_table = in_table.map(|name| format!("{}.{name}", retype.table.name));
    let mut indexes = twins.iter().flat_map(|twin| [&twin.twin, &twin.aside]);
    let index = || indexes.find(|name| ours.is_taken(name)).map(ToString::to_string);
    match in_table.next().or_else(index) {
        Some(name) => Err(Refusal::Exists { name }),
        None => Ok(()),
    }
}

/// The expression that is the column itself.
fn copy_of(column: &Ident) -> Expr {
    Expr {
        source: column.to_string(),
        parts: vec![Part::Column(column.clone())],
        nullness: Nullness::Column(column.clone()),
        uses: vec![],
        can_raise: false,
        constant: false,
    }
}

fn two_names(retype: &Retype<'_>) -> Refusal {
    let (table, column) = (&retype.table.name, &retype.column.name);
    Refusal::NotYet {
        what: format!(
            "`{table}.{column}` from {} to {} under the same name: old and new code would not bear the same column",
            shown_type(&retype.column.type_name),
            shown_type(retype.to)
        ),
        instead: format!(
            "Use two names: ADD a column of type {}, UPDATE it from `{column}`, DROP `{column}`, and the UPDATE back in the down \
             file.",
            shown_type(retype.to)
        ),
    }
}

/// USING may only say what the cast does anyway.
fn using(retype: &Retype<'_>, to: &str) -> Result<(), Refusal> {
    let Some(using) = retype.using else { return Ok(()) };
    let written: String = using.source.chars().filter(|c| !c.is_whitespace() && !"()\"".contains(*c)).collect();
    let column: String =
        retype.column.name.as_str().chars().filter(|c| !c.is_whitespace() && !"()\"".contains(*c)).collect();
    let spelled = [retype.to.as_str(), to, "bigint", "int8", "integer", "int", "int4"];
    let plain = written == column
        || spelled.iter().any(|kind| {
            written.eq_ignore_ascii_case(&format!("{column}::{kind}"))
                || written.eq_ignore_ascii_case(&format!("cast{column}as{kind}"))
        });
    match plain {
        true => Ok(()),
        false => Err(two_names(retype)),
    }
}

/// The column itself carries nothing that the swap would leave behind.
fn plain(retype: &Retype<'_>) -> Result<(), Refusal> {
    let column = retype.column;
    let default_runs = column.default.as_ref().is_some_and(|default| default.contains('('));
    let mut carried: Vec<String> = column.carries.clone();
    carried.extend(default_runs.then(|| "a DEFAULT that is not a constant".to_owned()));
    carried.extend(column.collation.iter().map(|_| "a collation".to_owned()));
    match carried.as_slice() {
        [] => Ok(()),
        carried => Err(Refusal::NotYet {
            what: format!("a type change of `{}.{}`, which has {}", retype.table.name, column.name, carried.join(", ")),
            instead: "Take it from the column first, and give it back afterwards.".to_owned(),
        }),
    }
}

fn not_null_probe(retype: &Retype<'_>) -> Probe {
    Probe {
        key: not_null_key(retype),
        sql: sql(
            "SELECT c.conname FROM pg_catalog.pg_constraint AS c JOIN pg_catalog.pg_attribute AS a \
             ON a.attrelid = c.conrelid AND c.conkey = ARRAY[a.attnum] \
             WHERE c.conrelid = {table} AND c.contype = 'n' AND a.attname = {column}",
            &[("table", Hole::Sql(&regclass(&retype.table.name))), ("column", Hole::Text(retype.column.name.as_str()))],
        ),
    }
}

fn not_null_key(retype: &Retype<'_>) -> String {
    format!("not null:{}:{}", display(&retype.table.name), retype.column.name.as_str())
}

fn not_null_name(retype: &Retype<'_>, context: &Context<'_>) -> Option<Ident> {
    let Some(Answer::Rows(rows)) = context.answers.get(&not_null_key(retype)) else { return None };
    Ident::new(rows.first()?.first().and_then(Value::as_str)?).ok()
}

fn add(retype: &Retype<'_>, new: &Ident) -> Step {
    let table = &retype.table.name;
    let kind: &TypeName = retype.to;
    let holes = [("table", Hole::Table(table)), ("column", Hole::Name(new)), ("type", Hole::Type(kind))];
    Work {
        phase: Phase::Expand,
        title: format!("add a copy of `{}` of type {} to {table}, empty", retype.column.name, shown_type(kind)),
        action: Action::Sql(vec![sql("ALTER TABLE {table} ADD COLUMN {column} {type}", &holes)]),
        facts: &["addcol.null"],
        table,
        undo: Undo::Lossless(vec![undo_step(table, &["dropcol.indexed"], vec![native::drop_columns(table, &[new])])]),
    }
    .step()
}

fn notes(retype: &Retype<'_>, forward: &Mirror<'_>, twins: &[Twin]) -> Vec<String> {
    let column = &retype.column.name;
    let mut notes = gates::notes(forward);
    notes.push(format!(
        "at flip, prepared statements that return `{column}` fail once, or until they are prepared again (0A000 cached plan must \
         not change result type): recycle the pool right after it"
    ));
    notes.push(format!(
        "until code that needs the wide type runs, rollback is lossless; a value of `{column}` that does not fit {} closes it",
        retype.column.type_name
    ));
    if twins.iter().any(|twin| twin.unique) {
        notes.push(
            "while an index and its unique twin both stand, an `ON CONFLICT` that names one may fail on the other (23505): retry it"
                .to_owned(),
        );
    }
    notes
}
