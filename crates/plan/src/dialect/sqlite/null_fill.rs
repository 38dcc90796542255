//! The NULLs of a column that is there already: filled by windows, and known again when the change is taken back.

use segue_model::catalog::{Column, Table};
use segue_model::change::{Change, ColumnChange, ColumnProperty};
use segue_model::expr::Expr;
use segue_model::ident::Ident;
use segue_model::sql::{Hole, Sql};
use segue_model::step::{Action, Asks, Backfill, Phase, Snapshot, Step, Undo, UndoStep, Windows};

use super::backfill::cut_of;
use super::contract::{gate, not_null};
use super::mirror::{Derived, Mirror, Of, window};
use super::names::Names;
use super::rebuild::{emptied_and_dropped, emptying};
use super::work::{Work, undo_step};
use super::{column, lookup, obstacle, sql, types};
use crate::dialect::Planned;
use crate::operation::{Context, Native};
use crate::refusal::Refusal;
use crate::wanted::no_column;

/// Returns whether the file also fills the NULLs of this column.
pub(super) fn is_filled(native: &Native<'_>, column: &Ident, context: &Context<'_>) -> bool {
    let same_table = |change: &ColumnChange| {
        native
            .table
            .is_some_and(|table| context.catalog.find(&change.table).is_some_and(|other| other.name == table.name))
    };
    context.migration.changes.iter().any(|change| match &change.what {
        Change::Column(change) => {
            matches!(change.what, ColumnProperty::Fill(_))
                && same_table(change)
                && context.catalog.same(&change.column, column)
        }
        _ => false,
    })
}

/// Returns whether the file also makes the column NOT NULL.
fn ends_not_null(table: &Table, column: &Ident, context: &Context<'_>) -> bool {
    context.migration.changes.iter().any(|change| match &change.what {
        Change::SetNotNull { table: of, column: named } => {
            context.catalog.find(of).is_some_and(|of| of.name == table.name) && context.catalog.same(named, column)
        }
        _ => false,
    })
}

/// Returns the steps.
///
/// # Errors
/// A refusal for an expression that has no value of its own for each row.
pub(super) fn plan(
    native: &Native<'_>,
    table: &Table,
    column: &Column,
    expr: &Expr,
    context: &Context<'_>,
) -> Result<Planned, Refusal> {
    super::alone::not_beside_pairs(native, context)?;
    readable(table, expr, context)?;
    lookup::stable(expr)?;
    if types::is_strict(table) && !expr.constant && !types::fits_strict(table, expr, column.type_name.as_str()) {
        return Err(Refusal::NotYet {
            what: format!("the value `{}` for a column of a STRICT table", expr.source),
            instead: "Write a literal of the column's type.".to_owned(),
        });
    }
    let not_null = ends_not_null(table, &column.name, context) && !column.not_null;
    let names = Names::new(table, &column.name, context)?;
    let fill = NullFill::new(table, column, expr, &names)?;
    let mut steps = vec![fill.remember(), fill.fill(Phase::Backfill)];
    if not_null {
        obstacle::library(context, 53, "SET NOT NULL")?;
        let title = "nothing writes a NULL any more";
        steps.push(gate(&table.name, Phase::Contract, title, vec![], Some(Asks::OldVersionStopped)));
        steps.push(fill.fill(Phase::Contract));
        steps.push(fill.set_not_null());
    }
    steps.extend(fill.forget());
    let mut notes = fired(table);
    notes.push(format!(
        "an INSERT or UPDATE may still write a NULL to `{}`{}",
        column.name,
        if not_null { " until contract" } else { "" }
    ));
    Ok(Planned { steps, notes, flip: "nothing changes in the database".to_owned(), loses: None })
}

fn readable(table: &Table, expr: &Expr, context: &Context<'_>) -> Result<(), Refusal> {
    match expr.columns().into_iter().find(|read| context.catalog.column(table, read).is_none()) {
        Some(read) => Err(no_column(table, read, table.columns.iter().map(|column| column.name.as_str()))),
        None => Ok(()),
    }
}

fn fired(table: &Table) -> Vec<String> {
    if table.triggers.is_empty() {
        return vec![];
    }
    vec![format!("your UPDATE triggers on `{}` fire for each row that is filled", table.name.name)]
}

struct NullFill<'a> {
    mirror: Mirror<'a>,
    names: &'a Names,
}

impl<'a> NullFill<'a> {
    fn new(table: &'a Table, column: &Column, expr: &Expr, names: &'a Names) -> Result<Self, Refusal> {
        let new = Derived {
            name: column.name.clone(),
            declared: column.type_name.as_str().to_owned(),
            expr: expr.clone(),
            not_null: column.not_null,
        };
        let rowid = obstacle::rowid(table)?;
        let mirror = Mirror {
            table,
            rowid,
            new: vec![new],
            old: vec![],
            marker: None,
            renamed: std::collections::BTreeMap::new(),
        };
        Ok(Self { mirror, names })
    }

    fn column(&self) -> &Ident {
        &self.mirror.new[0].name
    }

    /// Which rows were NULL is known nowhere else once they are filled.
    fn remember(&self) -> Step {
        let (table, keeps, rowid) = (self.mirror.name(), self.names.keep(), Ident::known("segue_rowid"));
        let create = sql(
            "CREATE TABLE {keeps} ({rowid} INTEGER PRIMARY KEY)",
            &[("keeps", Hole::Table(&keeps)), ("rowid", Hole::Name(&rowid))],
        );
        let copy = self.of_rows(
            "INSERT OR IGNORE INTO {keeps} SELECT {rowid} FROM {table} WHERE {window} AND {column} IS NULL",
            vec![("keeps", Hole::Table(&keeps))],
        );
        let cut = cut_of(table, &self.mirror.rowid);
        Work {
            phase: Phase::Sync,
            title: format!(
                "remember in `{}` which rows of `{}` have no value in `{}`",
                keeps.name,
                table.name,
                self.column()
            ),
            undo: Undo::Lossless(emptied_and_dropped(&keeps, &rowid)),
            action: Action::Snapshot(Snapshot { keeps, create: vec![create], copy: Some((cut, copy)) }),
            facts: &["dml.copy_window"],
            table,
        }
        .step()
    }

    fn fill(&self, phase: Phase) -> Step {
        let table = self.mirror.name();
        let fill = self.of_rows(
            "UPDATE {table} SET {column} = {value} WHERE {window} AND {column} IS NULL AND {value} IS NOT NULL",
            vec![("value", Hole::Sql(&self.value()))],
        );
        Work {
            phase,
            title: format!("fill `{}` of the rows of `{}` that have no value in it", self.column(), table.name),
            action: Action::Backfill(Backfill {
                cut: cut_of(table, &self.mirror.rowid),
                before: vec![],
                fill,
                fill_unlocked: None,
                failures: None,
                pace: None,
                lazy: false,
                once: false,
            }),
            facts: &["dml.update_window"],
            table,
            undo: if phase == Phase::Backfill { Undo::Lossless(vec![self.empty_again()]) } else { Undo::Nothing },
        }
        .step()
    }

    /// A row that has another value since keeps it: somebody has written it.
    fn empty_again(&self) -> UndoStep {
        let (table, keeps) = (self.mirror.name(), self.names.keep());
        let follows = self.mirror.follows(Of::Row, &self.mirror.new);
        let empty = self.of_rows(
            "UPDATE {table} SET {column} = NULL WHERE {window} AND {follows} \
             AND {rowid} IN (SELECT segue_rowid FROM {keeps})",
            vec![("follows", Hole::Sql(&follows)), ("keeps", Hole::Table(&keeps))],
        );
        UndoStep {
            windows: Some(Windows { cut: cut_of(table, &self.mirror.rowid), sql: empty }),
            ..undo_step(table, &["dml.update_window"], vec![])
        }
    }

    fn set_not_null(&self) -> Step {
        let (table, column) = (self.mirror.name(), self.column());
        let back = vec![column::nullable(self.mirror.table, column)];
        Work {
            phase: Phase::Contract,
            title: format!("`{column}` is NOT NULL from now on"),
            action: Action::Sql(vec![not_null(table, column)]),
            facts: &["notnull.set"],
            table,
            undo: Undo::Lossless(vec![undo_step(table, &["notnull.drop"], back)]),
        }
        .step()
    }

    fn forget(&self) -> [Step; 2] {
        let (table, keeps, rowid) = (self.mirror.name(), self.names.keep(), Ident::known("segue_rowid"));
        let Windows { cut, sql: delete } = emptying(&keeps, &rowid);
        let empty = Backfill {
            cut,
            before: vec![],
            fill: delete,
            fill_unlocked: None,
            failures: None,
            pace: None,
            lazy: false,
            once: false,
        };
        let step = |title: String, action: Action, facts: &'static [&'static str]| {
            Work { phase: Phase::Cleanup, title, action, facts, table, undo: Undo::Impossible }.step()
        };
        let drop = sql("DROP TABLE IF EXISTS {keeps}", &[("keeps", Hole::Table(&keeps))]);
        [
            step(format!("empty `{}`", keeps.name), Action::Backfill(empty), &["dml.copy_window"]),
            step(format!("drop `{}`, which is empty", keeps.name), Action::Sql(vec![drop]), &["tab.drop"]),
        ]
    }

    fn value(&self) -> Sql {
        self.mirror.value(Of::Row, &self.mirror.new[0].expr)
    }

    fn of_rows<'s>(&'s self, template: &'static str, more: Vec<(&'static str, Hole<'s>)>) -> Sql {
        let window = window(&self.mirror.rowid);
        let all: Vec<(&'static str, Hole<'_>)> = vec![
            ("table", Hole::Table(self.mirror.name())),
            ("rowid", Hole::Name(&self.mirror.rowid)),
            ("column", Hole::Name(self.column())),
            ("window", Hole::Sql(&window)),
        ];
        let named = |hole: &(&'static str, Hole<'_>)| template.contains(&["{", hole.0, "}"].concat());
        let holes: Vec<(&'static str, Hole<'_>)> = all.into_iter().chain(more).filter(named).collect();
        sql(template, &holes)
    }
}
