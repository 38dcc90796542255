//! What is shown on standard error while a run goes on: a live block on a terminal, else a line now and then.

use std::io::{IsTerminal, Write};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use segue_execute::{Observer, Progress};
use segue_model::session::Blocker;

/// How often a run without a terminal reports on a step that goes on.
const LINE_EVERY: Duration = Duration::from_secs(30);

/// A wait that begins again so soon after another is not reported anew.
const A_WHILE: Duration = Duration::from_secs(2);

/// The live block is redrawn this many times a second at most.
const REDRAWS_PER_S: u8 = 8;

/// Shows a run's progress.
pub(crate) struct Show {
    bar: ProgressBar,
    live: bool,
    pace: Mutex<Pace>,
}

/// How fast the step under way is.
struct Pace {
    step: u32,
    pass: u32,
    began: Instant,
    said: Instant,
    rows: u64,
    /// When a wait was last reported on.
    waited: Option<Instant>,
    /// What holds the run back, as it was last reported, and when.
    held: Option<(String, Instant)>,
}

impl Pace {
    fn new(now: Instant) -> Self {
        Self { step: 0, pass: 0, began: now, said: now, rows: 0, waited: None, held: None }
    }
}

impl Show {
    /// Returns what shows progress on standard error.
    pub(crate) fn new() -> Self {
        let live = std::io::stderr().is_terminal();
        let target =
            if live { ProgressDrawTarget::stderr_with_hz(REDRAWS_PER_S) } else { ProgressDrawTarget::hidden() };
        let bar = ProgressBar::with_draw_target(None, target);
        let style =
            ProgressStyle::with_template("{prefix:.bold} {msg}").unwrap_or_else(|_| ProgressStyle::default_bar());
        bar.set_style(style);
        let now = Instant::now();
        Self { bar, live, pace: Mutex::new(Pace::new(now)) }
    }

    /// Takes the live block away; what was printed stays.
    pub(crate) fn finish(&self) {
        self.bar.finish_and_clear();
    }

    /// Prints a line that stays.
    pub(crate) fn say(&self, line: &str) {
        if self.live {
            self.bar.println(line);
        } else {
            let _ = writeln!(std::io::stderr().lock(), "{line}");
        }
    }

    /// Shows what is waited for: at once on a terminal, else when a wait begins and then now and then.
    fn waiting(&self, text: String, begins: bool) {
        let mut pace = self.pace.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        let due = pace.waited.is_none_or(|said| now.duration_since(said) >= if begins { A_WHILE } else { LINE_EVERY });
        if due {
            pace.waited = Some(now);
        }
        drop(pace);
        self.bar.set_message(text.clone());
        if due && !self.live {
            self.say(&format!("  {text}"));
        }
    }

    /// Shows what holds the run back: on a terminal as it is, else when a reason comes or goes, and now and then.
    fn throttled(&self, reasons: &[String]) {
        let now = Instant::now();
        let text = reasons.join("; ");
        let kinds: String = reasons.iter().map(|reason| kind(reason)).collect::<Vec<_>>().join("; ");
        let mut pace = self.pace.lock().unwrap_or_else(PoisonError::into_inner);
        let was = pace.held.as_ref().map(|(kinds, said)| (kinds.as_str(), *said));
        let due = was.is_none_or(|(known, said)| known != kinds || now.duration_since(said) >= LINE_EVERY);
        let was_held = was.is_some();
        if reasons.is_empty() {
            pace.held = None;
        } else if due {
            pace.held = Some((kinds, now));
        }
        drop(pace);
        let line = if reasons.is_empty() { "goes on".to_owned() } else { format!("held back: {text}") };
        self.bar.set_message(line.clone());
        if !self.live && if reasons.is_empty() { was_held } else { due } {
            self.say(&format!("  {line}"));
        }
    }

    fn window(&self, at: &WindowSeen<'_>) {
        let mut pace = self.pace.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        if (pace.step, pace.pass) != (at.step, at.pass) {
            let (waited, held) = (pace.waited, pace.held.take());
            *pace = Pace { step: at.step, pass: at.pass, waited, held, ..Pace::new(now) };
        }
        pace.rows += at.rows;
        let text = at.text(&pace, now);
        if self.live {
            self.bar.set_message(text);
        } else if now.duration_since(pace.said) >= LINE_EVERY {
            pace.said = now;
            drop(pace);
            self.say(&format!("  step {}: {text}", at.step));
        }
    }
}

/// One window as it is shown.
struct WindowSeen<'a> {
    step: u32,
    pass: u32,
    done: u64,
    total: u64,
    unit: &'a str,
    rows: u64,
}

impl WindowSeen<'_> {
    /// Returns how far the step is, how fast, and how long it will take; no estimate before one percent is done.
    fn text(&self, pace: &Pace, now: Instant) -> String {
        let elapsed = now.duration_since(pace.began).as_secs_f64();
        #[expect(clippy::cast_precision_loss, reason = "a share and a rate for people")]
        let (share, rate) = (self.done as f64 / self.total.max(1) as f64, pace.rows as f64 / elapsed.max(0.001));
        let eta = if share >= 0.01 && elapsed > 0.2 {
            format!(", {:.0} s to go", elapsed / share * (1.0 - share).max(0.0))
        } else {
            String::new()
        };
        let sweep = if self.pass > 1 { format!("sweep {}: ", self.pass - 1) } else { String::new() };
        format!("{sweep}{}/{} {} ({:.1} %), {rate:.0} rows/s{eta}", self.done, self.total, self.unit, share * 100.0)
    }
}

impl Observer for Show {
    fn on(&self, progress: &Progress<'_>) {
        match progress {
            Progress::PhaseBegins { phase } => self.say(&format!("{phase}")),
            Progress::StepBegins { step } => {
                self.bar.set_prefix(format!("{} {}", step.phase, step.id));
                self.bar.set_message(step.title.clone());
            }
            Progress::StepDone { step, took } => {
                self.say(&format!("  ✓ {}. {} ({})", step.id, step.title, seconds(*took)));
            }
            Progress::UndoBegins { step } => {
                self.bar.set_prefix(format!("undo {}", step.id));
                self.bar.set_message(step.title.clone());
            }
            Progress::Undone { step } => self.say(&format!("  ↩ {}. {}", step.id, step.title)),
            Progress::Window { step, pass, done, total, unit, rows, .. } => {
                let (step, pass, done, total, rows) = (*step, *pass, *done, *total, *rows);
                self.window(&WindowSeen { step, pass, done, total, unit, rows });
            }
            Progress::LockTry { step, try_no, blockers } => {
                let text = format!("step {step}: waiting for its lock, try {try_no}{}", in_the_way(blockers));
                self.waiting(text, *try_no == 1);
            }
            Progress::Waiting { what } => {
                self.waiting(format!("waiting: {what}"), false);
            }
            Progress::Throttled { reasons } => self.throttled(reasons),
            Progress::Reconnecting { because } => self.say(&format!("  connection lost ({because}); connecting again")),
            Progress::TookOver { from } => self.say(&format!("  took over from {}, whose run has ended", from.name)),
            Progress::LeftoverEnded { leftover } => self.say(&format!(
                "  {} backend {} that the earlier run left behind: {}",
                if leftover.ended { "ended" } else { "waiting for" },
                leftover.pid,
                leftover.query
            )),
            Progress::Verified { report } => {
                let rows: u64 = report.tables.iter().map(|table| table.rows).sum();
                self.say(&format!("  verified {rows} rows: {} wrong", report.wrong()));
            }
            Progress::Note { text } => self.say(&format!("  {text}")),
        }
    }
}

/// Returns a reason without its figures, which change all the time.
pub(crate) fn kind(reason: &str) -> &str {
    reason.split(|c: char| c.is_ascii_digit()).next().unwrap_or(reason)
}

fn in_the_way(blockers: &[Blocker]) -> String {
    let Some(oldest) = blockers.iter().max_by_key(|b| b.age) else { return String::new() };
    format!(
        "; in the way: pid {} ({}, {}), open for {}: {}",
        oldest.pid,
        oldest.user,
        oldest.application,
        seconds(oldest.age),
        oldest.query
    )
}

/// Returns a duration as people read it.
pub(crate) fn seconds(time: Duration) -> String {
    if time < Duration::from_secs(1) {
        format!("{} ms", time.as_millis())
    } else {
        format!("{:.1} s", time.as_secs_f64())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_no_estimate_before_one_percent() {
        let began = Instant::now();
        let pace = Pace { step: 1, pass: 1, rows: 500, ..Pace::new(began) };
        let seen = |done| WindowSeen { step: 1, pass: 1, done, total: 1_000, unit: "pages", rows: 0 };
        let now = began + Duration::from_secs(10);
        assert_eq!(seen(5).text(&pace, now), "5/1000 pages (0.5 %), 50 rows/s");
        assert_eq!(seen(100).text(&pace, now), "100/1000 pages (10.0 %), 50 rows/s, 90 s to go");
    }
}
