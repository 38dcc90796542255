//! (c) Another type under the same name: as written where the server does it at once, by a copy where the cast is transparent to
//! old code both ways.

mod instant;

use std::collections::BTreeMap;

use segue_model::change::Change;
use segue_model::expr::{Expr, Nullness, Part};
use segue_model::ident::Ident;
use segue_model::probe::{Answer, Probe};
use segue_model::sql::{Hole, TypeName};
use segue_model::step::{Action, Asks, Phase, Step, Undo};
use segue_model::value::Value;

use super::cleanup::{self, Going};
use super::facts::fact;
use super::faithful::{self, Copied, Subject};
use super::mirror::{Derived, Form, Kind, Mirror, display, regclass};
use super::names::Names;
use super::swap::{self, Swap};
use super::types::Resolved;
use super::work::{Work, undo_step};
use super::{backfill, gates, lookup, native, prove, retyped, sql, sync, verify};
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
    let (table, before) = (&retype.table.name, before(retype, context));
    let also: Vec<&Ident> =
        before.iter().filter(|copied| copied.table == *table).map(|copied| &copied.column).collect();
    open.extend(faithful::probes(table, &retype.column.name, &also, context));
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
    if retyped::is_same(retype.column, retype.to) && retype.using.is_none() {
        return Err(has_it_already(retype));
    }
    let fact_id = retyped::fact_of(retype.table, retype.column, retype.to, retype.using);
    if fact_id == Some("type.using_expr") {
        return Err(two_names(retype));
    }
    let ours = Names::new(context, &retype.table.name, &retype.column.name);
    let (new, old) = (ours.beside(&retype.column.name, "new"), ours.beside(&retype.column.name, "old"));
    let before = before(retype, context);
    let subject = Subject {
        table: retype.table,
        column: &retype.column.name,
        copy: &new,
        aside: &old,
        names: ours,
        before: &before,
    };
    if let Some(at_once) = retyped::at_once(retype) {
        return instant::plan(retype, &subject, &at_once.id, context);
    }
    if !from.transparent_to(&to) {
        return Err(narrower(retype, &from, &to).unwrap_or_else(|| two_names(retype)));
    }
    collated(retype)?;
    let bound = faithful::read(&subject, context)?;
    by_copy(retype, context, (&from, &to), &subject, &bound)
}

fn by_copy(
    retype: &Retype<'_>,
    context: &Context<'_>,
    (from, to): (&Resolved, &Resolved),
    subject: &Subject<'_>,
    bound: &faithful::Bound,
) -> Result<Planned, Refusal> {
    let (table, column) = (&retype.table.name, &retype.column.name);
    let (ours, new, old) = (subject.names, subject.copy, subject.aside);
    let side = |name: &Ident, kind: &Resolved, form| Derived {
        column: name.clone(),
        kind: kind.clone(),
        expr: copy_of(column),
        form,
    };
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
    let forward = follow(Names::new(context, table, new), side(new, to, Form::Exact))?;
    let reverse = follow(Names::new(context, table, old), side(old, from, back(from)))?;
    free(retype, subject, bound, [&forward, &reverse])?;
    let swap = Swap {
        retype,
        forward: &forward,
        reverse: &reverse,
        new,
        old,
        proof: ours.check(new),
        proof_back: ours.check(old),
        not_null_name: not_null_name(retype, context),
        subject,
        bound,
        nothing_else: bound.held.nothing_else(table, column, context),
        wide: to.range(),
    };
    Ok(Planned {
        steps: steps(retype, &swap, context),
        notes: notes(retype, &swap),
        flip: format!(
            "in one short transaction `{column}` and its copy of type {} exchange names; deploy code that needs the wide type \
             after it, and recycle connections that prepared statements on `{column}`",
            shown_type(retype.to)
        ),
        loses: None,
    })
}

/// Returns how a value of the new type gets into the old column: what does not fit leaves it NULL.
fn back(from: &Resolved) -> Form {
    match (from.range(), from.modifiers.as_slice()) {
        (Some((low, high)), _) => Form::Range(low, high),
        (None, [length]) => Form::Length(*length),
        (None, _) => Form::Exact,
    }
}

/// Returns the columns of any table whose types the file changes by a copy before this one's.
fn before(retype: &Retype<'_>, context: &Context<'_>) -> Vec<Copied> {
    let mut before = vec![];
    for change in &context.migration.changes {
        let Change::AlterType { table, column, to, using } = &change.what else { continue };
        let Some(table) = context.catalog.find(table) else { continue };
        let Some(column) = context.catalog.column(table, column) else { continue };
        if table.name == retype.table.name && column.name == retype.column.name {
            break;
        }
        let by_copy = |id| {
            let fact = fact(id);
            fact.rewrites || fact.scans
        };
        if retyped::fact_of(table, column, to, using.as_ref()).is_some_and(by_copy) {
            let copy = Names::new(context, &table.name, &column.name).beside(&column.name, "new");
            before.push(Copied { table: table.name.clone(), column: column.name.clone(), copy });
        }
    }
    before
}

fn steps(retype: &Retype<'_>, swap: &Swap<'_>, context: &Context<'_>) -> Vec<Step> {
    let (table, forward, major) = (&retype.table.name, swap.forward, context.server.version.major);
    let mut steps = vec![add(retype, swap), sync::step(forward, false)];
    steps.push(backfill::step(forward, major));
    steps.extend(swap.bound.indexes.steps(swap.subject));
    steps.push(backfill::analyze(forward));
    // Not before: the backfill of another column of the table passes by this one's trigger.
    if retype.column.not_null {
        steps.push(prove::add(Phase::Verify, table, (swap.new, &forward.new[0].kind), &swap.proof));
        steps.push(prove::validate(Phase::Verify, table, swap.new, &swap.proof));
    }
    steps.extend(swap.bound.constraint_steps(swap.subject));
    steps.push(verify::step(forward, Phase::Verify, major));
    let ready = std::iter::once(sync::condition(forward)).chain(swap.bound.conditions(swap.subject, context)).collect();
    steps.push(gates::gate(Phase::Flip, "the copy is right and indexed", table, ready, None));
    steps.push(swap::step(swap));
    if swap.bound.held.needs_analyze() {
        steps.push(analyze_whole(retype));
    }
    steps.push(gates::gate(
        Phase::Contract,
        "code that needs the narrow type is gone",
        table,
        vec![sync::condition(swap.reverse)],
        Some(Asks::OldVersionStopped),
    ));
    // The key stands in the copy under its own name.
    let is_key = retype.table.primary_key().contains(&retype.column.name);
    let kept_as = if is_key { swap.old } else { &retype.column.name };
    let going = [Going { now: swap.old, kept_as }];
    steps.extend(cleanup::steps(swap.reverse, &going, vec![], major));
    steps
}

/// What was made again in the exchange has no figures yet.
fn analyze_whole(retype: &Retype<'_>) -> Step {
    let table = &retype.table.name;
    Work {
        phase: Phase::Flip,
        title: format!("gather the extended statistics of {table} again"),
        action: Action::Sql(vec![sql("ANALYZE {table}", &[("table", Hole::Table(table))])]),
        facts: &["tab.analyze"],
        table,
        undo: Undo::Nothing,
    }
    .step()
}

fn names<'a>(retype: &Retype<'a>) -> lookup::Names<'a> {
    lookup::Names { exprs: vec![], types: vec![&retype.column.type_name, retype.to] }
}

/// Refuses when a name of ours is somebody's already.
fn free(
    retype: &Retype<'_>,
    subject: &Subject<'_>,
    bound: &faithful::Bound,
    mirrors: [&Mirror<'_>; 2],
) -> Result<(), Refusal> {
    for mirror in mirrors {
        gates::free(mirror, [])?;
    }
    let ours = subject.names;
    let beside = mirrors.map(|mirror| &mirror.new[0].column);
    let proofs = beside.map(|name| ours.check(name));
    let constraint = |name: &Ident| retype.table.constraints.iter().any(|other| other.name.as_ref() == Some(name));
    let column = |name: &Ident| retype.table.columns.iter().any(|other| other.name == *name);
    let in_table = beside.into_iter().filter(|name| column(name)).chain(proofs.iter().filter(|name| constraint(name)));
    let mut in_table = in_table.map(|name| format!("{}.{name}", retype.table.name));
    let index = || bound.indexes.names().find(|name| ours.is_taken(name)).map(ToString::to_string);
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

fn has_it_already(retype: &Retype<'_>) -> Refusal {
    Refusal::Impossible {
        what: format!("another type for `{}.{}`", retype.table.name, retype.column.name),
        why: format!("it is of type {} already", retype.column.type_name),
        instead: "Leave the statement out: the server would only look at every row again.".to_owned(),
    }
}

/// A shorter text is better said by a CHECK, which no row is written for.
fn narrower(retype: &Retype<'_>, from: &Resolved, to: &Resolved) -> Option<Refusal> {
    let text = |kind: &Resolved| kind.schema == "pg_catalog" && matches!(kind.name.as_str(), "text" | "varchar");
    let ([length], true) = (to.modifiers.as_slice(), text(from) && text(to)) else { return None };
    let column = sql("{c}", &[("c", Hole::Name(&retype.column.name))]);
    let table = sql("{t}", &[("t", Hole::Table(&retype.table.name))]);
    Some(Refusal::Impossible {
        what: format!("`{}.{}` from {} to {}", retype.table.name, retype.column.name, retype.column.type_name, retype.to),
        why: "every row would be written again under a lock, and until then old code may write longer values, which both shapes \
              could not hold"
            .to_owned(),
        instead: format!(
            "A CHECK says the same and writes no row: `ALTER TABLE {} ADD CONSTRAINT … CHECK (char_length({}) <= {length})`.",
            table.as_str(),
            column.as_str()
        ),
    })
}

/// The copy would have the type's own collation, as after the statement as written, which orders and compares otherwise.
fn collated(retype: &Retype<'_>) -> Result<(), Refusal> {
    let Some(collation) = &retype.column.collation else { return Ok(()) };
    Err(Refusal::NotYet {
        what: format!(
            "a type change of `{}.{}`, which has the collation {collation}",
            retype.table.name, retype.column.name
        ),
        instead: "Use two names: ADD a column of the new type and collation, UPDATE it, DROP the old one.".to_owned(),
    })
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

fn add(retype: &Retype<'_>, swap: &Swap<'_>) -> Step {
    let (table, new) = (&retype.table.name, swap.new);
    let kind: &TypeName = retype.to;
    let holes = [("table", Hole::Table(table)), ("column", Hole::Name(new)), ("type", Hole::Type(kind))];
    let added = sql("ALTER TABLE {table} ADD COLUMN {column} {type}", &holes);
    Work {
        phase: Phase::Expand,
        title: format!("add a copy of `{}` of type {} to {table}, empty", retype.column.name, shown_type(kind)),
        action: Action::Sql(std::iter::once(added).chain(swap.bound.own.on_copy(swap.subject)).collect()),
        facts: &["addcol.null"],
        table,
        undo: Undo::Lossless(vec![undo_step(table, &["dropcol.indexed"], vec![native::drop_columns(table, &[new])])]),
    }
    .step()
}

fn notes(retype: &Retype<'_>, swap: &Swap<'_>) -> Vec<String> {
    let column = &retype.column.name;
    let mut notes = gates::notes(swap.forward);
    notes.push(prepared("at flip", column));
    notes.push(format!(
        "until code that needs the wide type runs, rollback is lossless; a value of `{column}` that does not fit {} closes it",
        retype.column.type_name
    ));
    if swap.bound.indexes.any_unique() {
        notes.push(
            "while an index and its unique twin both stand, an `ON CONFLICT` that names one may fail on the other (23505): retry it"
                .to_owned(),
        );
    }
    notes.extend(swap.bound.notes(swap.subject));
    notes
}

/// Returns what prepared statements see when the type of a column that they return is another one.
fn prepared(when: &str, column: &Ident) -> String {
    format!(
        "{when}, prepared statements that return `{column}` fail once, or until they are prepared again (0A000 cached plan must \
         not change result type): recycle the pool right after it"
    )
}
