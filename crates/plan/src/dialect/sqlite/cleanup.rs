//! How the old columns of a table go at last: all pairs of a file together.
//!
//! The way is chosen by the structure alone, never by the size: a plan is made when a change begins, its cleanup may run
//! months later on a table that has grown, and a hash that depends on a row count would change by itself.

use segue_model::catalog::Table;
use segue_model::ident::Ident;
use segue_model::step::{Action, Phase, Step, Undo};

use super::mirror::Mirror;
use super::names::{Names, hidden};
use super::native::{drop_column, mirror_of};
use super::rebuild::{Rebuild, Wanted};
use super::work::Work;
use super::{contract, obstacle, sync, verify};
use crate::figures::listed;
use crate::group::group;
use crate::operation::{AsWritten, AsWrittenKind, Context, Operation, Pair};
use crate::refusal::Refusal;

/// Milliseconds that SQLite takes to write a megabyte of a table again: 390 to 750 ms for 37 MB were measured.
const REWRITE_MS_A_MB: u64 = 15;

/// The cleanup of one table.
pub(super) struct Cleanup<'a> {
    table: &'a Table,
    pairs: Vec<(Mirror<'a>, Names)>,
    way: Way<'a>,
}

enum Way<'a> {
    /// A copy without them, and a swap.
    Online(Box<Rebuild<'a>>),
    /// `DROP COLUMN`, one transaction each, and why not otherwise.
    OneByOne(String),
}

impl<'a> Cleanup<'a> {
    /// Returns the cleanup that comes after `pair`; `None` when the file has another pair of this table after it.
    ///
    /// # Errors
    /// [`Refusal::Exists`] when a name of ours is in use.
    pub(super) fn after(pair: &Pair<'a>, context: &Context<'a>) -> Result<Option<Self>, Refusal> {
        let together = together(pair, context);
        let pairs: Vec<&Pair<'a>> = together.iter().filter_map(as_pair).collect();
        if pairs.last().is_none_or(|last| !is_same(last, pair)) {
            return Ok(None);
        }
        let rowid = obstacle::rowid(pair.table)?;
        let pairs: Vec<(Mirror<'a>, Names)> =
            pairs.into_iter().map(|pair| mirror_of(pair, rowid.clone(), context)).collect::<Result<_, _>>()?;
        let way = way(pair.table, rowid, &pairs, &together, context);
        Ok(Some(Self { table: pair.table, pairs, way }))
    }

    /// Returns its steps.
    pub(super) fn steps(&self) -> Vec<Step> {
        match &self.way {
            Way::Online(rebuild) => self.online(rebuild),
            Way::OneByOne(_) => {
                let dropped = self.dropped();
                self.native(dropped.iter().map(|column| self.drop(std::slice::from_ref(column))).collect())
            }
        }
    }

    /// Both shapes are compared before the work begins, and once more when only the swap is left to do; the old one is kept
    /// then. Until then all can be taken back, and the sync goes on.
    fn online(&self, rebuild: &Rebuild<'_>) -> Vec<Step> {
        let mut steps: Vec<Step> = self.pairs.iter().map(|(mirror, names)| verify::hidden(mirror, names)).collect();
        steps.extend(rebuild.prepare());
        steps.extend(self.shown_and_kept());
        steps.extend(rebuild.finish());
        steps
    }

    fn native(&self, drops: Vec<Step>) -> Vec<Step> {
        let mut steps = self.shown_and_kept();
        steps.extend(
            self.pairs
                .iter()
                .map(|(mirror, names)| contract::drop_triggers(mirror.name(), &sync::pair_triggers(mirror, names))),
        );
        steps.extend(drops);
        steps.extend(self.set_not_null());
        steps
    }

    fn shown_and_kept(&self) -> Vec<Step> {
        let each = self.pairs.iter();
        each.flat_map(|(mirror, names)| [verify::hidden(mirror, names), contract::snapshot(mirror, names)]).collect()
    }

    fn set_not_null(&self) -> Vec<Step> {
        self.pairs.iter().flat_map(|(mirror, _)| contract::set_not_null(mirror, Phase::Cleanup)).collect()
    }

    fn dropped(&self) -> Vec<Ident> {
        dropped(&self.pairs)
    }

    fn drop(&self, columns: &[Ident]) -> Step {
        Work {
            phase: Phase::Cleanup,
            title: format!("drop {}: the whole table `{}` is written again", listed(columns), self.table.name.name),
            action: Action::Sql(columns.iter().map(|column| drop_column(&self.table.name, column)).collect()),
            facts: &["dropcol.plain"],
            table: &self.table.name,
            undo: Undo::Impossible,
        }
        .step()
    }

    /// Returns what the user should know of it: which way, and why.
    pub(super) fn note(&self) -> String {
        let (columns, table) = (listed(&self.dropped()), &self.table.name.name);
        match &self.way {
            Way::Online(_) => format!(
                "cleanup drops {columns} of `{table}` by one online rebuild, whatever its size: a copy without them is filled \
                 by windows of about 10 ms and takes the table's name in one short transaction. Until then every write to \
                 `{table}` is made twice, and the file grows by about {}",
                size(self.table.size.bytes)
            ),
            Way::OneByOne(why) => format!(
                "cleanup drops {columns} of `{table}` one by one; each writes the whole table again while writers wait: {} each. \
                 It cannot be rebuilt online: {why}",
                stall(self.table.size.bytes)
            ),
        }
    }
}

fn dropped(pairs: &[(Mirror<'_>, Names)]) -> Vec<Ident> {
    let each = pairs
        .iter()
        .flat_map(|(mirror, _)| mirror.marker.iter().cloned().chain(mirror.old.iter().map(|old| hidden(&old.name))));
    each.collect()
}

fn not_null(pairs: &[(Mirror<'_>, Names)]) -> Vec<Ident> {
    let each = pairs.iter().flat_map(|(mirror, _)| mirror.new.iter().filter(|new| new.not_null));
    each.map(|new| new.name.clone()).collect()
}

fn way<'a>(
    table: &'a Table,
    rowid: Ident,
    pairs: &[(Mirror<'a>, Names)],
    together: &[Operation<'a>],
    context: &Context<'_>,
) -> Way<'a> {
    let mode = context.server.settings.get("journal_mode").map_or("", String::as_str);
    if !mode.eq_ignore_ascii_case("wal") {
        return Way::OneByOne(format!(
            "journal_mode is `{mode}`, and without WAL each of its many commits would keep readers out (`PRAGMA journal_mode = \
             wal` changes it)"
        ));
    }
    let Some((_, names)) = pairs.first() else { return Way::OneByOne("there is nothing to drop".to_owned()) };
    let wanted = Wanted {
        table,
        rowid,
        dropped: dropped(pairs),
        not_null: not_null(pairs),
        added: together.iter().flat_map(added).collect(),
        gone: pairs.iter().flat_map(|(mirror, _)| mirror.old.iter().map(|old| old.name.clone())).collect(),
        sync: pairs.iter().flat_map(|(mirror, names)| sync::pair_triggers(mirror, names)).collect(),
    };
    match Rebuild::new(wanted, names, context.migration.id.as_str()) {
        Ok(rebuild) => Way::Online(Box::new(rebuild)),
        Err(why) => Way::OneByOne(why),
    }
}

/// Returns the operations of the file that change the pair's table, in file order.
fn together<'a>(pair: &Pair<'a>, context: &Context<'a>) -> Vec<Operation<'a>> {
    // What the file means was grouped before, without a refusal, or there would be no pair.
    let all = group(context.migration, context.catalog).unwrap_or_default();
    let of_table = |operation: &Operation<'a>| operation.table().is_some_and(|table| table.name == pair.table.name);
    let together: Vec<Operation<'a>> = all.into_iter().filter(of_table).collect();
    if together.iter().filter_map(as_pair).any(|other| is_same(other, pair)) {
        together
    } else {
        vec![Operation::Pair(pair.clone())]
    }
}

fn as_pair<'o, 'a>(operation: &'o Operation<'a>) -> Option<&'o Pair<'a>> {
    match operation {
        Operation::Pair(pair) => Some(pair),
        Operation::AsWritten(_) | Operation::Fill(_) | Operation::Retype(_) => None,
    }
}

fn is_same(one: &Pair<'_>, other: &Pair<'_>) -> bool {
    one.new.first().map(|new| &new.column.name) == other.new.first().map(|new| &new.column.name)
}

/// Returns the columns that an operation adds and leaves.
fn added(operation: &Operation<'_>) -> Vec<Ident> {
    match operation {
        Operation::AsWritten(AsWritten { what: AsWrittenKind::AddColumns { columns, .. }, .. }) => {
            columns.iter().map(|column| column.name.clone()).collect()
        }
        Operation::Fill(fill) => vec![fill.column.name.clone()],
        Operation::Pair(pair) => pair.new.iter().map(|new| new.column.name.clone()).collect(),
        Operation::AsWritten(_) | Operation::Retype(_) => vec![],
    }
}

fn size(bytes: u64) -> String {
    if bytes == 0 { "its size".to_owned() } else { format!("{} MB", megabytes(bytes)) }
}

fn stall(bytes: u64) -> String {
    if bytes == 0 {
        return "the size of the table is not known".to_owned();
    }
    let megabytes = megabytes(bytes);
    format!("about {} ms at {megabytes} MB", megabytes.saturating_mul(REWRITE_MS_A_MB))
}

fn megabytes(bytes: u64) -> u64 {
    bytes.div_ceil(1024 * 1024)
}
