//! Columns that follow from others: what each becomes, and when a row is right.

use std::collections::BTreeMap;

use segue_model::catalog::Table;
use segue_model::expr::{Expr, Nullness};
use segue_model::ident::{Ident, TableName};
use segue_model::sql::{Hole, Quoting, Sql};

use super::types::{Affinity, BareColumn, affinity};
use super::{Sqlite, sql};

/// Whose values an expression reads.
#[derive(Debug, Clone, Copy)]
pub(super) enum Of {
    /// The row that a statement of ours visits.
    Row,
    /// `NEW` in a trigger.
    New,
    /// `OLD` in a trigger.
    Old,
}

/// A column that follows from others.
#[derive(Debug, Clone)]
pub(super) struct Derived {
    /// The column.
    pub(super) name: Ident,
    /// Its type as declared.
    pub(super) declared: String,
    /// How it follows.
    pub(super) expr: Expr,
    /// It ends as, or is, NOT NULL.
    pub(super) not_null: bool,
}

/// New columns that follow from others, and for a pair the old ones that follow from them.
#[derive(Debug, Clone)]
pub(super) struct Mirror<'a> {
    /// The table.
    pub(super) table: &'a Table,
    /// The spelling of rowid that no column hides.
    pub(super) rowid: Ident,
    /// The new columns.
    pub(super) new: Vec<Derived>,
    /// The old columns; none when new columns are only filled.
    pub(super) old: Vec<Derived>,
    /// Told apart by it: our own UPDATE and the application's. `None` where value guards are exact.
    pub(super) marker: Option<Ident>,
    /// Columns that have another name by now.
    pub(super) renamed: BTreeMap<Ident, Ident>,
}

impl Mirror<'_> {
    /// Returns the table's name.
    pub(super) fn name(&self) -> &TableName {
        &self.table.name
    }

    /// Returns whether value guards are exact: one column on each side, each the other's very value.
    ///
    /// The same affinity on both sides, or the value that is stored would not be the one that was read.
    pub(super) fn is_rename(new: &[Derived], old: &[Derived]) -> bool {
        let ([new], [old]) = (new, old) else { return false };
        new.expr.is_bare_column() && old.expr.is_bare_column() && affinity(&new.declared) == affinity(&old.declared)
    }

    /// Returns a column with its owner.
    pub(super) fn column(&self, of: Of, name: &Ident) -> Sql {
        let name = self.renamed.get(name).unwrap_or(name);
        let template = match of {
            Of::Row => "{name}",
            Of::New => "NEW.{name}",
            Of::Old => "OLD.{name}",
        };
        sql(template, &[("name", Hole::Name(name))])
    }

    /// Returns what a column becomes, in parentheses.
    pub(super) fn value(&self, of: Of, expr: &Expr) -> Sql {
        Sql::expr(&expr.render(&|name| self.column(of, name).as_str().to_owned(), &|use_| {
            use_.schema.as_ref().map_or(String::new(), |schema| Sqlite.name(schema.as_str()))
        }))
    }

    /// Returns whether each column of `side` is what it would become.
    pub(super) fn follows(&self, of: Of, side: &[Derived]) -> Sql {
        let each: Vec<Sql> = side.iter().map(|derived| self.is_value(of, derived)).collect();
        sql("{each}", &[("each", Hole::Join(&each, " AND "))])
    }

    /// The plus takes the affinity of a bare column from the value, so that only the column's own is applied, as when it is
    /// stored; where none is, 1 and 1.0 are equal, so the types are compared too.
    fn is_value(&self, of: Of, derived: &Derived) -> Sql {
        let column = self.column(of, &derived.name);
        let value = self.value(of, &derived.expr);
        let template = match affinity(&derived.declared) {
            Affinity::Blob => "({column} COLLATE BINARY IS +{value} AND typeof({column}) IS typeof{value})",
            Affinity::Text | Affinity::Numeric | Affinity::Integer | Affinity::Real => {
                "{column} COLLATE BINARY IS +{value}"
            }
        };
        sql(template, &[("column", Hole::Sql(&column)), ("value", Hole::Sql(&value))])
    }

    /// Returns whether a row is right: the new side follows from the old, or the old from the new.
    pub(super) fn related(&self) -> Sql {
        sql(
            "(({forward}) OR ({back}))",
            &[
                ("forward", Hole::Sql(&self.follows(Of::Row, &self.new))),
                ("back", Hole::Sql(&self.follows(Of::Row, &self.old))),
            ],
        )
    }

    /// Returns whether every new column is NULL.
    pub(super) fn absent(&self, of: Of) -> Sql {
        let each: Vec<Sql> = self
            .new
            .iter()
            .map(|new| sql("{column} IS NULL", &[("column", Hole::Sql(&self.column(of, &new.name)))]))
            .collect();
        sql("{each}", &[("each", Hole::Join(&each, " AND "))])
    }

    /// Returns whether some transform of the new columns has a value.
    pub(super) fn fillable(&self, of: Of) -> Sql {
        let each: Vec<Sql> = self
            .new
            .iter()
            .map(|new| sql("{value} IS NOT NULL", &[("value", Hole::Sql(&self.value(of, &new.expr)))]))
            .collect();
        sql("({each})", &[("each", Hole::Join(&each, " OR "))])
    }

    /// Returns whether a column of `side` has changed, to the bit.
    pub(super) fn changed(&self, side: &[Derived]) -> Sql {
        let each: Vec<Sql> = side
            .iter()
            .map(|derived| {
                sql(
                    "{new} COLLATE BINARY IS NOT {old} OR typeof({new}) IS NOT typeof({old})",
                    &[
                        ("new", Hole::Sql(&self.column(Of::New, &derived.name))),
                        ("old", Hole::Sql(&self.column(Of::Old, &derived.name))),
                    ],
                )
            })
            .collect();
        sql("({each})", &[("each", Hole::Join(&each, " OR "))])
    }

    /// Returns the assignments that bring `side` over, and toggle the marker.
    pub(super) fn assignments(&self, side: &[Derived]) -> Sql {
        let mut each: Vec<Sql> = side
            .iter()
            .map(|derived| {
                sql(
                    "{column} = {value}",
                    &[
                        ("column", Hole::Sql(&self.column(Of::Row, &derived.name))),
                        ("value", Hole::Sql(&self.value(Of::Row, &derived.expr))),
                    ],
                )
            })
            .collect();
        each.extend(self.marker.iter().map(|marker| sql("{m} = NOT {m}", &[("m", Hole::Name(marker))])));
        sql("{each}", &[("each", Hole::Join(&each, ", "))])
    }

    /// Returns whether a new column that must not be NULL is.
    pub(super) fn missing(&self) -> Sql {
        let each: Vec<Sql> = self
            .new
            .iter()
            .filter(|new| new.not_null)
            .map(|new| sql("{column} IS NULL", &[("column", Hole::Sql(&self.column(Of::Row, &new.name)))]))
            .collect();
        if each.is_empty() {
            return Sql::fixed("0");
        }
        sql("({each})", &[("each", Hole::Join(&each, " OR "))])
    }

    /// Returns whether a transform cannot convert what is there; `None` when it is known when a transform is NULL, and
    /// that is what the user has written.
    pub(super) fn unconvertible(&self) -> Option<Sql> {
        if !self.new.iter().any(|new| can_fail(&new.expr.nullness)) {
            return None;
        }
        let inputs: std::collections::BTreeSet<&Ident> = self.new.iter().flat_map(|new| new.expr.columns()).collect();
        let mut each = vec![self.absent(Of::Row), sql("NOT {f}", &[("f", Hole::Sql(&self.fillable(Of::Row)))])];
        each.extend(inputs.into_iter().map(|name| sql("{c} IS NOT NULL", &[("c", Hole::Name(name))])));
        Some(sql("{each}", &[("each", Hole::Join(&each, " AND "))]))
    }

    /// Returns the rows of window `$1`, `$2`.
    pub(super) fn window(&self) -> Sql {
        window(&self.rowid)
    }
}

/// Returns the rows of window `$1`, `$2`. The highest rowid there is has no bound after it, so there the end counts in.
pub(super) fn window(rowid: &Ident) -> Sql {
    sql("{rowid} BETWEEN $1 AND $2 - ($2 < 9223372036854775807)", &[("rowid", Hole::Name(rowid))])
}

fn can_fail(nullness: &Nullness) -> bool {
    match nullness {
        Nullness::Unknown => true,
        Nullness::Never | Nullness::Always | Nullness::Column(_) => false,
        Nullness::Any(of) | Nullness::All(of) => of.iter().any(can_fail),
    }
}
