//! Windows whose rows others have locked: when they are come back to, and for how long.

use std::time::Duration;

use segue_model::ident::TableName;
use segue_model::journal::Span;
use segue_model::lock::{LockMode, RelationLock};
use segue_model::session::Blocker;

use crate::crew::Crew;
use crate::error::RunError;
use crate::hand::Hand;
use crate::observer::Progress;
use crate::window::Size;
use crate::worker::Tried;

/// The first pause before a window is come back to whose rows others had locked, and the longest.
pub(crate) const RETURN: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));

/// How long, at least, rows that others have locked are come back to once nothing else is left to do: somebody's job may
/// hold them for long, and a run of hours should not end for that.
const RETURNING: Duration = Duration::from_secs(30 * 60);

/// Spans that a worker has and cannot finish yet.
#[derive(Default)]
pub(crate) struct Waiting {
    pub(crate) spans: Vec<Span>,
    /// Times that all of them were tried without any progress.
    rounds: u32,
    /// The pauses since there was progress, and nothing else to do.
    paused: Duration,
}

impl Hand<'_> {
    /// Tries the spans again that wait for rows which others have locked, after a pause that grows.
    /// `alone`: nothing else is left of the pass.
    pub(crate) fn come_back(
        &mut self,
        crew: &Crew<'_>,
        waiting: &mut Waiting,
        alone: bool,
        size: &mut Size,
    ) -> Result<(), RunError> {
        self.pause_before_coming_back(crew, waiting, alone)?;
        let (mut left, mut progress) = (Vec::new(), false);
        for mut span in std::mem::take(&mut waiting.spans) {
            if crew.is_over() || !self.may_go_on(crew)? {
                return Ok(());
            }
            let before = self.reconnects;
            match self.window(crew, &span, size)? {
                // What this session had is nobody's now.
                _ if self.reconnects != before => return Ok(()),
                Some(Tried::Done(next, _)) => {
                    progress = true;
                    span = next;
                    if span.next.is_some() {
                        left.push(span);
                    }
                }
                Some(Tried::Locked) => left.push(span),
                None => return Ok(()),
            }
        }
        waiting.spans = left;
        waiting.rounds += 1;
        if progress {
            (waiting.rounds, waiting.paused) = (0, Duration::ZERO);
        }
        Ok(())
    }

    fn pause_before_coming_back(
        &mut self,
        crew: &Crew<'_>,
        waiting: &mut Waiting,
        alone: bool,
    ) -> Result<(), RunError> {
        let (step, table) = (crew.copying.step.id, &crew.copying.cut.table);
        let budget = crew.copying.patience().tries.budget.max(RETURNING);
        // Who locks rows of a table has one of the weaker locks on it; which rows, no server tells.
        let lock = RelationLock { relation: table.clone(), mode: LockMode::Exclusive };
        let blockers = self.blockers(&[lock]);
        self.env.tell(&Progress::LockTry { step, try_no: waiting.rounds + 1, blockers: &blockers });
        if waiting.paused >= budget {
            return Err(RunError::BudgetSpent { step, budget, blockers });
        }
        self.env.tell(&Progress::Waiting { what: &locked_rows(table, &blockers) });
        let pause = RETURN.0.saturating_mul(1 << waiting.rounds.min(10)).min(RETURN.1);
        let pause = self.jittered(pause);
        if alone {
            waiting.paused += pause;
        }
        self.env.wait(pause)
    }
}

impl Waiting {
    /// Adds one, where there is one.
    pub(crate) fn add(&mut self, span: Option<Span>) {
        self.spans.extend(span);
    }
}

/// Returns that rows are waited for, and who may have them.
fn locked_rows(table: &TableName, blockers: &[Blocker]) -> String {
    let what = format!("rows of `{table}` that somebody has locked");
    let Some(oldest) = blockers.iter().max_by_key(|blocker| blocker.age) else { return what };
    let Blocker { pid, user, application, age, .. } = oldest;
    format!(
        "{what}; the oldest transaction at work on it: process {pid} ({user}, {application}), open for {} s",
        age.as_secs()
    )
}
