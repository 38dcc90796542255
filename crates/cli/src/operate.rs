//! Running a plan for a command: lease holder, Ctrl-C, progress, and the report of what came of it.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use segue_execute::{Options, Outcome, Run, RunError, Stop, VerifyReport};
use segue_model::ident::MigrationId;
use segue_model::journal::State;
use segue_model::session::Connector;
use serde::Serialize;

use crate::args::Format;
use crate::config::Config;
use crate::failure::Failure;
use crate::progress::{Show, seconds};
use crate::report;

/// What runs of this process share: the wish to stop, what shows progress, and who we are.
pub(crate) struct Operator {
    /// Ctrl-C.
    pub(crate) stop: Arc<Stop>,
    show: Show,
    options: Options,
}

impl Operator {
    /// Returns the process's operator; from now on Ctrl-C stops its runs. One a process.
    ///
    /// # Errors
    /// Exit code 70 when the handler cannot be set.
    pub(crate) fn new(config: &Config) -> Result<Self, Failure> {
        let stop = Arc::new(Stop::new());
        let on_signal = Arc::clone(&stop);
        ctrlc::set_handler(move || on_signal.request())
            .map_err(|error| Failure::bug(format!("the handler for Ctrl-C cannot be set: {error}")))?;
        let options = Options { holder: holder(config), cool_down: config.cool_down, ..Options::default() };
        Ok(Self { stop, show: Show::new(), options })
    }

    /// Returns a run.
    pub(crate) fn run<'a>(&'a self, connector: &'a dyn Connector) -> Run<'a> {
        Run { connector, observer: &self.show, stop: &self.stop, options: self.options.clone() }
    }

    /// Prints a line that stays.
    pub(crate) fn say(&self, line: &str) {
        self.show.say(line);
    }

    /// Takes the live block away.
    pub(crate) fn finish(&self) {
        self.show.finish();
    }
}

/// Does `work` with a run that shows its progress and stops on Ctrl-C.
///
/// # Errors
/// What `work` failed with.
pub(crate) fn run<T>(
    connector: &dyn Connector,
    config: &Config,
    work: impl FnOnce(&Run<'_>) -> Result<T, Failure>,
) -> Result<T, Failure> {
    let operator = Operator::new(config)?;
    let result = work(&operator.run(connector));
    operator.finish();
    result
}

/// Returns who we are, for people: host, user and process.
fn holder(config: &Config) -> String {
    let host = std::fs::read_to_string("/etc/hostname").unwrap_or_default();
    let host = [host.trim(), "this host"].into_iter().find(|name| !name.is_empty()).unwrap_or_default();
    let user = config.environment.get("USER").or_else(|| config.environment.get("LOGNAME"));
    format!("{host} {} {}", user.map_or("-", String::as_str), std::process::id())
}

/// Returns a run's error as the user is told it.
pub(crate) fn failure(error: RunError) -> Failure {
    let code = error.exit_code();
    let mut message = error.to_string();
    let mut source = std::error::Error::source(&error);
    while let Some(cause) = source {
        message = format!("{message}: {cause}");
        source = cause.source();
    }
    let report = match &error {
        RunError::Changed { diff, .. } | RunError::Drift { diff, .. } => Some(diff.clone()),
        RunError::Verification { report, .. } => Some(verified(report)),
        _ => None,
    };
    let failure = Failure::of_run(code, message).hint(error.hint());
    match report {
        Some(report) => failure.report(report),
        None => failure,
    }
}

/// Returns what a verification found, a line a table.
pub(crate) fn verified(report: &VerifyReport) -> String {
    let mut text = String::new();
    for table in &report.tables {
        text.push_str(&format!("{}: {} rows", table.table, table.rows));
        text.push_str(&format!(", {} unrelated, {} absent", table.unrelated, table.absent));
        if table.repaired > 0 {
            text.push_str(&format!(", {} repaired before", table.repaired));
        }
        text.push('\n');
        for key in &table.samples {
            text.push_str(&format!("  wrong: {}\n", key.escape_debug()));
        }
    }
    text
}

/// What a command did, as JSON.
#[derive(Serialize)]
struct Report<'a> {
    migration: &'a str,
    state: &'static str,
    phases: Vec<PhaseReport>,
    rows_filled: u64,
    longest_lock_wait_ms: u128,
    longest_lock_held_ms: u128,
    retries: u64,
    reconnects: u32,
    took_over: Option<&'a str>,
    ended_backends: Vec<i64>,
    kept: Vec<String>,
    lost: &'a [String],
    difference: Option<&'a str>,
    notes: &'a [String],
    next: Option<String>,
    back: Option<String>,
}

#[derive(Serialize)]
struct PhaseReport {
    phase: String,
    seconds: f64,
}

/// Prints what came of a run.
///
/// # Errors
/// Exit code 70 when the report cannot be written as JSON.
pub(crate) fn show(outcome: &Outcome, format: Format) -> Result<(), Failure> {
    match format {
        Format::Json => report::json(&as_report(outcome)),
        Format::Text | Format::Sql => {
            report::line(&as_text(outcome));
            Ok(())
        }
    }
}

/// Prints what came of several runs: one report, or a JSON array of them.
///
/// # Errors
/// Exit code 70 when the report cannot be written as JSON.
pub(crate) fn show_all(outcomes: &[Outcome], format: Format) -> Result<(), Failure> {
    match format {
        Format::Json => report::json(&outcomes.iter().map(as_report).collect::<Vec<_>>()),
        Format::Text | Format::Sql => outcomes.iter().try_for_each(|outcome| show(outcome, format)),
    }
}

fn as_report(outcome: &Outcome) -> Report<'_> {
    let phases = outcome.phases.iter();
    Report {
        migration: outcome.migration.as_str(),
        state: outcome.state.name(),
        phases: phases
            .map(|(phase, took)| PhaseReport { phase: phase.to_string(), seconds: took.as_secs_f64() })
            .collect(),
        rows_filled: outcome.rows_filled,
        longest_lock_wait_ms: outcome.longest_lock_wait.as_millis(),
        longest_lock_held_ms: outcome.longest_lock_held.as_millis(),
        retries: outcome.retries,
        reconnects: outcome.reconnects,
        took_over: outcome.took_over.as_ref().map(|holder| holder.name.as_str()),
        ended_backends: outcome.leftovers.iter().filter(|l| l.ended).map(|l| l.pid).collect(),
        kept: outcome.kept.iter().map(ToString::to_string).collect(),
        lost: &outcome.lost,
        difference: outcome.difference.as_deref(),
        notes: &outcome.notes,
        next: next(&outcome.migration, outcome.state),
        back: back(&outcome.migration, outcome.state),
    }
}

fn as_text(outcome: &Outcome) -> String {
    let total: Duration = outcome.phases.iter().map(|(_, took)| *took).sum();
    let reached = match &outcome.difference {
        Some(_) => "rolled back; what differs from before is below",
        None => meaning(outcome.state),
    };
    let mut text = format!("{}: {reached}", outcome.migration);
    if !outcome.phases.is_empty() {
        text.push_str(&format!(
            " (in {}; longest lock held {}, waited {})",
            seconds(total),
            seconds(outcome.longest_lock_held),
            seconds(outcome.longest_lock_wait)
        ));
    }
    text.push('\n');
    for kept in &outcome.kept {
        text.push_str(&format!(
            "  kept:  a copy of what was dropped is in {kept}; drop it by hand when nobody needs it\n"
        ));
    }
    for lost in &outcome.lost {
        text.push_str(&format!("  lost:  {lost}\n"));
    }
    for note in &outcome.notes {
        text.push_str(&format!("  note:  {note}\n"));
    }
    if let Some(difference) = &outcome.difference {
        text.push_str(&format!("  differs from before:\n{difference}\n"));
    }
    if let Some(next) = next(&outcome.migration, outcome.state) {
        text.push_str(&format!("  next:  {next}\n"));
    }
    if let Some(back) = back(&outcome.migration, outcome.state) {
        text.push_str(&format!("  back:  {back}\n"));
    }
    text
}

/// Returns what a state means, in a user's words.
pub(crate) fn meaning(state: State) -> &'static str {
    match state {
        State::RolledBack => "rolled back; everything is as before",
        State::RollingBack => "rolling back; not finished",
        State::Started => "started; not finished",
        State::Expanded => "expanded; the new shape is there, empty",
        State::Ready => "ready; both shapes are right and verified, the new version may be deployed",
        State::Flipped => "flipped; the new shape is the truth, the old one is kept right",
        State::Contracted => "contracted; the old shape is hidden, still kept right",
        State::Done => "done",
    }
}

/// Returns what is to be typed next.
pub(crate) fn next(id: &MigrationId, state: State) -> Option<String> {
    Some(match state {
        State::RolledBack | State::Done => return None,
        State::RollingBack => format!("segue rollback {id}"),
        State::Started | State::Expanded => format!("segue apply {id}"),
        State::Ready => format!("deploy the new version beside the old one, then: segue flip {id}"),
        State::Flipped => format!("stop the old version, then: segue contract {id} --old-version-stopped"),
        State::Contracted => format!("segue cleanup {id} --yes --i-checked-references"),
    })
}

/// Returns how a migration is taken back from where it is.
pub(crate) fn back(id: &MigrationId, state: State) -> Option<String> {
    Some(match state {
        State::RolledBack | State::RollingBack => return None,
        State::Started | State::Expanded => format!("segue rollback {id}"),
        State::Ready | State::Flipped | State::Contracted => {
            format!("stop the new version, then: segue rollback {id} --new-version-stopped")
        }
        State::Done if id.reverses().is_some() => return None,
        State::Done => format!("segue down {id}"),
    })
}

/// Returns the text of a file as the user named it.
///
/// # Errors
/// Exit code 2.
pub(crate) fn read_text(path: &Path) -> Result<String, Failure> {
    std::fs::read_to_string(path)
        .map_err(|error| Failure::usage(format!("`{}` cannot be read: {error}", path.display())))
}
