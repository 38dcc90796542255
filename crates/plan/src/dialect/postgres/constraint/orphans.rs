//! Rows that point nowhere, where the file says what becomes of them: they are copied aside, then changed, by windows.

use segue_model::catalog::{Column, Table};
use segue_model::change::{Directive, NewConstraint, Orphans};
use segue_model::ident::{Ident, TableName, tag_of};
use segue_model::sql::{Hole, Sql};
use segue_model::step::{Action, Backfill, Cut, CutBy, Phase, Step, Transaction, Undo, UndoStep};

use super::super::mirror::regclass;
use super::super::work::{Work, undo_step};
use super::super::{names, sql};
use super::Subject;
use super::foreign::Foreign;
use crate::operation::{Context, Stage};
use crate::refusal::Refusal;
use crate::strategy::is_meant;

/// The first version that scans a range of row addresses.
const TID_RANGE: u32 = 14;

/// Returns what the file says of the orphans of a foreign key.
pub(super) fn treated(subject: Subject<'_>, new: &NewConstraint, context: &Context<'_>) -> Orphans {
    let said = context.migration.directives.iter().find_map(|directive| match &directive.what {
        Directive::Orphans { of, treated } if is_meant(of, &subject.wanted.table, new) => Some(*treated),
        _ => None,
    });
    said.unwrap_or(Orphans::Refuse)
}

/// Returns the refusal of a table that cannot be cut into windows.
pub(super) fn not_of_partitions(table: &Table) -> Refusal {
    Refusal::NotYet {
        what: format!("orphans of {}, a partitioned table", table.name),
        instead: "Say it in a file for each partition, or correct these rows first.".to_owned(),
    }
}

/// Orphans, and the table that keeps what they were.
pub(super) struct Keep<'a> {
    foreign: Foreign<'a>,
    treated: Orphans,
    kept: TableName,
    phase: Phase,
}

/// Returns how orphans are treated; `None` where they are refused.
///
/// # Errors
/// A refusal where that could not be taken back, or would reach further than it says.
pub(super) fn keep<'a>(
    subject: Subject<'a>,
    foreign: &Foreign<'a>,
    treated: Orphans,
    context: &Context<'_>,
) -> Result<Option<Keep<'a>>, Refusal> {
    match treated {
        Orphans::Refuse => return Ok(None),
        Orphans::Null => nullable(foreign)?,
        Orphans::Quarantine => nobody_points_there(foreign.table)?,
    }
    if subject.stage != Stage::Now {
        return Err(not(foreign.table, "a column of it is added by this file", "Correct the rows in its UPDATE."));
    }
    let (schema, table) = (names::schema(), foreign.table.name.name.as_str());
    let parts = [
        context.migration.id.as_str(),
        &foreign.table.name.to_string(),
        &foreign.columns.iter().map(Ident::as_str).collect::<Vec<_>>().join(","),
    ];
    let kept = TableName { schema, name: Ident::of_ours("orphans_", table, &tag_of(&parts), 63) };
    if context.catalog.tables.iter().any(|known| known.name == kept) {
        return Err(Refusal::Exists { name: kept.to_string() });
    }
    Ok(Some(Keep { foreign: foreign.clone(), treated, kept, phase: subject.phase() }))
}

fn nullable(foreign: &Foreign<'_>) -> Result<(), Refusal> {
    let fixed =
        |column: &&Column| foreign.columns.contains(&column.name) && (column.not_null || column.generated.is_some());
    if let Some(column) = foreign.table.columns.iter().find(fixed) {
        let why = format!("`{}` cannot be NULL", column.name);
        return Err(not(foreign.table, &why, "Say `quarantine`, or correct these rows first."));
    }
    if foreign.table.primary_key().is_empty() {
        let why = "without a primary key nothing tells which row had which value";
        return Err(not(foreign.table, why, "Correct these rows first."));
    }
    Ok(())
}

/// What other rows point to takes them with it.
fn nobody_points_there(table: &Table) -> Result<(), Refusal> {
    match table.referenced_by.first() {
        None => Ok(()),
        Some(other) => {
            let why = format!("rows of {} point to it, and could go with its rows", other.table);
            Err(not(table, &why, "Say `null` where the columns may be NULL, or correct these rows first."))
        }
    }
}

fn not(table: &Table, why: &str, instead: &str) -> Refusal {
    Refusal::Impossible { what: format!("orphans of {}", table.name), why: why.to_owned(), instead: instead.to_owned() }
}

impl Keep<'_> {
    /// Returns the step that creates the table. What it holds is put back when the migration is taken back: after the foreign
    /// key is gone, which would not let it.
    pub(super) fn create(&self) -> Step {
        let table = &self.foreign.table.name;
        let create = sql(
            "CREATE TABLE {kept} AS SELECT {columns} FROM {table} WITH NO DATA",
            &[
                ("kept", Hole::Table(&self.kept)),
                ("columns", Hole::Names(self.columns())),
                ("table", Hole::Table(table)),
            ],
        );
        Work {
            phase: self.phase,
            title: format!("create {}, which keeps what becomes of orphans of {table}", self.kept),
            action: Action::Sql(vec![create]),
            facts: &["tab.create_as_empty"],
            table,
            undo: Undo::Lossless(vec![self.restore()]),
        }
        .step()
    }

    /// What a row is restored from: all of it, or its key and the columns that became NULL.
    fn columns(&self) -> Vec<&Ident> {
        let table = self.foreign.table;
        match self.treated {
            Orphans::Quarantine | Orphans::Refuse => {
                let own = table.columns.iter().filter(|column| column.generated.is_none());
                own.map(|column| &column.name).collect()
            }
            Orphans::Null => {
                let key = table.primary_key();
                let others = self.foreign.columns.iter().filter(|column| !key.contains(column));
                key.iter().chain(others).collect()
            }
        }
    }

    fn restore(&self) -> UndoStep {
        let drop = sql("DROP TABLE {kept}", &[("kept", Hole::Table(&self.kept))]);
        let name = sql("{kept}", &[("kept", Hole::Table(&self.kept))]);
        let needed = sql(
            "SELECT pg_catalog.count(*) FROM pg_catalog.pg_class WHERE oid = pg_catalog.to_regclass({kept})",
            &[("kept", Hole::Body(&name))],
        );
        let back = undo_step(&self.foreign.table.name, &["dml.update_window"], vec![self.back(), drop]);
        UndoStep { needed: Some(needed), ..back }
    }

    fn back(&self) -> Sql {
        let (table, columns) = (&self.foreign.table.name, self.columns());
        if self.treated == Orphans::Quarantine {
            return sql(
                "INSERT INTO {table} ({columns}) OVERRIDING SYSTEM VALUE SELECT {columns} FROM {kept}",
                &[("table", Hole::Table(table)), ("columns", Hole::Names(columns)), ("kept", Hole::Table(&self.kept))],
            );
        }
        let each = |template: &'static str, columns: &[Ident]| -> Vec<Sql> {
            columns.iter().map(|c| sql(template, &[("c", Hole::Name(c))])).collect()
        };
        sql(
            "UPDATE ONLY {table} AS t SET {values} FROM {kept} AS k WHERE {same} AND {still}",
            &[
                ("table", Hole::Table(table)),
                ("values", Hole::Join(&each("{c} = k.{c}", &self.foreign.columns), ", ")),
                ("kept", Hole::Table(&self.kept)),
                ("same", Hole::Join(&each("t.{c} = k.{c}", self.foreign.table.primary_key()), " AND ")),
                ("still", Hole::Join(&each("t.{c} IS NULL", &self.foreign.columns), " AND ")),
            ],
        )
    }

    /// Returns the step that goes over the table.
    pub(super) fn treat(&self, major: u32) -> Step {
        let table = &self.foreign.table.name;
        let (title, treat) = match self.treated {
            Orphans::Null | Orphans::Refuse => ("let orphans point to nothing", include_str!("orphans_null.sql")),
            Orphans::Quarantine => ("move orphans aside", include_str!("orphans_move.sql")),
        };
        let work = Work {
            phase: Phase::Backfill,
            title: format!("{title}: what they were is kept in {}", self.kept),
            action: Action::Backfill(Backfill {
                cut: self.cut(),
                before: vec![],
                fill: self.windowed(treat, "", major),
                fill_unlocked: Some(self.windowed(treat, " SKIP LOCKED", major)),
                failures: None,
                pace: None,
                lazy: false,
                once: true,
            }),
            facts: &["dml.update_window"],
            table,
            undo: Undo::Nothing,
        };
        Step { transaction: Transaction::Own, ..work.step() }
    }

    fn cut(&self) -> Cut {
        let table = &self.foreign.table.name;
        let extent = sql(
            "SELECT 0, (pg_catalog.pg_relation_size({table}) / pg_catalog.current_setting('block_size')::pg_catalog.int8)",
            &[("table", Hole::Sql(&regclass(table)))],
        );
        let by = CutBy::Numbers { extent, end: None };
        Cut { table: table.clone(), unit: "pages".to_owned(), by, size: 32, target_ms: 20, rest_percent: 0 }
    }

    fn windowed(&self, template: &'static str, skip: &'static str, major: u32) -> Sql {
        let window =
            if major >= TID_RANGE { include_str!("../cut/range.sql") } else { include_str!("../cut/list.sql") };
        let nulls: Vec<Sql> = self.foreign.columns.iter().map(|c| sql("{c} = NULL", &[("c", Hole::Name(c))])).collect();
        let mut holes = vec![
            ("table", Hole::Table(&self.foreign.table.name)),
            ("kept", Hole::Table(&self.kept)),
            ("columns", Hole::Names(self.columns())),
        ];
        let window = Sql::fixed(window.trim_end());
        let (orphaned, skip) = (self.foreign.orphaned(), Sql::fixed(skip));
        holes.extend([("window", Hole::Sql(&window)), ("orphaned", Hole::Sql(&orphaned)), ("skip", Hole::Sql(&skip))]);
        if self.treated == Orphans::Null {
            holes.push(("nulls", Hole::Join(&nulls, ", ")));
        }
        sql(template.trim_end(), &holes)
    }

    /// Returns what the user should know.
    pub(super) fn note(&self) -> Vec<String> {
        let table = &self.foreign.table.name;
        let what = match self.treated {
            Orphans::Null | Orphans::Refuse => "of which the columns became NULL, by key",
            Orphans::Quarantine => "that were moved, whole",
        };
        let kept = format!(
            "rows of {table} that point nowhere {what}, stay in {} until you drop it; rollback puts them back",
            self.kept
        );
        let triggers = foreign_triggers(self.foreign.table);
        std::iter::once(kept).chain(triggers).collect()
    }
}

fn foreign_triggers(table: &Table) -> Option<String> {
    let names: Vec<String> = table.triggers.iter().map(|trigger| format!("`{}`", trigger.name)).collect();
    (!names.is_empty()).then(|| format!("the triggers {} of {} fire for its orphans", names.join(", "), table.name))
}
