//! What the watch saw, and who waits for it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use segue_model::tuning::Tuning;

use super::Work;
use super::led::Led;
use super::outside::Seen;
use super::reason::{LAG, Reason};

/// What was not looked at for this long counts as not seen: the look itself hangs.
const STALE: Duration = Duration::from_secs(10);

/// What the watch saw, and who waits for it.
pub(super) struct State {
    /// The run is over.
    pub(super) ended: bool,
    /// Nothing holds it back any more: it goes back.
    pub(super) opened: bool,
    /// Somebody wants the next look at once.
    pub(super) wanted: bool,
    /// What is in force.
    pub(super) tuning: Tuning,
    /// Who paused the run.
    pub(super) paused_by: Option<String>,
    /// Looks in a row in which nobody else was at work.
    pub(super) quiet_looks: u32,
    /// What holds the run back by the database.
    pub(super) inside: Vec<Reason>,
    /// How long is rested after a window, in times of what it took: a standby falls behind.
    pub(super) rest: f64,
    /// How many threads rest for that.
    pub(super) resting: u32,
    /// How the run stands that this process helps.
    pub(super) led: Led,
    /// When the database was looked at.
    pub(super) looked: Option<Duration>,
    /// What was seen of what the user named outside of the database.
    pub(super) outside: Option<Seen>,
    /// What a worker holds all of them back for.
    pub(super) by_worker: Option<Reason>,
    /// How long each reason held somebody back.
    pub(super) held: BTreeMap<&'static str, Duration>,
    /// What threads wait to do.
    waiting: Vec<Work>,
    /// Until when the time of those who wait is in `held`.
    charged: Duration,
    /// What the observer was told last.
    told: Vec<String>,
}

impl State {
    /// Returns the state before anything was seen.
    pub(super) fn new(tuning: Tuning) -> Self {
        Self {
            ended: false,
            opened: false,
            wanted: false,
            tuning,
            paused_by: None,
            quiet_looks: 0,
            inside: Vec::new(),
            rest: 0.0,
            resting: 0,
            led: Led::default(),
            looked: None,
            outside: None,
            by_worker: None,
            held: BTreeMap::new(),
            waiting: Vec::new(),
            charged: Duration::ZERO,
            told: Vec::new(),
        }
    }

    /// Returns what holds this work back.
    pub(super) fn reasons(&self, work: Work, now: Duration) -> Vec<Reason> {
        if self.opened {
            return Vec::new();
        }
        if self.is_unseen(now) {
            return vec![Reason::unseen()];
        }
        let outside = Seen::reasons(self.outside.as_ref(), &self.tuning.limits, now);
        let own: Vec<Reason> = self.inside.iter().cloned().chain(outside).collect();
        // An order holds both, and is told once.
        let led = self.led.reasons().filter(|(text, _)| own.iter().all(|reason| reason.text != *text));
        let led: Vec<Reason> = led.map(|(_, reason)| reason).collect();
        own.into_iter().chain(led).filter(|reason| reason.holds(work)).collect()
    }

    /// Returns that as texts.
    pub(super) fn texts(&self, work: Work, now: Duration) -> Vec<String> {
        self.reasons(work, now).into_iter().map(|reason| reason.text).collect()
    }

    /// Returns whether nothing was seen yet, or not for a while.
    pub(super) fn is_unseen(&self, now: Duration) -> bool {
        self.looked.is_none_or(|looked| now.saturating_sub(looked) > STALE)
    }

    /// Notes what was seen inside the database.
    pub(super) fn saw(&mut self, inside: Vec<Reason>, now: Duration) {
        self.charge(now);
        self.inside = inside;
        self.looked = Some(now);
    }

    /// Adds the time since it was last added to each reason that holds somebody back.
    pub(super) fn charge(&mut self, now: Duration) {
        let time = now.saturating_sub(self.charged);
        let hold = |reason: &Reason| self.waiting.iter().any(|work| reason.holds(*work));
        let mut whats: BTreeSet<&'static str> = if self.waiting.is_empty() {
            BTreeSet::new()
        } else {
            self.reasons(Work::Window, now).iter().filter(|reason| hold(reason)).map(|reason| reason.what).collect()
        };
        whats.extend((self.resting > 0).then_some(LAG));
        whats.extend(self.by_worker.as_ref().map(|reason| reason.what));
        for what in whats {
            *self.held.entry(what).or_default() += time;
        }
        self.charged = now;
    }

    /// One more thread waits.
    pub(super) fn waits(&mut self, work: Work, now: Duration) {
        self.charge(now);
        self.waiting.push(work);
    }

    /// Returns whether a thread waits.
    #[cfg(test)]
    pub(super) fn has_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// A thread goes on; returns whether it was the last one and the observer is to be told.
    pub(super) fn goes_on(&mut self, work: Work, now: Duration) -> bool {
        self.charge(now);
        if let Some(at) = self.waiting.iter().position(|waits| *waits == work) {
            self.waiting.swap_remove(at);
        }
        self.waiting.is_empty() && !std::mem::take(&mut self.told).is_empty()
    }

    /// Returns whether the observer does not know these reasons yet, and notes that it does now.
    pub(super) fn is_news(&mut self, reasons: &[String]) -> bool {
        let news = self.told != reasons;
        if news {
            self.told = reasons.to_vec();
        }
        news
    }
}
