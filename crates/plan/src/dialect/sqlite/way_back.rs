//! How the columns that a file adds to a table go again when it is rolled back: all of them together.
//!
//! `ALTER TABLE … DROP COLUMN` writes the whole table again under the one write lock, once a column. In WAL mode the table is
//! instead rebuilt online as it was before the file, as at cleanup. Where somebody has changed the table meanwhile, so that
//! its text is not known, the columns are dropped one by one after all: what somebody added must stay.

use segue_model::catalog::{Catalog, Table};
use segue_model::change::NewColumn;
use segue_model::ident::{Ident, TableName};
use segue_model::sql::{Hole, Sql};
use segue_model::step::{Condition, UndoStep};

use super::cleanup::{added, is_same, not_wal, stall, together};
use super::definition::added_text;
use super::names::Names;
use super::native::{drop_column, mirror_of};
use super::rebuild::{Called, Rebuild, Wanted, emptied_and_dropped};
use super::sync::{Trigger, there};
use super::work::undo_step;
use super::{bystander, obstacle, sql, swap};
use crate::figures::listed;
use crate::operation::{AsWritten, AsWrittenKind, Context, Operation};
use crate::refusal::Refusal;

/// What the undo of an operation's columns has to do.
pub(super) enum Role<'a> {
    /// The first operation that fills columns of the table: its undo takes away all that the file adds.
    Carries(WayBack<'a>),
    /// A later one: nothing is left for it to do.
    Carried,
    /// One before the first, or one without it: it drops its own, where they are still there.
    Alone(&'a Catalog),
}

impl Role<'_> {
    /// Returns the undo of the operation's first step; `own` are its columns.
    pub(super) fn undo(&self, table: &TableName, own: &[&NewColumn]) -> Vec<UndoStep> {
        match self {
            Self::Carries(way) => way.undo(),
            Self::Carried => vec![],
            Self::Alone(catalog) => {
                let own: Vec<Ident> = own.iter().map(|column| column.name.clone()).collect();
                let named = bystander::named(table, &own, catalog);
                own.iter().map(|column| drop_one(table, column, &named)).collect()
            }
        }
    }

    /// Returns what the user should know of it: which way, and why.
    pub(super) fn note(&self) -> Option<String> {
        match self {
            Self::Carries(way) => Some(way.note()),
            Self::Carried | Self::Alone(_) => None,
        }
    }
}

/// Returns the part that an operation has in the way back of its table.
///
/// # Errors
/// [`Refusal`] when a name of ours is in use, or the table has no rowid.
pub(super) fn role<'a>(operation: &Operation<'a>, context: &Context<'a>) -> Result<Role<'a>, Refusal> {
    let all = together(operation, context);
    let (Some(table), Some(first)) = (operation.table(), all.iter().position(Operation::moves_rows)) else {
        return Ok(Role::Alone(context.catalog));
    };
    match all.iter().position(|other| is_same(other, operation)) {
        Some(at) if at == first => Ok(Role::Carries(WayBack::new(table, &all, first, context)?)),
        Some(at) if at > first => Ok(Role::Carried),
        Some(_) | None => Ok(Role::Alone(context.catalog)),
    }
}

/// How all columns that a file adds to a table go again.
pub(super) struct WayBack<'a> {
    table: &'a Table,
    added: Vec<Added>,
    /// See [`bystander::named`].
    named: Sql,
    way: Way<'a>,
}

enum Way<'a> {
    /// A copy without them, and a swap.
    Online(Box<Rebuild<'a>>),
    /// `DROP COLUMN`, one transaction each, and why not otherwise.
    OneByOne(String),
}

/// A column that the file adds.
struct Added {
    name: Ident,
    /// As it stands in the table's text then, where that is known.
    text: Option<String>,
}

impl<'a> WayBack<'a> {
    fn new(table: &'a Table, all: &[Operation<'a>], first: usize, context: &Context<'a>) -> Result<Self, Refusal> {
        let columns: Vec<Vec<Added>> = all.iter().map(|one| columns(one, context)).collect::<Result<_, _>>()?;
        let columns: Vec<Added> = columns.into_iter().flatten().collect();
        let named = added(&all[first]);
        let way = match named.first() {
            Some(column) => way(table, &columns, &Names::new(table, column, context)?, context)?,
            None => Way::OneByOne("there is nothing to drop".to_owned()),
        };
        let every: Vec<Ident> = columns.iter().map(|column| column.name.clone()).collect();
        let named = bystander::named(&table.name, &every, context.catalog);
        Ok(Self { table, added: columns, named, way })
    }

    fn undo(&self) -> Vec<UndoStep> {
        let mut all = match &self.way {
            Way::Online(rebuild) => self.online(rebuild),
            Way::OneByOne(_) => vec![],
        };
        all.extend(self.added.iter().rev().map(|column| drop_one(&self.table.name, &column.name, &self.named)));
        all
    }

    /// Until the swap, the table is as it was; from then on, nothing but what nobody uses is left to go.
    fn online(&self, rebuild: &Rebuild<'a>) -> Vec<UndoStep> {
        let mut all = vec![self.copy(rebuild), self.swap(rebuild)];
        all.extend(emptied_and_dropped(&rebuild.old, &rebuild.rowid));
        all
    }

    fn copy(&self, rebuild: &Rebuild<'a>) -> UndoStep {
        let mut create = vec![rebuild.create_copy()];
        create.extend(rebuild.create_indexes());
        create.extend(rebuild.triggers().into_iter().map(|trigger| trigger.create));
        let each: Vec<Sql> = self.added.iter().map(|column| has_column(&self.table.name, &column.name)).collect();
        let needed = sql(
            "SELECT {there} OR (({added}) AND {as_planned})",
            &[
                ("there", Hole::Sql(&is_there(&rebuild.copy))),
                ("added", Hole::Join(&each, " OR ")),
                ("as_planned", Hole::Sql(&self.as_planned(rebuild, &[]))),
            ],
        );
        UndoStep {
            needed: Some(needed),
            windows: Some(rebuild.filling()),
            ..undo_step(&self.table.name, &["tab.create"], create)
        }
    }

    /// The copy is compared with the table to the bit before the old one is given up; the triggers keep it so until then.
    fn swap(&self, rebuild: &Rebuild<'a>) -> UndoStep {
        let triggers = rebuild.triggers();
        let changed = format!(
            "`{}` was changed by somebody during its rollback: take that back, and roll back again",
            self.table.name.name
        );
        // It is named, which the comparison as a whole could not.
        let mut statements = vec![bystander::fail(&rebuild.named, &rebuild.dropped)];
        statements.push(sql(
            "SELECT segue_fail({changed}) WHERE NOT ({as_planned})",
            &[("changed", Hole::Text(&changed)), ("as_planned", Hole::Sql(&self.as_planned(rebuild, &triggers)))],
        ));
        statements.extend(swap::statements(rebuild));
        let every = sql("{rowid} IS NOT NULL", &[("rowid", Hole::Name(&rebuild.rowid))]);
        let there: Vec<Sql> = there(&triggers, &triggers).into_iter().map(|condition| condition.sql).collect();
        let wrong = sql(
            "SELECT says FROM ({rows}) UNION ALL {triggers}",
            &[("rows", Hole::Sql(&rebuild.sample(&every))), ("triggers", Hole::Join(&there, " UNION ALL "))],
        );
        let right = Condition {
            sql: wrong,
            says: format!("`{}` has every row of `{}` to the bit", rebuild.copy.name, self.table.name.name),
            hint: hint(rebuild, &triggers),
        };
        UndoStep {
            needed: Some(sql("SELECT {there}", &[("there", Hole::Sql(&is_there(&rebuild.copy)))])),
            conditions: vec![right],
            ..undo_step(&self.table.name, &["tab.swap"], statements)
        }
    }

    /// Returns the condition that nobody but this migration has changed the table since it was inspected, or made something
    /// that names what goes. SQLite puts a name in quotes when a column is renamed there and back, so quotes do not count.
    fn as_planned(&self, rebuild: &Rebuild<'a>, ours: &[Trigger]) -> Sql {
        let texts = self.added.iter().filter_map(|column| column.text.as_deref());
        let text = texts.fold(Sql::fixed("sql"), |text, added| {
            let added = format!(", {added}");
            sql("replace({text}, {added}, '')", &[("text", Hole::Sql(&text)), ("added", Hole::Text(&added))])
        });
        let indexes = rebuild.indexes.iter().map(|index| (&index.index.name, index.index.definition.as_str()));
        let triggers = self.table.triggers.iter().map(|trigger| (&trigger.name, trigger.definition.as_str()));
        let ours = ours.iter().map(|trigger| (&trigger.name, trigger.create.as_str()));
        let known: Vec<Sql> =
            indexes.chain(triggers).chain(ours).map(|(name, text)| bystander::as_inspected(name, text)).collect();
        let count = Hole::Int(i64::try_from(known.len()).unwrap_or(i64::MAX));
        let known = bystander::listed_rows(known.into_iter());
        let inspected = [rebuild.text.head.as_str(), rebuild.text.rest.as_str()].concat().replace('"', "");
        sql(
            include_str!("rebuild/as_planned.sql").trim_end(),
            &[
                ("table", Hole::Text(self.table.name.name.as_str())),
                ("text", Hole::Sql(&text)),
                ("inspected", Hole::Text(&inspected)),
                ("known", Hole::Join(&known, ", ")),
                ("count", count),
                ("named", Hole::Sql(&rebuild.named)),
            ],
        )
    }

    fn note(&self) -> String {
        let table = &self.table.name.name;
        let stall = stall(self.table.size.bytes);
        match &self.way {
            Way::Online(_) => format!(
                "a rollback takes the new columns of `{table}` away by one online rebuild, as cleanup does the old ones; should \
                 somebody else have changed `{table}` by then, they are dropped one by one, and writers wait while it is \
                 written again: {stall} each"
            ),
            Way::OneByOne(why) => format!(
                "a rollback drops the new columns of `{table}` one by one; each writes the whole table again while writers wait: \
                 {stall} each. It cannot be rebuilt online: {why}"
            ),
        }
    }
}

/// Returns the columns that an operation adds, with those that only we use.
fn columns<'a>(operation: &Operation<'a>, context: &Context<'a>) -> Result<Vec<Added>, Refusal> {
    let ours = |column: &NewColumn| {
        let text = sql("{name} {type}", &[("name", Hole::Name(&column.name)), ("type", Hole::Type(&column.type_name))]);
        Added { name: column.name.clone(), text: Some(text.as_str().to_owned()) }
    };
    Ok(match operation {
        Operation::AsWritten(AsWritten { what: AsWrittenKind::AddColumns { columns, .. }, statement, .. }) => {
            let text = added_text(&statement.text).map(str::to_owned);
            columns.iter().map(|column| Added { name: column.name.clone(), text: text.clone() }).collect()
        }
        Operation::Fill(fill) => vec![ours(fill.column)],
        Operation::Pair(pair) => {
            let (mirror, _) = mirror_of(pair, obstacle::rowid(pair.table)?, context)?;
            let marker = mirror
                .marker
                .map(|marker| Added { text: Some(marker_column(&marker).as_str().to_owned()), name: marker });
            pair.new.iter().map(|new| ours(new.column)).chain(marker).collect()
        }
        Operation::AsWritten(_) | Operation::Retype(_) | Operation::Rows(_) | Operation::Native(_) => vec![],
    })
}

/// Returns the marker column as it is added.
pub(super) fn marker_column(marker: &Ident) -> Sql {
    sql("{marker} INTEGER NOT NULL DEFAULT 0", &[("marker", Hole::Name(marker))])
}

fn way<'a>(table: &'a Table, columns: &[Added], names: &Names, context: &Context<'_>) -> Result<Way<'a>, Refusal> {
    if let Some(why) = not_wal(context) {
        return Ok(Way::OneByOne(why));
    }
    let wanted = Wanted {
        table,
        rowid: obstacle::rowid(table)?,
        dropped: columns.iter().map(|column| column.name.clone()).collect(),
        not_null: vec![],
        added: vec![],
        gone: vec![],
        sync: vec![],
        called: Called::ROLLBACK,
    };
    Ok(match Rebuild::new(wanted, names, context) {
        Ok(rebuild) => Way::Online(Box::new(rebuild)),
        Err(why) => Way::OneByOne(why),
    })
}

/// Returns the transaction that drops a column where it is still there.
fn drop_one(table: &TableName, column: &Ident, named: &Sql) -> UndoStep {
    let needed = sql("SELECT {there}", &[("there", Hole::Sql(&has_column(table, column)))]);
    let all = vec![bystander::fail(named, std::slice::from_ref(column)), drop_column(table, column)];
    UndoStep { needed: Some(needed), ..undo_step(table, &["dropcol.plain"], all) }
}

fn has_column(table: &TableName, column: &Ident) -> Sql {
    sql(
        "EXISTS (SELECT 1 FROM pragma_table_xinfo({table}, 'main') WHERE name = {column} COLLATE NOCASE)",
        &[("table", Hole::Text(table.name.as_str())), ("column", Hole::Text(column.as_str()))],
    )
}

/// Returns the condition that a table is there.
pub(super) fn is_there(table: &TableName) -> Sql {
    sql(
        "EXISTS (SELECT 1 FROM main.sqlite_schema WHERE type = 'table' AND name = {table})",
        &[("table", Hole::Text(table.name.as_str()))],
    )
}

fn hint(rebuild: &Rebuild<'_>, triggers: &[Trigger]) -> String {
    let triggers: Vec<Ident> = triggers.iter().map(|trigger| trigger.name.clone()).collect();
    format!(
        "Somebody has written to the copy, or dropped a trigger that keeps it right. Drop the triggers {}, then the table `{}`, and \
         roll back again: the columns are then dropped one by one.",
        listed(&triggers),
        rebuild.copy.name
    )
}
