//! A database in memory with transactions, whose connections can be made to break at any call.
//!
//! Its statements: `+x` makes x, `-x` removes x, `slow x` makes x outside a transaction in two moves, `fill` brings over the
//! rows `[$1, $2)` (as text: from key `$1` to key `$2`), `free` those of them that nobody has locked, `copy` copies them,
//! `add` those that are not copied yet, `mend` repairs them, `vacuum` clears dead rows; its questions: `extent`, `keys`, `key`, `total`, `count`, `sample`,
//! `missing x` and `there x` (conditions), `settle x`, `stuck` and `list` (rows that cannot be converted), `bytes`,
//! `snapshots`, `held x` (rows in the copy x). `J …` is the journal.
//!
//! One writing transaction is open at a time; whoever begins another waits, and so does a statement outside of one.

mod journal;
mod rows;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::Duration;

use segue_model::catalog::Catalog;
use segue_model::engine::Engine;
use segue_model::ident::{MigrationId, TableName};
use segue_model::journal::{Checkpoint, Event, Holder, Leftover, Orders, Quarantined, Record, Span, State, Worker};
use segue_model::lock::RelationLock;
use segue_model::pressure::{Reading, Signal};
use segue_model::server::{Identity, Server, Version};
use segue_model::session::{Begin, Blocker, Cancel, Connector, Fail, FailKind, Journal, Session};
use segue_model::value::{Row, Value};

use crate::clock::Clock;
use crate::stop::Stop;
use rows::{checkpoint, checkpoint_values, span, span_values};

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
    /// How often each row was in a window that was filled.
    pub(crate) touched: Vec<u32>,
    /// Rows that cannot be converted, and stay absent.
    pub(crate) stuck: BTreeSet<usize>,
    /// Columns of each of them that have no value.
    pub(crate) stuck_columns: usize,
    /// How often the application has written, and as of which write each row was copied.
    pub(crate) written: u64,
    pub(crate) copy: BTreeMap<usize, u64>,
    /// Rows whose value only the new shape holds.
    pub(crate) only_new: i64,
    pub(crate) records: Vec<Record>,
    pub(crate) events: Vec<Event>,
    pub(crate) checkpoints: Vec<(u32, Checkpoint)>,
    pub(crate) spans: Vec<(u32, Span, Option<Worker>)>,
    pub(crate) quarantine: Vec<(u32, Quarantined)>,
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
    /// The journal is of a format that nobody here knows.
    pub(crate) foreign_format: bool,
    /// Failures of the next calls of a kind, by the call's first word.
    pub(crate) fails: Vec<(String, Fail)>,
    pub(crate) blockers: Vec<Blocker>,
    pub(crate) leftovers: Vec<Vec<Leftover>>,
    pub(crate) lagging: usize,
    /// Seconds that a standby is behind; `None`: there is none.
    pub(crate) lag_s: Option<f64>,
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
    /// The first word of each call, and questions and fills with the longest that they may take.
    pub(crate) words: Vec<String>,
    /// Statements that take their time, by their first word, and by whose clock.
    pub(crate) slow: Option<(&'static str, Duration, FakeClock)>,
    /// What each connection was for.
    pub(crate) labels: Vec<String>,
    pub(crate) asked: Vec<(String, Duration)>,
    /// Sessions whose backend is there.
    pub(crate) living: BTreeSet<i64>,
    /// The session that has the one writing transaction.
    writer: Option<i64>,
    /// Rows that others have locked, and how many tries they stay so.
    pub(crate) locked: BTreeMap<usize, u32>,
    pub(crate) orders: Orders,
    /// What a run elsewhere has told of itself, and how many seconds ago.
    pub(crate) figures: Option<(String, u64)>,
    /// Somebody else is at work in the database.
    pub(crate) busy: bool,
    /// The table's size, and who keeps its dead rows, for how many questions.
    pub(crate) bytes: i64,
    pub(crate) snapshots: u32,
    /// The database's clock, and a snapshot that is there from one moment to another. Each look at snapshots takes a second.
    pub(crate) now_s: i64,
    pub(crate) report: Option<(i64, i64)>,
    /// Sessions of others cannot be looked into.
    pub(crate) hidden: bool,
    /// Called with each call's word and session, before it is carried out.
    pub(crate) watches: Option<Watcher>,
}

/// Does what a test wants at a call.
pub(crate) type Watcher = Box<dyn FnMut(&str, i64, &mut Inside) + Send>;

#[derive(Clone)]
pub(crate) struct Database {
    state: Arc<Mutex<Inside>>,
    journal: FakeJournal,
    with_hold: bool,
    /// The writing transaction has ended.
    free: Arc<Condvar>,
    /// How many sessions were told to cancel their statement.
    pub(crate) cancelled: Arc<AtomicUsize>,
}

pub(crate) fn identity() -> Identity {
    Identity { system: "s".to_owned(), database: "d".to_owned(), timeline: 1 }
}

impl Database {
    pub(crate) fn new(with_hold: bool) -> Self {
        let store = Store {
            things: BTreeSet::from(["old".to_owned()]),
            rows: vec![Side::Absent; 10],
            touched: vec![0; 10],
            stuck: BTreeSet::new(),
            stuck_columns: 1,
            written: 0,
            copy: BTreeMap::new(),
            only_new: 0,
            records: Vec::new(),
            events: Vec::new(),
            checkpoints: Vec::new(),
            spans: Vec::new(),
            quarantine: Vec::new(),
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
            foreign_format: false,
            fails: Vec::new(),
            blockers: Vec::new(),
            leftovers: Vec::new(),
            lagging: 0,
            lag_s: None,
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
            living: BTreeSet::new(),
            writer: None,
            locked: BTreeMap::new(),
            orders: Orders::default(),
            figures: None,
            busy: true,
            bytes: 1000,
            snapshots: 0,
            now_s: 1_000_000,
            report: None,
            hidden: false,
            watches: None,
        };
        let state = Arc::new(Mutex::new(state));
        Self {
            journal: FakeJournal(Arc::clone(&state)),
            state,
            with_hold,
            free: Arc::default(),
            cancelled: Arc::default(),
        }
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, Inside> {
        self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// The server answers again; every connection of before is gone.
    pub(crate) fn revive(&self) {
        let mut state = self.state();
        state.dead = false;
        state.living.clear();
        state.writer = None;
        state.breaks = None;
        state.calls = 0;
    }

    /// A table of so many rows, none of which is brought over.
    pub(crate) fn with_rows(self, rows: usize) -> Self {
        let mut state = self.state();
        state.store.rows = vec![Side::Absent; rows];
        state.store.touched = vec![0; rows];
        drop(state);
        self
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
        let number = state.sessions;
        state.living.insert(number);
        // What only looks is at work at its own times: it must not change which call of a run comes when.
        let looks = label.ends_with(" watch");
        if !looks {
            state.labels.push(label.to_owned());
        }
        drop(state);
        Ok(Box::new(Connection { database: self.clone(), number, open: None, lost: false, looks }))
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
    looks: bool,
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.end_transaction();
        self.database.state().living.remove(&self.number);
    }
}

impl Connection {
    /// Lets the next one write.
    fn end_transaction(&mut self) {
        self.open = None;
        let mut state = self.database.state();
        if state.writer == Some(self.number) {
            state.writer = None;
        }
        drop(state);
        self.database.free.notify_all();
    }

    /// Waits until nobody else has the writing transaction.
    fn wait_to_write(&self) {
        let number = self.number;
        let state = self.database.state();
        let taken = |state: &mut Inside| state.writer.is_some_and(|writer| writer != number) && !state.dead;
        let waited = self.database.free.wait_while(state, taken);
        waited.unwrap_or_else(std::sync::PoisonError::into_inner).writer = Some(number);
    }

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
        if self.looks {
            return op(&mut state, &mut self.open);
        }
        state.calls += 1;
        state.words.push(word.to_owned());
        if let Some(mut watches) = state.watches.take() {
            watches(word, self.number, &mut state);
            state.watches.get_or_insert(watches);
        }
        if state.dead || !state.living.contains(&self.number) {
            self.lost = true;
            drop(state);
            self.end_transaction();
            return Err(gone());
        }
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
            state.living.remove(&self.number);
            if how == Break::Before {
                drop(state);
                self.end_transaction();
                return Err(gone());
            }
        }
        if let Some(at) = state.fails.iter().position(|(at, _)| at == word) {
            return Err(state.fails.remove(at).1);
        }
        let result = op(&mut state, &mut self.open);
        drop(state);
        if breaks.is_some() {
            self.end_transaction();
            return Err(gone());
        }
        result
    }

    fn execute_here(&mut self, sql: &str, params: &[Value]) -> Result<u64, Fail> {
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
            if word == "fill" || word == "free" {
                return fill(state, open, params, word == "free");
            }
            change(open.as_mut().unwrap_or(&mut state.store), word, rest, params)
        })
    }
}

fn number(params: &[Value], at: usize) -> i64 {
    params[at].as_i64().unwrap()
}

fn part(params: &[Value], rows: usize) -> std::ops::Range<usize> {
    if let [Value::Text(from), Value::Text(to), ..] = params {
        return from.parse().unwrap()..(to.parse::<usize>().unwrap() + 1).min(rows);
    }
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
        "vacuum" => Ok(0),
        "mend" => Ok(turn(store, Side::Wrong) + turn(store, Side::Absent)),
        "copy" => {
            assert!(store.things.contains("copy"), "rows are copied into nothing");
            let rows = part(params, store.rows.len());
            let copied = rows.len() as u64;
            store.copy.extend(rows.map(|row| (row, store.written)));
            Ok(copied)
        }
        "add" => {
            assert!(store.things.contains("copy"), "rows are copied into nothing");
            let before = store.copy.len();
            for row in part(params, store.rows.len()) {
                store.copy.entry(row).or_insert(store.written);
            }
            Ok((store.copy.len() - before) as u64)
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
            let (attempt, at) = (int(0), checkpoint(&params[1..]));
            store.checkpoints.retain(|(a, known)| (*a, known.step) != (attempt, at.step));
            store.checkpoints.push((attempt, at));
        }
        "span" => {
            let (attempt, span) = (int(0), span(&params[1..]));
            let worker = params[9].as_i64().map(|pid| Worker { pid, backend_start: text(10) });
            store.spans.retain(|(a, known, _)| (*a, known.step, known.number) != (attempt, span.step, span.number));
            store.spans.push((attempt, span, worker));
            store.spans.sort_by_key(|(_, span, _)| span.number);
        }
        "end" => {
            let (attempt, span) = (int(0), span(&params[1..]));
            let before = store.spans.len();
            store.spans.retain(|(a, known, _)| (*a, known.step, known.number) != (attempt, span.step, span.number));
            assert_eq!(store.spans.len() + 1, before, "a span that is ended is there: {span:?}");
            let at = store.checkpoints.iter_mut().find(|(a, at)| (*a, at.step) == (attempt, span.step)).unwrap();
            (at.1.done, at.1.rows) = (at.1.done + span.done, at.1.rows + span.rows);
        }
        "quarantine" => {
            let row = Quarantined { step: int(1), key: text(2), column: text(3), error: text(4) };
            store.quarantine.retain(|(a, known)| (*a, known.step, &known.key) != (int(0), row.step, &row.key));
            store.quarantine.push((int(0), row));
        }
        "clear" => store.quarantine.retain(|(a, row)| (*a, row.step) != (int(0), int(1))),
        _ => panic!("the fake's journal does not know `{what}`"),
    }
    Ok(1)
}

/// Fills the rows of a window; `free` passes over those that others have locked.
fn fill(state: &mut Inside, open: &mut Option<Store>, params: &[Value], free: bool) -> Result<u64, Fail> {
    let store = open.as_mut().expect("a window has a transaction");
    let range = part(params, store.rows.len());
    let wanted = |store: &Store, row: usize| store.rows[row] == Side::Absent && !store.stuck.contains(&row);
    let locked: Vec<usize> =
        range.clone().filter(|row| wanted(store, *row) && state.locked.contains_key(row)).collect();
    if !free && !locked.is_empty() {
        for row in locked {
            let left = state.locked.get_mut(&row).unwrap();
            *left -= 1;
            if *left == 0 {
                state.locked.remove(&row);
            }
        }
        return Err(Fail::new(FailKind::LockTimeout, "a row is locked"));
    }
    let mut changed = 0;
    for row in range {
        if free && locked.contains(&row) {
            continue;
        }
        store.touched[row] += 1;
        if wanted(store, row) {
            store.rows[row] = Side::Right;
            changed += 1;
        }
    }
    Ok(changed)
}

fn ask(store: &Store, sql: &str, params: &[Value]) -> Vec<Row> {
    let (word, rest) = sql.split_once(' ').unwrap_or((sql, ""));
    let count = |side: Side| {
        let range = part(params, store.rows.len());
        Value::Int(store.rows[range].iter().filter(|at| **at == side).count() as i64)
    };
    match word {
        "extent" => vec![vec![Value::Int(0), Value::Int(store.rows.len() as i64)]],
        "keys" if store.rows.is_empty() => vec![],
        "keys" => vec![vec![key(0), key(store.rows.len() - 1)]],
        "key" => {
            let range = part(params, store.rows.len());
            let last = range.start + usize::try_from(number(params, 2)).unwrap() - 1;
            if last + 1 < range.end { vec![vec![key(last), key(last + 1)]] } else { vec![] }
        }
        "total" => vec![vec![Value::Int(store.rows.len() as i64)]],
        "list" => {
            let stuck = part(params, store.rows.len()).filter(|row| store.stuck.contains(row));
            let row = |row| vec![key(row), "age".into(), format!("bad value \"secret {row}\"").into()];
            stuck.flat_map(|at| std::iter::repeat_n(at, store.stuck_columns)).map(row).collect()
        }
        "stuck" => vec![vec![Value::Int(store.stuck.len() as i64)]],
        "J" => match rest {
            "checkpoint" => {
                let ours = |(a, at): &&(u32, Checkpoint)| (i64::from(*a), i64::from(at.step)) == pair(params);
                store.checkpoints.iter().filter(ours).map(|(_, at)| checkpoint_values(at)).collect()
            }
            "spans" => {
                let ours =
                    |(a, span, _): &&(u32, Span, Option<Worker>)| (i64::from(*a), i64::from(span.step)) == pair(params);
                let row = |(_, span, worker): &(u32, Span, Option<Worker>)| {
                    let mut row = span_values(span);
                    row.push(worker.as_ref().map_or(Value::Null, |worker| Value::Int(worker.pid)));
                    row
                };
                store.spans.iter().filter(ours).map(row).collect()
            }
            _ => panic!("the fake's journal has no answer to `{rest}`"),
        },
        "count" => {
            let rows = Value::Int(part(params, store.rows.len()).len() as i64);
            vec![vec![rows, count(Side::Wrong), count(Side::Absent)]]
        }
        "compare" => {
            let rows = part(params, store.rows.len()).len() as i64;
            let right = store.rows[part(params, store.rows.len())].iter().filter(|at| **at == Side::Right).count();
            vec![vec![Value::Int(rows), rows.to_string().into(), Value::Int(rows), right.to_string().into()]]
        }
        "differ" => {
            let rows = part(params, store.rows.len()).len() as i64;
            vec![vec![Value::Int(rows), "1".into(), Value::Int(rows), "2".into()]]
        }
        "sample" => {
            let wrong = part(params, store.rows.len()).filter(|at| store.rows[*at] != Side::Right);
            wrong.map(|at| vec![Value::Text(format!("id {at}"))]).collect()
        }
        "missing" if store.things.contains(rest) => vec![],
        "missing" => vec![vec![Value::Text(format!("{rest} is missing"))]],
        "has" => vec![vec![Value::Int(i64::from(store.things.contains(rest)))]],
        "there" if store.things.contains(rest) => vec![vec![Value::Text(format!("{rest} is there"))]],
        "there" => vec![],
        "held" if store.things.contains(rest) => vec![vec![Value::Int(store.only_new)]],
        "settle" => {
            let broken = store.things.contains(&format!("{rest}!"));
            let word = if broken { "broken" } else { "undone" };
            vec![vec![Value::from(if store.things.contains(rest) { "done" } else { word })]]
        }
        _ => panic!("the fake has no answer to `{sql}`"),
    }
}

fn key(row: usize) -> Value {
    Value::Text(format!("{row:06}"))
}

fn pair(params: &[Value]) -> (i64, i64) {
    (number(params, 0), number(params, 1))
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
                silences_triggers: false,
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
        if begin != Begin::Read {
            self.wait_to_write();
        }
        let begun = self.call(word, |state, open| {
            assert!(open.is_none(), "a transaction in a transaction");
            *open = Some(state.store.clone());
            Ok(())
        });
        if begun.is_err() {
            self.end_transaction();
        }
        begun
    }

    fn commit(&mut self) -> Result<(), Fail> {
        self.call("commit", |state, open| {
            let written = open.take().expect("a transaction to commit");
            if state.writer.is_some() {
                state.store = written;
            }
            Ok(())
        })?;
        self.end_transaction();
        Ok(())
    }

    fn rollback(&mut self) {
        self.end_transaction();
    }

    fn lock(&mut self, _: &[RelationLock]) -> Result<(), Fail> {
        self.call("lock", |_, _| Ok(()))
    }

    fn execute(&mut self, sql: &str, params: &[Value], limit: Duration) -> Result<u64, Fail> {
        if sql == "fill" {
            self.database.state().asked.push((sql.to_owned(), limit));
        }
        if self.open.is_some() {
            return self.execute_here(sql, params);
        }
        // A statement by itself is a transaction too: what it writes must not be lost under another one's COMMIT.
        self.wait_to_write();
        let result = self.execute_here(sql, params);
        self.end_transaction();
        result
    }

    fn query(&mut self, sql: &str, params: &[Value], limit: Duration) -> Result<Vec<Row>, Fail> {
        let word = sql.split(' ').next().unwrap();
        self.database.state().asked.push((sql.to_owned(), limit));
        self.call(word, |state, open| {
            if sql == "bytes" {
                return Ok(vec![vec![Value::Int(state.bytes)]]);
            }
            if sql == "snapshots" {
                state.snapshots = state.snapshots.saturating_sub(1);
                state.now_s += 1;
                let (now, age) = (state.now_s, number(params, 0));
                let is_there =
                    state.report.is_some_and(|(began, ends)| (began..ends).contains(&now) && began < now - age);
                let known = (state.snapshots > 0 || is_there).then(|| vec!["a report of 42".into(), "known".into()]);
                let hidden = state.hidden.then(|| vec!["hidden sessions".into(), "maybe".into()]);
                return Ok(known.into_iter().chain(hidden).collect());
            }
            Ok(ask(open.as_ref().unwrap_or(&state.store), sql, params))
        })
    }

    fn blockers(&mut self, _: &[RelationLock]) -> Result<Vec<Blocker>, Fail> {
        self.call("blockers", |state, _| Ok(state.blockers.clone()))
    }

    fn backend(&mut self) -> Result<(i64, String), Fail> {
        let number = self.number;
        self.call("backend", |_, _| Ok((number, "then".to_owned())))
    }

    fn canceller(&self) -> Box<dyn Cancel> {
        struct Counts(Arc<AtomicUsize>);
        impl Cancel for Counts {
            fn cancel(&self) {
                self.0.fetch_add(1, Ordering::SeqCst);
            }
        }
        Box::new(Counts(Arc::clone(&self.database.cancelled)))
    }

    fn pressure(&mut self, signals: &[Signal]) -> Result<Vec<(Signal, Reading)>, Fail> {
        let signals = signals.to_vec();
        self.call("pressure", |state, _| {
            let reading = |signal| match (signal, state.lag_s) {
                (Signal::ReplicaLag, Some(lag_s)) => Reading::Value(lag_s),
                _ => Reading::Nothing,
            };
            Ok(signals.iter().map(|signal| (*signal, reading(*signal))).collect())
        })
    }

    fn others_at_work(&mut self) -> Result<bool, Fail> {
        self.call("others", |state, _| Ok(state.busy))
    }

    fn seconds_now(&mut self) -> Result<i64, Fail> {
        self.call("seconds", |state, _| Ok(state.now_s))
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

/// A clock that moves when it is looked at, and jumps when somebody waits. Clones are the same clock.
#[derive(Debug, Default, Clone)]
pub(crate) struct FakeClock {
    micros: Arc<AtomicUsize>,
    waits: Arc<Mutex<Vec<Duration>>>,
    /// Who waits lets the other threads go on.
    pub(crate) yields: bool,
}

impl FakeClock {
    pub(crate) fn pass(&self, time: Duration) {
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
        if self.yields {
            crate::clock::Bell::default().wait(Duration::from_micros(200));
        }
    }
}
