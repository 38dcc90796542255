//! Runs against a database in memory whose connections break where a test wants.

mod adopt;
mod crash;
mod drift;
mod failover;
mod fairness;
mod fake;
mod guard;
mod joined;
mod moving;
mod pacing;
mod quarantined;
mod refresh;
mod refusals;
mod retreat;
mod reversal;
mod signs;
mod verification;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};

use segue_model::engine::Engine;
use segue_model::ident::{Ident, MigrationId, TableName};
use segue_model::journal::{Mark, State};
use segue_model::lock::{Blocks, LockMode, LockTries, RelationLock};
use segue_model::plan::{Evidence, Plan, Strategy};
use segue_model::sql::Sql;
use segue_model::step::{
    Action, Asks, Backfill, Condition, Cut, CutBy, Failures, Gate, Kept, Phase, Snapshot, Step, Transaction, Undo,
    UndoStep, Verify,
};

use crate::observer::{Observer, Progress};
use crate::{Options, Outcome, Run, RunError, Said, Stop, Target};
use fake::{Database, FakeClock, Side};

const BOTH_STOPPED: Said =
    Said { old_version_stopped: true, new_version_stopped: true, cleanup_agreed: true, accept_loss: false };

/// Notes what it is told, a word or two each.
#[derive(Default)]
struct Told(Mutex<Vec<String>>);

impl Told {
    fn all(&self) -> Vec<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn count(&self, of: &str) -> usize {
        self.all().iter().filter(|told| told.starts_with(of)).count()
    }
}

impl Observer for Told {
    fn on(&self, progress: &Progress<'_>) {
        let told = match progress {
            Progress::LockTry { try_no, blockers, .. } => format!("try {try_no}, {} in the way", blockers.len()),
            Progress::TookOver { from } => format!("took over from {}", from.name),
            Progress::Note { text } => format!("note {text}"),
            Progress::Waiting { what } => format!("waiting {what}"),
            Progress::Window { done, total, .. } => format!("window {done}/{total}"),
            Progress::Throttled { reasons } => format!("throttled {}", reasons.join(", ")),
            Progress::Reconnecting { .. } => "reconnecting".to_owned(),
            Progress::LeftoverEnded { leftover } => format!("leftover {} {}", leftover.pid, leftover.ended),
            Progress::PhaseBegins { .. }
            | Progress::StepBegins { .. }
            | Progress::StepDone { .. }
            | Progress::UndoBegins { .. }
            | Progress::Undone { .. }
            | Progress::Verified { .. } => return,
        };
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(told);
    }
}

/// One process: a run with its own clock, observer and wish to stop.
struct Process<'d> {
    database: &'d Database,
    clock: FakeClock,
    told: Told,
    stop: std::sync::Arc<Stop>,
    options: Options,
}

impl<'d> Process<'d> {
    fn new(database: &'d Database) -> Self {
        let options = Options { holder: "me".to_owned(), seed: 7, ..Options::default() };
        let (clock, told, stop) = Default::default();
        Self { database, clock, told, stop, options }
    }

    fn run(&self) -> Run<'_> {
        Run { connector: self.database, observer: &self.told, stop: &self.stop, options: self.options.clone() }
    }

    fn apply(&self, plan: &Plan) -> Result<Outcome, RunError> {
        self.run().apply_by(&self.clock, plan, Target::End)
    }

    fn rollback(&self) -> Result<Outcome, RunError> {
        self.run().rollback_by(&self.clock, &id(), BOTH_STOPPED)
    }

    /// Goes through all phases, like a person who says yes each time.
    fn to_the_end(&self, plan: &Plan) -> Result<Outcome, RunError> {
        self.apply(plan)?;
        for state in [State::Ready, State::Flipped, State::Contracted] {
            self.after(state)?;
        }
        self.apply(plan)
    }

    /// Takes the step that follows a state, unless the migration is past it.
    fn after(&self, state: State) -> Result<(), RunError> {
        if self.database.state().store.records[0].state != state {
            return Ok(());
        }
        match state {
            State::Ready => self.run().flip_by(&self.clock, &id()),
            State::Flipped => self.run().contract_by(&self.clock, &id(), BOTH_STOPPED),
            State::Contracted => self.run().cleanup_by(&self.clock, &id(), BOTH_STOPPED),
            _ => panic!("nothing follows {state:?} by hand"),
        }
        .map(drop)
    }
}

fn id() -> MigrationId {
    MigrationId::new("1_full_name").unwrap()
}

fn table() -> TableName {
    TableName { schema: Ident::known("main"), name: Ident::known("users") }
}

fn locks() -> Vec<RelationLock> {
    vec![RelationLock { relation: table(), mode: LockMode::AccessExclusive }]
}

pub(crate) fn cut() -> Cut {
    Cut {
        table: table(),
        unit: "rows".to_owned(),
        by: CutBy::Numbers { extent: Sql::fixed("extent"), end: None },
        size: 4,
        target_ms: 1,
        rest_percent: 10,
    }
}

fn step(id: u32, phase: Phase, action: Action, undo: Undo) -> Step {
    Step {
        id,
        phase,
        title: format!("step {id}"),
        action,
        locks: locks(),
        blocks: Blocks::Everything,
        rewrites: false,
        scans: false,
        transaction: Transaction::Own,
        tries: Some(LockTries::default()),
        provisional: false,
        undo,
        on_interrupted: Vec::new(),
    }
}

pub(crate) fn sql(id: u32, phase: Phase, statement: &'static str, undo: &'static str) -> Step {
    step(id, phase, Action::Sql(vec![Sql::fixed(statement)]), lossless(undo, Transaction::Own))
}

fn lossless(statement: &'static str, transaction: Transaction) -> Undo {
    let tries = Some(LockTries::default());
    let sql = vec![Sql::fixed(statement)];
    let (locks, conditions) = (locks(), Vec::new());
    let (needed, windows, keeps) = (None, None, None);
    Undo::Lossless(vec![UndoStep { needed, sql, windows, conditions, locks, transaction, tries, keeps }])
}

fn condition(question: &'static str) -> Condition {
    Condition { sql: Sql::fixed(question), says: "the trigger is there".to_owned(), hint: "Recreate it.".to_owned() }
}

fn backfill(id: u32) -> Step {
    let backfill = Backfill {
        cut: cut(),
        before: Vec::new(),
        fill: Sql::fixed("fill"),
        fill_unlocked: None,
        failures: Some(Failures { count: Sql::fixed("stuck"), list: Sql::fixed("list") }),
        pace: None,
        lazy: false,
        once: false,
    };
    step(id, Phase::Backfill, Action::Backfill(backfill), Undo::Nothing)
}

fn slow_index(id: u32) -> Step {
    let action = Action::Settled { sql: Sql::fixed("slow index"), settle: Sql::fixed("settle index") };
    Step {
        transaction: Transaction::None,
        tries: None,
        on_interrupted: vec![Sql::fixed("-index!")],
        ..step(id, Phase::Backfill, action, lossless("-index", Transaction::None))
    }
}

fn verify(id: u32) -> Step {
    let verify = Verify {
        cut: cut(),
        conditions: vec![condition("missing trigger")],
        compare: None,
        count: Sql::fixed("count"),
        sample: Sql::fixed("sample"),
        before_repair: Vec::new(),
        repair_from_old: Sql::fixed("mend"),
        repair_from_new: None,
    };
    step(id, Phase::Verify, Action::Verify(verify), Undo::Nothing)
}

fn gate(id: u32) -> Step {
    let gate = Gate { conditions: vec![condition("missing trigger")], asks: Some(Asks::OldVersionStopped) };
    step(id, Phase::Contract, Action::Gate(gate), Undo::Nothing)
}

fn snapshot(id: u32) -> Step {
    let keeps = TableName { schema: Ident::known("main"), name: Ident::known("copy") };
    let copy = Some((cut(), Sql::fixed("copy")));
    let action = Action::Snapshot(Snapshot { keeps, create: vec![Sql::fixed("+copy")], copy });
    step(id, Phase::Cleanup, action, lossless("-copy", Transaction::Own))
}

/// The plan whose sync is taken back after a copy was made of what only the new shape holds.
fn keeping() -> Plan {
    let mut plan = plan();
    let Undo::Lossless(undos) = &mut plan.steps[1].undo else { panic!() };
    let copy = TableName { schema: Ident::known("main"), name: Ident::known("copy_kept") };
    let keeps = Kept { table: copy, count: Sql::fixed("held copykept"), drop_empty: Sql::fixed("-copykept") };
    let sql = vec![Sql::fixed("-copykept"), Sql::fixed("+copykept")];
    undos.insert(0, UndoStep { sql, keeps: Some(keeps), ..undos[0].clone() });
    plan
}

pub(crate) fn plan() -> Plan {
    let impossible = |step: Step| Step { undo: Undo::Impossible, ..step };
    Plan {
        engine: Engine::Sqlite,
        server_major: "3.54".to_owned(),
        migration: id(),
        checksum: "c1".to_owned(),
        hash: "sha256:1".to_owned(),
        strategy: Strategy::ExpandContract,
        reason: "because".to_owned(),
        verdicts: Vec::new(),
        steps: vec![
            sql(1, Phase::Expand, "+new", "-new"),
            sql(2, Phase::Sync, "+trigger", "-trigger"),
            backfill(3),
            slow_index(4),
            verify(5),
            sql(6, Phase::Flip, "+swapped", "-swapped"),
            gate(7),
            sql(8, Phase::Contract, "+hidden", "-hidden"),
            snapshot(9),
            impossible(sql(10, Phase::Cleanup, "-old", "-nothing")),
        ],
        rollback_points: vec![Phase::Expand, Phase::Verify, Phase::Flip, Phase::Contract],
        flip: "nothing but a deploy".to_owned(),
        notes: Vec::new(),
        tables: vec![table()],
        about: vec![],
        shape: "old".to_owned(),
        settings: BTreeMap::new(),
        evidence: Evidence::default(),
    }
}

/// The same steps, none of which needs a person.
pub(crate) fn additive() -> Plan {
    let mut plan = plan();
    plan.strategy = Strategy::Additive;
    plan.steps.retain(|step| step.phase <= Phase::Verify);
    plan
}

fn things(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

/// Everything is done, once.
#[track_caller]
fn assert_finished(database: &Database, about: &str) {
    let state = database.state();
    assert_eq!(state.store.records[0].state, State::Done, "{about}");
    assert_eq!(state.store.things, things(&["copy", "hidden", "index", "new", "swapped", "trigger"]), "{about}");
    assert!(state.store.rows.iter().all(|side| *side == Side::Right), "{about}");
    assert_eq!(state.store.copy.len(), 10, "{about}: each row is copied");
    // What prepares the drop may have been done twice.
    for step in (1..=10).filter(|step| *step != 9) {
        let done = state.store.events.iter().filter(|event| event.step == step && event.mark == Mark::Done);
        assert_eq!(done.count(), 1, "{about}: step {step}");
    }
}

/// Everything is as before.
#[track_caller]
fn assert_taken_back(database: &Database, about: &str) {
    let state = database.state();
    assert_eq!(state.store.records[0].state, State::RolledBack, "{about}");
    assert_eq!(state.store.things, things(&["old"]), "{about}");
    assert!(state.lease.is_none(), "{about}: the lease was given back");
}

#[test]
fn a_migration_goes_through_all_phases() {
    let database = Database::new(true);
    let process = Process::new(&database);
    let outcome = process.apply(&plan()).unwrap();
    assert_eq!((outcome.state, outcome.rows_filled), (State::Ready, 10));
    process.to_the_end(&plan()).unwrap();
    assert_finished(&database, "in one go");
    assert!(database.state().lease.is_none(), "the lease was given back");
}

#[test]
fn an_additive_migration_needs_no_person() {
    let database = Database::new(true);
    let outcome = Process::new(&database).apply(&additive()).unwrap();
    assert_eq!(outcome.state, State::Done);
}

#[test]
fn a_finished_migration_is_left_alone() {
    let database = Database::new(true);
    Process::new(&database).apply(&additive()).unwrap();
    let before = database.state().store.clone();
    let outcome = Process::new(&database).apply(&additive()).unwrap();
    assert_eq!(outcome.state, State::Done);
    assert_eq!(database.state().store, before);
}

#[test]
fn expand_stops_after_the_new_shape_and_goes_on_from_there() {
    let database = Database::new(true);
    let process = Process::new(&database);
    let outcome = process.run().apply_by(&process.clock, &plan(), Target::Expand).unwrap();
    assert_eq!(outcome.state, State::Expanded);
    assert_eq!(database.state().store.things, things(&["new", "old"]));
    let outcome = process.run().resume_by(&process.clock, &id(), Target::Flip).unwrap();
    assert_eq!(outcome.state, State::Flipped);
}

#[test]
fn a_migration_is_taken_back_from_each_gate_and_may_start_again() {
    for gates in 0..=3 {
        let database = Database::new(true);
        let process = Process::new(&database);
        process.apply(&plan()).unwrap();
        for state in [State::Ready, State::Flipped, State::Contracted].into_iter().take(gates) {
            if state != State::Contracted {
                process.after(state).unwrap();
            }
        }
        process.rollback().unwrap();
        assert_taken_back(&database, &format!("after {gates} gates"));
        let outcome = process.apply(&plan()).unwrap();
        assert_eq!(outcome.state, State::Ready);
        assert_eq!(database.state().store.records[0].attempt, 2);
    }
}

#[test]
fn status_shows_the_step_that_is_under_way() {
    let database = Database::new(true);
    database.state().unconvertible_row = Some(6);
    Process::new(&database).apply(&plan()).unwrap_err();
    use segue_model::session::Connector;
    let mut session = database.connect("look").unwrap();
    let all = crate::status(&mut *session, database.journal()).unwrap();
    let step = all[0].under_way().expect("the backfill failed");
    assert_eq!((step.id, step.mark), (3, Some(Mark::Failed)));
    assert_eq!(step.progress.as_ref().map(|at| (at.pass, at.total)), Some((1, 10)));
}
