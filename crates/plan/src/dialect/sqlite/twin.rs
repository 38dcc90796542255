//! A table that becomes another in a way that SQLite has no statement for: a copy with the other text, kept right from now on,
//! that exchanges names with the table at flip. From then on the old table is kept right, so the flip can be taken back.
//!
//! A row that the other text does not take (a second one of a key that is to be unique) is noted in a table of ours, tried
//! again whenever somebody writes, and keeps the exchange from happening while it is there. No write fails for it.

use segue_model::catalog::{Column, Constraint, ConstraintKind, Table};
use segue_model::change::{Change, ColumnChange, ColumnProperty, ConstraintAction, ConstraintChange, NewConstraint};
use segue_model::expr::Expr;
use segue_model::ident::{Ident, TableName, tag_of};
use segue_model::probe::Probe;
use segue_model::sql::{Hole, Sql};
use segue_model::step::{Action, Backfill, Condition, Phase, Step, Undo, Verify, Windows};

use super::alone::{by_itself, existing, later, the_column};
use super::cleanup::not_wal;
use super::constraint::clause;
use super::contract::{drop_triggers, gate};
use super::definition::{new_index_text, table_text};
use super::exchange::{Exchange, Moved};
use super::names::{BYTES_MAX, Names};
use super::offending::{Duplicates, Offending};
use super::rebuild::{Called, Rebuild, Wanted, emptied_and_dropped, emptying};
use super::sync::{Trigger, drops, there};
use super::work::{Work, undo_step};
use super::{edited, obstacle, sql, types};
use crate::dialect::Planned;
use crate::operation::{Context, Native, Retype};
use crate::refusal::Refusal;

/// What becomes of the table.
struct Becomes {
    /// Its text.
    text: String,
    /// Columns that are unique together from then on.
    unique: Vec<Ident>,
    /// The column whose values are stored as another type.
    retyped: Option<Ident>,
    /// An index that is made with it, by its name and text.
    index: Option<(Ident, String)>,
    /// What it is, for people: `a default of …`.
    what: String,
}

/// Returns whether a change is carried out by a copy, so that the plan has all phases.
pub(super) fn is(native: &Native<'_>, context: &Context<'_>) -> bool {
    let Some(table) = native.table else { return false };
    match native.change {
        Change::Column(ColumnChange { what: ColumnProperty::SetDefault(_) | ColumnProperty::DropDefault, .. }) => true,
        Change::Constraint(ConstraintChange { what, .. }) => match what {
            ConstraintAction::Add(new) => matches!(new.kind, Some(ConstraintKind::Unique | ConstraintKind::PrimaryKey)),
            ConstraintAction::Drop { name, .. } => {
                let found = edited::named(table.sql.as_deref().unwrap_or_default(), name);
                let kind = found.and_then(|found| found.kind);
                matches!(kind, Some(ConstraintKind::Unique | ConstraintKind::PrimaryKey))
            }
            ConstraintAction::Validate { .. } | ConstraintAction::Alter { .. } => false,
        },
        Change::CreateIndex { .. } => by_itself(native, context).is_ok() && bounds_the_stall(table, context),
        _ => false,
    }
}

/// Returns whether an index is better made on a copy: CREATE INDEX keeps every writer out until it is whole.
pub(super) fn bounds_the_stall(table: &Table, context: &Context<'_>) -> bool {
    let many = table.size.rows.is_some_and(|rows| rows > context.thresholds.background_above);
    many && not_wal(context).is_none() && obstacle::rowid(table).is_ok() && table_text(table).is_ok()
}

/// Returns the name of a view of ours that is there for a moment.
pub(super) fn signal(native: &Native<'_>, table: &Table) -> Ident {
    let own = table.name.name.as_str();
    Ident::of_ours("segue_sig_", own, &tag_of(&[own, &native.statement.text]), BYTES_MAX)
}

/// Returns the text that a table has when it is this change's turn.
///
/// # Errors
/// A refusal where the file has changed it before in a way that SQLite writes down in its own words.
pub(super) fn text_before(native: &Native<'_>, table: &Table, context: &Context<'_>) -> Result<String, Refusal> {
    by_itself(native, context)?;
    Ok(table.sql.clone().unwrap_or_default())
}

/// Returns the open questions.
///
/// # Errors
/// A refusal that needs no further answer.
pub(super) fn probes(native: &Native<'_>, context: &Context<'_>) -> Result<Vec<Probe>, Refusal> {
    let table = existing(native)?;
    let becomes = becomes(native, table, context)?;
    Ok(duplicates(table, &becomes).iter().map(Duplicates::probe).collect())
}

/// Returns the steps.
///
/// # Errors
/// A refusal for a table that no copy can be made of.
pub(super) fn plan(native: &Native<'_>, context: &Context<'_>) -> Result<Planned, Refusal> {
    let table = existing(native)?;
    by_itself(native, context)?;
    let becomes = becomes(native, table, context)?;
    if let Some(duplicates) = duplicates(table, &becomes) {
        duplicates.refuse(context)?;
    }
    Twin::new(table, becomes, context).map(|twin| twin.planned())
}

/// Returns the question whose answer says which values another type would not take.
///
/// # Errors
/// A refusal that needs no further answer.
pub(super) fn retype_probes(retype: &Retype<'_>, context: &Context<'_>) -> Result<Vec<Probe>, Refusal> {
    types::retypable(retype)?;
    let mut open: Vec<Probe> = types::unconvertible(retype).iter().map(Offending::probe).collect();
    open.retain(|probe| !context.answers.contains_key(&probe.key));
    Ok(open)
}

/// Returns the steps of another type under the same name.
///
/// # Errors
/// A refusal for values that would not be of it, or a table that no copy can be made of.
pub(super) fn retype(retype: &Retype<'_>, context: &Context<'_>) -> Result<Planned, Refusal> {
    types::retypable(retype)?;
    if let Some(unconvertible) = types::unconvertible(retype) {
        unconvertible.refuse(context)?;
    }
    let this = crate::operation::Operation::Retype(retype.clone());
    if super::cleanup::together(&this, context).len() > 1 {
        return Err(Refusal::NotYet {
            what: format!("another type of `{}` beside other changes of its table", retype.column.name),
            instead: "Do it in a migration of its own.".to_owned(),
        });
    }
    let (table, column) = (retype.table, &retype.column.name);
    let text = table.sql.as_deref().unwrap_or_default();
    let to = edited::with_type(text, column, retype.to.as_str()).ok_or_else(|| unread(table))?;
    if types::is_same_storage(retype) {
        return Ok(renamed_type(retype, text, &to));
    }
    let becomes = Becomes {
        text: to,
        unique: vec![],
        retyped: Some(column.clone()),
        index: None,
        what: format!("`{column}` is {}", retype.to),
    };
    Twin::new(table, becomes, context).map(|twin| twin.planned())
}

/// SQLite stores the same values under both names of the type.
fn renamed_type(retype: &Retype<'_>, from: &str, to: &str) -> Planned {
    let (table, column) = (retype.table, &retype.column.name);
    let own = table.name.name.as_str();
    let signal = Ident::of_ours("segue_sig_", own, &tag_of(&[own, column.as_str()]), BYTES_MAX);
    let back = edited::set_text(&table.name, to, from, &signal);
    let step = Work {
        phase: Phase::Expand,
        title: format!("`{}.{column}` is declared as {}: SQLite stores the same values", table.name.name, retype.to),
        action: Action::Sql(edited::set_text(&table.name, from, to, &signal)),
        facts: &["schema.text"],
        table: &table.name,
        undo: Undo::Lossless(vec![undo_step(&table.name, &["schema.text"], back)]),
    }
    .step();
    let flip = "nothing changes in the database".to_owned();
    Planned { steps: vec![step], notes: vec![], flip, loses: None }
}

fn becomes(native: &Native<'_>, table: &Table, context: &Context<'_>) -> Result<Becomes, Refusal> {
    let text = table.sql.as_deref().unwrap_or_default();
    let plain = |text: Option<String>, what: String| {
        let text = text.ok_or_else(|| unread(table))?;
        Ok(Becomes { text, unique: vec![], retyped: None, index: None, what })
    };
    match native.change {
        Change::Column(ColumnChange { column, what: ColumnProperty::SetDefault(value), .. }) => {
            let column = the_column(table, column, context)?;
            settable(table, column, value)?;
            let value = value.source.trim();
            let written = edited::with_default(text, &column.name, Some(&default(value)));
            plain(written, format!("`{}` has the default {value}", column.name))
        }
        Change::Column(ColumnChange { column, what: ColumnProperty::DropDefault, .. }) => {
            let column = the_column(table, column, context)?;
            plain(edited::with_default(text, &column.name, None), format!("`{}` has no default", column.name))
        }
        Change::Constraint(ConstraintChange { what: ConstraintAction::Add(new), .. }) => {
            let unique = unique(table, new, context)?;
            let written = edited::with_constraint(text, &clause(new)).ok_or_else(|| unread(table))?;
            let what = format!("it has {}", new.definition.as_str());
            Ok(Becomes { text: written, unique, retyped: None, index: None, what })
        }
        Change::Constraint(ConstraintChange { what: ConstraintAction::Drop { name, .. }, .. }) => {
            let found = edited::named(text, name).ok_or_else(|| unread(table))?;
            needed_by_nobody(table, name)?;
            plain(Some(found.without), format!("it has no constraint `{name}`"))
        }
        Change::CreateIndex { index: Some(index), .. } => {
            let read = new_index_text(&native.statement.text).ok_or_else(|| later(native))?;
            let mut becomes: Becomes = plain(Some(text.to_owned()), format!("it has the index `{index}`"))?;
            if read.unique {
                return Err(Refusal::NotYet {
                    what: format!(
                        "a UNIQUE index on `{}`, which has more rows than are written at once",
                        table.name.name
                    ),
                    instead: "Say ALTER TABLE … ADD CONSTRAINT … UNIQUE instead.".to_owned(),
                });
            }
            becomes.index = Some((index.clone(), read.stored()));
            Ok(becomes)
        }
        _ => Err(later(native)),
    }
}

/// A literal stands as it is; whatever is more needs brackets.
fn default(value: &str) -> String {
    let bare = value.trim_start_matches(['+', '-']);
    let quoted = bare.starts_with('\'') && bare.ends_with('\'') && !bare.contains(' ');
    let word = !bare.is_empty() && bare.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_'));
    let bracketed = value.starts_with('(') && value.ends_with(')');
    if quoted || word || bracketed { value.to_owned() } else { ["(", value, ")"].concat() }
}

fn settable(table: &Table, column: &Column, value: &Expr) -> Result<(), Refusal> {
    let impossible = |why: &str| Refusal::Impossible {
        what: format!("a default of `{}.{}`", table.name.name, column.name),
        why: why.to_owned(),
        instead: "Leave it out.".to_owned(),
    };
    if column.generated.is_some() {
        return Err(impossible("the column is generated"));
    }
    if !value.columns().is_empty() {
        return Err(impossible("a default cannot read other columns"));
    }
    Ok(())
}

fn unique(table: &Table, new: &NewConstraint, context: &Context<'_>) -> Result<Vec<Ident>, Refusal> {
    let mut columns = vec![];
    for name in &new.columns {
        columns.push(the_column(table, name, context)?);
    }
    if new.kind == Some(ConstraintKind::PrimaryKey) {
        let refused = |why: &str, instead: &str| Refusal::Impossible {
            what: format!("a primary key of `{}`", table.name.name),
            why: why.to_owned(),
            instead: instead.to_owned(),
        };
        if !table.primary_key().is_empty() {
            return Err(refused("it has one already", "Drop that first, in a migration of its own."));
        }
        if let [only] = columns.as_slice()
            && only.type_name.as_str().eq_ignore_ascii_case("INTEGER")
        {
            return Err(refused(
                "the column would be another name of the rowid, which would change in every row",
                "Add it as UNIQUE, or create a new table and move the rows.",
            ));
        }
    }
    Ok(columns.into_iter().map(|column| column.name.clone()).collect())
}

fn needed_by_nobody(table: &Table, name: &Ident) -> Result<(), Refusal> {
    let refused = |why: String| Refusal::Impossible {
        what: format!("DROP CONSTRAINT `{name}`"),
        why,
        instead: "Change that first.".to_owned(),
    };
    let found = table.sql.as_deref().and_then(|text| edited::named(text, name));
    let primary = found.is_some_and(|found| found.kind == Some(ConstraintKind::PrimaryKey));
    let needs = |key: &&Constraint| primary || key.referenced_columns != table.primary_key();
    if let Some(key) = table.referenced_by.iter().find(needs) {
        return Err(refused(format!("a foreign key of `{}` may find its rows by it", key.table.name)));
    }
    let integer = |column: &&Column| column.type_name.as_str().eq_ignore_ascii_case("INTEGER");
    let rowid = match table.primary_key() {
        [only] => table.columns.iter().filter(integer).any(|column| column.name == *only),
        _ => false,
    };
    let indexed = table.indexes.iter().any(|index| index.primary);
    if rowid && !indexed && primary {
        return Err(refused("the rowid of the table goes by that column's name".to_owned()));
    }
    Ok(())
}

fn duplicates<'a>(table: &'a Table, becomes: &Becomes) -> Option<Duplicates<'a>> {
    let columns: Vec<Sql> = becomes.unique.iter().map(|column| sql("{c}", &[("c", Hole::Name(column))])).collect();
    (!columns.is_empty()).then(|| Duplicates {
        table,
        key: format!("duplicates {} {}", table.name.name.as_str(), becomes.what),
        columns,
        predicate: None,
        what: format!("`{}`: {}", table.name.name, becomes.what),
    })
}

fn unread(table: &Table) -> Refusal {
    Refusal::Impossible {
        what: format!("a rebuild of `{}`", table.name.name),
        why: "its text in the schema is not understood".to_owned(),
        instead: "Rebuild the table by hand: lang_altertable, section 7, of SQLite's manual says how.".to_owned(),
    }
}

struct Twin<'a> {
    rebuild: Rebuild<'a>,
    becomes: Becomes,
    /// What follows the name in the text to be.
    rest: String,
    names: Names,
    miss: TableName,
}

impl<'a> Twin<'a> {
    fn new(table: &'a Table, becomes: Becomes, context: &Context<'_>) -> Result<Self, Refusal> {
        let rowid = obstacle::rowid(table)?;
        let first = table.columns.first().map_or(&table.name.name, |column| &column.name);
        let names = Names::new(table, first, context)?;
        let cannot = |why: String| {
            Refusal::Impossible {
            what: format!("a copy of `{}`, by which {}", table.name.name, becomes.what),
            why,
            instead: "Rebuild the table by hand while nobody writes: lang_altertable, section 7, of SQLite's manual says how."
                .to_owned(),
        }
        };
        if let Some(why) = not_wal(context) {
            return Err(cannot(why));
        }
        let wanted = Wanted {
            table,
            rowid,
            dropped: vec![],
            not_null: vec![],
            added: vec![],
            gone: vec![],
            sync: vec![],
            called: Called::TWIN,
        };
        let mut rebuild = Rebuild::new(wanted, &names, context).map_err(cannot)?;
        rebuild.retyped.clone_from(&becomes.retyped);
        let rest = becomes.text[rebuild.text.head.len()..].to_owned();
        let miss = names.table("segue_miss_");
        Ok(Self { rebuild, becomes, rest, names, miss })
    }

    fn planned(&self) -> Planned {
        let table = self.table();
        let mut steps = vec![self.create(), self.keep_right(), self.fill(), self.verify(), self.ready(), self.swap()];
        steps.push(drop_triggers(&table.name, &self.backward()));
        steps.extend(self.clear());
        let mut notes = vec![format!(
            "until cleanup every write to `{}` is made twice, and the file grows by about the size of the table",
            table.name.name
        )];
        if !self.becomes.unique.is_empty() {
            notes.push(
                "a write that the new key does not take succeeds until flip, which is refused while such a row is there"
                    .to_owned(),
            );
        }
        Planned {
            steps,
            notes,
            flip: format!("the copy takes the name of `{}` in one short transaction", table.name.name),
            loses: None,
        }
    }

    fn table(&self) -> &'a Table {
        self.rebuild.table
    }

    fn work(&self, phase: Phase, title: String, action: Action, facts: &'static [&'static str], undo: Undo) -> Step {
        Work { phase, title, action, facts, table: &self.table().name, undo }.step()
    }

    fn create(&self) -> Step {
        let rebuild = &self.rebuild;
        let mut all = vec![sql(
            "CREATE TABLE {copy}{rest}",
            &[("copy", Hole::Table(&rebuild.copy)), ("rest", Hole::Sql(&Sql::of_catalog(&self.rest)))],
        )];
        all.extend(rebuild.create_indexes());
        all.extend(self.becomes.index.as_ref().map(|(_, text)| {
            let read = new_index_text(text).map_or("", |read| read.rest);
            let (name, rest) = (self.index_name(), Sql::of_catalog(read));
            sql(
                "CREATE INDEX main.{index} ON {copy}{rest}",
                &[("index", Hole::Name(&name)), ("copy", Hole::Name(&rebuild.copy.name)), ("rest", Hole::Sql(&rest))],
            )
        }));
        all.push(sql("CREATE TABLE {miss} (segue_rowid INTEGER PRIMARY KEY)", &[("miss", Hole::Table(&self.miss))]));
        let mut undo = emptied_and_dropped(&rebuild.copy, &rebuild.rowid);
        let drop = sql("DROP TABLE IF EXISTS {miss}", &[("miss", Hole::Table(&self.miss))]);
        undo.push(undo_step(&self.table().name, &["tab.drop"], vec![drop]));
        let title =
            format!("create `{}`, empty: `{}`, but {}", rebuild.copy.name, self.table().name.name, self.becomes.what);
        self.work(Phase::Expand, title, Action::Sql(all), &["tab.create"], Undo::Lossless(undo))
    }

    fn index_name(&self) -> Ident {
        self.names.of("segue_ti_x_")
    }

    fn keep_right(&self) -> Step {
        let triggers = self.forward();
        let drop = undo_step(&self.table().name, &["trig.drop"], drops(&triggers));
        let title = format!("keep `{}` right from now on", self.rebuild.copy.name);
        let create = triggers.into_iter().map(|trigger| trigger.create).collect();
        self.work(Phase::Sync, title, Action::Sql(create), &["trig.create"], Undo::Lossless(vec![drop]))
    }

    fn forward(&self) -> Vec<Trigger> {
        self.triggers(&self.becomes.unique, None)
    }

    /// After the flip, what was the table goes by the name of the copy.
    fn backward(&self) -> Vec<Trigger> {
        self.triggers(&[], self.becomes.retyped.as_ref())
    }

    /// Each brings the rows of the rowids that it names to what the table has, whatever fired before it. What the other table
    /// does not take is said by conditions, not by `OR IGNORE` alone: inside a trigger the conflict clause of the
    /// application's own statement wins.
    fn triggers(&self, unique: &[Ident], kept: Option<&Ident>) -> Vec<Trigger> {
        let names = ["segue_ti_", "segue_tu_", "segue_td_"].map(|prefix| self.names.of(prefix));
        let (from, to) = (&self.table().name.name, &self.rebuild.copy.name);
        let events = [("INSERT", "NEW.{rowid}"), ("UPDATE", "OLD.{rowid}, NEW.{rowid}"), ("DELETE", "OLD.{rowid}")];
        let free = free(to, from, unique);
        let each = names.into_iter().zip(events).map(|(name, (event, rows))| {
            let rows = sql(rows, &[("rowid", Hole::Name(&self.rebuild.rowid))]);
            let replaced = if event == "DELETE" { vec![] } else { self.rebuild.replaced_in(from, to) };
            let change = match kept.filter(|_| event == "UPDATE") {
                Some(column) => self.keeping(column, (from, to), &replaced),
                None => sql(
                    include_str!("twin/change.sql").trim_end(),
                    &[
                        ("replaced", Hole::Join(&replaced, "")),
                        ("to", Hole::Name(to)),
                        ("from", Hole::Name(from)),
                        ("rowid", Hole::Name(&self.rebuild.rowid)),
                        ("rows", Hole::Sql(&rows)),
                        ("columns", self.rebuild.listed()),
                        ("free", Hole::Sql(&free)),
                    ],
                ),
            };
            let create = sql(
                include_str!("twin/trigger.sql").trim_end(),
                &[
                    ("trigger", Hole::Name(&name)),
                    ("event", Hole::Sql(&Sql::fixed(event))),
                    ("from", Hole::Name(from)),
                    ("to", Hole::Name(to)),
                    ("change", Hole::Sql(&change)),
                    ("miss", Hole::Name(&self.miss.name)),
                    ("rowid", Hole::Name(&self.rebuild.rowid)),
                    ("rows", Hole::Sql(&rows)),
                    ("columns", self.rebuild.listed()),
                    ("free", Hole::Sql(&free)),
                ],
            );
            Trigger { name, create }
        });
        each.collect()
    }

    /// The old value is kept to the bit while the new one that came of it is not changed.
    fn keeping(&self, kept: &Ident, (from, to): (&Ident, &Ident), replaced: &[Sql]) -> Sql {
        let value = |column: &Ident| {
            let template = if column == kept {
                "CASE WHEN OLD.{c} COLLATE BINARY IS {from}.{c} AND typeof(OLD.{c}) = typeof({from}.{c}) \
                 THEN {to}.{c} ELSE {from}.{c} END"
            } else {
                "{from}.{c}"
            };
            let holes = [("c", Hole::Name(column)), ("from", Hole::Name(from)), ("to", Hole::Name(to))];
            sql(template, &holes[..if column == kept { 3 } else { 2 }])
        };
        let values: Vec<Sql> = self.rebuild.columns.iter().map(value).collect();
        sql(
            include_str!("twin/keep.sql").trim_end(),
            &[
                ("replaced", Hole::Join(replaced, "")),
                ("to", Hole::Name(to)),
                ("from", Hole::Name(from)),
                ("rowid", Hole::Name(&self.rebuild.rowid)),
                ("columns", self.rebuild.listed()),
                ("values", Hole::Join(&values, ", ")),
            ],
        )
    }

    fn windows(&self, phase: Phase, title: String, of: Windows, undo: Undo) -> Step {
        let action = Action::Backfill(Backfill {
            cut: of.cut,
            before: vec![],
            fill: of.sql,
            fill_unlocked: None,
            failures: None,
            pace: None,
            lazy: false,
            once: false,
        });
        self.work(phase, title, action, &["dml.copy_window"], undo)
    }

    fn fill(&self) -> Step {
        let title = format!("copy the rows of `{}` to `{}`", self.table().name.name, self.rebuild.copy.name);
        self.windows(Phase::Backfill, title, self.rebuild.filling(), Undo::Nothing)
    }

    fn verify(&self) -> Step {
        let verify = Verify {
            conditions: there(&self.forward(), &self.backward()),
            compare: self.rebuild.comparing().filter(|_| self.becomes.retyped.is_none()),
            ..self.rebuild.verifying()
        };
        let title = format!("show that `{}` has every row of `{}`", self.rebuild.copy.name, self.table().name.name);
        self.work(Phase::Verify, title, Action::Verify(verify), &["read"], Undo::Nothing)
    }

    fn missing(&self) -> Sql {
        sql(
            "SELECT 'rowid ' || segue_rowid || ' is not in the other table' FROM {miss} LIMIT 10",
            &[("miss", Hole::Table(&self.miss))],
        )
    }

    fn ready(&self) -> Step {
        let triggers = self.forward();
        let mut conditions = there(&triggers, &triggers);
        conditions.push(Condition {
            sql: self.missing(),
            says: format!("no row of `{}` is missing in `{}`", self.table().name.name, self.rebuild.copy.name),
            hint: "The row was written since and does not fit what the table becomes: change or delete it.".to_owned(),
        });
        gate(&self.table().name, Phase::Flip, "no row is missing in the copy", conditions, None)
    }

    fn swap(&self) -> Step {
        let refuse = || {
            sql(
                "SELECT segue_fail('rowid ' || segue_rowid || ' is missing in the other table') FROM {miss} LIMIT 1",
                &[("miss", Hole::Table(&self.miss))],
            )
        };
        let name = &self.table().name;
        let mut there = vec![refuse()];
        there.extend(self.exchange(false).statements());
        let mut back = vec![refuse()];
        back.extend(self.exchange(true).statements());
        let lost = Condition {
            sql: self.missing(),
            says: "the old table takes every row".to_owned(),
            hint: "The row was written since and does not fit what the table was: change or delete it.".to_owned(),
        };
        let undo = segue_model::step::UndoStep {
            needed: Some(self.is_exchanged()),
            conditions: vec![lost],
            ..undo_step(name, &["tab.swap"], back)
        };
        let title = format!("`{}` becomes `{}`, and what it was is kept right", self.rebuild.copy.name, name.name);
        self.work(Phase::Flip, title, Action::Sql(there), &["tab.swap"], Undo::Lossless(vec![undo]))
    }

    /// Returns the question whether the copy has the table's name.
    fn is_exchanged(&self) -> Sql {
        let name = &self.table().name.name;
        match &self.becomes.index {
            Some((index, _)) => sql(
                "SELECT count(*) FROM main.sqlite_schema WHERE type = 'index' AND name = {index} AND tbl_name = {table}",
                &[("index", Hole::Text(index.as_str())), ("table", Hole::Text(name.as_str()))],
            ),
            None => sql(
                "SELECT count(*) FROM main.sqlite_schema WHERE type = 'table' AND name = {table} AND sql = {text}",
                &[("table", Hole::Text(name.as_str())), ("text", Hole::Text(&self.becomes.text))],
            ),
        }
    }

    /// Returns the exchange at flip, or the one that takes it back.
    fn exchange(&self, back: bool) -> Exchange<'_> {
        let Rebuild { copy, old, text, .. } = &self.rebuild;
        let own = [text.head.as_str(), text.rest.as_str()].concat();
        let (stays, goes) = if back { (own, &self.rest) } else { (self.becomes.text.clone(), &text.rest) };
        let head = sql("CREATE TABLE {copy}", &[("copy", Hole::Name(&copy.name))]);
        let without = text.foreign_keys.iter().fold(goes.clone(), |text, clause| text.replace(clause, ""));
        // Going back, the copy keeps its foreign keys: it is right again from then on.
        let text_going = [head.as_str(), if back { goes.as_str() } else { without.as_str() }].concat();
        let (ends, begins) = if back { (self.backward(), self.forward()) } else { (self.forward(), self.backward()) };
        Exchange {
            name: &self.table().name,
            other: copy,
            meanwhile: old,
            text: stays,
            text_going,
            indexes: self.moved(back),
            users: self.table().triggers.iter().map(|one| (one.name.clone(), one.definition.clone())).collect(),
            ends,
            begins,
            counts: text.autoincrement,
        }
    }

    fn moved(&self, back: bool) -> Vec<Moved> {
        let copy = &self.rebuild.copy;
        let mut all = vec![];
        for index in &self.rebuild.indexes {
            let (own, ours) = (&index.index.name, &index.copy);
            let away = index.stored(ours, copy);
            all.push(Moved { from: own.clone(), to: ours.clone(), text: away, goes: true });
            let text = index.index.definition.clone();
            all.push(Moved { from: ours.clone(), to: own.clone(), text, goes: false });
        }
        if let Some((name, text)) = &self.becomes.index {
            let ours = self.index_name();
            all.push(if back {
                let rest = new_index_text(text).map_or("", |read| read.rest);
                let text = sql(
                    "CREATE INDEX {index} ON {copy}{rest}",
                    &[
                        ("index", Hole::Name(&ours)),
                        ("copy", Hole::Name(&copy.name)),
                        ("rest", Hole::Sql(&Sql::of_catalog(rest))),
                    ],
                );
                Moved { from: name.clone(), to: ours, text: text.as_str().to_owned(), goes: true }
            } else {
                Moved { from: ours, to: name.clone(), text: text.clone(), goes: false }
            });
        }
        all
    }

    fn clear(&self) -> Vec<Step> {
        let Rebuild { copy: old, rowid, .. } = &self.rebuild;
        let drop = |table: &TableName| sql("DROP TABLE IF EXISTS {table}", &[("table", Hole::Table(table))]);
        let title = format!("empty `{}`", old.name);
        vec![
            self.windows(Phase::Cleanup, title, emptying(old, rowid), Undo::Impossible),
            self.work(
                Phase::Cleanup,
                format!("drop `{}`, which is empty", old.name),
                Action::Sql(vec![drop(old), drop(&self.miss)]),
                &["tab.drop"],
                Undo::Impossible,
            ),
        ]
    }
}

/// Returns the condition that no other row of `to` has the key of a row of `from`.
fn free(to: &Ident, from: &Ident, unique: &[Ident]) -> Sql {
    if unique.is_empty() {
        return Sql::fixed("");
    }
    let pair =
        |column: &Ident| sql("segue_other.{c} = {from}.{c}", &[("c", Hole::Name(column)), ("from", Hole::Name(from))]);
    let same: Vec<Sql> = unique.iter().map(pair).collect();
    sql(
        "\n      AND NOT EXISTS (SELECT 1 FROM {to} AS segue_other WHERE {same})",
        &[("to", Hole::Name(to)), ("same", Hole::Join(&same, " AND "))],
    )
}
