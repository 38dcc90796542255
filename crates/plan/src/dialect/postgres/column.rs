//! A change of a property of a column, its NULLs, or NOT NULL of a column that is there.

use segue_model::catalog::{Column, Table, TableKind};
use segue_model::change::{Change, ColumnChange, ColumnProperty, Directive, Place};
use segue_model::expr::Expr;
use segue_model::probe::{Answer, Probe};
use segue_model::sql::{Hole, Sql};
use segue_model::step::{Action, Asks, Phase, Step, Undo};

use super::attribute::{self, Attribute};
use super::mirror::display;
use super::work::{Work, undo_step};
use super::{descendants, gates, identity, not_null, prove, refill, sql, types};
use crate::dialect::Planned;
use crate::operation::{Context, Native, Stage};
use crate::refusal::Refusal;

/// The first version with a compression a column.
const COMPRESSION: u32 = 14;

/// The first version in which an identity is every partition's.
const IDENTITY_BELOW: u32 = 17;

/// What is changed, found in the catalog.
struct Property<'a> {
    table: &'a Table,
    change: &'a ColumnChange,
    /// The column; `None` where this file adds it.
    column: Option<&'a Column>,
    stage: Stage,
    required: bool,
}

/// Returns the open questions.
///
/// # Errors
/// A refusal that needs no further answer.
pub(super) fn probes(native: &Native<'_>, context: &Context<'_>) -> Result<Vec<Probe>, Refusal> {
    let Some(table) = native.table else { return Ok(vec![]) };
    let mut open = vec![gates::owner_probe(&table.name)];
    open.extend(descendants::probe(table));
    if let Change::SetNotNull { column, .. } = native.change
        && let Some(column) = context.catalog.column(table, column)
    {
        open.extend(not_null::probes(table, column, context)?);
    }
    if let Some(Property { change, column: Some(column), .. }) = property(native, context) {
        match &change.what {
            ColumnProperty::Fill(expr) => open.extend(refill::probes(native, (table, column), expr, context)?),
            ColumnProperty::SetDefault(default) => open.push(default_probe(table, column, default)),
            ColumnProperty::DropNotNull => open.push(types::probe(&column.type_name)),
            _ => {}
        }
        open.push(attribute::probe(&table.name, &column.name, context));
    }
    Ok(open)
}

/// Returns the steps.
///
/// # Errors
/// A refusal when this cannot be done while the application runs.
pub(super) fn plan(native: &Native<'_>, context: &Context<'_>) -> Result<Planned, Refusal> {
    let Some(table) = native.table else { return Err(super::alone::later(native)) };
    changeable(table)?;
    gates::owner(table, context)?;
    if let Change::SetNotNull { column, .. } = native.change {
        let Some(column) = context.catalog.column(table, column) else { return Err(super::alone::later(native)) };
        let planned = not_null::set(table, column, context)?;
        return Ok(below(planned, table, context));
    }
    let Some(property) = property(native, context) else { return Err(super::alone::later(native)) };
    let planned = match property.column {
        Some(column) => of_old(native, &property, column, context)?,
        None => of_new(native, &property, context)?,
    };
    Ok(if recurses(&property, context) { below(planned, table, context) } else { planned })
}

fn property<'a>(native: &Native<'a>, context: &Context<'a>) -> Option<Property<'a>> {
    let (Change::Column(change), Some(table)) = (native.change, native.table) else { return None };
    let column = context.catalog.column(table, &change.column);
    Some(Property { table, change, column, stage: native.stage, required: native.required })
}

fn below(planned: Planned, table: &Table, context: &Context<'_>) -> Planned {
    Planned { steps: descendants::locked_too(planned.steps, table, context), ..planned }
}

/// What is said of these properties holds for partitions and children too (`ATPrepCmd` of `tablecmds.c`).
fn recurses(property: &Property<'_>, context: &Context<'_>) -> bool {
    match property.change.what {
        ColumnProperty::Options | ColumnProperty::Compression => false,
        ColumnProperty::AddIdentity | ColumnProperty::SetIdentity | ColumnProperty::DropIdentity => {
            context.server.version.major >= IDENTITY_BELOW && property.table.kind == TableKind::Partitioned
        }
        _ => true,
    }
}

fn changeable(table: &Table) -> Result<(), Refusal> {
    match table.kind {
        TableKind::Ordinary | TableKind::Partitioned | TableKind::Partition => Ok(()),
        TableKind::View | TableKind::MaterializedView | TableKind::Foreign | TableKind::Virtual => {
            Err(Refusal::NotYet {
                what: format!("a change of a column of {}, which is no table", table.name),
                instead: "Change the table that it is made of.".to_owned(),
            })
        }
    }
}

fn of_old(
    native: &Native<'_>,
    property: &Property<'_>,
    column: &Column,
    context: &Context<'_>,
) -> Result<Planned, Refusal> {
    let table = property.table;
    let of = || attribute::of(&table.name, &column.name, context);
    match &property.change.what {
        ColumnProperty::SetDefault(_) => set_default(property, column, context),
        ColumnProperty::DropDefault => Ok(drop_default(property, column)),
        ColumnProperty::DropNotNull => not_null::drop(table, column, property.written(), context),
        ColumnProperty::Fill(expr) => refill::plan(native, (table, column), expr, context),
        ColumnProperty::AddIdentity => identity::add(table, column, property.written()),
        ColumnProperty::SetIdentity => identity::set(table, column, &of()?, property.written()),
        ColumnProperty::DropIdentity => identity::drop(table, column, &of()?, property.written()),
        ColumnProperty::SetExpression => set_expression(property, column, &of()?),
        ColumnProperty::DropExpression => Err(drop_expression(property, column)),
        ColumnProperty::Statistics
        | ColumnProperty::Options
        | ColumnProperty::Storage
        | ColumnProperty::Compression => stored(property, &of()?, context),
    }
}

/// What is said of a column that this file adds goes with it.
fn of_new(native: &Native<'_>, property: &Property<'_>, context: &Context<'_>) -> Result<Planned, Refusal> {
    let follows = property.transform(context).is_some();
    let (phase, facts): (Phase, &'static [&'static str]) = match &property.change.what {
        ColumnProperty::DropDefault if property.required && !follows => return Ok(drop_new_default(property)),
        ColumnProperty::SetDefault(_) | ColumnProperty::DropDefault => {
            (property.when_settled(native, context)?, &["col.set_default"])
        }
        ColumnProperty::Statistics => (property.when_there(), &["col.set_statistics"]),
        ColumnProperty::Options => (property.when_there(), &["col.set_attopt"]),
        ColumnProperty::Storage => (property.when_there(), &["col.set_storage"]),
        ColumnProperty::Compression => (property.when_there(), &["col.set_compression"]),
        ColumnProperty::DropNotNull
        | ColumnProperty::Fill(_)
        | ColumnProperty::AddIdentity
        | ColumnProperty::SetIdentity
        | ColumnProperty::DropIdentity
        | ColumnProperty::SetExpression
        | ColumnProperty::DropExpression => {
            return Err(Refusal::NotYet {
                what: format!(
                    "{} of `{}`, a column that this file adds",
                    native.change.kind().replace('_', " "),
                    property.change.column
                ),
                instead: "Add it as it is to be.".to_owned(),
            });
        }
    };
    let undo = if phase == Phase::Cleanup { Undo::Impossible } else { Undo::Nothing };
    let step = property.step(phase, facts, undo);
    Ok(Planned { steps: vec![step], ..Planned::default() })
}

impl Property<'_> {
    fn written(&self) -> Sql {
        let command = Sql::written(&self.change.command);
        sql(
            "ALTER TABLE {table} {command}",
            &[("table", Hole::Table(&self.table.name)), ("command", Hole::Sql(&command))],
        )
    }

    fn step(&self, phase: Phase, facts: &'static [&'static str], undo: Undo) -> Step {
        Work {
            phase,
            title: format!("{} of `{}` of {}", self.words(), self.change.column, self.table.name),
            action: Action::Sql(vec![self.written()]),
            facts,
            table: &self.table.name,
            undo,
        }
        .step()
    }

    fn words(&self) -> &'static str {
        match self.change.what {
            ColumnProperty::SetDefault(_) => "set the default",
            ColumnProperty::DropDefault => "drop the default",
            ColumnProperty::Statistics => "set the statistics target",
            ColumnProperty::Options => "set options",
            ColumnProperty::Storage => "set the storage",
            ColumnProperty::Compression => "set the compression",
            _ => "change a property",
        }
    }

    /// A column that windows fill is added before sync begins.
    fn when_there(&self) -> Phase {
        if self.stage == Stage::Filled { Phase::Sync } else { Phase::Expand }
    }

    /// What follows from other columns carries no default until cleanup: a row that leaves it out must be told from one that
    /// does not. There its own step comes before this one.
    fn when_settled(&self, native: &Native<'_>, context: &Context<'_>) -> Result<Phase, Refusal> {
        match (self.stage, self.transform(context)) {
            (_, Some(transform)) if transform > native.at => Err(Refusal::Impossible {
                what: format!("{} of `{}` before the UPDATE that fills it", self.words(), self.change.column),
                why: "the column carries no default until its rows are filled".to_owned(),
                instead: "Move it below that UPDATE.".to_owned(),
            }),
            (_, Some(_)) => Ok(Phase::Cleanup),
            (Stage::Now | Stage::Added, None) => Ok(Phase::Expand),
            (Stage::Filled, None) => Ok(Phase::Verify),
        }
    }

    /// Returns where the file says how the column follows from others.
    fn transform<'c>(&self, context: &Context<'c>) -> Option<&'c Place> {
        let (catalog, migration) = (context.catalog, context.migration);
        let of = |table| catalog.find(table).is_some_and(|found| found.name == self.table.name);
        let is_it = |column| catalog.same(column, &self.change.column);
        let said = migration.changes.iter().find(|change| match &change.what {
            Change::Transform { table, assignments } => {
                of(table) && assignments.iter().any(|(column, _)| is_it(column))
            }
            _ => false,
        });
        let directed = migration.directives.iter().find(|directive| match &directive.what {
            Directive::Forward { table, column, .. } => of(table) && is_it(column),
            _ => false,
        });
        said.map(|said| &said.at).or(directed.map(|directed| &directed.at))
    }
}

fn set_default(property: &Property<'_>, column: &Column, context: &Context<'_>) -> Result<Planned, Refusal> {
    let table = property.table;
    if column.identity.is_some() || column.generated.is_some() {
        return Err(Refusal::Impossible {
            what: format!("a DEFAULT of `{}` of {}", column.name, table.name),
            why: "the column makes its values itself".to_owned(),
            instead: "Take the identity or the expression from it first.".to_owned(),
        });
    }
    if let Some(Answer::Failed { message, .. }) = context.answers.get(&default_key(table, column)) {
        return Err(Refusal::Impossible {
            what: format!("the new DEFAULT of `{}` of {}", column.name, table.name),
            why: message.clone(),
            instead: format!("Write a default that {} takes.", column.type_name),
        });
    }
    let step = property.step(Phase::Expand, &["col.set_default"], Undo::Lossless(vec![default_back(table, column)]));
    Ok(Planned { steps: vec![step], ..Planned::default() })
}

fn default_back(table: &Table, column: &Column) -> segue_model::step::UndoStep {
    let back = match &column.default {
        Some(default) => prove::set_default(&table.name, &column.name, &Sql::of_catalog(default)),
        None => prove::drop_default(&table.name, &column.name),
    };
    undo_step(&table.name, &["col.set_default"], vec![back])
}

/// The planner tells whether the server takes it, without computing what has an effect.
fn default_probe(table: &Table, column: &Column, default: &Expr) -> Probe {
    let sql = sql(
        "EXPLAIN (COSTS OFF) SELECT CAST(({default}) AS {type})",
        &[("default", Hole::Sql(&Sql::source(default))), ("type", Hole::Type(&column.type_name))],
    );
    Probe { key: default_key(table, column), sql }
}

fn default_key(table: &Table, column: &Column) -> String {
    format!("new default:{}:{}", display(&table.name), column.name.as_str())
}

fn drop_default(property: &Property<'_>, column: &Column) -> Planned {
    let table = property.table;
    let undo = match column.default {
        Some(_) => Undo::Lossless(vec![default_back(table, column)]),
        None => Undo::Nothing,
    };
    let step = property.step(Phase::Expand, &["col.drop_default"], undo);
    let note = match (column.default.is_some(), column.not_null) {
        (true, true) => Some(format!(
            "an INSERT that leaves `{}` of {} out fails from then on: code that does must be gone before",
            column.name, table.name
        )),
        (true, false) => {
            Some(format!("an INSERT that leaves `{}` of {} out writes NULL from then on", column.name, table.name))
        }
        (false, _) => None,
    };
    Planned { steps: vec![step], notes: note.into_iter().collect(), ..Planned::default() }
}

/// Code that runs now leaves the new column out, and lives on its default.
fn drop_new_default(property: &Property<'_>) -> Planned {
    let (table, column) = (&property.table.name, &property.change.column);
    let title = "code that leaves the column out is gone";
    let gate = gates::gate(Phase::Contract, title, table, vec![], Some(Asks::OldVersionStopped));
    let drop = property.step(Phase::Contract, &["col.drop_default"], Undo::Nothing);
    let flip = format!(
        "nothing in the database changes: from ready on deploy the code that writes `{column}`, then run `segue flip`"
    );
    Planned { steps: vec![gate, drop], flip, ..Planned::default() }
}

/// A VIRTUAL column is computed when it is read; of a STORED one every row is written again.
fn set_expression(property: &Property<'_>, column: &Column, of: &Attribute) -> Result<Planned, Refusal> {
    let table = property.table;
    let (Some(before), 'v') = (&column.generated, of.generated) else {
        return Err(Refusal::Impossible {
            what: format!("SET EXPRESSION of `{}` of {}", column.name, table.name),
            why: "every row is written again under the lock, and nobody could read or write meanwhile".to_owned(),
            instead:
                "Add an ordinary column whose transform is the new expression, let code read that, and drop this one."
                    .to_owned(),
        });
    };
    let back = sql(
        "ALTER TABLE {table} ALTER COLUMN {column} SET EXPRESSION AS ({before})",
        &[
            ("table", Hole::Table(&table.name)),
            ("column", Hole::Name(&column.name)),
            ("before", Hole::Sql(&Sql::of_catalog(before))),
        ],
    );
    let undo = Undo::Lossless(vec![undo_step(&table.name, &["col.set_default"], vec![back])]);
    Ok(Planned { steps: vec![property.step(Phase::Expand, &["col.set_default"], undo)], ..Planned::default() })
}

fn drop_expression(property: &Property<'_>, column: &Column) -> Refusal {
    Refusal::Impossible {
        what: format!("DROP EXPRESSION of `{}` of {}", column.name, property.table.name),
        why:
            "running code leaves the column out and would write NULL from then on, and there is no way back: no column \
              becomes GENERATED again"
                .to_owned(),
        instead:
            "Add an ordinary column whose transform is the same expression, let code write that, and drop this one."
                .to_owned(),
    }
}

/// How values are stored and counted: what is there stays as it is.
fn stored(property: &Property<'_>, of: &Attribute, context: &Context<'_>) -> Result<Planned, Refusal> {
    if property.change.what == ColumnProperty::Compression && context.server.version.major < COMPRESSION {
        return Err(Refusal::Impossible {
            what: format!("SET COMPRESSION of `{}` of {}", property.change.column, property.table.name),
            why: format!("PostgreSQL has it from {COMPRESSION} on"),
            instead: "Leave it out.".to_owned(),
        });
    }
    let (facts, back): (&'static [&'static str], Sql) = match property.change.what {
        ColumnProperty::Statistics => {
            (&["col.set_statistics"], property.back(&sql("SET STATISTICS {n}", &[("n", Hole::Int(of.statistics))])))
        }
        ColumnProperty::Storage => {
            (&["col.set_storage"], property.back(&sql("SET STORAGE {s}", &[("s", Hole::Sql(&Sql::fixed(of.storage)))])))
        }
        ColumnProperty::Compression => (
            &["col.set_compression"],
            property.back(&sql("SET COMPRESSION {c}", &[("c", Hole::Sql(&Sql::fixed(of.compression)))])),
        ),
        _ => (&["col.set_attopt"], property.options_back(of)),
    };
    let undo = Undo::Lossless(vec![undo_step(&property.table.name, facts, vec![back])]);
    Ok(Planned { steps: vec![property.step(Phase::Expand, facts, undo)], ..Planned::default() })
}

impl Property<'_> {
    fn back(&self, command: &Sql) -> Sql {
        sql(
            "ALTER TABLE {table} ALTER COLUMN {column} {command}",
            &[
                ("table", Hole::Table(&self.table.name)),
                ("column", Hole::Name(&self.change.column)),
                ("command", Hole::Sql(command)),
            ],
        )
    }

    fn options_back(&self, of: &Attribute) -> Sql {
        let reset = self.back(&Sql::fixed("RESET (n_distinct, n_distinct_inherited)"));
        if of.options.is_empty() {
            return reset;
        }
        let options: Vec<Sql> = of
            .options
            .iter()
            .map(|(name, value)| {
                sql("{n} = {v}", &[("n", Hole::Sql(&Sql::of_catalog(name))), ("v", Hole::Sql(&Sql::of_catalog(value)))])
            })
            .collect();
        sql(
            "{reset}, ALTER COLUMN {column} SET ({options})",
            &[
                ("reset", Hole::Sql(&reset)),
                ("column", Hole::Name(&self.change.column)),
                ("options", Hole::Join(&options, ", ")),
            ],
        )
    }
}
