//! A constraint that goes, or that is checked at another time. It goes in a moment; how it comes back is known before.

use segue_model::catalog::{Constraint, ConstraintKind, Index, TableKind};
use segue_model::change::{Change, ConstraintAction, ConstraintChange};
use segue_model::ident::{Ident, TableName};
use segue_model::lock::{LockMode, RelationLock};
use segue_model::probe::Probe;
use segue_model::sql::{Hole, Sql};
use segue_model::step::{Action, Undo, UndoStep};

use super::super::mirror::regclass;
use super::super::names::Names;
use super::super::prove::validate_sql;
use super::super::sql;
use super::super::work::{Work, beside, undo_beside, undo_step};
use super::check::add_sql;
use super::existing::{self, About, about, find, missing};
use super::foreign::{Foreign, PARTITIONED_SINCE};
use super::tree::{self, Below};
use super::{Subject, key};
use crate::dialect::Planned;
use crate::operation::Context;
use crate::refusal::Refusal;

/// Returns the questions about the constraint, and about partitions of the table that it points to.
pub(super) fn probes(subject: Subject<'_>, name: &Ident, context: &Context<'_>) -> Vec<Probe> {
    let known = find(subject.table, name).and_then(|known| known.references.as_ref());
    let parent = known.and_then(|parent| context.catalog.table(parent)).and_then(tree::probe);
    std::iter::once(existing::about_probe(subject.table, name)).chain(parent).collect()
}

/// Returns the step that drops a constraint.
///
/// # Errors
/// A refusal of one that is not there, that others depend on, or that could not come back.
pub(super) fn plan(
    subject: Subject<'_>,
    name: &Ident,
    (if_exists, cascade): (bool, bool),
    context: &Context<'_>,
) -> Result<Planned, Refusal> {
    let table = subject.table;
    if existing::added(subject, name, context).is_some() {
        return Err(Refusal::NotYet {
            what: format!("DROP CONSTRAINT `{name}`, which this file adds"),
            instead: "Leave both out.".to_owned(),
        });
    }
    let Some(about) = about(table, name, context) else {
        let note = format!("{} has no constraint `{name}`: there is nothing to drop", table.name);
        return match if_exists {
            true => Ok(Planned { notes: vec![note], ..Planned::default() }),
            false => Err(missing(table, name)),
        };
    };
    dependents(subject, name, cascade, context)?;
    let below = tree::below(table, context)?;
    let gone = Gone { subject, name, about: &about, below: &below, known: find(table, name) };
    let mut notes = vec![];
    let undo = gone.undo(context)?;
    if undo == Undo::Impossible {
        notes.push(format!(
            "rollback stops before `{name}` of {} is dropped: the server could only build it anew under AccessExclusiveLock",
            table.name
        ));
    }
    let work = Work {
        phase: subject.phase(),
        title: format!("drop the constraint `{name}` of {}", table.name),
        action: Action::Sql(vec![drop_named(&table.name, name)]),
        facts: gone.fact(),
        table: &table.name,
        undo,
    };
    let step = beside(work.step(), gone.locks(LockMode::AccessExclusive, context)?);
    Ok(Planned { steps: vec![step], notes, ..Planned::default() })
}

fn drop_named(table: &TableName, name: &Ident) -> Sql {
    sql("ALTER TABLE {table} DROP CONSTRAINT {name}", &[("table", Hole::Table(table)), ("name", Hole::Name(name))])
}

/// Refuses a key that foreign keys rely on: with CASCADE they would go without a word.
fn dependents(subject: Subject<'_>, name: &Ident, cascade: bool, context: &Context<'_>) -> Result<(), Refusal> {
    let table = subject.table;
    let Some(known) = find(table, name) else { return Ok(()) };
    if !matches!(known.kind, ConstraintKind::Unique | ConstraintKind::PrimaryKey) {
        return Ok(());
    }
    let same = |other: &&Constraint| {
        other.referenced_columns.len() == known.columns.len()
            && known.columns.iter().all(|column| other.referenced_columns.contains(column))
    };
    let stays = |other: &&Constraint| !subject.before(context).any(|change| drops(change, other, context));
    let others = table.referenced_by.iter().filter(same).filter(stays);
    let others: Vec<String> = others
        .map(|other| format!("`{}` of {}", other.name.as_ref().map(Ident::to_string).unwrap_or_default(), other.table))
        .collect();
    if others.is_empty() {
        return Ok(());
    }
    let word = if cascade { "CASCADE would drop the foreign keys" } else { "there are the foreign keys" };
    Err(Refusal::Impossible {
        what: format!("DROP CONSTRAINT `{name}` of {}", table.name),
        why: format!("{word} {}, which rely on it", others.join(", ")),
        instead: "Drop them first, each by a statement of its own, if they are to go.".to_owned(),
    })
}

fn drops(change: &Change, constraint: &Constraint, context: &Context<'_>) -> bool {
    match change {
        Change::Constraint(ConstraintChange { table, what: ConstraintAction::Drop { name, .. }, .. }) => {
            let here = context.catalog.find(table).is_some_and(|table| table.name == constraint.table);
            here && constraint.name.as_ref() == Some(name)
        }
        _ => false,
    }
}

/// A constraint that goes.
struct Gone<'a> {
    subject: Subject<'a>,
    name: &'a Ident,
    about: &'a About,
    below: &'a [Below],
    /// `None` for a NOT NULL.
    known: Option<&'a Constraint>,
}

impl<'a> Gone<'a> {
    fn kind(&self) -> Option<ConstraintKind> {
        self.known.map(|known| known.kind)
    }

    fn fact(&self) -> &'static [&'static str] {
        match self.kind() {
            Some(ConstraintKind::Check | ConstraintKind::Exclusion) => &["con.drop_check"],
            Some(ConstraintKind::ForeignKey) => &["con.drop_fk"],
            Some(ConstraintKind::Unique | ConstraintKind::PrimaryKey) => &["con.drop_unique"],
            None => &["nn.drop_constraint"],
        }
    }

    fn foreign(&self, context: &Context<'a>) -> Option<Foreign<'a>> {
        let known = self.known.filter(|known| known.kind == ConstraintKind::ForeignKey)?;
        Foreign::known(self.subject.table, known, context)
    }

    /// What is dropped from a partitioned table is dropped from its partitions; a foreign key of an ordinary table is its own.
    fn tree(&self) -> &[Below] {
        let own = self.subject.table.kind != TableKind::Partitioned
            && matches!(
                self.kind(),
                Some(ConstraintKind::ForeignKey | ConstraintKind::Unique | ConstraintKind::PrimaryKey)
            );
        let no_inherit = self.about.definition.as_str().contains(" NO INHERIT");
        if own || no_inherit { &[] } else { self.below }
    }

    fn locks(&self, mode: LockMode, context: &Context<'a>) -> Result<Vec<RelationLock>, Refusal> {
        let parent = match self.foreign(context) {
            Some(foreign) => foreign.parent_locks((mode, mode), context)?,
            None => vec![],
        };
        Ok([tree::locks(self.tree(), mode), parent].concat())
    }

    fn undo(&self, context: &Context<'a>) -> Result<Undo, Refusal> {
        let partitioned = self.subject.table.kind == TableKind::Partitioned;
        match self.kind() {
            Some(ConstraintKind::Exclusion) => Ok(Undo::Impossible),
            Some(ConstraintKind::Unique | ConstraintKind::PrimaryKey) if partitioned => Err(self.of_many()),
            Some(ConstraintKind::ForeignKey) if partitioned && context.server.version.major < PARTITIONED_SINCE => {
                Err(self.of_many())
            }
            Some(ConstraintKind::Unique | ConstraintKind::PrimaryKey) => self.key_undo(context),
            Some(ConstraintKind::Check | ConstraintKind::ForeignKey) | None => {
                self.rows_undo(context).map(Undo::Lossless)
            }
        }
    }

    fn of_many(&self) -> Refusal {
        Refusal::NotYet {
            what: format!("DROP CONSTRAINT `{}` of {}, a partitioned table", self.name, self.subject.table.name),
            instead: "Its rollback would have to build it anew for each partition. Run it by hand, with a short \
                      `lock_timeout`: it takes a moment."
                .to_owned(),
        }
    }

    /// First for new rows, then for those that are there.
    fn rows_undo(&self, context: &Context<'a>) -> Result<Vec<UndoStep>, Refusal> {
        let table = &self.subject.table.name;
        let enforced = !self.about.definition.as_str().ends_with(" NOT ENFORCED");
        let (add, lock): (&'static [&'static str], _) = match self.kind() {
            Some(ConstraintKind::ForeignKey) => (&["con.add_fk_nv"], LockMode::ShareRowExclusive),
            Some(_) => (&["con.add_check_nv"], LockMode::AccessExclusive),
            None => (&["nn.add_constraint_notnull_nv"], LockMode::AccessExclusive),
        };
        let mut back = vec![add_sql(table, self.name, &self.about.definition, enforced)];
        back.extend(self.comment());
        let first = UndoStep {
            needed: Some(self.is_gone()),
            conditions: self.bad(context).into_iter().collect(),
            ..undo_beside(undo_step(table, add, back), [self.locks(lock, context)?, self.children(context)].concat())
        };
        if !self.about.validated || !enforced {
            return Ok(vec![first]);
        }
        let validate: &'static [&'static str] = match self.kind() {
            Some(ConstraintKind::ForeignKey) => &["con.validate_fk"],
            Some(_) => &["con.validate_check"],
            None => &["nn.validate"],
        };
        let below = tree::locks(self.tree(), LockMode::ShareUpdateExclusive);
        let parent = match self.foreign(context) {
            Some(foreign) => foreign.parent_locks((LockMode::RowShare, LockMode::AccessShare), context)?,
            None => vec![],
        };
        let second = undo_step(table, validate, vec![validate_sql(table, self.name)]);
        Ok(vec![first, undo_beside(second, [below, parent].concat())])
    }

    /// 18 locks the children of an ordinary table while it gets a foreign key that they do not get.
    fn children(&self, context: &Context<'a>) -> Vec<RelationLock> {
        let foreign = self.kind() == Some(ConstraintKind::ForeignKey);
        let own = foreign && self.subject.table.kind != TableKind::Partitioned;
        let locked = own && context.server.version.major >= PARTITIONED_SINCE;
        if locked { tree::locks(self.below, LockMode::ShareRowExclusive) } else { vec![] }
    }

    /// Rows that were written meanwhile may not fit any more.
    fn bad(&self, context: &Context<'a>) -> Option<segue_model::step::Condition> {
        let bad = existing::violating(self.subject.table, self.known?, context)?;
        let shows = bad.shows();
        let says = format!("every row of {} fits `{}`, which comes back", self.subject.table.name, self.name);
        self.about.validated.then(|| bad.condition(says, format!("Correct them; this shows them all: `{shows}`")))
    }

    /// The index is built anew while the application goes on, and then becomes the constraint's.
    fn key_undo(&self, context: &Context<'a>) -> Result<Undo, Refusal> {
        let table = self.subject.table;
        let index = self.known.and_then(|known| key::index_of(table, known));
        let again = index.and_then(|index| Some((index, key::again(index, self.name)?)));
        let Some((index, again)) = again else {
            return Err(Refusal::NotYet {
                what: format!("DROP CONSTRAINT `{}` of {}, whose index is not known", self.name, table.name),
                instead: "Look at the index of that name: it may be invalid.".to_owned(),
            });
        };
        let build = undo_step(&table.name, &["idx.create_conc"], vec![key::drop_index(&table.name, self.name), again]);
        let primary = index.primary;
        let fact: &'static [&'static str] =
            if primary { &["con.add_pk_using_index"] } else { &["con.add_unique_using_index"] };
        let mut attach = vec![sql(
            "ALTER TABLE {table} ADD CONSTRAINT {name} {kind} USING INDEX {name}{when}",
            &[
                ("table", Hole::Table(&table.name)),
                ("name", Hole::Name(self.name)),
                ("kind", Hole::Sql(&Sql::fixed(if primary { "PRIMARY KEY" } else { "UNIQUE" }))),
                ("when", Hole::Sql(&self.when())),
            ],
        )];
        attach.extend(self.comment());
        let children = key::children(table, self.kind(), self.below, context);
        let parts = [build, undo_beside(undo_step(&table.name, fact, attach), children)];
        let parts: Vec<UndoStep> =
            parts.into_iter().map(|part| UndoStep { needed: Some(self.is_gone()), ..part }).collect();
        Ok(undo_of(parts, index))
    }

    /// Returns when it is checked.
    fn when(&self) -> Sql {
        Sql::fixed(when(self.about.definition.as_str()))
    }

    fn comment(&self) -> Option<Sql> {
        let comment = self.about.comment.as_ref()?;
        Some(sql(
            "COMMENT ON CONSTRAINT {name} ON {table} IS {comment}",
            &[
                ("name", Hole::Name(self.name)),
                ("table", Hole::Table(&self.subject.table.name)),
                ("comment", Hole::Text(comment)),
            ],
        ))
    }

    fn is_gone(&self) -> Sql {
        count_of(self.subject, self.name, "SELECT 1 - pg_catalog.count(*)")
    }
}

fn when(definition: &str) -> &'static str {
    match (definition.contains(" INITIALLY DEFERRED"), definition.contains(" DEFERRABLE")) {
        (true, _) => " DEFERRABLE INITIALLY DEFERRED",
        (false, true) => " DEFERRABLE",
        (false, false) => "",
    }
}

/// Returns the question whether a constraint is there, or is not.
fn count_of(subject: Subject<'_>, name: &Ident, what: &'static str) -> Sql {
    sql(
        "{what} FROM pg_catalog.pg_constraint WHERE conrelid = {table} AND conname = {name}",
        &[
            ("what", Hole::Sql(&Sql::fixed(what))),
            ("table", Hole::Sql(&regclass(&subject.table.name))),
            ("name", Hole::Text(name.as_str())),
        ],
    )
}

/// What an index carries besides its definition does not come back with it.
fn undo_of(steps: Vec<UndoStep>, index: &Index) -> Undo {
    let printed = ["storage parameters", "nulls not distinct"];
    let lost: Vec<&str> =
        index.carries.iter().map(String::as_str).filter(|carried| !printed.contains(carried)).collect();
    if lost.is_empty() {
        return Undo::Lossless(steps);
    }
    Undo::Lossy { steps, loses: format!("what the index `{}` carries: {}", index.name, lost.join(", ")) }
}

/// Returns how an index of the user that became a constraint's stands by itself again: another is built in its place, because
/// it goes with the constraint.
pub(super) fn adopted_undo(subject: Subject<'_>, (name, index): (&Ident, &Index), context: &Context<'_>) -> Undo {
    let table = &subject.table.name;
    let aside = Names::new(context, table, name).beside(&index.name, "again");
    let Some(again) = key::again(index, &aside) else { return Undo::Impossible };
    let place = TableName { schema: table.schema.clone(), name: aside.clone() };
    let rename = sql(
        "ALTER INDEX {aside} RENAME TO {index}",
        &[("aside", Hole::Table(&place)), ("index", Hole::Name(&index.name))],
    );
    let build = undo_step(table, &["idx.create_conc"], vec![key::drop_index(table, &aside), again]);
    let swap = undo_step(table, &["con.drop_unique", "idx.rename"], vec![drop_named(table, name), rename]);
    let is_there = || Some(count_of(subject, name, "SELECT pg_catalog.count(*)"));
    let parts = [build, swap].into_iter().map(|part| UndoStep { needed: is_there(), ..part }).collect();
    undo_of(parts, index)
}

/// Returns the step that changes when a foreign key is checked, or whether.
///
/// # Errors
/// A refusal of what reads every row under a lock, and of other kinds of constraints.
pub(super) fn altered(
    subject: Subject<'_>,
    name: &Ident,
    (deferral, enforced): (bool, Option<bool>),
    context: &Context<'_>,
) -> Result<Planned, Refusal> {
    let table = subject.table;
    let Some(known) = find(table, name) else { return Err(missing(table, name)) };
    let not = |why: &str, instead: &str| Refusal::Impossible {
        what: format!("ALTER CONSTRAINT `{name}` of {}", table.name),
        why: why.to_owned(),
        instead: instead.to_owned(),
    };
    if known.kind != ConstraintKind::ForeignKey {
        return Err(not("the server alters foreign keys only", "Drop it and add it as it is to be."));
    }
    match enforced {
        Some(true) => {
            return Err(not(
                "the server would read every row under AccessExclusiveLock",
                "Drop it and add it again without NOT ENFORCED: its rows are then checked while the application goes on.",
            ));
        }
        Some(false) => {
            return Err(not(
                "it would be kept as a name only, and coming back would mean a new foreign key",
                "Drop it and add it again with NOT ENFORCED.",
            ));
        }
        None => {}
    }
    if !deferral {
        return Err(not("nothing is said that changes it", "Leave it out."));
    }
    let below = tree::below(table, context)?;
    let below = if table.kind == TableKind::Partitioned { below } else { vec![] };
    let locks = || tree::locks(&below, LockMode::AccessExclusive);
    let alter = |what: &Sql| {
        sql("ALTER TABLE {table} {what}", &[("table", Hole::Table(&table.name)), ("what", Hole::Sql(what))])
    };
    let before = match when(&known.definition) {
        "" => " NOT DEFERRABLE",
        " DEFERRABLE" => " DEFERRABLE INITIALLY IMMEDIATE",
        other => other,
    };
    let before =
        sql("ALTER CONSTRAINT {name}{when}", &[("name", Hole::Name(name)), ("when", Hole::Sql(&Sql::fixed(before)))]);
    let back = undo_step(&table.name, &["con.alter_fk_deferrable"], vec![alter(&before)]);
    let work = Work {
        phase: subject.phase(),
        title: format!("change when `{name}` of {} is checked", table.name),
        action: Action::Sql(vec![alter(&Sql::written(&subject.wanted.command))]),
        facts: &["con.alter_fk_deferrable"],
        table: &table.name,
        undo: Undo::Lossless(vec![undo_beside(back, locks())]),
    };
    Ok(Planned { steps: vec![beside(work.step(), locks())], ..Planned::default() })
}
