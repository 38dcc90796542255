//! (d) Columns that move to the rows of another table.
//!
//! One table is the truth at a time. Until flip that is the old one: triggers on it write the rows of the new one, which
//! nobody else may write. From flip on it is the new one: triggers on it write the old columns. What old code still writes to
//! these is carried over too, but gives way: a row that somebody is writing in the new shape at that moment is left to them, so
//! that the two never wait for each other.

mod end;
mod fill;
mod gates;
mod moving;
mod sync;
mod turn;
mod verify;

use segue_model::probe::Probe;
use segue_model::step::{Asks, Phase, Step};

use self::moving::Moving;
use super::gates::gate;
use super::native::select_star;
use super::user_trigger;
use crate::dialect::Planned;
use crate::figures::listed;
use crate::operation::{Context, Rows};
use crate::refusal::Refusal;

/// Returns the open questions.
///
/// # Errors
/// A refusal that needs no further answer.
pub(super) fn probes(rows: &Rows<'_>, context: &Context<'_>) -> Result<Vec<Probe>, Refusal> {
    let mut open = gates::probes(rows, context)?;
    open.retain(|probe| !context.answers.contains_key(&probe.key));
    Ok(open)
}

/// Returns the steps.
///
/// # Errors
/// A refusal when this cannot be done while the application runs.
pub(super) fn plan(rows: &Rows<'_>, context: &Context<'_>) -> Result<Planned, Refusal> {
    let moving = gates::moving(rows, context)?;
    let hidden = Moving { is_hidden: true, ..gates::moving(rows, context)? };
    Ok(Planned {
        steps: steps(&moving, &hidden, context.server.version.major),
        notes: notes(&moving),
        flip: flip(&moving),
        loses: Some(loses(&moving)),
    })
}

fn steps(moving: &Moving<'_>, hidden: &Moving<'_>, major: u32) -> Vec<Step> {
    let source = &moving.source.name;
    let gone = gate(
        Phase::Contract,
        "code that uses the old columns is gone",
        source,
        vec![sync::condition(moving, sync::Turn::Back)],
        Some(Asks::OldVersionStopped),
    );
    let ready = vec![sync::condition(moving, sync::Turn::Forward)];
    let mut steps = vec![
        sync::step(moving),
        fill::step(moving, major),
        fill::analyze(moving),
        verify::before_flip(moving, major),
        verify::strays(moving, major),
        gate(Phase::Flip, "each row has its row in the other table", source, ready, None),
        turn::step(moving),
        verify::after_flip(moving, Phase::Flip, major),
        gone,
        end::hide(moving, hidden),
    ];
    steps.extend(end::cleanup(hidden, major));
    steps
}

fn loses(moving: &Moving<'_>) -> String {
    format!("what rows of {} hold that {} cannot; a copy of these rows is kept", moving.target, moving.source.name)
}

fn flip(moving: &Moving<'_>) -> String {
    format!(
        "in one short transaction the direction turns: until then {target} is read only, and rows of {source} write it; deploy \
         code that reads {target} from ready on, run `segue flip`, and from then on let it write {target}, which then writes {old} of \
         {source}",
        target = moving.target,
        source = moving.source.name,
        old = listed(moving.old.iter().map(|old| &old.column.name)),
    )
}

fn notes(moving: &Moving<'_>) -> Vec<String> {
    let (source, target) = (&moving.source.name, &moving.target);
    let old = listed(moving.old.iter().map(|old| &old.column.name));
    let mut notes = vec![
        format!(
            "until contract an INSERT or DELETE of {source}, and an UPDATE of {old}, writes {target} too, in the same transaction"
        ),
        format!("until flip every write to {target} but ours fails, and its message says so"),
        format!(
            "from flip on a write to {target} writes {source} too, whose triggers run; what old code writes to {old} is carried \
             over, but where somebody holds the row of the new table locked at that moment its values win"
        ),
        format!(
            "until contract a row of {source} that is deleted takes its row of {target} along, whatever the foreign key says"
        ),
        select_star(source),
    ];
    if moving.old.iter().any(|old| old.column.not_null || old.column.default.is_some()) {
        notes.push(format!(
            "flip takes NOT NULL and the defaults from {old}: new code does not write them; a rollback proves NOT NULL before \
             it is set again"
        ));
    }
    if !moving.source.publications.is_empty() {
        notes.push(format!(
            "{source} is published, and {target} is not: subscribers miss what moves until it is published too"
        ));
    }
    notes
        .extend(user_trigger::notes(moving.source, false).into_iter().filter(|note| !note.starts_with("the backfill")));
    notes
}
