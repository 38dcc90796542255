//! What the user named that is to be asked: a query, a file, an address.

use std::path::Path;
use std::sync::PoisonError;
use std::time::Duration;

use segue_model::ident::MigrationId;
use segue_model::session::{Begin, Fail, Session};
use segue_model::tuning::Limits;
use segue_model::value::Value;

use super::Valve;
use super::reason::Reason;
use super::state::State;
use crate::running::Env;

/// The time between two looks.
const LOOK: Duration = Duration::from_secs(1);

/// The longest that the user's query may take.
const QUERY: Duration = Duration::from_secs(5);

/// An answer older than this counts as none: who is asked hangs.
const STALE: Duration = Duration::from_secs(15);

/// What is asked.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Asked {
    query: Option<String>,
    file: Option<String>,
    http: Option<String>,
}

impl Asked {
    fn by(limits: &Limits) -> Self {
        let set = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
        Self { query: set(&limits.query), file: set(&limits.file), http: set(&limits.http) }
    }
}

/// What was seen.
#[derive(Debug)]
pub(super) struct Seen {
    asked: Asked,
    reasons: Vec<Reason>,
    at: Duration,
}

impl Seen {
    /// Returns what holds a run back, given what was seen last. What was not asked yet holds it back.
    pub(super) fn reasons(seen: Option<&Self>, limits: &Limits, now: Duration) -> Vec<Reason> {
        let asked = Asked::by(limits);
        if asked == Asked::default() {
            return Vec::new();
        }
        match seen.filter(|seen| seen.asked == asked) {
            Some(seen) if now.saturating_sub(seen.at) <= STALE => seen.reasons.clone(),
            Some(_) => vec![held("outside check", format!("no answer for {} s", STALE.as_secs()))],
            None => vec![held("outside check", "not asked yet".to_owned())],
        }
    }
}

impl Valve {
    /// Asks once a second, and at once when something else is to be asked, until the end.
    pub(super) fn watch_outside(&self, env: Env<'_>, id: &MigrationId) {
        let mut asking = Asking { env, id, session: None };
        let asks_the_same = |state: &mut State| {
            let asked = Asked::by(&state.tuning.limits);
            let same = state.outside.as_ref().is_some_and(|seen| seen.asked == asked);
            !state.ended && (same || asked == Asked::default())
        };
        loop {
            let waited = self.changed.wait_timeout_while(self.state(), LOOK, asks_the_same);
            let (state, _) = waited.unwrap_or_else(PoisonError::into_inner);
            if state.ended {
                return;
            }
            let asked = Asked::by(&state.tuning.limits);
            drop(state);
            self.look_outside(&mut asking, asked);
        }
    }

    /// Asks once.
    pub(super) fn look_outside(&self, asking: &mut Asking<'_>, asked: Asked) {
        let reasons = asking.reasons(&asked);
        let now = asking.env.clock.now();
        let mut state = self.state();
        state.charge(now);
        state.outside = Some(Seen { asked, reasons, at: now });
        drop(state);
        self.changed.notify_all();
    }

    /// Asks once what is in force.
    #[cfg(test)]
    pub(super) fn look_outside_now(&self, env: Env<'_>, id: &MigrationId) {
        let asked = Asked::by(&self.tuning().limits);
        self.look_outside(&mut Asking { env, id, session: None }, asked);
    }
}

/// Who asks: with a session of its own, so that a slow query keeps no order from being seen.
pub(super) struct Asking<'a> {
    env: Env<'a>,
    id: &'a MigrationId,
    session: Option<Box<dyn Session>>,
}

impl Asking<'_> {
    fn reasons(&mut self, asked: &Asked) -> Vec<Reason> {
        let query = match &asked.query {
            Some(query) => self.query(query),
            None => {
                self.session = None;
                None
            }
        };
        let file = asked.file.as_deref().and_then(file);
        let http = asked.http.as_deref().and_then(|address| self.http(address));
        [query, file, http].into_iter().flatten().collect()
    }

    fn query(&mut self, query: &str) -> Option<Reason> {
        let why = match self.first_value(query) {
            Ok(Some(value)) if value.as_bool() == Some(true) => return None,
            Ok(Some(Value::Null)) => "it gives NULL".to_owned(),
            Ok(Some(value)) if value.as_bool() == Some(false) => "it says no".to_owned(),
            Ok(Some(_)) => "its first value is neither true nor false".to_owned(),
            Ok(None) => "it gives no row".to_owned(),
            Err(fail) => {
                self.session = None;
                format!("it fails: {}", fail.message)
            }
        };
        Some(held("query", why))
    }

    fn first_value(&mut self, query: &str) -> Result<Option<Value>, Fail> {
        let session = match &mut self.session {
            Some(session) => session,
            None => self.session.insert(self.env.connect(self.id, "query")?),
        };
        session.begin(Begin::Read)?;
        let rows = session.query(query, &[], QUERY);
        session.rollback();
        Ok(rows?.into_iter().next().and_then(|row| row.into_iter().next()))
    }

    fn http(&self, address: &str) -> Option<Reason> {
        let Some(ask) = self.env.run.options.http else {
            return Some(held("http", "this program cannot ask it".to_owned()));
        };
        ask(address).err().map(|why| held("http", why))
    }
}

fn file(path: &str) -> Option<Reason> {
    match Path::new(path).try_exists() {
        Ok(false) => None,
        Ok(true) => Some(held("file", format!("`{path}` is there"))),
        Err(why) => Some(held("file", format!("`{path}` cannot be looked at: {why}"))),
    }
}

fn held(what: &'static str, why: String) -> Reason {
    Reason { what, text: format!("{what}: {why}"), locks: false }
}
