//! REINDEX: each index by itself, while the application writes.

use segue_model::catalog::Table;
use segue_model::ident::{Ident, TableName, TableRef};
use segue_model::probe::{Answer, Probe};
use segue_model::sql::{Hole, Sql};
use segue_model::step::{Action, Phase, Step, Undo};
use segue_model::value::{Row, Value};

use super::{found, place};
use crate::dialect::Planned;
use crate::dialect::postgres::mirror::{display, regclass};
use crate::dialect::postgres::object_name::object_name;
use crate::dialect::postgres::sql;
use crate::dialect::postgres::work::Work;
use crate::operation::Context;
use crate::refusal::Refusal;

/// What a REINDEX is of.
enum Of<'c> {
    Index(&'c Table, TableName),
    Table(&'c Table),
}

impl<'c> Of<'c> {
    fn find(of: &TableRef, is_table: bool, context: &Context<'c>) -> Result<Self, Refusal> {
        if is_table {
            let table = context.catalog.find(of);
            return table.map(Self::Table).ok_or_else(|| Refusal::NoTable { table: of.to_string(), nearest: None });
        }
        let (table, index) = found(of, context)?;
        Ok(Self::Index(table, place(table, index)))
    }

    fn name(&self) -> &TableName {
        match self {
            Self::Index(_, index) => index,
            Self::Table(table) => &table.name,
        }
    }

    fn table(&self) -> &'c Table {
        match self {
            Self::Index(table, _) | Self::Table(table) => table,
        }
    }
}

/// Returns the question which indexes are meant: those of partitions, and of what is stored out of line, too.
///
/// # Errors
/// A refusal where there is no such index or table.
pub(super) fn probes(of: &TableRef, is_table: bool, context: &Context<'_>) -> Result<Vec<Probe>, Refusal> {
    let of = Of::find(of, is_table, context)?;
    let template = match of {
        Of::Index(..) => {
            "WITH named(oid) AS (SELECT {name}::pg_catalog.oid UNION SELECT relid FROM pg_catalog.pg_partition_tree({name})) \
             SELECT n.nspname, c.relname, t.relname, i.indisexclusion::pg_catalog.text, c.oid::pg_catalog.text, \
             EXISTS (SELECT FROM pg_catalog.pg_class AS o WHERE o.relnamespace = c.relnamespace AND o.relname IN \
             (pg_catalog.left(c.relname, 57) || '_ccnew', pg_catalog.left(c.relname, 57) || '_ccold'))::pg_catalog.text, tn.nspname \
             FROM named AS d JOIN pg_catalog.pg_class AS c ON c.oid = d.oid AND c.relkind = 'i' \
             JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace JOIN pg_catalog.pg_index AS i ON i.indexrelid = c.oid \
             JOIN pg_catalog.pg_class AS t ON t.oid = i.indrelid JOIN pg_catalog.pg_namespace AS tn ON tn.oid = t.relnamespace \
             ORDER BY t.relname, c.relname LIMIT 1000"
        }
        Of::Table(_) => {
            "WITH named(oid) AS (SELECT {name}::pg_catalog.oid UNION SELECT relid FROM pg_catalog.pg_partition_tree({name})), \
             held(oid) AS (SELECT oid FROM named UNION SELECT r.reltoastrelid FROM pg_catalog.pg_class AS r JOIN named AS d ON d.oid = r.oid) \
             SELECT n.nspname, c.relname, t.relname, i.indisexclusion::pg_catalog.text, c.oid::pg_catalog.text, \
             EXISTS (SELECT FROM pg_catalog.pg_class AS o WHERE o.relnamespace = c.relnamespace AND o.relname IN \
             (pg_catalog.left(c.relname, 57) || '_ccnew', pg_catalog.left(c.relname, 57) || '_ccold'))::pg_catalog.text, tn.nspname \
             FROM held AS d JOIN pg_catalog.pg_index AS i ON i.indrelid = d.oid \
             JOIN pg_catalog.pg_class AS c ON c.oid = i.indexrelid AND c.relkind = 'i' \
             JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace \
             JOIN pg_catalog.pg_class AS t ON t.oid = i.indrelid JOIN pg_catalog.pg_namespace AS tn ON tn.oid = t.relnamespace \
             ORDER BY t.relname, c.relname LIMIT 1000"
        }
    };
    Ok(vec![Probe { key: key(&of), sql: sql(template, &[("name", Hole::Sql(&regclass(of.name())))]) }])
}

fn key(of: &Of<'_>) -> String {
    ["reindex:", &display(of.name())].concat()
}

/// An index that is built anew.
struct Anew {
    index: TableName,
    table: TableName,
    exclusion: bool,
    oid: i64,
    /// Something bears a name that the server gives the new one meanwhile.
    in_the_way: bool,
}

/// Returns a step for each index.
///
/// # Errors
/// A refusal where one cannot be built while the application writes.
pub(super) fn plan(of: &TableRef, is_table: bool, context: &Context<'_>) -> Result<Planned, Refusal> {
    let of = Of::find(of, is_table, context)?;
    let rows = match context.answers.get(&key(&of)) {
        Some(Answer::Rows(rows)) if rows.len() < 1000 => rows,
        _ => {
            return Err(Refusal::Impossible {
                what: format!("the indexes of `{}` could not be looked up", of.name()),
                why: "the server did not answer, or there are a thousand of them".to_owned(),
                instead: "Name each index by itself.".to_owned(),
            });
        }
    };
    let all: Vec<Anew> = rows.iter().filter_map(anew).collect();
    let steps: Vec<Step> = all.iter().map(|index| step(index, of.table())).collect::<Result<_, _>>()?;
    Ok(Planned { steps, ..Planned::default() })
}

fn anew(row: &Row) -> Option<Anew> {
    let text = |at: usize| row.get(at).and_then(Value::as_str);
    let name = |at: usize| Ident::new(text(at)?).ok();
    Some(Anew {
        index: TableName { schema: name(0)?, name: name(1)? },
        table: TableName { schema: name(6)?, name: name(2)? },
        exclusion: text(3) == Some("true"),
        oid: text(4)?.parse().ok()?,
        in_the_way: text(5) == Some("true"),
    })
}

fn step(anew: &Anew, of: &Table) -> Result<Step, Refusal> {
    let index = &anew.index;
    if anew.exclusion {
        return Err(Refusal::Impossible {
            what: format!("REINDEX of `{}`", index.name),
            why: "PostgreSQL builds the index of an exclusion constraint only under a lock".to_owned(),
            instead: "Name the other indexes one by one, and this one at a time when nobody writes.".to_owned(),
        });
    }
    if anew.in_the_way {
        return Err(Refusal::Impossible {
            what: format!("REINDEX of `{}`", index.name),
            why: "an earlier REINDEX left a part of itself (`…_ccnew` or `…_ccold`)".to_owned(),
            instead: format!("Drop it first: `DROP INDEX CONCURRENTLY {}_ccnew`.", display(index)),
        });
    }
    let work = Work {
        phase: Phase::Expand,
        title: format!("build the index `{}` of {} anew", index.name, of.name),
        action: Action::Settled {
            sql: sql("REINDEX INDEX CONCURRENTLY {index}", &[("index", Hole::Table(index))]),
            settle: settle(anew),
        },
        facts: &["idx.reindex_index_conc"],
        table: if anew.table.schema.as_str() == "pg_toast" { &of.name } else { &anew.table },
        undo: Undo::Nothing,
    };
    Ok(Step { on_interrupted: leftovers(index).iter().map(super::drop_concurrently).collect(), ..work.step() })
}

/// What the server calls the new index until it takes the old one's name, and the old one then.
fn leftovers(index: &TableName) -> [TableName; 2] {
    ["ccnew", "ccold"].map(|label| TableName {
        schema: index.schema.clone(),
        name: Ident::new(object_name(index.name.as_str(), None, label)).expect("a name with an ending is a name"),
    })
}

/// The index is another one afterwards, under its own name, and nothing else is left of it.
fn settle(anew: &Anew) -> Sql {
    let [new, old] = leftovers(&anew.index);
    sql(
        "SELECT CASE WHEN EXISTS (SELECT FROM pg_catalog.pg_class AS o JOIN pg_catalog.pg_namespace AS s \
         ON s.oid = o.relnamespace WHERE s.nspname = {schema} AND o.relname IN ({new}, {old})) THEN 'broken' \
         WHEN EXISTS (SELECT FROM pg_catalog.pg_class AS o JOIN pg_catalog.pg_namespace AS s ON s.oid = o.relnamespace \
         WHERE s.nspname = {schema} AND o.relname = {name} AND o.oid <> {oid}) THEN 'done' ELSE 'undone' END",
        &[
            ("schema", Hole::Text(anew.index.schema.as_str())),
            ("new", Hole::Text(new.name.as_str())),
            ("old", Hole::Text(old.name.as_str())),
            ("name", Hole::Text(anew.index.name.as_str())),
            ("oid", Hole::Int(anew.oid)),
        ],
    )
}
