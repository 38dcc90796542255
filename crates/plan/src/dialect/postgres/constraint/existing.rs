//! A constraint that is there: what the catalog says of it, and how it is validated.

use segue_model::catalog::{Constraint, ConstraintKind, Table, TableKind};
use segue_model::change::{Change, ConstraintAction, ConstraintChange, NewConstraint};
use segue_model::ident::Ident;
use segue_model::lock::LockMode;
use segue_model::nearest::nearest;
use segue_model::probe::{Answer, Probe};
use segue_model::sql::{Hole, Sql};
use segue_model::step::{Action, Undo};
use segue_model::value::Value;

use super::super::mirror::regclass;
use super::super::prove::validate_sql;
use super::super::sql;
use super::super::work::{Work, beside};
use super::foreign::{self, Foreign};
use super::rows::{self, Bad};
use super::tree;
use super::{Subject, check, named};
use crate::dialect::Planned;
use crate::operation::Context;
use crate::refusal::Refusal;

/// What the catalog says of a constraint besides its structure.
pub(super) struct About {
    /// `pg_constraint.contype`.
    pub(super) kind: char,
    pub(super) validated: bool,
    /// As the server prints it, without NOT VALID.
    pub(super) definition: Sql,
    pub(super) comment: Option<String>,
    /// The only column of a NOT NULL.
    pub(super) column: Option<Ident>,
}

/// Returns the question about a constraint of this name.
pub(super) fn about_probe(table: &Table, name: &Ident) -> Probe {
    let question = sql(
        include_str!("about.sql").trim_end(),
        &[("table", Hole::Sql(&regclass(&table.name))), ("name", Hole::Text(name.as_str()))],
    );
    Probe { key: rows::key("constraint", &table.name, name.as_str()), sql: question }
}

/// Returns what the catalog says of it; `None` where there is none of that name.
pub(super) fn about(table: &Table, name: &Ident, context: &Context<'_>) -> Option<About> {
    let rows = match context.answers.get(&rows::key("constraint", &table.name, name.as_str())) {
        Some(Answer::Rows(rows)) => rows,
        Some(Answer::Failed { .. } | Answer::TimedOut) | None => return None,
    };
    let row = rows.first()?;
    let text = |at: usize| row.get(at).and_then(Value::as_str);
    let definition = text(2)?;
    Some(About {
        kind: text(0)?.chars().next()?,
        validated: row.get(1).and_then(Value::as_bool)?,
        definition: Sql::of_catalog(definition.strip_suffix(" NOT VALID").unwrap_or(definition)),
        comment: text(3).map(str::to_owned),
        column: text(4).and_then(|column| Ident::new(column).ok()),
    })
}

/// Returns the constraint of this name.
pub(super) fn find<'a>(table: &'a Table, name: &Ident) -> Option<&'a Constraint> {
    table.constraints.iter().find(|constraint| constraint.name.as_ref() == Some(name))
}

/// Returns the constraint that an earlier statement of the file adds under this name.
pub(super) fn added<'a>(subject: Subject<'a>, name: &Ident, context: &Context<'a>) -> Option<&'a NewConstraint> {
    subject.before(context).find_map(|change| match change {
        Change::Constraint(ConstraintChange { table, what: ConstraintAction::Add(new), .. }) => {
            let here = context.catalog.find(table).is_some_and(|table| table.name == subject.table.name);
            let other = Subject { change, ..subject };
            (here && named::name(other, new, context).is_ok_and(|given| given == *name)).then_some(new)
        }
        _ => None,
    })
}

/// Returns the refusal of a name that is not there.
pub(super) fn missing(table: &Table, name: &Ident) -> Refusal {
    let names = table.constraints.iter().filter_map(|known| known.name.as_ref()).map(Ident::as_str);
    let near = nearest(name.as_str(), names).map(|near| format!(" Did you mean `{near}`?")).unwrap_or_default();
    Refusal::Impossible {
        what: format!("the constraint `{name}` of {}", table.name),
        why: "the table has none of that name".to_owned(),
        instead: format!("Check the name, and whether an earlier migration that adds it was applied.{near}"),
    }
}

/// Rows that a constraint does not allow; `None` where the server has made sure of it.
pub(super) fn violating(table: &Table, constraint: &Constraint, context: &Context<'_>) -> Option<Bad> {
    match constraint.kind {
        ConstraintKind::Check => {
            let no_inherit = constraint.definition.contains(") NO INHERIT");
            Some(check::violating(table, &demands(&constraint.definition)?, no_inherit))
        }
        ConstraintKind::ForeignKey => Some(Foreign::known(table, constraint, context)?.orphans()),
        ConstraintKind::Unique | ConstraintKind::PrimaryKey | ConstraintKind::Exclusion => None,
    }
}

/// Returns what stands in the parentheses of `CHECK (…)` as the server prints it.
fn demands(definition: &str) -> Option<Sql> {
    let rest = definition.strip_prefix("CHECK ")?;
    let rest = rest.strip_suffix(" NOT ENFORCED").or_else(|| rest.strip_suffix(" NOT VALID")).unwrap_or(rest);
    Some(Sql::of_catalog(rest.strip_suffix(" NO INHERIT").unwrap_or(rest)))
}

/// Returns the questions before a constraint is validated.
pub(super) fn probes(subject: Subject<'_>, name: &Ident, context: &Context<'_>) -> Vec<Probe> {
    let known = find(subject.table, name).filter(|known| !known.validated);
    let bad = known.and_then(|known| violating(subject.table, known, context));
    let parent = known.and_then(|known| known.references.as_ref()).and_then(|parent| context.catalog.table(parent));
    let about = about_probe(subject.table, name);
    bad.iter().map(Bad::probe).chain(parent.and_then(tree::probe)).chain([about]).collect()
}

/// Returns the step that validates a constraint.
///
/// # Errors
/// A refusal of one that is not there, and while rows violate it.
pub(super) fn plan(subject: Subject<'_>, name: &Ident, context: &Context<'_>) -> Result<Planned, Refusal> {
    let table = subject.table;
    if let Some(known) = find(table, name) {
        return if known.validated { Ok(valid_already(table, name)) } else { known_one(subject, known, name, context) };
    }
    if let Some(new) = added(subject, name, context) {
        return new_one(subject, new, name, context);
    }
    match about(table, name, context) {
        Some(about) if about.kind == 'n' && about.validated => Ok(valid_already(table, name)),
        Some(about) if about.kind == 'n' => present(subject, &about, name, context),
        Some(_) | None => Err(missing(table, name)),
    }
}

fn valid_already(table: &Table, name: &Ident) -> Planned {
    let note = format!("`{name}` of {} is validated already: there is nothing to do", table.name);
    Planned { notes: vec![note], ..Planned::default() }
}

/// The mark that rows were checked stays: it takes nothing from anybody.
fn stays(name: &Ident) -> String {
    format!("rollback leaves `{name}` validated: it is the same constraint, and every row is known to fit it")
}

fn known_one(
    subject: Subject<'_>,
    known: &Constraint,
    name: &Ident,
    context: &Context<'_>,
) -> Result<Planned, Refusal> {
    let table = subject.table;
    if known.definition.ends_with(" NOT ENFORCED") {
        return Err(Refusal::Impossible {
            what: format!("VALIDATE of `{name}` of {}", table.name),
            why: "it is not enforced, so nothing keeps later rows to it".to_owned(),
            instead: "Drop it and add it again without NOT ENFORCED.".to_owned(),
        });
    }
    let mut notes = vec![stays(name)];
    if let Some(bad) = violating(table, known, context) {
        let mend = format!("Correct them first; this shows them all: `{}`", bad.shows());
        let what = format!("`{name}` of {}", table.name);
        notes.extend(bad.gate(&what, "rows violate it", &mend, context)?);
    }
    let below = tree::below(table, context)?;
    let step = match (known.kind, Foreign::known(table, known, context)) {
        (ConstraintKind::ForeignKey, Some(foreign)) => {
            let below = if table.kind == TableKind::Partitioned { below } else { vec![] };
            foreign::validate(subject.phase(), (name, &foreign), &below, context)?
        }
        _ => check::validate(subject.phase(), &table.name, name, &below),
    };
    Ok(Planned { steps: vec![step], notes, ..Planned::default() })
}

/// What the same file adds NOT VALID goes with the constraint when it is taken back.
fn new_one(subject: Subject<'_>, new: &NewConstraint, name: &Ident, context: &Context<'_>) -> Result<Planned, Refusal> {
    if !new.not_valid {
        return Ok(valid_already(subject.table, name));
    }
    let below = tree::below(subject.table, context)?;
    let step = match (new.kind, Foreign::of(subject, new, context)?) {
        (_, Some(foreign)) => {
            let below = if subject.table.kind == TableKind::Partitioned { below } else { vec![] };
            foreign::validate(subject.phase(), (name, &foreign), &below, context)?
        }
        _ => check::validate(subject.phase(), &subject.table.name, name, &below),
    };
    Ok(Planned { steps: vec![step], ..Planned::default() })
}

fn present(subject: Subject<'_>, about: &About, name: &Ident, context: &Context<'_>) -> Result<Planned, Refusal> {
    let table = subject.table;
    let mut notes = vec![stays(name)];
    if let Some(column) = &about.column {
        let bad = check::absent(table, column);
        let mend = format!("Give them a value first; this shows them all: `{}`", bad.shows());
        notes.extend(bad.gate(&format!("`{name}` of {}", table.name), "rows are NULL", &mend, context)?);
    }
    let work = Work {
        phase: subject.phase(),
        title: format!("check the rows of {} against `{name}`", table.name),
        action: Action::Sql(vec![validate_sql(&table.name, name)]),
        facts: &["nn.validate"],
        table: &table.name,
        undo: Undo::Nothing,
    };
    let below = tree::below(table, context)?;
    let step = beside(work.step(), tree::locks(&below, LockMode::ShareUpdateExclusive));
    Ok(Planned { steps: vec![step], notes, ..Planned::default() })
}
