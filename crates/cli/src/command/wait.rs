//! `segue wait`.

use std::time::Duration;

use segue_model::ident::MigrationId;
use segue_model::journal::{Mark, Record, State};
use segue_model::session::{Fail, FailKind};
use segue_model::step::Phase;
use serde::Serialize;

use super::plan::journalled;
use crate::args::{Format, To, Which};
use crate::choice;
use crate::config::Config;
use crate::database::Database;
use crate::duration::{in_words, of_option};
use crate::failure::Failure;
use crate::operate::next;
use crate::project::Project;
use crate::report;
use crate::waiter::Waiter;

/// Where something can still be waited for.
const UNFINISHED: [State; 5] = [State::Started, State::Expanded, State::Ready, State::Flipped, State::Contracted];

/// Nobody counts as running a migration when nobody did for so long: a run that lost its connection has another by then.
const ABANDONED: Duration = Duration::from_secs(3);

/// A server that cannot be reached for so long is not waited for any longer.
const UNREACHABLE: Duration = Duration::from_secs(60);

/// How often it is said what is waited for.
const LINE_EVERY: Duration = Duration::from_secs(30);

/// What was reached, as JSON.
#[derive(Serialize)]
struct Report<'a> {
    migration: &'a str,
    state: &'static str,
    waited_s: f64,
}

/// What one look showed.
enum Seen {
    /// It is there.
    Reached(State),
    /// It is on its way; what is waited for.
    Comes(String),
    /// Nobody brings it there.
    Abandoned(Failure),
    /// It went back.
    Never(Failure),
}

/// Waits until a migration is at a point.
pub(super) fn run(
    config: &Config,
    which: &Which,
    until: To,
    timeout: Option<&str>,
    format: Format,
) -> Result<(), Failure> {
    let limit = timeout.map(|text| of_option("--timeout", text)).transpose()?;
    let project = Project::open(&config.migrations)?;
    let mut database = Database::open(config)?;
    let records = database.records()?;
    let id = choice::in_state(which, &project, &records, &UNFINISHED)?;
    let mut wait = Wait { config, id: &id, until, waiter: Waiter::new()?, alone: None, unreachable: None, said: None };
    let state = wait.until_there(database, limit)?;
    let waited = wait.waiter.waited();
    match format {
        Format::Json => {
            report::json(&Report { migration: id.as_str(), state: state.name(), waited_s: waited.as_secs_f64() })
        }
        Format::Text | Format::Sql => {
            let next = next(&id, state).map(|next| format!("\n  next:  {next}")).unwrap_or_default();
            report::line(&format!("{id}: {} (after {}){next}", state.name(), in_words(waited.as_secs())));
            Ok(())
        }
    }
}

/// A wait under way. Times are since it began.
struct Wait<'a> {
    config: &'a Config,
    id: &'a MigrationId,
    until: To,
    waiter: Waiter,
    /// Since when nobody runs it.
    alone: Option<Duration>,
    /// Since when the server cannot be reached.
    unreachable: Option<Duration>,
    /// What was last said, and when.
    said: Option<(String, Duration)>,
}

impl Wait<'_> {
    fn until_there(&mut self, mut database: Database, limit: Option<Duration>) -> Result<State, Failure> {
        let mut last = String::new();
        loop {
            match look(&mut database, self.id, self.until) {
                Ok(Seen::Reached(state)) => return Ok(state),
                Ok(Seen::Never(failure)) => return Err(failure),
                Ok(Seen::Abandoned(failure)) => self.be_alone(failure)?,
                Ok(Seen::Comes(what)) => {
                    (self.alone, self.unreachable) = (None, None);
                    self.say(&what);
                    last = what;
                }
                Err(fail) if is_gone(&fail) => self.reach_again(&mut database, fail)?,
                Err(fail) => return Err(fail.into()),
            }
            if let Some(limit) = limit.filter(|limit| self.waiter.waited() >= *limit) {
                return Err(self.too_long(limit, &last));
            }
            self.waiter.pause(limit)?;
        }
    }

    /// Fails once nobody has been there for a while.
    fn be_alone(&mut self, failure: Failure) -> Result<(), Failure> {
        let now = self.waiter.waited();
        let since = *self.alone.get_or_insert(now);
        if now.saturating_sub(since) >= ABANDONED { Err(failure) } else { Ok(()) }
    }

    /// Connects anew, where the server answers.
    fn reach_again(&mut self, database: &mut Database, fail: Fail) -> Result<(), Failure> {
        let now = self.waiter.waited();
        let since = *self.unreachable.get_or_insert(now);
        if now.saturating_sub(since) >= UNREACHABLE {
            return Err(fail.into());
        }
        self.say(&format!("the server does not answer ({fail})"));
        if let Ok(again) = Database::open(self.config) {
            *database = again;
            self.unreachable = None;
        }
        Ok(())
    }

    /// Says what is waited for: when that changes, and now and then.
    fn say(&mut self, what: &str) {
        let now = self.waiter.waited();
        let is_said = self.said.as_ref().is_some_and(|(said, at)| said == what && now.saturating_sub(*at) < LINE_EVERY);
        if !is_said {
            report::progress(&format!("waiting: {what}"));
            self.said = Some((what.to_owned(), now));
        }
    }

    fn too_long(&self, limit: Duration, last: &str) -> Failure {
        let id = self.id;
        let point = point(self.until);
        let last = if last.is_empty() { "nothing was seen of it" } else { last };
        Failure::gate(format!("`{id}` is not {point} after {}: {last}", in_words(limit.as_secs())))
            .hint(format!("See what holds it: segue status {id}"))
    }
}

/// Looks where the migration is.
fn look(database: &mut Database, id: &MigrationId, until: To) -> Result<Seen, Fail> {
    let journal = database.connector.journal();
    let session = database.session.as_mut();
    let records = if journal.exists(session)? { journal.records(session)? } else { vec![] };
    let Some(record) = records.into_iter().find(|record| record.id == *id) else {
        return Ok(Seen::Abandoned(
            Failure::server(format!("`{id}` has not begun, and nobody is about to begin it"))
                .hint(format!("Type: segue apply {id}")),
        ));
    };
    if record.state == State::RollingBack {
        return Ok(Seen::Never(taken_back(&record)));
    }
    if is_there(database, &record, until)? {
        let behind = match until {
            To::Expand => vec![],
            To::Ready | To::Flip => database.session.lagging_standbys()?,
        };
        return Ok(match behind.as_slice() {
            [] => Seen::Reached(record.state),
            names => Seen::Comes(format!("standbys that have not replayed it: {}", names.join(", "))),
        });
    }
    let journal = database.connector.journal();
    let Some((holder, _)) = journal.holder(database.session.as_mut(), id)? else {
        return Ok(if record.state == State::RolledBack {
            Seen::Never(taken_back(&record))
        } else {
            Seen::Abandoned(abandoned(&record, until))
        });
    };
    let paused = journal.orders(database.session.as_mut(), id)?.paused_by;
    let paused = paused.map(|by| format!("; paused by {by}, go on with: segue resume {id}")).unwrap_or_default();
    Ok(Seen::Comes(format!("{} is bringing it to {}{paused}", holder.name, point(until))))
}

/// Returns whether the migration is at the point or past it. One that never stops at `expanded` passes it with the last step
/// of that phase.
fn is_there(database: &mut Database, record: &Record, until: To) -> Result<bool, Fail> {
    let wanted = match until {
        To::Expand => State::Expanded,
        To::Ready => State::Ready,
        To::Flip => State::Flipped,
    };
    if record.state != State::Started || until != To::Expand {
        return Ok(record.state >= wanted);
    }
    let Ok(plan) = journalled(record) else { return Ok(false) };
    let journal = database.connector.journal();
    let events = journal.events(database.session.as_mut(), &record.id, record.attempt)?;
    let is_done =
        |id: u32| events.iter().rev().find(|event| event.step == id).is_some_and(|event| event.mark == Mark::Done);
    Ok(plan.steps.iter().filter(|step| step.phase == Phase::Expand).all(|step| is_done(step.id)))
}

fn taken_back(record: &Record) -> Failure {
    let id = &record.id;
    let failure = Failure::refused(format!("`{id}` is {}", record.state.name().replace('_', " ")));
    match record.state {
        State::RollingBack => failure.hint(format!("Let that finish (segue rollback {id}), then: segue apply {id}")),
        _ => failure.hint(format!("Begin it anew: segue apply {id}")),
    }
}

fn abandoned(record: &Record, until: To) -> Failure {
    let (id, state) = (&record.id, record.state);
    Failure::server(format!("nobody is bringing `{id}` to {}: it is {} and nobody runs it", point(until), state.name()))
        .hint(next(id, state).map(|next| format!("Next: {next}")).unwrap_or_default())
}

fn point(until: To) -> &'static str {
    match until {
        To::Expand => "expanded",
        To::Ready => "ready",
        To::Flip => "flipped",
    }
}

/// Returns whether the connection is gone, or the server is.
fn is_gone(fail: &Fail) -> bool {
    matches!(fail.kind, FailKind::Lost | FailKind::Deadline | FailKind::Connect)
}
