//! What came of a run, as it is reported.

use std::collections::BTreeMap;
use std::time::Duration;

use segue_execute::Outcome;
use segue_model::step::Phase;
use serde::Serialize;

use crate::args::Format;
use crate::failure::Failure;
use crate::operate::{back, complete, meaning, next};
use crate::progress::seconds;
use crate::report;
use crate::verified::{self, verified};

/// What held a run back for less is not worth a line, in seconds.
const NOTICED_S: f64 = 0.05;

/// What a command did, as JSON.
#[derive(Serialize)]
struct Report<'a> {
    migration: &'a str,
    state: &'static str,
    phases: Vec<PhaseReport>,
    rows_filled: u64,
    rows_per_s: Option<f64>,
    throttled: BTreeMap<&'a str, f64>,
    vacuums: u64,
    verified: Vec<verified::Table<'a>>,
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
pub(crate) fn show_all(all: &[Outcome], format: Format) -> Result<(), Failure> {
    match format {
        Format::Json => report::json(&all.iter().map(as_report).collect::<Vec<_>>()),
        Format::Text | Format::Sql => all.iter().try_for_each(|outcome| show(outcome, format)),
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
        rows_per_s: rate(outcome),
        throttled: throttled(outcome),
        vacuums: outcome.vacuums,
        verified: outcome.verified.as_ref().map(verified::tables).unwrap_or_default(),
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
        next: next_of(outcome),
        back: back(&outcome.migration, outcome.state, outcome.no_way_back),
    }
}

fn next_of(outcome: &Outcome) -> Option<String> {
    let id = &outcome.migration;
    if outcome.left_to_touches { Some(complete(id)) } else { next(id, outcome.state) }
}

fn as_text(outcome: &Outcome) -> String {
    let reached = match &outcome.difference {
        Some(_) => "rolled back; what differs from before is below",
        None => meaning(outcome.state, outcome.no_way_back),
    };
    let mut text = format!("{}: {reached}", outcome.migration);
    if !outcome.phases.is_empty() {
        text.push_str(&format!(
            " (in {}; longest lock held {}, waited {})",
            seconds(total(outcome)),
            seconds(outcome.longest_lock_held),
            seconds(outcome.longest_lock_wait)
        ));
    }
    text.push('\n');
    text.push_str(&moved(outcome));
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
    if let Some(next) = next_of(outcome) {
        text.push_str(&format!("  next:  {next}\n"));
    }
    if let Some(back) = back(&outcome.migration, outcome.state, outcome.no_way_back) {
        text.push_str(&format!("  back:  {back}\n"));
    }
    text
}

/// Returns what was moved and verified, how fast, and what held it back.
fn moved(outcome: &Outcome) -> String {
    let mut text = String::new();
    if outcome.rows_filled > 0 {
        let rate = rate(outcome).map(|rate| format!(", {rate:.0} rows/s")).unwrap_or_default();
        let vacuums = match outcome.vacuums {
            0 => String::new(),
            1 => ", dead rows cleared once".to_owned(),
            times => format!(", dead rows cleared {times} times"),
        };
        text.push_str(&format!("  moved: {} rows{rate}, {} retries{vacuums}\n", outcome.rows_filled, outcome.retries));
    }
    let throttled = throttled(outcome);
    if !throttled.is_empty() {
        let times = throttled.iter().map(|(reason, seconds)| format!("{reason} {seconds:.1} s"));
        text.push_str(&format!("  held back: {}\n", times.collect::<Vec<_>>().join(", ")));
    }
    if let Some(found) = &outcome.verified {
        text.extend(verified(found).lines().map(|line| format!("  verified: {line}\n")));
    }
    text
}

/// Returns how long each reason held the run back, in seconds.
fn throttled(outcome: &Outcome) -> BTreeMap<&str, f64> {
    let times = outcome.throttled.iter().map(|(reason, time)| (reason.as_str(), time.as_secs_f64()));
    times.filter(|(_, seconds)| *seconds >= NOTICED_S).collect()
}

/// Returns the rows that were brought over in a second of that phase, waits among it.
fn rate(outcome: &Outcome) -> Option<f64> {
    let took: Duration =
        outcome.phases.iter().filter(|(phase, _)| *phase == Phase::Backfill).map(|(_, took)| *took).sum();
    let seconds = took.as_secs_f64();
    #[expect(clippy::cast_precision_loss, reason = "a rate for people")]
    let rows = outcome.rows_filled as f64;
    (rows > 0.0 && seconds > 0.0).then(|| rows / seconds)
}

fn total(outcome: &Outcome) -> Duration {
    outcome.phases.iter().map(|(_, took)| *took).sum()
}
