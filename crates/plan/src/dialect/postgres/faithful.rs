//! What is bound to a column, and how each thing goes over to a copy of it.
//!
//! Two columns exchange names in one short transaction. What the server finds by name then means the copy (functions, most
//! triggers); what it finds by the column's number stays with the old one unless it is made anew. What takes time is made on
//! the copy beforehand: indexes, and constraints that are proved there ([`index`], [`constraint`]). What takes none is
//! dropped and made again from its own text in that transaction ([`held`]). The column's own properties are given to the copy
//! when it is added ([`own`]). Everything goes back the same way.

pub(super) mod constraint;
pub(super) mod held;
pub(super) mod index;
pub(super) mod own;
mod substitute;

use segue_model::catalog::Table;
use segue_model::ident::{Ident, TableName};
use segue_model::lock::{LockMode, RelationLock};
use segue_model::probe::{Answer, Answers, Probe};
use segue_model::sql::{Hole, Sql};
use segue_model::step::{Condition, Step, UndoStep};
use segue_model::value::{Row, Value};

use self::constraint::Constraints;
use self::held::Held;
use self::index::Indexes;
use self::own::Own;
use super::mirror::display;
use super::names::Names;
use super::sql;
use crate::operation::Context;
use crate::refusal::Refusal;

/// A column that has a copy, by the time that the copy in question takes its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Copied {
    /// The table.
    pub(super) table: TableName,
    /// The column.
    pub(super) column: Ident,
    /// The copy's name until its own exchange.
    pub(super) copy: Ident,
}

/// A column and its copy.
pub(super) struct Subject<'a> {
    /// The table.
    pub(super) table: &'a Table,
    /// The column.
    pub(super) column: &'a Ident,
    /// The copy's name before the exchange.
    pub(super) copy: &'a Ident,
    /// The old column's name after it.
    pub(super) aside: &'a Ident,
    /// The names of our objects.
    pub(super) names: Names<'a>,
    /// Columns of any table that exchange names before this one does.
    pub(super) before: &'a [Copied],
}

/// Which columns a definition names that is made for later.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    /// It is made on the copies, before any of them has its name.
    Forward,
    /// It is made on the column that stands aside, while the others have their names.
    Back,
}

impl Subject<'_> {
    /// Returns the table's name.
    pub(super) fn name(&self) -> &TableName {
        &self.table.name
    }

    /// Returns the name of the column that a definition made for later must name.
    fn named(&self, way: Way, table: &TableName, column: &Ident) -> Ident {
        if table == self.name() && column == self.column {
            return if way == Way::Forward { self.copy.clone() } else { self.aside.clone() };
        }
        let before = self.before.iter().find(|copied| copied.table == *table && copied.column == *column);
        before.filter(|_| way == Way::Forward).map_or_else(|| column.clone(), |copied| copied.copy.clone())
    }

    /// Returns the columns of the table whose places are counted: this one first.
    fn counted(&self) -> Vec<&Ident> {
        let before = self.before.iter().filter(|copied| copied.table == *self.name());
        std::iter::once(self.column).chain(before.map(|copied| &copied.column)).collect()
    }

    /// Returns a printed definition for later; `refs` as the server counted them for [`Self::counted`].
    fn substituted(&self, way: Way, printed: &str, refs: &[usize]) -> Option<Sql> {
        let columns = self.counted();
        let copies: Vec<Ident> = columns.iter().map(|column| self.named(way, self.name(), column)).collect();
        let places = columns.iter().zip(&copies).zip(refs.iter().chain(std::iter::repeat(&0)));
        let places = places.map(|((column, copy), refs)| substitute::Place { column, copy, refs: *refs });
        substitute::substitute(printed, &places.collect::<Vec<_>>())
    }

    /// Returns the question, one number, whether the exchange is still to be taken back.
    fn is_aside(&self) -> Sql {
        sql(
            "SELECT pg_catalog.count(*) FROM pg_catalog.pg_attribute AS a WHERE a.attrelid = {table} AND a.attname = {column} \
             AND NOT a.attisdropped",
            &[("table", Hole::Sql(&super::mirror::regclass(self.name()))), ("column", Hole::Text(self.aside.as_str()))],
        )
    }
}

/// Everything that is bound to a column.
pub(super) struct Bound {
    pub(super) indexes: Indexes,
    pub(super) constraints: Constraints,
    pub(super) held: Held,
    pub(super) own: Own,
}

/// Returns the open questions about a column. `also` are columns of the table that have copies too.
pub(super) fn probes(table: &TableName, column: &Ident, also: &[&Ident], context: &Context<'_>) -> Vec<Probe> {
    let counted: Vec<&Ident> = std::iter::once(column).chain(also.iter().copied()).collect();
    vec![
        held::probe(table, column, context),
        index::probe(table, &counted, context),
        constraint::probe(table, &counted, context),
        own::probe(table, column),
    ]
}

/// Returns what is bound to the column.
///
/// # Errors
/// A refusal of what cannot go over to a copy.
pub(super) fn read(subject: &Subject<'_>, context: &Context<'_>) -> Result<Bound, Refusal> {
    Ok(Bound {
        held: held::read(subject.name(), subject.column, context)?,
        indexes: index::read(subject, context)?,
        constraints: constraint::read(subject, context)?,
        own: own::read(subject.name(), subject.column, context)?,
    })
}

impl Bound {
    /// Returns the statements before the columns exchange names, and those after it.
    pub(super) fn exchange(&self, subject: &Subject<'_>, wide: Option<(i64, i64)>) -> (Vec<Sql>, Vec<Sql>) {
        let mut before = self.held.drops();
        before.extend(self.constraints.drops());
        before.extend(self.own.leaves(subject));
        before.extend(self.indexes.leave(subject, Way::Forward));
        let mut after = self.indexes.arrive(subject, Way::Forward);
        after.extend(self.constraints.take_names(subject, Way::Forward));
        after.extend(self.own.arrives(subject, wide));
        after.extend(self.held.creates());
        (before, after)
    }

    /// Returns the same for the way back.
    pub(super) fn exchange_back(&self, subject: &Subject<'_>) -> (Vec<Sql>, Vec<Sql>) {
        let mut before = self.held.drops();
        before.extend(self.constraints.drops());
        before.extend(self.own.leaves(subject));
        before.extend(self.indexes.leave(subject, Way::Back));
        let mut after = self.indexes.arrive(subject, Way::Back);
        after.extend(self.constraints.take_names(subject, Way::Back));
        after.extend(self.own.arrives(subject, None));
        after.extend(self.held.creates());
        (before, after)
    }

    /// Returns what must be made on the old column before the way back.
    pub(super) fn rebuilt(&self, subject: &Subject<'_>) -> Vec<UndoStep> {
        let mut all = self.indexes.rebuilt(subject);
        all.extend(self.constraints.rebuilt(subject));
        all
    }

    /// Returns the steps that make the constraints of the copy, which its indexes must come before.
    pub(super) fn constraint_steps(&self, subject: &Subject<'_>) -> Vec<Step> {
        self.constraints.steps(subject)
    }

    /// Returns what must hold before the exchange.
    pub(super) fn conditions(&self, subject: &Subject<'_>, context: &Context<'_>) -> Vec<Condition> {
        let mut all: Vec<Condition> = self.indexes.condition(subject).into_iter().collect();
        all.extend(self.constraints.condition(subject));
        all.push(self.held.unchanged(subject.name(), subject.column, context));
        all
    }

    /// Returns the locks on other tables that the exchange takes.
    pub(super) fn other_locks(&self, subject: &Subject<'_>) -> Vec<RelationLock> {
        let others = self.constraints.other_tables(subject.name());
        others.into_iter().map(|relation| RelationLock { relation, mode: LockMode::AccessExclusive }).collect()
    }

    /// Returns what the user should know.
    pub(super) fn notes(&self, subject: &Subject<'_>) -> Vec<String> {
        let again = self.held.labels();
        let held = (!again.is_empty()).then(|| {
            format!(
                "in the transaction of flip these are dropped and made again as they are, because they are bound to `{}`: {}",
                subject.column,
                again.join(", ")
            )
        });
        held.into_iter().chain(self.constraints.note()).chain(self.own.note(subject)).collect()
    }
}

/// Returns the answer's rows.
///
/// # Errors
/// A refusal when the server did not say.
fn rows<'r>(answers: &'r Answers, key: &str, table: &TableName, column: &Ident) -> Result<&'r [Row], Refusal> {
    let why = match answers.get(key) {
        Some(Answer::Rows(rows)) => return Ok(rows),
        Some(Answer::Failed { message, .. }) => message.clone(),
        Some(Answer::TimedOut) | None => "the server did not answer in time".to_owned(),
    };
    Err(Refusal::Impossible {
        what: format!("what is bound to `{table}.{column}` could not be looked up"),
        why,
        instead: "Try again; if it stays, check the connection and the role's rights.".to_owned(),
    })
}

/// Returns the key of a question about a column.
fn key(what: &str, table: &TableName, column: &Ident) -> String {
    format!("{what}:{}:{}", display(table), column.as_str())
}

/// A row of texts, read by position.
struct Cells<'r>(&'r Row);

impl<'r> Cells<'r> {
    fn opt(&self, at: usize) -> Option<&'r str> {
        self.0.get(at).and_then(Value::as_str)
    }

    fn text(&self, at: usize) -> &'r str {
        self.opt(at).unwrap_or_default()
    }

    fn flag(&self, at: usize) -> bool {
        matches!(self.text(at), "true" | "t")
    }

    fn letter(&self, at: usize) -> char {
        self.text(at).chars().next().unwrap_or(' ')
    }

    fn name(&self, at: usize) -> Option<Ident> {
        Ident::new(self.text(at)).ok()
    }

    fn table(&self, schema: usize, name: usize) -> Option<TableName> {
        Some(TableName { schema: self.name(schema)?, name: self.name(name)? })
    }

    /// Returns numbers that stand behind commas.
    fn numbers(&self, at: usize) -> Vec<usize> {
        self.text(at).split(',').filter_map(|number| number.parse().ok()).collect()
    }
}
