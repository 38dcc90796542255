//! What is dropped and made again in the exchange, from its own text: views, policies, triggers, statistics, publications.

use segue_model::ident::{Ident, TableName};
use segue_model::probe::Probe;
use segue_model::sql::{Hole, Sql};
use segue_model::step::Condition;

use super::super::mirror::regclass;
use super::super::sql;
use super::{Cells, key, rows};
use crate::operation::Context;
use crate::refusal::Refusal;

/// The first version whose publications name columns.
const PUBLISHED_COLUMNS: u32 = 15;

/// What is made again, as statements in order.
pub(in super::super) struct Held {
    drops: Vec<Sql>,
    creates: Vec<(String, Sql)>,
}

/// Returns the question.
pub(super) fn probe(table: &TableName, column: &Ident, context: &Context<'_>) -> Probe {
    Probe { key: key("held", table, column), sql: question(table, column, context) }
}

fn question(table: &TableName, column: &Ident, context: &Context<'_>) -> Sql {
    let name = sql("{t}", &[("t", Hole::Table(table))]);
    let since = context.server.version.major >= PUBLISHED_COLUMNS;
    let publications = match since {
        true => sql(include_str!("published.sql").trim_end(), &[("name", Hole::Body(&name))]),
        false => Sql::fixed(""),
    };
    let taken = Sql::fixed(if since { ", 'pg_catalog.pg_publication_rel'::pg_catalog.regclass" } else { "" });
    sql(
        include_str!("held.sql").trim_end(),
        &[
            ("table", Hole::Sql(&regclass(table))),
            ("column", Hole::Text(column.as_str())),
            ("name", Hole::Body(&name)),
            ("publications", Hole::Sql(&publications)),
            ("taken", Hole::Sql(&taken)),
        ],
    )
}

/// Returns what is made again.
///
/// # Errors
/// A refusal that names what cannot be.
pub(in super::super) fn read(table: &TableName, column: &Ident, context: &Context<'_>) -> Result<Held, Refusal> {
    let rows = rows(context.answers, &key("held", table, column), table, column)?;
    let refused: Vec<&str> = of(rows, "refuse").map(|row| row.text(2)).collect();
    if !refused.is_empty() {
        return Err(Refusal::Impossible {
            what: format!("a change of `{table}.{column}`, to which is bound: {}", refused.join("; ")),
            why: "the server ties it to the column itself, and it cannot be made again in a short transaction"
                .to_owned(),
            instead: "Drop or rewrite what is named first, and create it again afterwards.".to_owned(),
        });
    }
    Ok(Held {
        drops: of(rows, "drop").map(|row| Sql::of_catalog(row.text(3))).collect(),
        creates: of(rows, "create").map(|row| (row.text(2).to_owned(), Sql::of_catalog(row.text(3)))).collect(),
    })
}

fn of<'r>(rows: &'r [segue_model::value::Row], act: &'static str) -> impl Iterator<Item = Cells<'r>> {
    rows.iter().map(Cells).filter(move |row| row.text(0) == act)
}

impl Held {
    /// Returns the statements that drop everything, what depends on others first.
    pub(in super::super) fn drops(&self) -> Vec<Sql> {
        self.drops.clone()
    }

    /// Returns the statements that make everything again.
    pub(in super::super) fn creates(&self) -> Vec<Sql> {
        self.creates.iter().map(|(_, create)| create.clone()).collect()
    }

    /// Returns what is made again, for people.
    pub(in super::super) fn labels(&self) -> Vec<String> {
        let mut labels: Vec<String> = self.creates.iter().map(|(label, _)| label.clone()).collect();
        labels.dedup();
        labels
    }

    /// Returns whether extended statistics are empty after the exchange.
    pub(in super::super) fn needs_analyze(&self) -> bool {
        self.creates.iter().any(|(label, _)| label.starts_with("the statistics "))
    }

    /// Returns the condition that nothing has come, gone or changed since the plan was made.
    pub(super) fn unchanged(&self, table: &TableName, column: &Ident, context: &Context<'_>) -> Condition {
        let known = self.creates.iter().map(|(label, create)| {
            let label = sql("{l}", &[("l", Hole::Text(label))]);
            sql("({label}, {text}::pg_catalog.text)", &[("label", Hole::Sql(&label)), ("text", Hole::Body(create))])
        });
        let known: Vec<Sql> = std::iter::once(Sql::fixed("(NULL, NULL)")).chain(known).collect();
        Condition {
            sql: sql(
                include_str!("unchanged.sql").trim_end(),
                &[("now", Hole::Sql(&question(table, column, context))), ("known", Hole::Join(&known, ", "))],
            ),
            says: format!("what is bound to `{column}` is what the plan makes again"),
            hint: "Put it back as it was, or take the migration back with `segue rollback` and apply it again."
                .to_owned(),
        }
    }

    /// Returns the condition that nothing is bound to the column besides what the way back makes again.
    pub(in super::super) fn nothing_else(&self, table: &TableName, column: &Ident, context: &Context<'_>) -> Condition {
        let known = self.labels();
        let known = known.iter().map(|label| sql("{l}", &[("l", Hole::Text(label))]));
        let known: Vec<Sql> = std::iter::once(Sql::fixed("''")).chain(known).collect();
        Condition {
            sql: sql(
                include_str!("nothing_else.sql").trim_end(),
                &[("now", Hole::Sql(&question(table, column, context))), ("known", Hole::Join(&known, ", "))],
            ),
            says: format!("nothing else has been bound to `{column}` since the plan was made"),
            hint: "Drop it, and create it again after the rollback.".to_owned(),
        }
    }
}
