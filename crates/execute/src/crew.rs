//! The workers of one process that go over a table together.

use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU32, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread::ScopedJoinHandle;
use std::time::Duration;

use segue_model::ident::MigrationId;
use segue_model::journal::Checkpoint;
use segue_model::plan::Mode;
use segue_model::step::Pace;

use crate::backfill::Copying;
use crate::control::Control;
use crate::error::RunError;
use crate::hand::{Hand, WORKER};
use crate::observer::Progress;
use crate::outcome::Outcome;
use crate::pace::Beginning;
use crate::running::Env;
use crate::throttle::Valve;
use crate::unwinding::step_of;
use crate::window::Size;

/// The time that a window should take while nobody else is at work, where nobody set another.
const WINDOW_MS: u32 = 100;

/// Workers of a backfill that goes on without anybody watching.
const IN_BACKGROUND: u32 = 2;

/// More would only wait for each other.
const WORKERS_MAX: u32 = 64;

/// Spans of a pass, about.
const SPANS: u64 = 64;

/// Spans of a pass at least.
const SPANS_LEAST: u64 = 16;

/// First windows that a span has at least.
const SPAN_LEAST: u64 = 4;

/// The same at most, while it is not known how long a window takes.
const SPAN_UNKNOWN: u64 = 16;

/// The longest that a span should take.
const SPAN: Duration = Duration::from_secs(3);

/// One pass over a table, as it stood when this process came to it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pass {
    /// Its number.
    pub(crate) number: u32,
    /// Units in all, about.
    pub(crate) total: u64,
    /// Units done.
    done: u64,
}

impl Pass {
    /// Returns the pass that a checkpoint speaks of.
    pub(crate) fn of(at: &Checkpoint) -> Self {
        Self { number: at.pass, total: at.total, done: at.done }
    }
}

/// What the workers of one pass share.
pub(crate) struct Crew<'s> {
    /// What is done.
    pub(crate) copying: &'s Copying<'s>,
    /// The pass.
    pub(crate) pass: Pass,
    /// The size that a new worker begins with.
    first: Size,
    /// Where the table stood when the backfill began, where its dead rows are cleared by this process.
    pub(crate) beginning: Option<Beginning>,
    done: AtomicU64,
    rows: AtomicU64,
    retries: AtomicU64,
    reconnects: AtomicU32,
    /// Workers that have a span.
    at_work: AtomicU32,
    /// Nobody works on.
    over: AtomicBool,
    failed: Mutex<Option<RunError>>,
    /// A worker could not connect: there are no more than this.
    most: AtomicU32,
    /// Units done when dead rows are looked at next.
    pub(crate) clear_at: AtomicU64,
    /// Units done when it is worth clearing them again.
    pub(crate) vacuum_at: AtomicU64,
    /// Rows changed when they were cleared last.
    pub(crate) cleared_rows: AtomicU64,
    /// When that was: seconds, by the database's clock.
    pub(crate) cleared_time: AtomicI64,
    /// The table's size when last nothing was dead any more.
    pub(crate) cleared_bytes: AtomicI64,
    /// A worker clears dead rows, or waits to.
    pub(crate) clears: AtomicBool,
    /// Windows wait until dead rows can be cleared.
    pub(crate) held: AtomicBool,
    /// Windows that were left to be come back to, and are not done yet.
    pub(crate) left_waiting: AtomicU32,
}

/// Ends the work of a crew when dropped, also when a worker panics: else the others would never end.
struct Ending<'c>(&'c AtomicBool);

impl Drop for Ending<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

impl<'s> Crew<'s> {
    /// Returns a crew without workers.
    pub(crate) fn new(copying: &'s Copying<'s>, pass: Pass, first: Size, beginning: Option<Beginning>) -> Self {
        let crew = Self {
            copying,
            pass,
            first,
            beginning,
            done: AtomicU64::new(pass.done),
            rows: AtomicU64::new(0),
            retries: AtomicU64::new(0),
            reconnects: AtomicU32::new(0),
            at_work: AtomicU32::new(0),
            over: AtomicBool::new(false),
            failed: Mutex::new(None),
            most: AtomicU32::new(WORKERS_MAX),
            clear_at: AtomicU64::new(0),
            vacuum_at: AtomicU64::new(0),
            cleared_rows: AtomicU64::new(0),
            cleared_time: AtomicI64::new(0),
            cleared_bytes: AtomicI64::new(0),
            clears: AtomicBool::new(false),
            held: AtomicBool::new(false),
            left_waiting: AtomicU32::new(0),
        };
        let percent = copying.pace.map_or(100, |pace| pace.percent);
        crew.clear_at.store(pass.done.saturating_add(crew.part(percent)), Ordering::SeqCst);
        crew
    }

    /// Returns whether so little is to be done that nothing but an order holds it back. The plan said so of the table as it
    /// was then: it counts only while the table is small.
    pub(crate) fn is_inline(&self) -> bool {
        self.copying.mode == Mode::Inline && self.pass.total <= self.copying.inline_most()
    }

    /// Returns how dead rows are cleared, where they are.
    pub(crate) fn pace(&self) -> Option<&'s Pace> {
        self.copying.pace.filter(|_| !self.is_inline())
    }

    /// Works until the pass is over, with the session that is there and those of as many more workers as are wanted. The
    /// first failure of a worker ends all of them at their next window.
    pub(crate) fn work_with(&self, leader: &mut Hand<'_>, size: &mut Size) -> Result<(), RunError> {
        let seat =
            Seat { env: leader.env, lease: (leader.control, leader.valve), whose: (leader.id.clone(), leader.attempt) };
        let result = std::thread::scope(|scope| {
            let _ending = Ending(&self.over);
            let mut workers: Vec<ScopedJoinHandle<'_, ()>> = Vec::new();
            let mut staff = || {
                workers.retain(|worker| !worker.is_finished());
                seat.lease.1.note(|figures| figures.works_with(workers.len() + 1));
                while workers.len() + 1 < self.wanted(seat.lease.1) && !self.is_over() {
                    let number = workers.len() + 1;
                    let seat = seat.clone();
                    workers.push(scope.spawn(move || self.hire(&seat, number)));
                }
            };
            leader.work(self, 0, size, &mut staff)
        });
        let failed = self.failure().take();
        match (result, failed) {
            // What a worker says is why the others ended.
            (_, Some(error)) | (Err(error), None) => Err(error),
            (Ok(()), None) => Ok(()),
        }
    }

    /// Returns how many workers there should be now.
    pub(crate) fn wanted(&self, valve: &Valve) -> usize {
        if self.copying.by_one {
            return 1;
        }
        let by_mode = match self.copying.mode {
            Mode::Inline | Mode::Batched | Mode::Lazy => 1,
            Mode::Background => IN_BACKGROUND,
        };
        let wanted = valve.tuning().workers.unwrap_or(by_mode);
        wanted.clamp(1, self.most.load(Ordering::SeqCst)) as usize
    }

    /// One more worker, from its connection to its end.
    fn hire(&self, seat: &Seat<'_>, number: usize) {
        let connected = seat
            .env
            .connect(&seat.whose.0, WORKER)
            .and_then(|session| Hand::new(seat.env, seat.lease, seat.whose.clone(), WORKER, session));
        let mut hand = match connected {
            Ok(hand) => hand,
            Err(fail) => {
                // The server has no room for it: those that are there go on.
                self.most.store(u32::try_from(number).unwrap_or(1).max(1), Ordering::SeqCst);
                let text = format!("one worker less, for it could not connect: {fail}");
                return seat.env.tell(&Progress::Note { text: &text });
            }
        };
        let mut size = self.first.clone();
        if let Err(error) = hand.work(self, number, &mut size, &mut || {}) {
            self.failure().get_or_insert(error);
            self.over.store(true, Ordering::SeqCst);
        }
        self.count(&hand);
    }

    /// Does a part of the work; meanwhile the crew counts as busy.
    pub(crate) fn busy<T>(&self, part: impl FnOnce() -> T) -> T {
        self.at_work.fetch_add(1, Ordering::SeqCst);
        let result = part();
        self.at_work.fetch_sub(1, Ordering::SeqCst);
        result
    }

    /// Returns whether a worker of this process has a span.
    pub(crate) fn is_busy(&self) -> bool {
        self.at_work.load(Ordering::SeqCst) > 0
    }

    /// Returns whether nobody works on.
    pub(crate) fn is_over(&self) -> bool {
        self.over.load(Ordering::SeqCst)
    }

    fn failure(&self) -> MutexGuard<'_, Option<RunError>> {
        self.failed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn count(&self, hand: &Hand<'_>) {
        self.retries.fetch_add(hand.retries, Ordering::SeqCst);
        self.reconnects.fetch_add(hand.reconnects, Ordering::SeqCst);
    }

    /// Returns the time that a window should take now: longer while nobody else is at work and no standby falls behind.
    pub(crate) fn target(&self, valve: &Valve) -> Duration {
        let alone = self.copying.cut.target_ms;
        let ms = if valve.wants_short_windows() { alone } else { valve.tuning().window_ms.unwrap_or(WINDOW_MS) };
        Duration::from_millis(u64::from(ms.max(1)))
    }

    /// Returns the units of a span: about a 64th of the pass, at least a few windows, at most a few seconds of work and so
    /// little that every worker has some to the end.
    pub(crate) fn span_units(&self, size: &Size) -> u64 {
        let first = u64::from(self.copying.cut.size.max(1));
        let least = first.max(size.units()) * SPAN_LEAST;
        let most = size.units_in(SPAN).unwrap_or(first * SPAN_UNKNOWN).max(first * SPAN_LEAST);
        (self.pass.total / SPANS).max(least).min(most).min((self.pass.total / SPANS_LEAST).max(first * SPAN_LEAST))
    }

    /// Notes that a window was done by `hand`, and tells how far the pass is.
    pub(crate) fn window_done(&self, hand: &Hand<'_>, units: u64, rows: u64, took: Duration) {
        let done = self.done.fetch_add(units, Ordering::SeqCst) + units;
        self.rows.fetch_add(rows, Ordering::SeqCst);
        hand.valve.note(|figures| {
            figures.moved(hand.env.clock.now(), units, rows, took);
            figures.stands(self.pass.number, done, self.pass.total);
        });
        hand.env.tell(&Progress::Window {
            step: step_of(self.copying.step.id),
            pass: self.pass.number,
            done: done.min(self.pass.total),
            total: self.pass.total,
            unit: &self.copying.cut.unit,
            rows,
            took,
        });
    }

    /// Learns what all processes have done together.
    pub(crate) fn seen(&self, hand: &Hand<'_>, done: u64) {
        let known = self.done.fetch_max(done, Ordering::SeqCst);
        hand.valve.note(|figures| figures.stands(self.pass.number, known.max(done), self.pass.total));
    }

    /// Returns the units that are done.
    pub(crate) fn done(&self) -> u64 {
        self.done.load(Ordering::SeqCst)
    }

    /// Returns the rows that this process changed.
    pub(crate) fn rows(&self) -> u64 {
        self.rows.load(Ordering::SeqCst)
    }

    /// Adds what was done to what a run reports.
    pub(crate) fn add_to(&self, outcome: &mut Outcome) {
        outcome.rows_filled += self.rows();
        outcome.retries += self.retries.load(Ordering::SeqCst);
        outcome.reconnects += self.reconnects.load(Ordering::SeqCst);
    }
}

/// What a further worker needs.
#[derive(Clone)]
struct Seat<'r> {
    env: Env<'r>,
    lease: (&'r Control, &'r Valve),
    whose: (MigrationId, u32),
}
