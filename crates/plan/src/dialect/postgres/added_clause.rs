//! Constraints that a new column is added with: each is made without keeping anybody waiting, under the name that it would
//! have had.

use segue_model::catalog::TableKind;
use segue_model::change::{Change, ColumnCheck, ColumnKey, ColumnReferences};
use segue_model::ident::{Ident, TableName};
use segue_model::lock::{LockMode, RelationLock};
use segue_model::probe::{Answer, Probe};
use segue_model::sql::{Hole, Sql};
use segue_model::step::{Action, Phase, Step, Undo};
use segue_model::value::Value;

use super::added::Added;
use super::chosen::Unnamed;
use super::mirror::display;
use super::work::{Work, beside, undo_beside, undo_step};
use super::{prove, sql};
use crate::operation::Context;
use crate::refusal::Refusal;

/// The first version that takes a foreign key of a partitioned table without looking at its rows.
const PARTITIONED_LATER: u32 = 18;

/// A constraint of the column that is to be made.
struct Made<'c, T> {
    clause: &'c T,
    name: Ident,
}

/// Returns the open questions: names that the server would choose, and whether the default points to a row.
pub(super) fn probes(added: &Added<'_>, context: &Context<'_>) -> Vec<Probe> {
    let details = added.details;
    let checks = (0..details.checks.len()).filter_map(|at| check_name(added, at)).map(|name| name.probe());
    let keys = (0..details.keys.len()).filter_map(|at| key_name(added, at)).map(|name| name.probe());
    let references = (0..details.references.len()).filter_map(|at| reference_name(added, at));
    let orphans = details.references.iter().filter_map(|to| orphan_probe(added, to, context));
    checks.chain(keys).chain(references.map(|name| name.probe())).chain(orphans).collect()
}

/// A CHECK is named after its column where it reads one alone.
fn check_name<'a>(added: &'a Added<'_>, at: usize) -> Option<Unnamed<'a>> {
    let checks = &added.details.checks;
    let check = checks.get(at).filter(|check| check.name.is_none())?;
    let alike = |other: &&ColumnCheck| other.name.is_none() && column_of(other) == column_of(check);
    let nth = checks.iter().take(at).filter(alike).count();
    Some(Unnamed { table: &added.table.name, column: column_of(check), label: "check", nth })
}

fn column_of(check: &ColumnCheck) -> Option<&Ident> {
    match check.columns.as_slice() {
        [one] => Some(one),
        _ => None,
    }
}

fn key_name<'a>(added: &'a Added<'_>, at: usize) -> Option<Unnamed<'a>> {
    let keys = &added.details.keys;
    let key = keys.get(at).filter(|key| key.name.is_none())?;
    let nth = keys.iter().take(at).filter(|other| other.name.is_none() && other.primary == key.primary).count();
    let (column, label) = if key.primary { (None, "pkey") } else { (Some(added.name()), "key") };
    Some(Unnamed { table: &added.table.name, column, label, nth })
}

fn reference_name<'a>(added: &'a Added<'_>, at: usize) -> Option<Unnamed<'a>> {
    let all = &added.details.references;
    all.get(at).filter(|to| to.name.is_none())?;
    let nth = all.iter().take(at).filter(|other| other.name.is_none()).count();
    Some(Unnamed { table: &added.table.name, column: Some(added.name()), label: "fkey", nth })
}

fn named(written: Option<&Ident>, chosen: Option<Unnamed<'_>>, context: &Context<'_>) -> Result<Ident, Refusal> {
    match (written, chosen) {
        (Some(name), _) => Ok(name.clone()),
        (None, Some(chosen)) => chosen.name(context),
        (None, None) => unreachable!("a clause has a name, or the server is asked for one"),
    }
}

/// Returns the steps of all constraints; `constant`: each row has the same value.
///
/// # Errors
/// A refusal for one that the rows cannot meet, or that cannot be made without keeping others waiting.
pub(super) fn steps(
    added: &Added<'_>,
    phase: Phase,
    constant: bool,
    context: &Context<'_>,
) -> Result<Vec<Step>, Refusal> {
    let mut steps = vec![];
    for (at, clause) in added.details.keys.iter().enumerate() {
        meets_key(added, clause, phase, constant)?;
        let name = named(clause.name.as_ref(), key_name(added, at), context)?;
        steps.extend(key(added, phase, &Made { clause, name }));
    }
    for (at, clause) in added.details.checks.iter().enumerate() {
        let name = named(clause.name.as_ref(), check_name(added, at), context)?;
        steps.extend(check(added, phase, &Made { clause, name }));
    }
    for (at, clause) in added.details.references.iter().enumerate() {
        points_somewhere(added, clause, context)?;
        let name = named(clause.name.as_ref(), reference_name(added, at), context)?;
        steps.extend(references(added, phase, &Made { clause, name }, context)?);
    }
    Ok(steps)
}

fn check(added: &Added<'_>, phase: Phase, made: &Made<'_, ColumnCheck>) -> Vec<Step> {
    let (table, name) = (&added.table.name, &made.name);
    let definition = Sql::written(&made.clause.definition);
    let template = if made.clause.not_enforced {
        "ALTER TABLE {table} ADD CONSTRAINT {name} {definition}"
    } else {
        "ALTER TABLE {table} ADD CONSTRAINT {name} {definition} NOT VALID"
    };
    let add = sql(
        template,
        &[("table", Hole::Table(table)), ("name", Hole::Name(name)), ("definition", Hole::Sql(&definition))],
    );
    let add = Work {
        phase,
        title: format!("let no write break `{name}`"),
        action: Action::Sql(vec![add]),
        facts: &["con.add_check_nv"],
        table,
        undo: Undo::Lossless(vec![undo_step(table, &["con.drop_check"], vec![prove::drop_sql(table, name)])]),
    };
    let validate = Work {
        phase,
        title: format!("prove that no row breaks `{name}`"),
        action: Action::Sql(vec![prove::validate_sql(table, name)]),
        facts: &["con.validate_check"],
        table,
        undo: Undo::Nothing,
    };
    let validate = (!made.clause.not_enforced).then(|| validate.step());
    std::iter::once(add.step()).chain(validate).collect()
}

fn references(
    added: &Added<'_>,
    phase: Phase,
    made: &Made<'_, ColumnReferences>,
    context: &Context<'_>,
) -> Result<Vec<Step>, Refusal> {
    if added.table.kind == TableKind::Partitioned && context.server.version.major < PARTITIONED_LATER {
        return Err(Refusal::Impossible {
            what: format!("REFERENCES on `{}` of the partitioned table {}", added.name(), added.table.name),
            why: format!(
                "before PostgreSQL {PARTITIONED_LATER} such a foreign key looks at every row while writes to both tables wait"
            ),
            instead: "Add the column alone, and a foreign key to each partition.".to_owned(),
        });
    }
    let (table, name) = (&added.table.name, &made.name);
    let parent = parent(made.clause, context)?;
    let lock = |mode: LockMode| {
        let parent = parent.iter().filter(|parent| *parent != table);
        parent.map(|relation| RelationLock { relation: relation.clone(), mode }).collect::<Vec<_>>()
    };
    let definition = Sql::written(&made.clause.definition);
    let template = if made.clause.not_enforced {
        "ALTER TABLE {table} ADD CONSTRAINT {name} FOREIGN KEY ({column}) {definition}"
    } else {
        "ALTER TABLE {table} ADD CONSTRAINT {name} FOREIGN KEY ({column}) {definition} NOT VALID"
    };
    let add = sql(
        template,
        &[
            ("table", Hole::Table(table)),
            ("name", Hole::Name(name)),
            ("column", Hole::Name(added.name())),
            ("definition", Hole::Sql(&definition)),
        ],
    );
    let drop = undo_step(table, &["con.drop_fk"], vec![prove::drop_sql(table, name)]);
    let add = Work {
        phase,
        title: format!("let no write break `{name}`"),
        action: Action::Sql(vec![add]),
        facts: &["con.add_fk_nv"],
        table,
        undo: Undo::Lossless(vec![undo_beside(drop, lock(LockMode::AccessExclusive))]),
    };
    let validate = Work {
        phase,
        title: format!("prove that each row of {table} has the one that `{name}` wants"),
        action: Action::Sql(vec![prove::validate_sql(table, name)]),
        facts: &["con.validate_fk"],
        table,
        undo: Undo::Nothing,
    };
    let validate = (!made.clause.not_enforced).then(|| beside(validate.step(), lock(LockMode::RowShare)));
    Ok(std::iter::once(beside(add.step(), lock(LockMode::ShareRowExclusive))).chain(validate).collect())
}

/// Returns the table that a foreign key points to; `None` for one that this file creates.
fn parent(to: &ColumnReferences, context: &Context<'_>) -> Result<Option<TableName>, Refusal> {
    let wanted = &to.to.table;
    let created = context.migration.changes.iter().any(|change| match &change.what {
        Change::CreateTable { table, .. } => table.name == wanted.name,
        _ => false,
    });
    match context.catalog.find(wanted) {
        Some(found) => Ok(Some(found.name.clone())),
        None if created => Ok(None),
        None => Err(Refusal::NoTable { table: wanted.to_string(), nearest: None }),
    }
}

/// Returns the question whether the default that all rows get points to a row.
fn orphan_probe(added: &Added<'_>, to: &ColumnReferences, context: &Context<'_>) -> Option<Probe> {
    let default = added.default()?;
    let parent = context.catalog.find(&to.to.table)?;
    let column = to.to.columns.first().or_else(|| parent.primary_key().first())?;
    let sql = sql(
        "SELECT EXISTS (SELECT FROM {parent} WHERE {column} = CAST(({default}) AS {type}))",
        &[
            ("parent", Hole::Table(&parent.name)),
            ("column", Hole::Name(column)),
            ("default", Hole::Sql(&Sql::written(default))),
            ("type", Hole::Type(&added.type_name)),
        ],
    );
    (added.column.default.as_ref().is_some_and(|default| default.constant))
        .then(|| Probe { key: orphan_key(added, to), sql })
}

fn orphan_key(added: &Added<'_>, to: &ColumnReferences) -> String {
    format!("orphan:{}:{}:{}", display(&added.table.name), added.name().as_str(), to.to.table)
}

fn points_somewhere(added: &Added<'_>, to: &ColumnReferences, context: &Context<'_>) -> Result<(), Refusal> {
    let found = match context.answers.get(&orphan_key(added, to)) {
        Some(Answer::Rows(rows)) => rows.first().and_then(|row| row.first()).and_then(Value::as_bool),
        Some(Answer::Failed { .. } | Answer::TimedOut) | None => None,
    };
    let Some(false) = found.filter(|_| !to.not_enforced) else { return Ok(()) };
    let default = added.default().map_or("", |default| default.as_str());
    Err(Refusal::Impossible {
        what: format!("REFERENCES on `{}` with the DEFAULT `{default}`", added.name()),
        why: format!("`{}` has no such row, so each row of {} would be an orphan", to.to.table, added.table.name),
        instead: format!("Insert that row into `{}` first, or leave the DEFAULT out.", to.to.table),
    })
}

/// Refuses a key that the rows cannot meet, or whose index would keep writers waiting.
fn meets_key(added: &Added<'_>, key: &ColumnKey, phase: Phase, constant: bool) -> Result<(), Refusal> {
    let word = if key.primary { "PRIMARY KEY" } else { "UNIQUE" };
    let refusal = |why: String, instead: &str| Refusal::Impossible {
        what: format!("{word} on the new column `{}` of {}", added.name(), added.table.name),
        why,
        instead: instead.to_owned(),
    };
    if key.primary && !added.table.primary_key().is_empty() {
        return Err(refusal("the table has a primary key".to_owned(), "Drop that one first, or write UNIQUE."));
    }
    if added.table.kind == TableKind::Partitioned {
        return Err(refusal(
            "an index of a partitioned table cannot be built CONCURRENTLY".to_owned(),
            "Add the column alone, and the index on each partition in a migration of its own.",
        ));
    }
    let fills = phase == Phase::Verify;
    if constant || key.primary && !fills {
        return Err(refusal(
            "each row that is there would have the same value, or none".to_owned(),
            "Add the column with a default of its own for each row (an identity, `gen_random_uuid()`), or fill it and make it \
             a key in a later migration.",
        ));
    }
    Ok(())
}

/// The index is built while the application runs, and becomes the constraint's.
fn key(added: &Added<'_>, phase: Phase, made: &Made<'_, ColumnKey>) -> [Step; 2] {
    let table = &added.table.name;
    let index = TableName { schema: table.schema.clone(), name: made.name.clone() };
    let drop = sql("DROP INDEX CONCURRENTLY IF EXISTS {index}", &[("index", Hole::Table(&index))]);
    let settle = sql(
        include_str!("twin.sql").trim_end(),
        &[("schema", Hole::Text(index.schema.as_str())), ("name", Hole::Text(index.name.as_str()))],
    );
    let build = Work {
        phase,
        title: format!("build the index of `{}`", made.name),
        action: Action::Settled { sql: create_index(added, made), settle },
        facts: &["idx.create_conc"],
        table,
        undo: Undo::Lossless(vec![undo_step(table, &["idx.drop_conc"], vec![drop.clone()])]),
    };
    let build = Step { on_interrupted: vec![drop], ..build.step() };
    [build, use_index(added, phase, made)]
}

fn create_index(added: &Added<'_>, made: &Made<'_, ColumnKey>) -> Sql {
    let key = made.clause;
    let distinct = Sql::fixed(if key.nulls_not_distinct { " NULLS NOT DISTINCT" } else { "" });
    let storage = key.storage.as_ref().map(|storage| sql(" {s}", &[("s", Hole::Sql(&Sql::written(storage)))]));
    let tablespace = key.tablespace.as_ref().map(|space| sql(" TABLESPACE {s}", &[("s", Hole::Name(space))]));
    let clauses: Vec<Sql> = std::iter::once(distinct).chain(storage).chain(tablespace).collect();
    sql(
        "CREATE UNIQUE INDEX CONCURRENTLY {index} ON {table} ({column}){clauses}",
        &[
            ("index", Hole::Name(&made.name)),
            ("table", Hole::Table(&added.table.name)),
            ("column", Hole::Name(added.name())),
            ("clauses", Hole::Join(&clauses, "")),
        ],
    )
}

/// Its undo drops constraint and index; the undo of the index then finds nothing.
fn use_index(added: &Added<'_>, phase: Phase, made: &Made<'_, ColumnKey>) -> Step {
    let (table, name) = (&added.table.name, &made.name);
    let attributes: Vec<Sql> = made
        .clause
        .attributes
        .iter()
        .map(|attribute| sql(" {a}", &[("a", Hole::Sql(&Sql::written(attribute)))]))
        .collect();
    let (word, facts): (&'static str, &'static [&'static str]) = match made.clause.primary {
        true => ("PRIMARY KEY", &["con.add_pk_using_index"]),
        false => ("UNIQUE", &["con.add_unique_using_index"]),
    };
    let word = Sql::fixed(word);
    let add = sql(
        "ALTER TABLE {table} ADD CONSTRAINT {name} {word} USING INDEX {name}{attributes}",
        &[
            ("table", Hole::Table(table)),
            ("name", Hole::Name(name)),
            ("word", Hole::Sql(&word)),
            ("attributes", Hole::Join(&attributes, "")),
        ],
    );
    Work {
        phase,
        title: format!("make the index the constraint `{name}`"),
        action: Action::Sql(vec![add]),
        facts,
        table,
        undo: Undo::Lossless(vec![undo_step(table, &["con.drop_check"], vec![prove::drop_sql(table, name)])]),
    }
    .step()
}
