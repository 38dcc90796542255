//! CHECK constraints and foreign keys, in both directions, of a column that goes over to its copy: each is added to the copy
//! NOT VALID and proved while the application runs, and takes the name in the exchange. The old ones go there: nothing but
//! the shape that is the authority may refuse a write.

use segue_model::ident::{Ident, TableName};
use segue_model::lock::{LockMode, RelationLock};
use segue_model::probe::Probe;
use segue_model::sql::{Hole, Sql};
use segue_model::step::{Action, Condition, Phase, Step, Undo, UndoStep};

use super::super::mirror::regclass;
use super::super::work::{Work, beside, undo_beside, undo_step};
use super::super::{prove, sql};
use super::{Cells, Subject, Way, key, rows};
use crate::operation::Context;
use crate::refusal::Refusal;

/// The first version in which ON DELETE SET NULL may name columns.
const SET_COLUMNS: u32 = 15;

/// The constraints.
pub(in super::super) struct Constraints(Vec<Bound>);

/// A constraint, and its twin.
struct Bound {
    /// The table that it is declared on.
    table: TableName,
    name: Ident,
    twin: Ident,
    back: Ident,
    /// Rows of before were checked.
    validated: bool,
    comment: Option<String>,
    /// It may be deferred, and is checked at once unless a transaction says otherwise, by its name: the twin, which has another
    /// one, waits for the end of each transaction until it takes the name.
    waits: bool,
    /// The other table of a foreign key.
    other: Option<TableName>,
    /// What follows `ADD CONSTRAINT name`, on the copies and on the column that stands aside.
    forward: Sql,
    backward: Sql,
}

/// Returns the question.
pub(super) fn probe(table: &TableName, counted: &[&Ident], context: &Context<'_>) -> Probe {
    let columns: Vec<Sql> = counted.iter().map(|c| sql("{c}", &[("c", Hole::Text(c.as_str()))])).collect();
    let set = context.server.version.major >= SET_COLUMNS;
    let set = Sql::fixed(if set { "k.own = ANY (h.confdelsetcols)" } else { "false" });
    Probe {
        key: key("constraints", table, counted[0]),
        sql: sql(
            include_str!("constraints.sql").trim_end(),
            &[
                ("table", Hole::Sql(&regclass(table))),
                ("columns", Hole::Join(&columns, ", ")),
                ("set_columns", Hole::Sql(&set)),
            ],
        ),
    }
}

/// Returns the constraints with their twins.
///
/// # Errors
/// A refusal of one that cannot have a twin.
pub(super) fn read(subject: &Subject<'_>, context: &Context<'_>) -> Result<Constraints, Refusal> {
    let (table, column) = (subject.name(), subject.column);
    let rows = rows(context.answers, &key("constraints", table, column), table, column)?;
    let mut whole: Vec<Vec<Cells<'_>>> = vec![];
    for row in rows.iter().map(Cells) {
        match whole.last_mut() {
            Some(last) if last[0].text(0) == row.text(0) => last.push(row),
            _ => whole.push(vec![row]),
        }
    }
    whole.iter().map(|rows| bound(subject, rows)).collect::<Result<_, _>>().map(Constraints)
}

fn bound(subject: &Subject<'_>, rows: &[Cells<'_>]) -> Result<Bound, Refusal> {
    let row = &rows[0];
    let refused = |why: &str| Refusal::Impossible {
        what: format!("a change of `{}` under the constraint `{}` of {}", subject.column, row.text(2), row.text(4)),
        why: why.to_owned(),
        instead: "Drop the constraint first, and add it again afterwards.".to_owned(),
    };
    if !row.text(20).is_empty() {
        return Err(refused(["it ", row.text(20)].concat().as_str()));
    }
    let unproved = || refused("it cannot be told which words of its definition are the column");
    let (table, name) = row.table(3, 4).zip(row.name(2)).ok_or_else(unproved)?;
    let other = row.table(5, 6);
    let definition = |way| match &other {
        None => check(subject, row, way),
        Some(other) => foreign_key(subject, rows, (&table, other), way),
    };
    Ok(Bound {
        twin: subject.names.beside(&name, "twin"),
        back: subject.names.beside(&name, "back"),
        validated: row.flag(15),
        comment: row.opt(19).map(str::to_owned),
        waits: row.flag(13) && !row.flag(14),
        forward: definition(Way::Forward).ok_or_else(unproved)?,
        backward: definition(Way::Back).ok_or_else(unproved)?,
        table,
        name,
        other,
    })
}

fn check(subject: &Subject<'_>, row: &Cells<'_>, way: Way) -> Option<Sql> {
    let expr = subject.substituted(way, row.opt(16)?, &row.numbers(17))?;
    let no_inherit = Sql::fixed(if row.flag(18) { " NO INHERIT" } else { "" });
    Some(sql("CHECK ({expr}){no_inherit}", &[("expr", Hole::Sql(&expr)), ("no_inherit", Hole::Sql(&no_inherit))]))
}

fn foreign_key(
    subject: &Subject<'_>,
    rows: &[Cells<'_>],
    (table, other): (&TableName, &TableName),
    way: Way,
) -> Option<Sql> {
    let named = |table: &TableName, at: usize| -> Option<Vec<Ident>> {
        rows.iter().map(|row| Some(subject.named(way, table, &row.name(at)?))).collect()
    };
    let (own, others) = (named(table, 7)?, named(other, 8)?);
    let set: Vec<&Ident> = rows.iter().zip(&own).filter(|(row, _)| row.flag(9)).map(|(_, own)| own).collect();
    let set = match set.as_slice() {
        [] => Sql::fixed(""),
        _ => sql(" ({set})", &[("set", Hole::Names(set))]),
    };
    let row = &rows[0];
    let full = Sql::fixed(if row.letter(10) == 'f' { " MATCH FULL" } else { "" });
    let deferrable = Sql::fixed(if row.flag(13) { " DEFERRABLE INITIALLY DEFERRED" } else { "" });
    Some(sql(
        "FOREIGN KEY ({own}) REFERENCES {other} ({others}){full} ON UPDATE {update} ON DELETE {delete}{set}{deferrable}",
        &[
            ("own", Hole::Names(own.iter().collect())),
            ("other", Hole::Table(other)),
            ("others", Hole::Names(others.iter().collect())),
            ("full", Hole::Sql(&full)),
            ("update", Hole::Sql(&action(row.letter(11)))),
            ("delete", Hole::Sql(&action(row.letter(12)))),
            ("set", Hole::Sql(&set)),
            ("deferrable", Hole::Sql(&deferrable)),
        ],
    ))
}

fn action(letter: char) -> Sql {
    Sql::fixed(match letter {
        'r' => "RESTRICT",
        'c' => "CASCADE",
        'n' => "SET NULL",
        'd' => "SET DEFAULT",
        _ => "NO ACTION",
    })
}

impl Constraints {
    /// Returns whether there is a foreign key, in either direction.
    pub(in super::super) fn any_foreign_key(&self) -> bool {
        self.0.iter().any(|bound| bound.other.is_some())
    }

    /// Returns the steps that add and prove the twins.
    pub(super) fn steps(&self, subject: &Subject<'_>) -> Vec<Step> {
        self.0.iter().flat_map(|bound| bound.steps(subject)).collect()
    }

    /// Returns the statements that drop what bears the names.
    pub(super) fn drops(&self) -> Vec<Sql> {
        self.0.iter().map(|bound| prove::drop_sql(&bound.table, &bound.name)).collect()
    }

    /// Returns the statements by which the twins take the names.
    pub(super) fn take_names(&self, _: &Subject<'_>, way: Way) -> Vec<Sql> {
        self.0.iter().flat_map(|bound| bound.take_name(way)).collect()
    }

    /// Returns what is added and proved again before the way back.
    pub(super) fn rebuilt(&self, subject: &Subject<'_>) -> Vec<UndoStep> {
        self.0.iter().flat_map(|bound| bound.rebuilt(subject)).collect()
    }

    /// Returns the other tables of foreign keys, each once.
    pub(super) fn other_tables(&self, table: &TableName) -> Vec<TableName> {
        let all = self.0.iter().flat_map(|bound| std::iter::once(&bound.table).chain(&bound.other));
        let mut others: Vec<TableName> = all.filter(|other| *other != table).cloned().collect();
        others.sort();
        others.dedup();
        others
    }

    /// Returns the condition that every twin is there and proved; `None` when there is none.
    pub(super) fn condition(&self, _: &Subject<'_>) -> Option<Condition> {
        let each: Vec<Sql> = self
            .0
            .iter()
            .map(|bound| {
                let holes = [("table", Hole::Sql(&regclass(&bound.table))), ("name", Hole::Text(bound.twin.as_str()))];
                match bound.validated {
                    true => sql("({table}::pg_catalog.oid, {name}, true)", &holes),
                    false => sql("({table}::pg_catalog.oid, {name}, false)", &holes),
                }
            })
            .collect();
        (!each.is_empty()).then(|| Condition {
            sql: sql(
                "SELECT 'the constraint ' || w.name || ' is missing or not validated' FROM (VALUES {each}) AS w(rel, name, valid) \
                 WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_constraint AS c WHERE c.conrelid = w.rel AND c.conname = w.name \
                 AND (c.convalidated OR NOT w.valid))",
                &[("each", Hole::Join(&each, ", "))],
            ),
            says: "the constraints on the copy are proved".to_owned(),
            hint: "Take the migration back with `segue rollback`, and apply it again.".to_owned(),
        })
    }

    /// Returns what foreign keys mean for other tables.
    pub(super) fn note(&self) -> Option<String> {
        self.any_foreign_key().then(|| {
            "foreign keys are proved on the copy beforehand; the exchange holds the tables at their other ends too, for \
             milliseconds, and a rollback after it proves them again on the old column first"
                .to_owned()
        })
    }
}

impl Bound {
    fn steps(&self, subject: &Subject<'_>) -> Vec<Step> {
        let add = Work {
            phase: Phase::Verify,
            title: format!(
                "add to the copy of `{}` what takes the place of the constraint `{}`",
                subject.column, self.name
            ),
            action: Action::Sql(vec![self.add(&self.twin, &self.forward)]),
            facts: if self.other.is_some() { &["con.add_fk_nv"] } else { &["con.add_check_nv"] },
            table: &self.table,
            undo: Undo::Lossless(vec![undo_beside(
                undo_step(&self.table, self.drop_facts(), vec![prove::drop_sql(&self.table, &self.twin)]),
                self.others(LockMode::AccessExclusive),
            )]),
        };
        let mut steps = vec![beside(add.step(), self.others(LockMode::ShareRowExclusive))];
        if self.validated {
            let validate = Work {
                phase: Phase::Verify,
                title: format!("prove it: every row of {} is read while the application runs", self.table),
                action: Action::Sql(vec![prove::validate_sql(&self.table, &self.twin)]),
                facts: self.validate_facts(),
                table: &self.table,
                undo: Undo::Nothing,
            };
            steps.push(beside(validate.step(), self.others(LockMode::RowShare)));
        }
        steps
    }

    fn rebuilt(&self, subject: &Subject<'_>) -> Vec<UndoStep> {
        let none = sql(
            "SELECT ({aside}) * (SELECT pg_catalog.count(*) FROM (VALUES (1)) AS one(n) WHERE NOT EXISTS (SELECT FROM \
             pg_catalog.pg_constraint AS c WHERE c.conrelid = {table} AND c.conname = {name}))",
            &[
                ("aside", Hole::Sql(&subject.is_aside())),
                ("table", Hole::Sql(&regclass(&self.table))),
                ("name", Hole::Text(self.back.as_str())),
            ],
        );
        let facts: &'static [&'static str] =
            if self.other.is_some() { &["con.add_fk_nv"] } else { &["con.add_check_nv"] };
        let add = undo_step(&self.table, facts, vec![self.add(&self.back, &self.backward)]);
        let mut all =
            vec![UndoStep { needed: Some(none), ..undo_beside(add, self.others(LockMode::ShareRowExclusive)) }];
        if self.validated {
            let validate = vec![prove::validate_sql(&self.table, &self.back)];
            let validate = undo_step(&self.table, self.validate_facts(), validate);
            all.push(UndoStep {
                needed: Some(subject.is_aside()),
                ..undo_beside(validate, self.others(LockMode::RowShare))
            });
        }
        all
    }

    fn add(&self, name: &Ident, definition: &Sql) -> Sql {
        sql(
            "ALTER TABLE {table} ADD CONSTRAINT {name} {definition} NOT VALID",
            &[("table", Hole::Table(&self.table)), ("name", Hole::Name(name)), ("definition", Hole::Sql(definition))],
        )
    }

    fn take_name(&self, way: Way) -> Vec<Sql> {
        let comes = if way == Way::Forward { &self.twin } else { &self.back };
        let (table, name) = (Hole::Table(&self.table), Hole::Name(&self.name));
        let renamed = sql(
            "ALTER TABLE {table} RENAME CONSTRAINT {comes} TO {name}",
            &[("table", table), ("comes", Hole::Name(comes)), ("name", name)],
        );
        let comment = self.comment.as_deref().map(|text| {
            sql(
                "COMMENT ON CONSTRAINT {name} ON {table} IS {text}",
                &[("name", Hole::Name(&self.name)), ("table", Hole::Table(&self.table)), ("text", Hole::Text(text))],
            )
        });
        let at_once = self.waits.then(|| {
            sql(
                "ALTER TABLE {table} ALTER CONSTRAINT {name} DEFERRABLE INITIALLY IMMEDIATE",
                &[("table", Hole::Table(&self.table)), ("name", Hole::Name(&self.name))],
            )
        });
        std::iter::once(renamed).chain(at_once).chain(comment).collect()
    }

    fn drop_facts(&self) -> &'static [&'static str] {
        if self.other.is_some() { &["con.drop_fk"] } else { &["con.drop_check"] }
    }

    fn validate_facts(&self) -> &'static [&'static str] {
        if self.other.is_some() { &["con.validate_fk"] } else { &["con.validate_check"] }
    }

    /// Returns the lock on the other table of a foreign key.
    fn others(&self, mode: LockMode) -> Vec<RelationLock> {
        let other = self.other.iter().filter(|other| **other != self.table);
        other.map(|other| RelationLock { relation: other.clone(), mode }).collect()
    }
}
