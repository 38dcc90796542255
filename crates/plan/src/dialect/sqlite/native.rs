//! How the phases of each operation become steps.

use std::collections::BTreeMap;

use segue_model::change::NewColumn;
use segue_model::expr::{Expr, Nullness};
use segue_model::ident::{Ident, TableName};
use segue_model::sql::{Hole, Sql};
use segue_model::step::{Action, Phase, Step, Undo, UndoStep};

use super::cleanup::Cleanup;
use super::mirror::{Derived, Mirror};
use super::names::{Names, hidden};
use super::types::BareColumn;
use super::way_back::{self, Role};
use super::work::{Work, undo_step};
use super::{backfill, contract, facts, lookup, obstacle, sql, sync, types, verify};
use crate::dialect::Planned;
use crate::operation::{AsWritten, AsWrittenKind, Context, Fill, NewSide, Operation, Pair};
use crate::refusal::Refusal;

/// Returns the one step of a statement that is safe as it stands.
///
/// # Errors
/// A refusal where SQLite itself would refuse.
pub(super) fn as_written<'a>(written: &AsWritten<'a>, context: &Context<'a>) -> Result<Planned, Refusal> {
    let (table, title, facts, undo): (TableName, String, &'static [&'static str], Undo) = match &written.what {
        AsWrittenKind::CreateTable { schema, name, .. } => {
            let table = TableName { schema: schema.clone(), name: name.clone() };
            let undo = drop_new_table(&table);
            (table, format!("create the table `{name}`"), &["tab.create"], undo)
        }
        AsWrittenKind::CreateIndex { schema, table, .. } => {
            // The table is this file's own, so the index goes with it.
            let title = format!("create an index on the new table `{table}`");
            (TableName { schema: schema.clone(), name: table.clone() }, title, &["tab.create"], Undo::Nothing)
        }
        AsWrittenKind::AlterNewTable { schema, table } => {
            let title = format!("change the new table `{table}`");
            (TableName { schema: schema.clone(), name: table.clone() }, title, &["tab.create"], Undo::Nothing)
        }
        AsWrittenKind::AddColumns { table, columns } => {
            columns.iter().try_for_each(|column| addable(&table.name.name, column))?;
            let role = way_back::role(&Operation::AsWritten(written.clone()), context)?;
            let undo = drop_added(role.undo(&table.name, columns), columns);
            let fact: &'static [&'static str] = match columns.as_slice() {
                [only] => facts::adding(only),
                _ => &["addcol.const_default"],
            };
            (table.name.clone(), added(columns, &table.name), fact, undo)
        }
    };
    let notes = match &written.what {
        AsWrittenKind::AddColumns { table, .. } => vec![insert_without_columns(&table.name)],
        AsWrittenKind::CreateTable { .. } | AsWrittenKind::CreateIndex { .. } | AsWrittenKind::AlterNewTable { .. } => {
            vec![]
        }
    };
    let action = Action::Sql(vec![Sql::verbatim(written.statement)]);
    let step = Work { phase: Phase::Expand, title, action, facts, table: &table, undo }.step();
    Ok(Planned { steps: vec![step], notes, ..Planned::default() })
}

fn drop_new_table(table: &TableName) -> Undo {
    let drop = sql("DROP TABLE IF EXISTS {table}", &[("table", Hole::Table(table))]);
    Undo::Lossy {
        steps: vec![undo_step(table, &["tab.drop"], vec![drop])],
        loses: format!("the rows written to `{}`", table.name),
    }
}

fn drop_added(steps: Vec<UndoStep>, columns: &[&NewColumn]) -> Undo {
    let names: Vec<String> = columns.iter().map(|column| format!("`{}`", column.name)).collect();
    Undo::Lossy { steps, loses: format!("the values written to {}", names.join(", ")) }
}

fn added(columns: &[&NewColumn], table: &TableName) -> String {
    let names: Vec<String> = columns.iter().map(|column| format!("`{}`", column.name)).collect();
    format!("add {} to `{}`", names.join(", "), table.name)
}

/// Returns the statement that drops a column: the whole table is written again.
pub(super) fn drop_column(table: &TableName, column: &Ident) -> Sql {
    sql("ALTER TABLE {table} DROP COLUMN {column}", &[("table", Hole::Table(table)), ("column", Hole::Name(column))])
}

fn addable(table: &Ident, column: &NewColumn) -> Result<(), Refusal> {
    obstacle::of_adding(table, &column.name)?;
    let what = format!("a new column `{table}.{}`", column.name);
    let has = |word: &str| column.others.iter().any(|clause| clause == word);
    if let Some(clause) = ["PRIMARY KEY", "UNIQUE", "STORED"].into_iter().find(|clause| has(clause)) {
        return Err(Refusal::Impossible {
            what: format!("{what} with {clause}"),
            why: "SQLite adds no such column to a table that is there".to_owned(),
            instead: match clause {
                "STORED" => {
                    "Make it VIRTUAL: it is computed when it is read, and an index over it stores it.".to_owned()
                }
                _ => "Add the column without it, and in the next migration ALTER TABLE … ADD CONSTRAINT … UNIQUE."
                    .to_owned(),
            },
        });
    }
    let no_value = |default: &Expr| default.nullness == Nullness::Always;
    if has("REFERENCES") && column.default.as_ref().is_some_and(|default| !no_value(default)) {
        return Err(Refusal::Impossible {
            what: format!("{what} with REFERENCES and a default"),
            why: "SQLite refuses it while `foreign_keys` is on: every row would point there at once".to_owned(),
            instead: "Add it without the default.".to_owned(),
        });
    }
    if has("GENERATED") {
        return Ok(());
    }
    if column.not_null && column.default.is_none() {
        return Err(Refusal::Impossible {
            what,
            why: "SQLite adds no NOT NULL column without a default".to_owned(),
            instead: "Add it nullable, fill it by an UPDATE, then say ALTER TABLE … ALTER COLUMN … SET NOT NULL."
                .to_owned(),
        });
    }
    if column.default.as_ref().is_some_and(|default| !default.constant) {
        return Err(Refusal::Impossible {
            what,
            why: "SQLite adds no column whose default is not constant".to_owned(),
            instead: "Add it without the default, and fill it by an UPDATE.".to_owned(),
        });
    }
    Ok(())
}

/// Returns the steps of (a) a new column that is filled.
///
/// # Errors
/// A refusal for what a trigger could not do right.
pub(super) fn fill<'a>(fill: &Fill<'a>, context: &Context<'a>) -> Result<Planned, Refusal> {
    let rowid = obstacle::rowid(fill.table)?;
    fillable(fill.table, fill.column, &fill.forward, context)?;
    set_not_null_known(fill.not_null, context)?;
    let names = Names::new(fill.table, &fill.column.name, context)?;
    let new = vec![derived(fill.column, &fill.forward, fill.not_null)];
    let mirror = Mirror { table: fill.table, rowid, new, old: vec![], marker: None, renamed: BTreeMap::new() };
    let back = way_back::role(&Operation::Fill(fill.clone()), context)?;
    let mut steps = vec![add(&mirror, fill.column, None, back.undo(&fill.table.name, &[fill.column]))];
    steps.push(sync::fill(&mirror, &names));
    steps.push(backfill::step(&mirror));
    steps.push(verify::fill(&mirror, &names));
    steps.extend(contract::fill(&mirror, &names));
    let mut notes = notes(&mirror, context);
    notes.extend(null_given(&mirror));
    notes.extend(back.note());
    Ok(Planned {
        steps,
        notes,
        flip: "nothing changes in the database: deploy the code that uses the new column".to_owned(),
        loses: Some(lost_of_fill(&fill.column.name)),
    })
}

/// Returns the steps of (b) new columns in place of old ones.
///
/// # Errors
/// A refusal for what a trigger could not do right.
pub(super) fn pair<'a>(pair: &Pair<'a>, context: &Context<'a>) -> Result<Planned, Refusal> {
    let rowid = obstacle::rowid(pair.table)?;
    for new in &pair.new {
        fillable(pair.table, new.column, &new.forward, context)?;
        lookup::stable(&new.forward)?;
        set_not_null_known(new.not_null, context)?;
    }
    for old in &pair.old {
        obstacle::of_dropping(pair.table, old.column)?;
        hideable(pair, &old.column.name, context)?;
        lookup::known(&old.back, context)?;
        lookup::stable(&old.back)?;
        strict_back(pair, &old.back, old.column.type_name.as_str())?;
    }
    let mirror = mirror_of(pair, rowid, context)?;
    let back = way_back::role(&Operation::Pair(pair.clone()), context)?;
    let mut steps = pair_steps(pair, &mirror.0, &mirror.1, &back);
    let mut notes = notes(&mirror.0, context);
    if let Some(cleanup) = Cleanup::after(pair, context)? {
        notes.push(cleanup.note());
        steps.extend(cleanup.steps());
    }
    notes.extend(back.note());
    let loses = mirror.0.marker.is_some().then(|| lost(&mirror.0));
    Ok(Planned {
        steps,
        notes,
        flip: "nothing changes in the database: deploy the code that uses the new columns".to_owned(),
        loses,
    })
}

/// Returns a pair with its names.
///
/// # Errors
/// [`Refusal::Exists`] when one is in use.
pub(super) fn mirror_of<'a>(
    pair: &Pair<'a>,
    rowid: Ident,
    context: &Context<'_>,
) -> Result<(Mirror<'a>, Names), Refusal> {
    let names = Names::new(pair.table, &pair.new[0].column.name, context)?;
    let new: Vec<Derived> = pair.new.iter().map(|new| derived(new.column, &new.forward, new.not_null)).collect();
    let old: Vec<Derived> = pair
        .old
        .iter()
        .map(|old| Derived {
            name: old.column.name.clone(),
            declared: old.column.type_name.as_str().to_owned(),
            expr: old.back.clone(),
            not_null: old.column.not_null,
        })
        .collect();
    let marker = (!Mirror::is_rename(&new, &old)).then(|| names.marker());
    Ok((Mirror { table: pair.table, rowid, new, old, marker, renamed: BTreeMap::new() }, names))
}

fn pair_steps(pair: &Pair<'_>, mirror: &Mirror<'_>, names: &Names, back: &Role<'_>) -> Vec<Step> {
    let loses = mirror.marker.is_some().then(|| lost(mirror));
    let mut undo = back.undo(mirror.name(), &[]);
    let mut one = |new: &NewSide<'_>| add(mirror, new.column, loses.as_deref(), std::mem::take(&mut undo));
    let mut steps: Vec<Step> = pair.new.iter().map(&mut one).collect();
    steps.extend(mirror.marker.as_ref().map(|marker| add_marker(mirror, marker)));
    steps.push(sync::pair(mirror, names));
    steps.push(backfill::step(mirror));
    steps.push(verify::pair(mirror, names));
    steps.extend(contract::pair(mirror, names));
    steps
}

fn derived(column: &NewColumn, forward: &Expr, not_null: bool) -> Derived {
    Derived {
        name: column.name.clone(),
        declared: column.type_name.as_str().to_owned(),
        expr: forward.clone(),
        not_null,
    }
}

/// Refuses a new column that cannot be told from an absent one, or a transform that a write could fail on.
fn fillable(
    table: &segue_model::catalog::Table,
    column: &NewColumn,
    forward: &Expr,
    context: &Context<'_>,
) -> Result<(), Refusal> {
    obstacle::of_adding(&table.name.name, &column.name)?;
    let what = format!("`{}.{}`", table.name.name, column.name);
    if let Some(clause) = column.others.first() {
        return Err(Refusal::NotYet {
            what: format!("the new column {what} with {clause}"),
            instead: "Add the column without it.".to_owned(),
        });
    }
    if column.default.is_some() {
        return Err(Refusal::Impossible {
            what: format!("a default of {what}, which is also filled by an UPDATE"),
            why: "until cleanup a value that is missing must be told from one that is given, and SQLite cannot give a default \
                  to a column that is there"
                .to_owned(),
            instead: "Leave out either the DEFAULT or the UPDATE.".to_owned(),
        });
    }
    if types::is_strict(table) && !types::fits_strict(table, forward, column.type_name.as_str()) {
        return Err(strict(&what, forward));
    }
    lookup::known(forward, context)
}

fn strict_back(pair: &Pair<'_>, back: &Expr, to: &str) -> Result<(), Refusal> {
    let text = |of: &&crate::operation::NewSide<'_>| of.column.type_name.as_str().eq_ignore_ascii_case("text");
    let same = back.is_bare_column() && pair.new.iter().all(|n| n.column.type_name.as_str().eq_ignore_ascii_case(to));
    let texts = to.eq_ignore_ascii_case("text") && pair.new.iter().all(|new| text(&new));
    if !types::is_strict(pair.table) || to.eq_ignore_ascii_case("any") || same || texts {
        return Ok(());
    }
    Err(strict(&format!("`{}`", pair.table.name.name), back))
}

fn strict(what: &str, expr: &Expr) -> Refusal {
    Refusal::NotYet {
        what: format!("the transform `{}` in a STRICT table ({what})", expr.source),
        instead:
            "In a STRICT table only the same type under another name, or text made of text, is synced for now: a value \
                  that does not fit would fail your application's write."
                .to_owned(),
    }
}

fn set_not_null_known(wanted: bool, context: &Context<'_>) -> Result<(), Refusal> {
    if wanted { obstacle::library(context, 53, "SET NOT NULL") } else { Ok(()) }
}

fn hideable(pair: &Pair<'_>, column: &Ident, context: &Context<'_>) -> Result<(), Refusal> {
    let hidden = hidden(column);
    let taken = pair.table.columns.iter().any(|other| context.catalog.same(&other.name, &hidden));
    if taken { Err(Refusal::Exists { name: format!("{}.{hidden}", pair.table.name.name) }) } else { Ok(()) }
}

/// Each new column has a step of its own; the undo of the first takes all of them away.
fn add(mirror: &Mirror<'_>, column: &NewColumn, loses: Option<&str>, steps: Vec<UndoStep>) -> Step {
    let table = mirror.name();
    let undo = match (loses, mirror.old.is_empty()) {
        (Some(loses), _) => Undo::Lossy { steps, loses: loses.to_owned() },
        (None, true) => Undo::Lossy { steps, loses: lost_of_fill(&column.name) },
        (None, false) => Undo::Lossless(steps),
    };
    let statement = sql(
        "ALTER TABLE {table} ADD COLUMN {column} {type}",
        &[("table", Hole::Table(table)), ("column", Hole::Name(&column.name)), ("type", Hole::Type(&column.type_name))],
    );
    Work {
        phase: Phase::Expand,
        title: format!("add `{}` to `{}`, empty", column.name, table.name),
        action: Action::Sql(vec![statement]),
        facts: &["addcol.null"],
        table,
        undo,
    }
    .step()
}

fn add_marker(mirror: &Mirror<'_>, marker: &Ident) -> Step {
    let table = mirror.name();
    let statement = sql(
        "ALTER TABLE {table} ADD COLUMN {marker}",
        &[("table", Hole::Table(table)), ("marker", Hole::Sql(&way_back::marker_column(marker)))],
    );
    Work {
        phase: Phase::Expand,
        title: format!("add the marker by which triggers tell their own writes in `{}`", table.name),
        action: Action::Sql(vec![statement]),
        facts: &["addcol.const_default"],
        table,
        undo: Undo::Lossless(vec![]),
    }
    .step()
}

fn lost(mirror: &Mirror<'_>) -> String {
    let names = |side: &[Derived]| side.iter().map(|d| format!("`{}`", d.name)).collect::<Vec<_>>().join(", ");
    format!(
        "what new code writes to {} and {} cannot express; a copy of these rows is kept",
        names(&mirror.new),
        names(&mirror.old)
    )
}

/// A NULL that an INSERT gives is not told from a column that it leaves out.
fn null_given(mirror: &Mirror<'_>) -> Option<String> {
    let new = mirror.new.iter().find(|new| !new.not_null && new.expr.nullness != Nullness::Always)?;
    Some(format!(
        "An INSERT that gives NULL for `{}` counts until cleanup as one that does not give it: the row gets `{}`. An UPDATE may \
         write NULL from `ready` on and not before.",
        new.name,
        new.expr.source.trim()
    ))
}

fn lost_of_fill(column: &Ident) -> String {
    format!("the values written to `{column}`; a copy of the rows whose value is not the transform's is kept")
}

fn notes(mirror: &Mirror<'_>, context: &Context<'_>) -> Vec<String> {
    let table = &mirror.table.name;
    let mut all = vec![
        insert_without_columns(table),
        format!("RETURNING and last-written values of `{}` do not show what the sync trigger fills in", table.name),
    ];
    if !mirror.table.triggers.is_empty() {
        let names: Vec<String> = mirror.table.triggers.iter().map(|trigger| format!("`{}`", trigger.name)).collect();
        all.push(format!(
            "your UPDATE triggers on `{}` ({}) fire once more for each write that is synced and each row that is backfilled",
            table.name,
            names.join(", ")
        ));
    }
    let mode = context.server.settings.get("journal_mode").map_or("", String::as_str);
    if !mode.eq_ignore_ascii_case("wal") {
        all.push(format!(
            "journal_mode is `{mode}`, not WAL: every commit of ours also keeps readers out for as long as it takes"
        ));
    }
    all
}

fn insert_without_columns(table: &TableName) -> String {
    format!("`INSERT INTO {} VALUES (…)` without a column list fails once the table has more columns", table.name)
}
