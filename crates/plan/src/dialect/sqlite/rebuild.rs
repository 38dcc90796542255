//! One online rebuild that leaves out all columns a cleanup drops: a copy that triggers keep right, filled by windows, and
//! a swap of names.
//!
//! `ALTER TABLE … DROP COLUMN` writes the whole table again under the one write lock, once a column. Here no transaction
//! holds it longer than a window takes.

use segue_model::catalog::{Index, Table};
use segue_model::ident::{Ident, TableName, tag_of};
use segue_model::sql::{Hole, Sql};
use segue_model::step::{Action, Backfill, Condition, Cut, Phase, Step, Undo, UndoStep, Verify};

use super::backfill::cut_of;
use super::definition::{IndexText, TableText, index_text, table_text};
use super::names::Names;
use super::sync::{Trigger, drops, there};
use super::work::{Work, undo_step};
use super::{Sqlite, sql, swap};

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
}

impl<'a> Rebuild<'a> {
    /// Returns the rebuild.
    ///
    /// # Errors
    /// Why this table cannot be rebuilt online, as the end of a sentence.
    pub(super) fn new(wanted: Wanted<'a>, names: &Names, migration: &str) -> Result<Self, String> {
        let Wanted { table, rowid, dropped, not_null, added, gone, sync } = wanted;
        let own = table.columns.iter().filter(|column| column.generated.is_none() && !gone.contains(&column.name));
        let columns = own.map(|column| column.name.clone()).chain(added).collect();
        let created = |index: &&Index| !index.definition.is_empty();
        let indexes = table.indexes.iter().filter(created).map(|index| copied(index, table, migration));
        Ok(Self {
            dropped,
            not_null,
            columns,
            sync,
            copy: names.table("segue_new_"),
            old: names.table("segue_old_"),
            triggers: ["segue_ci_", "segue_cu_", "segue_cd_"].map(|prefix| names.of(prefix)),
            text: table_text(table)?,
            indexes: indexes.collect::<Result<_, _>>()?,
            unique: unique_keys(table)?,
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
        let copy = ("copy", Hole::Table(&self.copy));
        let rest = Sql::of_catalog(&self.text.rest);
        // Asked here too: what the swap would refuse is better known before every row is copied.
        let mut all = vec![
            super::swap::no_other_index(self),
            sql("CREATE TABLE {copy}{rest}", &[copy, ("rest", Hole::Sql(&rest))]),
        ];
        all.extend(self.take_over_text());
        all.extend(self.not_null.iter().map(|column| super::contract::not_null(&self.copy, column)));
        all.extend(self.dropped.iter().map(|column| super::native::drop_column(&self.copy, column)));
        all.extend(self.indexes.iter().map(|index| index.create(&self.copy)));
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

    /// Each index goes in a transaction of its own: what is dropped gives its pages back under the write lock, and other
    /// writers have a turn in between.
    fn drop_copy(&self) -> Vec<UndoStep> {
        let one = |drop| undo_step(&self.copy, &["tab.drop"], vec![drop]);
        let indexes = self
            .indexes
            .iter()
            .map(|index| one(sql("DROP INDEX IF EXISTS main.{index}", &[("index", Hole::Name(&index.copy))])));
        let table = one(sql("DROP TABLE IF EXISTS {copy}", &[("copy", Hole::Table(&self.copy))]));
        indexes.chain([table]).collect()
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
        let each = self.unique.iter().map(|keys| {
            sql(
                include_str!("rebuild/replaced.sql").trim_end_matches('\n'),
                &[
                    ("copy", Hole::Name(&self.copy.name)),
                    ("keys", Hole::Sql(keys)),
                    ("table", Hole::Name(&self.name().name)),
                    ("rowid", Hole::Name(&self.rowid)),
                ],
            )
        });
        each.collect()
    }

    /// A row that somebody deletes meanwhile cannot come back: the window reads the rows as they are and writes them in one
    /// transaction that nobody writes beside.
    fn fill(&self) -> Step {
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
        self.by_windows(
            format!("copy the rows of `{}` to `{}`", self.name().name, self.copy.name),
            cut_of(self.name(), &self.rowid),
            fill,
            Undo::Nothing,
        )
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
        });
        Work { phase: Phase::Cleanup, title, action, facts: &["dml.copy_window"], table: self.name(), undo }.step()
    }

    /// A row that only the copy has was written there by hand: it is named, and no repair removes it, which would have to
    /// look at the whole copy under the write lock.
    fn verify(&self) -> Step {
        let window = self.window();
        let repair = self.of_both(
            "INSERT OR REPLACE INTO {copy} ({rowid}, {columns}) \
             SELECT {rowid}, {columns} FROM {table} WHERE {window}",
            vec![("columns", self.listed()), ("window", Hole::Sql(&window))],
        );
        let differ = self.differ();
        Work {
            phase: Phase::Cleanup,
            title: format!("show that `{}` has every row of `{}` to the bit", self.copy.name, self.name().name),
            action: Action::Verify(Verify {
                cut: cut_of(self.name(), &self.rowid),
                conditions: self.conditions(),
                compare: Some(self.of_both(
                    include_str!("rebuild/compare.sql").trim_end(),
                    vec![("columns", self.listed()), ("window", Hole::Sql(&window))],
                )),
                count: self.of_both(
                    include_str!("rebuild/count.sql").trim_end(),
                    vec![("differ", Hole::Sql(&differ)), ("window", Hole::Sql(&window))],
                ),
                sample: self.of_both(
                    include_str!("rebuild/sample.sql").trim_end(),
                    vec![("differ", Hole::Sql(&differ)), ("window", Hole::Sql(&window))],
                ),
                before_repair: vec![],
                repair_from_new: Some(repair.clone()),
                repair_from_old: repair,
            }),
            facts: &["read"],
            table: self.name(),
            undo: Undo::Nothing,
        }
        .step()
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
                sql(
                    "o.{c} COLLATE BINARY IS NOT n.{c} OR typeof(o.{c}) IS NOT typeof(n.{c})",
                    &[("c", Hole::Name(column))],
                )
            })
            .collect();
        sql("{each}", &[("each", Hole::Join(&each, " OR "))])
    }

    fn empty(&self) -> Step {
        let cut = cut_of(&self.old, &self.rowid);
        let delete = sql(
            "DELETE FROM {old} WHERE {window}",
            &[("old", Hole::Table(&self.old)), ("window", Hole::Sql(&self.window()))],
        );
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

    fn listed(&self) -> Hole<'_> {
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

impl CopiedIndex<'_> {
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

fn copied<'a>(index: &'a Index, table: &Table, migration: &str) -> Result<CopiedIndex<'a>, String> {
    let named = |prefix: &'static str| {
        let own = index.name.as_str();
        Ident::of_ours(prefix, own, &tag_of(&[migration, table.name.name.as_str(), own]), super::names::BYTES_MAX)
    };
    let text = index_text(index, table)?;
    Ok(CopiedIndex { index, text, copy: named("segue_nx_"), old: named("segue_ox_") })
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
