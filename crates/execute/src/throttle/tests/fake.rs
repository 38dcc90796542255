//! A database that shows what a test wants to be seen, and nothing else.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use segue_model::catalog::Catalog;
use segue_model::engine::Engine;
use segue_model::ident::{MigrationId, TableName};
use segue_model::journal::{
    Checkpoint, Claim, Event, Holder, Leftover, Orders, Quarantined, Record, Span, State, Worker,
};
use segue_model::lock::RelationLock;
use segue_model::pressure::{Reading, Signal};
use segue_model::server::{Identity, Server};
use segue_model::session::{Begin, Blocker, Cancel, Connector, Fail, FailKind, Journal, Session};
use segue_model::value::{Row, Value};

use crate::clock::Clock;
use crate::stop::Stop;

/// What is to be seen, and what was done.
#[derive(Default)]
pub(super) struct Shown {
    pub(super) orders: Orders,
    pub(super) readings: BTreeMap<Signal, Reading>,
    pub(super) others: bool,
    pub(super) now_s: i64,
    /// Every call fails so.
    pub(super) fails: Option<FailKind>,
    pub(super) answer: Vec<Row>,
    pub(super) connections: Vec<String>,
    pub(super) reports: Vec<(i64, String)>,
    /// Somebody runs the migration.
    pub(super) is_run: bool,
    /// What that run has told of itself, and how many seconds ago.
    pub(super) told: Option<(String, u64)>,
}

/// The database.
#[derive(Default, Clone)]
pub(super) struct World(std::sync::Arc<Mutex<Shown>>);

impl World {
    pub(super) fn shown(&self) -> MutexGuard<'_, Shown> {
        self.0.lock().unwrap()
    }

    fn see<T>(&self, of: impl FnOnce(&mut Shown) -> T) -> Result<T, Fail> {
        let mut shown = self.shown();
        match shown.fails {
            Some(kind) => Err(Fail::new(kind, "it broke")),
            None => Ok(of(&mut shown)),
        }
    }
}

fn not_asked<T>() -> T {
    panic!("the valve does not ask for this")
}

impl Connector for World {
    fn engine(&self) -> Engine {
        Engine::Postgres
    }

    fn address(&self) -> String {
        "fake".to_owned()
    }

    fn connect(&self, label: &str) -> Result<Box<dyn Session>, Fail> {
        self.see(|shown| shown.connections.push(label.to_owned()))?;
        Ok(Box::new(self.clone()))
    }

    fn journal(&self) -> &dyn Journal {
        self
    }

    fn hold(&self) -> Result<Option<Box<dyn Send>>, Fail> {
        not_asked()
    }
}

impl Session for World {
    fn begin(&mut self, _: Begin) -> Result<(), Fail> {
        self.see(|_| ())
    }

    fn commit(&mut self) -> Result<(), Fail> {
        self.see(|_| ())
    }

    fn rollback(&mut self) {}

    fn query(&mut self, _: &str, _: &[Value], _: Duration) -> Result<Vec<Row>, Fail> {
        self.see(|shown| shown.answer.clone())
    }

    fn pressure(&mut self, signals: &[Signal]) -> Result<Vec<(Signal, Reading)>, Fail> {
        let read = |shown: &mut Shown, signal| shown.readings.get(&signal).cloned().unwrap_or(Reading::Nothing);
        self.see(|shown| signals.iter().map(|signal| (*signal, read(shown, *signal))).collect())
    }

    fn others_at_work(&mut self) -> Result<bool, Fail> {
        self.see(|shown| shown.others)
    }

    fn seconds_now(&mut self) -> Result<i64, Fail> {
        self.see(|shown| shown.now_s)
    }

    fn server(&mut self) -> Result<Server, Fail> {
        not_asked()
    }
    fn inspect(&mut self) -> Result<Catalog, Fail> {
        not_asked()
    }
    fn shape(&mut self, _: &[TableName]) -> Result<String, Fail> {
        not_asked()
    }
    fn lock(&mut self, _: &[RelationLock]) -> Result<(), Fail> {
        not_asked()
    }
    fn execute(&mut self, _: &str, _: &[Value], _: Duration) -> Result<u64, Fail> {
        not_asked()
    }
    fn blockers(&mut self, _: &[RelationLock]) -> Result<Vec<Blocker>, Fail> {
        not_asked()
    }
    fn backend(&mut self) -> Result<(i64, String), Fail> {
        not_asked()
    }
    fn canceller(&self) -> Box<dyn Cancel> {
        not_asked()
    }
    fn lagging_standbys(&mut self) -> Result<Vec<String>, Fail> {
        not_asked()
    }
}

impl Journal for World {
    fn orders(&self, _: &mut dyn Session, _: &MigrationId) -> Result<Orders, Fail> {
        self.see(|shown| shown.orders.clone())
    }

    fn set_report(&self, _: &mut dyn Session, _: &MigrationId, epoch: i64, report: &str) -> Result<(), Fail> {
        self.see(|shown| shown.reports.push((epoch, report.to_owned())))
    }

    fn report(&self, _: &mut dyn Session, _: &MigrationId) -> Result<Option<(String, u64)>, Fail> {
        self.see(|shown| shown.told.clone())
    }

    fn holder(&self, _: &mut dyn Session, _: &MigrationId) -> Result<Option<(Holder, u64)>, Fail> {
        let holder = Holder { name: "elsewhere".to_owned(), pid: 7, backend_start: String::new() };
        self.see(|shown| shown.is_run.then_some((holder, 1)))
    }

    fn exists(&self, _: &mut dyn Session) -> Result<bool, Fail> {
        not_asked()
    }
    fn install(&self, _: &mut dyn Session) -> Result<(), Fail> {
        not_asked()
    }
    fn identity(&self, _: &mut dyn Session) -> Result<Identity, Fail> {
        not_asked()
    }
    fn set_identity(&self, _: &mut dyn Session, _: &Identity) -> Result<(), Fail> {
        not_asked()
    }
    fn records(&self, _: &mut dyn Session) -> Result<Vec<Record>, Fail> {
        not_asked()
    }
    fn start(&self, _: &mut dyn Session, _: &Record) -> Result<(), Fail> {
        not_asked()
    }
    fn set_state(&self, _: &mut dyn Session, _: &MigrationId, _: State) -> Result<(), Fail> {
        not_asked()
    }
    fn events(&self, _: &mut dyn Session, _: &MigrationId, _: u32) -> Result<Vec<Event>, Fail> {
        not_asked()
    }
    fn record(&self, _: &mut dyn Session, _: &Event) -> Result<(), Fail> {
        not_asked()
    }
    fn checkpoint(&self, _: &mut dyn Session, _: &MigrationId, _: u32, _: u32) -> Result<Option<Checkpoint>, Fail> {
        not_asked()
    }
    fn set_checkpoint(&self, _: &mut dyn Session, _: &MigrationId, _: u32, _: &Checkpoint) -> Result<(), Fail> {
        not_asked()
    }
    fn checkpoint_to_cut(
        &self,
        _: &mut dyn Session,
        _: &MigrationId,
        _: u32,
        _: u32,
    ) -> Result<Option<Checkpoint>, Fail> {
        not_asked()
    }
    fn spans(&self, _: &mut dyn Session, _: &MigrationId, _: u32, _: u32) -> Result<Vec<Span>, Fail> {
        not_asked()
    }
    fn take_span(
        &self,
        _: &mut dyn Session,
        _: &MigrationId,
        _: u32,
        _: u32,
        _: &Worker,
        _: bool,
    ) -> Result<Option<Span>, Fail> {
        not_asked()
    }
    fn put_span(&self, _: &mut dyn Session, _: &MigrationId, _: u32, _: &Span, _: Option<&Worker>) -> Result<(), Fail> {
        not_asked()
    }
    fn end_span(&self, _: &mut dyn Session, _: &MigrationId, _: u32, _: &Span) -> Result<(), Fail> {
        not_asked()
    }
    fn quarantine(&self, _: &mut dyn Session, _: &MigrationId, _: u32, _: &[Quarantined]) -> Result<(), Fail> {
        not_asked()
    }
    fn quarantined(
        &self,
        _: &mut dyn Session,
        _: &MigrationId,
        _: u32,
        _: u32,
    ) -> Result<(u64, Vec<Quarantined>), Fail> {
        not_asked()
    }
    fn clear_quarantine(&self, _: &mut dyn Session, _: &MigrationId, _: u32, _: u32) -> Result<(), Fail> {
        not_asked()
    }
    fn check_readable(&self, _: &mut dyn Session) -> Result<(), Fail> {
        not_asked()
    }
    fn orders_to_change(&self, _: &mut dyn Session, _: &MigrationId) -> Result<Orders, Fail> {
        not_asked()
    }
    fn set_orders(&self, _: &mut dyn Session, _: &MigrationId, _: &Orders) -> Result<(), Fail> {
        not_asked()
    }
    fn epoch(&self, _: &mut dyn Session, _: &MigrationId) -> Result<Option<i64>, Fail> {
        not_asked()
    }
    fn claim(&self, _: &mut dyn Session, _: &MigrationId, _: &Holder, _: Duration) -> Result<Claim, Fail> {
        not_asked()
    }
    fn fence(&self, _: &mut dyn Session, _: &MigrationId, _: i64) -> Result<bool, Fail> {
        not_asked()
    }
    fn beat(&self, _: &mut dyn Session, _: &MigrationId, _: i64) -> Result<(), Fail> {
        not_asked()
    }
    fn release(&self, _: &mut dyn Session, _: &MigrationId, _: i64) -> Result<(), Fail> {
        not_asked()
    }
    fn end_leftovers(&self, _: &mut dyn Session, _: &MigrationId) -> Result<Vec<Leftover>, Fail> {
        not_asked()
    }
    fn forget(&self, _: &mut dyn Session, _: &MigrationId) -> Result<(), Fail> {
        not_asked()
    }
}

/// A clock that a test moves.
#[derive(Default)]
pub(super) struct HandClock(Mutex<Duration>);

impl HandClock {
    pub(super) fn pass(&self, time: Duration) {
        *self.0.lock().unwrap() += time;
    }
}

impl Clock for HandClock {
    fn now(&self) -> Duration {
        *self.0.lock().unwrap()
    }

    fn wait(&self, time: Duration, _: &Stop) {
        self.pass(time);
    }
}
