//! A new column that cannot be added as it is written: its clauses become steps of their own.

use segue_model::catalog::{Table, TableKind};
use segue_model::change::{ColumnDetails, Generated, NewColumn};
use segue_model::ident::Ident;
use segue_model::probe::{Answer, Probe};
use segue_model::sql::{Hole, Sql, TypeName, Written};
use segue_model::step::{Action, Condition, Phase, Step, Undo};
use segue_model::value::Value;

use super::lookup::Names as Lookups;
use super::mirror::{display, regclass};
use super::types::{self, Resolved};
use super::work::{Work, undo_step};
use super::{added_clause, added_value, descendants, gates, native, sql};
use crate::dialect::Planned;
use crate::figures::shown_type;
use crate::operation::{Context, Native};
use crate::refusal::Refusal;

/// A table of at most so many bytes is written again within some 50 ms.
const SMALL: u64 = 4 * 1024 * 1024;

/// The first version with generated columns that are computed when they are read.
const VIRTUAL: u32 = 18;

/// A column that is added, and all that is known of it.
pub(super) struct Added<'a> {
    pub(super) table: &'a Table,
    pub(super) column: &'a NewColumn,
    pub(super) details: &'a ColumnDetails,
    /// It ends NOT NULL.
    pub(super) not_null: bool,
    /// Its type; of a `serial`, the whole number that it is.
    pub(super) type_name: TypeName,
}

impl Added<'_> {
    /// Returns the column's name.
    pub(super) fn name(&self) -> &Ident {
        &self.column.name
    }

    /// Returns a template filled with table, column and type.
    pub(super) fn sql(&self, template: &'static str) -> Sql {
        sql(template, &[("table", Hole::Table(&self.table.name)), ("column", Hole::Name(self.name()))])
    }

    /// Returns whether the default is more than NULL.
    pub(super) fn default(&self) -> Option<&Written> {
        let is_null = self.column.default.as_ref().is_some_and(|d| d.nullness == segue_model::expr::Nullness::Always);
        self.details.default.as_ref().filter(|_| !is_null)
    }

    /// Returns the undo of the step that adds it.
    pub(super) fn drop(&self, more: Vec<Sql>) -> Undo {
        let all = std::iter::once(native::drop_columns(&self.table.name, &[self.name()])).chain(more);
        Undo::Lossy {
            steps: vec![undo_step(&self.table.name, &["dropcol.plain"], all.collect())],
            loses: format!("the values written to `{}`", self.name()),
        }
    }
}

fn added<'a>(native: &Native<'a>, column: &'a NewColumn) -> Option<Added<'a>> {
    let (table, details) = (native.table?, column.details.as_ref()?);
    let primary = details.keys.iter().any(|key| key.primary);
    let not_null = native.required || column.not_null || details.makes_values() || primary;
    let type_name = details.serial.map_or_else(|| column.type_name.clone(), TypeName::spelled);
    Some(Added { table, column, details, not_null, type_name })
}

/// Returns the open questions.
///
/// # Errors
/// A refusal that needs no further answer.
pub(super) fn probes(native: &Native<'_>, column: &NewColumn, context: &Context<'_>) -> Result<Vec<Probe>, Refusal> {
    let Some(added) = added(native, column) else { return Ok(vec![]) };
    let mut open = vec![gates::owner_probe(&added.table.name), types::probe(&added.type_name)];
    open.extend(descendants::probe(added.table));
    open.extend(added.default().map(|default| default_probe(&added, default)));
    open.extend(added_clause::probes(&added, context));
    open.extend(added_value::probes(&added, context));
    open.retain(|probe| !context.answers.contains_key(&probe.key));
    if open.is_empty() && resolved(&added, context)?.class == 'd' {
        open.push(domain_probe(&added.type_name));
    }
    Ok(open)
}

/// Returns the steps.
///
/// # Errors
/// A refusal when this cannot be done while the application runs.
pub(super) fn plan(native: &Native<'_>, column: &NewColumn, context: &Context<'_>) -> Result<Planned, Refusal> {
    let Some(added) = added(native, column) else { return Err(super::alone::later(native)) };
    gates::owner(added.table, context)?;
    let kind = resolved(&added, context)?;
    accepted(&added, context)?;
    free(&added)?;
    let steps = match rewrites(&added, &kind, context)? {
        Some(Rewrite { why, fact, instead }) => small(&added, &why, fact, instead)?,
        None if added.details.generated.is_some() => vec![as_written(&added, &["addcol.gen_virtual"])],
        None => in_steps(&added, kind, context)?,
    };
    let steps = descendants::locked_too(steps, added.table, context);
    Ok(Planned { steps, notes: notes(&added), ..Planned::default() })
}

fn in_steps(added: &Added<'_>, kind: Resolved, context: &Context<'_>) -> Result<Vec<Step>, Refusal> {
    let values = added_value::values(added, is_volatile(added, context), context)?;
    let phase = if values.by_windows() { Phase::Verify } else { Phase::Expand };
    let mut steps = values.begin(added, context);
    if values.by_windows() {
        gates::table(added.table, context)?;
        steps.extend(values.fill(added, kind, phase, context)?);
    }
    steps.extend(added_clause::steps(added, phase, values.is_constant(), context)?);
    Ok(steps)
}

fn notes(added: &Added<'_>) -> Vec<String> {
    let mut notes = vec![native::select_star(&added.table.name)];
    if added.details.keys.iter().any(|key| key.primary) {
        notes.push(format!("the primary key of {} comes last, when each row has its value", added.table.name));
    }
    notes
}

fn resolved(added: &Added<'_>, context: &Context<'_>) -> Result<Resolved, Refusal> {
    let names = Lookups { exprs: vec![], types: vec![&added.type_name] };
    let lookup = names.resolve(context)?;
    Ok(lookup.type_of(&added.type_name).clone())
}

/// The planner folds what is IMMUTABLE, and asks once what is STABLE; only what may differ from row to row stays a filter.
fn default_probe(added: &Added<'_>, default: &Written) -> Probe {
    let sql = sql(
        "EXPLAIN (COSTS OFF) SELECT FROM pg_catalog.pg_class WHERE CAST(({default}) AS {type}) IS NULL",
        &[("default", Hole::Sql(&Sql::written(default))), ("type", Hole::Type(&added.type_name))],
    );
    Probe { key: default_key(added), sql }
}

fn default_key(added: &Added<'_>) -> String {
    format!("volatile:{}:{}", display(&added.table.name), added.name().as_str())
}

/// What was not answered is taken for volatile: that way is safe whatever it is.
fn is_volatile(added: &Added<'_>, context: &Context<'_>) -> bool {
    match context.answers.get(&default_key(added)) {
        Some(Answer::Rows(rows)) => {
            let mut lines = rows.iter().filter_map(|row| row.first().and_then(Value::as_str));
            lines.any(|line| line.trim_start().starts_with("Filter:"))
        }
        Some(Answer::Failed { .. } | Answer::TimedOut) | None => true,
    }
}

/// Refuses a default that the server cannot make a value of the column of.
fn accepted(added: &Added<'_>, context: &Context<'_>) -> Result<(), Refusal> {
    let (Some(default), Some(Answer::Failed { message, .. })) =
        (added.default(), context.answers.get(&default_key(added)))
    else {
        return Ok(());
    };
    Err(Refusal::Impossible {
        what: format!("the DEFAULT `{}` of `{}.{}`", default.as_str(), added.table.name, added.name()),
        why: message.clone(),
        instead: format!("Write a default that {} takes.", shown_type(&added.type_name)),
    })
}

/// Refuses a name that a constraint of the table bears already.
fn free(added: &Added<'_>) -> Result<(), Refusal> {
    let details = added.details;
    let named = details.checks.iter().map(|check| &check.name);
    let named = named.chain(details.references.iter().map(|to| &to.name)).chain(details.keys.iter().map(|k| &k.name));
    let taken = named
        .flatten()
        .find(|name| added.table.constraints.iter().any(|constraint| constraint.name.as_ref() == Some(name)));
    match taken {
        Some(name) => Err(Refusal::Exists { name: format!("{}.{name}", added.table.name) }),
        None => Ok(()),
    }
}

/// Why a column cannot be added without writing each row again.
struct Rewrite {
    why: String,
    fact: &'static [&'static str],
    instead: String,
}

fn rewrites(added: &Added<'_>, kind: &Resolved, context: &Context<'_>) -> Result<Option<Rewrite>, Refusal> {
    let constrained = added.not_null || added.details.has_more() && !added.details.checks.is_empty();
    match added.details.generated {
        Some(Generated::Stored) => Ok(Some(Rewrite {
            why: "a column GENERATED … STORED is computed for each row under the lock".to_owned(),
            fact: &["addcol.gen_stored"],
            instead: format!(
                "Add an ordinary column with the same expression as its transform (`-- segue: {}.{} = …`) and keep it by a trigger \
                 or in code; from PostgreSQL 18 on, a VIRTUAL column is there at once.",
                added.table.name.name,
                added.name()
            ),
        })),
        Some(Generated::Virtual) if context.server.version.major < VIRTUAL => Err(Refusal::Impossible {
            what: format!("a VIRTUAL column `{}`", added.name()),
            why: format!("PostgreSQL has them from {VIRTUAL} on"),
            instead: "Write the expression into a view, or fill an ordinary column by an UPDATE.".to_owned(),
        }),
        Some(Generated::Virtual) if constrained => Ok(Some(Rewrite {
            why: "a constraint on a VIRTUAL column is checked for each row under the lock".to_owned(),
            fact: &["addcol.check"],
            instead: "Add the column without it, and the constraint in a migration of its own.".to_owned(),
        })),
        Some(Generated::Virtual) => Ok(None),
        None if kind.class == 'd' && domain_constrains(&added.type_name, context) => Ok(Some(Rewrite {
            why: format!("the domain {} checks each row under the lock", shown_type(&added.type_name)),
            fact: &["addcol.domain_check"],
            instead: "Add the column with the domain's base type, and what the domain checks as a CHECK of the column."
                .to_owned(),
        })),
        None => Ok(None),
    }
}

/// A small table is written again at once, as long as it is small; a large one is not.
fn small(added: &Added<'_>, why: &str, fact: &'static [&'static str], instead: String) -> Result<Vec<Step>, Refusal> {
    let what = format!("ADD COLUMN `{}` to {}", added.name(), added.table.name);
    Ok(vec![still_small(added.table, what, why, instead)?, as_written(added, fact)])
}

/// Returns the gate that holds while the table is so small that it may be written again at once.
///
/// # Errors
/// A refusal for a table that is not.
pub(super) fn still_small(table: &Table, what: String, why: &str, instead: String) -> Result<Step, Refusal> {
    if table.size.bytes > SMALL || table.kind != TableKind::Ordinary || table.inherits {
        let why = format!("{why}, and nobody could read or write meanwhile");
        return Err(Refusal::Impossible { what, why, instead });
    }
    let condition = Condition {
        sql: sql(
            "SELECT 'the table has grown to ' || pg_catalog.pg_size_pretty(pg_catalog.pg_relation_size({table})) \
             WHERE pg_catalog.pg_relation_size({table}) > {most}",
            &[
                ("table", Hole::Sql(&regclass(&table.name))),
                ("most", Hole::Int(i64::try_from(SMALL).unwrap_or(i64::MAX))),
            ],
        ),
        says: "the table is at most 4 MB, so that writing it again takes some 50 ms".to_owned(),
        hint: instead,
    };
    Ok(gates::gate(Phase::Expand, "the table is still small", &table.name, vec![condition], None))
}

fn as_written(added: &Added<'_>, facts: &'static [&'static str]) -> Step {
    let command = added.details.command.as_ref().map_or_else(|| Sql::fixed(""), Sql::written);
    Work {
        phase: Phase::Expand,
        title: format!("add `{}` to {} as written", added.name(), added.table.name),
        action: Action::Sql(vec![sql(
            "ALTER TABLE {table} {command}",
            &[("table", Hole::Table(&added.table.name)), ("command", Hole::Sql(&command))],
        )]),
        facts,
        table: &added.table.name,
        undo: added.drop(vec![]),
    }
    .step()
}

/// Returns the question whether a domain, or one below it, constrains its values.
pub(super) fn domain_probe(name: &TypeName) -> Probe {
    let sql = sql(include_str!("added/domain.sql").trim_end(), &[("type", Hole::Type(name))]);
    Probe { key: domain_key(name), sql }
}

fn domain_key(name: &TypeName) -> String {
    ["domain:", name.as_str()].concat()
}

/// Returns whether it does; what was not answered is taken for yes.
pub(super) fn domain_constrains(name: &TypeName, context: &Context<'_>) -> bool {
    let says_no = match context.answers.get(&domain_key(name)) {
        Some(Answer::Rows(rows)) => rows.first().and_then(|row| row.first()).and_then(Value::as_bool) == Some(false),
        Some(Answer::Failed { .. } | Answer::TimedOut) | None => false,
    };
    !says_no
}
