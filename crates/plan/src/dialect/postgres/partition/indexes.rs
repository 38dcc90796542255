//! The indexes that a table must have before it becomes a partition: missing ones would be built under a lock.

use segue_model::catalog::{Table, TableKind};
use segue_model::ident::{Ident, TableName};
use segue_model::probe::{Answer, Probe};
use segue_model::sql::{Hole, Sql};
use segue_model::step::{Action, Phase, Step, Undo, UndoStep};
use segue_model::value::{Row, Value};

use crate::dialect::postgres::index::{Taken, choose, drop_concurrently, settle_created, stands_alone};
use crate::dialect::postgres::mirror::{display, regclass};
use crate::dialect::postgres::prove::drop_sql;
use crate::dialect::postgres::sql;
use crate::dialect::postgres::work::{Work, undo_step};
use crate::operation::Context;
use crate::refusal::Refusal;

/// An index as the server prints it.
struct Printed {
    name: Ident,
    unique: bool,
    /// `p`, `u` or `x` of a constraint, else empty.
    constraint: String,
    /// What stands after the table's name.
    definition: String,
    columns: Vec<Option<Ident>>,
    /// ` DEFERRABLE` and the like.
    timing: &'static str,
    valid: bool,
}

/// Returns the question which indexes a table has.
pub(super) fn probe(table: &TableName) -> Probe {
    Probe {
        key: key(table),
        sql: sql(
            "SELECT i.relname, x.indisunique::pg_catalog.text, COALESCE(o.contype::pg_catalog.text, ''), \
             pg_catalog.substr(pg_catalog.pg_get_indexdef(i.oid), pg_catalog.length(pg_catalog.format('CREATE %sINDEX %I ON %s%I.%I ', \
             CASE WHEN x.indisunique THEN 'UNIQUE ' ELSE '' END, i.relname, CASE i.relkind WHEN 'I' THEN 'ONLY ' ELSE '' END, \
             n.nspname, t.relname)) + 1), \
             (SELECT pg_catalog.string_agg(a.attname, E'\\n' ORDER BY a.attnum) FROM pg_catalog.pg_attribute AS a WHERE a.attrelid = i.oid), \
             COALESCE(o.condeferrable, false)::pg_catalog.text, COALESCE(o.condeferred, false)::pg_catalog.text, x.indisvalid::pg_catalog.text \
             FROM pg_catalog.pg_index AS x JOIN pg_catalog.pg_class AS i ON i.oid = x.indexrelid \
             JOIN pg_catalog.pg_class AS t ON t.oid = x.indrelid JOIN pg_catalog.pg_namespace AS n ON n.oid = t.relnamespace \
             LEFT JOIN pg_catalog.pg_constraint AS o ON o.conindid = i.oid AND o.conrelid = t.oid AND o.contype IN ('p', 'u', 'x') \
             WHERE t.oid = {table} ORDER BY i.oid",
            &[("table", Hole::Sql(&regclass(table)))],
        ),
    }
}

fn key(table: &TableName) -> String {
    ["printed indexes:", &display(table)].concat()
}

fn printed(table: &TableName, context: &Context<'_>) -> Result<Vec<Printed>, Refusal> {
    match context.answers.get(&key(table)) {
        Some(Answer::Rows(rows)) => Ok(rows.iter().filter_map(read).collect()),
        _ => Err(Refusal::Impossible {
            what: format!("the indexes of {table} could not be looked up"),
            why: "the server did not answer".to_owned(),
            instead: "Try again; if it stays, check the connection and the role's rights.".to_owned(),
        }),
    }
}

fn read(row: &Row) -> Option<Printed> {
    let text = |at: usize| row.get(at).and_then(Value::as_str);
    let flag = |at: usize| text(at) == Some("true");
    Some(Printed {
        name: Ident::new(text(0)?).ok()?,
        unique: flag(1),
        constraint: text(2)?.to_owned(),
        definition: text(3)?.to_owned(),
        columns: text(4)?.lines().map(|name| Ident::new(name).ok()).collect(),
        timing: match (flag(5), flag(6)) {
            (_, true) => " DEFERRABLE INITIALLY DEFERRED",
            (true, false) => " DEFERRABLE",
            (false, false) => "",
        },
        valid: flag(7),
    })
}

/// Returns the steps that give `partition` the indexes of `table` that it lacks, under the names that the server would
/// choose.
///
/// # Errors
/// A refusal for one that cannot be built while the application writes.
pub(super) fn steps(table: &Table, partition: &Table, context: &Context<'_>) -> Result<Vec<Step>, Refusal> {
    let (wanted, mut own) = (printed(&table.name, context)?, printed(&partition.name, context)?);
    let mut taken = Taken::of(context);
    let mut steps = vec![];
    for index in &wanted {
        let same = |own: &Printed| {
            own.valid
                && (own.unique, &own.constraint, &own.definition)
                    == (index.unique, &index.constraint, &index.definition)
        };
        if let Some(at) = own.iter().position(same) {
            own.remove(at);
            continue;
        }
        buildable(index, table, partition)?;
        let (label, called) = match index.constraint.as_str() {
            "p" => ("pkey", &[][..]),
            "u" => ("key", index.columns.as_slice()),
            _ => ("idx", index.columns.as_slice()),
        };
        let name = choose(&partition.name.name, called, label, &partition.name.schema, &taken);
        taken.add(&partition.name.schema, &name);
        steps.push(build(index, &partition.name, &name));
        if !index.constraint.is_empty() {
            steps.push(constrain(index, &partition.name, &name));
        }
    }
    Ok(steps)
}

fn buildable(index: &Printed, table: &Table, partition: &Table) -> Result<(), Refusal> {
    let why = if index.constraint == "x" {
        "it belongs to an exclusion constraint, which PostgreSQL builds only under a lock"
    } else if partition.kind == TableKind::Partitioned {
        "it would be built on every partition of it under a lock"
    } else {
        return Ok(());
    };
    Err(Refusal::Impossible {
        what: format!("{} has no index like `{}` of {}", partition.name, index.name, table.name),
        why: why.to_owned(),
        instead: format!("Create it on {} first, in an earlier migration.", partition.name),
    })
}

fn build(index: &Printed, table: &TableName, name: &Ident) -> Step {
    let place = TableName { schema: table.schema.clone(), name: name.clone() };
    let drop = drop_concurrently(&place);
    let undo = undo_step(table, &["idx.drop_conc"], vec![drop.clone()]);
    let work = Work {
        phase: Phase::Expand,
        title: format!("build the index `{name}` on {table}, like `{}`", index.name),
        action: Action::Settled {
            sql: sql(
                "CREATE {unique}INDEX CONCURRENTLY {name} ON {table} {definition}",
                &[
                    ("unique", Hole::Sql(&Sql::fixed(if index.unique { "UNIQUE " } else { "" }))),
                    ("name", Hole::Name(name)),
                    ("table", Hole::Table(table)),
                    ("definition", Hole::Sql(&Sql::of_catalog(&index.definition))),
                ],
            ),
            settle: settle_created(&place),
        },
        facts: &["idx.create_conc"],
        table,
        undo: Undo::Lossless(vec![UndoStep { needed: Some(stands_alone(&place)), ..undo }]),
    };
    Step { on_interrupted: vec![drop], ..work.step() }
}

fn constrain(index: &Printed, table: &TableName, name: &Ident) -> Step {
    let kind = if index.constraint == "p" { "PRIMARY KEY" } else { "UNIQUE" };
    Work {
        phase: Phase::Expand,
        title: format!("make the index `{name}` a constraint of {table}"),
        action: Action::Sql(vec![sql(
            "ALTER TABLE {table} ADD CONSTRAINT {name} {kind} USING INDEX {name}{timing}",
            &[
                ("table", Hole::Table(table)),
                ("name", Hole::Name(name)),
                ("kind", Hole::Sql(&Sql::fixed(kind))),
                ("timing", Hole::Sql(&Sql::fixed(index.timing))),
            ],
        )]),
        facts: &["con.add_pk_using_index"],
        table,
        undo: Undo::Lossless(vec![undo_step(table, &["con.drop_check"], vec![drop_sql(table, name)])]),
    }
    .step()
}
