//! Bringing existing rows over: passes of windows, until one pass changes nothing.

use segue_model::bound::Bound;
use segue_model::journal::{Checkpoint, Mark};
use segue_model::plan::Mode;
use segue_model::session::{Fail, FailKind};
use segue_model::sql::Sql;
use segue_model::step::{Backfill, Cut, Pace, Step};

use crate::crew::{Crew, Pass};
use crate::error::RunError;
use crate::guard::Patience;
use crate::running::{JOURNAL_WAIT, Running};
use crate::window::Size;

/// Passes of one run at most: a fill that still changes rows then would do so forever.
const PASSES_MAX: u32 = 20;

/// A table that has grown above this since it was planned as a small one is small no longer: twice the rows below which a
/// plan takes one for small, and about as many as fit on the pages.
const INLINE_ROWS: u64 = 200_000;

/// The same in pages.
const INLINE_PAGES: u64 = 4_000;

/// What is done in each window, and how.
pub(crate) struct Copying<'s> {
    /// The step.
    pub(crate) step: &'s Step,
    /// The windows.
    pub(crate) cut: &'s Cut,
    /// Run first in each window's transaction.
    pub(crate) before: &'s [Sql],
    /// Changes the rows of a window.
    pub(crate) fill: &'s Sql,
    /// The same, but for rows that others have locked.
    pub(crate) fill_unlocked: Option<&'s Sql>,
    /// How the room of dead rows is kept in bounds.
    pub(crate) pace: Option<&'s Pace>,
    /// How the rows are brought over.
    pub(crate) mode: Mode,
    /// Only one worker may do it.
    pub(crate) by_one: bool,
}

impl<'s> Copying<'s> {
    /// Returns what a backfill does.
    pub(crate) fn of(step: &'s Step, backfill: &'s Backfill, mode: Mode, by_one: bool) -> Self {
        let Backfill { cut, before, fill, fill_unlocked, pace, .. } = backfill;
        let (fill_unlocked, pace) = (fill_unlocked.as_ref(), pace.as_ref());
        Self { step, cut, before, fill, fill_unlocked, pace, mode, by_one }
    }

    /// Returns a copy of a whole table.
    pub(crate) fn whole(step: &'s Step, cut: &'s Cut, fill: &'s Sql) -> Self {
        let mode = Mode::Batched;
        Self { step, cut, before: &[], fill, fill_unlocked: None, pace: None, mode, by_one: true }
    }

    /// Returns the units up to which a pass may go on without being held back, where the plan says so.
    pub(crate) fn inline_most(&self) -> u64 {
        if self.cut.unit == "pages" { INLINE_PAGES } else { INLINE_ROWS }
    }

    /// Returns how long its windows wait for locks.
    pub(crate) fn patience(&self) -> Patience<'s> {
        let tries = self.step.tries.unwrap_or_default();
        Patience { tries, ..Patience::of(self.step) }
    }
}

impl Running<'_> {
    /// Does a backfill from where it stands.
    pub(crate) fn backfill(&mut self, step: &Step, backfill: &Backfill) -> Result<(), RunError> {
        let passes = self.bring_over(step, backfill, 1)?;
        self.collect_failures(step, backfill)?;
        self.finish(step, &serde_json::json!({ "passes": passes }).to_string())
    }

    /// Goes over the table from pass `first` on, until a pass changes nothing or one is enough; returns the number of that pass.
    pub(crate) fn bring_over(&mut self, step: &Step, backfill: &Backfill, first: u32) -> Result<u32, RunError> {
        let copying = Copying::of(step, backfill, self.mode(&backfill.cut), self.alone);
        let mut at = self.begin_pass(&copying, first)?;
        let mut size = Size::first_of_locking(copying.cut);
        if at.pass > first {
            size = Size::first_of_sweep(copying.cut, &size);
        }
        for _ in 0..PASSES_MAX {
            at = self.pass(&copying, &at, &mut size)?;
            if at.rows == 0 || backfill.once {
                return Ok(at.pass);
            }
            at = self.begin_pass(&copying, at.pass + 1)?;
            size = Size::first_of_sweep(copying.cut, &size);
        }
        let text = format!("pass {} over `{}` still changed rows", at.pass - 1, copying.cut.table);
        Err(Fail::new(FailKind::Server, text).into())
    }

    /// Returns how the rows of a table are brought over.
    pub(crate) fn mode(&self, cut: &Cut) -> Mode {
        let moving = self.plan.evidence.moving.get(&cut.table.to_string());
        moving.map_or(Mode::Batched, |moving| moving.mode)
    }

    /// Returns the checkpoint of this pass or a later one; writes it where there is none.
    fn begin_pass(&mut self, copying: &Copying<'_>, pass: u32) -> Result<Checkpoint, RunError> {
        let step = copying.step;
        self.persist(&Patience::journal(step), |me| {
            if let Some(at) = me.checkpoint(step)?.filter(|at| at.pass >= pass) {
                me.note_beginning(copying)?;
                return Ok(at);
            }
            me.note_beginning(copying)?;
            me.intend(step, Mark::Intent)?;
            me.check_shape()?;
            let spans = me.checkpoint(step)?.map_or(0, |at| at.spans);
            let at = me.whole_table(copying, pass, spans)?;
            me.own(JOURNAL_WAIT, |me| {
                me.forget_spans(step)?;
                me.set_checkpoint(&at)
            })?;
            Ok(at)
        })
    }

    /// Forgets what is left of an earlier pass that did not end, in the transaction that begins another: the new one goes
    /// over all of it. Called before the new checkpoint is written.
    pub(crate) fn forget_spans(&mut self, step: &Step) -> Result<(), RunError> {
        let Running { env, hand, record, .. } = self;
        let (journal, work) = (env.journal(), &mut *hand.work);
        for span in journal.spans(work, &record.id, record.attempt, step.id)? {
            journal.end_span(work, &record.id, record.attempt, &span)?;
        }
        Ok(())
    }

    /// Returns the checkpoint of a pass that begins.
    pub(crate) fn whole_table(&mut self, copying: &Copying<'_>, pass: u32, spans: i64) -> Result<Checkpoint, RunError> {
        let extent = self.extent(copying.cut)?;
        let (next, end, total) = match extent {
            Some(extent) => (Some(extent.low), extent.end, extent.total),
            None => (None, Bound::key(Vec::new()), 0),
        };
        Ok(Checkpoint { step: copying.step.id, pass, next, end, spans, done: 0, total, rows: 0 })
    }

    /// Does what is left of a pass, with as many workers as are wanted; returns where it ended.
    pub(crate) fn pass(
        &mut self,
        copying: &Copying<'_>,
        at: &Checkpoint,
        size: &mut Size,
    ) -> Result<Checkpoint, RunError> {
        let beginning = self.beginning(copying.step);
        let crew = Crew::new(copying, Pass::of(at), size.clone(), beginning);
        let result = crew.work_with(&mut self.hand, size);
        crew.add_to(&mut self.outcome);
        result?;
        let step = copying.step;
        let at = self.persist(&Patience::journal(step), |me| me.checkpoint(step))?;
        at.ok_or_else(|| self.hand.no_checkpoint(step.id))
    }
}
