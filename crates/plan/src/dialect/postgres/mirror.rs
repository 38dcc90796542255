//! Columns that follow from others: what each becomes, and when a row is right.

use std::collections::BTreeMap;

use segue_model::catalog::{Column, Table};
use segue_model::expr::Expr;
use segue_model::ident::{Ident, TableName};
use segue_model::sql::{Hole, Quoting, Sql, TypeName};

use super::lookup::Lookup;
use super::names::Names;
use super::types::{Fit, Resolved};
use super::{Postgres, sql};

/// How the two sides are kept together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Each side follows the other.
    TwoWay,
    /// The new side follows the old.
    Follow,
    /// The new side is filled once, and then goes its own way.
    Fill,
}

/// A column, and how its value follows from the other side.
#[derive(Debug, Clone)]
pub(super) struct Derived {
    /// The column.
    pub(super) column: Ident,
    /// Its type.
    pub(super) kind: Resolved,
    /// What it becomes.
    pub(super) expr: Expr,
    /// How that gets in.
    pub(super) form: Form,
}

/// How an expression gets into a column without ever failing the write: what does not fit becomes NULL.
#[derive(Debug, Clone)]
pub(super) enum Form {
    /// It always fits.
    Exact,
    /// It fits up to so many characters.
    Length(i64),
    /// It fits between these numbers.
    Range(i64, i64),
    /// Two functions beside the table try it: one gives the value, the other says why that failed.
    Tried {
        /// Gives the value or NULL.
        convert: TableName,
        /// Gives the server's words when it cannot be had, else NULL.
        why: TableName,
        /// The columns that it reads.
        args: Vec<(Ident, Resolved)>,
        /// It depends on settings of the session.
        unstable: bool,
    },
}

/// Both sides of one table, and all that SQL about them needs.
#[derive(Debug)]
pub(super) struct Mirror<'a> {
    /// The table.
    pub(super) table: &'a Table,
    /// The names of our objects.
    pub(super) names: Names<'a>,
    /// How it is kept.
    pub(super) kind: Kind,
    /// The new columns.
    pub(super) new: Vec<Derived>,
    /// The old columns, where they follow from the new.
    pub(super) old: Vec<Derived>,
    /// Some new column ends NOT NULL, so no row of new code leaves all of them NULL.
    pub(super) required: bool,
    /// Names that old columns bear now, by the name that expressions use.
    pub(super) renamed: BTreeMap<Ident, Ident>,
    /// Where the names in expressions are found.
    pub(super) lookup: Lookup,
}

/// Whose columns an expression reads: `NEW.`, `OLD.`, or those of the row at hand.
#[derive(Debug, Clone, Copy)]
pub(super) enum Of {
    /// The row at hand.
    Row,
    /// The row to be written.
    New,
    /// The row that is replaced.
    Old,
}

impl Form {
    /// Returns how values of type `from` get into a column of type `to`; `helpers` are the functions if it must be tried.
    pub(super) fn of(fit: Fit, can_raise: bool, tried: impl FnOnce() -> Self) -> Self {
        match (fit, can_raise) {
            (Fit::Exact, false) => Self::Exact,
            (Fit::Length(length), false) => Self::Length(length),
            (Fit::Tried, _) | (_, true) => tried(),
        }
    }

    /// Returns whether every value gets in.
    pub(super) fn is_total(&self) -> bool {
        matches!(self, Self::Exact)
    }
}

impl Mirror<'_> {
    /// Returns a column as SQL.
    pub(super) fn column(&self, of: Of, column: &Ident) -> Sql {
        let name = self.renamed.get(column).unwrap_or(column);
        let template = match of {
            Of::Row => "{c}",
            Of::New => "NEW.{c}",
            Of::Old => "OLD.{c}",
        };
        sql(template, &[("c", Hole::Name(name))])
    }

    /// Returns what a column becomes: of exactly its type, never failing.
    pub(super) fn value(&self, of: Of, derived: &Derived) -> Sql {
        let (full, bare) = (derived.kind.full(), derived.kind.bare());
        let expr = self.expr(of, derived);
        let (expr, full, bare) = (Hole::Sql(&expr), Hole::Type(&full), Hole::Type(&bare));
        match &derived.form {
            Form::Exact => sql("CAST({expr} AS {type})", &[("expr", expr), ("type", full)]),
            Form::Length(length) => sql(
                "CASE WHEN pg_catalog.char_length({expr}) OPERATOR(pg_catalog.<=) {length} THEN CAST({expr} AS {type}) END",
                &[("expr", expr), ("length", Hole::Int(*length)), ("type", bare)],
            ),
            Form::Range(low, high) => sql(
                "CASE WHEN {expr} OPERATOR(pg_catalog.>=) {low} AND {expr} OPERATOR(pg_catalog.<=) {high} \
                 THEN CAST({expr} AS {type}) END",
                &[("expr", expr), ("low", Hole::Int(*low)), ("high", Hole::Int(*high)), ("type", full)],
            ),
            Form::Tried { convert, args, .. } => self.call(of, convert, args),
        }
    }

    /// Returns whether a column's value cannot be had; `None` when it always can.
    pub(super) fn fails(&self, of: Of, derived: &Derived) -> Option<Sql> {
        let expr = self.expr(of, derived);
        let expr = Hole::Sql(&expr);
        match &derived.form {
            Form::Exact => None,
            Form::Length(length) => Some(sql(
                "pg_catalog.char_length({expr}) OPERATOR(pg_catalog.>) {length}",
                &[("expr", expr), ("length", Hole::Int(*length))],
            )),
            Form::Range(low, high) => Some(sql(
                "({expr} OPERATOR(pg_catalog.<) {low} OR {expr} OPERATOR(pg_catalog.>) {high})",
                &[("expr", expr), ("low", Hole::Int(*low)), ("high", Hole::Int(*high))],
            )),
            Form::Tried { why, args, .. } => {
                Some(sql("{why} IS NOT NULL", &[("why", Hole::Sql(&self.call(of, why, args)))]))
            }
        }
    }

    /// Returns why a column's value cannot be had, as text; `None` when it always can.
    pub(super) fn why(&self, derived: &Derived) -> Option<Sql> {
        match &derived.form {
            Form::Exact => None,
            Form::Length(length) => {
                Some(sql("'it has more than {length} characters'::pg_catalog.text", &[("length", Hole::Int(*length))]))
            }
            Form::Range(low, high) => Some(sql(
                "'it is not between {low} and {high}'::pg_catalog.text",
                &[("low", Hole::Int(*low)), ("high", Hole::Int(*high))],
            )),
            Form::Tried { why, args, .. } => Some(self.call(Of::Row, why, args)),
        }
    }

    fn expr(&self, of: Of, derived: &Derived) -> Sql {
        let column = |name: &Ident| self.column(of, name).as_str().to_owned();
        Sql::expr(&derived.expr.render(&column, &|name| self.lookup.schema(name)))
    }

    fn call(&self, of: Of, function: &TableName, args: &[(Ident, Resolved)]) -> Sql {
        let args: Vec<Sql> = args.iter().map(|(name, _)| self.column(of, name)).collect();
        sql("{function}({args})", &[("function", Hole::Table(function)), ("args", Hole::Join(&args, ", "))])
    }

    /// Returns the statements that create the functions which try a conversion.
    pub(super) fn helpers(&self) -> Vec<Sql> {
        self.new.iter().chain(&self.old).flat_map(|derived| self.helpers_of(derived)).collect()
    }

    fn helpers_of(&self, derived: &Derived) -> Vec<Sql> {
        let Form::Tried { convert, why, args, unstable } = &derived.form else { return vec![] };
        let place = |name: &Ident| {
            let at =
                args.iter().position(|(arg, _)| arg == name).expect("each column of the expression is an argument");
            sql("${n}", &[("n", Hole::Int(i64::try_from(at + 1).unwrap_or(i64::MAX)))]).as_str().to_owned()
        };
        let expr = Sql::expr(&derived.expr.render(&place, &|name| self.lookup.schema(name)));
        let kind = derived.kind.full();
        let body = |fits, fails| {
            let (fits, fails) = (Sql::fixed(fits), Sql::fixed(fails));
            sql(
                include_str!("sync/tried.sql").trim_end(),
                &[
                    ("type", Hole::Type(&kind)),
                    ("expr", Hole::Sql(&expr)),
                    ("fits", Hole::Sql(&fits)),
                    ("fails", Hole::Sql(&fails)),
                ],
            )
        };
        let (converting, telling) = (body("result", "NULL"), body("NULL", "SQLERRM"));
        let text_type = TypeName::spelled("pg_catalog.text");
        let types: Vec<Sql> = args.iter().map(|(_, kind)| sql("{t}", &[("t", Hole::Type(&kind.bare()))])).collect();
        let stability = if *unstable { Sql::fixed("STABLE") } else { Sql::fixed("IMMUTABLE") };
        [(convert, derived.kind.bare(), converting), (why, text_type, telling)]
            .into_iter()
            .flat_map(|(function, returns, body)| {
                [
                    sql(
                        "CREATE OR REPLACE FUNCTION {function}({types}) RETURNS {returns} LANGUAGE plpgsql {stability} AS {body}",
                        &[
                            ("function", Hole::Table(function)),
                            ("types", Hole::Join(&types, ", ")),
                            ("returns", Hole::Type(&returns)),
                            ("stability", Hole::Sql(&stability)),
                            ("body", Hole::Body(&body)),
                        ],
                    ),
                    sql(
                        "GRANT EXECUTE ON FUNCTION {function}({types}) TO PUBLIC",
                        &[("function", Hole::Table(function)), ("types", Hole::Join(&types, ", "))],
                    ),
                ]
            })
            .collect()
    }

    /// Returns the functions that [`Self::helpers`] creates.
    pub(super) fn helper_names(&self) -> Vec<&TableName> {
        let forms = self.new.iter().chain(&self.old).map(|derived| &derived.form);
        forms
            .flat_map(|form| match form {
                Form::Tried { convert, why, .. } => vec![convert, why],
                Form::Exact | Form::Length(_) | Form::Range(..) => vec![],
            })
            .collect()
    }

    /// Returns the columns of a side as one record.
    pub(super) fn record<'c>(&self, of: Of, columns: impl IntoIterator<Item = &'c Ident>) -> Sql {
        let columns: Vec<Sql> = columns.into_iter().map(|column| self.column(of, column)).collect();
        record_of(&columns)
    }

    /// Returns what the columns of a side become, as one record.
    pub(super) fn record_of_values(&self, of: Of, side: &[Derived]) -> Sql {
        let values: Vec<Sql> = side.iter().map(|derived| self.value(of, derived)).collect();
        record_of(&values)
    }

    /// Returns the condition that a side is what it becomes, compared by the bits.
    pub(super) fn follows(&self, of: Of, side: &[Derived]) -> Sql {
        let is = self.record(of, side.iter().map(|derived| &derived.column));
        let becomes = self.record_of_values(of, side);
        sql("{is} OPERATOR(pg_catalog.*=) {becomes}", &[("is", Hole::Sql(&is)), ("becomes", Hole::Sql(&becomes))])
    }

    /// Returns the condition that a side is not what it becomes.
    pub(super) fn differs(&self, of: Of, side: &[Derived]) -> Sql {
        let compared = side.iter().map(|derived| {
            // What is tried is costly, and `=` needs it twice where it may be NULL.
            let kind = Some(&derived.kind).filter(|_| !matches!(derived.form, Form::Tried { .. }));
            let (is, other) = (self.column(of, &derived.column), self.value(of, derived));
            Compared::new(kind, is, other, !self.gives_value(derived))
        });
        any_differs(compared.collect())
    }

    /// Returns the condition that an UPDATE gives any of these columns another value.
    pub(super) fn changed(&self, columns: &[&Ident]) -> Sql {
        let kind = |column: &Ident| self.new.iter().chain(&self.old).find(|derived| derived.column == *column);
        let compared = columns.iter().map(|column| {
            let kind = kind(column).map(|derived| &derived.kind);
            Compared::new(kind, self.column(Of::New, column), self.column(Of::Old, column), true)
        });
        any_differs(compared.collect())
    }

    /// Returns the condition that a row is right: either side follows from the other.
    pub(super) fn related(&self, of: Of) -> Sql {
        match self.kind {
            Kind::TwoWay => sql(
                "({forward} OR {back})",
                &[
                    ("forward", Hole::Sql(&self.follows(of, &self.new))),
                    ("back", Hole::Sql(&self.follows(of, &self.old))),
                ],
            ),
            Kind::Follow => sql("({forward})", &[("forward", Hole::Sql(&self.follows(of, &self.new)))]),
            Kind::Fill => sql("(NOT {fillable})", &[("fillable", Hole::Sql(&self.fillable(of)))]),
        }
    }

    /// Returns the condition that all new columns are NULL.
    pub(super) fn absent(&self, of: Of) -> Sql {
        let nulls: Vec<Sql> =
            self.new.iter().map(|derived| derived.kind.is_null(&self.column(of, &derived.column))).collect();
        sql("({nulls})", &[("nulls", Hole::Join(&nulls, " AND "))])
    }

    /// Returns the condition that all new columns are NULL, and the old ones give something for them.
    pub(super) fn fillable(&self, of: Of) -> Sql {
        if self.new.iter().any(|derived| self.gives_value(derived)) {
            return self.absent(of);
        }
        let values: Vec<Sql> =
            self.new.iter().map(|derived| derived.kind.is_not_null(&self.value(of, derived))).collect();
        sql(
            "({absent} AND ({values}))",
            &[("absent", Hole::Sql(&self.absent(of))), ("values", Hole::Join(&values, " OR "))],
        )
    }

    /// Returns whether what a column becomes is never NULL, so that nobody needs to compute it to know. Only the system's
    /// functions are trusted to be what their names say.
    fn gives_value(&self, derived: &Derived) -> bool {
        let of_system = derived.expr.uses.iter().all(|name| self.lookup.found_in(name).as_str() == "pg_catalog");
        let nullable = |name: &Ident| !self.table.columns.iter().any(|column| column.name == *name && column.not_null);
        derived.form.is_total() && of_system && !derived.expr.nullness.possible(&nullable)
    }

    /// Returns a condition that holds only for rows that are right, is cheap to ask, and holds for nearly all of them; NULL
    /// says nothing either. `None` where values can be equal and differ in their bits. Either side will do: the one whose
    /// values need not be tried.
    pub(super) fn surely_related(&self) -> Option<Sql> {
        let tries = |side: &[Derived]| side.iter().any(|derived| matches!(derived.form, Form::Tried { .. }));
        let forward = || self.follows_surely(&self.new);
        let back = || (self.kind == Kind::TwoWay).then(|| self.follows_surely(&self.old)).flatten();
        if tries(&self.new) && !tries(&self.old) { back().or_else(forward) } else { forward().or_else(back) }
    }

    /// Returns the condition that each column of a side has the very bits of what it becomes, as far as `=` tells.
    fn follows_surely(&self, side: &[Derived]) -> Option<Sql> {
        let each: Option<Vec<Sql>> = side
            .iter()
            .map(|derived| {
                let template = derived.kind.bitwise_equal()?;
                // What equals a value of the column fits into it, so that the expression is evaluated once.
                let value = match &derived.form {
                    Form::Length(_) | Form::Range(..) => self.expr(Of::Row, derived),
                    Form::Exact | Form::Tried { .. } => self.value(Of::Row, derived),
                };
                let column = self.column(Of::Row, &derived.column);
                Some(sql(template, &[("c", Hole::Sql(&column)), ("v", Hole::Sql(&value))]))
            })
            .collect();
        Some(sql("({each})", &[("each", Hole::Join(&each?, " AND "))]))
    }

    /// Returns the condition that a row is absent though it must not be: new code's own NULL is not.
    pub(super) fn missed(&self, of: Of) -> Sql {
        match self.kind {
            Kind::TwoWay if !self.required => sql(
                "({fillable} AND NOT ({back}))",
                &[("fillable", Hole::Sql(&self.fillable(of))), ("back", Hole::Sql(&self.follows(of, &self.old)))],
            ),
            Kind::TwoWay | Kind::Follow | Kind::Fill => self.fillable(of),
        }
    }

    /// Returns the condition that the transform cannot convert a row; `None` when it always can.
    pub(super) fn unconvertible(&self) -> Option<Sql> {
        let fails: Vec<Sql> = self.new.iter().filter_map(|derived| self.unconverted(derived)).collect();
        (!fails.is_empty()).then(|| sql("({fails})", &[("fails", Hole::Join(&fails, " OR "))]))
    }

    /// Returns the condition that a column is NULL because its value cannot be had; `None` when it always can.
    pub(super) fn unconverted(&self, derived: &Derived) -> Option<Sql> {
        let null = derived.kind.is_null(&self.column(Of::Row, &derived.column));
        let fails = self.fails(Of::Row, derived)?;
        Some(sql("({null} AND {fails})", &[("null", Hole::Sql(&null)), ("fails", Hole::Sql(&fails))]))
    }

    /// Returns the condition that the row is of new code which leaves every new column NULL: an old column that may not be
    /// NULL and has no default is, so old code has not written it. `None` where no such row can be, or where a default
    /// stands in for the old columns.
    pub(super) fn left_to_back(&self, of: Of) -> Option<Sql> {
        if self.required || self.kind != Kind::TwoWay {
            return None;
        }
        let is_open = |column: &Column| column.not_null && column.default.is_none() && column.identity.is_none();
        let is_old = |column: &Column| self.old.iter().any(|derived| derived.column == column.name);
        let nulls = self.table.columns.iter().filter(|column| is_old(column) && is_open(column));
        let nulls: Vec<Sql> = nulls
            .filter_map(|column| self.old.iter().find(|derived| derived.column == column.name))
            .map(|derived| derived.kind.is_null(&self.column(of, &derived.column)))
            .collect();
        (!nulls.is_empty()).then(|| sql("({nulls})", &[("nulls", Hole::Join(&nulls, " AND "))]))
    }

    /// Returns the old columns and what else forward reads.
    pub(super) fn watched(&self) -> Vec<&Ident> {
        let read = self.new.iter().flat_map(|derived| derived.expr.columns());
        let mut all: Vec<&Ident> = self.old.iter().map(|derived| &derived.column).collect();
        for column in read {
            if !all.contains(&column) {
                all.push(column);
            }
        }
        all
    }

    /// Returns whether it is the NULLs of a column that is there already which are filled.
    pub(super) fn fills_what_is_there(&self) -> bool {
        let is_there = |derived: &Derived| self.table.columns.iter().any(|column| column.name == derived.column);
        self.kind == Kind::Fill && self.new.iter().any(is_there)
    }

    /// Returns the table's name.
    pub(super) fn table(&self) -> &TableName {
        &self.table.name
    }
}

/// Two values of one type.
struct Compared {
    is: Sql,
    other: Sql,
    /// The condition that their bits differ, by `=`; `None` where that does not tell.
    differ: Option<Sql>,
}

impl Compared {
    /// `IS DISTINCT FROM` would say it in one, but takes whatever `=` the application's `search_path` finds first.
    fn new(kind: Option<&Resolved>, is: Sql, other: Sql, both_may_be_null: bool) -> Self {
        let differ = kind.and_then(Resolved::bitwise_equal).map(|template| {
            let equal = sql(template, &[("c", Hole::Sql(&is)), ("v", Hole::Sql(&other))]);
            if !both_may_be_null {
                return sql("({equal}) IS NOT TRUE", &[("equal", Hole::Sql(&equal))]);
            }
            sql(
                "(({equal}) IS NOT TRUE AND NOT ({is} IS NULL AND {other} IS NULL))",
                &[("equal", Hole::Sql(&equal)), ("is", Hole::Sql(&is)), ("other", Hole::Sql(&other))],
            )
        });
        Self { is, other, differ }
    }
}

/// Returns the condition that any two values have different bits: by `=` where that tells, since a comparison of records
/// adds a tenth to what an UPDATE with triggers costs.
fn any_differs(compared: Vec<Compared>) -> Sql {
    let mut each: Vec<Sql> = compared.iter().filter_map(|both| both.differ.clone()).collect();
    let (is, other): (Vec<Sql>, Vec<Sql>) =
        compared.into_iter().filter(|both| both.differ.is_none()).map(|both| (both.is, both.other)).unzip();
    if !is.is_empty() {
        each.push(sql(
            "{is} OPERATOR(pg_catalog.*<>) {other}",
            &[("is", Hole::Sql(&record_of(&is))), ("other", Hole::Sql(&record_of(&other)))],
        ));
    }
    match each.as_slice() {
        [one] => one.clone(),
        several => sql("({each})", &[("each", Hole::Join(several, " OR "))]),
    }
}

/// Returns values as one record whose bits can be compared.
fn record_of(values: &[Sql]) -> Sql {
    sql("ROW({values})::pg_catalog.record", &[("values", Hole::Join(values, ", "))])
}

/// Returns a table's name as a text literal that `regclass` reads.
pub(super) fn regclass(table: &TableName) -> Sql {
    let name = sql("{t}", &[("t", Hole::Table(table))]);
    sql("{t}::pg_catalog.regclass", &[("t", Hole::Body(&name))])
}

/// Returns a table's name as people write it in SQL.
pub(super) fn display(table: &TableName) -> String {
    [Postgres.name(table.schema.as_str()), Postgres.name(table.name.as_str())].join(".")
}
