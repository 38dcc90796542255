//! A change of a name, or a column or table that goes away without one that takes its place.

use segue_model::catalog::{Column, Table};
use segue_model::change::{Change, NamingChange};
use segue_model::expr::{Expr, Nullness, Part};
use segue_model::ident::{Ident, TableName};
use segue_model::probe::Probe;
use segue_model::sql::{Hole, Sql};
use segue_model::step::{Action, Asks, Phase, Snapshot, Step, Undo};

use super::alone::{by_itself, existing, is_taken, later, the_column};
use super::cleanup::{not_wal, stall, together};
use super::contract::{self, gate};
use super::mirror::{Derived, Mirror};
use super::names::{Names, hidden};
use super::rebuild::{Called, Rebuild, Wanted};
use super::work::{Work, undo_step};
use super::{bystander, column, native as natively, obstacle, sql};
use crate::dialect::Planned;
use crate::figures::listed;
use crate::operation::{Context, Native, Operation};
use crate::refusal::Refusal;

/// Returns the open questions.
///
/// # Errors
/// A refusal that needs no further answer.
pub(super) fn probes(_native: &Native<'_>, _context: &Context<'_>) -> Result<Vec<Probe>, Refusal> {
    Ok(vec![])
}

/// Returns the steps.
///
/// # Errors
/// A refusal when this cannot be done while the application runs.
pub(super) fn plan(native: &Native<'_>, context: &Context<'_>) -> Result<Planned, Refusal> {
    match native.change {
        Change::DropColumn { .. } => drop_columns(native, context),
        Change::Naming(NamingChange::Table { to, .. }) => rename_table(native, to, context),
        Change::Naming(NamingChange::Column { column, to, .. }) => rename_column(native, column, to, context),
        Change::Naming(NamingChange::DropTable { .. }) => drop_table(native, context),
        Change::Naming(
            NamingChange::Constraint { .. } | NamingChange::DropColumn { .. } | NamingChange::Schema { .. },
        ) => Err(later(native)),
        _ => Err(later(native)),
    }
}

/// A view in the old name's place would take reads alone: RETURNING and ON CONFLICT fail on views. So the name changes at once,
/// when nobody uses it.
fn rename_table(native: &Native<'_>, to: &Ident, context: &Context<'_>) -> Result<Planned, Refusal> {
    let table = existing(native)?;
    by_itself(native, context)?;
    if !context.catalog.same(to, &table.name.name) && is_taken(to, context) {
        return Err(Refusal::Exists { name: to.to_string() });
    }
    let new = TableName { schema: table.name.schema.clone(), name: to.clone() };
    let steps = vec![
        stopped(table, "nothing uses the old name any more"),
        renamed(table, (&table.name, &new), Phase::Contract, format!("`{}` becomes `{to}`", table.name.name)),
    ];
    Ok(one_name(steps, &format!("the table `{}`", table.name.name)))
}

fn rename_column(native: &Native<'_>, from: &Ident, to: &Ident, context: &Context<'_>) -> Result<Planned, Refusal> {
    let table = existing(native)?;
    by_itself(native, context)?;
    let column = the_column(table, from, context)?;
    if !context.catalog.same(to, from) && context.catalog.column(table, to).is_some() {
        return Err(Refusal::Exists { name: format!("{}.{to}", table.name.name) });
    }
    obstacle::of_adding(&table.name.name, to)?;
    let there = contract::rename(&table.name, &column.name, to);
    let back = contract::rename(&table.name, to, &column.name);
    let step = Work {
        phase: Phase::Contract,
        title: format!("`{}` becomes `{to}`", column.name),
        action: Action::Sql(vec![there]),
        facts: &["col.rename"],
        table: &table.name,
        undo: Undo::Lossless(vec![undo_step(&table.name, &["col.rename"], vec![back])]),
    }
    .step();
    let mut planned =
        one_name(vec![stopped(table, "nothing uses the old name any more"), step], &format!("`{}`", column.name));
    planned.notes.push(format!(
        "to have `{}` and `{to}` side by side while old and new code run, write ADD COLUMN {to}, an UPDATE that fills it, and \
         DROP COLUMN {} instead",
        column.name, column.name
    ));
    Ok(planned)
}

fn one_name(steps: Vec<Step>, what: &str) -> Planned {
    let flip = format!(
        "nothing changes in the database: {what} has one name at a time on SQLite, so stop the code that uses the old name, \
         run `segue contract`, and start the code that uses the new one"
    );
    Planned { steps, notes: vec![], flip, loses: None }
}

fn stopped(table: &Table, title: &str) -> Step {
    gate(&table.name, Phase::Contract, title, vec![], Some(Asks::OldVersionStopped))
}

/// Foreign keys, views and triggers follow by themselves: SQLite rewrites their texts in the same transaction.
fn renamed(table: &Table, (from, to): (&TableName, &TableName), phase: Phase, title: String) -> Step {
    let rename = |from: &TableName, to: &TableName| {
        sql("ALTER TABLE {from} RENAME TO {to}", &[("from", Hole::Table(from)), ("to", Hole::Name(&to.name))])
    };
    Work {
        phase,
        title,
        action: Action::Sql(vec![rename(from, to)]),
        facts: &["tab.rename"],
        table: &table.name,
        undo: Undo::Lossless(vec![undo_step(&table.name, &["tab.rename"], vec![rename(to, from)])]),
    }
    .step()
}

/// The table hides under another name until cleanup, which leaves it under a name of ours: nothing of it is lost before a
/// person drops that.
fn drop_table(native: &Native<'_>, context: &Context<'_>) -> Result<Planned, Refusal> {
    let table = existing(native)?;
    by_itself(native, context)?;
    nothing_hangs_on(table)?;
    let first = table.columns.first().map_or(&table.name.name, |column| &column.name);
    let (names, hides) = (Names::new(table, first, context)?, hidden(&table.name.name));
    if is_taken(&hides, context) {
        return Err(Refusal::Exists { name: hides.to_string() });
    }
    let hides = TableName { schema: table.name.schema.clone(), name: hides };
    let hide = renamed(
        table,
        (&table.name, &hides),
        Phase::Contract,
        format!("hide `{}`: it becomes `{}`", table.name.name, hides.name),
    );
    let steps = vec![stopped(table, "nothing uses the table any more"), hide, set_aside(table, &hides, &names)];
    let notes = vec![format!(
        "cleanup leaves the rows of `{}` in `{}`, without indexes and triggers, until you drop it",
        table.name.name,
        names.keep().name
    )];
    let flip = "nothing changes in the database: deploy the code that does without the table".to_owned();
    Ok(Planned { steps, notes, flip, loses: None })
}

fn set_aside(table: &Table, hides: &TableName, names: &Names) -> Step {
    let keeps = names.keep();
    let triggers =
        table.triggers.iter().map(|trigger| sql("DROP TRIGGER main.{name}", &[("name", Hole::Name(&trigger.name))]));
    let created = table.indexes.iter().filter(|index| !index.definition.is_empty());
    let indexes = created.map(|index| sql("DROP INDEX main.{name}", &[("name", Hole::Name(&index.name))]));
    let rename =
        sql("ALTER TABLE {from} RENAME TO {to}", &[("from", Hole::Table(hides)), ("to", Hole::Name(&keeps.name))]);
    Work {
        phase: Phase::Cleanup,
        title: format!("keep `{}` as `{}`, without its indexes and triggers", hides.name, keeps.name),
        action: Action::Snapshot(Snapshot {
            keeps,
            create: triggers.chain(indexes).chain([rename]).collect(),
            copy: None,
        }),
        facts: &["tab.rename"],
        table: &table.name,
        undo: Undo::Impossible,
    }
    .step()
}

fn nothing_hangs_on(table: &Table) -> Result<(), Refusal> {
    let refused = |user: String| Refusal::Impossible {
        what: format!("DROP TABLE `{}`", table.name.name),
        why: format!("{user} names it, and would be broken"),
        instead: "Drop or change that first.".to_owned(),
    };
    if let Some(foreign) = table.referenced_by.iter().find(|key| key.table != table.name) {
        return Err(refused(format!("a foreign key of `{}`", foreign.table.name)));
    }
    let own = |name: &str| table.triggers.iter().any(|trigger| trigger.name.as_str() == name);
    let outside =
        |user: &&segue_model::catalog::Dependent| (user.kind == "view" || user.kind == "trigger") && !own(&user.name);
    match table.dependents.iter().find(outside) {
        Some(user) => Err(refused(format!("the {} `{}`", user.kind, user.name))),
        None => Ok(()),
    }
}

/// All columns of a table that the file drops go together: the first carries them.
fn drop_columns(native: &Native<'_>, context: &Context<'_>) -> Result<Planned, Refusal> {
    let table = existing(native)?;
    let all = together(&Operation::Native(native.clone()), context);
    let drops = |other: &Operation<'_>| match other {
        Operation::Native(Native { change: Change::DropColumn { column, .. }, .. }) => Some(column.clone()),
        _ => None,
    };
    let dropped: Vec<Ident> = all.iter().filter_map(drops).collect();
    if dropped.len() != all.len() {
        return Err(super::constraint::own_migration(native, "a column that goes beside other changes of its table"));
    }
    let mut columns = vec![];
    for name in &dropped {
        columns.push(the_column(table, name, context)?);
    }
    if all.first().is_some_and(|first| first.at() != native.at) {
        return Ok(Planned::default());
    }
    for column in &columns {
        droppable(table, column, context)?;
    }
    let rowid = obstacle::rowid(table)?;
    let names = Names::new(table, &columns[0].name, context)?;
    let old = columns.iter().map(|column| going(column)).collect();
    let mirror = Mirror { table, rowid, new: vec![], old, marker: None, renamed: std::collections::BTreeMap::new() };
    dropping(&mirror, &columns, &names, context)
}

fn droppable(table: &Table, column: &Column, context: &Context<'_>) -> Result<(), Refusal> {
    // The file drops its NOT NULL first, and what a generated column holds follows from others.
    obstacle::of_dropping(table, &Column { not_null: false, generated: None, ..column.clone() })?;
    if column.not_null && column.default.is_none() {
        obstacle::library(context, 53, "DROP NOT NULL")?;
    }
    let hides = hidden(&column.name);
    match context.catalog.column(table, &hides) {
        Some(_) => Err(Refusal::Exists { name: format!("{}.{hides}", table.name.name) }),
        None => Ok(()),
    }
}

/// Nothing follows from it, and it follows from nothing.
fn going(column: &Column) -> Derived {
    Derived {
        name: column.name.clone(),
        declared: column.type_name.as_str().to_owned(),
        expr: Expr {
            source: "NULL".to_owned(),
            parts: vec![Part::Text("NULL".to_owned())],
            nullness: Nullness::Always,
            uses: vec![],
            can_raise: false,
            constant: true,
        },
        not_null: column.not_null,
    }
}

fn dropping(
    mirror: &Mirror<'_>,
    columns: &[&Column],
    names: &Names,
    context: &Context<'_>,
) -> Result<Planned, Refusal> {
    let table = mirror.table;
    let needed = |column: &&&Column| column.not_null && column.default.is_none() && column.generated.is_none();
    let mut steps: Vec<Step> =
        columns.iter().filter(needed).map(|gone| column::let_be_null(table, &gone.name)).collect();
    steps.push(stopped(table, "nothing uses the old columns any more"));
    steps.push(contract::hide(mirror));
    let going: Vec<Ident> = mirror.old.iter().map(|old| hidden(&old.name)).collect();
    let named = bystander::named(&table.name, &going, context.catalog);
    let title = "no view and no trigger names an old column";
    steps.push(gate(&table.name, Phase::Cleanup, title, vec![bystander::condition(&named, &going)], None));
    let wanted = Wanted {
        table,
        rowid: mirror.rowid.clone(),
        dropped: going.clone(),
        not_null: vec![],
        added: vec![],
        gone: mirror.old.iter().map(|old| old.name.clone()).collect(),
        sync: vec![],
        called: Called::CLEANUP,
    };
    let online = match not_wal(context) {
        Some(why) => Err(why),
        None => Rebuild::new(wanted, names, context),
    };
    let keep = contract::snapshot(mirror, names);
    let shown = listed(&going);
    let note = match online {
        Ok(rebuild) => {
            steps.extend(rebuild.prepare());
            steps.push(keep);
            steps.extend(rebuild.finish());
            format!("cleanup drops {shown} of `{}` by one online rebuild, in windows of about 10 ms", table.name.name)
        }
        Err(why) => {
            steps.push(keep);
            steps.extend(going.iter().map(|column| drop_one(table, column, &named)));
            format!(
                "cleanup drops {shown} of `{}` one by one; each writes the whole table again while writers wait: {} each. It \
                 cannot be rebuilt online: {why}",
                table.name.name,
                stall(table.size.bytes)
            )
        }
    };
    let flip = "nothing changes in the database: deploy the code that does without the columns".to_owned();
    Ok(Planned { steps, notes: vec![note], flip, loses: None })
}

fn drop_one(table: &Table, column: &Ident, named: &Sql) -> Step {
    let all = vec![bystander::fail(named, std::slice::from_ref(column)), natively::drop_column(&table.name, column)];
    Work {
        phase: Phase::Cleanup,
        title: format!("drop `{column}`: the whole table `{}` is written again", table.name.name),
        action: Action::Sql(all),
        facts: &["dropcol.plain"],
        table: &table.name,
        undo: Undo::Impossible,
    }
    .step()
}
