//! A column's own properties besides its type: comment, grants and figures are given to the copy when it is added; default,
//! identity and sequences move in the exchange, since only one column can have them.

use segue_model::ident::{Ident, TableName};
use segue_model::probe::Probe;
use segue_model::sql::{Hole, Sql, TypeName};
use segue_model::step::Condition;

use super::super::mirror::regclass;
use super::super::sql;
use super::{Cells, Subject, key, rows};
use crate::operation::Context;
use crate::refusal::Refusal;

/// What a column has.
pub(in super::super) struct Own {
    comment: Option<String>,
    target: Option<i64>,
    options: Vec<(Ident, String)>,
    grants: Vec<Grant>,
    identity: Option<Identity>,
    owned: Vec<Sequence>,
}

/// A right on a column or a sequence.
struct Grant {
    privilege: Sql,
    /// `None` for PUBLIC.
    to: Option<Ident>,
    may_grant: bool,
}

struct Identity {
    sequence: Sequence,
    comment: Option<String>,
    grants: Vec<Grant>,
}

struct Sequence {
    name: TableName,
    kind: TypeName,
    start: i64,
    increment: i64,
    min: i64,
    max: i64,
    cache: i64,
    cycle: bool,
}

/// The words that GRANT takes.
const PRIVILEGES: &[&str] = &["SELECT", "INSERT", "UPDATE", "REFERENCES", "USAGE"];

/// Returns the question.
pub(super) fn probe(table: &TableName, column: &Ident) -> Probe {
    Probe {
        key: key("own", table, column),
        sql: sql(
            include_str!("column.sql").trim_end(),
            &[("table", Hole::Sql(&regclass(table))), ("column", Hole::Text(column.as_str()))],
        ),
    }
}

/// Returns what the column has.
///
/// # Errors
/// A refusal of a right that its owner did not grant.
pub(super) fn read(table: &TableName, column: &Ident, context: &Context<'_>) -> Result<Own, Refusal> {
    let mut own = Own { comment: None, target: None, options: vec![], grants: vec![], identity: None, owned: vec![] };
    let (mut comment, mut grants) = (None, vec![]);
    for row in rows(context.answers, &key("own", table, column), table, column)?.iter().map(Cells) {
        match row.text(1) {
            "comment" => own.comment = row.opt(2).map(str::to_owned),
            "target" => own.target = row.text(2).parse().ok(),
            "option" => own.options.extend(row.name(2).map(|name| (name, row.text(3).to_owned()))),
            "grant" => own.grants.extend(grant(&row)),
            "owned" => own.owned.extend(sequence(&row)),
            "identity" => {
                let made = |sequence| Identity { sequence, comment: None, grants: vec![] };
                own.identity = sequence(&row).map(made);
            }
            "sequence comment" => comment = row.opt(2).map(str::to_owned),
            "sequence grant" => grants.extend(grant(&row)),
            _ => {
                return Err(Refusal::Impossible {
                    what: format!("a change of `{table}.{column}`"),
                    why: "somebody other than the owner granted rights on the column or its sequence, and only they could \
                          grant them again"
                        .to_owned(),
                    instead: "Let the owner grant them.".to_owned(),
                });
            }
        }
    }
    if let Some(identity) = &mut own.identity {
        (identity.comment, identity.grants) = (comment, grants);
    }
    Ok(own)
}

fn grant(row: &Cells<'_>) -> Option<Grant> {
    let privilege = PRIVILEGES.iter().find(|known| **known == row.text(2))?;
    Some(Grant { privilege: Sql::fixed(privilege), to: row.name(3), may_grant: row.flag(4) })
}

fn sequence(row: &Cells<'_>) -> Option<Sequence> {
    let number = |at: usize| row.text(at).parse().ok();
    Some(Sequence {
        name: row.table(2, 3)?,
        start: number(4)?,
        increment: number(5)?,
        min: number(6)?,
        max: number(7)?,
        cache: number(8)?,
        cycle: row.flag(9),
        kind: TypeName::spelled(row.text(10)),
    })
}

impl Grant {
    fn on_column(&self, table: &TableName, column: &Ident) -> Sql {
        let (to, option) = (self.grantee(), self.option());
        sql(
            "GRANT {privilege} ({column}) ON {table} TO {to}{option}",
            &[
                ("privilege", Hole::Sql(&self.privilege)),
                ("column", Hole::Name(column)),
                ("table", Hole::Table(table)),
                ("to", Hole::Sql(&to)),
                ("option", Hole::Sql(&option)),
            ],
        )
    }

    fn on_sequence(&self, sequence: &TableName) -> Sql {
        let (to, option) = (self.grantee(), self.option());
        sql(
            "GRANT {privilege} ON SEQUENCE {sequence} TO {to}{option}",
            &[
                ("privilege", Hole::Sql(&self.privilege)),
                ("sequence", Hole::Table(sequence)),
                ("to", Hole::Sql(&to)),
                ("option", Hole::Sql(&option)),
            ],
        )
    }

    fn grantee(&self) -> Sql {
        self.to.as_ref().map_or_else(|| Sql::fixed("PUBLIC"), |role| sql("{r}", &[("r", Hole::Name(role))]))
    }

    fn option(&self) -> Sql {
        Sql::fixed(if self.may_grant { " WITH GRANT OPTION" } else { "" })
    }
}

impl Own {
    /// Returns the statements that give the copy what both columns may have.
    pub(in super::super) fn on_copy(&self, subject: &Subject<'_>) -> Vec<Sql> {
        let (table, copy) = (subject.name(), subject.copy);
        let on = |template: &'static str, more: (&'static str, Hole<'_>)| {
            sql(template, &[("table", Hole::Table(table)), ("copy", Hole::Name(copy)), more])
        };
        let target = self
            .target
            .map(|target| on("ALTER TABLE {table} ALTER COLUMN {copy} SET STATISTICS {n}", ("n", Hole::Int(target))));
        let options = self.options.iter().map(|(name, value)| {
            let option = sql("{n} = {v}", &[("n", Hole::Name(name)), ("v", Hole::Text(value))]);
            on("ALTER TABLE {table} ALTER COLUMN {copy} SET ({option})", ("option", Hole::Sql(&option)))
        });
        let comment = self.comment.as_deref();
        let comment = comment.map(|text| on("COMMENT ON COLUMN {table}.{copy} IS {text}", ("text", Hole::Text(text))));
        let grants = self.grants.iter().map(|grant| grant.on_column(table, copy));
        target.into_iter().chain(options).chain(comment).chain(grants).collect()
    }

    /// Returns the statements by which the column gives its identity away. Its sequence is held and its place noted first:
    /// nobody takes a number in between.
    pub(super) fn leaves(&self, subject: &Subject<'_>) -> Vec<Sql> {
        let Some(identity) = &self.identity else { return vec![] };
        let on = |template: &'static str| {
            sql(template, &[("table", Hole::Table(subject.name())), ("column", Hole::Name(subject.column))])
        };
        let hold = match self.always(subject) {
            true => on("ALTER TABLE {table} ALTER COLUMN {column} SET GENERATED ALWAYS"),
            false => on("ALTER TABLE {table} ALTER COLUMN {column} SET GENERATED BY DEFAULT"),
        };
        let note =
            sql(include_str!("sequence_at.sql").trim_end(), &[("sequence", Hole::Table(&identity.sequence.name))]);
        vec![hold, do_block(&note), on("ALTER TABLE {table} ALTER COLUMN {column} DROP IDENTITY")]
    }

    /// Returns the statements by which the column that has the name now gets identity and sequences; with the `wide` range of
    /// its type, its own sequence grows as the server's would.
    pub(super) fn arrives(&self, subject: &Subject<'_>, wide: Option<(i64, i64)>) -> Vec<Sql> {
        let owned = self.owned.iter().map(|sequence| {
            sql(
                "ALTER SEQUENCE {sequence} OWNED BY {table}.{column}",
                &[
                    ("sequence", Hole::Table(&sequence.name)),
                    ("table", Hole::Table(subject.name())),
                    ("column", Hole::Name(subject.column)),
                ],
            )
        });
        let owned: Vec<Sql> = owned.collect();
        let identity = self.identity.iter().flat_map(|identity| {
            let name = &identity.sequence.name;
            let comment = identity.comment.as_deref().map(|text| {
                sql(
                    "COMMENT ON SEQUENCE {sequence} IS {text}",
                    &[("sequence", Hole::Table(name)), ("text", Hole::Text(text))],
                )
            });
            let set = sql(include_str!("sequence_set.sql").trim_end(), &[("sequence", Hole::Sql(&regclass(name)))]);
            let grants = identity.grants.iter().map(|grant| grant.on_sequence(name));
            let add = add_identity(subject, &identity.sequence, self.always(subject), wide);
            [add, do_block(&set)].into_iter().chain(comment).chain(grants)
        });
        owned.into_iter().chain(identity).collect()
    }

    /// Returns the condition that the old column's sequence can stand where the new one does.
    pub(in super::super) fn sequence_fits(&self) -> Option<Condition> {
        let Sequence { name, max, min, .. } = &self.identity.as_ref()?.sequence;
        Some(Condition {
            sql: sql(
                "SELECT 'the sequence stands at ' || s.last_value FROM {sequence} AS s WHERE s.last_value NOT BETWEEN {min} AND {max}",
                &[("sequence", Hole::Table(name)), ("min", Hole::Int(*min)), ("max", Hole::Int(*max))],
            ),
            says: format!("the sequence `{}` stands at a number of the old type", name.name),
            hint: "Go forward with `segue contract`.".to_owned(),
        })
    }

    /// Returns what stays narrow.
    pub(super) fn note(&self, subject: &Subject<'_>) -> Option<String> {
        let narrow = self.owned.iter().find(|sequence| sequence.kind.as_str() != "bigint")?;
        Some(format!(
            "the sequence `{}` of `{}` stays of type {}, as it would with the statement as written: `ALTER SEQUENCE {} AS bigint` \
             lets it go on",
            narrow.name, subject.column, narrow.kind, narrow.name
        ))
    }

    fn always(&self, subject: &Subject<'_>) -> bool {
        let column = subject.table.columns.iter().find(|column| column.name == *subject.column);
        column.and_then(|column| column.identity.as_deref()) == Some("ALWAYS")
    }
}

/// The server gives a sequence whose bound is its type's own the bound of the wider type.
fn add_identity(subject: &Subject<'_>, of: &Sequence, always: bool, wide: Option<(i64, i64)>) -> Sql {
    let own = range(of.kind.as_str());
    let (low, high) = wide.unwrap_or(own);
    let max = if of.max == own.1 { high } else { of.max };
    let min = if of.min == own.0 { low } else { of.min };
    let always = Sql::fixed(if always { "ALWAYS" } else { "BY DEFAULT" });
    let cycle = Sql::fixed(if of.cycle { "CYCLE" } else { "NO CYCLE" });
    sql(
        "ALTER TABLE {table} ALTER COLUMN {column} ADD GENERATED {always} AS IDENTITY (SEQUENCE NAME {sequence} START WITH {start} \
         INCREMENT BY {increment} MINVALUE {min} MAXVALUE {max} CACHE {cache} {cycle})",
        &[
            ("table", Hole::Table(subject.name())),
            ("column", Hole::Name(subject.column)),
            ("always", Hole::Sql(&always)),
            ("sequence", Hole::Table(&of.name)),
            ("start", Hole::Int(of.start)),
            ("increment", Hole::Int(of.increment)),
            ("min", Hole::Int(min)),
            ("max", Hole::Int(max)),
            ("cache", Hole::Int(of.cache)),
            ("cycle", Hole::Sql(&cycle)),
        ],
    )
}

fn range(kind: &str) -> (i64, i64) {
    match kind {
        "smallint" => (i64::from(i16::MIN), i64::from(i16::MAX)),
        "integer" => (i64::from(i32::MIN), i64::from(i32::MAX)),
        _ => (i64::MIN, i64::MAX),
    }
}

fn do_block(body: &Sql) -> Sql {
    sql("DO {body}", &[("body", Hole::Body(body))])
}
