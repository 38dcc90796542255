//! Triggers of the user on a table that is kept in sync: which come after ours, and what the backfill makes them do.

use segue_model::catalog::{Table, Trigger};
use segue_model::ident::Ident;

use super::sync;
use crate::figures::listed;
use crate::refusal::Refusal;

/// What the names of our last triggers begin with; triggers run in the order of the bytes of their names.
const LAST: &str = "~segue_";

/// Refuses a trigger that may change a row after our last one has looked at it.
///
/// # Errors
/// The refusal.
pub(super) fn gate(table: &Table) -> Result<(), Refusal> {
    let after_ours = |trigger: &&Trigger| trigger.name.as_str() > LAST && trigger.before_row && writes(trigger);
    match users(table).find(after_ours) {
        Some(trigger) => Err(Refusal::Impossible {
            what: format!("the trigger `{}` of {} would run after the sync triggers", trigger.name, table.name),
            why: "what it changes in a row would not reach the other shape, and no name of ours sorts after it"
                .to_owned(),
            instead:
                "Rename it with `ALTER TRIGGER … ON … RENAME TO …`, so that its name begins with a letter of ASCII."
                    .to_owned(),
        }),
        None => Ok(()),
    }
}

/// Returns whether the backfill would run triggers that sleep when `session_replication_role` is `replica`.
pub(super) fn can_be_silenced(table: &Table) -> bool {
    users(table).any(|trigger| trigger.enabled == 'O' && is_of_backfill(trigger))
}

/// Returns what the backfill makes the user's triggers do, and what they may do to a column that goes. `silences`: our role
/// may keep those asleep that are not ENABLE ALWAYS.
pub(super) fn notes(table: &Table, silences: bool) -> Vec<String> {
    let awake = || users(table).filter(|trigger| matches!(trigger.enabled, 'O' | 'A'));
    let runs = |trigger: &&Trigger| is_of_backfill(trigger) && !(silences && trigger.enabled == 'O');
    let (rows, statements): (Vec<&Trigger>, Vec<&Trigger>) =
        awake().filter(runs).partition(|trigger| is_per_row(trigger));
    let runs: Vec<String> = [(rows, "once for each row it fills"), (statements, "once for each window it fills")]
        .into_iter()
        .filter(|(triggers, _)| !triggers.is_empty())
        .map(|(triggers, how)| format!("{} {how}", listed(names(&triggers))))
        .collect();
    let mut notes = vec![];
    if !runs.is_empty() {
        notes.push(format!(
            "the backfill runs triggers of {}: {}; what they write (an `updated_at`, an audit row, a NOTIFY) stays after a \
             rollback",
            table.name,
            runs.join(", ")
        ));
        if !silences {
            notes.push(
                "a role that may set session_replication_role (a superuser, or since PostgreSQL 15 by GRANT SET ON PARAMETER) \
                 keeps these triggers asleep meanwhile"
                    .to_owned(),
            );
        }
    }
    let awake: Vec<&Trigger> = awake().collect();
    if !awake.is_empty() {
        notes.push(format!(
            "look whether the functions of the triggers {} of {} name a column that goes",
            listed(names(&awake)),
            table.name
        ));
    }
    notes
}

fn users(table: &Table) -> impl Iterator<Item = &Trigger> {
    table.triggers.iter().filter(|trigger| !sync::is_ours(&trigger.name))
}

fn names<'t>(triggers: &[&'t Trigger]) -> Vec<&'t Ident> {
    triggers.iter().map(|trigger| &trigger.name).collect()
}

/// A trigger of UPDATE OF some columns sleeps: the backfill sets none but the new ones.
fn is_of_backfill(trigger: &Trigger) -> bool {
    let events = events(&trigger.definition);
    let mut updates = events.match_indices("UPDATE").map(|(at, word)| &events[at + word.len()..]);
    events.is_empty() || updates.next().is_some_and(|rest| !rest.starts_with(" OF "))
}

fn writes(trigger: &Trigger) -> bool {
    let events = events(&trigger.definition);
    events.is_empty() || events.contains("INSERT") || events.contains("UPDATE")
}

fn is_per_row(trigger: &Trigger) -> bool {
    trigger.before_row || trigger.definition.contains(" FOR EACH ROW ")
}

/// Returns when a trigger runs (`BEFORE INSERT OR UPDATE OF c`), from its definition as the server prints it; empty when that
/// is not known.
fn events(definition: &str) -> &str {
    let after_create =
        ["CREATE TRIGGER ", "CREATE CONSTRAINT TRIGGER "].iter().find_map(|c| definition.strip_prefix(c));
    let after_name = after_create.and_then(|rest| match rest.strip_prefix('"') {
        Some(quoted) => after_quoted(quoted),
        None => rest.split_once(' ').map(|(_, rest)| rest),
    });
    after_name.and_then(|rest| rest.split_once(" ON ")).map_or("", |(events, _)| events)
}

/// Returns what follows a quoted name; a quote in it is doubled.
fn after_quoted(rest: &str) -> Option<&str> {
    let mut at = 0;
    loop {
        at += rest[at..].find('"')? + 1;
        match rest[at..].strip_prefix('"') {
            Some(_) => at += 1,
            None => return Some(&rest[at..]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trigger(definition: &str) -> Trigger {
        let per_row = definition.contains(" FOR EACH ROW ");
        let before_row = per_row && definition.contains(" BEFORE ");
        Trigger { name: Ident::known("t"), before_row, enabled: 'O', definition: definition.to_owned() }
    }

    #[test]
    fn events_stand_behind_the_name_whatever_that_is() {
        let of = |name: &str| format!("CREATE TRIGGER {name} BEFORE INSERT OR UPDATE ON public.t FOR EACH ROW EXECUTE");
        for name in ["t", "\"a ON b\"", "\"we\"\"ird UPDATE\"", "\"énorm\""] {
            assert_eq!(events(&of(name)).trim_start(), "BEFORE INSERT OR UPDATE", "{name}");
        }
        assert_eq!(events(""), "");
    }

    #[test]
    fn the_backfill_wakes_what_any_update_wakes() {
        let wakes = |events: &str| {
            is_of_backfill(&trigger(&format!(
                "CREATE TRIGGER t {events} ON public.t FOR EACH ROW EXECUTE FUNCTION f()"
            )))
        };
        assert!(wakes("BEFORE UPDATE") && wakes("AFTER INSERT OR UPDATE") && wakes("AFTER DELETE OR UPDATE"));
        assert!(!wakes("AFTER INSERT") && !wakes("BEFORE UPDATE OF mail") && !wakes("AFTER DELETE OR UPDATE OF mail"));
    }
}
