//! Copies that a rollback makes of values which only the new shape holds.

use segue_model::ident::TableName;
use segue_model::journal::Mark;
use segue_model::step::{Kept, Step, UndoStep};
use serde_json::{Value as Json, json};

use crate::error::RunError;
use crate::guard::Patience;
use crate::retreat::Retreat;
use crate::running::{JOURNAL_WAIT, Running};
use crate::step::THOROUGH;
use crate::unwinding::key_of;
use crate::window::first_number;

/// A copy that has rows.
pub(crate) struct Found {
    /// The copy.
    copy: TableName,
    /// Whose rows they are, where that is known.
    of: Option<TableName>,
    rows: i64,
}

impl Running<'_> {
    /// Forgets how far an earlier run was with a copy that goes by windows, also when it was whole: what was written since
    /// stands in rows that it went over.
    pub(crate) fn keep_anew(&mut self, step: &Step, (at, undo): (usize, &UndoStep)) -> Result<(), RunError> {
        if undo.windows.is_none() {
            return Ok(());
        }
        self.persist(&Patience::journal(step), |me| {
            if !me.may_be_there(step) {
                return Ok(());
            }
            me.own(JOURNAL_WAIT, |me| me.begin_anew(key_of(step, at)))
        })
    }

    /// Looks at a copy that was just made. An empty one is dropped: nothing would have been lost.
    pub(crate) fn count_kept(&mut self, step: &Step, undo: &UndoStep, keeps: &Kept) -> Result<Option<Found>, RunError> {
        let mut counted = None;
        let rows = self.persist(&Patience::journal(step), |me| {
            let rows = match counted {
                Some(rows) => rows,
                None => first_number(&me.query(&keeps.count, &[], THOROUGH)?).unwrap_or(0),
            };
            counted = Some(rows);
            if rows == 0 {
                // Whoever goes on after an interruption makes it again.
                me.own(JOURNAL_WAIT, |me| me.execute(&keeps.drop_empty, &[], THOROUGH))?;
            }
            Ok(rows)
        })?;
        let of = undo.locks.first().or(step.locks.first()).map(|lock| lock.relation.clone());
        Ok((rows > 0).then(|| Found { copy: keeps.table.clone(), of, rows }))
    }

    /// Returns whether the plan keeps what could be lost, and there was nothing to keep.
    pub(crate) fn is_kept_empty(&self, retreat: &Retreat) -> bool {
        let keeps = self.plan.steps.iter().flat_map(|step| step.undo.steps()).any(|undo| undo.keeps.is_some());
        keeps && (!retreat.reached_ready() || self.found().is_empty())
    }

    /// Returns the copies that this rollback made, also in runs that were interrupted.
    fn found(&self) -> Vec<Found> {
        let since = self.retreat_began().unwrap_or(0);
        let undone = self.events.iter().skip(since).filter(|event| event.mark == Mark::Undone);
        undone.flat_map(|event| read_note(&event.note)).collect()
    }

    /// Tells of the copies that this rollback made.
    pub(crate) fn tell_kept(&mut self) {
        for Found { copy, of, rows } in self.found() {
            let of = of.map_or_else(String::new, |table| format!(" of {table}"));
            let (rows, held, are) = if rows == 1 {
                ("1 row".to_owned(), "a value", "it is")
            } else {
                (format!("{rows} rows"), "values", "they are")
            };
            self.outcome.lost.push(format!("{rows}{of} held {held} that the old columns cannot; {are} in {copy}"));
            self.outcome.kept.push(copy);
        }
    }
}

/// Returns the journal's note on these copies; empty for none.
pub(crate) fn note_of(kept: &[Found]) -> String {
    if kept.is_empty() {
        return String::new();
    }
    let all: Vec<Json> =
        kept.iter().map(|found| json!({ "copy": found.copy, "of": found.of, "rows": found.rows })).collect();
    json!({ "kept": all }).to_string()
}

fn read_note(note: &str) -> Vec<Found> {
    let note: Json = serde_json::from_str(note).unwrap_or_default();
    let read = |found: &Json| {
        let table = |name: &str| serde_json::from_value(found.get(name)?.clone()).ok();
        Some(Found { copy: table("copy")?, of: table("of"), rows: found.get("rows")?.as_i64()? })
    };
    note.get("kept").and_then(Json::as_array).into_iter().flatten().filter_map(read).collect()
}
