//! What holds a run back, and lets it go on: limits, hours, and what people order from another terminal.
//!
//! One thread looks at the database ([`watch`]), another at what the user named outside of it ([`outside`]): a slow answer of
//! theirs must not keep a pause from taking effect. Both only write what they saw into the state that all workers ask.

mod gauge;
mod led;
mod outside;
mod reason;
mod state;
#[cfg(test)]
mod tests;
mod watch;

use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use segue_model::ident::MigrationId;
use segue_model::tuning::Tuning;

use crate::error::RunError;
use crate::figures::{Figures, Report};
use crate::observer::Progress;
use crate::running::Env;
use reason::Reason;
use state::State;
use watch::Watch;

/// The time between two looks at what people ordered. The limits are looked at every second time.
const LOOK: Duration = Duration::from_millis(500);

/// The time between two looks at everything while a limit may be reached before long. A look takes the server a few
/// milliseconds.
const LOOK_SOON: Duration = Duration::from_millis(250);

/// The longest rest after a window.
const REST_MAX: Duration = Duration::from_secs(1);

/// How often somebody who waits asks whether the user wants to stop: that wish rings a bell of its own.
const STOP: Duration = Duration::from_millis(50);

/// What has not been seen yet, or not for a while, is worth telling only after this time.
const UNSEEN: Duration = Duration::from_secs(1);

/// What held nobody back for this long is not worth a figure.
const NOTICED: Duration = Duration::from_millis(100);

/// What is about to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Work {
    /// A window of a backfill, a copy or a verification.
    Window,
    /// A step whose locks the application waits for.
    Locks,
    /// What reads or writes a whole table at once, though nobody waits for it: an index, a proof, statistics, a copy.
    Heavy,
    /// What is over at once and costs nobody anything: only what people ordered holds it.
    Small,
}

/// What holds a run back, shared by all its threads.
pub(crate) struct Valve {
    /// As the run began.
    base: Tuning,
    state: Mutex<State>,
    /// Something in the state changed.
    changed: Condvar,
    figures: Mutex<Figures>,
    /// The lease that the figures are written under; 0: they are not written.
    epoch: AtomicI64,
    /// Nobody else gives a sign of life.
    beats: AtomicBool,
    /// This process helps the run of another.
    helps: AtomicBool,
}

impl Valve {
    /// Returns a valve for a run that began with `tuning`. Nothing passes before its first look.
    pub(crate) fn new(tuning: Tuning) -> Self {
        let base = tuning.over(Tuning::defaults());
        let state = Mutex::new(State::new(base.clone()));
        let (changed, figures, epoch, beats, helps) = Default::default();
        Self { base, state, changed, figures, epoch, beats, helps }
    }

    /// Looks about once a second at what people ordered, at the hours and at every limit, more often where a limit may be
    /// reached before long, until [`Self::end`]: with a session of its own, made again when it is lost. What cannot be
    /// measured holds the work back.
    pub(crate) fn watch(&self, env: Env<'_>, id: &MigrationId) {
        std::thread::scope(|scope| {
            scope.spawn(|| self.watch_outside(env, id));
            let mut watch = Watch::new(self, env, id);
            watch.look(true);
            let mut second = false;
            while let Some(wanted) = self.until_next_look(if watch.is_close() { LOOK_SOON } else { LOOK }) {
                second = !second;
                watch.look(wanted || !second || watch.is_close());
            }
            watch.write_last();
        });
    }

    /// Ends [`Self::watch`] and lets nobody wait any longer.
    pub(crate) fn end(&self) {
        self.state().ended = true;
        self.changed.notify_all();
    }

    /// From now on nothing is held back: who takes a migration back wants out, whatever the load, the hour, or a pause.
    pub(crate) fn open(&self) {
        self.state().opened = true;
        self.changed.notify_all();
    }

    /// Returns when `work` may be done; the observer is told what is waited for, and again when that changes.
    ///
    /// # Errors
    /// [`RunError::Interrupted`].
    pub(crate) fn pass(&self, env: Env<'_>, work: Work) -> Result<(), RunError> {
        self.pass_while(env, work, || true)
    }

    /// As [`Self::pass`], but returns also when the work is not wanted any more.
    ///
    /// # Errors
    /// [`RunError::Interrupted`].
    pub(crate) fn pass_while(&self, env: Env<'_>, work: Work, is_wanted: impl Fn() -> bool) -> Result<(), RunError> {
        let mut state = self.state();
        if state.ended || state.reasons(work, env.clock.now()).is_empty() {
            return env.check_stop();
        }
        let began = env.clock.now();
        state.waits(work, began);
        loop {
            let now = env.clock.now();
            let (reasons, unseen) = (state.texts(work, now), state.is_unseen(now));
            let over = state.ended || state.led.is_abandoned(now) || env.run.stop.requested();
            if over || reasons.is_empty() || !is_wanted() {
                break;
            }
            if unseen {
                state.wanted = true;
                self.changed.notify_all();
            }
            let early = unseen && now.saturating_sub(began) < UNSEEN;
            if !early && state.is_news(&reasons) {
                drop(state);
                env.tell(&Progress::Throttled { reasons: &reasons });
                state = self.state();
            } else {
                state = self.wait(state, STOP);
            }
        }
        let told = state.goes_on(work, env.clock.now());
        drop(state);
        if told {
            env.tell(&Progress::Throttled { reasons: &[] });
        }
        env.check_stop()
    }

    /// Rests after a window that took so long, while a standby falls behind: see [`gauge`].
    ///
    /// # Errors
    /// [`RunError::Interrupted`].
    pub(crate) fn rest(&self, env: Env<'_>, took: Duration) -> Result<(), RunError> {
        let time = took.mul_f64(self.state().rest).min(REST_MAX);
        if time.is_zero() {
            return Ok(());
        }
        self.rests(1, env.clock.now());
        let rested = env.wait(time);
        self.rests(-1, env.clock.now());
        rested
    }

    fn rests(&self, more: i32, now: Duration) {
        let mut state = self.state();
        state.charge(now);
        state.resting = state.resting.saturating_add_signed(more);
    }

    /// A worker itself holds all of them back (`None`: not any more): it is counted and shown with the rest. That it begins or
    /// ends is written down at once, for those who help.
    pub(crate) fn waits_for(&self, what: Option<String>, now: Duration) {
        let mut state = self.state();
        state.charge(now);
        state.wanted |= what.is_some() != state.by_worker.is_some();
        state.by_worker = what.map(Reason::by_worker);
        drop(state);
        self.changed.notify_all();
    }

    /// From now on the run of another process is helped: what holds that one holds this one, too.
    pub(crate) fn helps(&self) {
        self.helps.store(true, Ordering::SeqCst);
    }

    /// Returns whether nobody runs the migration any more that is helped.
    pub(crate) fn is_abandoned(&self, now: Duration) -> bool {
        self.state().led.is_abandoned(now)
    }

    /// Returns what is in force now: as the run began, with what people ordered since, and the defaults for the rest.
    pub(crate) fn tuning(&self) -> Tuning {
        self.state().tuning.clone()
    }

    /// Returns whether nobody else is at work in the database: in two looks in a row nobody was.
    pub(crate) fn is_quiet(&self) -> bool {
        self.state().quiet_looks >= 2
    }

    /// Returns whether windows should be short: others are at work, or a standby falls behind.
    pub(crate) fn wants_short_windows(&self) -> bool {
        let is_quiet = self.is_quiet();
        !is_quiet || self.state().rest > 0.0
    }

    /// Returns how long each reason has held the run back so far: while somebody waited for it. The moment that the first
    /// look takes is none.
    pub(crate) fn held(&self) -> Vec<(String, Duration)> {
        let state = self.state();
        let noticed = state.held.iter().filter(|(_, time)| **time >= NOTICED);
        noticed.map(|(what, time)| ((*what).to_owned(), *time)).collect()
    }

    /// Returns the figures as they are now.
    fn report(&self, now: Duration) -> Report {
        let throttled = self.held().into_iter().map(|(what, time)| (what, time.as_secs_f64())).collect();
        let (holding, paused_by) = {
            let state = self.state();
            let by_worker = state.by_worker.iter().map(|reason| reason.text.clone());
            (state.texts(Work::Window, now).into_iter().chain(by_worker).collect(), state.paused_by.clone())
        };
        Report { holding, paused_by, throttled, ..self.figures().report(now) }
    }

    /// Lets the engine write down how far it is. Brief: the figures are locked meanwhile.
    pub(crate) fn note<T>(&self, write: impl FnOnce(&mut Figures) -> T) -> T {
        write(&mut self.figures())
    }

    /// From now on the figures are written into the journal, under this lease. Never said by who only joins a run.
    pub(crate) fn leads(&self, epoch: i64) {
        self.epoch.store(epoch, Ordering::SeqCst);
    }

    /// From now on there is a sign of life with each report: said by who has no control session.
    pub(crate) fn beats(&self) {
        self.beats.store(true, Ordering::SeqCst);
    }

    /// Waits for the next look, due in `time`; returns whether somebody wants it at once, and `None` at the end.
    fn until_next_look(&self, time: Duration) -> Option<bool> {
        let state = self.state();
        let idle = |state: &mut State| !state.ended && !state.wanted;
        let waited = self.changed.wait_timeout_while(state, time, idle);
        let (mut state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        (!state.ended).then(|| std::mem::take(&mut state.wanted))
    }

    fn wait<'s>(&self, state: MutexGuard<'s, State>, time: Duration) -> MutexGuard<'s, State> {
        self.changed.wait_timeout(state, time).unwrap_or_else(PoisonError::into_inner).0
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn figures(&self) -> MutexGuard<'_, Figures> {
        self.figures.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
