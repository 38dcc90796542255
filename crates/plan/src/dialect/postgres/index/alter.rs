//! ALTER INDEX: another name, other properties, another place in a partitioned index.

use segue_model::change::{Change, IndexChange, IndexProperty};
use segue_model::ident::{Ident, TableName, TableRef};
use segue_model::sql::{Hole, Sql, Written};
use segue_model::step::{Action, Phase, Undo};

use super::chosen::Taken;
use super::{chosen, found, place, rebuild, tree};
use crate::dialect::Planned;
use crate::dialect::postgres::sql;
use crate::dialect::postgres::work::{Work, undo_step};
use crate::operation::{Context, Native};
use crate::refusal::Refusal;

/// Returns the step that gives an index another name: neither reads nor writes notice.
///
/// # Errors
/// A refusal where there is no such index, or the name is in use.
pub(super) fn rename(index: &TableRef, to: &Ident, context: &Context<'_>) -> Result<Planned, Refusal> {
    let (table, index) = found(index, context)?;
    if Taken::of(context).has(&table.name.schema, to) {
        return Err(Refusal::Exists { name: to.to_string() });
    }
    let (before, after) = (place(table, index), TableName { schema: table.name.schema.clone(), name: to.clone() });
    let back = undo_step(&table.name, &["idx.rename"], vec![renamed(&after, &index.name)]);
    let step = Work {
        phase: Phase::Expand,
        title: format!("rename the index `{}` of {} to `{to}`", index.name, table.name),
        action: Action::Sql(vec![renamed(&before, to)]),
        facts: &["idx.rename"],
        table: &table.name,
        undo: Undo::Lossless(vec![back]),
    };
    let notes = index.of_constraint.then(|| {
        format!(
            "the constraint `{}` of {} gets the name too: `ON CONFLICT ON CONSTRAINT {0}` fails from then on",
            index.name, table.name
        )
    });
    Ok(Planned { steps: vec![step.step()], notes: notes.into_iter().collect(), ..Planned::default() })
}

fn renamed(index: &TableName, to: &Ident) -> Sql {
    sql("ALTER INDEX {index} RENAME TO {to}", &[("index", Hole::Table(index)), ("to", Hole::Name(to))])
}

/// Returns the step that changes a property of an index.
///
/// # Errors
/// A refusal where there is no such index, and of another tablespace.
pub(super) fn alter(
    index: &TableRef,
    (what, command): (&IndexProperty, &Written),
    context: &Context<'_>,
) -> Result<Planned, Refusal> {
    let (table, index) = found(index, context)?;
    let place = place(table, index);
    let carried = rebuild::carried(&place, context)?;
    let back = match what {
        IndexProperty::Tablespace => return Err(moves(&place)),
        IndexProperty::Options(names) => options_back(&place, names, &carried.options),
        IndexProperty::Statistics(column) => {
            let column = i64::from(*column);
            let before = carried.statistics.iter().find(|(at, _)| *at == column).map_or(-1, |(_, target)| *target);
            vec![rebuild::statistics(&place, column, before)]
        }
    };
    let step = Work {
        phase: Phase::Expand,
        title: format!("change a property of the index `{}` of {}", index.name, table.name),
        action: Action::Sql(vec![sql(
            "ALTER INDEX {index} {command}",
            &[("index", Hole::Table(&place)), ("command", Hole::Sql(&Sql::written(command)))],
        )]),
        facts: &["idx.set_storage_param"],
        table: &table.name,
        undo: Undo::Lossless(vec![undo_step(&table.name, &["idx.set_storage_param"], back)]),
    };
    Ok(Planned { steps: vec![step.step()], ..Planned::default() })
}

fn options_back(index: &TableName, names: &[Ident], before: &[(Ident, String)]) -> Vec<Sql> {
    let mut back = vec![sql(
        "ALTER INDEX {index} RESET ({names})",
        &[("index", Hole::Table(index)), ("names", Hole::Names(names.iter().collect()))],
    )];
    let had = before.iter().filter(|(name, _)| names.contains(name));
    let had: Vec<Sql> = had
        .map(|(name, value)| sql("{name} = {value}", &[("name", Hole::Name(name)), ("value", Hole::Text(value))]))
        .collect();
    if !had.is_empty() {
        back.push(sql(
            "ALTER INDEX {index} SET ({options})",
            &[("index", Hole::Table(index)), ("options", Hole::Join(&had, ", "))],
        ));
    }
    back
}

fn moves(index: &TableName) -> Refusal {
    Refusal::Impossible {
        what: format!("ALTER INDEX `{}` SET TABLESPACE", index.name),
        why: "it copies the index under a lock on it, and every query of its table waits for that".to_owned(),
        instead: "Create the index anew with TABLESPACE under another name, drop this one, and rename the new one."
            .to_owned(),
    }
}

/// Returns the step that makes an index a part of that of a partitioned table.
///
/// # Errors
/// A refusal where one of them is neither there nor made by this file.
pub(super) fn attach(
    native: &Native<'_>,
    (whole, part): (&TableRef, &TableRef),
    context: &Context<'_>,
) -> Result<Planned, Refusal> {
    let (of, whole, new) = resolved(whole, native, context)?;
    let (on, part, _) = resolved(part, native, context)?;
    let mut step = tree::attach(Phase::Expand, (&whole, &of), (&part, &on));
    if !new {
        step.undo = Undo::Lossy {
            steps: vec![],
            loses: format!(
                "nothing, but `{}` stays a part of `{}`: PostgreSQL cannot take it out again",
                part.name, whole.name
            ),
        };
    }
    Ok(Planned { steps: vec![step], ..Planned::default() })
}

/// Returns the table and the place of an index that is there, or that the file makes; and whether it does.
fn resolved(
    wanted: &TableRef,
    native: &Native<'_>,
    context: &Context<'_>,
) -> Result<(TableName, TableName, bool), Refusal> {
    for change in context.migration.changes.iter().take_while(|change| change.at < *native.at) {
        let Change::Index(IndexChange::Create(new)) = &change.what else { continue };
        let Some(table) = context.catalog.find(&new.table) else { continue };
        let Some(name) = chosen::names_at(&change.at, context)?.index else { continue };
        let in_schema = wanted.schema.as_ref().is_none_or(|schema| *schema == table.name.schema);
        if name == wanted.name && in_schema {
            let place = TableName { schema: table.name.schema.clone(), name };
            return Ok((table.name.clone(), place, true));
        }
    }
    let (table, index) = found(wanted, context)?;
    Ok((table.name.clone(), place(table, index), false))
}
