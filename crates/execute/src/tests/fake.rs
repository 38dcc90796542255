//! A database in memory with transactions, whose connections can be made to break at any call.
//!
//! Its statements: `+x` makes x, `-x` removes x, `slow x` makes x outside a transaction in two moves, `fill` brings over the
//! rows `[$1, $2)`, `copy` copies them, `mend` repairs them; its questions: `extent`, `count`, `sample`, `missing x` and
//! `there x` (conditions), `settle x`, `stuck` (rows that cannot be converted), `held x` (rows in the copy x). `J …` is the
//! journal.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use segue_model::catalog::Catalog;
use segue_model::engine::Engine;
use segue_model::ident::{MigrationId, TableName};
use segue_model::journal::{Checkpoint, Claim, Event, Holder, Leftover, Record, State};
use segue_model::lock::RelationLock;
use segue_model::server::{Identity, Server, Version};
use segue_model::session::{Begin, Blocker, Cancel, Connector, Fail, FailKind, Journal, Session};
use segue_model::value::{Row, Value};

use crate::clock::Clock;
use crate::stop::Stop;

/// A row: whether its new side is absent, right or wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    Absent,
    Right,
    Wrong,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Store {
    pub(crate) things: BTreeSet<String>,
    pub(crate) rows: Vec<Side>,
    /// How often the application has written, and as of which write each row was copied.
    pub(crate) written: u64,
    pub(crate) copy: BTreeMap<usize, u64>,
    /// Rows whose value only the new shape holds.
    pub(crate) only_new: i64,
    pub(crate) records: Vec<Record>,
    pub(crate) events: Vec<Event>,
    pub(crate) checkpoints: Vec<(u32, Checkpoint)>,
    pub(crate) identity: Identity,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Break {
    /// The call is not carried out.
    Before,
    /// It is, and the answer does not arrive.
    After,
}

pub(crate) struct Inside {
    pub(crate) store: Store,
    pub(crate) calls: usize,
    /// The call at which something breaks, how, and whether the server stays away for good.
    pub(crate) breaks: Option<(usize, Break, bool)>,
    pub(crate) dead: bool,
    pub(crate) sessions: i64,
    pub(crate) lease: Option<(i64, Holder)>,
    pub(crate) epoch: i64,
    /// Somebody alive holds the lease.
    pub(crate) held: bool,
    /// Failures of the next calls of a kind, by the call's first word.
    pub(crate) fails: Vec<(String, Fail)>,
    pub(crate) blockers: Vec<Blocker>,
    pub(crate) leftovers: Vec<Vec<Leftover>>,
    pub(crate) lagging: usize,
    pub(crate) statements: Vec<String>,
    pub(crate) now_identity: Identity,
    pub(crate) beats: usize,
    /// Windows that hold this row cannot be filled.
    pub(crate) unconvertible_row: Option<i64>,
    pub(crate) stop_at: Option<(usize, Arc<Stop>)>,
    /// The call at which somebody else takes the lease, and the store as it was then. Not between fence and COMMIT: there
    /// a real fence's share lock keeps them waiting.
    pub(crate) steal_at: Option<usize>,
    pub(crate) stolen: Option<Store>,
    /// The call at which somebody makes a thing.
    pub(crate) appears: Option<(usize, &'static str)>,
    /// Who asks twice to stop while the index is being built.
    pub(crate) stops_index: Option<Arc<Stop>>,
    /// The first word of each call, and questions with the longest that they may take.
    pub(crate) words: Vec<String>,
    /// Statements that take their time, by their first word, and by whose clock.
    pub(crate) slow: Option<(&'static str, Duration, FakeClock)>,
    /// What each connection was for.
    pub(crate) labels: Vec<String>,
    pub(crate) asked: Vec<(String, Duration)>,
}

#[derive(Clone)]
pub(crate) struct Database {
    state: Arc<Mutex<Inside>>,
    journal: FakeJournal,
    with_hold: bool,
}

pub(crate) fn identity() -> Identity {
    Identity { system: "s".to_owned(), database: "d".to_owned(), timeline: 1 }
}

impl Database {
    pub(crate) fn new(with_hold: bool) -> Self {
        let store = Store {
            things: BTreeSet::from(["old".to_owned()]),
            rows: vec![Side::Absent; 10],
            written: 0,
            copy: BTreeMap::new(),
            only_new: 0,
            records: Vec::new(),
            events: Vec::new(),
            checkpoints: Vec::new(),
            identity: identity(),
        };
        let state = Inside {
            store,
            calls: 0,
            breaks: None,
            dead: false,
            sessions: 0,
            lease: None,
            epoch: 0,
            held: false,
            fails: Vec::new(),
            blockers: Vec::new(),
            leftovers: Vec::new(),
            lagging: 0,
            statements: Vec::new(),
            now_identity: identity(),
            beats: 0,
            unconvertible_row: None,
            stop_at: None,
            steal_at: None,
            stolen: None,
            appears: None,
            stops_index: None,
            words: Vec::new(),
            slow: None,
            labels: Vec::new(),
            asked: Vec::new(),
        };
        let state = Arc::new(Mutex::new(state));
        Self { journal: FakeJournal(Arc::clone(&state)), state, with_hold }
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, Inside> {
        self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// The server answers again; every connection of before is gone.
    pub(crate) fn revive(&self) {
        let mut state = self.state();
        state.dead = false;
        state.breaks = None;
        state.calls = 0;
    }

    pub(crate) fn fail_next(&self, word: &str, kind: FailKind, times: usize) {
        for _ in 0..times {
            self.state().fails.push((word.to_owned(), Fail::new(kind, format!("{kind:?} at {word}"))));
        }
    }
}

impl Connector for Database {
    fn engine(&self) -> Engine {
        Engine::Sqlite
    }

    fn address(&self) -> String {
        "fake".to_owned()
    }

    fn connect(&self, label: &str) -> Result<Box<dyn Session>, Fail> {
        let mut state = self.state();
        if state.dead {
            return Err(Fail::new(FailKind::Connect, "no answer"));
        }
        state.sessions += 1;
        state.labels.push(label.to_owned());
        Ok(Box::new(Connection { database: self.clone(), number: state.sessions, open: None, lost: false }))
    }

    fn journal(&self) -> &dyn Journal {
        &self.journal
    }

    fn hold(&self) -> Result<Option<Box<dyn Send>>, Fail> {
        if self.with_hold && self.state().held {
            return Err(Fail::new(FailKind::LockTimeout, "another process"));
        }
        Ok(self.with_hold.then(|| Box::new(()) as Box<dyn Send>))
    }
}

struct Connection {
    database: Database,
    number: i64,
    open: Option<Store>,
    lost: bool,
}

impl Connection {
    /// Counts a call and does it, unless the connection breaks at it.
    fn call<T>(
        &mut self,
        word: &str,
        op: impl FnOnce(&mut Inside, &mut Option<Store>) -> Result<T, Fail>,
    ) -> Result<T, Fail> {
        let database = self.database.clone();
        let mut state = database.state();
        let gone = || Fail::new(FailKind::Lost, "the connection is gone");
        if self.lost || state.dead {
            return Err(gone());
        }
        state.calls += 1;
        state.words.push(word.to_owned());
        if let Some((_, time, clock)) = state.slow.as_ref().filter(|(slow, ..)| *slow == word) {
            clock.pass(*time);
        }
        if let Some((_, thing)) = state.appears.filter(|(at, _)| *at == state.calls) {
            state.store.things.insert(thing.to_owned());
            if let Some(open) = &mut self.open {
                open.things.insert(thing.to_owned());
            }
        }
        let breaks = state.breaks.filter(|(at, ..)| *at == state.calls);
        if let Some((at, stop)) = &state.stop_at
            && *at == state.calls
        {
            stop.request();
        }
        if word != "commit" && state.steal_at.is_some_and(|at| state.calls >= at) {
            state.steal_at = None;
            state.epoch += 1;
            state.stolen = Some(state.store.clone());
        }
        if let Some((_, how, for_good)) = breaks {
            self.lost = true;
            state.dead = for_good;
            if how == Break::Before {
                return Err(gone());
            }
        }
        if let Some(at) = state.fails.iter().position(|(at, _)| at == word) {
            return Err(state.fails.remove(at).1);
        }
        let result = op(&mut state, &mut self.open);
        if breaks.is_some() { Err(gone()) } else { result }
    }
}

fn number(params: &[Value], at: usize) -> i64 {
    params[at].as_i64().unwrap()
}

fn part(params: &[Value], rows: usize) -> std::ops::Range<usize> {
    let bound = |at| usize::try_from(number(params, at)).unwrap().min(rows);
    bound(0)..bound(1)
}

fn change(store: &mut Store, word: &str, rest: &str, params: &[Value]) -> Result<u64, Fail> {
    let turn = |store: &mut Store, from: Side| {
        let range = part(params, store.rows.len());
        let mut changed = 0;
        for side in store.rows[range].iter_mut().filter(|side| **side == from) {
            *side = Side::Right;
            changed += 1;
        }
        changed
    };
    match word {
        "fill" => Ok(turn(store, Side::Absent)),
        "mend" => Ok(turn(store, Side::Wrong) + turn(store, Side::Absent)),
        "copy" => {
            assert!(store.things.contains("copy"), "rows are copied into nothing");
            let rows = part(params, store.rows.len());
            let copied = rows.len() as u64;
            store.copy.extend(rows.map(|row| (row, store.written)));
            Ok(copied)
        }
        "J" => journal_change(store, rest, params),
        _ if word.starts_with('+') => {
            assert!(store.things.insert(word[1..].to_owned()), "{word} twice");
            Ok(0)
        }
        _ if word.starts_with('-') => {
            store.things.remove(&word[1..]);
            if word == "-copy" {
                store.copy.clear();
            }
            if word == "-new" {
                store.rows.fill(Side::Absent);
            }
            Ok(0)
        }
        _ => panic!("the fake does not know `{word}`"),
    }
}

fn journal_change(store: &mut Store, what: &str, params: &[Value]) -> Result<u64, Fail> {
    let text = |at: usize| params[at].as_str().unwrap().to_owned();
    let int = |at: usize| u32::try_from(number(params, at)).unwrap();
    match what {
        "identity" => {
            store.identity = Identity { system: text(1), database: text(2), timeline: int(0) };
        }
        "start" => {
            let record = Record {
                id: MigrationId::new(text(0)).unwrap(),
                checksum: text(1),
                plan: text(2),
                hash: text(3),
                state: State::named(&text(4)).unwrap(),
                attempt: int(5),
                state_age_s: 0,
                changed_at: String::new(),
            };
            store.records.retain(|known| known.id != record.id);
            store.records.push(record);
        }
        "state" => {
            let record = store.records.iter_mut().find(|record| record.id.as_str() == text(0)).unwrap();
            record.state = State::named(&text(1)).unwrap();
        }
        "event" => store.events.push(Event {
            migration: MigrationId::new(text(0)).unwrap(),
            attempt: int(1),
            step: int(2),
            mark: segue_model::journal::Mark::named(&text(3)).unwrap(),
            pid: number(params, 4),
            backend_start: text(5),
            shape: text(6),
            note: text(7),
        }),
        "checkpoint" => {
            let (attempt, step) = (int(0), int(1));
            store.checkpoints.retain(|(a, at)| (*a, at.step) != (attempt, step));
            let rows = u64::try_from(number(params, 5)).unwrap();
            let at = Checkpoint { step, pass: int(2), next: number(params, 3), end: number(params, 4), rows };
            store.checkpoints.push((attempt, at));
        }
        _ => panic!("the fake's journal does not know `{what}`"),
    }
    Ok(1)
}

fn ask(store: &Store, sql: &str, params: &[Value]) -> Vec<Row> {
    let (word, rest) = sql.split_once(' ').unwrap_or((sql, ""));
    let count = |side: Side| {
        let range = part(params, store.rows.len());
        Value::Int(store.rows[range].iter().filter(|at| **at == side).count() as i64)
    };
    match word {
        "extent" => vec![vec![Value::Int(0), Value::Int(store.rows.len() as i64)]],
        "count" => {
            let rows = Value::Int(part(params, store.rows.len()).len() as i64);
            vec![vec![rows, count(Side::Wrong), count(Side::Absent)]]
        }
        "sample" => {
            let wrong = part(params, store.rows.len()).filter(|at| store.rows[*at] != Side::Right);
            wrong.map(|at| vec![Value::Text(format!("id {at}"))]).collect()
        }
        "missing" if store.things.contains(rest) => vec![],
        "missing" => vec![vec![Value::Text(format!("{rest} is missing"))]],
        "there" if store.things.contains(rest) => vec![vec![Value::Text(format!("{rest} is there"))]],
        "there" | "stuck" => vec![],
        "held" if store.things.contains(rest) => vec![vec![Value::Int(store.only_new)]],
        "settle" => {
            let broken = store.things.contains(&format!("{rest}!"));
            let word = if broken { "broken" } else { "undone" };
            vec![vec![Value::from(if store.things.contains(rest) { "done" } else { word })]]
        }
        _ => panic!("the fake has no answer to `{sql}`"),
    }
}

impl Session for Connection {
    fn server(&mut self) -> Result<Server, Fail> {
        self.call("server", |state, _| {
            Ok(Server {
                engine: Engine::Sqlite,
                version: Version { major: 3, minor: 54, patch: 0 },
                identity: state.now_identity.clone(),
                role: String::new(),
                superuser: false,
                bypass_row_security: false,
                standby: false,
                read_only: false,
                pooled: false,
                app_version: None,
                settings: std::collections::BTreeMap::new(),
            })
        })
    }

    fn inspect(&mut self) -> Result<Catalog, Fail> {
        panic!("nothing here looks at the whole catalog")
    }

    fn shape(&mut self, _: &[TableName]) -> Result<String, Fail> {
        self.call("shape", |state, open| {
            let store = open.as_ref().unwrap_or(&state.store);
            let things = store.things.iter().filter(|thing| !thing.starts_with("copy")).cloned();
            Ok(things.collect::<Vec<_>>().join("\n"))
        })
    }

    fn begin(&mut self, begin: Begin) -> Result<(), Fail> {
        let word = if begin == Begin::Read { "begin-read" } else { "begin" };
        self.call(word, |state, open| {
            assert!(open.is_none(), "a transaction in a transaction");
            *open = Some(state.store.clone());
            Ok(())
        })
    }

    fn commit(&mut self) -> Result<(), Fail> {
        self.call("commit", |state, open| {
            state.store = open.take().expect("a transaction to commit");
            Ok(())
        })
    }

    fn rollback(&mut self) {
        self.open = None;
    }

    fn lock(&mut self, _: &[RelationLock]) -> Result<(), Fail> {
        self.call("lock", |_, _| Ok(()))
    }

    fn execute(&mut self, sql: &str, params: &[Value], _: Duration) -> Result<u64, Fail> {
        let (word, rest) = sql.split_once(' ').unwrap_or((sql, ""));
        if word == "slow" {
            self.call("slow", |state, open| {
                assert!(open.is_none(), "`slow` runs outside a transaction");
                assert!(state.store.things.insert(format!("{rest}!")), "{rest} is broken already");
                Ok(())
            })?;
            return self.call("slow", |state, _| {
                if let Some(stop) = state.stops_index.take() {
                    stop.request();
                    stop.request();
                    return Err(Fail::new(FailKind::Cancelled, "cancelled"));
                }
                state.store.things.remove(&format!("{rest}!"));
                state.store.things.insert(rest.to_owned());
                Ok(0)
            });
        }
        self.call(word, |state, open| {
            let bad = state
                .unconvertible_row
                .is_some_and(|row| word == "fill" && (number(params, 0)..number(params, 1)).contains(&row));
            if bad {
                return Err(Fail::new(FailKind::Conversion, "it cannot be converted"));
            }
            if word != "J" {
                state.statements.push(sql.to_owned());
            }
            change(open.as_mut().unwrap_or(&mut state.store), word, rest, params)
        })
    }

    fn query(&mut self, sql: &str, params: &[Value], limit: Duration) -> Result<Vec<Row>, Fail> {
        let word = sql.split(' ').next().unwrap();
        self.database.state().asked.push((sql.to_owned(), limit));
        self.call(word, |state, open| Ok(ask(open.as_ref().unwrap_or(&state.store), sql, params)))
    }

    fn blockers(&mut self, _: &[RelationLock]) -> Result<Vec<Blocker>, Fail> {
        self.call("blockers", |state, _| Ok(state.blockers.clone()))
    }

    fn backend(&mut self) -> Result<(i64, String), Fail> {
        let number = self.number;
        self.call("backend", |_, _| Ok((number, "then".to_owned())))
    }

    fn canceller(&self) -> Box<dyn Cancel> {
        struct Nothing;
        impl Cancel for Nothing {
            fn cancel(&self) {}
        }
        Box::new(Nothing)
    }

    fn lagging_standbys(&mut self) -> Result<Vec<String>, Fail> {
        self.call("standbys", |state, _| {
            state.lagging = state.lagging.saturating_sub(1);
            Ok(if state.lagging > 0 { vec!["replica2".to_owned()] } else { Vec::new() })
        })
    }
}

/// Writes by the session's statements, so that they are part of its transactions; reads what is committed.
#[derive(Clone)]
struct FakeJournal(Arc<Mutex<Inside>>);

const QUICK: Duration = Duration::from_secs(1);

impl FakeJournal {
    /// Spends one call on the session, so that it can break here; then reads or writes the lease.
    fn on_lease<T>(&self, session: &mut dyn Session, op: impl FnOnce(&mut Inside) -> T) -> Result<T, Fail> {
        session.query("there nothing", &[], QUICK)?;
        Ok(op(&mut self.0.lock().unwrap()))
    }

    /// Spends one call, then reads what is committed.
    fn read<T>(&self, session: &mut dyn Session, op: impl FnOnce(&Store) -> T) -> Result<T, Fail> {
        self.on_lease(session, |state| op(&state.store))
    }
}

impl Journal for FakeJournal {
    fn exists(&self, session: &mut dyn Session) -> Result<bool, Fail> {
        session.query("there journal", &[], QUICK).map(|_| true)
    }

    fn install(&self, session: &mut dyn Session) -> Result<(), Fail> {
        session.query("there journal", &[], QUICK).map(drop)
    }

    fn identity(&self, session: &mut dyn Session) -> Result<Identity, Fail> {
        self.read(session, |store| store.identity.clone())
    }

    fn set_identity(&self, session: &mut dyn Session, identity: &Identity) -> Result<(), Fail> {
        let params = [
            Value::Int(i64::from(identity.timeline)),
            identity.system.as_str().into(),
            identity.database.as_str().into(),
        ];
        session.execute("J identity", &params, QUICK).map(drop)
    }

    fn records(&self, session: &mut dyn Session) -> Result<Vec<Record>, Fail> {
        self.read(session, |store| store.records.clone())
    }

    fn start(&self, session: &mut dyn Session, record: &Record) -> Result<(), Fail> {
        let params = [
            record.id.as_str().into(),
            record.checksum.as_str().into(),
            record.plan.as_str().into(),
            record.hash.as_str().into(),
            record.state.name().into(),
            Value::Int(i64::from(record.attempt)),
        ];
        session.execute("J start", &params, QUICK).map(drop)
    }

    fn set_state(&self, session: &mut dyn Session, id: &MigrationId, state: State) -> Result<(), Fail> {
        session.execute("J state", &[id.as_str().into(), state.name().into()], QUICK).map(drop)
    }

    fn events(&self, session: &mut dyn Session, id: &MigrationId, attempt: u32) -> Result<Vec<Event>, Fail> {
        let ours = |event: &&Event| event.attempt == attempt && event.migration == *id;
        self.read(session, |store| store.events.iter().filter(ours).cloned().collect())
    }

    fn record(&self, session: &mut dyn Session, event: &Event) -> Result<(), Fail> {
        let params = [
            event.migration.as_str().into(),
            Value::Int(i64::from(event.attempt)),
            Value::Int(i64::from(event.step)),
            event.mark.name().into(),
            Value::Int(event.pid),
            event.backend_start.as_str().into(),
            event.shape.as_str().into(),
            event.note.as_str().into(),
        ];
        session.execute("J event", &params, QUICK).map(drop)
    }

    fn checkpoint(
        &self,
        session: &mut dyn Session,
        _: &MigrationId,
        attempt: u32,
        step: u32,
    ) -> Result<Option<Checkpoint>, Fail> {
        self.read(session, |store| {
            let mut all = store.checkpoints.iter().filter(|(a, at)| (*a, at.step) == (attempt, step));
            all.next().map(|(_, at)| at.clone())
        })
    }

    fn set_checkpoint(
        &self,
        session: &mut dyn Session,
        _: &MigrationId,
        attempt: u32,
        at: &Checkpoint,
    ) -> Result<(), Fail> {
        let params = [
            Value::Int(i64::from(attempt)),
            Value::Int(i64::from(at.step)),
            Value::Int(i64::from(at.pass)),
            Value::Int(at.next),
            Value::Int(at.end),
            Value::Int(i64::try_from(at.rows).unwrap()),
        ];
        session.execute("J checkpoint", &params, QUICK).map(drop)
    }

    fn claim(&self, session: &mut dyn Session, _: &MigrationId, holder: &Holder, _: Duration) -> Result<Claim, Fail> {
        self.on_lease(session, |state| {
            if state.held {
                let by = Holder { name: "somebody else".to_owned(), pid: 7, backend_start: String::new() };
                return Claim::Held { by, beat_age_s: 3 };
            }
            state.epoch += 1;
            let from = state.lease.replace((state.epoch, holder.clone())).map(|(_, from)| from);
            Claim::Taken { epoch: state.epoch, from }
        })
    }

    fn fence(&self, session: &mut dyn Session, _: &MigrationId, epoch: i64) -> Result<bool, Fail> {
        self.on_lease(session, |state| state.epoch == epoch)
    }

    fn beat(&self, session: &mut dyn Session, _: &MigrationId, _: i64) -> Result<(), Fail> {
        self.on_lease(session, |state| state.beats += 1)
    }

    fn release(&self, session: &mut dyn Session, _: &MigrationId, epoch: i64) -> Result<(), Fail> {
        self.on_lease(session, |state| {
            if state.epoch == epoch {
                state.lease = None;
            }
        })
    }

    fn holder(&self, session: &mut dyn Session, _: &MigrationId) -> Result<Option<(Holder, u64)>, Fail> {
        self.on_lease(session, |state| state.lease.clone().map(|(_, holder)| (holder, 2)))
    }

    fn forget(&self, _: &mut dyn Session, _: &MigrationId) -> Result<(), Fail> {
        Err(Fail::new(FailKind::Usage, "a run forgets nothing"))
    }

    fn end_leftovers(&self, session: &mut dyn Session, _: &MigrationId) -> Result<Vec<Leftover>, Fail> {
        self.on_lease(session, |state| if state.leftovers.is_empty() { Vec::new() } else { state.leftovers.remove(0) })
    }
}

/// A clock that moves when it is looked at, and jumps when somebody waits. Clones are the same clock.
#[derive(Debug, Default, Clone)]
pub(crate) struct FakeClock {
    micros: Arc<AtomicUsize>,
    waits: Arc<Mutex<Vec<Duration>>>,
}

impl FakeClock {
    fn pass(&self, time: Duration) {
        self.micros.fetch_add(usize::try_from(time.as_micros()).unwrap(), Ordering::SeqCst);
    }

    pub(crate) fn waits(&self) -> Vec<Duration> {
        self.waits.lock().unwrap().clone()
    }
}

impl Clock for FakeClock {
    fn now(&self) -> Duration {
        Duration::from_micros(self.micros.fetch_add(1, Ordering::SeqCst) as u64)
    }

    fn wait(&self, time: Duration, _: &Stop) {
        self.waits.lock().unwrap().push(time);
        self.pass(time);
    }
}
