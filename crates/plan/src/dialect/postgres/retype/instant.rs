//! A type that the server changes at once: as written, with what is bound to the column made again around it.

use segue_model::sql::Hole;
use segue_model::step::{Action, Phase, Undo};

use super::super::faithful::{self, Subject};
use super::super::sql;
use super::super::work::Work;
use super::prepared;
use crate::dialect::Planned;
use crate::figures::shown_type;
use crate::operation::{Context, Retype};
use crate::refusal::Refusal;

/// Returns the one step.
///
/// # Errors
/// A refusal of what is bound to the column and cannot be made again.
pub(super) fn plan(
    retype: &Retype<'_>,
    subject: &Subject<'_>,
    fact: &'static &'static str,
    context: &Context<'_>,
) -> Result<Planned, Refusal> {
    super::collated(retype)?;
    let held = faithful::held::read(subject.name(), subject.column, context)?;
    let (table, column) = (subject.name(), subject.column);
    let change = sql(
        "ALTER TABLE {table} ALTER COLUMN {column} TYPE {type}",
        &[("table", Hole::Table(table)), ("column", Hole::Name(column)), ("type", Hole::Type(retype.to))],
    );
    let mut all = held.drops();
    all.push(change);
    all.extend(held.creates());
    let step = Work {
        phase: Phase::Expand,
        title: format!("change the type of `{column}` to {}: no row is written or read", shown_type(retype.to)),
        action: Action::Sql(all),
        facts: std::slice::from_ref(fact),
        table,
        undo: Undo::Impossible,
    };
    let mut notes = vec![
        prepared("when it is applied", column),
        format!(
            "`{column}` takes values from then on that do not fit {}: back would mean to write every row again, so rollback ends \
             here and `segue down` plans the way back",
            retype.column.type_name
        ),
    ];
    let again = held.labels();
    if !again.is_empty() {
        notes.push(format!("dropped and made again as they are, in the same transaction: {}", again.join(", ")));
    }
    Ok(Planned { steps: vec![step.step()], notes, flip: String::new(), loses: None })
}
