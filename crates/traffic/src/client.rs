//! One client: a process slot that runs the old version, the new one, or both side by side, on its own connections.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU16, AtomicU32, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use fastrand::Rng;
use segue_model::value::{Row, Value};

use crate::choice::{Keys, Wish};
use crate::connection::Connection;
use crate::op::{Kind, Op, Sent, Version};
use crate::place::{Fault, Place};
use crate::report::{KEPT, Latency};
use crate::scenario::Scenario;

/// How long a lost backend may still be at work before its outcome is read.
const SETTLE_AFTER: Duration = Duration::from_millis(500);
const RECONNECT_TRIES: u32 = 40;
const RECONNECT_PAUSE: Duration = Duration::from_millis(250);
/// The wait between requests is cut, so that a stop is seen soon.
const NAP: Duration = Duration::from_millis(50);

/// What all clients share.
pub(crate) struct Shared {
    pub(crate) place: Place,
    pub(crate) scenario: Scenario,
    pub(crate) keys: Keys,
    pub(crate) begin: Instant,
    pub(crate) old: Gate,
    pub(crate) new: Gate,
    pub(crate) stop: AtomicBool,
    pub(crate) era: AtomicU16,
    pub(crate) ready: AtomicBool,
    /// How often a prepared statement of one connection may become stale: once a swap.
    pub(crate) swaps: AtomicU32,
    pub(crate) requests: AtomicU64,
    pub(crate) failed: AtomicU64,
}

impl Shared {
    pub(crate) fn gate(&self, version: Version) -> &Gate {
        match version {
            Version::Old => &self.old,
            Version::New => &self.new,
        }
    }

    pub(crate) fn stopped(&self) -> bool {
        self.stop.load(Ordering::SeqCst)
    }
}

/// Whether one version runs, and how many of its requests are under way.
#[derive(Debug, Default)]
pub(crate) struct Gate {
    open: AtomicBool,
    inside: AtomicU32,
}

impl Gate {
    pub(crate) fn is_open(&self) -> bool {
        self.open.load(Ordering::SeqCst)
    }

    pub(crate) fn set(&self, open: bool) {
        self.open.store(open, Ordering::SeqCst);
    }

    /// Closes the gate and waits until the last request is answered: every request has a deadline of its own.
    pub(crate) fn drain(&self) {
        self.set(false);
        while self.inside.load(Ordering::SeqCst) > 0 {
            thread::sleep(Duration::from_millis(1));
        }
    }

    fn enter(&self) -> bool {
        self.inside.fetch_add(1, Ordering::SeqCst);
        let open = self.is_open();
        if !open {
            self.leave();
        }
        open
    }

    fn leave(&self) {
        self.inside.fetch_sub(1, Ordering::SeqCst);
    }
}

/// What one client did and saw.
#[derive(Default)]
pub(crate) struct Log {
    pub(crate) sent: Vec<Sent>,
    pub(crate) latencies: Vec<Latency>,
    pub(crate) failures: Vec<String>,
    pub(crate) failed: u64,
    /// Of these, because the connection was gone.
    pub(crate) cut: u64,
    pub(crate) replanned: u64,
    pub(crate) lost: u64,
    pub(crate) lost_first: Vec<String>,
}

/// One client.
pub(crate) struct Client {
    shared: Arc<Shared>,
    rng: Rng,
    old: Process,
    new: Process,
    log: Log,
}

/// One version in one client.
#[derive(Default)]
struct Process {
    connection: Option<Box<dyn Connection>>,
    replanned: HashMap<&'static str, u32>,
    /// The last write of this version that named its columns.
    wrote: Option<(Op, i64)>,
}

impl Client {
    pub(crate) fn new(shared: Arc<Shared>, seed: u64) -> Self {
        let rng = Rng::with_seed(seed);
        Self { shared, rng, old: Process::default(), new: Process::default(), log: Log::default() }
    }

    /// Sends a request every `every`, the first at `offset`, until stopped. A late answer does not move later requests:
    /// they are sent at once, and their latency counts from when they should have been sent.
    pub(crate) fn run(mut self, offset: Duration, every: Duration) -> Log {
        let mut intended = offset;
        while self.sleep_until(intended) {
            self.end_stopped();
            if let Some(version) = self.version() {
                self.timed(version, intended);
            }
            intended += every;
        }
        self.log
    }

    fn sleep_until(&self, intended: Duration) -> bool {
        loop {
            if self.shared.stopped() {
                return false;
            }
            let left = intended.saturating_sub(self.shared.begin.elapsed());
            if left.is_zero() {
                return true;
            }
            thread::sleep(left.min(NAP));
        }
    }

    /// A version that was stopped has no connections any more.
    fn end_stopped(&mut self) {
        if !self.shared.old.is_open() {
            self.old = Process::default();
        }
        if !self.shared.new.is_open() {
            self.new = Process::default();
        }
    }

    /// Chooses a version that runs, and enters its gate.
    fn version(&mut self) -> Option<Version> {
        let first = if self.rng.bool() { [Version::Old, Version::New] } else { [Version::New, Version::Old] };
        first.into_iter().find(|version| self.shared.gate(*version).enter())
    }

    fn timed(&mut self, version: Version, intended: Duration) {
        let outcome = self.request(version);
        let took = self.shared.begin.elapsed().saturating_sub(intended);
        self.shared.gate(version).leave();
        self.log.latencies.push(Latency {
            start_ms: u32::try_from(intended.as_millis()).unwrap_or(u32::MAX),
            took_us: u32::try_from(took.as_micros()).unwrap_or(u32::MAX),
        });
        self.shared.requests.fetch_add(1, Ordering::Relaxed);
        if let Err((fault, says)) = outcome {
            self.shared.failed.fetch_add(1, Ordering::Relaxed);
            let cut = matches!(fault, Fault::Lost(_));
            self.log.failed += 1;
            self.log.cut += u64::from(cut);
            // Half is kept for what is no consequence of a server that went away.
            if self.log.failures.len() < if cut { KEPT / 2 } else { KEPT } {
                self.log.failures.push(format!("{says}: {fault}"));
            }
        }
    }

    fn request(&mut self, version: Version) -> Result<(), (Fault, String)> {
        let wish = self.shared.keys.choose(&self.shared.scenario, version, &mut self.rng);
        match wish {
            Wish::Read { id } => self.read(version, id),
            Wish::Write { id, kind } => self.write(version, id, kind),
        }
    }

    fn write(&mut self, version: Version, id: i64, kind: Kind) -> Result<(), (Fault, String)> {
        let (era, ready) = (self.shared.era.load(Ordering::SeqCst), self.shared.ready.load(Ordering::SeqCst));
        let op = Op { id, kind, version, seed: self.rng.u64(..), era, ready };
        let (sql, values) = op.request(&self.shared.scenario);
        match self.send(version, sql, &values) {
            Ok(rows) => {
                self.acknowledged(op, &rows);
                Ok(())
            }
            Err(fault) => {
                if let Fault::Lost(_) = &fault {
                    self.process(version).connection = None;
                    self.settle(op);
                }
                Err((fault, format!("{version:?} {kind:?} of row {id}")))
            }
        }
    }

    /// Remembers a write that was answered. No row: the row was deleted or has another key now, nothing was written.
    fn acknowledged(&mut self, op: Op, rows: &[Row]) {
        let Some(answered) = rows.first().and_then(|row| row[0].as_i64()) else { return };
        // A deletion gives the last version there was.
        let ver = if op.kind == Kind::Delete { answered + 1 } else { answered };
        self.log.sent.push(Sent { op, ver: Some(ver) });
        if matches!(op.kind, Kind::Insert | Kind::Upsert | Kind::Update) {
            self.process(op.version).wrote = Some((op, ver));
        }
    }

    /// Reads a row: every second time the one this client wrote last, which must hold what was written as long as nobody
    /// else wrote to it.
    fn read(&mut self, version: Version, id: i64) -> Result<(), (Fault, String)> {
        let wrote = self.process(version).wrote.filter(|_| self.rng.bool());
        let id = wrote.map_or(id, |(op, _)| op.id);
        let sql = version.side(&self.shared.scenario).read;
        let rows = self.send(version, sql, &[Value::Int(id)]).map_err(|fault| {
            if let Fault::Lost(_) = &fault {
                self.process(version).connection = None;
            }
            (fault, format!("{version:?} read of row {id}"))
        })?;
        if let (Some((op, ver)), Some(row)) = (wrote, rows.first()) {
            self.check_read(op, ver, row);
        }
        Ok(())
    }

    fn check_read(&mut self, op: Op, ver: i64, row: &Row) {
        let is = row[0].as_i64().unwrap_or(i64::MIN);
        let values = op.values(&self.shared.scenario);
        // NULL in every new column means that the INSERT left them out.
        let absent = values.iter().all(|value| *value == Value::Null);
        if is > ver || (is == ver && (absent || row[1..] == values)) {
            return;
        }
        self.log.lost += 1;
        if self.log.lost_first.len() < KEPT {
            let id = op.id;
            self.log.lost_first.push(format!("row {id}: read {row:?} after version {ver} was written as {values:?}"));
        }
    }

    fn send(&mut self, version: Version, sql: &'static str, values: &[Value]) -> Result<Vec<Row>, Fault> {
        let shared = Arc::clone(&self.shared);
        let process = self.process(version);
        let mut connection = match process.connection.take() {
            Some(connection) => connection,
            None => {
                process.replanned.clear();
                shared.place.connect()?
            }
        };
        let mut answer = connection.run(sql, values);
        if let Err(Fault::Stale(_)) = &answer {
            let times = process.replanned.entry(sql).or_default();
            if *times < shared.swaps.load(Ordering::SeqCst) {
                *times += 1;
                connection.forget(sql);
                answer = connection.run(sql, values);
                process.connection = Some(connection);
                self.log.replanned += 1;
                return answer;
            }
        }
        process.connection = Some(connection);
        answer
    }

    /// The answer was lost: finds out by reading where one reading can tell, else leaves it to the versions of the row.
    fn settle(&mut self, op: Op) {
        thread::sleep(SETTLE_AFTER);
        let row = |id| self.version_of(op.version, id);
        let ver = match op.kind {
            Kind::Insert | Kind::InsertBare => match row(op.id) {
                Some(_) => Some(1),
                None => return,
            },
            // Only the move gave the row this key.
            Kind::Move { to } => match row(to) {
                Some(ver) => Some(ver),
                None => return,
            },
            Kind::Delete | Kind::Upsert | Kind::Update | Kind::UpdatePart | Kind::Annotate => None,
        };
        self.log.sent.push(Sent { op, ver });
    }

    fn version_of(&self, version: Version, id: i64) -> Option<i64> {
        let read = version.side(&self.shared.scenario).read;
        for _ in 0..RECONNECT_TRIES {
            if let Ok(mut connection) = self.shared.place.connect()
                && let Ok(rows) = connection.run(read, &[Value::Int(id)])
            {
                return rows.first().and_then(|row| row[0].as_i64());
            }
            thread::sleep(RECONNECT_PAUSE);
        }
        None
    }

    fn process(&mut self, version: Version) -> &mut Process {
        match version {
            Version::Old => &mut self.old,
            Version::New => &mut self.new,
        }
    }
}
