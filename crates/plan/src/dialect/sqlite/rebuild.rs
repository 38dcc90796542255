//! One online rebuild that leaves out all columns a cleanup drops: a copy that triggers keep right, filled by windows, and
//! a swap of names.
//!
//! `ALTER TABLE … DROP COLUMN` writes the whole table again under the one write lock, once a column. Here no transaction
//! holds it longer than a window takes.

use segue_model::catalog::{Index, Table};
use segue_model::ident::{Ident, TableName, tag_of};
use segue_model::sql::{Hole, Sql};
use segue_model::step::{Action, Backfill, Condition, Cut, Phase, Step, Undo, UndoStep, Verify, Windows};

use super::backfill::cut_of;
use super::definition::{IndexText, TableText, index_text, table_text};
use super::names::Names;
use super::sync::{Trigger, drops, there};
use super::work::{Work, undo_step};
use super::{Sqlite, bystander, sql, swap};
use crate::operation::Context;

/// A table that is rebuilt without some of its columns.
pub(super) struct Rebuild<'a> {
    /// The table as it was inspected.
    pub(super) table: &'a Table,
    /// The spelling of rowid that no column hides.
    pub(super) rowid: Ident,
    /// The columns that go, as they are called at cleanup.
    pub(super) dropped: Vec<Ident>,
    /// The columns that are NOT NULL from the swap on, and for each write from the copy's triggers on.
    not_null: Vec<Ident>,
    /// The columns that stay and are stored by themselves, as they are called at cleanup.
    pub(super) columns: Vec<Ident>,
    /// Our triggers that end with the swap.
    pub(super) sync: Vec<Trigger>,
    /// The names of its objects.
    pub(super) copy: TableName,
    /// The table after the swap.
    pub(super) old: TableName,
    /// Its text.
    pub(super) text: TableText,
    /// Its indexes, without those of constraints.
    pub(super) indexes: Vec<CopiedIndex<'a>>,
    /// See [`bystander::named`].
    pub(super) named: Sql,
    /// The column that the copy stores as another type.
    pub(super) retyped: Option<Ident>,
    triggers: [Ident; 3],
    /// Each key in which rows are unique besides the rowid.
    unique: Vec<Sql>,
}

/// An index and its copy.
pub(super) struct CopiedIndex<'a> {
    /// As it was inspected.
    pub(super) index: &'a Index,
    /// Its text.
    pub(super) text: IndexText,
    /// The name of its copy until the swap.
    pub(super) copy: Ident,
    /// Its own name after the swap.
    pub(super) old: Ident,
}

/// What a rebuild is asked to do.
pub(super) struct Wanted<'a> {
    /// See [`Rebuild::table`].
    pub(super) table: &'a Table,
    /// See [`Rebuild::rowid`].
    pub(super) rowid: Ident,
    /// See [`Rebuild::dropped`].
    pub(super) dropped: Vec<Ident>,
    /// See [`Rebuild::not_null`].
    pub(super) not_null: Vec<Ident>,
    /// Columns that this migration adds and leaves.
    pub(super) added: Vec<Ident>,
    /// The columns of the table, as the catalog calls them, that go.
    pub(super) gone: Vec<Ident>,
    /// See [`Rebuild::sync`].
    pub(super) sync: Vec<Trigger>,
    /// How its objects are called.
    pub(super) called: Called,
}

/// How the objects of a rebuild begin, so that two rebuilds of one migration never take each other's for their own.
pub(super) struct Called {
    copy: &'static str,
    old: &'static str,
    triggers: [&'static str; 3],
    index: &'static str,
    old_index: &'static str,
}

impl Called {
    /// The rebuild of a cleanup.
    pub(super) const CLEANUP: Self = Self {
        copy: "segue_new_",
        old: "segue_old_",
        triggers: ["segue_ci_", "segue_cu_", "segue_cd_"],
        index: "segue_nx_",
        old_index: "segue_ox_",
    };

    /// The rebuild of a rollback.
    pub(super) const ROLLBACK: Self = Self {
        copy: "segue_back_",
        old: "segue_gone_",
        triggers: ["segue_bi_", "segue_bu_", "segue_bd_"],
        index: "segue_bx_",
        old_index: "segue_gx_",
    };

    /// The copy that exchanges names with the table.
    pub(super) const TWIN: Self = Self {
        copy: "segue_twin_",
        old: "segue_was_",
        triggers: ["segue_ti_", "segue_tu_", "segue_td_"],
        index: "segue_tx_",
        old_index: "segue_wx_",
    };

    /// Returns the names of an index's copy, and of the index itself after the swap.
    pub(super) fn indexes(&self, index: &Index, table: &Table, migration: &str) -> [Ident; 2] {
        let own = index.name.as_str();
        let tag = tag_of(&[migration, table.name.name.as_str(), own]);
        [self.index, self.old_index].map(|prefix| Ident::of_ours(prefix, own, &tag, super::names::BYTES_MAX))
    }

    /// Returns what the names of tables and triggers begin with.
    pub(super) fn prefixes(&self) -> [&'static str; 5] {
        let [insert, update, delete] = self.triggers;
        [self.copy, self.old, insert, update, delete]
    }
}

impl<'a> Rebuild<'a> {
    /// Returns the rebuild.
    ///
    /// # Errors
    /// Why this table cannot be rebuilt online, as the end of a sentence.
    pub(super) fn new(wanted: Wanted<'a>, names: &Names, context: &Context<'_>) -> Result<Self, String> {
        let migration = context.migration.id.as_str();
        let Wanted { table, rowid, dropped, not_null, added, gone, sync, called } = wanted;
        let own = table.columns.iter().filter(|column| column.generated.is_none() && !gone.contains(&column.name));
        let columns = own.map(|column| column.name.clone()).chain(added).collect();
        let created = |index: &&Index| !index.definition.is_empty();
        let indexes = table.indexes.iter().filter(created).map(|index| copied(index, table, migration, &called));
        Ok(Self {
            named: bystander::named(&table.name, &dropped, context.catalog),
            dropped,
            not_null,
            columns,
            sync,
            copy: names.table(called.copy),
            old: names.table(called.old),
            triggers: called.triggers.map(|prefix| names.of(prefix)),
            text: table_text(table)?,
            indexes: indexes.collect::<Result<_, _>>()?,
            unique: unique_keys(table)?,
            retyped: None,
            table,
            rowid,
        })
    }

    /// Returns the steps until the copy is shown to be right: each can be taken back.
    pub(super) fn prepare(&self) -> Vec<Step> {
        vec![self.create(), self.keep_right(), self.fill(), self.verify()]
    }

    /// Returns the steps from the swap on.
    pub(super) fn finish(&self) -> Vec<Step> {
        vec![swap::step(self), self.empty(), self.drop_old()]
    }

    /// Returns the table's name.
    pub(super) fn name(&self) -> &TableName {
        &self.table.name
    }

    /// The columns go and become NOT NULL while the copy is empty, so its text becomes, by SQLite's own hand, what the
    /// statements themselves would have left, and no row is read for it under the write lock.
    fn create(&self) -> Step {
        // Asked here too: what the swap would refuse is better known before every row is copied.
        let mut all = super::swap::nothing_in_the_way(self);
        all.push(self.create_copy());
        all.extend(self.take_over_text());
        all.extend(self.not_null.iter().map(|column| super::contract::not_null(&self.copy, column)));
        all.extend(self.dropped.iter().map(|column| super::native::drop_column(&self.copy, column)));
        all.extend(self.create_indexes());
        Work {
            phase: Phase::Cleanup,
            title: format!("create `{}`, empty: `{}` without {}", self.copy.name, self.name().name, self.dropped()),
            action: Action::Sql(all),
            facts: &["tab.create"],
            table: self.name(),
            undo: Undo::Lossless(self.drop_copy()),
        }
        .step()
    }

    /// Returns the statement that creates the copy with the text that the table was inspected with.
    pub(super) fn create_copy(&self) -> Sql {
        let rest = Sql::of_catalog(&self.text.rest);
        sql("CREATE TABLE {copy}{rest}", &[("copy", Hole::Table(&self.copy)), ("rest", Hole::Sql(&rest))])
    }

    /// Returns the statements that create the copies of the indexes.
    pub(super) fn create_indexes(&self) -> impl Iterator<Item = Sql> {
        self.indexes.iter().map(|index| index.create(&self.copy))
    }

    fn drop_copy(&self) -> Vec<UndoStep> {
        emptied_and_dropped(&self.copy, &self.rowid)
    }

    /// By now the table has more columns than when it was inspected; none of them made an index, so the copy can take its
    /// text over as it is.
    fn take_over_text(&self) -> [Sql; 4] {
        let head = Sql::of_catalog(&self.text.head);
        let copy_head = sql("CREATE TABLE {copy}", &[("copy", Hole::Name(&self.copy.name))]);
        let text = sql(
            include_str!("rebuild/text.sql").trim_end(),
            &[
                ("copy_head", Hole::Body(&copy_head)),
                ("head", Hole::Body(&head)),
                ("table", Hole::Text(self.name().name.as_str())),
                ("copy", Hole::Text(self.copy.name.as_str())),
            ],
        );
        let unread = sql(
            "SELECT segue_fail('the text of ' || {table} || ' is not the one that the plan was made for') \
             FROM main.sqlite_schema WHERE type = 'table' AND name = {copy} AND sql IS NULL",
            &[("table", Hole::Text(self.name().name.as_str())), ("copy", Hole::Text(self.copy.name.as_str()))],
        );
        let on = Sql::fixed("PRAGMA writable_schema = ON");
        [on, text, unread, Sql::fixed("PRAGMA writable_schema = RESET")]
    }

    fn keep_right(&self) -> Step {
        let triggers = self.triggers();
        let drop = undo_step(self.name(), &["trig.drop"], drops(&triggers));
        Work {
            phase: Phase::Cleanup,
            title: format!("keep `{}` right from now on", self.copy.name),
            action: Action::Sql(triggers.into_iter().map(|trigger| trigger.create).collect()),
            facts: &["trig.create"],
            table: self.name(),
            undo: Undo::Lossless(vec![drop]),
        }
        .step()
    }

    /// Returns the triggers that keep the copy right. Each brings the rows of the rowids that it names to what the table has,
    /// whatever fired before it.
    ///
    /// `REPLACE` removes rows without firing a trigger, so those that the copy still has under a key of the written row go
    /// first. That is said by statements, not by `OR REPLACE` alone: inside a trigger the conflict clause of the
    /// application's own statement wins.
    pub(super) fn triggers(&self) -> Vec<Trigger> {
        let templates = [
            include_str!("rebuild/insert.sql"),
            include_str!("rebuild/update.sql"),
            include_str!("rebuild/delete.sql"),
        ];
        let replaced = self.replaced();
        let each = self.triggers.iter().zip(templates).enumerate().map(|(at, (name, template))| {
            let mut holes = vec![
                ("trigger", Hole::Name(name)),
                ("table", Hole::Name(&self.name().name)),
                ("copy", Hole::Name(&self.copy.name)),
                ("rowid", Hole::Name(&self.rowid)),
                ("columns", self.listed()),
            ];
            if at < 2 {
                holes.push(("replaced", Hole::Join(&replaced, "")));
            }
            Trigger { name: name.clone(), create: sql(template.trim_end(), &holes) }
        });
        each.collect()
    }

    fn replaced(&self) -> Vec<Sql> {
        self.replaced_in(&self.name().name, &self.copy.name)
    }

    /// Returns what takes the rows away from `to` that a REPLACE has taken from `from`.
    pub(super) fn replaced_in(&self, from: &Ident, to: &Ident) -> Vec<Sql> {
        let each = self.unique.iter().map(|keys| {
            sql(
                include_str!("rebuild/replaced.sql").trim_end_matches('\n'),
                &[
                    ("copy", Hole::Name(to)),
                    ("keys", Hole::Sql(keys)),
                    ("table", Hole::Name(from)),
                    ("rowid", Hole::Name(&self.rowid)),
                ],
            )
        });
        each.collect()
    }

    /// A row that somebody deletes meanwhile cannot come back: the window reads the rows as they are and writes them in one
    /// transaction that nobody writes beside.
    fn fill(&self) -> Step {
        let title = format!("copy the rows of `{}` to `{}`", self.name().name, self.copy.name);
        let Windows { cut, sql: fill } = self.filling();
        self.by_windows(title, cut, fill, Undo::Nothing)
    }

    /// Returns the windows that fill the copy.
    pub(super) fn filling(&self) -> Windows {
        let fill = sql(
            include_str!("rebuild/copy.sql").trim_end(),
            &[
                ("copy", Hole::Table(&self.copy)),
                ("rowid", Hole::Name(&self.rowid)),
                ("columns", self.listed()),
                ("table", Hole::Table(self.name())),
                ("window", Hole::Sql(&self.window())),
            ],
        );
        Windows { cut: cut_of(self.name(), &self.rowid), sql: fill }
    }

    fn by_windows(&self, title: String, cut: Cut, fill: Sql, undo: Undo) -> Step {
        let action = Action::Backfill(Backfill {
            cut,
            before: vec![],
            fill,
            fill_unlocked: None,
            failures: None,
            pace: None,
            lazy: false,
            once: false,
        });
        Work { phase: Phase::Cleanup, title, action, facts: &["dml.copy_window"], table: self.name(), undo }.step()
    }

    /// A row that only the copy has was written there by hand: it is named, and no repair removes it, which would have to
    /// look at the whole copy under the write lock.
    fn verify(&self) -> Step {
        let verify = Verify { conditions: self.conditions(), compare: self.comparing(), ..self.verifying() };
        Work {
            phase: Phase::Cleanup,
            title: format!("show that `{}` has every row of `{}` to the bit", self.copy.name, self.name().name),
            action: Action::Verify(verify),
            facts: &["read"],
            table: self.name(),
            undo: Undo::Nothing,
        }
        .step()
    }

    /// Returns the comparison of two windows to the bit.
    pub(super) fn comparing(&self) -> Option<Sql> {
        let window = self.window();
        Some(self.of_both(
            include_str!("rebuild/compare.sql").trim_end(),
            vec![("columns", self.listed()), ("window", Hole::Sql(&window))],
        ))
    }

    /// Returns how the copy is shown to be right, without conditions and without the comparison to the bit.
    pub(super) fn verifying(&self) -> Verify {
        let window = self.window();
        let repair = self.of_both(
            "INSERT OR REPLACE INTO {copy} ({rowid}, {columns}) \
             SELECT {rowid}, {columns} FROM {table} WHERE {window}",
            vec![("columns", self.listed()), ("window", Hole::Sql(&window))],
        );
        let differ = self.differ();
        Verify {
            cut: cut_of(self.name(), &self.rowid),
            conditions: vec![],
            compare: None,
            count: self.of_both(
                include_str!("rebuild/count.sql").trim_end(),
                vec![("differ", Hole::Sql(&differ)), ("window", Hole::Sql(&window))],
            ),
            sample: self.sample(&window),
            before_repair: vec![],
            repair_from_new: Some(repair.clone()),
            repair_from_old: repair,
        }
    }

    /// Returns what names up to ten rows of a window of which the table and the copy differ.
    pub(super) fn sample(&self, window: &Sql) -> Sql {
        let differ = self.differ();
        self.of_both(
            include_str!("rebuild/sample.sql").trim_end(),
            vec![("differ", Hole::Sql(&differ)), ("window", Hole::Sql(window))],
        )
    }

    fn of_both<'s>(&'s self, template: &'static str, more: Vec<(&'static str, Hole<'s>)>) -> Sql {
        let mut holes = more;
        holes.push(("copy", Hole::Table(&self.copy)));
        holes.push(("rowid", Hole::Name(&self.rowid)));
        holes.push(("table", Hole::Table(self.name())));
        sql(template, &holes)
    }

    fn conditions(&self) -> Vec<Condition> {
        let triggers = self.triggers();
        let mut all = there(&triggers, &triggers);
        all.push(Condition {
            sql: self.of_both(include_str!("rebuild/outside.sql").trim_end(), vec![]),
            says: format!("`{}` has no row beyond those of `{}`", self.copy.name, self.name().name),
            hint: "Somebody has written to the copy: roll the cleanup back and start it again.".to_owned(),
        });
        all
    }

    fn differ(&self) -> Sql {
        let each: Vec<Sql> = self
            .columns
            .iter()
            .map(|column| {
                // Either follows from the other. The plus takes the affinity of one column away, so that only that of the other
                // is applied, as when the value was stored.
                let template = if self.retyped.as_ref() == Some(column) {
                    "NOT (n.{c} COLLATE BINARY IS +o.{c} OR o.{c} COLLATE BINARY IS +n.{c})"
                } else {
                    "o.{c} COLLATE BINARY IS NOT n.{c} OR typeof(o.{c}) IS NOT typeof(n.{c})"
                };
                sql(template, &[("c", Hole::Name(column))])
            })
            .collect();
        sql("{each}", &[("each", Hole::Join(&each, " OR "))])
    }

    fn empty(&self) -> Step {
        let Windows { cut, sql: delete } = emptying(&self.old, &self.rowid);
        self.by_windows(format!("empty `{}`", self.old.name), cut, delete, Undo::Impossible)
    }

    fn drop_old(&self) -> Step {
        Work {
            phase: Phase::Cleanup,
            title: format!("drop `{}`, which is empty", self.old.name),
            action: Action::Sql(vec![sql("DROP TABLE IF EXISTS {old}", &[("old", Hole::Table(&self.old))])]),
            facts: &["tab.drop"],
            table: self.name(),
            undo: Undo::Impossible,
        }
        .step()
    }

    /// Returns the columns that are copied.
    pub(super) fn listed(&self) -> Hole<'_> {
        Hole::Names(self.columns.iter().collect())
    }

    fn window(&self) -> Sql {
        super::mirror::window(&self.rowid)
    }

    /// Returns the columns that go, for a sentence.
    pub(super) fn dropped(&self) -> String {
        crate::figures::listed(&self.dropped)
    }
}

/// Returns the undo of a table of ours that may be as large as the application's: `DROP TABLE` gives back its pages, and those
/// of its indexes, under the write lock, so its rows go by windows first.
pub(super) fn emptied_and_dropped(table: &TableName, rowid: &Ident) -> Vec<UndoStep> {
    let is_there = super::way_back::is_there(table);
    let empty = UndoStep {
        needed: Some(sql("SELECT {there}", &[("there", Hole::Sql(&is_there))])),
        windows: Some(emptying(table, rowid)),
        ..undo_step(table, &["dml.copy_window"], vec![])
    };
    let drop = sql("DROP TABLE IF EXISTS {table}", &[("table", Hole::Table(table))]);
    vec![empty, undo_step(table, &["tab.drop"], vec![drop])]
}

/// Returns the windows that empty a table.
pub(super) fn emptying(table: &TableName, rowid: &Ident) -> Windows {
    let window = super::mirror::window(rowid);
    let delete =
        sql("DELETE FROM {table} WHERE {window}", &[("table", Hole::Table(table)), ("window", Hole::Sql(&window))]);
    Windows { cut: cut_of(table, rowid), sql: delete }
}

impl CopiedIndex<'_> {
    /// Returns its text under another name on another table.
    pub(super) fn stored(&self, name: &Ident, table: &TableName) -> String {
        let template = if self.text.unique {
            "CREATE UNIQUE INDEX {index} ON {table}{rest}"
        } else {
            "CREATE INDEX {index} ON {table}{rest}"
        };
        let rest = Sql::of_catalog(&self.text.rest);
        let holes = [("index", Hole::Name(name)), ("table", Hole::Name(&table.name)), ("rest", Hole::Sql(&rest))];
        sql(template, &holes).as_str().to_owned()
    }

    fn create(&self, copy: &TableName) -> Sql {
        let template = if self.text.unique {
            "CREATE UNIQUE INDEX main.{index} ON {copy}{rest}"
        } else {
            "CREATE INDEX main.{index} ON {copy}{rest}"
        };
        let rest = Sql::of_catalog(&self.text.rest);
        sql(
            template,
            &[("index", Hole::Name(&self.copy)), ("copy", Hole::Name(&copy.name)), ("rest", Hole::Sql(&rest))],
        )
    }
}

fn copied<'a>(index: &'a Index, table: &Table, migration: &str, called: &Called) -> Result<CopiedIndex<'a>, String> {
    let [copy, old] = called.indexes(index, table, migration);
    let text = index_text(index, table)?;
    Ok(CopiedIndex { index, text, copy, old })
}

/// Returns each key in which the rows of a table are unique, as a list of expressions.
fn unique_keys(table: &Table) -> Result<Vec<Sql>, String> {
    let keys = table.indexes.iter().filter(|index| index.unique).map(|index| {
        if !index.definition.is_empty() {
            return Ok(Sql::of_catalog(&index_text(index, table)?.keys.join(", ")));
        }
        let columns: Option<Vec<&Ident>> =
            index.keys.iter().map(|key| key.column.as_ref().filter(|_| key.default_class)).collect();
        let columns = columns.ok_or("a UNIQUE constraint compares by another collation than its column")?;
        Ok(Sql::fill(&Sqlite, "{columns}", &[("columns", Hole::Names(columns))]))
    });
    keys.collect()
}
