//! Helping a run of another process: more workers for the backfill that it has under way.

use std::time::Duration;

use segue_model::ident::MigrationId;
use segue_model::journal::{Event, Mark, Record, State};
use segue_model::plan::{Mode, Plan};
use segue_model::session::{Fail, FailKind};
use segue_model::step::{Action, Backfill, Phase, Step};

use crate::backfill::Copying;
use crate::clock::{Clock, MachineClock};
use crate::control::Control;
use crate::crew::{Crew, Pass};
use crate::engage::{Opened, find, writable};
use crate::error::RunError;
use crate::guard::Patience;
use crate::hand::{Hand, WORKER};
use crate::observer::Progress;
use crate::run::{Run, journalled};
use crate::running::Env;
use crate::throttle::Valve;
use crate::window::Size;

/// How often it is looked whether there is something to help with.
const LOOK: Duration = Duration::from_millis(200);

/// How often it is tried to connect and to find the migration.
const ARRIVALS_MAX: u32 = 4;

impl Run<'_> {
    /// Helps the process that runs a migration to bring rows over, until all are or nobody runs it any more; returns the
    /// rows that this process changed. Obeys the same limits and orders, and stands still whenever that process does; follows
    /// the migration to whoever takes it over.
    ///
    /// # Errors
    /// Any [`RunError`]; [`RunError::Gate`] when nobody runs it, [`FailKind::Usage`] where one process alone may write.
    pub fn join(&self, id: &MigrationId) -> Result<u64, RunError> {
        self.join_by(&MachineClock::start(), id)
    }

    pub(crate) fn join_by(&self, clock: &dyn Clock, id: &MigrationId) -> Result<u64, RunError> {
        let env = Env { run: self, clock };
        if !matches!(self.connector.hold(), Ok(None)) {
            let text = "this engine lets one process write at a time: a second one could not help";
            return Err(Fail::new(FailKind::Usage, text).into());
        }
        let (control, valve) = (Control::default(), Valve::new(self.options.tuning.clone()));
        let hand = arrive(env, (&control, &valve), id)?;
        valve.helps();
        std::thread::scope(|scope| {
            let _opened = Opened(&valve);
            scope.spawn(|| valve.watch(env, id));
            Helper { hand, rows: 0 }.help()
        })
    }
}

/// Connects and finds the migration. A session that is lost meanwhile is made again a few times: who takes the migration over
/// at this moment ends every session that is there for it.
fn arrive<'r>(env: Env<'r>, lease: (&'r Control, &'r Valve), id: &MigrationId) -> Result<Hand<'r>, RunError> {
    let mut times = 0;
    loop {
        let fail = match arrive_once(env, lease, id) {
            Err(RunError::Fail { source, .. }) => source,
            other => return other,
        };
        times += 1;
        // A session that is ended before it is there counts as none that could be made.
        if !(fail.outcome_unknown() || fail.kind == FailKind::Connect) || times >= ARRIVALS_MAX {
            return Err(fail.into());
        }
        env.tell(&Progress::Reconnecting { because: &fail });
        env.wait(LOOK * times)?;
    }
}

fn arrive_once<'r>(
    env: Env<'r>,
    (control, valve): (&'r Control, &'r Valve),
    id: &MigrationId,
) -> Result<Hand<'r>, RunError> {
    let (mut work, journal) = (env.connect(id, WORKER)?, env.journal());
    let server = work.server()?;
    writable(&server)?;
    let mut record = None;
    if journal.exists(&mut *work)? {
        journal.check_readable(&mut *work)?;
        record = find(journal, &mut *work, id)?;
    }
    let Some(record) = record else { return Err(RunError::NoSuchMigration { id: id.clone() }) };
    control.is_on(server.identity.timeline);
    Ok(Hand::new(env, (control, valve), (id.clone(), record.attempt), WORKER, work)?)
}

/// A process that helps.
struct Helper<'r> {
    hand: Hand<'r>,
    rows: u64,
}

/// What there is to help with.
enum Help {
    /// A backfill is under way.
    Now(Box<(Plan, u32)>),
    /// None is yet.
    Later,
    /// None will be, or nobody runs the migration.
    Never,
}

impl Helper<'_> {
    fn help(&mut self) -> Result<u64, RunError> {
        let mut first = true;
        loop {
            self.hand.env.check_stop()?;
            let (found, runs) = match self.look() {
                Ok(found) => found,
                // Whoever took the migration over has ended our sessions: theirs is the lease to work under.
                Err(RunError::LostLease) => continue,
                Err(RunError::Rewound { .. }) => {
                    self.let_go()?;
                    continue;
                }
                Err(error) => return Err(error),
            };
            if first && !runs {
                return Err(self.nobody_runs_it());
            }
            first = false;
            match found {
                Help::Now(found) => match self.help_with(&found.0, found.1) {
                    Ok(()) => {}
                    Err(RunError::LostLease | RunError::Rewound { .. }) => self.let_go()?,
                    Err(error) => return Err(error.at_step(found.1)),
                },
                Help::Later => {}
                Help::Never => return Ok(self.rows),
            }
            let pause = self.hand.jittered(LOOK);
            self.hand.env.wait(pause)?;
        }
    }

    /// Leaves the span that was under way to whoever comes first: it is free once its session is gone.
    fn let_go(&mut self) -> Result<(), RunError> {
        let because = Fail::new(
            FailKind::Lost,
            "another run has taken the migration over, or none runs it, or another server took this one's place",
        );
        self.hand.reconnect_to_look(&because)
    }

    fn nobody_runs_it(&self) -> RunError {
        let reasons = vec![format!("nobody runs `{}` at the moment", self.hand.id)];
        RunError::Gate { step: None, reasons, hints: vec![format!("Run it: segue apply {}", self.hand.id)] }
    }

    /// Returns what there is to do now, and whether somebody runs the migration; from here on, their lease is ours to work
    /// under.
    fn look(&mut self) -> Result<(Help, bool), RunError> {
        let look = |hand: &mut Hand<'_>| {
            let (journal, id) = (hand.journal(), hand.id.clone());
            let holder = journal.holder(&mut *hand.work, &id)?;
            let epoch = journal.epoch(&mut *hand.work, &id)?.filter(|_| holder.is_some());
            let record = find(journal, &mut *hand.work, &id)?;
            let (Some(epoch), Some(record)) = (epoch, record) else { return Ok(None) };
            let events = journal.events(&mut *hand.work, &id, record.attempt)?;
            Ok(Some((epoch, record, events)))
        };
        // A session that was ended is made again under the lease of now: so this is tried once without asking for it.
        let found = match look(&mut self.hand) {
            Err(RunError::Fail { source, .. }) if source.outcome_unknown() => {
                self.hand.reconnect_to_look(&source)?;
                self.hand.persist(&Patience::nothing(), look)?
            }
            other => other?,
        };
        let Some((epoch, record, events)) = found else { return Ok((Help::Never, false)) };
        self.hand.control.has_lease(epoch);
        self.hand.attempt = record.attempt;
        Ok((what_helps(record, &events)?, true))
    }

    /// Works on the pass that is under way.
    fn help_with(&mut self, plan: &Plan, step: u32) -> Result<(), RunError> {
        let Some((step, backfill)) = backfills(plan).find(|(found, _)| found.id == step) else { return Ok(()) };
        let moving = plan.evidence.moving.get(&backfill.cut.table.to_string());
        let copying = Copying::of(step, backfill, moving.map_or(Mode::Batched, |moving| moving.mode), false);
        let at = self.hand.persist(&Patience::journal(step), |hand| {
            Ok(hand.journal().checkpoint(&mut *hand.work, &hand.id, hand.attempt, step.id)?)
        })?;
        let Some(at) = at.filter(|at| at.pass > 0) else { return Ok(()) };
        let mut size = Size::first_of_locking(copying.cut);
        if at.pass > 1 {
            size = Size::first_of_sweep(copying.cut, &size);
        }
        let crew = Crew::new(&copying, Pass::of(&at), size.clone(), None);
        let result = crew.work_with(&mut self.hand, &mut size);
        self.rows += crew.rows();
        result
    }
}

/// Returns the backfills that others may help with. What cleanup copies by windows is none of them.
fn backfills(plan: &Plan) -> impl Iterator<Item = (&Step, &Backfill)> {
    plan.steps.iter().filter(|step| step.phase == Phase::Backfill).filter_map(|step| match &step.action {
        Action::Backfill(backfill) => Some((step, backfill)),
        _ => None,
    })
}

/// Returns what there is to help with, by what the journal has of a migration that somebody runs.
fn what_helps(record: Record, events: &[Event]) -> Result<Help, RunError> {
    match record.state {
        State::Started | State::Expanded => {}
        State::RolledBack | State::RollingBack | State::Ready | State::Flipped | State::Contracted | State::Done => {
            return Ok(Help::Never);
        }
    }
    let plan = journalled(record)?.plan;
    let last = |step: u32| events.iter().rev().find(|event| event.step == step).map(|event| event.mark);
    let open = backfills(&plan).find(|(step, _)| matches!(last(step.id), Some(Mark::Intent | Mark::Failed)));
    let open = open.map(|(step, _)| step.id);
    let done = backfills(&plan).all(|(step, _)| last(step.id) == Some(Mark::Done));
    Ok(match open {
        Some(step) => Help::Now(Box::new((plan, step))),
        None if done => Help::Never,
        None => Help::Later,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::plan;

    #[test]
    fn what_cleanup_copies_by_windows_is_nothing_to_help_with() {
        let mut plan = plan();
        let copy = Step { id: 11, phase: Phase::Cleanup, ..plan.steps[2].clone() };
        plan.steps.push(copy);
        assert_eq!(backfills(&plan).map(|(step, _)| step.id).collect::<Vec<_>>(), [3]);
    }
}
