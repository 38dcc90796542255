//! What must hold before a table is touched, and what the user should know.

use segue_model::catalog::{Column, ConstraintKind, Dependent, Table, TableKind};
use segue_model::change::NewColumn;
use segue_model::ident::{Ident, TableName};
use segue_model::probe::{Answer, Probe};
use segue_model::sql::{Hole, Sql};
use segue_model::step::{Action, Asks, Condition, Gate, Phase, Step, Undo};
use segue_model::value::Value;

use super::lookup::Lookup;
use super::mirror::{Mirror, display, regclass};
use super::work::Work;
use super::{native, sql, sync, user_trigger};
use crate::operation::Context;
use crate::refusal::Refusal;

/// Kinds of dependents that hold on to every column when the catalog does not say to which.
const HOLD_WHOLE_TABLE: &[&str] = &["view", "materialized view", "rule"];

/// Returns the question whether we may act as the table's owner.
pub(super) fn owner_probe(table: &TableName) -> Probe {
    Probe {
        key: owner_key(table),
        sql: sql(
            "SELECT pg_catalog.pg_has_role(c.relowner, 'USAGE') FROM pg_catalog.pg_class AS c WHERE c.oid = {table}",
            &[("table", Hole::Sql(&regclass(table)))],
        ),
    }
}

fn owner_key(table: &TableName) -> String {
    format!("owner:{}", display(table))
}

/// Refuses a table that cannot be changed while the application runs.
///
/// # Errors
/// The refusal.
pub(super) fn table(table: &Table, context: &Context<'_>) -> Result<(), Refusal> {
    if table.kind != TableKind::Ordinary || table.inherits {
        return Err(Refusal::NotYet {
            what: format!("this change on {}, which is not an ordinary table on its own", table.name),
            instead: "Partitioned and inherited tables, views and foreign tables come later.".to_owned(),
        });
    }
    owner(table, context)?;
    row_security(table, context)?;
    user_trigger::gate(table)
}

/// Refuses a role that does not own the table.
///
/// # Errors
/// The refusal.
pub(super) fn owner(table: &Table, context: &Context<'_>) -> Result<(), Refusal> {
    let owns = match context.answers.get(&owner_key(&table.name)) {
        Some(Answer::Rows(rows)) => rows.first().and_then(|row| row.first()).and_then(Value::as_bool),
        Some(Answer::Failed { .. } | Answer::TimedOut) | None => None,
    };
    match owns {
        Some(true) => Ok(()),
        _ => Err(Refusal::Impossible {
            what: format!("the role `{}` does not own {}", context.server.role, table.name),
            why: "only its owner may change a table".to_owned(),
            instead: format!("Connect as `{}`, or as a member of it.", table.owner),
        }),
    }
}

/// Refuses a table whose row security would hide rows from what reads all of them, without a word.
///
/// # Errors
/// The refusal.
pub(super) fn row_security(table: &Table, context: &Context<'_>) -> Result<(), Refusal> {
    let server = context.server;
    let bound = table.force_row_security || server.role != table.owner;
    if table.row_security && bound && !server.superuser && !server.bypass_row_security {
        return Err(Refusal::Impossible {
            what: format!("row security of {} binds the role `{}`", table.name, server.role),
            why: "rows that a policy hides would be left out".to_owned(),
            instead: format!(
                "Connect as the owner, without FORCE ROW LEVEL SECURITY, or `ALTER ROLE {} BYPASSRLS`.",
                server.role
            ),
        });
    }
    Ok(())
}

/// Refuses a new column that cannot be added empty and at once, or whose clauses would be lost.
///
/// # Errors
/// The refusal.
pub(super) fn addable(table: &Table, column: &NewColumn, lookup: &Lookup) -> Result<(), Refusal> {
    let domain = lookup.type_of(&column.type_name).class == 'd';
    let clauses = column.others.iter().cloned().chain(domain.then(|| "a domain as its type".to_owned()));
    let clauses: Vec<String> = clauses.collect();
    if clauses.is_empty() {
        return Ok(());
    }
    Err(Refusal::NotYet {
        what: format!("the new column `{}.{}` with {}", table.name, column.name, clauses.join(", ")),
        instead: "Add it plain, with its base type, and the rest in a later migration.".to_owned(),
    })
}

/// Refuses when a name of ours, of a trigger, a function or the CHECK of one of `proved`, is somebody's already: ours would
/// take the place of what bears it, and the undo would drop it.
///
/// # Errors
/// The refusal.
pub(super) fn free<'c>(mirror: &Mirror<'_>, proved: impl IntoIterator<Item = &'c Ident>) -> Result<(), Refusal> {
    let (table, names) = (mirror.table, mirror.names);
    let triggers = sync::trigger_names(mirror);
    let trigger = triggers.iter().find(|name| table.triggers.iter().any(|trigger| trigger.name == **name));
    let checks: Vec<Ident> = proved.into_iter().map(|column| names.check(column)).collect();
    let check = checks.iter().find(|name| table.constraints.iter().any(|other| other.name.as_ref() == Some(*name)));
    let functions = sync::function_names(mirror);
    let function = functions.iter().find(|name| names.is_taken(name)).map(ToString::to_string);
    match trigger.or(check).map(|name| format!("{}.{name}", table.name)).or(function) {
        Some(name) => Err(Refusal::Exists { name }),
        None => Ok(()),
    }
}

/// Refuses a column that something else is bound to, naming it.
///
/// # Errors
/// The refusal.
pub(super) fn bound(table: &Table, column: &Column) -> Result<(), Refusal> {
    let holders: Vec<String> = constraints(table, &column.name)
        .into_iter()
        .chain(of_itself(column))
        .chain(dependents(table, &column.name))
        .chain(triggers(table, &column.name))
        .collect();
    if holders.is_empty() {
        return Ok(());
    }
    Err(Refusal::NotYet {
        what: format!("a change of `{}.{}`, to which is bound: {}", table.name, column.name, holders.join("; ")),
        instead: "Drop or rewrite what is named first, and create it again afterwards.".to_owned(),
    })
}

fn constraints(table: &Table, column: &Ident) -> Vec<String> {
    let own = table.constraints.iter().filter(|constraint| constraint.columns.contains(column));
    let others = table.referenced_by.iter().filter(|constraint| constraint.referenced_columns.contains(column));
    own.chain(others)
        .map(|constraint| {
            let kind = match constraint.kind {
                ConstraintKind::Check => "the CHECK",
                ConstraintKind::Unique => "the UNIQUE constraint",
                ConstraintKind::PrimaryKey => "the PRIMARY KEY",
                ConstraintKind::ForeignKey => "the FOREIGN KEY",
                ConstraintKind::Exclusion => "the EXCLUDE constraint",
            };
            let name = constraint.name.as_ref().map(Ident::to_string).unwrap_or_default();
            format!("{kind} `{name}` of {}", constraint.table)
        })
        .collect()
}

fn of_itself(column: &Column) -> Vec<String> {
    let generated = column.generated.iter().map(|_| "its GENERATED expression".to_owned());
    let identity = column.identity.iter().map(|_| "its IDENTITY".to_owned());
    let sequences = column.owns_sequences.iter().map(|sequence| format!("the sequence `{sequence}`"));
    generated.chain(identity).chain(sequences).collect()
}

fn dependents(table: &Table, column: &Ident) -> Vec<String> {
    table
        .dependents
        .iter()
        .filter(|dependent| {
            let whole = dependent.columns.is_empty() && HOLD_WHOLE_TABLE.contains(&dependent.kind.as_str());
            dependent.columns.contains(column) || whole
        })
        .filter(|dependent| !is_our_trigger(&dependent.kind, &dependent.name))
        .filter(|dependent| !is_told(table, column, dependent))
        .map(|dependent| format!("the {} `{}`", dependent.kind, dependent.name))
        .collect()
}

/// Constraints and triggers are told with the table: the catalog lists them once more by what they depend on.
fn is_told(table: &Table, column: &Ident, dependent: &Dependent) -> bool {
    match dependent.kind.as_str() {
        "check" => table
            .constraints
            .iter()
            .filter(|constraint| constraint.columns.contains(column))
            .any(|constraint| constraint.name.as_ref().is_some_and(|name| name.as_str() == dependent.name)),
        "trigger" => {
            let told = table.triggers.iter().filter(|trigger| names(&trigger.definition, column));
            told.into_iter().any(|trigger| trigger.name.as_str() == dependent.name)
        }
        _ => false,
    }
}

fn is_our_trigger(kind: &str, name: &str) -> bool {
    kind == "trigger" && (name.contains("~segue_") || name.contains("!segue_"))
}

fn triggers(table: &Table, column: &Ident) -> Vec<String> {
    table
        .triggers
        .iter()
        .filter(|trigger| !sync::is_ours(&trigger.name) && names(&trigger.definition, column))
        .map(|trigger| format!("the trigger `{}`", trigger.name))
        .collect()
}

/// Returns whether SQL that the catalog printed names the column: as a whole word, or quoted.
pub(super) fn names(printed: &str, column: &Ident) -> bool {
    let quoted = sql("{c}", &[("c", Hole::Name(column))]);
    let word = |c: char| c.is_alphanumeric() || c == '_' || c == '$';
    let whole = printed.match_indices(column.as_str()).any(|(at, found)| {
        let before = printed[..at].chars().next_back().is_some_and(word);
        let after = printed[at + found.len()..].chars().next().is_some_and(word);
        !before && !after
    });
    whole || printed.contains(quoted.as_str())
}

/// Returns the step that waits for `conditions`, and for what a person must say.
pub(super) fn gate(
    phase: Phase,
    title: &str,
    table: &TableName,
    conditions: Vec<Condition>,
    asks: Option<Asks>,
) -> Step {
    Work {
        phase,
        title: title.to_owned(),
        action: Action::Gate(Gate { conditions, asks }),
        facts: &[],
        table,
        undo: Undo::Nothing,
    }
    .step()
}

/// Returns what must hold before the authority moves: the triggers are there, and no row is left that cannot be converted.
pub(super) fn conditions(mirror: &Mirror<'_>) -> Vec<Condition> {
    let unconvertible = mirror.unconvertible().map(|fails| Condition {
        sql: sql(
            "SELECT 'the row at ' || ctid::pg_catalog.text || ' cannot be converted' FROM {table} WHERE {fails} LIMIT 10",
            &[("table", Hole::Table(mirror.table())), ("fails", Hole::Sql(&fails))],
        ),
        says: "no row is left that the transform cannot convert".to_owned(),
        hint: "Correct the old values of these rows, or give their new columns a value.".to_owned(),
    });
    std::iter::once(sync::condition(mirror)).chain(unconvertible).collect()
}

/// Returns the condition that nothing new has been bound to columns that are about to go.
pub(super) fn nothing_bound(mirror: &Mirror<'_>, columns: &[&Ident]) -> Condition {
    nothing_bound_in(mirror.table(), columns)
}

/// Returns the condition that nothing new has been bound to columns of a table that are about to go.
pub(super) fn nothing_bound_in(table: &TableName, columns: &[&Ident]) -> Condition {
    let names: Vec<Sql> = columns.iter().map(|c| sql("{c}", &[("c", Hole::Text(c.as_str()))])).collect();
    let table = sql("{t}", &[("t", Hole::Table(table))]);
    Condition {
        sql: sql(
            include_str!("bound.sql").trim_end(),
            &[("table", Hole::Body(&table)), ("columns", Hole::Join(&names, ", "))],
        ),
        says: "no view, policy or other object uses the columns that are dropped".to_owned(),
        hint: "Rewrite these objects on the new columns first.".to_owned(),
    }
}

/// Returns what the user should know about any table that is kept in sync.
pub(super) fn notes(mirror: &Mirror<'_>) -> Vec<String> {
    let name = mirror.table();
    let mut notes = notes_of_rows(mirror);
    notes.insert(
        1,
        format!(
            "the new columns stand last in {name}: `INSERT` without a column list and reading by position must not rely on the order"
        ),
    );
    notes.insert(2, native::select_star(name));
    notes
}

/// Returns what of it concerns rows alone, and no new column.
pub(super) fn notes_of_rows(mirror: &Mirror<'_>) -> Vec<String> {
    let table = mirror.table;
    let name = &table.name;
    let mut notes = vec![format!(
        "until cleanup each write to {name} runs a trigger: about 0.6 µs more a row, 1.7 µs when the pair changes"
    )];
    if !table.publications.is_empty() {
        let publications: Vec<String> = table.publications.iter().map(|p| format!("`{p}`")).collect();
        notes.push(format!(
            "{name} is published by {}: subscribers need the new columns first, and CDC sees every row of the backfill",
            publications.join(", ")
        ));
    }
    notes.extend(user_trigger::notes(table, mirror.names.silences()));
    notes
}
