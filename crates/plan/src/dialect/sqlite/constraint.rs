//! A change of a constraint.

use segue_model::catalog::{ConstraintKind, Table};
use segue_model::change::{Change, ConstraintAction, ConstraintChange, NewConstraint, References};
use segue_model::ident::Ident;
use segue_model::probe::Probe;
use segue_model::sql::{Hole, Quoting, Sql};
use segue_model::step::{Action, Condition, Phase, Step, Undo, UndoStep};

use super::alone::{by_itself, existing, later};
use super::offending::Offending;
use super::work::{Work, undo_step};
use super::{Sqlite, edited, obstacle, sql, twin};
use crate::dialect::Planned;
use crate::operation::{Context, Native, Stage};
use crate::refusal::Refusal;

/// Returns the open questions.
///
/// # Errors
/// A refusal that needs no further answer.
pub(super) fn probes(native: &Native<'_>, context: &Context<'_>) -> Result<Vec<Probe>, Refusal> {
    let Change::Constraint(ConstraintChange { what: ConstraintAction::Add(new), .. }) = native.change else {
        return Ok(vec![]);
    };
    // What a column holds that is not there yet, nobody knows.
    if native.stage != Stage::Now {
        return Ok(vec![]);
    }
    let table = existing(native)?;
    Ok(match new.kind {
        Some(ConstraintKind::Check) => violating(table, new).iter().map(Offending::probe).collect(),
        Some(ConstraintKind::ForeignKey) => vec![ForeignKey::new(table, new, context)?.orphans().probe()],
        Some(ConstraintKind::Unique | ConstraintKind::PrimaryKey) => twin::probes(native, context)?,
        Some(ConstraintKind::Exclusion) | None => vec![],
    })
}

/// Returns the steps.
///
/// # Errors
/// A refusal when this cannot be done while the application runs.
pub(super) fn plan(native: &Native<'_>, context: &Context<'_>) -> Result<Planned, Refusal> {
    let table = existing(native)?;
    let Change::Constraint(ConstraintChange { what, .. }) = native.change else { return Err(later(native)) };
    match what {
        ConstraintAction::Add(new) => match new.kind {
            Some(ConstraintKind::Check) => add_check(native, table, new, context),
            Some(ConstraintKind::ForeignKey) => add_foreign_key(native, table, new, context),
            Some(ConstraintKind::Unique | ConstraintKind::PrimaryKey) => twin::plan(native, context),
            Some(ConstraintKind::Exclusion) | None => Err(later(native)),
        },
        ConstraintAction::Drop { name, if_exists, cascade: _ } => drop(native, table, name, *if_exists, context),
        ConstraintAction::Validate { .. } | ConstraintAction::Alter { .. } => Err(later(native)),
    }
}

/// Returns a constraint as it stands in the text of a table.
pub(super) fn clause(new: &NewConstraint) -> String {
    match &new.name {
        Some(name) => ["CONSTRAINT ", &Sqlite.name(name.as_str()), " ", new.definition.as_str()].concat(),
        None => new.definition.as_str().to_owned(),
    }
}

fn named(table: &Table, new: &NewConstraint) -> String {
    let name = new.name.as_ref().map_or_else(String::new, |name| format!(" `{name}`"));
    format!("the constraint{name} of `{}`", table.name.name)
}

fn free_name(table: &Table, new: &NewConstraint) -> Result<(), Refusal> {
    let text = table.sql.as_deref().unwrap_or_default();
    match new.name.as_ref().filter(|name| edited::named(text, name).is_some()) {
        Some(name) => Err(Refusal::Exists { name: format!("{}.{name}", table.name.name) }),
        None => Ok(()),
    }
}

fn violating<'a>(table: &'a Table, new: &NewConstraint) -> Option<Offending<'a>> {
    let check = Sql::expr(&new.check.as_ref()?.render(&|column| Sqlite.name(column.as_str()), &|name| {
        name.schema.as_ref().map_or_else(String::new, |schema| Sqlite.name(schema.as_str()))
    }));
    let find = sql(
        "SELECT * FROM {table} WHERE NOT {check}",
        &[("table", Hole::Table(&table.name)), ("check", Hole::Sql(&check))],
    );
    Some(Offending {
        table,
        key: format!("check {} {}", table.name.name.as_str(), new.definition.as_str()),
        condition: sql("NOT {check}", &[("check", Hole::Sql(&check))]),
        what: named(table, new),
        rows: "rows do not hold it".to_owned(),
        mend: format!("Change them, or the condition: `{find}` finds them."),
    })
}

/// SQLite reads every row for it: 91 ms for 400,000 rows were measured. One without a name could not be dropped by a statement
/// again, so its text is put in and taken out.
fn add_check(
    native: &Native<'_>,
    table: &Table,
    new: &NewConstraint,
    context: &Context<'_>,
) -> Result<Planned, Refusal> {
    obstacle::library(context, 53, "ADD CONSTRAINT")?;
    free_name(table, new)?;
    if let Some(violating) = violating(table, new) {
        violating.refuse(context)?;
    }
    let Some(name) = &new.name else {
        by_itself(native, context)?;
        let text = table.sql.as_deref().unwrap_or_default();
        let with = edited::with_constraint(text, &clause(new)).ok_or_else(|| unread(table))?;
        return Ok(Planned { steps: vec![by_text(table, (text, &with), new, native, vec![])], ..Planned::default() });
    };
    let add = sql(
        "ALTER TABLE {table} ADD {clause}",
        &[("table", Hole::Table(&table.name)), ("clause", Hole::Sql(&Sql::of_catalog(&clause(new))))],
    );
    let back = sql(
        "ALTER TABLE {table} DROP CONSTRAINT {name}",
        &[("table", Hole::Table(&table.name)), ("name", Hole::Name(name))],
    );
    let phase = if native.stage == Stage::Filled { Phase::Backfill } else { Phase::Expand };
    let step = Work {
        phase,
        title: format!("every row of `{}` must hold `{}`", table.name.name, new.definition.as_str()),
        action: Action::Sql(vec![add]),
        facts: &["check.add"],
        table: &table.name,
        undo: Undo::Lossless(vec![undo_step(&table.name, &["constraint.drop"], vec![back])]),
    }
    .step();
    Ok(Planned { steps: vec![step], ..Planned::default() })
}

/// A constraint that keeps nothing of its own but its text, and of which this transaction shows that every row holds it.
fn by_text(table: &Table, (from, to): (&str, &str), new: &NewConstraint, native: &Native<'_>, more: Vec<Sql>) -> Step {
    let signal = twin::signal(native, table);
    let mut all = edited::set_text(&table.name, from, to, &signal);
    if let Some(violating) = violating(table, new) {
        all.push(sql(
            "SELECT segue_fail('a row does not hold ' || {what}) FROM {table} WHERE {condition} LIMIT 1",
            &[
                ("what", Hole::Text(new.definition.as_str())),
                ("table", Hole::Table(&table.name)),
                ("condition", Hole::Sql(&violating.condition)),
            ],
        ));
    }
    all.extend(more);
    let facts: &'static [&'static str] = if new.references.is_some() { &["fk.add"] } else { &["check.add"] };
    let back = edited::set_text(&table.name, to, from, &signal);
    Work {
        phase: Phase::Expand,
        title: format!("every row of `{}` must hold `{}`", table.name.name, new.definition.as_str()),
        action: Action::Sql(all),
        facts,
        table: &table.name,
        undo: Undo::Lossless(vec![undo_step(&table.name, &["constraint.drop"], back)]),
    }
    .step()
}

fn unread(table: &Table) -> Refusal {
    Refusal::Impossible {
        what: format!("a change of the text of `{}`", table.name.name),
        why: "its text in the schema is not a list of columns".to_owned(),
        instead: "Rebuild the table by hand: lang_altertable, section 7, of SQLite's manual says how.".to_owned(),
    }
}

/// A foreign key that is added.
struct ForeignKey<'a> {
    child: &'a Table,
    parent: &'a Table,
    new: &'a NewConstraint,
    /// Pairs, the child's first.
    columns: Vec<(Ident, Ident)>,
}

impl<'a> ForeignKey<'a> {
    fn new(child: &'a Table, new: &'a NewConstraint, context: &Context<'a>) -> Result<Self, Refusal> {
        let Some(References { table, columns, .. }) = &new.references else { return Err(unread(child)) };
        let parent = context.catalog.find(table);
        let parent = parent.ok_or_else(|| Refusal::NoTable { table: table.to_string(), nearest: None })?;
        let wanted = if columns.is_empty() { parent.primary_key().to_vec() } else { columns.clone() };
        let mut referenced = vec![];
        for name in &wanted {
            referenced.push(super::alone::the_column(parent, name, context)?.name.clone());
        }
        let mut own = vec![];
        for name in &new.columns {
            own.push(super::alone::the_column(child, name, context)?.name.clone());
        }
        if own.len() != referenced.len() || !is_key(parent, &referenced) {
            return Err(Refusal::Impossible {
                what: format!("{} to `{}`", named(child, new), parent.name.name),
                why: "the columns that it points to are no primary key and no UNIQUE key of that table, so every write to \
                      either table would fail"
                    .to_owned(),
                instead: "Point it to a key, or create a UNIQUE index on those columns first.".to_owned(),
            });
        }
        Ok(Self { child, parent, new, columns: own.into_iter().zip(referenced).collect() })
    }

    fn orphans(&self) -> Offending<'a> {
        let each = |template: &'static str| -> Vec<Sql> {
            let column = |(own, other): &(Ident, Ident)| {
                let holes = [
                    ("child", Hole::Name(&self.child.name.name)),
                    ("own", Hole::Name(own)),
                    ("other", Hole::Name(other)),
                ];
                let named = |hole: &(&'static str, Hole<'_>)| template.contains(&["{", hole.0, "}"].concat());
                sql(template, &holes.into_iter().filter(named).collect::<Vec<_>>())
            };
            self.columns.iter().map(column).collect()
        };
        let given = each("{child}.{own} IS NOT NULL");
        let same = each("segue_parent.{other} = {child}.{own}");
        let condition = sql(
            "{given} AND NOT EXISTS (SELECT 1 FROM {parent} AS segue_parent WHERE {same})",
            &[
                ("given", Hole::Join(&given, " AND ")),
                ("parent", Hole::Table(&self.parent.name)),
                ("same", Hole::Join(&same, " AND ")),
            ],
        );
        let find = sql(
            "SELECT * FROM {child} WHERE {condition}",
            &[("child", Hole::Name(&self.child.name.name)), ("condition", Hole::Sql(&condition))],
        );
        Offending {
            table: self.child,
            key: format!("orphans {} {}", self.child.name.name.as_str(), self.new.definition.as_str()),
            what: named(self.child, self.new),
            rows: format!("rows point to no row of `{}`", self.parent.name.name),
            mend: format!("Give them a parent, set the columns NULL, or delete them: `{find}` finds them."),
            condition,
        }
    }
}

/// SQLite finds the parent by an index that is unique over just these columns, whole and by their own collations.
fn is_key(parent: &Table, columns: &[Ident]) -> bool {
    let same = |keys: Vec<&Ident>| keys.len() == columns.len() && columns.iter().all(|column| keys.contains(&column));
    let unique = |index: &segue_model::catalog::Index| {
        let keys: Option<Vec<&Ident>> =
            index.keys.iter().map(|key| key.column.as_ref().filter(|_| key.default_class)).collect();
        index.unique && index.predicate.is_none() && keys.is_some_and(same)
    };
    same(parent.primary_key().iter().collect()) || parent.indexes.iter().any(unique)
}

/// A foreign key is nothing but text, and each row is shown to have its parent under the lock.
fn add_foreign_key(
    native: &Native<'_>,
    table: &Table,
    new: &NewConstraint,
    context: &Context<'_>,
) -> Result<Planned, Refusal> {
    let key = ForeignKey::new(table, new, context)?;
    if native.stage != Stage::Now {
        return Err(own_migration(native, "a foreign key of a column that this file adds"));
    }
    free_name(table, new)?;
    let orphans = key.orphans();
    orphans.refuse(context)?;
    let from = twin::text_before(native, table, context)?;
    let to = edited::with_constraint(&from, &clause(new)).ok_or_else(|| unread(table))?;
    let none = sql(
        "SELECT segue_fail('a row points to no row of ' || {parent}) FROM {child} WHERE {condition} LIMIT 1",
        &[
            ("parent", Hole::Text(key.parent.name.name.as_str())),
            ("child", Hole::Name(&table.name.name)),
            ("condition", Hole::Sql(&orphans.condition)),
        ],
    );
    let mut notes = vec![];
    let leads = |index: &segue_model::catalog::Index| {
        index.keys.first().is_some_and(|k| k.column.as_ref() == new.columns.first())
    };
    if !table.indexes.iter().any(leads) && table.primary_key().first() != new.columns.first() {
        notes.push(format!(
            "no index of `{}` begins with `{}`: each DELETE and key UPDATE of `{}` will read the whole of `{}` where \
             `foreign_keys` is on",
            table.name.name, key.columns[0].0, key.parent.name.name, table.name.name
        ));
    }
    let step = by_text(table, (&from, &to), new, native, vec![none]);
    Ok(Planned { steps: vec![step], notes, ..Planned::default() })
}

/// Returns the refusal of what would have to be told apart from the rest of its file.
pub(super) fn own_migration(native: &Native<'_>, what: &str) -> Refusal {
    Refusal::NotYet {
        what: format!("{what} ({})", native.change.kind().replace('_', " ")),
        instead: "Do it in a migration of its own.".to_owned(),
    }
}

fn drop(
    native: &Native<'_>,
    table: &Table,
    name: &Ident,
    if_exists: bool,
    context: &Context<'_>,
) -> Result<Planned, Refusal> {
    let from = twin::text_before(native, table, context)?;
    let Some(found) = edited::named(&from, name) else {
        let none = format!("`{}` has no constraint `{name}`", table.name.name);
        return if if_exists {
            Ok(Planned { notes: vec![format!("{none}: there is nothing to drop")], ..Planned::default() })
        } else {
            Err(Refusal::Impossible {
                what: format!("DROP CONSTRAINT `{name}`"),
                why: none,
                instead: "Give the name that stands after CONSTRAINT in the text of the table; one without a name is dropped \
                          by hand."
                    .to_owned(),
            })
        };
    };
    match found.kind {
        Some(ConstraintKind::Check | ConstraintKind::ForeignKey) => {}
        Some(ConstraintKind::Unique | ConstraintKind::PrimaryKey) => return twin::plan(native, context),
        Some(ConstraintKind::Exclusion) | None => {
            return Err(Refusal::Impossible {
                what: format!("DROP CONSTRAINT `{name}`"),
                why: "it is a property of a column".to_owned(),
                instead: "Say ALTER TABLE … ALTER COLUMN … DROP NOT NULL or DROP DEFAULT.".to_owned(),
            });
        }
    }
    let signal = twin::signal(native, table);
    let back = UndoStep {
        conditions: found.check.as_deref().map(|check| still_holds(table, name, check)).into_iter().collect(),
        ..undo_step(&table.name, &["check.add"], put_back(table, &found, (&from, name), &signal))
    };
    let step = Work {
        phase: Phase::Expand,
        title: format!("drop the constraint `{name}` of `{}`", table.name.name),
        action: Action::Sql(edited::set_text(&table.name, &from, &found.without, &signal)),
        facts: &["constraint.drop"],
        table: &table.name,
        undo: Undo::Lossless(vec![back]),
    }
    .step();
    Ok(Planned { steps: vec![step], ..Planned::default() })
}

fn put_back(table: &Table, found: &edited::NamedConstraint, (text, name): (&str, &Ident), signal: &Ident) -> Vec<Sql> {
    let mut all = edited::set_text(&table.name, &found.without, text, signal);
    if let Some(check) = &found.check {
        all.push(sql(
            "SELECT segue_fail('a row does not hold the constraint ' || {name}) FROM {table} WHERE NOT {check} LIMIT 1",
            &[
                ("name", Hole::Text(name.as_str())),
                ("table", Hole::Table(&table.name)),
                ("check", Hole::Sql(&Sql::of_catalog(check))),
            ],
        ));
    } else {
        all.push(sql(
            "SELECT segue_fail('a row of ' || \"table\" || ' points to no row of ' || parent) \
             FROM pragma_foreign_key_check({table}) LIMIT 1",
            &[("table", Hole::Text(table.name.name.as_str()))],
        ));
    }
    all
}

fn still_holds(table: &Table, name: &Ident, check: &str) -> Condition {
    let check = Sql::of_catalog(check);
    Condition {
        sql: sql(
            "SELECT 'a row does not hold the constraint ' || {name} FROM {table} WHERE NOT {check} LIMIT 1",
            &[("name", Hole::Text(name.as_str())), ("table", Hole::Table(&table.name)), ("check", Hole::Sql(&check))],
        ),
        says: format!("every row of `{}` holds `{name}`", table.name.name),
        hint: "Change the rows that were written since and do not hold it; then run the same command again.".to_owned(),
    }
}
