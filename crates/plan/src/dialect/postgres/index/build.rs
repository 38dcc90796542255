//! CREATE INDEX: built while the application writes.

use segue_model::catalog::{Table, TableKind};
use segue_model::change::NewIndex;
use segue_model::ident::{Ident, TableName};
use segue_model::probe::Probe;
use segue_model::sql::{Hole, Sql};
use segue_model::step::{Action, Phase, Step, Undo, UndoStep};

use super::{chosen, duplicates, settle, tree};
use crate::dialect::Planned;
use crate::dialect::postgres::work::{Work, undo_step};
use crate::dialect::postgres::{leaves, sql};
use crate::operation::{Context, Native, Stage};
use crate::refusal::Refusal;

/// Returns the questions about partitions and duplicates.
///
/// # Errors
/// A refusal of something that takes no index.
pub(super) fn probes(native: &Native<'_>, new: &NewIndex, context: &Context<'_>) -> Result<Vec<Probe>, Refusal> {
    let table = table(native)?;
    takes_indexes(table)?;
    let mut open: Vec<Probe> = leaves::probe(table).into_iter().collect();
    open.extend(tree::free_probe(table));
    open.extend(duplicates::probe(native, new, &table.name));
    // The names of this index also depend on those before it.
    let earlier = context.migration.changes.iter().take_while(|change| change.at != *native.at);
    let tables = earlier.filter_map(|change| change.what.table().and_then(|table| context.catalog.find(table)));
    for other in tables {
        open.extend(leaves::probe(other));
        open.extend(tree::free_probe(other));
    }
    Ok(open)
}

/// Returns the steps.
///
/// # Errors
/// A refusal for a name that is in use, and for duplicates.
pub(super) fn plan(native: &Native<'_>, new: &NewIndex, context: &Context<'_>) -> Result<Planned, Refusal> {
    let table = table(native)?;
    takes_indexes(table)?;
    duplicates::gate(new, table, context)?;
    let names = chosen::names_at(native.at, context)?;
    let phase = phase(native, new);
    let Some(index) = names.index.clone() else {
        return Err(Refusal::Impossible {
            what: "a name for the index".to_owned(),
            why: "the file does not say where it stands".to_owned(),
            instead: "Write the index's name.".to_owned(),
        });
    };
    let mut notes = notes(native, new, table);
    let steps = if table.kind == TableKind::Partitioned {
        tree::steps(&Building { new, phase }, table, &names, context)?
    } else {
        if new.only && table.inherits {
            notes.push(format!("children of {} get no index by this", table.name));
        }
        let index = TableName { schema: table.name.schema.clone(), name: index };
        vec![Building { new, phase }.concurrently(&table.name, &index, table.kind == TableKind::Partition)]
    };
    Ok(Planned { steps, notes, ..Planned::default() })
}

fn table<'a>(native: &Native<'a>) -> Result<&'a Table, Refusal> {
    native.table.ok_or_else(|| Refusal::Impossible {
        what: "CREATE INDEX".to_owned(),
        why: "its table is not known".to_owned(),
        instead: "Check the table's name.".to_owned(),
    })
}

fn takes_indexes(table: &Table) -> Result<(), Refusal> {
    let why = match table.kind {
        TableKind::View => "it is a view, whose rows are those of its query",
        TableKind::Foreign => "it is a foreign table, whose rows are on another server",
        TableKind::Virtual => "it has no rows of its own",
        TableKind::Ordinary | TableKind::Partitioned | TableKind::Partition | TableKind::MaterializedView => {
            return Ok(());
        }
    };
    Err(Refusal::Impossible {
        what: format!("an index on {}", table.name),
        why: why.to_owned(),
        instead: "Create it on the table that holds the rows.".to_owned(),
    })
}

/// An index over columns that are being filled would only slow that down; one that is unique would make a write of old code
/// fail as long as there is any.
fn phase(native: &Native<'_>, new: &NewIndex) -> Phase {
    match (native.stage, new.unique) {
        (Stage::Now | Stage::Added, _) => Phase::Expand,
        (Stage::Filled, false) => Phase::Backfill,
        (Stage::Filled, true) => Phase::Contract,
    }
}

fn notes(native: &Native<'_>, new: &NewIndex, table: &Table) -> Vec<String> {
    let mut notes = vec![];
    if new.unique && native.stage == Stage::Filled {
        notes.push(format!(
            "the unique index on {} is built at contract: before, a write of old code could fail by it; duplicates are \
             found then",
            table.name
        ));
    }
    notes
}

/// An index that is built.
pub(super) struct Building<'n> {
    pub(super) new: &'n NewIndex,
    pub(super) phase: Phase,
}

impl Building<'_> {
    /// Returns the step that builds it on one table, while reads and writes go on.
    pub(super) fn concurrently(&self, table: &TableName, index: &TableName, of_partition: bool) -> Step {
        let drop = settle::drop_concurrently(index);
        let undo = undo_step(table, &["idx.drop_conc"], vec![drop.clone()]);
        let undo = UndoStep { needed: of_partition.then(|| settle::stands_alone(index)), ..undo };
        let work = Work {
            phase: self.phase,
            title: format!("build the index `{}` on {table}", index.name),
            action: Action::Settled { sql: self.sql(table, &index.name), settle: settle::settle_created(index) },
            facts: &["idx.create_conc"],
            table,
            undo: Undo::Lossless(vec![undo]),
        };
        Step { on_interrupted: vec![drop], ..work.step() }
    }

    /// Returns the statement that builds it while others write.
    fn sql(&self, table: &TableName, index: &Ident) -> Sql {
        self.on("CREATE {unique}INDEX CONCURRENTLY {index} ON {table} {definition}", table, index)
    }

    /// Returns the statement that declares it for a partitioned table, without building anything.
    pub(super) fn only(&self, table: &TableName, index: &Ident) -> Sql {
        self.on("CREATE {unique}INDEX {index} ON ONLY {table} {definition}", table, index)
    }

    fn on(&self, template: &'static str, table: &TableName, index: &Ident) -> Sql {
        sql(
            template,
            &[
                ("unique", Hole::Sql(&Sql::fixed(if self.new.unique { "UNIQUE " } else { "" }))),
                ("index", Hole::Name(index)),
                ("table", Hole::Table(table)),
                ("definition", Hole::Sql(&Sql::written(&self.new.definition))),
            ],
        )
    }
}
