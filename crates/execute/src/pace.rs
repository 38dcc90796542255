//! Keeping the room that dead rows take in bounds while rows are brought over.

use std::sync::atomic::Ordering;
use std::time::Duration;

use segue_model::journal::{Event, Mark};
use segue_model::session::FailKind;
use segue_model::step::{Pace, Step};
use segue_model::value::Value;

use crate::backfill::Copying;
use crate::crew::Crew;
use crate::error::RunError;
use crate::figures::Figures;
use crate::hand::Hand;
use crate::observer::Progress;
use crate::running::{JOURNAL_WAIT, QUESTION, Running};
use crate::step::THOROUGH;
use crate::window::first_number;

/// How often it is looked whether a snapshot is gone that keeps dead rows from being cleared.
const LOOK: Duration = Duration::from_secs(1);

/// Where a table stood when its backfill began.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Beginning {
    /// Its size in bytes.
    bytes: i64,
    /// When: seconds since 1970, by the database's clock.
    at: i64,
}

impl Running<'_> {
    /// Writes once where the table stands before its backfill begins.
    pub(crate) fn note_beginning(&mut self, copying: &Copying<'_>) -> Result<(), RunError> {
        let step = copying.step;
        let Some(pace) = copying.pace else { return Ok(()) };
        if self.beginning(step).is_some() {
            return Ok(());
        }
        let bytes = first_number(&self.query(&pace.size, &[], QUESTION)?).unwrap_or(0);
        let at = self.hand.work.seconds_now()?;
        let note = serde_json::json!({ "bytes": bytes, "at": at }).to_string();
        let event = self.own(JOURNAL_WAIT, |me| me.record(step, Mark::Intent, String::new(), note))?;
        self.events.push(event);
        Ok(())
    }

    /// Returns where the table stood when this backfill began.
    pub(crate) fn beginning(&self, step: &Step) -> Option<Beginning> {
        self.events.iter().rev().filter(|event| event.step == step.id).find_map(beginning_in)
    }
}

fn beginning_in(event: &Event) -> Option<Beginning> {
    if event.mark != Mark::Intent {
        return None;
    }
    let note: serde_json::Value = serde_json::from_str(&event.note).ok()?;
    Some(Beginning { bytes: note.get("bytes")?.as_i64()?, at: note.get("at")?.as_i64()? })
}

/// What is to be done about dead rows.
enum Clear {
    Now,
    Later,
    /// This keeps them from being cleared, and the table has grown too much already.
    WaitFor(String),
}

impl Hand<'_> {
    /// Clears dead rows when it is time to; only one worker does, and the others go on meanwhile.
    pub(crate) fn clear_dead_rows_when_due(&mut self, crew: &Crew<'_>) -> Result<(), RunError> {
        let (Some(pace), Some(beginning)) = (crew.copying.pace, crew.beginning) else { return Ok(()) };
        if !self.is_pacing() || !crew.is_time_to_clear(pace) {
            return Ok(());
        }
        let result = self.clear_dead_rows(crew, pace, beginning);
        self.valve.waits_for(None, self.env.clock.now());
        result
    }

    fn is_pacing(&self) -> bool {
        self.valve.tuning().pacing != Some(false)
    }

    fn clear_dead_rows(&mut self, crew: &Crew<'_>, pace: &Pace, beginning: Beginning) -> Result<(), RunError> {
        let _held = Held(crew);
        while !crew.is_over() && self.is_pacing() {
            match self.how_to_clear(pace, beginning) {
                Ok(Clear::Now) => {
                    crew.held.store(false, Ordering::SeqCst);
                    self.valve.waits_for(None, self.env.clock.now());
                    let cleared = self.fence().and_then(|()| self.execute(&pace.vacuum, &[], THOROUGH).map(drop));
                    if cleared.is_ok() {
                        self.valve.note(Figures::cleared);
                    }
                    return self.not_cleared(crew, cleared);
                }
                Ok(Clear::Later) => break,
                Ok(Clear::WaitFor(what)) => {
                    crew.held.store(true, Ordering::SeqCst);
                    self.env.tell(&Progress::Waiting { what: &what });
                    self.valve.waits_for(Some(what), self.env.clock.now());
                    self.env.wait(LOOK)?;
                }
                Err(error) => return self.not_cleared(crew, Err(error)),
            }
        }
        Ok(())
    }

    fn how_to_clear(&mut self, pace: &Pace, beginning: Beginning) -> Result<Clear, RunError> {
        let age = self.work.seconds_now()?.saturating_sub(beginning.at).max(0);
        let rows = self.query(&pace.holders, &[Value::Int(age)], QUESTION)?;
        let holders: Vec<&str> = rows.iter().filter_map(|row| row.first()?.as_str()).collect();
        if holders.is_empty() {
            return Ok(Clear::Now);
        }
        let bytes = first_number(&self.query(&pace.size, &[], QUESTION)?).unwrap_or(0);
        let most = i128::from(beginning.bytes) * i128::from(100 + u64::from(pace.growth_percent)) / 100;
        if i128::from(bytes) <= most {
            return Ok(Clear::Later);
        }
        Ok(Clear::WaitFor(format!(
            "the table has grown by more than {} %, and dead rows cannot be cleared because of {}",
            pace.growth_percent,
            holders.join(", ")
        )))
    }

    /// That dead rows were not cleared is said, and is no reason to stop.
    fn not_cleared(&mut self, crew: &Crew<'_>, cleared: Result<(), RunError>) -> Result<(), RunError> {
        let fail = match cleared {
            Err(RunError::Fail { source, .. }) => source,
            other => return other,
        };
        if self.env.run.stop.requested() && fail.kind == FailKind::Cancelled {
            return Err(RunError::Interrupted);
        }
        let table = &crew.copying.cut.table;
        let text = format!("dead rows of `{table}` were not cleared this time: {fail}");
        self.env.tell(&Progress::Note { text: &text });
        if fail.outcome_unknown() { self.reconnect_worker(&fail) } else { Ok(()) }
    }
}

/// Lets windows go on when dropped.
struct Held<'c, 's>(&'c Crew<'s>);

impl Drop for Held<'_, '_> {
    fn drop(&mut self) {
        self.0.held.store(false, Ordering::SeqCst);
    }
}

impl Crew<'_> {
    /// Returns whether windows wait until dead rows can be cleared.
    pub(crate) fn is_held(&self) -> bool {
        self.held.load(Ordering::SeqCst)
    }

    /// Returns true once after each so many percent of the pass in which rows were changed.
    fn is_time_to_clear(&self, pace: &Pace) -> bool {
        let (done, rows) = (self.done(), self.rows());
        let (cleared, cleared_rows) = (&self.cleared_at, &self.cleared_rows);
        let at = cleared.load(Ordering::SeqCst);
        let each = (self.pass.total.saturating_mul(u64::from(pace.percent.max(1))) / 100).max(1);
        let due =
            done >= at.saturating_add(each) && done < self.pass.total && rows > cleared_rows.load(Ordering::SeqCst);
        let first = due && cleared.compare_exchange(at, done, Ordering::SeqCst, Ordering::SeqCst).is_ok();
        if first {
            cleared_rows.store(rows, Ordering::SeqCst);
        }
        first
    }
}
