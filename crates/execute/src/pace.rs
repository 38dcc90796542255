//! Keeping the room that dead rows take in bounds while rows are brought over.

use std::sync::atomic::Ordering;
use std::time::Duration;

use segue_model::journal::{Event, Mark};
use segue_model::session::{Fail, FailKind};
use segue_model::step::{Pace, Step};
use segue_model::value::{Row, Value};

use crate::backfill::Copying;
use crate::crew::Crew;
use crate::error::RunError;
use crate::hand::Hand;
use crate::observer::Progress;
use crate::running::{JOURNAL_WAIT, QUESTION, Running};
use crate::step::THOROUGH;
use crate::throttle::Work;
use crate::window::first_number;

/// How often it is looked whether a snapshot is gone that keeps dead rows from being cleared.
const LOOK: Duration = Duration::from_secs(1);

/// A snapshot younger than this, in seconds, is one that goes again: every statement has one.
const PASSING_S: i64 = 3;

/// One younger than this, in seconds, keeps too few dead rows to count for anything.
const MOMENT_S: i64 = 1;

/// Dead rows that could not be cleared are looked at again after so many percent of the pass.
const AGAIN_PERCENT: u32 = 2;

/// Where a table is larger than it should be, dead rows are cleared so many times as often.
const LARGE: u32 = 4;

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
    /// Nothing would be cleared, and there is room left.
    Later,
    /// This keeps them from being cleared, and the table has grown too much already.
    WaitFor(String),
}

/// How a clearing ended.
enum Cleared {
    /// All that was dead is cleared, and the table is as small as it should be.
    Well,
    /// The table is larger than it should be although nothing kept its dead rows: the change itself needs the room.
    Large,
    /// What somebody may still see was left, or what cannot be told.
    Part,
    /// Nothing was.
    Not,
}

/// What keeps dead rows, as far as the server tells.
struct Holders {
    /// Each in words.
    known: Vec<String>,
    /// Why some may be hidden from us.
    hidden: Vec<String>,
}

impl Holders {
    fn are_none(&self) -> bool {
        self.known.is_empty() && self.hidden.is_empty()
    }
}

impl Hand<'_> {
    /// Clears dead rows when it is time to; only one worker does, and the others go on meanwhile.
    pub(crate) fn clear_dead_rows_when_due(&mut self, crew: &Crew<'_>) -> Result<(), RunError> {
        let (Some(pace), Some(beginning)) = (crew.pace(), crew.beginning) else { return Ok(()) };
        if !self.is_pacing() || !crew.is_time_to_clear() {
            return Ok(());
        }
        let _held = Held(crew);
        let rows = crew.rows();
        let result = self.clear_dead_rows(crew, pace, beginning);
        self.valve.waits_for(None, self.env.clock.now());
        crew.looks_again(pace, rows, result.as_ref().unwrap_or(&Cleared::Not));
        result.map(drop)
    }

    fn is_pacing(&self) -> bool {
        self.valve.tuning().pacing != Some(false)
    }

    fn clear_dead_rows(&mut self, crew: &Crew<'_>, pace: &Pace, beginning: Beginning) -> Result<Cleared, RunError> {
        let mut since = None;
        while !crew.is_over() && self.is_pacing() {
            match self.how_to_clear(crew, pace, beginning, &mut since) {
                Ok(Clear::Now) => {
                    crew.held.store(false, Ordering::SeqCst);
                    self.valve.waits_for(None, self.env.clock.now());
                    self.valve.pass_while(self.env, Work::Heavy, || !crew.is_over())?;
                    return match self.vacuum(crew, pace, beginning, since) {
                        Ok(cleared) => Ok(cleared),
                        Err(error) => self.not_cleared(crew, error),
                    };
                }
                Ok(Clear::Later) => break,
                Ok(Clear::WaitFor(what)) => {
                    crew.held.store(true, Ordering::SeqCst);
                    self.env.tell(&Progress::Waiting { what: &what });
                    self.valve.waits_for(Some(what), self.env.clock.now());
                    self.env.wait(LOOK)?;
                }
                Err(error) => return self.not_cleared(crew, error),
            }
        }
        Ok(Cleared::Not)
    }

    /// Looks at the table and at what keeps its dead rows. `since` is the time since which windows stand still for them.
    ///
    /// Within its bound a table's dead rows are cleared unless a snapshot is older than the last clearing, when nothing would
    /// be. Above it windows stand still until every snapshot has gone that was there when they stopped: what began later
    /// keeps none of what is dead. So nobody is waited for who comes after, and the wait ends.
    fn how_to_clear(
        &mut self,
        crew: &Crew<'_>,
        pace: &Pace,
        beginning: Beginning,
        since: &mut Option<i64>,
    ) -> Result<Clear, RunError> {
        let now = self.work.seconds_now()?;
        if since.is_none() && self.bytes(pace)? <= crew.bytes_most(pace, beginning) {
            let age = now.saturating_sub(crew.cleared_time(beginning)).max(0);
            let gains = crew.is_time_to_vacuum() && self.holders(pace, age)?.known.is_empty();
            return Ok(if gains { Clear::Now } else { Clear::Later });
        }
        let began = *since.get_or_insert(now);
        let holders = self.holders(pace, now.saturating_sub(began).max(0).saturating_add(PASSING_S))?;
        let all = [holders.known, holders.hidden].concat();
        if all.is_empty() {
            return Ok(Clear::Now);
        }
        Ok(Clear::WaitFor(format!(
            "the table has grown by more than {} %, and dead rows cannot be cleared because of {}",
            pace.growth_percent,
            all.join(", ")
        )))
    }

    /// `since`: windows stood still since then, so that what began later keeps nothing.
    fn vacuum(
        &mut self,
        crew: &Crew<'_>,
        pace: &Pace,
        beginning: Beginning,
        since: Option<i64>,
    ) -> Result<Cleared, RunError> {
        self.fence()?;
        let began = self.work.seconds_now()?;
        // Asked before: what begins while it runs keeps nothing from it either.
        let still = began.saturating_sub(since.unwrap_or(began)).max(0);
        let kept = !self.holders(pace, still.saturating_add(PASSING_S))?.are_none();
        let kept_a_little = kept || !self.holders(pace, still.saturating_add(MOMENT_S))?.are_none();
        self.execute(&pace.vacuum, &[], THOROUGH)?;
        crew.cleared_time.store(began, Ordering::SeqCst);
        let bytes = self.bytes(pace)?;
        self.valve.note(|figures| if kept { figures.vacuumed() } else { figures.cleared() });
        if kept {
            return Ok(Cleared::Part);
        }
        let is_large = bytes > crew.bytes_most(pace, beginning);
        // Where a little was kept, the room that it takes is not what the change needs.
        if !kept_a_little {
            crew.cleared_bytes.store(bytes, Ordering::SeqCst);
        }
        Ok(if is_large { Cleared::Large } else { Cleared::Well })
    }

    fn bytes(&mut self, pace: &Pace) -> Result<i64, RunError> {
        let bytes = first_number(&self.query(&pace.size, &[], QUESTION)?);
        bytes.ok_or_else(|| Fail::new(FailKind::Usage, "the plan's question for a table's size has no answer").into())
    }

    fn holders(&mut self, pace: &Pace, age_s: i64) -> Result<Holders, RunError> {
        let rows = self.query(&pace.holders, &[Value::Int(age_s)], QUESTION)?;
        let is_hidden = |row: &Row| row.get(1).and_then(Value::as_str) == Some("maybe");
        let (hidden, known): (Vec<Row>, Vec<Row>) = rows.into_iter().partition(is_hidden);
        let texts = |rows: Vec<Row>| rows.iter().filter_map(|row| Some(row.first()?.as_str()?.to_owned())).collect();
        Ok(Holders { known: texts(known), hidden: texts(hidden) })
    }

    /// That dead rows were not cleared is said, and is no reason to stop.
    fn not_cleared(&mut self, crew: &Crew<'_>, error: RunError) -> Result<Cleared, RunError> {
        let RunError::Fail { source: fail, .. } = error else { return Err(error) };
        if self.env.run.stop.requested() && fail.kind == FailKind::Cancelled {
            return Err(RunError::Interrupted);
        }
        let table = &crew.copying.cut.table;
        let text = format!("dead rows of `{table}` were not cleared this time: {fail}");
        self.env.tell(&Progress::Note { text: &text });
        if fail.outcome_unknown() {
            self.reconnect_worker(&fail)?;
        }
        Ok(Cleared::Not)
    }
}

/// Lets windows go on, and others clear, when dropped.
struct Held<'c, 's>(&'c Crew<'s>);

impl Drop for Held<'_, '_> {
    fn drop(&mut self) {
        self.0.held.store(false, Ordering::SeqCst);
        self.0.clears.store(false, Ordering::SeqCst);
    }
}

impl Crew<'_> {
    /// Returns whether windows wait until dead rows can be cleared.
    pub(crate) fn is_held(&self) -> bool {
        self.held.load(Ordering::SeqCst)
    }

    /// Returns whether it is time to clear dead rows, and nobody does yet; then the caller does.
    fn is_time_to_clear(&self) -> bool {
        let done = self.done();
        let due = done >= self.clear_at.load(Ordering::SeqCst)
            && done < self.pass.total
            && self.rows() > self.cleared_rows.load(Ordering::SeqCst);
        due && !self.clears.swap(true, Ordering::SeqCst)
    }

    /// Notes when dead rows are looked at again: after a whole part of the pass only where all is well.
    fn looks_again(&self, pace: &Pace, rows: u64, cleared: &Cleared) {
        let percent = match cleared {
            Cleared::Well => pace.percent,
            Cleared::Large => (pace.percent / LARGE).max(1),
            Cleared::Part | Cleared::Not => AGAIN_PERCENT,
        };
        self.clear_at.store(self.done().saturating_add(self.part(percent)), Ordering::SeqCst);
        if !matches!(cleared, Cleared::Not) {
            let percent = if matches!(cleared, Cleared::Part) { pace.percent } else { percent };
            self.vacuum_at.store(self.done().saturating_add(self.part(percent)), Ordering::SeqCst);
            self.cleared_rows.store(rows, Ordering::SeqCst);
        }
    }

    /// Returns whether enough was done since dead rows were last cleared that it is worth going over the table again.
    fn is_time_to_vacuum(&self) -> bool {
        self.done() >= self.vacuum_at.load(Ordering::SeqCst)
    }

    /// Returns so many percent of the pass, in units.
    pub(crate) fn part(&self, percent: u32) -> u64 {
        (self.pass.total.saturating_mul(u64::from(percent.max(1))) / 100).max(1)
    }

    /// Returns when dead rows were cleared last, or the backfill began: seconds, by the database's clock.
    fn cleared_time(&self, beginning: Beginning) -> i64 {
        self.cleared_time.load(Ordering::SeqCst).max(beginning.at)
    }

    /// Returns the size above which snapshots are waited for. Once nothing was dead any more and the table was larger all the
    /// same, the change needs that room, and only further growth counts.
    fn bytes_most(&self, pace: &Pace, beginning: Beginning) -> i64 {
        let most = i128::from(beginning.bytes) * i128::from(100 + u64::from(pace.growth_percent)) / 100;
        i64::try_from(most).unwrap_or(i64::MAX).max(self.cleared_bytes.load(Ordering::SeqCst))
    }
}
