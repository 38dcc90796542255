//! How the run stands that this process helps.
//!
//! Who helps has limits of its own, and may measure something else than the run itself: it works on another machine, was
//! started with other settings, and does not clear dead rows. So it stands still whenever the run says that it does, and when
//! the run says nothing any more: without it nobody keeps the room of dead rows in bounds.

use std::time::Duration;

use segue_model::ident::MigrationId;
use segue_model::session::{Fail, Journal, Session};

use super::reason::Reason;
use crate::figures::Report;

/// Figures older than this, in seconds, say nothing about now: a run that lives writes some about once a second.
const SILENT_S: u64 = 10;

/// How long nobody may run the migration before there is nothing to help with. Shorter than that a run is without its lease
/// while its connection is made again.
const ABANDONED: Duration = Duration::from_secs(10);

/// What was seen of the run.
#[derive(Debug, Default)]
pub(super) struct Led {
    /// Why it stands still, in its own words.
    holding: Vec<String>,
    /// What is wrong with it.
    wrong: Option<String>,
    /// Since when nobody runs the migration.
    nobody_since: Option<Duration>,
}

impl Led {
    /// Asks the journal how the run stands.
    ///
    /// # Errors
    /// Any [`Fail`].
    pub(super) fn look(
        journal: &dyn Journal,
        session: &mut dyn Session,
        id: &MigrationId,
        now: Duration,
    ) -> Result<Self, Fail> {
        if journal.holder(session, id)?.is_none() {
            let wrong = Some(format!("nobody runs `{id}` at the moment"));
            return Ok(Self { wrong, nobody_since: Some(now), ..Self::default() });
        }
        // Before its first figures a run has moved nothing yet.
        let Some((report, age_s)) = journal.report(session, id)? else { return Ok(Self::default()) };
        if age_s > SILENT_S {
            let wrong = Some(format!("the run that this process helps has told nothing of itself for {age_s} s"));
            return Ok(Self { wrong, ..Self::default() });
        }
        // What another version writes tells of its holds in its own way, if at all.
        let holding = Report::from_json(&report).map(|report| report.holding).unwrap_or_default();
        Ok(Self { holding, ..Self::default() })
    }

    /// Takes over what was seen now.
    pub(super) fn becomes(&mut self, seen: Self) {
        let since = self.nobody_since.filter(|_| seen.nobody_since.is_some());
        *self = Self { nobody_since: since.or(seen.nobody_since), ..seen };
    }

    /// Returns whether nobody has run the migration for long.
    pub(super) fn is_abandoned(&self, now: Duration) -> bool {
        self.nobody_since.is_some_and(|since| now.saturating_sub(since) >= ABANDONED)
    }

    /// Returns what holds a process back that helps: each with what the run itself says, or nothing.
    pub(super) fn reasons(&self) -> impl Iterator<Item = (&str, Reason)> {
        let holding = self
            .holding
            .iter()
            .map(|text| (text.as_str(), Reason::led(format!("the run that this process helps stands still: {text}"))));
        holding.chain(self.wrong.iter().map(|text| ("", Reason::led(text.clone()))))
    }
}
