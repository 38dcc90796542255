//! A foreign key: first for new rows, then for those that are there. Rows that point nowhere are counted beforehand.

use segue_model::catalog::{Constraint, ConstraintKind, Index, Table, TableKind};
use segue_model::change::{Change, ConstraintAction, ConstraintChange, NewConstraint, Orphans, References};
use segue_model::ident::{Ident, TableName};
use segue_model::lock::{LockMode, RelationLock};
use segue_model::probe::Probe;
use segue_model::sql::{Hole, Sql};
use segue_model::step::{Action, Phase, Step, Undo};

use super::super::prove::{drop_sql, validate_sql};
use super::super::sql;
use super::super::work::{Work, beside, undo_beside, undo_step};
use super::check::add_sql;
use super::rows::{self, Bad};
use super::tree::{self, Below};
use super::{Subject, orphans, partitioned};
use crate::dialect::Planned;
use crate::figures::listed;
use crate::operation::{Context, Stage};
use crate::refusal::Refusal;

/// The first version that takes NOT VALID for a foreign key of a partitioned table, and validates the parts of one that
/// points to a partitioned table.
pub(super) const PARTITIONED_SINCE: u32 = 18;

/// A foreign key with both tables.
#[derive(Clone)]
pub(super) struct Foreign<'a> {
    pub(super) table: &'a Table,
    pub(super) columns: Vec<Ident>,
    /// `None` where this file creates it.
    pub(super) parent: Option<&'a Table>,
    pub(super) parent_name: TableName,
    pub(super) parent_columns: Vec<Ident>,
    /// `MATCH FULL`: a row of which one column is NULL and another is not points nowhere.
    pub(super) full: bool,
}

/// Returns the questions about rows that are there, and about partitions of the other table.
///
/// # Errors
/// A refusal of a table or column that is not there.
pub(super) fn probes(subject: Subject<'_>, new: &NewConstraint, context: &Context<'_>) -> Result<Vec<Probe>, Refusal> {
    let Some(foreign) = Foreign::of(subject, new, context)? else { return Ok(vec![]) };
    let orphans = looks(subject, new, &foreign).then(|| foreign.orphans().probe());
    Ok(orphans.into_iter().chain(foreign.parent.and_then(tree::probe)).collect())
}

/// Rows of new columns are not there yet, and where the other table is new, nothing can be said before it is filled.
fn looks(subject: Subject<'_>, new: &NewConstraint, foreign: &Foreign<'_>) -> bool {
    let known = subject.stage == Stage::Now && foreign.parent.is_some();
    known && !new.not_valid && !new.not_enforced && foreign.columns.len() == foreign.parent_columns.len()
}

impl<'a> Foreign<'a> {
    /// Returns the foreign key that is added; `None` where it points nowhere.
    ///
    /// # Errors
    /// A refusal of a table or column that is not there.
    pub(super) fn of(
        subject: Subject<'a>,
        new: &NewConstraint,
        context: &Context<'a>,
    ) -> Result<Option<Self>, Refusal> {
        let Some(references) = &new.references else { return Ok(None) };
        let parent = context.catalog.find(&references.table);
        let parent_name = match parent {
            Some(parent) => parent.name.clone(),
            None => created(references, subject, context).ok_or_else(|| missing(references, context))?,
        };
        let parent_columns = match (references.columns.as_slice(), parent) {
            ([], Some(parent)) => parent.primary_key().to_vec(),
            (columns, _) => columns.to_vec(),
        };
        let (table, columns, full) = (subject.table, new.columns.clone(), references.full);
        let foreign = Self { table, columns, parent, parent_name, parent_columns, full };
        foreign.can_point(subject, context)?;
        Ok(Some(foreign))
    }

    /// Returns a foreign key that is there.
    pub(super) fn known(table: &'a Table, constraint: &Constraint, context: &Context<'a>) -> Option<Self> {
        let parent_name = constraint.references.clone()?;
        Some(Self {
            table,
            columns: constraint.columns.clone(),
            parent: context.catalog.table(&parent_name),
            parent_name,
            parent_columns: constraint.referenced_columns.clone(),
            full: constraint.definition.contains(" MATCH FULL"),
        })
    }

    /// Refuses one that no unique index of the other table answers.
    fn can_point(&self, subject: Subject<'a>, context: &Context<'a>) -> Result<(), Refusal> {
        let Some(parent) = self.parent else { return Ok(()) };
        let unknown = self.parent_columns.iter().find(|name| parent.columns.iter().all(|c| c.name != **name));
        if let Some(name) = unknown {
            let names = parent.columns.iter().map(|c| c.name.as_str());
            return Err(crate::wanted::no_column(parent, name, names));
        }
        let answers = |index: &Index| {
            let keys: Option<Vec<&Ident>> = index.keys.iter().map(|key| key.column.as_ref()).collect();
            let same = keys.is_some_and(|keys| {
                keys.len() == self.parent_columns.len() && self.parent_columns.iter().all(|c| keys.contains(&c))
            });
            index.unique && index.valid && index.predicate.is_none() && same
        };
        let by_file = subject.before(context).any(|change| gives_key(change, parent, context));
        let primary = !self.parent_columns.is_empty() && parent.primary_key() == self.parent_columns;
        if primary || by_file || parent.indexes.iter().any(answers) {
            return Ok(());
        }
        let columns = match self.parent_columns.as_slice() {
            [] => "a primary key".to_owned(),
            columns => format!("{} as the columns of a primary key or UNIQUE", listed(columns)),
        };
        Err(Refusal::Impossible {
            what: format!("a foreign key of {} to {}", self.table.name, parent.name),
            why: format!("that table does not have {columns}"),
            instead: format!("Add `UNIQUE` to {} in an earlier statement.", parent.name),
        })
    }

    /// Rows that point nowhere.
    pub(super) fn orphans(&self) -> Bad {
        Bad {
            key: rows::key("orphans", &self.table.name, &self.about()),
            from: sql("{table} AS c", &[("table", Hole::Sql(&tree::own_rows(self.table)))]),
            condition: self.orphaned(),
            label: rows::label(self.table, Some("c")),
            grouped: None,
        }
    }

    fn about(&self) -> String {
        let names = |columns: &[Ident]| columns.iter().map(|c| c.as_str().to_owned()).collect::<Vec<_>>().join(",");
        [&names(&self.columns), ">", &self.parent_name.to_string(), ":", &names(&self.parent_columns)].concat()
    }

    /// Returns the condition that the row `c` points nowhere.
    pub(super) fn orphaned(&self) -> Sql {
        let present = |template: &'static str| -> Vec<Sql> {
            self.columns.iter().map(|c| sql(template, &[("c", Hole::Name(c))])).collect()
        };
        let paired = self.columns.iter().zip(&self.parent_columns);
        let equal: Vec<Sql> = paired.map(|(own, other)| self.equal(own, other)).collect();
        let parent = match self.parent {
            Some(parent) => tree::own_rows(parent),
            None => sql("{t}", &[("t", Hole::Table(&self.parent_name))]),
        };
        let nowhere = sql(
            "{present} AND NOT EXISTS (SELECT FROM {parent} AS p WHERE {equal})",
            &[
                ("present", Hole::Join(&present("c.{c} IS NOT NULL"), " AND ")),
                ("parent", Hole::Sql(&parent)),
                ("equal", Hole::Join(&equal, " AND ")),
            ],
        );
        if !self.full || self.columns.len() == 1 {
            return nowhere;
        }
        sql(
            "(({nowhere}) OR pg_catalog.num_nulls({columns}) BETWEEN 1 AND {others})",
            &[
                ("nowhere", Hole::Sql(&nowhere)),
                ("columns", Hole::Join(&present("c.{c}"), ", ")),
                ("others", Hole::Int(i64::try_from(self.columns.len() - 1).unwrap_or(i64::MAX))),
            ],
        )
    }

    /// Types of the system have their operators there; those of others bring their own, which the search path finds.
    fn equal(&self, own: &Ident, other: &Ident) -> Sql {
        let system = |table: Option<&Table>, name: &Ident| {
            let column = table.and_then(|table| table.columns.iter().find(|column| column.name == *name));
            column.is_some_and(|column| !column.type_name.as_str().contains('.'))
        };
        let template = if system(Some(self.table), own) && system(self.parent, other) {
            "p.{other} OPERATOR(pg_catalog.=) c.{own}"
        } else {
            "p.{other} = c.{own}"
        };
        sql(template, &[("own", Hole::Name(own)), ("other", Hole::Name(other))])
    }

    /// Returns a lock on the other table and on its partitions; none where it is the same table.
    pub(super) fn parent_locks(
        &self,
        (top, below): (LockMode, LockMode),
        context: &Context<'_>,
    ) -> Result<Vec<RelationLock>, Refusal> {
        if self.parent_name == self.table.name {
            return Ok(vec![]);
        }
        let tree = match self.parent {
            Some(parent) if parent.kind == TableKind::Partitioned => tree::below(parent, context)?,
            Some(_) | None => vec![],
        };
        let top = RelationLock { relation: self.parent_name.clone(), mode: top };
        Ok([vec![top], tree::locks(&tree, below)].concat())
    }
}

fn gives_key(change: &Change, parent: &Table, context: &Context<'_>) -> bool {
    match change {
        Change::Constraint(ConstraintChange { table, what: ConstraintAction::Add(new), .. }) => {
            let key = matches!(new.kind, Some(ConstraintKind::Unique | ConstraintKind::PrimaryKey));
            key && context.catalog.find(table).is_some_and(|table| table.name == parent.name)
        }
        Change::Index(_) | Change::CreateIndex { .. } => {
            let table = change.table().and_then(|table| context.catalog.find(table));
            table.is_some_and(|table| table.name == parent.name)
        }
        _ => false,
    }
}

/// Returns the other table where an earlier statement of the file creates it.
fn created(references: &References, subject: Subject<'_>, context: &Context<'_>) -> Option<TableName> {
    let home = |schema: &Option<Ident>| schema.clone().or_else(|| context.catalog.search_path.first().cloned());
    let wanted = TableName { schema: home(&references.table.schema)?, name: references.table.name.clone() };
    let made = subject.before(context).any(|change| match change {
        Change::CreateTable { table, .. } => {
            home(&table.schema).as_ref() == Some(&wanted.schema) && table.name == wanted.name
        }
        _ => false,
    });
    made.then_some(wanted)
}

fn missing(references: &References, context: &Context<'_>) -> Refusal {
    let names = context.catalog.tables.iter().map(|table| table.name.name.as_str());
    let nearest = segue_model::nearest::nearest(references.table.name.as_str(), names);
    Refusal::NoTable { table: references.table.to_string(), nearest: nearest.map(str::to_owned) }
}

/// Returns the steps.
///
/// # Errors
/// A refusal while rows point nowhere and the file does not say what becomes of them.
pub(super) fn plan(
    subject: Subject<'_>,
    new: &NewConstraint,
    name: &Ident,
    context: &Context<'_>,
) -> Result<Planned, Refusal> {
    let Some(foreign) = Foreign::of(subject, new, context)? else {
        return Err(Refusal::Opaque { what: "FOREIGN KEY".to_owned() });
    };
    let treated = orphans::treated(subject, new, context);
    let mut notes = gate(subject, new, (name, &foreign), treated, context)?;
    let below = tree::below(subject.table, context)?;
    let partitioned = subject.table.kind == TableKind::Partitioned;
    if partitioned && treated != Orphans::Refuse {
        return Err(orphans::not_of_partitions(subject.table));
    }
    if partitioned && context.server.version.major < PARTITIONED_SINCE {
        let steps = partitioned::foreign_key(subject, new, (name, &foreign), &below, context)?;
        notes.push(format!(
            "before 18 the server takes no NOT VALID for a foreign key of a partitioned table: each partition of {} gets it \
             first, and the last step joins them without reading rows",
            subject.table.name
        ));
        return Ok(Planned { steps, notes, ..Planned::default() });
    }
    // Children of an ordinary table do not get its foreign keys, but 18 locks them too.
    let children = if partitioned || context.server.version.major < PARTITIONED_SINCE { vec![] } else { below.clone() };
    let below = if partitioned { below } else { vec![] };
    let kept = orphans::keep(subject, &foreign, treated, context)?;
    let mut steps: Vec<Step> = kept.iter().map(orphans::Keep::create).collect();
    let step = add(subject, new, (name, &foreign), &below, context)?;
    steps.push(beside(step, tree::locks(&children, LockMode::ShareRowExclusive)));
    if let Some(kept) = &kept {
        steps.push(kept.treat(context.server.version.major));
        notes.extend(kept.note());
    }
    if !new.not_valid && !new.not_enforced {
        let phase = if kept.is_some() { Phase::Verify } else { subject.phase() };
        steps.push(validate(phase, (name, &foreign), &below, context)?);
        notes.extend(half_validated(&foreign, context));
    }
    Ok(Planned { steps, notes, ..Planned::default() })
}

/// Before 18 VALIDATE leaves the parts of a foreign key to a partitioned table as they were.
fn half_validated(foreign: &Foreign<'_>, context: &Context<'_>) -> Option<String> {
    let parent = foreign.parent.filter(|parent| parent.kind == TableKind::Partitioned)?;
    (context.server.version.major < PARTITIONED_SINCE).then(|| {
        format!(
            "before 18 VALIDATE does not mark the internal foreign keys to the partitions of {} as validated \
             (pg_constraint.convalidated): every row is checked all the same, and nothing of the server relies on that mark",
            parent.name
        )
    })
}

fn gate(
    subject: Subject<'_>,
    new: &NewConstraint,
    (name, foreign): (&Ident, &Foreign<'_>),
    treated: Orphans,
    context: &Context<'_>,
) -> Result<Vec<String>, Refusal> {
    if !looks(subject, new, foreign) || treated != Orphans::Refuse {
        return Ok(vec![]);
    }
    let bad = foreign.orphans();
    let what = format!("the foreign key `{name}` of {}", subject.table.name);
    let are = format!("rows point to no row of {}", foreign.parent_name);
    let mend = format!(
        "Correct them first; this shows them all: `{}`. Or let Segue do it, by a line in the file: `-- segue: orphans \
         {}.{} null` (they point to nothing then) or `… quarantine` (they are moved aside); what was there is kept.",
        bad.shows(),
        crate::figures::typed_table(subject.table, context.catalog),
        foreign.columns.first().map(crate::figures::typed).unwrap_or_default()
    );
    Ok(bad.gate(&what, &are, &mend, context)?.into_iter().collect())
}

fn add(
    subject: Subject<'_>,
    new: &NewConstraint,
    (name, foreign): (&Ident, &Foreign<'_>),
    below: &[Below],
    context: &Context<'_>,
) -> Result<Step, Refusal> {
    let table = &subject.table.name;
    let sre = LockMode::ShareRowExclusive;
    let work = Work {
        phase: subject.phase(),
        title: format!("let no write point from {table} to a row that {} does not have", foreign.parent_name),
        action: Action::Sql(vec![add_sql(table, name, &Sql::written(&new.definition), !new.not_enforced)]),
        facts: &["con.add_fk_nv"],
        table,
        undo: drop_undo((name, foreign), below, context)?,
    };
    Ok(beside(work.step(), [tree::locks(below, sre), foreign.parent_locks((sre, sre), context)?].concat()))
}

/// Returns how a foreign key that was added is dropped.
pub(super) fn drop_undo(
    (name, foreign): (&Ident, &Foreign<'_>),
    below: &[Below],
    context: &Context<'_>,
) -> Result<Undo, Refusal> {
    let (table, ae) = (&foreign.table.name, LockMode::AccessExclusive);
    let locks = [tree::locks(below, ae), foreign.parent_locks((ae, ae), context)?].concat();
    Ok(Undo::Lossless(vec![undo_beside(undo_step(table, &["con.drop_fk"], vec![drop_sql(table, name)]), locks)]))
}

/// Returns the step that reads every row while the application goes on.
pub(super) fn validate(
    phase: Phase,
    (name, foreign): (&Ident, &Foreign<'_>),
    below: &[Below],
    context: &Context<'_>,
) -> Result<Step, Refusal> {
    let table = &foreign.table.name;
    let work = Work {
        phase,
        title: format!("check that each row of {table} points to a row of {}", foreign.parent_name),
        action: Action::Sql(vec![validate_sql(table, name)]),
        facts: &["con.validate_fk"],
        table,
        undo: Undo::Nothing,
    };
    let parent = foreign.parent_locks((LockMode::RowShare, LockMode::AccessShare), context)?;
    Ok(beside(work.step(), [tree::locks(below, LockMode::ShareUpdateExclusive), parent].concat()))
}
