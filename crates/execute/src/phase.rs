//! Going from phase to phase.

use std::rc::Rc;
use std::time::Duration;

use segue_model::ident::MigrationId;
use segue_model::journal::State;
use segue_model::plan::Plan;
use segue_model::step::{Action, Phase, Step, Transaction};

use crate::error::RunError;
use crate::gate::Unmet;
use crate::guard::Patience;
use crate::observer::Progress;
use crate::run::Target;
use crate::running::Running;
use crate::throttle::Work;

/// The longest that standbys are waited for before it is left to the user.
const STANDBYS: Duration = Duration::from_secs(60);

/// Rows that cannot be converted are counted up to here: any of them is in the way.
const COUNTED: u64 = 1000;

impl Running<'_> {
    /// Goes as far towards the target as needs no person.
    pub(crate) fn forward(&mut self, target: Target) -> Result<(), RunError> {
        if self.record.state < State::Ready {
            self.phase(Phase::Expand)?;
            if target == Target::Expand {
                return self.reach(State::Expanded);
            }
            for phase in [Phase::Sync, Phase::Backfill] {
                self.phase(phase)?;
            }
            if self.is_left_to_touches() {
                return self.leave_to_touches(target);
            }
        }
        if self.by_hand() { self.go_to_ready(target) } else { self.go_to_the_end() }
    }

    fn go_to_ready(&mut self, target: Target) -> Result<(), RunError> {
        if self.record.state < State::Ready {
            self.phase(Phase::Verify)?;
            self.wait_for_standbys()?;
            self.reach(State::Ready)?;
        }
        if target == Target::Flip && self.record.state == State::Ready { self.flip() } else { Ok(()) }
    }

    fn go_to_the_end(&mut self) -> Result<(), RunError> {
        if self.record.state == State::Done {
            return Ok(());
        }
        for phase in Phase::ALL {
            if self.leaves_sync_behind(phase) {
                self.check_sync()?;
            }
            self.phase(phase)?;
        }
        self.wait_for_standbys()?;
        self.end()
    }

    /// Returns whether this phase comes next and relies on what sync did.
    fn leaves_sync_behind(&self, phase: Phase) -> bool {
        let steps = &self.plan.steps;
        phase >= Phase::Flip
            && steps.iter().any(|step| step.phase == phase && !self.is_done(step.id))
            && !Phase::ALL.iter().any(|later| *later >= phase && self.has_begun(*later))
    }

    /// Returns whether rows are brought over only when somebody touches them, and all is there that does so.
    pub(crate) fn is_left_to_touches(&self) -> bool {
        let is_done = |step: &Step| self.is_done(step.id);
        matches!(self.record.state, State::Started | State::Expanded) && stands_before_lazy(&self.plan.steps, is_done)
    }

    /// Ends here: both shapes are kept right, and rows that nobody touches are not brought over.
    fn leave_to_touches(&mut self, target: Target) -> Result<(), RunError> {
        self.reach(State::Expanded)?;
        self.outcome.left_to_touches = true;
        match target {
            Target::Expand | Target::End => {
                self.note(format!("{LEFT}. {}", complete(self.id())));
                Ok(())
            }
            Target::Ready | Target::Flip => Err(self.not_all_touched()),
        }
    }

    /// Returns why nothing that needs all rows can be done, and what brings them over.
    pub(crate) fn not_all_touched(&self) -> RunError {
        RunError::Gate { step: None, reasons: vec![LEFT.to_owned()], hints: vec![complete(self.id())] }
    }

    /// Moves the authority to the new shape.
    pub(crate) fn flip(&mut self) -> Result<(), RunError> {
        if !self.has_begun(Phase::Flip) {
            if self.outcome.verified.is_none() {
                self.verify_again(false)?;
            }
            self.refuse_unconvertible()?;
            self.check_sync()?;
        }
        // The flip may be no more than an entry in the journal.
        self.hand.valve.pass(self.env, Work::Small)?;
        self.phase(Phase::Flip)?;
        self.reach(State::Flipped)
    }

    /// Hides the old shape.
    pub(crate) fn contract(&mut self) -> Result<(), RunError> {
        if !self.has_begun(Phase::Contract) {
            self.check_sync()?;
        }
        self.phase(Phase::Contract)?;
        self.reach(State::Contracted)
    }

    /// Drops the old shape, after the cool-down and a last verification.
    pub(crate) fn cleanup(&mut self) -> Result<(), RunError> {
        if !self.said.cleanup_agreed {
            let reason = "nobody has agreed that the old shape is dropped, which cannot be taken back".to_owned();
            let hint = format!(
                "Look for references to the old shape in code, views and jobs, then type: segue cleanup {} --yes --i-checked-references",
                self.id()
            );
            return Err(RunError::Gate { step: None, reasons: vec![reason], hints: vec![hint] });
        }
        if !self.has_begun(Phase::Cleanup) {
            let age = Duration::from_secs(self.record.state_age_s);
            let remaining = self.env.run.options.cool_down.saturating_sub(age);
            if !remaining.is_zero() {
                return Err(RunError::CoolDown { remaining });
            }
            self.verify_before_cleanup()?;
        }
        self.phase(Phase::Cleanup)?;
        self.end()
    }

    /// Returns whether a step of this phase may have changed the application's tables.
    pub(crate) fn has_begun(&self, phase: Phase) -> bool {
        let steps = &self.plan.steps;
        steps.iter().any(|step| step.phase == phase && changes_tables(step) && self.may_be_there(step))
    }

    fn phase(&mut self, phase: Phase) -> Result<(), RunError> {
        if phase == Phase::Cleanup {
            self.take_back_preparations()?;
        }
        let plan = Rc::clone(&self.plan);
        let steps = self.due(&plan, phase);
        if steps.iter().any(|step| !self.is_done(step.id)) {
            self.env.tell(&Progress::PhaseBegins { phase });
            let began = self.env.clock.now();
            let result = steps.into_iter().try_for_each(|step| self.step(step));
            self.outcome.phases.push((phase, self.env.clock.now().saturating_sub(began)));
            result?;
        }
        for step in plan.steps.iter().filter(|step| step.phase == phase) {
            if let Action::Snapshot(snapshot) = &step.action {
                self.outcome.kept.push(snapshot.keeps.clone());
            }
        }
        Ok(())
    }

    /// Returns the steps of a phase, but for those that wait until all rows are to be brought over: an index and statistics
    /// of what is still empty would be worth nothing later.
    fn due<'p>(&self, plan: &'p Plan, phase: Phase) -> Vec<&'p Step> {
        let waits = |step: &Step| is_lazy(step) && !self.is_done(step.id) && !self.env.run.options.complete;
        let steps = plan.steps.iter().filter(|step| step.phase == phase);
        steps.take_while(|step| !waits(step)).collect()
    }

    fn reach(&mut self, state: State) -> Result<(), RunError> {
        if self.record.state < state { self.set_state(state) } else { Ok(()) }
    }

    /// The new shape is usable only where every standby has it: applications read there.
    fn wait_for_standbys(&mut self) -> Result<(), RunError> {
        let began = self.env.clock.now();
        loop {
            let lagging = self.persist(&Patience::nothing(), |me| Ok(me.hand.work.lagging_standbys()?))?;
            if lagging.is_empty() {
                return Ok(());
            }
            let what = format!("these standbys have not replayed the change yet: {}", lagging.join(", "));
            if self.env.clock.now().saturating_sub(began) >= STANDBYS {
                let hint =
                    "Wait until they have caught up, or remove those that are gone; then run the same command again.";
                return Err(RunError::Gate { step: None, reasons: vec![what], hints: vec![hint.to_owned()] });
            }
            self.env.tell(&Progress::Waiting { what: &what });
            self.env.wait(Duration::from_millis(500))?;
        }
    }

    fn refuse_unconvertible(&mut self) -> Result<(), RunError> {
        let plan = Rc::clone(&self.plan);
        let mut unmet = Unmet::default();
        for step in &plan.steps {
            let Action::Backfill(backfill) = &step.action else { continue };
            let Some(failures) = &backfill.failures else { continue };
            let rows = self.unconvertible(step, &backfill.cut, failures, COUNTED)?;
            if rows > 0 {
                let least = if rows > COUNTED { "at least " } else { "" };
                unmet.reasons.push(format!("{least}{rows} rows of `{}` cannot be converted", backfill.cut.table));
                let hint = "Correct their old values (the triggers convert them then), or make `segue verify --retry-quarantine` \
                            list those that are left.";
                unmet.hints.push(hint.to_owned());
            }
        }
        unmet.or_gate(None)
    }
}

/// What is to be known of rows that are left to whoever touches them.
const LEFT: &str = "rows are brought over when somebody touches them, and not all of them are yet";

fn complete(id: &MigrationId) -> String {
    format!("To bring over the rest, type: segue apply {id} --complete")
}

fn is_lazy(step: &Step) -> bool {
    matches!(&step.action, Action::Backfill(backfill) if backfill.lazy)
}

/// Returns whether the next step to be done leaves rows to whoever touches them.
pub(crate) fn stands_before_lazy(steps: &[Step], is_done: impl Fn(&Step) -> bool) -> bool {
    steps.iter().find(|step| !is_done(step)).is_some_and(is_lazy)
}

/// Returns whether a step that failed or was interrupted may have left a part of itself behind: it is not carried out as a whole
/// or not at all.
pub(crate) fn goes_in_parts(step: &Step) -> bool {
    match &step.action {
        Action::Sql(_) | Action::Verify(_) | Action::Gate(_) => step.transaction == Transaction::None,
        Action::Settled { .. } | Action::Backfill(_) => true,
        Action::Snapshot(snapshot) => snapshot.copy.is_some(),
    }
}

/// Returns whether a step changes the application's tables, so that what was verified before it may not hold after it.
pub(crate) fn changes_tables(step: &Step) -> bool {
    match step.action {
        Action::Sql(_) | Action::Settled { .. } | Action::Backfill(_) => true,
        Action::Verify(_) | Action::Gate(_) | Action::Snapshot(_) => false,
    }
}
