//! Changes and directives → operations: what of a file belongs together.

use segue_model::catalog::{Catalog, Column, Table};
use segue_model::change::{Change, ColumnDetails, ColumnProperty, Located, Migration, NamingChange, NewColumn, Place};
use segue_model::expr::{Expr, Nullness};
use segue_model::ident::{Ident, TableRef};
use segue_model::nearest::nearest;

use crate::figures::{listed, typed, typed_table};
use crate::operation::{
    AsWritten, AsWrittenKind, Fill, Native, NewSide, OldSide, Operation, Pair, Retype, Rows, RowsInto, Stage,
};
use crate::refusal::{Refusal, Refused};
use crate::transform::{not_total, respell};
use crate::wanted::{
    Added, Alone, Dropped, Moved, OfTable, Retyped, Transform, in_primary_key, no_column, not_synced_yet, not_yet,
    wanted,
};

/// Returns the operations that a file means, in file order.
///
/// # Errors
/// Every refusal that needs no answer of the server, sorted by place.
pub fn group<'a>(migration: &'a Migration, catalog: &'a Catalog) -> Result<Vec<Operation<'a>>, Vec<Refused>> {
    let (wanted, mut refused) = wanted(migration, catalog);
    let mut operations: Vec<Operation<'a>> = wanted.of_new_tables.into_iter().map(Operation::AsWritten).collect();
    for of in &wanted.tables {
        let mut grouper = Grouper { migration, catalog, of, refused: vec![] };
        operations.extend(grouper.operations());
        refused.extend(grouper.refused);
    }
    operations
        .extend(wanted.elsewhere.iter().map(|alone| Operation::Native(native(migration, None, alone, Stage::Now))));
    refused.extend(operations.iter().flat_map(|operation| not_total(operation, catalog)));
    if !refused.is_empty() {
        return Err(sorted(refused));
    }
    operations.sort_by_key(Operation::at);
    Ok(operations)
}

/// Returns refusals by place, each once.
pub(crate) fn sorted(mut refused: Vec<Refused>) -> Vec<Refused> {
    refused.sort_by(|one, other| one.at.cmp(&other.at));
    let mut once: Vec<Refused> = Vec::with_capacity(refused.len());
    for one in refused {
        if !once.contains(&one) {
            once.push(one);
        }
    }
    once
}

/// Returns refusals by place, each cause once: what holds of a table is refused where it is first changed.
pub(crate) fn causes(refused: Vec<Refused>) -> Vec<Refused> {
    let mut causes: Vec<Refused> = Vec::with_capacity(refused.len());
    for one in sorted(refused) {
        if !causes.iter().any(|known| known.refusal == one.refusal) {
            causes.push(one);
        }
    }
    causes
}

/// How a column is added.
enum Way {
    /// The statement is safe as it stands.
    AsWritten,
    /// The command becomes a sequence of steps.
    InSteps,
}

struct Grouper<'w, 'a> {
    migration: &'a Migration,
    catalog: &'a Catalog,
    of: &'w OfTable<'a>,
    refused: Vec<Refused>,
}

/// A new column with its transform, names resolved.
struct Forward<'w, 'a> {
    added: &'w Added<'a>,
    expr: Expr,
    at: &'a Place,
    /// The columns of `expr` that the file drops.
    reads_dropped: bool,
}

/// An old column with its transform, names resolved.
struct Back<'w, 'a> {
    dropped: &'w Dropped<'a>,
    /// `None` when the file does not say it.
    expr: Option<Expr>,
}

impl<'w, 'a> Grouper<'w, 'a> {
    fn operations(&mut self) -> Vec<Operation<'a>> {
        let forwards: Vec<Forward<'w, 'a>> =
            self.of.added.iter().filter_map(|added| self.forward(added, added.forward?)).collect();
        let backs: Vec<Back<'w, 'a>> = self.of.dropped.iter().map(|dropped| self.back(dropped)).collect();
        let mut operations = self.fills(&forwards);
        operations.extend(self.pairs(&forwards, &backs));
        operations.extend(self.as_written());
        operations.extend(self.rows());
        operations.extend(self.plain_drops(&backs));
        operations.extend(self.retypes());
        operations.extend(self.natives());
        if operations.iter().any(needs_sync)
            && let Some(refusal) = not_synced_yet(self.of.table)
        {
            let first = operations.iter().filter(|operation| needs_sync(operation)).map(Operation::at).min();
            self.refused.extend(first.map(|at| refusal.at(at)));
        }
        operations
    }

    /// Returns a forward transform whose columns all exist; a refusal otherwise.
    fn forward(&mut self, added: &'w Added<'a>, transform: Transform<'a>) -> Option<Forward<'w, 'a>> {
        let mut reads_dropped = false;
        let mut fits = true;
        for read in transform.expr.columns() {
            match self.catalog.column(self.of.table, read) {
                Some(column) => {
                    let dropped = self.dropped(&column.name);
                    reads_dropped |= dropped.is_some();
                    fits &= self.is_read_in_time(transform, dropped);
                }
                None => {
                    fits = false;
                    self.refuse(self.cannot_read(read), transform.at);
                }
            }
        }
        let expr = respell(transform.expr, &|read| {
            self.catalog.column(self.of.table, read).map_or_else(|| read.clone(), |column| column.name.clone())
        });
        fits.then_some(Forward { added, expr, at: transform.at, reads_dropped })
    }

    fn is_read_in_time(&mut self, transform: Transform<'a>, dropped: Option<&Dropped<'a>>) -> bool {
        let (Some(statement), Some(dropped)) = (transform.statement, dropped) else { return true };
        if statement < dropped.statement {
            return true;
        }
        let what = format!("the UPDATE that reads `{}`", dropped.column.name);
        let why = "the column is dropped before it".to_owned();
        let instead = "Move the UPDATE above the DROP COLUMN.".to_owned();
        self.refuse(Refusal::Impossible { what, why, instead }, transform.at);
        false
    }

    /// Why a forward transform cannot read a column that the table does not have yet.
    fn cannot_read(&self, column: &Ident) -> Refusal {
        if self.added(column).is_some() {
            let what = format!("a transform that reads `{column}`, a column that this file adds");
            return not_yet(what, "Write what that column is made of instead.");
        }
        no_column(self.of.table, column, self.of.table.columns.iter().map(|c| c.name.as_str()))
    }

    fn back(&mut self, dropped: &'w Dropped<'a>) -> Back<'w, 'a> {
        let Some(transform) = dropped.back else { return Back { dropped, expr: None } };
        for read in transform.expr.columns() {
            if self.added(read).is_none() {
                let refusal = self.back_cannot_read(read);
                self.refuse(refusal, transform.at);
            }
        }
        let expr = respell(transform.expr, &|read| {
            self.added(read).map_or_else(|| read.clone(), |added| added.column.name.clone())
        });
        Back { dropped, expr: Some(expr) }
    }

    fn back_cannot_read(&self, column: &Ident) -> Refusal {
        match self.catalog.column(self.of.table, column) {
            Some(found) if self.dropped(&found.name).is_some() => {
                let what =
                    format!("a back transform that reads `{column}`, a column that follows from the new ones itself");
                not_yet(what, "Write it over the new columns alone.")
            }
            Some(_) => {
                let what = format!("a back transform that reads `{column}`, a column that stays");
                not_yet(what, "Write it over the new columns alone.")
            }
            None => {
                let new = self.of.added.iter().map(|added| added.column.name.as_str());
                let there = self.of.table.columns.iter().map(|c| c.name.as_str());
                no_column(self.of.table, column, new.chain(there))
            }
        }
    }

    fn fills(&mut self, forwards: &[Forward<'w, 'a>]) -> Vec<Operation<'a>> {
        let fills = forwards.iter().filter(|forward| !forward.reads_dropped && !self.is_read_by_back(forward));
        let fills = fills.map(|forward| Fill {
            table: self.of.table,
            column: forward.added.column,
            forward: forward.expr.clone(),
            not_null: forward.added.not_null(),
            at: forward.at,
        });
        fills.map(Operation::Fill).collect()
    }

    /// A new column from which an old one follows belongs to that pair, even when it does not read the old one itself.
    fn is_read_by_back(&self, forward: &Forward<'w, 'a>) -> bool {
        self.of.dropped.iter().any(|dropped| self.back_reads(dropped, &forward.added.column.name))
    }

    fn back_reads(&self, dropped: &Dropped<'a>, column: &Ident) -> bool {
        let reads =
            |transform: Transform<'_>| transform.expr.columns().into_iter().any(|read| self.catalog.same(read, column));
        dropped.back.is_some_and(reads)
    }

    fn pairs(&mut self, forwards: &[Forward<'w, 'a>], backs: &[Back<'w, 'a>]) -> Vec<Operation<'a>> {
        let connected = self.connected(forwards, backs);
        let mut pairs = vec![];
        for (new, old) in connected {
            let new: Vec<&Forward<'w, 'a>> = new.iter().map(|at| &forwards[*at]).collect();
            let old: Vec<&Back<'w, 'a>> = old.iter().map(|at| &backs[*at]).collect();
            pairs.extend(self.pair(&new, &old));
        }
        pairs.into_iter().map(Operation::Pair).collect()
    }

    /// Returns the new and old columns that follow from each other, directly or through others: one pair each.
    fn connected(&self, forwards: &[Forward<'w, 'a>], backs: &[Back<'w, 'a>]) -> Vec<(Vec<usize>, Vec<usize>)> {
        let mut groups: Vec<(Vec<usize>, Vec<usize>)> = vec![];
        for (at, forward) in forwards.iter().enumerate() {
            let touches = |old: &usize| {
                let dropped = backs[*old].dropped;
                forward.expr.columns().contains(&dropped.column.name)
                    || self.back_reads(dropped, &forward.added.column.name)
            };
            let old: Vec<usize> = (0..backs.len()).filter(touches).collect();
            if old.is_empty() {
                continue;
            }
            let (joined, apart): (Vec<_>, Vec<_>) =
                groups.into_iter().partition(|(_, known)| known.iter().any(|one| old.contains(one)));
            let mut merged = (vec![at], old);
            for (new, old) in joined {
                merged.0.extend(new);
                merged.1.extend(old);
            }
            for side in [&mut merged.0, &mut merged.1] {
                side.sort_unstable();
                side.dedup();
            }
            groups = apart;
            groups.push(merged);
        }
        groups
    }

    fn pair(&mut self, new: &[&Forward<'w, 'a>], old: &[&Back<'w, 'a>]) -> Option<Pair<'a>> {
        let before = self.refused.len();
        let at = new.iter().map(|forward| forward.at).min()?;
        for forward in new {
            self.refuse_reading_stays(forward);
        }
        for back in old {
            self.refuse_unpaired_back(back, new);
        }
        if self.refused.len() > before {
            return None;
        }
        let sides =
            old.iter().filter_map(|back| Some(OldSide { column: back.dropped.column, back: back.expr.clone()? }));
        let mut old: Vec<OldSide<'a>> = sides.collect();
        old.sort_by_key(|side| self.of.table.columns.iter().position(|c| c.name == side.column.name));
        let new = new.iter().map(|forward| NewSide {
            column: forward.added.column,
            forward: forward.expr.clone(),
            not_null: forward.added.not_null(),
        });
        Some(Pair { table: self.of.table, new: new.collect(), old, at })
    }

    /// A pair follows its own columns alone: a write to a third one would not be seen.
    fn refuse_reading_stays(&mut self, forward: &Forward<'w, 'a>) {
        let stays = forward.expr.columns().into_iter().find(|read| self.dropped(read).is_none());
        if let Some(stays) = stays {
            let what =
                format!("a transform that reads `{stays}`, a column that stays, beside columns that are dropped");
            self.refuse(not_yet(what, "Write it over the dropped columns alone."), forward.at);
        }
    }

    fn refuse_unpaired_back(&mut self, back: &Back<'w, 'a>, new: &[&Forward<'w, 'a>]) {
        let column = back.dropped.column;
        if in_primary_key(self.of.table, &column.name) {
            let what = format!("replacing `{}`, a column of the primary key", column.name);
            self.refuse(not_yet(what, "Keep the column."), back.dropped.at);
        }
        if back.expr.is_none() {
            let refusal = Refusal::NoTransform {
                table: self.of.table.name.name.to_string(),
                column: column.name.to_string(),
                from: listed(new.iter().map(|forward| &forward.added.column.name)),
                line: format!("-- segue: back {} = …", self.typed_column(&column.name)),
                file: "the migration, or the UPDATE that says the same to its down file".to_owned(),
            };
            self.refuse(refusal, back.dropped.at);
        }
    }

    /// What neither is filled nor replaces anything: statements that are safe as they stand, columns that are added in steps,
    /// or columns of which too little is said.
    fn as_written(&mut self) -> Vec<Operation<'a>> {
        let mut statements: Vec<usize> = vec![];
        let mut alone = vec![];
        for added in self.of.added.iter().filter(|added| added.forward.is_none() && !added.refused) {
            match self.way(added) {
                Err(refusal) => self.refuse(refusal, added.at),
                Ok(Way::InSteps) => alone.extend(self.in_steps(added)),
                Ok(Way::AsWritten) if self.says_more(added) => alone.extend(self.in_steps(added)),
                Ok(Way::AsWritten) if statements.contains(&added.statement) => {}
                Ok(Way::AsWritten) => statements.push(added.statement),
            }
        }
        alone.extend(statements.into_iter().filter_map(|statement| self.as_written_statement(statement)));
        alone
    }

    /// Returns how a column is added of which no transform is known.
    fn way(&self, added: &Added<'a>) -> Result<Way, Refusal> {
        let (name, details) = (&added.column.name, added.column.details.as_ref());
        let default = added.column.default.as_ref().filter(|default| default.nullness != Nullness::Always);
        if let Some(dropped) = self.of.dropped.iter().find(|dropped| self.back_reads(dropped, name)) {
            return Err(self.no_forward(name, format!("`{}`", dropped.column.name)));
        }
        let steps = |what: String, instead: &str| details.map(|_| Way::InSteps).ok_or_else(|| not_yet(what, instead));
        let makes_values = details.is_some_and(|details| details.makes_values() || details.generated.is_some());
        match default {
            None if added.not_null() && !makes_values && !is_generated(added.column) => {
                Err(self.no_forward(name, "the other columns".to_owned()))
            }
            _ if details.is_some_and(ColumnDetails::has_more) => Ok(Way::InSteps),
            None => Ok(Way::AsWritten),
            Some(default) if !default.constant => {
                let what = format!("ADD COLUMN `{name}` with a DEFAULT that is not a constant");
                steps(what, "Add it without the DEFAULT and fill it by an UPDATE.")
            }
            Some(_) if added.set_not_null.is_some() && !added.column.not_null => {
                let what = format!("SET NOT NULL on `{name}` in a statement of its own after ADD COLUMN … DEFAULT");
                steps(what, "Write NOT NULL into the ADD COLUMN: with a constant default it costs nothing there.")
            }
            Some(_) => Ok(Way::AsWritten),
        }
    }

    /// Returns whether the column's statement says what is not done at once, so that each of its commands goes its own way.
    fn says_more(&self, added: &Added<'a>) -> bool {
        let mut changes = self.migration.changes.iter().filter(|change| change.statement == Some(added.statement));
        let at_once = |column: &NewColumn| {
            let mut known = self.of.added.iter();
            let known = known.find(|known| std::ptr::eq(known.column, column));
            known.is_some_and(|known| known.forward.is_none() && matches!(self.way(known), Ok(Way::AsWritten)))
        };
        added.column.details.is_some()
            && changes.any(|change| match &change.what {
                Change::AddColumn { column, .. } => !at_once(column),
                _ => true,
            })
    }

    fn in_steps(&self, added: &Added<'a>) -> Option<Operation<'a>> {
        let said = |change: &&Located<Change>| matches!(&change.what, Change::AddColumn { column, .. } if std::ptr::eq(column, added.column));
        let change = self.migration.changes.iter().find(said)?;
        let alone = Alone { change: &change.what, statement: added.statement, at: added.at };
        let native = native(self.migration, Some(self.of.table), &alone, Stage::Now);
        Some(Operation::Native(Native { required: added.not_null(), ..native }))
    }

    fn no_forward(&self, column: &Ident, from: String) -> Refusal {
        Refusal::NoTransform {
            table: self.of.table.name.name.to_string(),
            column: column.to_string(),
            from,
            line: format!("-- segue: {} = …", self.typed_column(column)),
            file: "the migration, or the UPDATE that says the same".to_owned(),
        }
    }

    /// Columns that go away without one that takes their place.
    fn plain_drops(&self, backs: &[Back<'w, 'a>]) -> Vec<Operation<'a>> {
        let plain = backs.iter().filter(|back| self.is_plain_drop(back));
        let changes = plain.filter_map(|back| {
            let said = |change: &&Located<Change>| {
                let dropped = match &change.what {
                    Change::DropColumn { column, .. } | Change::Naming(NamingChange::DropColumn { column, .. }) => {
                        column
                    }
                    _ => return false,
                };
                self.catalog.same(dropped, &back.dropped.column.name) && change.at == *back.dropped.at
            };
            let change = self.migration.changes.iter().find(said)?;
            let alone = Alone { change: &change.what, statement: back.dropped.statement, at: back.dropped.at };
            Some(Operation::Native(native(self.migration, Some(self.of.table), &alone, Stage::Now)))
        });
        changes.collect()
    }

    fn is_plain_drop(&self, back: &Back<'w, 'a>) -> bool {
        let column = &back.dropped.column.name;
        let forward = self.of.added.iter().filter_map(|added| added.forward);
        let mut reads = forward.flat_map(|transform| transform.expr.columns());
        let read = reads.any(|read| self.catalog.same(read, column));
        // Missing its forward transform is said where the new column is added.
        let pairs_with = self.of.added.iter().any(|added| self.back_reads(back.dropped, &added.column.name));
        !read && !pairs_with && self.mover(column).is_none()
    }

    /// Columns that move to the rows of another table.
    fn rows(&mut self) -> Vec<Operation<'a>> {
        let of = self.of;
        let fitting: Vec<&'w Moved<'a>> = of.moved.iter().filter(|moved| self.rows_fit(moved)).collect();
        let rows = fitting.into_iter().map(|moved| {
            let mine = |column: &Ident| self.mover(column).is_some_and(|mover| std::ptr::eq(mover, moved));
            let mut columns: Vec<&'a Column> =
                of.dropped.iter().map(|dropped| dropped.column).filter(|column| mine(&column.name)).collect();
            columns.sort_by_key(|column| of.table.columns.iter().position(|other| other.name == column.name));
            let back = of.back_from.iter().find(|back| self.is_target(moved, &back.from));
            let back = back.copied();
            Rows { from: of.table, into: moved.into.clone(), change: moved.change, moved: columns, back, at: moved.at }
        });
        rows.map(Operation::Rows).collect()
    }

    /// Returns the rows that take a column which the file drops: the first that read it.
    fn mover(&self, column: &Ident) -> Option<&'w Moved<'a>> {
        self.dropped(column)?;
        let reads = |moved: &&Moved<'a>| {
            let mut read = moved.change.values.iter().flat_map(|value| value.columns());
            read.any(|read| self.catalog.same(read, column))
        };
        self.of.moved.iter().find(reads)
    }

    fn is_target(&self, moved: &Moved<'a>, table: &TableRef) -> bool {
        let name = moved.into.name();
        let schema = table.schema.as_ref().is_none_or(|schema| self.catalog.same(schema, &name.schema));
        schema && self.catalog.same(&table.name, &name.name)
    }

    /// Each column that is named is there, and is read before it is dropped.
    fn rows_fit(&mut self, moved: &Moved<'a>) -> bool {
        let before = self.refused.len();
        let change = moved.change;
        let values = change.values.iter().chain(&change.filter).flat_map(|value| value.columns());
        for read in values.chain(change.on.iter().map(|(_, from)| from)) {
            match self.catalog.column(self.of.table, read) {
                None => {
                    let names = self.of.table.columns.iter().map(|c| c.name.as_str());
                    self.refuse(no_column(self.of.table, read, names), moved.at);
                }
                Some(column) => self.refuse_read_too_late(&column.name, moved),
            }
        }
        for written in change.columns.iter().chain(change.on.iter().map(|(into, _)| into)) {
            self.refuse_unknown_target(written, moved);
        }
        self.refused.len() == before
    }

    fn refuse_read_too_late(&mut self, column: &Ident, moved: &Moved<'a>) {
        let dropped = self.dropped(column).map(|dropped| dropped.statement);
        if dropped.is_some_and(|dropped| moved.statement.is_some_and(|statement| dropped < statement)) {
            let what = format!("the statement that reads `{column}`");
            let why = "the column is dropped before it".to_owned();
            let instead = "Move it above the DROP COLUMN.".to_owned();
            self.refuse(Refusal::Impossible { what, why, instead }, moved.at);
        }
    }

    fn refuse_unknown_target(&mut self, column: &Ident, moved: &Moved<'a>) {
        let names: Vec<&Ident> = match &moved.into {
            RowsInto::New { definition: Some(new), .. } => new.columns.iter().map(|column| &column.name).collect(),
            RowsInto::New { definition: None, .. } => return,
            RowsInto::Existing(table) => table.columns.iter().map(|column| &column.name).collect(),
        };
        if !names.iter().any(|name| self.catalog.same(name, column)) {
            let shown = |name: &str| Ident::new(name).map_or_else(|_| String::new(), |name| name.to_string());
            let refusal = Refusal::NoColumn {
                table: moved.into.name().name.to_string(),
                column: column.to_string(),
                nearest: nearest(column.as_str(), names.into_iter().map(Ident::as_str)).map(shown),
            };
            self.refuse(refusal, moved.at);
        }
    }

    /// Returns the statement as it stands; it must do nothing else than adding columns that are safe.
    fn as_written_statement(&mut self, statement: usize) -> Option<Operation<'a>> {
        let of_statement = |added: &&Added<'a>| added.statement == statement && added.forward.is_none();
        let columns: Vec<&'a _> = self.of.added.iter().filter(of_statement).map(|added| added.column).collect();
        let changes = || self.migration.changes.iter().filter(|change| change.statement == Some(statement));
        let at = &changes().next()?.at;
        let other = changes().find(|change| match &change.what {
            Change::AddColumn { column, .. } => !columns.iter().any(|known| known.name == column.name),
            _ => true,
        });
        if let Some(other) = other {
            let what = format!("a statement that adds {} and does more", listed(columns.iter().map(|c| &c.name)));
            self.refuse(not_yet(what, "Write that ADD COLUMN as a statement of its own."), &other.at);
            return None;
        }
        let what = AsWrittenKind::AddColumns { table: self.of.table, columns };
        Some(Operation::AsWritten(AsWritten { statement: &self.migration.statements[statement], at, what }))
    }

    fn retypes(&mut self) -> Vec<Operation<'a>> {
        let fitting: Vec<&Retyped<'a>> = self.of.retyped.iter().filter(|retyped| self.retype_fits(retyped)).collect();
        let retypes = fitting.into_iter().map(|retyped| Retype {
            table: self.of.table,
            column: retyped.column,
            to: retyped.to,
            using: retyped.using,
            statement: retyped.statement,
            at: retyped.at,
        });
        retypes.map(Operation::Retype).collect()
    }

    fn retype_fits(&mut self, retyped: &Retyped<'a>) -> bool {
        let name = &retyped.column.name;
        let mut forwards = self.of.added.iter().filter_map(|added| added.forward);
        let read = forwards.any(|transform| transform.expr.columns().iter().any(|read| self.catalog.same(read, name)));
        if read || self.dropped(name).is_some() {
            let what = format!("another type for `{name}` in the file that moves it to another column");
            self.refuse(not_yet(what, "Do it in a migration of its own."), retyped.at);
            return false;
        }
        let unknown = retyped.using.iter().flat_map(|using| using.columns());
        let unknown = unknown.filter(|read| self.catalog.column(self.of.table, read).is_none());
        let unknown: Vec<&Ident> = unknown.collect();
        for read in &unknown {
            let names = self.of.table.columns.iter().map(|c| c.name.as_str());
            self.refuse(no_column(self.of.table, read, names), retyped.at);
        }
        unknown.is_empty()
    }

    fn natives(&mut self) -> Vec<Operation<'a>> {
        let of = self.of;
        let mut natives = vec![];
        for alone in &of.alone {
            if let Some(stage) = self.stage(alone) {
                let named = alone.change.named_columns();
                let fills =
                    matches!(alone.change, Change::Column(change) if matches!(change.what, ColumnProperty::Fill(_)));
                let required = named.iter().any(|named| match self.added(named) {
                    Some(added) => added.not_null(),
                    None => fills && self.is_set_not_null(named),
                });
                let native = native(self.migration, Some(of.table), alone, stage);
                natives.push(Operation::Native(Native { required, ..native }));
            }
        }
        natives
    }

    fn is_set_not_null(&self, wanted: &Ident) -> bool {
        let is_it = |alone: &Alone<'_>| matches!(alone.change, Change::SetNotNull { column, .. } if self.catalog.same(column, wanted));
        self.of.alone.iter().any(is_it)
    }

    /// Returns when all columns are there that the change names; a refusal for one that never is, or that goes away.
    fn stage(&mut self, alone: &Alone<'a>) -> Option<Stage> {
        let mut stage = Stage::Now;
        let before = self.refused.len();
        for named in alone.change.named_columns() {
            if let Some(added) = self.added(named) {
                let filled = added.forward.is_some() || is_filled(added.column);
                stage = stage.max(if filled { Stage::Filled } else { Stage::Added });
            } else if let Some(column) = self.catalog.column(self.of.table, named) {
                self.refuse_going(&column.name, alone);
            } else {
                let names = self.of.table.columns.iter().map(|c| c.name.as_str());
                self.refuse(no_column(self.of.table, named, names), alone.at);
            }
        }
        (self.refused.len() == before).then_some(stage)
    }

    /// A column that this file also replaces or changes is another one afterwards.
    fn refuse_going(&mut self, column: &Ident, alone: &Alone<'a>) {
        let retyped = self.of.retyped.iter().any(|retyped| retyped.column.name == *column);
        if self.dropped(column).is_some() || retyped {
            let what = format!("a change of `{column}` in the file that also drops it or changes its type");
            self.refuse(not_yet(what, "Do it in a migration of its own."), alone.at);
        }
    }

    fn added(&self, column: &Ident) -> Option<&'w Added<'a>> {
        self.of.added.iter().find(|added| self.catalog.same(&added.column.name, column))
    }

    fn dropped(&self, column: &Ident) -> Option<&'w Dropped<'a>> {
        self.of.dropped.iter().find(|dropped| dropped.column.name == *column)
    }

    fn typed_column(&self, column: &Ident) -> String {
        let table: &Table = self.of.table;
        format!("{}.{}", typed_table(table, self.catalog), typed(column))
    }

    fn refuse(&mut self, refusal: Refusal, at: &Place) {
        self.refused.push(refusal.at(at));
    }
}

fn native<'a>(migration: &'a Migration, table: Option<&'a Table>, alone: &Alone<'a>, stage: Stage) -> Native<'a> {
    let of_statement = migration.changes.iter().filter(|change| change.statement == Some(alone.statement));
    Native {
        table,
        change: alone.change,
        statement: &migration.statements[alone.statement],
        only: of_statement.count() == 1,
        at: alone.at,
        stage,
        required: false,
    }
}

/// Returns whether existing rows may get their values of the column by windows.
fn is_filled(column: &NewColumn) -> bool {
    let makes_values = column.details.as_ref().is_some_and(ColumnDetails::makes_values);
    makes_values || column.default.as_ref().is_some_and(|default| !default.constant)
}

/// Its value follows from its own definition.
fn is_generated(column: &NewColumn) -> bool {
    column.others.iter().any(|clause| clause == "GENERATED")
}

fn needs_sync(operation: &Operation<'_>) -> bool {
    match operation {
        Operation::AsWritten(_) | Operation::Rows(_) | Operation::Native(_) => false,
        Operation::Fill(_) | Operation::Pair(_) | Operation::Retype(_) => true,
    }
}
