//! Identities of columns that are there: how they begin, change and end, and how each comes back.

use segue_model::catalog::{Column, Table};
use segue_model::ident::Ident;
use segue_model::sql::{Hole, Sql};
use segue_model::step::{Action, Phase, Undo};

use super::attribute::{Attribute, Sequence};
use super::sql;
use super::work::{Work, undo_step};
use crate::dialect::Planned;
use crate::refusal::Refusal;

/// Returns the step that makes a column an identity.
///
/// # Errors
/// A refusal for a column that cannot be one.
pub(super) fn add(table: &Table, column: &Column, written: Sql) -> Result<Planned, Refusal> {
    let why = match column {
        _ if column.identity.is_some() => "it is one already",
        Column { not_null: false, .. } => "it may be NULL",
        _ if column.default.is_some() || column.generated.is_some() => "it has a DEFAULT",
        _ => "",
    };
    if !why.is_empty() {
        return Err(Refusal::Impossible {
            what: format!("`{}` of {} as an identity", column.name, table.name),
            why: why.to_owned(),
            instead: "Change that first: an identity is NOT NULL, and its values come from its sequence alone."
                .to_owned(),
        });
    }
    let drop = alter(table, &column.name, "ALTER TABLE {table} ALTER COLUMN {column} DROP IDENTITY IF EXISTS");
    let step = Work {
        phase: Phase::Expand,
        title: format!("make `{}` of {} an identity", column.name, table.name),
        action: Action::Sql(vec![written]),
        facts: &["col.add_identity"],
        table: &table.name,
        undo: Undo::Lossless(vec![undo_step(&table.name, &["col.add_identity"], vec![drop])]),
    };
    let note = format!(
        "the numbers of `{0}` begin where the file says, or at 1, whatever {1} holds: `START WITH` a number above \
         max({0}), or the first INSERT that leaves it out may meet a row that is there; with ALWAYS an INSERT that gives it fails",
        column.name, table.name
    );
    Ok(Planned { steps: vec![step.step()], notes: vec![note], ..Planned::default() })
}

/// Returns the step that changes how an identity counts.
///
/// # Errors
/// A refusal for a column that is none.
pub(super) fn set(table: &Table, column: &Column, of: &Attribute, written: Sql) -> Result<Planned, Refusal> {
    let (kind, sequence) = identity(table, column, of)?;
    let restarts = written.as_str().to_ascii_uppercase().contains("RESTART");
    let back = undo_step(
        &table.name,
        &["col.set_identity"],
        vec![sql(
            "ALTER TABLE {table} ALTER COLUMN {column} SET GENERATED {kind} {options}",
            &[
                ("table", Hole::Table(&table.name)),
                ("column", Hole::Name(&column.name)),
                ("kind", Hole::Sql(&Sql::fixed(kind))),
                ("options", Hole::Join(&options(sequence, true), " ")),
            ],
        )],
    );
    let steps = vec![back];
    let undo = match restarts {
        true => Undo::Lossy { steps, loses: format!("where the numbers of `{}` were before RESTART", column.name) },
        false => Undo::Lossless(steps),
    };
    let step = Work {
        phase: Phase::Expand,
        title: format!("change how `{}` of {} counts", column.name, table.name),
        action: Action::Sql(vec![written]),
        facts: &["col.set_identity"],
        table: &table.name,
        undo,
    };
    let note = format!(
        "with GENERATED ALWAYS an INSERT that gives `{}` a value fails; who draws a number from {} waits until it commits",
        column.name, sequence.name
    );
    Ok(Planned { steps: vec![step.step()], notes: vec![note], ..Planned::default() })
}

/// Returns the step that ends an identity. Its sequence goes, so the way back begins above the highest number.
///
/// # Errors
/// A refusal for a column that is none, or whose highest number cannot be told without reading every row.
pub(super) fn drop(table: &Table, column: &Column, of: &Attribute, written: Sql) -> Result<Planned, Refusal> {
    let (kind, sequence) = identity(table, column, of)?;
    let ordered = table.indexes.iter().any(|index| {
        let first = index.keys.first().and_then(|key| key.column.as_ref());
        index.valid && index.predicate.is_none() && index.method == "btree" && first == Some(&column.name)
    });
    if !ordered {
        return Err(Refusal::NotYet {
            what: format!("DROP IDENTITY of `{}` of {}, which no index orders", column.name, table.name),
            instead: "Build an index on it first: the way back looks up its highest number.".to_owned(),
        });
    }
    let back = undo_step(&table.name, &["col.add_identity"], way_back(table, column, kind, sequence));
    let step = Work {
        phase: Phase::Expand,
        title: format!("let `{}` of {} be an ordinary column", column.name, table.name),
        action: Action::Sql(vec![written]),
        facts: &["col.drop_identity"],
        table: &table.name,
        undo: Undo::Lossy {
            steps: vec![back],
            loses: format!("numbers of `{}` that were given to rows which are gone: they are given again", column.name),
        },
    };
    let note = format!("an INSERT that leaves `{}` out fails from then on: running code must give it", column.name);
    Ok(Planned { steps: vec![step.step()], notes: vec![note], ..Planned::default() })
}

fn way_back(table: &Table, column: &Column, kind: &'static str, sequence: &Sequence) -> Vec<Sql> {
    let spelled = sql("{s}", &[("s", Hole::Table(&sequence.name))]);
    let drop = alter(table, &column.name, "ALTER TABLE {table} ALTER COLUMN {column} DROP IDENTITY IF EXISTS");
    let add = sql(
        "ALTER TABLE {table} ALTER COLUMN {column} ADD GENERATED {kind} AS IDENTITY (SEQUENCE NAME {sequence} {options})",
        &[
            ("table", Hole::Table(&table.name)),
            ("column", Hole::Name(&column.name)),
            ("kind", Hole::Sql(&Sql::fixed(kind))),
            ("sequence", Hole::Table(&sequence.name)),
            ("options", Hole::Join(&options(sequence, false), " ")),
        ],
    );
    let ends = if sequence.numbers[1] < 0 { Sql::fixed("min") } else { Sql::fixed("max") };
    let go_on = sql(
        "SELECT pg_catalog.setval({sequence}::pg_catalog.regclass, {end}) FROM (SELECT pg_catalog.{ends}({column}) AS {end} \
         FROM {table}) AS t WHERE {end} BETWEEN {least} AND {most}",
        &[
            ("sequence", Hole::Body(&spelled)),
            ("end", Hole::Name(&Ident::known("at"))),
            ("ends", Hole::Sql(&ends)),
            ("column", Hole::Name(&column.name)),
            ("table", Hole::Table(&table.name)),
            ("least", Hole::Int(sequence.numbers[2])),
            ("most", Hole::Int(sequence.numbers[3])),
        ],
    );
    vec![drop, add, go_on]
}

fn identity<'a>(table: &Table, column: &Column, of: &'a Attribute) -> Result<(&'static str, &'a Sequence), Refusal> {
    match (of.identity, &of.sequence) {
        (Some(kind), Some(sequence)) => Ok((kind, sequence)),
        _ => Err(Refusal::Impossible {
            what: format!("the identity of `{}` of {}", column.name, table.name),
            why: "the column is no identity".to_owned(),
            instead: "Check its name, or write `ADD GENERATED … AS IDENTITY`.".to_owned(),
        }),
    }
}

/// Returns how a sequence counts; `set`: each as a command of `ALTER COLUMN`.
fn options(sequence: &Sequence, set: bool) -> Vec<Sql> {
    let [start, increment, least, most, cache] = sequence.numbers;
    let words: [(&'static str, &'static str, i64); 5] = [
        ("SET START WITH {n}", "START WITH {n}", start),
        ("SET INCREMENT BY {n}", "INCREMENT BY {n}", increment),
        ("SET MINVALUE {n}", "MINVALUE {n}", least),
        ("SET MAXVALUE {n}", "MAXVALUE {n}", most),
        ("SET CACHE {n}", "CACHE {n}", cache),
    ];
    let numbers = words.into_iter().map(|(one, other, n)| sql(if set { one } else { other }, &[("n", Hole::Int(n))]));
    let cycle = match (set, sequence.cycle) {
        (true, true) => "SET CYCLE",
        (true, false) => "SET NO CYCLE",
        (false, true) => "CYCLE",
        (false, false) => "NO CYCLE",
    };
    numbers.chain([Sql::fixed(cycle)]).collect()
}

fn alter(table: &Table, column: &Ident, template: &'static str) -> Sql {
    sql(template, &[("table", Hole::Table(&table.name)), ("column", Hole::Name(column))])
}
