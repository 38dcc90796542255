//! One worker of a pass: it takes spans, and goes through each window by window.

use std::time::Duration;

use segue_model::bound::Bound;
use segue_model::journal::Span;
use segue_model::plan::Mode;
use segue_model::session::{Fail, FailKind};
use segue_model::sql::Sql;

use crate::crew::Crew;
use crate::error::RunError;
use crate::guard::Patience;
use crate::hand::Hand;
use crate::observer::Progress;
use crate::running::JOURNAL_WAIT;
use crate::throttle::Work;
use crate::window::{Size, Stretch, WINDOW, rest};

/// How often a window is done again after its connection was lost.
const LOSSES_MAX: u32 = 5;

/// The first pause before a window is come back to whose rows others had locked, and the longest.
const RETURN: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));

/// The first pause while there is nothing to do but to wait for the other workers, and the longest.
const IDLE: (Duration, Duration) = (Duration::from_millis(10), Duration::from_millis(200));

/// How long the spans of others may stand still before their sessions count as lost.
const STALE: Duration = Duration::from_secs(60);

/// What comes next for a worker.
enum Task {
    /// A span that it has now.
    Span(Span),
    /// Others have what is left: these spans.
    Others(Vec<Span>),
    /// Nothing is left of the pass.
    Over,
}

/// What came of a window.
enum Tried {
    /// It was done, or all of it that others had not locked: where its span stands, and how many rows were changed.
    Done(Span, u64),
    /// Somebody holds a row of it.
    Locked,
}

/// Spans that a worker has and cannot finish yet.
#[derive(Default)]
struct Waiting {
    spans: Vec<Span>,
    /// Times that all of them were tried without any progress.
    rounds: u32,
    /// The pauses since there was progress.
    paused: Duration,
}

/// Spans of others, and since when they stand still.
#[derive(Default)]
struct Standstill {
    spans: Vec<Span>,
    paused: Duration,
    looks: u32,
}

impl Hand<'_> {
    /// Works until the pass is over, or the crew ends, or has no need of this worker any more. `staff` is called before each
    /// window.
    pub(crate) fn work(
        &mut self,
        crew: &Crew<'_>,
        number: usize,
        size: &mut Size,
        staff: &mut dyn FnMut(),
    ) -> Result<(), RunError> {
        let (mut waiting, mut still) = (Waiting::default(), Standstill::default());
        while !crew.is_over() && (number == 0 || number < crew.wanted(self.valve)) {
            staff();
            let before = self.reconnects;
            let task = self.next_task(crew, size)?;
            if self.reconnects != before {
                // What the lost session had is nobody's now.
                waiting = Waiting::default();
            }
            match task {
                Task::Span(span) => {
                    still = Standstill::default();
                    let before = self.reconnects;
                    let left = crew.busy(|| self.go_through(crew, span, size, staff))?;
                    if self.reconnects != before {
                        waiting = Waiting::default();
                    }
                    waiting.add(left);
                }
                Task::Others(_) if !waiting.spans.is_empty() => {
                    crew.busy(|| self.come_back(crew, &mut waiting, size))?;
                }
                Task::Others(spans) => self.idle(crew, &mut still, spans)?,
                Task::Over => break,
            }
        }
        Ok(())
    }

    /// Takes a span that nobody alive has, or cuts one off, or takes one that waits.
    fn next_task(&mut self, crew: &Crew<'_>, size: &Size) -> Result<Task, RunError> {
        let (step, cut) = (crew.copying.step, crew.copying.cut);
        let units = crew.span_units(size);
        self.persist(&Patience::journal(step), |me| {
            me.own(JOURNAL_WAIT, |me| {
                let (journal, worker) = (me.journal(), me.worker());
                if let Some(span) = journal.take_span(&mut *me.work, &me.id, me.attempt, step.id, &worker, false)? {
                    return Ok(Task::Span(span));
                }
                let at = journal.checkpoint_to_cut(&mut *me.work, &me.id, me.attempt, step.id)?;
                let mut at = at.ok_or_else(|| me.no_checkpoint(step.id))?;
                if at.pass != crew.pass.number {
                    return Ok(Task::Over);
                }
                crew.seen(&at);
                if let Some(next) = at.next.take() {
                    let part = me.stretch(cut, &next, &at.end, units)?;
                    (at.next, at.spans) = (part.next, at.spans + 1);
                    let span = Span {
                        step: step.id,
                        number: at.spans,
                        pass: at.pass,
                        next: Some(next),
                        end: part.to,
                        done: 0,
                        rows: 0,
                        waits: false,
                    };
                    journal.put_span(&mut *me.work, &me.id, me.attempt, &span, Some(&worker))?;
                    journal.set_checkpoint(&mut *me.work, &me.id, me.attempt, &at)?;
                    return Ok(Task::Span(span));
                }
                if let Some(span) = journal.take_span(&mut *me.work, &me.id, me.attempt, step.id, &worker, true)? {
                    return Ok(Task::Span(span));
                }
                let left = journal.spans(&mut *me.work, &me.id, me.attempt, step.id)?;
                Ok(if left.is_empty() { Task::Over } else { Task::Others(left) })
            })
        })
    }

    /// Goes through a span; returns it where it waits for rows that others have locked. One whose session was lost is taken
    /// anew by whoever comes first.
    fn go_through(
        &mut self,
        crew: &Crew<'_>,
        mut span: Span,
        size: &mut Size,
        staff: &mut dyn FnMut(),
    ) -> Result<Option<Span>, RunError> {
        while span.next.is_some() {
            staff();
            if crew.is_over() || !self.may_go_on(crew)? {
                return Ok(None);
            }
            let before = self.reconnects;
            match self.window(crew, &span, size)? {
                // The connection may have been lost after the window, too.
                _ if self.reconnects != before => return Ok(None),
                Some(Tried::Done(next, _)) => span = next,
                Some(Tried::Locked) => return Ok(Some(span)),
                None => return Ok(None),
            }
        }
        Ok(None)
    }

    /// Waits while anything holds windows back; returns whether there is still work for this crew.
    fn may_go_on(&mut self, crew: &Crew<'_>) -> Result<bool, RunError> {
        if crew.copying.mode != Mode::Inline {
            self.valve.pass_while(self.env, Work::Window, || !crew.is_over())?;
        }
        while crew.is_held() && !crew.is_over() {
            let pause = self.jittered(IDLE.1);
            self.env.wait(pause)?;
        }
        self.env.check_stop()?;
        Ok(!crew.is_over())
    }

    /// Does the next window of a span until it is done or somebody holds a row of it. `None`: the connection was lost and
    /// made again, and the journal says how far the span is.
    fn window(&mut self, crew: &Crew<'_>, span: &Span, size: &mut Size) -> Result<Option<Tried>, RunError> {
        let patience = crew.copying.patience();
        let first = self.env.clock.now();
        let mut tries = 0;
        loop {
            size.aim(crew.target(self.valve));
            let began = self.env.clock.now();
            let mut met_locks = false;
            let tried = self.window_once(crew, span, size, &mut met_locks);
            let took = self.env.clock.now().saturating_sub(began);
            size.heed(&tried, took);
            let fail = match tried {
                Ok((tried, part)) => {
                    self.lost_in_a_row = 0;
                    // How long it waited for others teaches nothing about how long its rows take.
                    if !met_locks && !span.waits {
                        size.took(part.units, took);
                    }
                    self.tell_tried(crew, &tried, &part, size, took)?;
                    return Ok(Some(tried));
                }
                Err(RunError::Fail { source, .. }) => source,
                Err(error) => return Err(error),
            };
            if self.env.run.stop.requested() && fail.kind == FailKind::Cancelled {
                return Err(RunError::Interrupted);
            }
            if fail.outcome_unknown() && self.lost_in_a_row < LOSSES_MAX {
                self.lost_in_a_row += 1;
                self.reconnect_worker(&fail)?;
                return Ok(None);
            }
            if fail.kind == FailKind::Conversion && !span.waits && size.halve() {
                self.env.check_stop()?;
            } else if fail.is_transient() {
                tries += 1;
                self.wait_for_another_try(&patience, tries, first, fail)?;
            } else {
                return Err(self.named(crew, span, size, fail));
            }
        }
    }

    fn tell_tried(
        &mut self,
        crew: &Crew<'_>,
        tried: &Tried,
        part: &Stretch,
        size: &mut Size,
        took: Duration,
    ) -> Result<(), RunError> {
        let Tried::Done(_, rows) = tried else { return Ok(()) };
        if crew.pass.number > 1 && *rows > 0 {
            size.found_work(crew.copying.cut);
        }
        crew.window_done(self, part.units, *rows, took);
        rest(self.env, crew.copying.cut, took)?;
        self.clear_dead_rows_when_due(crew)
    }

    /// Does a window; where somebody holds a row of it, does the others, and leaves the window to be come back to.
    fn window_once(
        &mut self,
        crew: &Crew<'_>,
        span: &Span,
        size: &Size,
        met_locks: &mut bool,
    ) -> Result<(Tried, Stretch), RunError> {
        let copying = crew.copying;
        let from = span.next.as_ref().ok_or_else(|| self.no_checkpoint(span.step))?;
        let part = if span.waits {
            // Its units count as done since the window was passed over.
            Stretch { to: span.end.clone(), next: None, units: 0 }
        } else {
            self.stretch(copying.cut, from, &span.end, size.units())?
        };
        if let Some((next, rows)) = self.fill(crew, span, from, &part, (copying.fill, false))? {
            return Ok((Tried::Done(next, rows), part));
        }
        *met_locks = true;
        // `fill` gives nothing only where there is such a statement.
        let unlocked = copying.fill_unlocked.unwrap_or(copying.fill);
        let filled = self.fill(crew, span, from, &part, (unlocked, true))?;
        let (next, rows) = filled.ok_or_else(|| Fail::new(FailKind::LockTimeout, "rows are locked"))?;
        let tried = if span.waits && rows == 0 { Tried::Locked } else { Tried::Done(next, rows) };
        Ok((tried, part))
    }

    /// A window is committed together with how far its span is then, or neither is. `None`: somebody holds a row of it, and
    /// there is a statement that passes over those.
    fn fill(
        &mut self,
        crew: &Crew<'_>,
        span: &Span,
        from: &Bound,
        part: &Stretch,
        (statement, passes_over): (&Sql, bool),
    ) -> Result<Option<(Span, u64)>, RunError> {
        let copying = crew.copying;
        let mut locked = false;
        let result = self.own(copying.patience().tries.each, |me| {
            me.execute_all(copying.before, WINDOW)?;
            let changed = me.execute(statement, &part.bounds(from), WINDOW);
            locked = changed.as_ref().is_err_and(is_lock_timeout);
            let rows = changed?;
            let mut next = Span { done: span.done + part.units, rows: span.rows + rows, ..span.clone() };
            // A span that waits stays where it is until it is done as a whole.
            if !(passes_over && span.waits) {
                next.next.clone_from(&part.next);
            }
            if passes_over && !span.waits {
                me.leave_waiting(span, from, part)?;
            }
            me.put_or_end(&next)?;
            Ok(Some((next, rows)))
        });
        match result {
            Err(_) if locked && !passes_over && copying.fill_unlocked.is_some() => Ok(None),
            other => other,
        }
    }

    /// Leaves a window to be come back to, in the transaction that is open.
    fn leave_waiting(&mut self, span: &Span, from: &Bound, part: &Stretch) -> Result<(), RunError> {
        let journal = self.journal();
        let at = journal.checkpoint_to_cut(&mut *self.work, &self.id, self.attempt, span.step)?;
        let mut at = at.ok_or_else(|| self.no_checkpoint(span.step))?;
        at.spans += 1;
        let (next, end) = (Some(from.clone()), part.to.clone());
        let left = Span { number: at.spans, next, end, done: 0, rows: 0, waits: true, ..span.clone() };
        journal.put_span(&mut *self.work, &self.id, self.attempt, &left, None)?;
        Ok(journal.set_checkpoint(&mut *self.work, &self.id, self.attempt, &at)?)
    }

    fn put_or_end(&mut self, span: &Span) -> Result<(), RunError> {
        let journal = self.journal();
        if span.next.is_none() {
            return Ok(journal.end_span(&mut *self.work, &self.id, self.attempt, span)?);
        }
        let worker = self.worker();
        Ok(journal.put_span(&mut *self.work, &self.id, self.attempt, span, Some(&worker))?)
    }

    /// Tries the spans again that wait for rows which others have locked, after a pause that grows.
    fn come_back(&mut self, crew: &Crew<'_>, waiting: &mut Waiting, size: &mut Size) -> Result<(), RunError> {
        self.pause_before_coming_back(crew, waiting)?;
        let (mut left, mut progress) = (Vec::new(), false);
        for mut span in std::mem::take(&mut waiting.spans) {
            if crew.is_over() || !self.may_go_on(crew)? {
                return Ok(());
            }
            let before = self.reconnects;
            match self.window(crew, &span, size)? {
                // What this session had is nobody's now.
                _ if self.reconnects != before => return Ok(()),
                Some(Tried::Done(next, _)) => {
                    progress = true;
                    span = next;
                    if span.next.is_some() {
                        left.push(span);
                    }
                }
                Some(Tried::Locked) => left.push(span),
                None => return Ok(()),
            }
        }
        waiting.spans = left;
        waiting.rounds += 1;
        if progress {
            (waiting.rounds, waiting.paused) = (0, Duration::ZERO);
        }
        Ok(())
    }

    fn pause_before_coming_back(&mut self, crew: &Crew<'_>, waiting: &mut Waiting) -> Result<(), RunError> {
        let patience = crew.copying.patience();
        let step = crew.copying.step.id;
        let blockers = self.blockers(patience.locks);
        self.env.tell(&Progress::LockTry { step, try_no: waiting.rounds + 1, blockers: &blockers });
        if waiting.paused >= patience.tries.budget {
            return Err(RunError::BudgetSpent { step, budget: patience.tries.budget, blockers });
        }
        let pause = RETURN.0.saturating_mul(1 << waiting.rounds.min(10)).min(RETURN.1);
        let pause = self.jittered(pause);
        waiting.paused += pause;
        self.env.wait(pause)
    }

    /// Waits for the spans of others. Sessions of ours whose connection was cut may still stand on the server: when nothing
    /// has moved for long they are ended, and what they had is taken anew.
    fn idle(&mut self, crew: &Crew<'_>, still: &mut Standstill, spans: Vec<Span>) -> Result<(), RunError> {
        self.may_go_on(crew)?;
        // A worker of ours may clear dead rows for long, or wait for rows that others have locked.
        if still.spans != spans || crew.is_busy() {
            *still = Standstill { spans, ..Standstill::default() };
        }
        if still.paused >= STALE && self.leads() {
            *still = Standstill::default();
            self.end_leftovers()?;
        }
        let pause = IDLE.0.saturating_mul(1 << still.looks.min(10)).min(IDLE.1);
        let pause = self.jittered(pause);
        (still.looks, still.paused) = (still.looks + 1, still.paused + pause);
        self.env.wait(pause)
    }

    /// Names the smallest window that holds what failed.
    fn named(&mut self, crew: &Crew<'_>, span: &Span, size: &Size, mut fail: Fail) -> RunError {
        if fail.kind == FailKind::Conversion {
            let cut = crew.copying.cut;
            let units = size.units();
            let place = span.next.as_ref().and_then(|from| {
                let part = self.stretch(cut, from, &span.end, units).ok()?;
                Some(place(cut.unit.as_str(), from, &part))
            });
            if let Some(place) = place {
                fail.message = format!("{} (in {place} of `{}`)", fail.message, cut.table);
            }
        }
        fail.into()
    }

    /// Returns the error for a journal that has lost how far a step is.
    pub(crate) fn no_checkpoint(&self, step: u32) -> RunError {
        RunError::BadJournal { id: self.id.clone(), why: format!("the checkpoint of step {step} is gone") }
    }
}

impl Waiting {
    fn add(&mut self, span: Option<Span>) {
        self.spans.extend(span);
    }
}

/// Returns a window as messages call it. Keys are row data: they are not shown.
fn place(unit: &str, from: &Bound, part: &Stretch) -> String {
    match (from.as_number(), part.to.as_number()) {
        (Some(from), Some(to)) if part.units > 0 => format!("{unit} {from} to {}", to - 1),
        _ => format!("a window of {} {unit}", part.units),
    }
}

fn is_lock_timeout(error: &RunError) -> bool {
    matches!(error, RunError::Fail { source, .. } if source.kind == FailKind::LockTimeout)
}
