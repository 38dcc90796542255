//! How the old columns of a table go at last: all pairs of a file together.
//!
//! The way is chosen by the structure alone, never by the size: a plan is made when a change begins, its cleanup may run
//! months later on a table that has grown, and a hash that depends on a row count would change by itself.

use segue_model::catalog::Table;
use segue_model::ident::Ident;
use segue_model::sql::Sql;
use segue_model::step::{Action, Phase, Step, Undo};

use super::mirror::Mirror;
use super::names::{Names, hidden};
use super::native::{drop_column, mirror_of};
use super::rebuild::{Called, Rebuild, Wanted};
use super::work::Work;
use super::{bystander, contract, obstacle, sync, verify};
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

impl<'a> Cleanup<'a> {
    /// Returns the cleanup that comes after `pair`; `None` when the file has another pair of this table after it.
    ///
    /// # Errors
    /// [`Refusal::Exists`] when a name of ours is in use.
    pub(super) fn after(pair: &Pair<'a>, context: &Context<'a>) -> Result<Option<Self>, Refusal> {
        let this = Operation::Pair(pair.clone());
        let together = together(&this, context);
        let pairs: Vec<&Pair<'a>> = together.iter().filter_map(as_pair).collect();
        if pairs.last().is_none_or(|last| !is_same(&Operation::Pair((*last).clone()), &this)) {
            return Ok(None);
        }
        let rowid = obstacle::rowid(pair.table)?;
        let pairs: Vec<(Mirror<'a>, Names)> =
            pairs.into_iter().map(|pair| mirror_of(pair, rowid.clone(), context)).collect::<Result<_, _>>()?;
        let way = way(pair.table, rowid, &pairs, &together, context);
        let named = bystander::named(&pair.table.name, &dropped(&pairs), context.catalog);
        Ok(Some(Self { table: pair.table, pairs, named, way }))
    }

    /// Returns its steps.
    pub(super) fn steps(&self) -> Vec<Step> {
        let mut steps = vec![self.gate()];
        steps.extend(match &self.way {
            Way::Online(rebuild) => self.online(rebuild),
            Way::OneByOne(_) => {
                let dropped = self.dropped();
                self.native(dropped.iter().map(|column| self.drop(std::slice::from_ref(column))).collect())
            }
        });
        steps
    }

    /// What refuses the drop, or would break by the swap, is better known before the sync ends or a row is copied.
    fn gate(&self) -> Step {
        let conditions = vec![bystander::condition(&self.named, &self.dropped())];
        let title = "no view and no trigger names an old column";
        contract::gate(&self.table.name, Phase::Cleanup, title, conditions, None)
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
        let mut all = vec![bystander::fail(&self.named, &self.dropped())];
        all.extend(columns.iter().map(|column| drop_column(&self.table.name, column)));
        Work {
            phase: Phase::Cleanup,
            title: format!("drop {}: the whole table `{}` is written again", listed(columns), self.table.name.name),
            action: Action::Sql(all),
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
    if let Some(why) = not_wal(context) {
        return Way::OneByOne(why);
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
        called: Called::CLEANUP,
    };
    match Rebuild::new(wanted, names, context) {
        Ok(rebuild) => Way::Online(Box::new(rebuild)),
        Err(why) => Way::OneByOne(why),
    }
}

/// Returns why nothing is rebuilt online where the file is not in WAL mode.
pub(super) fn not_wal(context: &Context<'_>) -> Option<String> {
    let mode = context.server.settings.get("journal_mode").map_or("", String::as_str);
    (!mode.eq_ignore_ascii_case("wal")).then(|| {
        format!(
            "journal_mode is `{mode}`, and without WAL each of its many commits would keep readers out (`PRAGMA journal_mode = \
             wal` changes it)"
        )
    })
}

/// Returns the operations of the file that change the operation's table, in file order.
pub(super) fn together<'a>(operation: &Operation<'a>, context: &Context<'a>) -> Vec<Operation<'a>> {
    // What the file means was grouped before, without a refusal, or there would be no operation.
    let all = group(context.migration, context.catalog).unwrap_or_default();
    let table = operation.table().map(|table| &table.name);
    let of_table = |other: &Operation<'a>| other.table().is_some_and(|other| Some(&other.name) == table);
    let together: Vec<Operation<'a>> = all.into_iter().filter(of_table).collect();
    if together.iter().any(|other| is_same(other, operation)) { together } else { vec![operation.clone()] }
}

fn as_pair<'o, 'a>(operation: &'o Operation<'a>) -> Option<&'o Pair<'a>> {
    match operation {
        Operation::Pair(pair) => Some(pair),
        Operation::AsWritten(_)
        | Operation::Fill(_)
        | Operation::Retype(_)
        | Operation::Rows(_)
        | Operation::Native(_) => None,
    }
}

/// Returns whether two operations are one: no other adds the same column.
pub(super) fn is_same(one: &Operation<'_>, other: &Operation<'_>) -> bool {
    added(one).first() == added(other).first()
}

/// Returns the columns that an operation adds and leaves.
pub(super) fn added(operation: &Operation<'_>) -> Vec<Ident> {
    match operation {
        Operation::AsWritten(AsWritten { what: AsWrittenKind::AddColumns { columns, .. }, .. }) => {
            columns.iter().map(|column| column.name.clone()).collect()
        }
        Operation::Fill(fill) => vec![fill.column.name.clone()],
        Operation::Pair(pair) => pair.new.iter().map(|new| new.column.name.clone()).collect(),
        Operation::AsWritten(_) | Operation::Retype(_) | Operation::Rows(_) | Operation::Native(_) => vec![],
    }
}

fn size(bytes: u64) -> String {
    if bytes == 0 { "its size".to_owned() } else { format!("{} MB", megabytes(bytes)) }
}

/// Returns how long writers wait while a table of so many bytes is written again.
pub(super) fn stall(bytes: u64) -> String {
    if bytes == 0 {
        return "the size of the table is not known".to_owned();
    }
    let megabytes = megabytes(bytes);
    format!("about {} ms at {megabytes} MB", megabytes.saturating_mul(REWRITE_MS_A_MB))
}

fn megabytes(bytes: u64) -> u64 {
    bytes.div_ceil(1024 * 1024)
}
