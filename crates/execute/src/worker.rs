//! One worker of a pass: it takes spans, and goes through each window by window.

use std::sync::atomic::Ordering;
use std::time::Duration;

use segue_model::bound::Bound;
use segue_model::journal::Span;
use segue_model::session::{Fail, FailKind};
use segue_model::sql::Sql;

use crate::comeback::{RETURN, Waiting};
use crate::crew::Crew;
use crate::error::RunError;
use crate::guard::Patience;
use crate::hand::{Hand, own_window};
use crate::mask::mask;
use crate::running::JOURNAL_WAIT;
use crate::throttle::Work;
use crate::window::{Cost, Size, Stretch, rest};

/// How often a window is done again after its connection was lost.
const LOSSES_MAX: u32 = 5;

/// How often in a row a window is done again that somebody else cancelled.
const CANCELLED_MAX: u32 = 5;

/// Windows of one process that wait to be come back to at most. What more is locked is left to the next pass.
const WAITS_MAX: u32 = 256;

/// The first pause while there is nothing to do but to wait for the other workers, and the longest.
const IDLE: (Duration, Duration) = (Duration::from_millis(10), Duration::from_millis(250));

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
pub(crate) enum Tried {
    /// It was done, or all of it that others had not locked: where its span stands, and how many rows were changed.
    Done(Span, u64),
    /// Somebody holds a row of it.
    Locked,
}

/// A window that was tried, and what it took.
struct Went {
    tried: Tried,
    part: Stretch,
    cost: Cost,
}

/// A window that was committed: where its span stands, how many rows were changed, and what that took.
struct Filled {
    next: Span,
    rows: u64,
    cost: Cost,
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
            let task = match self.others_go_on(crew, &still)? {
                Some(task) => task,
                None => self.next_task(crew, size)?,
            };
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
                Task::Others(spans) if !waiting.spans.is_empty() => {
                    let alone = spans.iter().all(|span| span.waits);
                    crew.busy(|| self.come_back(crew, &mut waiting, alone, size))?;
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
                crew.seen(me, at.done);
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
                Ok(me.left(crew, at.done)?)
            })
        })
    }

    /// Looks whether those go on whose spans are waited for, without writing anything: every writing transaction costs the
    /// server a write to its disk. `None`: there may be something to take.
    fn others_go_on(&mut self, crew: &Crew<'_>, still: &Standstill) -> Result<Option<Task>, RunError> {
        if still.looks == 0 {
            return Ok(None);
        }
        let step = crew.copying.step;
        self.persist(&Patience::journal(step), |me| {
            let journal = me.journal();
            let at = journal.checkpoint(&mut *me.work, &me.id, me.attempt, step.id)?;
            let Some(at) = at.filter(|at| at.pass == crew.pass.number && at.next.is_none()) else { return Ok(None) };
            let task = me.left(crew, at.done)?;
            // What stands still may be nobody's any more.
            Ok(match &task {
                Task::Others(spans) if spans.iter().any(|span| still.spans.contains(span)) => None,
                Task::Others(_) | Task::Over | Task::Span(_) => Some(task),
            })
        })
    }

    /// Returns what of the pass others have.
    fn left(&mut self, crew: &Crew<'_>, done: u64) -> Result<Task, Fail> {
        let journal = self.journal();
        let mut left = journal.spans(&mut *self.work, &self.id, self.attempt, crew.copying.step.id)?;
        left.retain(|span| span.pass == crew.pass.number);
        crew.seen(self, done + left.iter().map(|span| span.done).sum::<u64>());
        Ok(if left.is_empty() { Task::Over } else { Task::Others(left) })
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

    /// Waits while anything holds windows back; returns whether there is still work for this crew. Fails with
    /// [`RunError::LostLease`] where nobody runs the migration any more that is helped.
    pub(crate) fn may_go_on(&mut self, crew: &Crew<'_>) -> Result<bool, RunError> {
        let work = if crew.is_inline() { Work::Small } else { Work::Window };
        self.valve.pass_while(self.env, work, || !crew.is_over())?;
        if self.valve.is_abandoned(self.env.clock.now()) {
            return Err(RunError::LostLease);
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
    pub(crate) fn window(&mut self, crew: &Crew<'_>, span: &Span, size: &mut Size) -> Result<Option<Tried>, RunError> {
        let patience = crew.copying.patience();
        let first = self.env.clock.now();
        let (mut tries, mut cancelled) = (0, 0);
        loop {
            size.aim(crew.target(self.valve));
            let began = self.env.clock.now();
            let mut met_locks = false;
            let tried = self.window_once(crew, span, size, &mut met_locks);
            let took = self.env.clock.now().saturating_sub(began);
            size.heed(&tried, took);
            let fail = match tried {
                Ok(went) => {
                    self.lost_in_a_row = 0;
                    // How long it waited for others teaches nothing about how long its rows take.
                    if !met_locks && !span.waits {
                        size.cost(went.part.units, went.cost);
                    }
                    self.tell_tried(crew, &went, size, took)?;
                    return Ok(Some(went.tried));
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
            } else if fail.kind == FailKind::Cancelled {
                cancelled += 1;
                self.wait_after_cancel(size, cancelled, fail)?;
            } else if fail.is_transient() {
                tries += 1;
                self.wait_for_another_try(&patience, tries, first, fail)?;
            } else {
                return Err(self.named(crew, span, size, fail));
            }
        }
    }

    /// Somebody else cancelled a window: a person, or a job that ends long statements. A few times it is done again.
    fn wait_after_cancel(&mut self, size: &mut Size, times: u32, mut fail: Fail) -> Result<(), RunError> {
        if times >= CANCELLED_MAX {
            fail.message = format!("{} (somebody else cancelled this window {times} times in a row)", fail.message);
            return Err(fail.into());
        }
        size.halve();
        let pause = RETURN.0.saturating_mul(1 << times.min(10)).min(RETURN.1);
        let pause = self.jittered(pause);
        self.env.wait(pause)
    }

    fn tell_tried(&mut self, crew: &Crew<'_>, went: &Went, size: &mut Size, took: Duration) -> Result<(), RunError> {
        let Tried::Done(_, rows) = &went.tried else { return Ok(()) };
        if crew.pass.number > 1 && *rows > 0 {
            size.found_work(crew.copying.cut);
        }
        crew.window_done(self, went.part.units, *rows, took);
        rest(self.env, crew.copying.cut, went.cost.held)?;
        // What is small is over soon: nothing holds it back, and nothing slows it down.
        if !crew.is_inline() {
            self.valve.rest(self.env, took)?;
        }
        self.clear_dead_rows_when_due(crew)
    }

    /// Does a window; where somebody holds a row of it, does the others, and leaves the window to be come back to.
    fn window_once(
        &mut self,
        crew: &Crew<'_>,
        span: &Span,
        size: &Size,
        met_locks: &mut bool,
    ) -> Result<Went, RunError> {
        let copying = crew.copying;
        let from = span.next.as_ref().ok_or_else(|| self.no_checkpoint(span.step))?;
        let part = if span.waits {
            // Its units count as done since the window was passed over.
            Stretch { to: span.end.clone(), next: None, units: 0 }
        } else {
            self.stretch(copying.cut, from, &span.end, size.units())?
        };
        let limit = size.limit(self.lost_in_a_row);
        if let Some(Filled { next, rows, cost }) = self.fill(crew, span, from, &part, (copying.fill, false), limit)? {
            return Ok(Went { tried: Tried::Done(next, rows), part, cost });
        }
        *met_locks = true;
        // `fill` gives nothing only where there is such a statement.
        let unlocked = copying.fill_unlocked.unwrap_or(copying.fill);
        let filled = self.fill(crew, span, from, &part, (unlocked, true), limit)?;
        let Filled { next, rows, cost } = filled.ok_or_else(|| Fail::new(FailKind::LockTimeout, "rows are locked"))?;
        let tried = if span.waits && rows == 0 { Tried::Locked } else { Tried::Done(next, rows) };
        Ok(Went { tried, part, cost })
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
        limit: Duration,
    ) -> Result<Option<Filled>, RunError> {
        let (copying, clock) = (crew.copying, self.env.clock);
        let (mut locked, mut began, mut took) = (false, clock.now(), Duration::ZERO);
        let leaves = crew.left_waiting.load(Ordering::SeqCst) < WAITS_MAX;
        let result = own_window(self, copying.patience().tries.each, |me| {
            began = clock.now();
            me.execute_all(copying.before, limit)?;
            let asked = clock.now();
            let changed = me.execute(statement, &part.bounds(from), limit);
            took = clock.now().saturating_sub(asked);
            locked = changed.as_ref().is_err_and(is_lock_timeout);
            let rows = changed?;
            let mut next = Span { done: span.done + part.units, rows: span.rows + rows, ..span.clone() };
            // A span that waits stays where it is until it is done as a whole.
            if !(passes_over && span.waits) {
                next.next.clone_from(&part.next);
            }
            if passes_over && !span.waits {
                if leaves {
                    me.leave_waiting(span, from, part)?;
                } else {
                    // A pass that changed something is followed by another, which finds these rows.
                    next.rows += 1;
                }
            }
            me.put_or_end(&next)?;
            Ok((next, rows))
        });
        let cost = Cost { rows: took, held: clock.now().saturating_sub(began) };
        if result.is_ok() && passes_over && !span.waits && leaves {
            crew.left_waiting.fetch_add(1, Ordering::SeqCst);
        }
        if span.waits && matches!(&result, Ok((next, _)) if next.next.is_none()) {
            // One that another process left was not counted here.
            let less = |left: u32| Some(left.saturating_sub(1));
            let _ = crew.left_waiting.fetch_update(Ordering::SeqCst, Ordering::SeqCst, less);
        }
        match result {
            Ok((next, rows)) => Ok(Some(Filled { next, rows, cost })),
            Err(_) if locked && !passes_over && copying.fill_unlocked.is_some() => Ok(None),
            Err(error) => Err(error),
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

    /// Waits for the spans of others. Sessions of ours whose connection was cut may still stand on the server: when nothing
    /// has moved for long they are ended, and what they had is taken anew.
    fn idle(&mut self, crew: &Crew<'_>, still: &mut Standstill, spans: Vec<Span>) -> Result<(), RunError> {
        self.may_go_on(crew)?;
        // A worker of ours may clear dead rows for long, or wait for rows that others have locked.
        if still.spans != spans || crew.is_busy() {
            still.paused = Duration::ZERO;
        }
        still.spans = spans;
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
        // What the application's triggers raise may quote a row, and this is printed.
        if fail.code.as_ref().is_some_and(|code| code.starts_with("P0")) {
            fail.message = mask(&fail.message);
        }
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
        RunError::Rewound { what: format!("the checkpoint of step {step} is gone") }
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
