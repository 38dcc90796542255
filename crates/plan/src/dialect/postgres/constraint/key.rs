//! UNIQUE and PRIMARY KEY: the index is built while the application goes on, and then becomes the constraint's.

use segue_model::catalog::{Constraint, ConstraintKind, Index, Table, TableKind};
use segue_model::change::{Change, ConstraintAction, ConstraintChange, IndexChange, NewConstraint};
use segue_model::ident::{Ident, TableName};
use segue_model::lock::{LockMode, RelationLock};
use segue_model::probe::Probe;
use segue_model::sql::{Hole, Sql};
use segue_model::step::{Action, Phase, Step, Undo};

use super::super::names::Names;
use super::super::prove::drop_sql;
use super::super::work::{Work, beside, undo_beside, undo_step};
use super::super::{lookup, prove, sql};
use super::rows::{self, Bad};
use super::tree::{self, Below};
use super::{Subject, check, drop, partitioned_key};
use crate::dialect::Planned;
use crate::operation::{Context, Stage};
use crate::refusal::Refusal;

/// The first version in which NOT NULL is a constraint with a name.
const NAMED_NOT_NULL: u32 = 18;

/// Returns the questions about duplicates, NULLs, and the types of columns that are proved.
///
/// # Errors
/// A refusal of a form that cannot be built beforehand.
pub(super) fn probes(subject: Subject<'_>, new: &NewConstraint, context: &Context<'_>) -> Result<Vec<Probe>, Refusal> {
    if new.index.without_overlaps {
        return Err(overlaps(new));
    }
    let mut open = vec![];
    if subject.stage == Stage::Now && new.using_index.is_none() {
        open.push(duplicates(subject.table, new).probe());
    }
    for column in nullable(subject, new, context) {
        open.push(check::absent(subject.table, column).probe());
    }
    open.extend(types(subject, new, context).probes(context));
    open.extend(partitioned_key::probes(subject, new, context)?);
    Ok(open)
}

fn types<'a>(subject: Subject<'a>, new: &'a NewConstraint, context: &Context<'a>) -> lookup::Names<'a> {
    let nullable = nullable(subject, new, context);
    let columns = subject.table.columns.iter().filter(|column| nullable.contains(&&column.name));
    lookup::Names { exprs: vec![], types: columns.map(|column| &column.type_name).collect() }
}

/// Rows that are alike. NULLs are told apart unless the constraint says otherwise.
fn duplicates(table: &Table, new: &NewConstraint) -> Bad {
    let columns: Vec<&Ident> = new.columns.iter().collect();
    let present: Vec<Sql> = columns.iter().map(|column| sql("{c} IS NOT NULL", &[("c", Hole::Name(column))])).collect();
    let condition = if new.index.nulls_not_distinct {
        Sql::fixed("true")
    } else {
        sql("{all}", &[("all", Hole::Join(&present, " AND "))])
    };
    let about: Vec<&str> = columns.iter().map(|column| column.as_str()).collect();
    Bad {
        key: rows::key("duplicates", &table.name, &[&about.join(","), condition.as_str()].concat()),
        from: tree::own_rows(table),
        condition,
        label: rows::values(&columns, None),
        grouped: Some(sql(
            " GROUP BY {columns} HAVING pg_catalog.count(*) OPERATOR(pg_catalog.>) 1",
            &[("columns", Hole::Names(columns.clone()))],
        )),
    }
}

/// Returns the columns of a primary key that may be NULL, as far as the file does not see to that.
fn nullable<'a>(subject: Subject<'a>, new: &'a NewConstraint, context: &Context<'a>) -> Vec<&'a Ident> {
    if new.kind != Some(ConstraintKind::PrimaryKey) {
        return vec![];
    }
    let own = |column: &&Ident| {
        let sets = |change: &Change| match change {
            Change::SetNotNull { table, column: set } => {
                set == *column && context.catalog.find(table).is_some_and(|table| table.name == subject.table.name)
            }
            _ => false,
        };
        subject.table.columns.iter().any(|known| known.name == **column && !known.not_null)
            && !subject.before(context).any(sets)
    };
    columns(subject, new, context).into_iter().filter(own).collect()
}

/// Returns the columns of the key: those written, or those of the index that is named.
fn columns<'a>(subject: Subject<'a>, new: &'a NewConstraint, context: &Context<'a>) -> Vec<&'a Ident> {
    let Some(name) = &new.using_index else { return new.columns.iter().collect() };
    if let Some(index) = subject.table.indexes.iter().find(|index| index.name == *name) {
        return index.keys.iter().filter_map(|key| key.column.as_ref()).collect();
    }
    built(subject, name, context).map(|index| index.columns.iter().collect()).unwrap_or_default()
}

/// Returns the index where an earlier statement of the file creates it.
fn built<'a>(subject: Subject<'a>, name: &Ident, context: &Context<'a>) -> Option<&'a segue_model::change::NewIndex> {
    let found = |change: &'a Change| match change {
        Change::Index(IndexChange::Create(new)) if new.name.as_ref() == Some(name) => Some(new),
        _ => None,
    };
    subject.before(context).find_map(found)
}

/// Returns the steps.
///
/// # Errors
/// A refusal while rows are alike or NULL, and of an index that cannot become the constraint's.
pub(super) fn plan(
    subject: Subject<'_>,
    new: &NewConstraint,
    name: &Ident,
    context: &Context<'_>,
) -> Result<Planned, Refusal> {
    only_one(subject, new, name, context)?;
    let below = tree::below(subject.table, context)?;
    let mut notes = gate(subject, new, name, context)?;
    let mut steps = proofs(subject, new, &below, context)?;
    match (&new.using_index, subject.table.kind) {
        (Some(_), TableKind::Partitioned) => return Err(no_index_of_many(subject.table)),
        (Some(index), _) => {
            let (step, note) = adopt(subject, new, (name, index), context)?;
            steps.push(beside(step, children(subject.table, new.kind, &below, context)));
            notes.extend(note);
        }
        (None, TableKind::Partitioned) => {
            steps.extend(partitioned_key::steps(subject, new, name, &below, context)?);
            notes.extend(own_not_null(subject.table, new, context));
        }
        (None, _) => {
            steps.push(build(subject.phase(), &subject.table.name, name, new));
            let step = attach(subject.phase(), &subject.table.name, name, new);
            steps.push(beside(step, children(subject.table, new.kind, &below, context)));
        }
    }
    Ok(Planned { steps, notes, ..Planned::default() })
}

fn only_one(subject: Subject<'_>, new: &NewConstraint, name: &Ident, context: &Context<'_>) -> Result<(), Refusal> {
    if subject.stage == Stage::Filled && new.kind == Some(ConstraintKind::PrimaryKey) {
        return Err(Refusal::NotYet {
            what: format!("a primary key `{name}` over a column that this file fills"),
            instead: "Add it in a migration of its own, once this one is done.".to_owned(),
        });
    }
    if new.kind != Some(ConstraintKind::PrimaryKey) {
        return Ok(());
    }
    let known = subject.table.constraints.iter().find(|other| other.kind == ConstraintKind::PrimaryKey);
    let Some(known) = known.and_then(|known| known.name.as_ref()) else { return Ok(()) };
    let drops = |change: &Change| match change {
        Change::Constraint(ConstraintChange { what: ConstraintAction::Drop { name, .. }, .. }) => name == known,
        _ => false,
    };
    let dropped = subject.before(context).any(drops);
    if dropped && new.using_index.is_some() {
        return Ok(());
    }
    let table = &subject.table.name;
    let (why, instead) = match dropped {
        true => (
            "while its index is built no key would keep rows apart".to_owned(),
            "Create the unique index in a migration before; then `DROP CONSTRAINT` and `ADD PRIMARY KEY USING INDEX` \
             follow each other at once."
                .to_owned(),
        ),
        false => (
            format!("{table} has the primary key `{known}`"),
            "Make it UNIQUE, or drop the other one first.".to_owned(),
        ),
    };
    Err(Refusal::Impossible { what: format!("the primary key `{name}` of {table}"), why, instead })
}

fn gate(
    subject: Subject<'_>,
    new: &NewConstraint,
    name: &Ident,
    context: &Context<'_>,
) -> Result<Vec<String>, Refusal> {
    let mut notes = vec![];
    let table = subject.table;
    let what = format!("the {} `{name}` of {}", word(new), table.name);
    for column in nullable(subject, new, context) {
        let bad = check::absent(table, column);
        let mend = format!("Give them a value first; this shows them all: `{}`", bad.shows());
        notes.extend(bad.gate(&what, &format!("in rows `{column}` is NULL"), &mend, context)?);
    }
    if subject.stage == Stage::Now && new.using_index.is_none() {
        let bad = duplicates(table, new);
        let mend = format!("Tell them apart first; this shows them all: `{}`", bad.shows());
        notes.extend(bad.gate(&what, "values stand in several rows", &mend, context)?);
    }
    Ok(notes)
}

fn word(new: &NewConstraint) -> &'static str {
    if new.kind == Some(ConstraintKind::PrimaryKey) { "primary key" } else { "UNIQUE constraint" }
}

/// Columns of a primary key become NOT NULL first, without a scan under a lock that blocks.
fn proofs(
    subject: Subject<'_>,
    new: &NewConstraint,
    below: &[Below],
    context: &Context<'_>,
) -> Result<Vec<Step>, Refusal> {
    let nullable = nullable(subject, new, context);
    let lookup = types(subject, new, context).resolve(context)?;
    let table = subject.table;
    let mut steps = vec![];
    for column in nullable {
        let Some(known) = table.columns.iter().find(|known| known.name == *column) else { continue };
        let check = Names::new(context, &table.name, column).check(column);
        let kind = lookup.type_of(&known.type_name);
        let phase = subject.phase();
        steps.push(below_too(prove::add(phase, &table.name, (column, kind), &check), below));
        steps.push(below_too(prove::validate(phase, &table.name, column, &check), below));
        let settled = below_too(settle(phase, &table.name, column, &check), below);
        steps.push(leaves_too(settled, column, table, below, context));
    }
    Ok(steps)
}

/// Children of an ordinary table do not get its keys. They are locked all the same: for a primary key, whose columns they
/// could hold as NULL, and by 18 always.
pub(super) fn children(
    table: &Table,
    kind: Option<ConstraintKind>,
    below: &[Below],
    context: &Context<'_>,
) -> Vec<RelationLock> {
    let locked = kind == Some(ConstraintKind::PrimaryKey) || context.server.version.major >= NAMED_NOT_NULL;
    let ordinary = table.kind != TableKind::Partitioned;
    if locked && ordinary { tree::locks(below, LockMode::AccessExclusive) } else { vec![] }
}

/// By 18 the primary key of a partition makes its NOT NULL its own besides.
fn own_not_null(table: &Table, new: &NewConstraint, context: &Context<'_>) -> Option<String> {
    let named = context.server.version.major >= NAMED_NOT_NULL && new.kind == Some(ConstraintKind::PrimaryKey);
    named.then(|| {
        format!(
            "the NOT NULL constraints of the partitions of {} are then their own too (pg_constraint.conislocal): DROP NOT \
             NULL of the whole table would leave them",
            table.name
        )
    })
}

/// What is done to the whole table is done to what stands below it under the same lock.
fn below_too(step: Step, below: &[Below]) -> Step {
    let Some(mode) = step.locks.first().map(|lock| lock.mode) else { return step };
    let undo = match step.undo {
        Undo::Lossless(parts) => {
            let locks = || tree::locks(below, LockMode::AccessExclusive);
            Undo::Lossless(parts.into_iter().map(|part| undo_beside(part, locks())).collect())
        }
        other => other,
    };
    beside(Step { undo, ..step }, tree::locks(below, mode))
}

/// By 18 NOT NULL stays where a partition had a primary key of its own, so it is taken from each when it is taken back.
fn leaves_too(step: Step, column: &Ident, table: &Table, below: &[Below], context: &Context<'_>) -> Step {
    if table.kind != TableKind::Partitioned || context.server.version.major < NAMED_NOT_NULL {
        return step;
    }
    let undo = match step.undo {
        Undo::Lossless(mut parts) => {
            let own = below.iter().rev().map(|one| prove::drop_not_null(&one.name, column));
            parts.iter_mut().for_each(|part| part.sql.extend(own.clone()));
            Undo::Lossless(parts)
        }
        other => other,
    };
    Step { undo, ..step }
}

fn settle(phase: Phase, table: &TableName, column: &Ident, check: &Ident) -> Step {
    Work {
        phase,
        title: format!("make `{column}` NOT NULL, which is proved already"),
        action: Action::Sql(prove::settle(table, column, check)),
        facts: &["col.set_not_null_valid_check", "con.drop_check"],
        table,
        undo: Undo::Lossless(vec![undo_step(table, &["col.drop_not_null"], vec![prove::drop_not_null(table, column)])]),
    }
    .step()
}

/// Returns the step that builds the index.
pub(super) fn build(phase: Phase, table: &TableName, name: &Ident, new: &NewConstraint) -> Step {
    let create = sql(
        "CREATE UNIQUE INDEX CONCURRENTLY {name} ON {table} ({columns}){parts}",
        &[
            ("name", Hole::Name(name)),
            ("table", Hole::Table(table)),
            ("columns", Hole::Names(new.columns.iter().collect())),
            ("parts", Hole::Sql(&parts(new))),
        ],
    );
    concurrent(phase, table, name, create, format!("build the index `{name}` of {table}"))
}

fn concurrent(phase: Phase, table: &TableName, name: &Ident, create: Sql, title: String) -> Step {
    let drop = drop_index(table, name);
    let settle = sql(
        include_str!("../twin.sql").trim_end(),
        &[("schema", Hole::Text(table.schema.as_str())), ("name", Hole::Text(name.as_str()))],
    );
    let work = Work {
        phase,
        title,
        action: Action::Settled { sql: create, settle },
        facts: &["idx.create_conc"],
        table,
        undo: Undo::Lossless(vec![undo_step(table, &["idx.drop_conc"], vec![drop.clone()])]),
    };
    Step { on_interrupted: vec![drop], ..work.step() }
}

/// Returns the statement that drops an index beside its table, and may be repeated.
pub(super) fn drop_index(table: &TableName, name: &Ident) -> Sql {
    let index = TableName { schema: table.schema.clone(), name: name.clone() };
    sql("DROP INDEX CONCURRENTLY IF EXISTS {index}", &[("index", Hole::Table(&index))])
}

/// Returns what stands after the columns.
fn parts(new: &NewConstraint) -> Sql {
    let index = &new.index;
    let include: Vec<&Ident> = index.include.iter().collect();
    let mut all = vec![];
    if !include.is_empty() {
        all.push(sql(" INCLUDE ({c})", &[("c", Hole::Names(include))]));
    }
    if index.nulls_not_distinct {
        all.push(Sql::fixed(" NULLS NOT DISTINCT"));
    }
    if let Some(with) = &index.with {
        all.push(sql(" WITH {with}", &[("with", Hole::Sql(&Sql::written(with)))]));
    }
    if let Some(tablespace) = &index.tablespace {
        all.push(sql(" TABLESPACE {t}", &[("t", Hole::Name(tablespace))]));
    }
    sql("{all}", &[("all", Hole::Join(&all, ""))])
}

/// Returns the statement that makes an index the constraint's.
pub(super) fn attach_sql(table: &TableName, name: &Ident, index: &Ident, new: &NewConstraint) -> Sql {
    let kind = if new.kind == Some(ConstraintKind::PrimaryKey) { "PRIMARY KEY" } else { "UNIQUE" };
    sql(
        "ALTER TABLE {table} ADD CONSTRAINT {name} {kind} USING INDEX {index}{when}",
        &[
            ("table", Hole::Table(table)),
            ("name", Hole::Name(name)),
            ("kind", Hole::Sql(&Sql::fixed(kind))),
            ("index", Hole::Name(index)),
            ("when", Hole::Sql(&when(new))),
        ],
    )
}

/// Returns when it is checked, as it is written.
pub(super) fn when(new: &NewConstraint) -> Sql {
    Sql::fixed(match (new.deferrable, new.deferred) {
        (_, true) => " DEFERRABLE INITIALLY DEFERRED",
        (true, false) => " DEFERRABLE",
        (false, false) => "",
    })
}

fn fact(new: &NewConstraint) -> &'static [&'static str] {
    match new.kind {
        Some(ConstraintKind::PrimaryKey) => &["con.add_pk_using_index"],
        _ => &["con.add_unique_using_index"],
    }
}

/// Returns the step that makes the index that was built the constraint's.
pub(super) fn attach(phase: Phase, table: &TableName, name: &Ident, new: &NewConstraint) -> Step {
    Work {
        phase,
        title: format!("make the index `{name}` the {} of {table}", word(new)),
        action: Action::Sql(vec![attach_sql(table, name, name, new)]),
        facts: fact(new),
        table,
        undo: Undo::Lossless(vec![undo_step(table, &["con.drop_unique"], vec![drop_sql(table, name)])]),
    }
    .step()
}

/// Returns the step that makes an index of the user the constraint's.
fn adopt(
    subject: Subject<'_>,
    new: &NewConstraint,
    (name, index): (&Ident, &Ident),
    context: &Context<'_>,
) -> Result<(Step, Option<String>), Refusal> {
    let table = &subject.table.name;
    let known = subject.table.indexes.iter().find(|known| known.name == *index);
    let undo = match known {
        Some(known) => {
            fits(subject.table, known)?;
            drop::adopted_undo(subject, (name, known), context)
        }
        None if built(subject, index, context).is_some() => {
            Undo::Lossless(vec![undo_step(table, &["con.drop_unique"], vec![drop_sql(table, name)])])
        }
        None => return Err(no_index(subject.table, index)),
    };
    let step = Work {
        phase: subject.phase(),
        title: format!("make the index `{index}` the {} of {table}", word(new)),
        action: Action::Sql(vec![attach_sql(table, name, index, new)]),
        facts: fact(new),
        table,
        undo,
    };
    let renamed = (name != index).then(|| format!("the index `{index}` is called `{name}` from then on"));
    Ok((step.step(), renamed))
}

/// Refuses an index that cannot become a constraint's.
fn fits(table: &Table, index: &Index) -> Result<(), Refusal> {
    let plain = |key: &segue_model::catalog::IndexKey| {
        key.column.is_some() && !key.descending && !key.nulls_first && key.default_class
    };
    let why = if !index.unique {
        "it is not unique"
    } else if !index.valid {
        "it is not valid: its build failed, or goes on"
    } else if index.of_constraint {
        "it belongs to a constraint already"
    } else if index.predicate.is_some() {
        "it covers some rows only"
    } else if index.method != "btree" || !index.keys.iter().all(plain) {
        "it is over an expression, or in an order or by operators of its own"
    } else {
        return Ok(());
    };
    Err(Refusal::Impossible {
        what: format!("a constraint of {} by the index `{}`", table.name, index.name),
        why: why.to_owned(),
        instead: "Write the constraint by its columns: Segue builds its index while the application goes on."
            .to_owned(),
    })
}

fn no_index(table: &Table, index: &Ident) -> Refusal {
    let names = table.indexes.iter().map(|known| known.name.as_str());
    let nearest = segue_model::nearest::nearest(index.as_str(), names).map(|near| format!(" Did you mean `{near}`?"));
    Refusal::Impossible {
        what: format!("a constraint of {} by the index `{index}`", table.name),
        why: "the table has no index of that name".to_owned(),
        instead: format!("Check the name, or write the constraint by its columns.{}", nearest.unwrap_or_default()),
    }
}

fn no_index_of_many(table: &Table) -> Refusal {
    Refusal::Impossible {
        what: format!("USING INDEX on {}", table.name),
        why: "the server does not take it for a partitioned table".to_owned(),
        instead: "Write the constraint by its columns: Segue builds an index for each partition.".to_owned(),
    }
}

fn overlaps(new: &NewConstraint) -> Refusal {
    Refusal::Impossible {
        what: format!("a {} WITHOUT OVERLAPS", word(new)),
        why: "the server builds its index under AccessExclusiveLock, and takes none that was built before".to_owned(),
        instead: "Create a table that has it from the beginning and move the rows there.".to_owned(),
    }
}

/// Returns an index anew, as the catalog printed it: `CREATE UNIQUE INDEX name ON …` under another name.
pub(super) fn again(index: &Index, name: &Ident) -> Option<Sql> {
    let rest = index.definition.strip_prefix("CREATE UNIQUE INDEX ")?;
    let quoted = sql("{n}", &[("n", Hole::Name(&index.name))]);
    let rest = rest.strip_prefix(quoted.as_str()).or_else(|| rest.strip_prefix(index.name.as_str()))?;
    let rest = Sql::of_catalog(rest.strip_prefix(" ON ")?);
    Some(sql(
        "CREATE UNIQUE INDEX CONCURRENTLY {name} ON {rest}",
        &[("name", Hole::Name(name)), ("rest", Hole::Sql(&rest))],
    ))
}

/// Returns the constraint's index.
pub(super) fn index_of<'a>(table: &'a Table, constraint: &Constraint) -> Option<&'a Index> {
    table.indexes.iter().find(|index| Some(&index.name) == constraint.name.as_ref() && index.of_constraint)
}
