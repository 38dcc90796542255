//! Why a run is held back.

use segue_model::ident::MigrationId;
use segue_model::tuning::Hours;
use segue_model::tuning_text::KEYS;

use super::Work;

/// What the time is called for which somebody ordered the run to stand still.
const PAUSED: &str = "paused";

/// What the time is called in which nothing could be seen, and so no order either.
const NOT_MEASURED: &str = "not measured";

/// What the time is called for which a standby was too far behind, or windows rested to keep it from falling behind.
pub(super) const LAG: &str = "replica lag";

/// Why a run is held back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Reason {
    /// What it is called where times are added up: `replica lag`.
    pub(super) what: &'static str,
    /// The whole reason, for people.
    pub(super) text: String,
    /// It holds steps back too whose locks the application waits for, not only windows.
    pub(super) locks: bool,
}

impl Reason {
    /// Returns whether it holds this work back.
    pub(super) fn holds(&self, work: Work) -> bool {
        match work {
            Work::Window | Work::Heavy => true,
            Work::Locks => self.locks,
            // What nobody could look at may be a pause, too.
            Work::Small => [PAUSED, NOT_MEASURED].contains(&self.what),
        }
    }

    /// Somebody ordered it.
    pub(super) fn paused(by: &str, id: &MigrationId) -> Self {
        Self { what: PAUSED, text: format!("paused by {by}; to go on: segue resume {id}"), locks: true }
    }

    /// It is not the time of the day.
    pub(super) fn hours(hours: Hours, now_s: i64) -> Option<Self> {
        if hours.contains(now_s) {
            return None;
        }
        let minutes = hours.begins_in(now_s).div_ceil(60);
        let text = format!("outside its hours, which begin in {} h {} min", minutes / 60, minutes % 60);
        Some(Self { what: "hours", text, locks: true })
    }

    /// A worker found it.
    pub(super) fn by_worker(text: String) -> Self {
        Self { what: "dead rows", text, locks: false }
    }

    /// The run that this process helps stands still, or is gone.
    pub(super) fn led(text: String) -> Self {
        Self { what: "the run that is helped", text, locks: false }
    }

    /// Nothing has been seen yet, or not for a while.
    pub(super) fn unseen() -> Self {
        let text = "the database's load has not been looked at yet".to_owned();
        Self { what: NOT_MEASURED, text, locks: true }
    }

    /// The last look failed.
    pub(super) fn unmeasured(why: &str) -> Self {
        let text = format!("the database's load and its orders cannot be seen: {why}");
        Self { what: NOT_MEASURED, text, locks: true }
    }

    /// A limit is there, and what it limits cannot be told.
    pub(super) fn unknown(what: &'static str, key: &str, why: &str, locks: bool) -> Self {
        debug_assert!(KEYS.iter().any(|(known, _)| *known == key), "{key} can be set");
        let text = format!("{what} cannot be measured: {why} (set `{key}` to `off` to go on without)");
        Self { what, text, locks }
    }
}
