//! Bringing existing rows over: passes of windows, until one pass changes nothing.

use segue_model::journal::{Checkpoint, Mark};
use segue_model::session::{Fail, FailKind};
use segue_model::sql::Sql;
use segue_model::step::{Backfill, Cut, Step};
use segue_model::value::Value;

use crate::error::RunError;
use crate::guard::Patience;
use crate::running::{JOURNAL_WAIT, Running};
use crate::step::THOROUGH;
use crate::window::{Size, WINDOW, first_number};

/// Passes at most: a fill that still changes rows then would do so forever.
const PASSES_MAX: u32 = 20;

/// What is done in each window, and where it stands.
pub(crate) struct Copying<'s> {
    /// The step.
    pub(crate) step: &'s Step,
    /// The windows.
    pub(crate) cut: &'s Cut,
    /// Run first in each window's transaction.
    pub(crate) before: &'s [Sql],
    /// Changes the rows of window `$1`, `$2`.
    pub(crate) fill: &'s Sql,
}

impl Running<'_> {
    /// Does a backfill from where it stands.
    pub(crate) fn backfill(&mut self, step: &Step, backfill: &Backfill) -> Result<(), RunError> {
        let Backfill { cut, before, fill, unconvertible } = backfill;
        let copying = Copying { step, cut, before, fill };
        let mut size = Size::first_of_locking(cut);
        let mut at = self.begin_pass(&copying, 1)?;
        loop {
            at = self.pass(&copying, at.pass, &mut size)?;
            if at.rows == 0 {
                break;
            }
            if at.pass >= PASSES_MAX {
                let text = format!("pass {} over `{}` still changed {} rows", at.pass, cut.table, at.rows);
                return Err(Fail::new(FailKind::Server, text).into());
            }
            at = self.begin_pass(&copying, at.pass + 1)?;
        }
        if let Some(question) = unconvertible {
            self.tell_unconvertible(step, cut, question)?;
        }
        self.finish(step, &serde_json::json!({ "passes": at.pass }).to_string())
    }

    /// Returns the checkpoint of this pass or a later one; writes it where there is none.
    fn begin_pass(&mut self, copying: &Copying<'_>, pass: u32) -> Result<Checkpoint, RunError> {
        let step = copying.step;
        self.persist(&Patience::journal(step), |me| {
            if let Some(at) = me.checkpoint(step)?.filter(|at| at.pass >= pass) {
                return Ok(at);
            }
            me.intend(step, Mark::Intent)?;
            me.check_shape()?;
            let (low, end) = me.extent(copying.cut)?;
            let at = Checkpoint { step: step.id, pass, next: low, end, rows: 0 };
            me.own(JOURNAL_WAIT, |me| me.set_checkpoint(&at))?;
            Ok(at)
        })
    }

    /// Does the windows of a pass that are still to be done; returns where it ended.
    pub(crate) fn pass(&mut self, copying: &Copying<'_>, pass: u32, size: &mut Size) -> Result<Checkpoint, RunError> {
        let tries = copying.step.tries.unwrap_or_default();
        let patience = Patience { tries, ..Patience::of(copying.step) };
        let (low, _) = self.persist(&patience, |me| me.extent(copying.cut))?;
        loop {
            let at = self.persist(&patience, |me| {
                let at = me.checkpoint(copying.step)?.filter(|at| at.pass == pass);
                at.ok_or_else(|| RunError::BadJournal {
                    id: me.record.id.clone(),
                    why: format!("the checkpoint of step {} is gone", copying.step.id),
                })
            })?;
            if at.next >= at.end {
                return Ok(at);
            }
            self.window(copying, &patience, at, low, size)?;
        }
    }

    /// Does the window at `at`. After a loss the journal may show it done already: then nothing is done here.
    fn window(
        &mut self,
        copying: &Copying<'_>,
        patience: &Patience<'_>,
        at: Checkpoint,
        low: i64,
        size: &mut Size,
    ) -> Result<(), RunError> {
        let done = self.persist(patience, |me| {
            if me.checkpoint(copying.step)?.as_ref() != Some(&at) {
                return Ok(None);
            }
            let to = me.window_end(copying.cut, at.next, at.end, size)?;
            let began = me.env.clock.now();
            let next = me.window_once(copying, patience, &at, to);
            size.heed(&next, me.env.clock.now().saturating_sub(began));
            match smaller_or_named(next, copying, &at, to, size) {
                Ok(next) => Ok(next.map(|next| (next, me.env.clock.now().saturating_sub(began)))),
                Err(error) => Err(error),
            }
        })?;
        if let Some((next, took)) = done {
            let rows = next.rows - at.rows;
            size.took(took);
            self.outcome.rows_filled += rows;
            self.tell_window(copying.step, copying.cut, low, &next, rows, took);
            self.rest(copying.cut, took)?;
        }
        Ok(())
    }

    /// A window is committed together with its checkpoint, or neither is.
    fn window_once(
        &mut self,
        copying: &Copying<'_>,
        patience: &Patience<'_>,
        at: &Checkpoint,
        to: i64,
    ) -> Result<Checkpoint, RunError> {
        self.own(patience.tries.each, |me| {
            me.execute_all(copying.before, WINDOW)?;
            let rows = me.execute(copying.fill, &[Value::Int(at.next), Value::Int(to)], WINDOW)?;
            let next = Checkpoint { next: to, rows: at.rows + rows, ..at.clone() };
            me.set_checkpoint(&next)?;
            Ok(next)
        })
    }

    fn tell_unconvertible(&mut self, step: &Step, cut: &Cut, question: &Sql) -> Result<(), RunError> {
        let rows = self.unconvertible(step, question)?;
        if rows > 0 {
            self.note(format!("{rows} rows of `{}` cannot be converted; flip is refused while any remain", cut.table));
        }
        Ok(())
    }

    /// Returns how many rows a transform cannot convert.
    pub(crate) fn unconvertible(&mut self, step: &Step, question: &Sql) -> Result<i64, RunError> {
        self.persist(&Patience::journal(step), |me| Ok(first_number(&me.query(question, &[], THOROUGH)?).unwrap_or(0)))
    }
}

/// Makes the windows smaller after a value that cannot be converted, until the smallest window that holds it can be named.
/// `None`: try again.
fn smaller_or_named(
    result: Result<Checkpoint, RunError>,
    copying: &Copying<'_>,
    at: &Checkpoint,
    to: i64,
    size: &mut Size,
) -> Result<Option<Checkpoint>, RunError> {
    match result {
        Ok(next) => Ok(Some(next)),
        Err(RunError::Fail { step, phase, mut source }) => {
            if source.kind == FailKind::Conversion {
                if size.halve() {
                    return Ok(None);
                }
                let Cut { unit, table, .. } = copying.cut;
                source.message = format!("{} (in {unit} {} to {} of `{table}`)", source.message, at.next, to - 1);
            }
            Err(RunError::Fail { step, phase, source })
        }
        Err(error) => Err(error),
    }
}
