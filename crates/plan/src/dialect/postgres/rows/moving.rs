//! Which columns move where, and how each side follows from the other.

use segue_model::catalog::{Column, Table};
use segue_model::change::NewTable;
use segue_model::expr::Expr;
use segue_model::ident::{Ident, TableName};
use segue_model::sql::{Hole, Quoting, Sql};

use crate::dialect::postgres::lookup::Lookup;
use crate::dialect::postgres::names::Names;
use crate::dialect::postgres::types::Resolved;
use crate::dialect::postgres::{Postgres, sql};

/// Columns that move from one table to the rows of another.
pub(super) struct Moving<'a> {
    /// The table that they leave.
    pub(super) source: &'a Table,
    /// The table that takes them.
    pub(super) target: TableName,
    /// What the file says of that table.
    pub(super) definition: &'a NewTable,
    /// The names of our objects.
    pub(super) names: Names<'a>,
    /// Which row belongs to which.
    pub(super) key: Vec<KeyPair>,
    /// The other columns of the target that are written.
    pub(super) carried: Vec<Carried>,
    /// Only rows of the source for which this holds have one.
    pub(super) filter: Option<Expr>,
    /// The columns that leave, and how they follow from the target.
    pub(super) old: Vec<Leaving<'a>>,
    /// Where the names in expressions are found.
    pub(super) lookup: Lookup,
    /// The columns that leave bear their hidden names.
    pub(super) is_hidden: bool,
}

/// A column of the target's key, and the column of the source that it is.
pub(super) struct KeyPair {
    pub(super) into: Ident,
    pub(super) from: Ident,
    /// The type in the target.
    pub(super) kind: Resolved,
}

/// A column of the target that follows from the source.
pub(super) struct Carried {
    pub(super) column: Ident,
    pub(super) expr: Expr,
    pub(super) kind: Resolved,
}

/// A column that leaves the source.
pub(super) struct Leaving<'a> {
    pub(super) column: &'a Column,
    /// Its name from contract on.
    pub(super) hidden: Ident,
    /// How it follows from the target.
    pub(super) back: Expr,
    pub(super) kind: Resolved,
}

/// Whose columns are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Of {
    /// A row of the source that goes by `s`.
    Source,
    /// A row of the target that goes by `t`.
    Target,
    /// The row that a trigger sees after the write.
    New,
    /// The row that it saw before.
    Old,
}

impl Moving<'_> {
    /// Returns a column of the row at hand; one of the source under its name of now.
    pub(super) fn column(&self, of: Of, column: &Ident) -> Sql {
        let template = match of {
            Of::Source => "s.{c}",
            Of::Target => "t.{c}",
            Of::New => "NEW.{c}",
            Of::Old => "OLD.{c}",
        };
        sql(template, &[("c", Hole::Name(column))])
    }

    /// Returns the name that a column of the source bears now.
    pub(super) fn now<'n>(&'n self, column: &'n Ident) -> &'n Ident {
        let leaving = self.old.iter().find(|old| old.column.name == *column).filter(|_| self.is_hidden);
        leaving.map_or(column, |old| &old.hidden)
    }

    /// Returns an expression over the source.
    fn of_source(&self, of: Of, expr: &Expr) -> Sql {
        let column = |name: &Ident| self.column(of, self.now(name)).as_str().to_owned();
        Sql::expr(&expr.render(&column, &|name| self.lookup.schema(name)))
    }

    /// Returns the condition that a row of the source has one of the target.
    pub(super) fn holds(&self, of: Of) -> Sql {
        match &self.filter {
            Some(filter) => sql("({f}) IS TRUE", &[("f", Hole::Sql(&self.of_source(of, filter)))]),
            None => Sql::fixed("TRUE"),
        }
    }

    /// Returns what the columns of the target become, those of the key first, each of exactly its type.
    pub(super) fn values(&self, of: Of) -> Vec<Sql> {
        let key = self.key.iter().map(|pair| self.cast(&self.column(of, self.now(&pair.from)), &pair.kind));
        key.chain(self.carried_values(of)).collect()
    }

    /// Returns what the columns of the target become that are not of the key.
    pub(super) fn carried_values(&self, of: Of) -> Vec<Sql> {
        self.carried.iter().map(|carried| self.cast(&self.of_source(of, &carried.expr), &carried.kind)).collect()
    }

    /// Returns what the columns that leave become, each of exactly its type.
    pub(super) fn back_values(&self, of: Of) -> Vec<Sql> {
        let value = |old: &Leaving<'_>| {
            let column = |name: &Ident| self.column(of, name).as_str().to_owned();
            let expr = Sql::expr(&old.back.render(&column, &|name| self.lookup.schema(name)));
            self.cast(&expr, &old.kind)
        };
        self.old.iter().map(value).collect()
    }

    fn cast(&self, expr: &Sql, kind: &Resolved) -> Sql {
        sql("CAST({e} AS {t})", &[("e", Hole::Sql(expr)), ("t", Hole::Type(&kind.full()))])
    }

    /// Returns the columns of the target that are written, those of the key first.
    pub(super) fn written(&self) -> Vec<&Ident> {
        self.key.iter().map(|pair| &pair.into).chain(self.carried.iter().map(|carried| &carried.column)).collect()
    }

    /// Returns the columns of the source's key under their names of now.
    pub(super) fn source_key(&self) -> Vec<&Ident> {
        self.key.iter().map(|pair| &pair.from).collect()
    }

    /// Returns the names of now of the columns that leave.
    pub(super) fn leaving(&self) -> Vec<&Ident> {
        self.old.iter().map(|old| self.now(&old.column.name)).collect()
    }

    /// Returns the columns of the source that decide what stands in the target.
    pub(super) fn watched(&self) -> Vec<Ident> {
        let exprs = self.carried.iter().map(|carried| &carried.expr).chain(&self.filter);
        let mut all: Vec<Ident> = self.key.iter().map(|pair| pair.from.clone()).collect();
        for column in exprs.flat_map(|expr| expr.columns()) {
            let now = self.now(column);
            if !all.contains(now) {
                all.push(now.clone());
            }
        }
        all
    }

    /// Returns the columns of the target that decide what stands in the source.
    pub(super) fn watched_in_target(&self) -> Vec<Ident> {
        let mut all: Vec<Ident> = self.key.iter().map(|pair| pair.into.clone()).collect();
        for column in self.old.iter().flat_map(|old| old.back.columns()) {
            if !all.contains(column) {
                all.push(column.clone());
            }
        }
        all
    }

    /// Returns the condition that a row of the target belongs to one of the source.
    pub(super) fn matches(&self, target: Of, source: Of) -> Sql {
        let pairs = self.key.iter().map(|pair| {
            sql(
                "{t} OPERATOR(pg_catalog.=) {s}",
                &[
                    ("t", Hole::Sql(&self.column(target, &pair.into))),
                    ("s", Hole::Sql(&self.column(source, &pair.from))),
                ],
            )
        });
        all_of(&pairs.collect::<Vec<Sql>>())
    }

    /// Returns the condition that some column that leaves holds a value.
    pub(super) fn any_old(&self, of: Of) -> Sql {
        let each: Vec<Sql> =
            self.old.iter().map(|old| old.kind.is_not_null(&self.column(of, self.now(&old.column.name)))).collect();
        sql("({each})", &[("each", Hole::Join(&each, " OR "))])
    }

    /// Returns the condition that the row of the target `t` is what follows from that of the source.
    pub(super) fn is_forward(&self, source: Of) -> Sql {
        let is: Vec<Sql> = self.carried.iter().map(|carried| self.column(Of::Target, &carried.column)).collect();
        same(&is, &self.carried_values(source))
    }

    /// Returns the condition that the row of the source `s` is what follows from that of the target.
    pub(super) fn is_back(&self, target: Of) -> Sql {
        same(&self.old_columns(Of::Source), &self.back_values(target))
    }

    /// Returns the columns that leave.
    pub(super) fn old_columns(&self, of: Of) -> Vec<Sql> {
        self.old.iter().map(|old| self.column(of, self.now(&old.column.name))).collect()
    }

    /// Returns what marks a write of ours.
    pub(super) fn mark(&self) -> Ident {
        self.names.function("rows").name
    }

    /// Returns the condition that a write is not ours.
    pub(super) fn is_foreign(&self) -> Sql {
        sql(
            "pg_catalog.current_setting('segue.rows', true) IS DISTINCT FROM {mark}",
            &[("mark", Hole::Text(self.mark().as_str()))],
        )
    }

    /// Returns the statement that marks what a transaction writes as ours.
    pub(super) fn mark_transaction(&self) -> Sql {
        sql("SET LOCAL segue.rows = {mark}", &[("mark", Hole::Text(self.mark().as_str()))])
    }
}

/// Returns the condition that all hold.
pub(super) fn all_of(conditions: &[Sql]) -> Sql {
    sql("({all})", &[("all", Hole::Join(conditions, " AND "))])
}

/// Returns values as one record whose bits can be compared.
pub(super) fn record(values: &[Sql]) -> Sql {
    sql("ROW({values})::pg_catalog.record", &[("values", Hole::Join(values, ", "))])
}

/// Returns the condition that two lists of values have the same bits.
pub(super) fn same(one: &[Sql], other: &[Sql]) -> Sql {
    sql("{a} OPERATOR(pg_catalog.*=) {b}", &[("a", Hole::Sql(&record(one))), ("b", Hole::Sql(&record(other)))])
}

/// Returns the condition that they have not.
pub(super) fn differ(one: &[Sql], other: &[Sql]) -> Sql {
    sql("{a} OPERATOR(pg_catalog.*<>) {b}", &[("a", Hole::Sql(&record(one))), ("b", Hole::Sql(&record(other)))])
}

/// Returns `column = value` for each.
pub(super) fn assign<'c>(columns: impl IntoIterator<Item = &'c Ident>, values: &[Sql]) -> Vec<Sql> {
    let set = |(column, value): (&Ident, &Sql)| sql("{c} = {v}", &[("c", Hole::Name(column)), ("v", Hole::Sql(value))]);
    columns.into_iter().zip(values).map(set).collect()
}

/// Returns names as SQL.
pub(super) fn named(names: &[Ident], moving: &Moving<'_>, of: Of) -> Vec<Sql> {
    names.iter().map(|name| moving.column(of, name)).collect()
}

/// Returns a name quoted.
pub(super) fn quoted(name: &Ident) -> String {
    Postgres.name(name.as_str())
}
