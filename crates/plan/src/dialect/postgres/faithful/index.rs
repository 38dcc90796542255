//! Indexes on a column that goes over to its copy: each gets a twin there, built while the application runs.

use segue_model::ident::{Ident, TableName};
use segue_model::probe::Probe;
use segue_model::sql::{Hole, Sql};
use segue_model::step::{Action, Condition, Phase, Step, Undo, UndoStep};

use super::super::mirror::regclass;
use super::super::work::{Work, undo_step};
use super::super::{prove, sql};
use super::{Cells, Subject, Way, key, rows};
use crate::operation::Context;
use crate::refusal::Refusal;

/// The first version with NULLS NOT DISTINCT.
const NULLS_NOT_DISTINCT: u32 = 15;

/// The indexes.
pub(in super::super) struct Indexes(Vec<Twin>);

/// An index, and the one that takes its place.
struct Twin {
    /// The index's schema and name.
    index: TableName,
    /// The twin's name until the exchange.
    twin: TableName,
    /// The index's name after it.
    aside: TableName,
    /// Both are unique.
    unique: bool,
    /// What it belongs to.
    of: Of,
    /// The old one goes in the exchange, and is built again on the way back: a table has one primary key, and where NULLs are
    /// alike, rows whose value does not fit the old column would be.
    goes: bool,
    clustered: bool,
    replica_identity: bool,
    comments: Vec<Sql>,
    create: Sql,
    create_back: Sql,
}

/// What an index belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Of {
    Nothing,
    Unique,
    PrimaryKey,
}

/// Returns the question.
pub(super) fn probe(table: &TableName, counted: &[&Ident], context: &Context<'_>) -> Probe {
    let columns: Vec<Sql> = counted.iter().map(|c| sql("{c}", &[("c", Hole::Text(c.as_str()))])).collect();
    let alike = context.server.version.major >= NULLS_NOT_DISTINCT;
    let alike = Sql::fixed(if alike { "h.indnullsnotdistinct" } else { "false" });
    Probe {
        key: key("indexes", table, counted[0]),
        sql: sql(
            include_str!("indexes.sql").trim_end(),
            &[
                ("table", Hole::Sql(&regclass(table))),
                ("columns", Hole::Join(&columns, ", ")),
                ("nulls_not_distinct", Hole::Sql(&alike)),
            ],
        ),
    }
}

/// Returns the indexes with their twins.
///
/// # Errors
/// A refusal of an index that cannot have one.
pub(super) fn read(subject: &Subject<'_>, context: &Context<'_>) -> Result<Indexes, Refusal> {
    let rows = rows(context.answers, &key("indexes", subject.name(), subject.column), subject.name(), subject.column)?;
    rows.iter().map(|row| twin(subject, &Cells(row))).collect::<Result<_, _>>().map(Indexes)
}

fn twin(subject: &Subject<'_>, row: &Cells<'_>) -> Result<Twin, Refusal> {
    let refused = |why: &str| Refusal::Impossible {
        what: format!("a change of `{}` under the index `{}`", subject.column, row.text(0)),
        why: why.to_owned(),
        instead: "Drop the index or its constraint first, and create it again afterwards.".to_owned(),
    };
    if let Some(why) = odd(row) {
        return Err(refused(why));
    }
    let name = row.name(0).ok_or_else(|| refused("it has no name"))?;
    let schema = &subject.name().schema;
    let place = |name: Ident| TableName { schema: schema.clone(), name };
    let (twin, aside) = (subject.names.beside(&name, "twin"), subject.names.beside(&name, "aside"));
    let unproved = || refused("it cannot be told which words of its definition are the column");
    let create = |way, name: &Ident| create(subject, row, way, name).ok_or_else(unproved);
    let of = match row.letter(2) {
        'p' => Of::PrimaryKey,
        'u' => Of::Unique,
        _ => Of::Nothing,
    };
    Ok(Twin {
        unique: row.flag(1),
        of,
        goes: of == Of::PrimaryKey || row.flag(1) && row.flag(11),
        clustered: row.flag(9),
        replica_identity: row.flag(10),
        comments: comments(subject, row, &place(name.clone())),
        create: create(Way::Forward, &twin)?,
        create_back: create(Way::Back, &aside)?,
        index: place(name),
        twin: place(twin),
        aside: place(aside),
    })
}

/// Returns why an index has no twin that could take its place in a short transaction.
fn odd(row: &Cells<'_>) -> Option<&'static str> {
    if row.letter(2) == 'x' {
        return Some("an EXCLUDE constraint cannot be built while the application writes");
    }
    if !row.flag(3) {
        return Some(
            "it is DEFERRABLE, and its twin could only be checked at once: writes that it lets pass until the end of their \
             transaction would fail",
        );
    }
    if !row.flag(4) {
        return Some("it is not valid: drop it, or build it anew with REINDEX INDEX CONCURRENTLY");
    }
    row.flag(15).then_some("it names whole rows")
}

fn comments(subject: &Subject<'_>, row: &Cells<'_>, index: &TableName) -> Vec<Sql> {
    let of_index = row.opt(12).map(|text| {
        sql("COMMENT ON INDEX {index} IS {text}", &[("index", Hole::Table(index)), ("text", Hole::Text(text))])
    });
    let of_constraint = row.opt(13).map(|text| {
        sql(
            "COMMENT ON CONSTRAINT {name} ON {table} IS {text}",
            &[("name", Hole::Name(&index.name)), ("table", Hole::Table(subject.name())), ("text", Hole::Text(text))],
        )
    });
    of_index.into_iter().chain(of_constraint).collect()
}

/// Returns the statement that builds the index over other columns; `None` where they cannot be put in.
fn create(subject: &Subject<'_>, row: &Cells<'_>, way: Way, name: &Ident) -> Option<Sql> {
    let (body, refs) = (row.opt(5)?, row.numbers(7));
    let body = subject.substituted(way, &in_tablespace(body, row.text(6), row.text(8))?, &refs)?;
    let method = Ident::new(row.text(14)).ok()?;
    let unique = Sql::fixed(if row.flag(1) { "UNIQUE " } else { "" });
    Some(sql(
        "CREATE {unique}INDEX CONCURRENTLY {name} ON {table} USING {method} {body}",
        &[
            ("unique", Hole::Sql(&unique)),
            ("name", Hole::Name(name)),
            ("table", Hole::Table(subject.name())),
            ("method", Hole::Name(&method)),
            ("body", Hole::Sql(&body)),
        ],
    ))
}

/// The server prints an index without its tablespace, which stands before WHERE.
fn in_tablespace(body: &str, predicate: &str, tablespace: &str) -> Option<String> {
    let Ok(tablespace) = Ident::new(tablespace) else { return Some(body.to_owned()) };
    let (keys, predicate) = match predicate {
        "" => (body, ""),
        predicate => {
            let keys = body.strip_suffix(predicate)?.strip_suffix(" WHERE ")?;
            (keys, &body[keys.len()..])
        }
    };
    let tablespace = sql(" TABLESPACE {t}", &[("t", Hole::Name(&tablespace))]);
    Some([keys, tablespace.as_str(), predicate].concat())
}

impl Indexes {
    /// Returns the steps that build the twins.
    pub(in super::super) fn steps(&self, subject: &Subject<'_>) -> Vec<Step> {
        self.0.iter().map(|twin| twin.step(subject.name())).collect()
    }

    /// Returns whether some index is unique.
    pub(in super::super) fn any_unique(&self) -> bool {
        self.0.iter().any(|twin| twin.unique)
    }

    /// Returns the names that the exchange gives away, so that none is somebody's already.
    pub(in super::super) fn names(&self) -> impl Iterator<Item = &TableName> {
        self.0.iter().flat_map(|twin| [&twin.twin, &twin.aside])
    }

    /// Returns the statements before the columns exchange names: what bears a name gives it away, or goes.
    pub(super) fn leave(&self, subject: &Subject<'_>, way: Way) -> Vec<Sql> {
        let table = Hole::Table(subject.name());
        let identity = self.0.iter().any(|twin| twin.replica_identity);
        let identity = identity.then(|| sql("ALTER TABLE {table} REPLICA IDENTITY DEFAULT", &[("table", table)]));
        identity.into_iter().chain(self.0.iter().flat_map(|twin| twin.leave(subject.name(), way))).collect()
    }

    /// Returns the statements after it: the twins take the names.
    pub(super) fn arrive(&self, subject: &Subject<'_>, way: Way) -> Vec<Sql> {
        self.0.iter().flat_map(|twin| twin.arrive(subject.name(), way)).collect()
    }

    /// Returns what builds again, on the column that stands aside, the indexes that went.
    pub(super) fn rebuilt(&self, subject: &Subject<'_>) -> Vec<UndoStep> {
        self.0.iter().filter(|twin| twin.goes).map(|twin| twin.rebuilt(subject)).collect()
    }

    /// Returns the condition that every twin is built; `None` when there is none.
    pub(super) fn condition(&self, _: &Subject<'_>) -> Option<Condition> {
        let names: Vec<Sql> = self
            .0
            .iter()
            .map(|twin| {
                let name = sql("{i}", &[("i", Hole::Table(&twin.twin))]);
                sql("({name}::pg_catalog.text)", &[("name", Hole::Body(&name))])
            })
            .collect();
        (!names.is_empty()).then(|| Condition {
            sql: sql(
                "SELECT 'the index ' || w.name || ' is missing or not valid' FROM (VALUES {names}) AS w(name) WHERE NOT EXISTS \
                 (SELECT FROM pg_catalog.pg_index AS i WHERE i.indexrelid = pg_catalog.to_regclass(w.name) AND i.indisvalid)",
                &[("names", Hole::Join(&names, ", "))],
            ),
            says: "the indexes on the copy are built".to_owned(),
            hint: "Run `segue apply` again: it builds them anew.".to_owned(),
        })
    }
}

impl Twin {
    fn step(&self, table: &TableName) -> Step {
        let drop = drop_concurrently(&self.twin);
        let settle = sql(
            include_str!("../twin.sql").trim_end(),
            &[("schema", Hole::Text(self.twin.schema.as_str())), ("name", Hole::Text(self.twin.name.as_str()))],
        );
        let work = Work {
            phase: Phase::Backfill,
            title: format!("build the index that takes the place of `{}`", self.index.name),
            action: Action::Settled { sql: self.create.clone(), settle },
            facts: &["idx.create_conc"],
            table,
            undo: Undo::Lossless(vec![undo_step(table, &["idx.drop_conc"], vec![drop.clone()])]),
        };
        Step { on_interrupted: vec![drop], ..work.step() }
    }

    /// The one that has the name leaves it: on the way back that is the twin, which is not needed any more.
    fn leave(&self, table: &TableName, way: Way) -> Vec<Sql> {
        match (self.of, way) {
            (Of::Nothing, _) if self.goes => {
                vec![sql("DROP INDEX {index}", &[("index", Hole::Table(&self.index))])]
            }
            (Of::Nothing, Way::Forward) => vec![rename(&self.index, &self.aside.name)],
            (Of::Nothing, Way::Back) => vec![rename(&self.index, &self.twin.name)],
            (Of::Unique, Way::Forward) if !self.goes => {
                vec![rename_constraint(table, &self.index.name, &self.aside.name)]
            }
            (Of::Unique | Of::PrimaryKey, _) => vec![prove::drop_sql(table, &self.index.name)],
        }
    }

    fn arrive(&self, table: &TableName, way: Way) -> Vec<Sql> {
        let comes = if way == Way::Forward { &self.twin } else { &self.aside };
        let mut all = match (self.of, way) {
            (Of::Nothing, _) => vec![rename(comes, &self.index.name)],
            (Of::Unique, Way::Back) if !self.goes => {
                vec![rename_constraint(table, &self.aside.name, &self.index.name)]
            }
            (Of::Unique, _) => {
                vec![self.constraint(
                    table,
                    comes,
                    "ALTER TABLE {table} ADD CONSTRAINT {name} UNIQUE USING INDEX {index}",
                )]
            }
            (Of::PrimaryKey, _) => vec![self.constraint(
                table,
                comes,
                "ALTER TABLE {table} ADD CONSTRAINT {name} PRIMARY KEY USING INDEX {index}",
            )],
        };
        let marks = [
            (self.clustered, "ALTER TABLE {table} CLUSTER ON {index}"),
            (self.replica_identity, "ALTER TABLE {table} REPLICA IDENTITY USING INDEX {index}"),
        ];
        all.extend(marks.into_iter().filter(|(has, _)| *has).map(|(_, template)| {
            sql(template, &[("table", Hole::Table(table)), ("index", Hole::Name(&self.index.name))])
        }));
        all.extend(self.comments.iter().cloned());
        all
    }

    fn constraint(&self, table: &TableName, index: &TableName, template: &'static str) -> Sql {
        sql(
            template,
            &[
                ("table", Hole::Table(table)),
                ("name", Hole::Name(&self.index.name)),
                ("index", Hole::Name(&index.name)),
            ],
        )
    }

    /// Built outside a transaction; a part that an interruption left is dropped first.
    fn rebuilt(&self, subject: &Subject<'_>) -> UndoStep {
        let needed = sql(
            "SELECT ({aside}) * (SELECT pg_catalog.count(*) FROM (VALUES (1)) AS one(n) WHERE NOT EXISTS (SELECT FROM \
             pg_catalog.pg_index AS i WHERE i.indexrelid = pg_catalog.to_regclass({name}) AND i.indisvalid))",
            &[
                ("aside", Hole::Sql(&subject.is_aside())),
                ("name", Hole::Body(&sql("{i}", &[("i", Hole::Table(&self.aside))]))),
            ],
        );
        let statements = vec![drop_concurrently(&self.aside), self.create_back.clone()];
        UndoStep {
            needed: Some(needed),
            ..undo_step(subject.name(), &["idx.create_conc", "idx.drop_conc"], statements)
        }
    }
}

fn drop_concurrently(index: &TableName) -> Sql {
    sql("DROP INDEX CONCURRENTLY IF EXISTS {index}", &[("index", Hole::Table(index))])
}

fn rename(index: &TableName, to: &Ident) -> Sql {
    sql("ALTER INDEX {index} RENAME TO {to}", &[("index", Hole::Table(index)), ("to", Hole::Name(to))])
}

/// Its index is renamed with it.
fn rename_constraint(table: &TableName, from: &Ident, to: &Ident) -> Sql {
    sql(
        "ALTER TABLE {table} RENAME CONSTRAINT {from} TO {to}",
        &[("table", Hole::Table(table)), ("from", Hole::Name(from)), ("to", Hole::Name(to))],
    )
}
