//! Looking at the database.

use std::sync::atomic::Ordering;
use std::time::Duration;

use segue_model::ident::MigrationId;
use segue_model::journal::Orders;
use segue_model::pressure::{Reading, Signal};
use segue_model::session::{Begin, Fail, Session};
use segue_model::tuning::{Hours, Tuning};

use super::Valve;
use super::gauge::{Gauges, signals};
use super::led::Led;
use super::reason::Reason;
use crate::running::{Env, JOURNAL_WAIT};
use crate::window::first_number;

/// A look that only met a lock may be repeated for so long before it counts as failed.
const PATIENCE: Duration = Duration::from_secs(3);

/// Failures in a row that a server may answer with before its connection is made anew.
const FAILURES_MAX: u32 = 2;

/// How long the write of figures waits for a lock, which keeps nobody from getting it: about as long as a window.
const BRIEFLY: Duration = Duration::from_millis(50);

/// The least time between two writes of figures: about a second.
const NOT_OFTEN: Duration = Duration::from_millis(900);

/// The same where writers are kept out meanwhile.
const GENTLY: Duration = Duration::from_secs(2);

/// The time between two looks at the sizes of tables.
const SIZES: Duration = Duration::from_secs(5);

/// The longest that a table's size may take to tell.
const SIZE: Duration = Duration::from_secs(5);

/// The thread that looks.
pub(super) struct Watch<'a> {
    valve: &'a Valve,
    env: Env<'a>,
    id: &'a MigrationId,
    session: Option<Box<dyn Session>>,
    failures: u32,
    gauges: Gauges,
    is_close: bool,
    wrote: Option<Duration>,
    /// Whether anything held the run back, and who paused it, as it was written last.
    wrote_held: (bool, Option<String>),
    sized: Option<Duration>,
}

impl<'a> Watch<'a> {
    /// Returns a watch that has not seen anything.
    pub(super) fn new(valve: &'a Valve, env: Env<'a>, id: &'a MigrationId) -> Self {
        let (wrote_held, gauges) = Default::default();
        let (session, is_close, wrote, sized) = Default::default();
        Self { valve, env, id, session, failures: 0, gauges, is_close, wrote, wrote_held, sized }
    }

    /// Returns whether a limit may be reached before long.
    pub(super) fn is_close(&self) -> bool {
        self.is_close
    }

    /// Looks at what people ordered; with `measure`, at everything.
    pub(super) fn look(&mut self, measure: bool) {
        let result = self.connected().and_then(|mut session| {
            let result = self.look_with(&mut *session, measure);
            let gone = result.as_ref().is_err_and(Fail::outcome_unknown);
            self.session = (!gone).then_some(session);
            result
        });
        match result {
            Ok(()) => self.failures = 0,
            Err(fail) => self.failed(&fail),
        }
        self.valve.changed.notify_all();
    }

    fn connected(&mut self) -> Result<Box<dyn Session>, Fail> {
        match self.session.take() {
            Some(session) => Ok(session),
            None => self.env.connect(self.id, "watch"),
        }
    }

    fn look_with(&mut self, session: &mut dyn Session, measure: bool) -> Result<(), Fail> {
        let orders = self.env.journal().orders(session, self.id)?;
        if self.valve.helps.load(Ordering::SeqCst) {
            self.look_at_run(session)?;
        }
        let tuning = orders.tuning.clone().over(self.valve.base.clone());
        // A look that failed is only mended by one at everything.
        let measure = measure || self.failures > 0;
        if !measure && self.heed(&orders, &tuning) {
            return Ok(());
        }
        self.measure(session, &orders, tuning)
    }

    /// Looks how the run stands that is helped.
    fn look_at_run(&self, session: &mut dyn Session) -> Result<(), Fail> {
        let seen = Led::look(self.env.journal(), session, self.id, self.env.clock.now())?;
        let now = self.env.clock.now();
        let mut state = self.valve.state();
        state.charge(now);
        state.led.becomes(seen);
        Ok(())
    }

    /// Takes over what people ordered; returns whether nothing else needs to be looked at for it.
    fn heed(&mut self, orders: &Orders, tuning: &Tuning) -> bool {
        let mut state = self.valve.state();
        let same = state.tuning == *tuning && state.paused_by == orders.paused_by;
        if same {
            // Only what was measured has an age.
            return true;
        }
        if let Some(by) = &orders.paused_by {
            let now = self.env.clock.now();
            let mut inside = state.inside.clone();
            inside.retain(|reason| reason.what != "paused");
            inside.push(Reason::paused(by, self.id));
            state.saw(inside, now);
        }
        false
    }

    fn measure(&mut self, session: &mut dyn Session, orders: &Orders, tuning: Tuning) -> Result<(), Fail> {
        // The growth of WAL is shown also where it has no limit.
        let mut signals = signals(&tuning.limits);
        signals.insert(Signal::WalBytes);
        let signals: Vec<Signal> = signals.into_iter().collect();
        let readings = session.pressure(&signals)?;
        let others = session.others_at_work()?;
        let now_s = session.seconds_now()?;
        let now = self.env.clock.now();
        let mut reasons: Vec<Reason> = orders.paused_by.iter().map(|by| Reason::paused(by, self.id)).collect();
        reasons.extend(Reason::hours(tuning.only.unwrap_or(Hours::ALWAYS), now_s));
        let judged = self.gauges.judge(&tuning.limits, &readings, now);
        reasons.extend(judged.reasons);
        self.is_close = judged.is_close;
        let mut state = self.valve.state();
        state.tuning = tuning;
        state.paused_by.clone_from(&orders.paused_by);
        state.quiet_looks = if others { 0 } else { state.quiet_looks.saturating_add(1) };
        state.saw(reasons, now);
        state.rest = judged.rest;
        drop(state);
        self.valve.changed.notify_all();
        self.valve.note(|figures| figures.measured(now_s, wal(&readings)));
        self.size(session, now)?;
        self.write(session, now, BRIEFLY)
    }

    /// What cannot be seen holds the run back, except where the look only met a lock.
    fn failed(&mut self, fail: &Fail) {
        self.failures += 1;
        if self.failures >= FAILURES_MAX {
            self.session = None;
        }
        let now = self.env.clock.now();
        let mut state = self.valve.state();
        let fresh = state.looked.is_some_and(|looked| now.saturating_sub(looked) < PATIENCE);
        state.quiet_looks = 0;
        if !(fail.is_transient() && fresh) {
            state.saw(vec![Reason::unmeasured(&fail.message)], now);
        }
    }

    /// Looks how large the tables are that are worked on. Not worth a failure, but for a lost connection.
    fn size(&mut self, session: &mut dyn Session, now: Duration) -> Result<(), Fail> {
        if self.sized.is_some_and(|sized| now.saturating_sub(sized) < SIZES) {
            return Ok(());
        }
        for (table, sql) in self.valve.note(|figures| figures.sized_by().to_vec()) {
            self.sized = Some(now);
            match session.query(sql.as_str(), &[], SIZE) {
                Ok(rows) => {
                    let bytes = first_number(&rows).and_then(|bytes| u64::try_from(bytes).ok());
                    self.valve.note(|figures| figures.is_large(table, bytes));
                }
                Err(fail) if fail.outcome_unknown() => return Err(fail),
                Err(_) => {}
            }
        }
        Ok(())
    }

    /// Writes the last figures.
    pub(super) fn write_last(&mut self) {
        self.wrote = None;
        let now = self.env.clock.now();
        self.valve.state().charge(now);
        // Nothing depends on them, and the run is over.
        let _ = self.connected().and_then(|mut session| self.write(&mut *session, now, JOURNAL_WAIT));
    }

    /// Writes the figures under the lease. Not worth a failure, but for a lost connection.
    fn write(&mut self, session: &mut dyn Session, now: Duration, lock_wait: Duration) -> Result<(), Fail> {
        let epoch = self.valve.epoch.load(Ordering::SeqCst);
        let pause = if self.valve.note(|figures| figures.is_gentle()) { GENTLY } else { NOT_OFTEN };
        let report = self.valve.report(now);
        let held = (!report.holding.is_empty(), report.paused_by.clone());
        let due = self.wrote.is_none_or(|wrote| now.saturating_sub(wrote) >= pause);
        // Whoever ordered something looks for what came of it.
        if epoch == 0 || !(due || held != self.wrote_held) {
            return Ok(());
        }
        let report = report.to_json();
        let journal = self.env.journal();
        // Neither a disk nor a synchronous standby that has fallen behind is waited for: the next look must not be late.
        let written = session.begin(Begin::Window { lock_wait }).and_then(|()| {
            // It knows by itself that a newer lease's figures are not replaced.
            journal.set_report(session, self.id, epoch, &report)?;
            if self.valve.beats.load(Ordering::SeqCst) {
                journal.beat(session, self.id, epoch)?;
            }
            session.commit()
        });
        session.rollback();
        if written.is_ok() {
            (self.wrote, self.wrote_held) = (Some(now), held);
        }
        written.or_else(|fail| if fail.outcome_unknown() { Err(fail) } else { Ok(()) })
    }
}

fn wal(readings: &[(Signal, Reading)]) -> Option<f64> {
    readings.iter().find_map(|(signal, reading)| match reading {
        Reading::Value(value) if *signal == Signal::WalBytes => Some(*value),
        _ => None,
    })
}
