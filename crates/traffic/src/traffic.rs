//! Starting, steering and ending the clients.

use std::sync::atomic::{AtomicBool, AtomicU16, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::choice::Keys;
use crate::client::{Client, Gate, Log, Shared};
use crate::connection::Connection;
use crate::judge::{Case, judge};
use crate::place::{Fault, Place};
use crate::report::{KEPT, Report};
use crate::scenario::{Rule, Scenario};

/// How much is asked of the database, and by whom.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Load {
    /// Clients: threads, each with a connection of its own for each version that runs.
    pub clients: u32,
    /// Requests a second by all clients together.
    pub rate_per_s: u32,
    /// What the clients do follows from it; when they do it does not.
    pub seed: u64,
    /// How many rows were seeded.
    pub rows: u32,
    /// The old version runs from the start.
    pub old: bool,
    /// The new version runs from the start.
    pub new: bool,
    /// A reader that keeps a transaction open for 5 s every 10 s.
    pub long_reader: bool,
}

impl Default for Load {
    fn default() -> Self {
        Self { clients: 4, rate_per_s: 400, seed: 1, rows: 0, old: true, new: false, long_reader: false }
    }
}

/// The clients of one application.
#[derive(Debug)]
pub struct Traffic;

/// Clients that are at work. Dropping it stops them.
pub struct Running {
    shared: Arc<Shared>,
    clients: Vec<JoinHandle<Log>>,
    load: Load,
    marks: Mutex<Vec<(String, Duration)>>,
    /// What ran when it was paused.
    paused: Mutex<Option<(bool, bool)>>,
}

/// How far the clients are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// Requests answered.
    pub requests: u64,
    /// Of these, failed.
    pub failed_requests: u64,
}

impl Traffic {
    /// Starts the clients on a table as [`crate::seed`] left it: one that other traffic has written to cannot be judged.
    ///
    /// # Errors
    /// A [`Fault`] when the database cannot be reached.
    ///
    /// # Panics
    /// When `load` names no client or no rate.
    pub fn start(place: &Place, scenario: &Scenario, load: Load) -> Result<Running, Fault> {
        assert!(load.clients > 0 && load.rate_per_s > 0, "there is no traffic without clients and a rate");
        drop(place.connect()?);
        let shared = Arc::new(Shared {
            place: place.clone(),
            scenario: scenario.clone(),
            keys: Keys::new(load.rows),
            begin: Instant::now(),
            old: Gate::default(),
            new: Gate::default(),
            stop: AtomicBool::new(false),
            era: AtomicU16::new(0),
            ready: AtomicBool::new(load.new),
            swaps: AtomicU32::new((scenario.rule == Rule::SameName).into()),
            requests: AtomicU64::new(0),
            failed: AtomicU64::new(0),
        });
        shared.old.set(load.old);
        shared.new.set(load.new);
        let mut clients: Vec<JoinHandle<Log>> = (0..load.clients).map(|n| client(&shared, load, n)).collect();
        if load.long_reader {
            let shared = Arc::clone(&shared);
            clients.push(thread::spawn(move || read_long(&shared)));
        }
        Ok(Running { shared, clients, load, marks: Mutex::default(), paused: Mutex::default() })
    }
}

fn client(shared: &Arc<Shared>, load: Load, n: u32) -> JoinHandle<Log> {
    let apart = Duration::from_secs(1) / load.rate_per_s;
    let client = Client::new(Arc::clone(shared), load.seed.wrapping_mul(1_000_003).wrapping_add(n.into()));
    thread::spawn(move || client.run(apart * n, apart * load.clients))
}

/// Runs the old version for a while where nothing migrates, to know what the database does by itself. The table must be as
/// [`crate::seed`] left it, and must be seeded anew before other traffic starts.
///
/// # Errors
/// A [`Fault`] when the database cannot be reached.
pub fn baseline(place: &Place, scenario: &Scenario, load: Load, lasts: Duration) -> Result<Report, Fault> {
    let running = Traffic::start(place, scenario, Load { old: true, new: false, ..load })?;
    thread::sleep(lasts);
    running.stop()
}

impl Running {
    /// Starts the new version: the migration is `ready` (with a same-name swap: flipped). Every row is filled.
    pub fn start_new_version(&self) {
        self.shared.ready.store(true, Ordering::SeqCst);
        self.shared.new.set(true);
    }

    /// Starts the old version again.
    pub fn start_old_version(&self) {
        self.shared.old.set(true);
    }

    /// Stops the new version and waits for its last answer.
    pub fn stop_new_version(&self) {
        self.shared.new.drain();
    }

    /// Stops the old version and waits for its last answer.
    pub fn stop_old_version(&self) {
        self.shared.old.drain();
    }

    /// Says that a rollback is done, after the new version was stopped: the new columns are gone, and with them what only
    /// they could hold.
    pub fn rolled_back(&self) {
        self.shared.ready.store(false, Ordering::SeqCst);
        self.shared.era.fetch_add(1, Ordering::SeqCst);
    }

    /// Says, before a second swap of the same name (a rollback from flip), that statements may become stale once more.
    pub fn expect_swap(&self) {
        self.shared.swaps.fetch_add(1, Ordering::SeqCst);
    }

    /// Stops both versions until [`Running::resume`], and waits for their last answers.
    pub fn pause(&self) {
        let mut paused = self.paused.lock().unwrap_or_else(PoisonError::into_inner);
        if paused.is_none() {
            *paused = Some((self.shared.old.is_open(), self.shared.new.is_open()));
            self.shared.old.drain();
            self.shared.new.drain();
        }
    }

    /// Goes on after [`Running::pause`].
    pub fn resume(&self) {
        if let Some((old, new)) = self.paused.lock().unwrap_or_else(PoisonError::into_inner).take() {
            self.shared.old.set(old);
            self.shared.new.set(new);
        }
    }

    /// Begins a stretch of time that the report shows by itself.
    pub fn mark(&self, name: impl Into<String>) {
        let at = self.shared.begin.elapsed();
        self.marks.lock().unwrap_or_else(PoisonError::into_inner).push((name.into(), at));
    }

    /// Returns how far the clients are.
    pub fn progress(&self) -> Progress {
        Progress {
            requests: self.shared.requests.load(Ordering::Relaxed),
            failed_requests: self.shared.failed.load(Ordering::Relaxed),
        }
    }

    /// Ends the traffic and compares every row of the table, on each side whose columns are there, with what the clients'
    /// records say.
    ///
    /// # Errors
    /// A [`Fault`] when the table cannot be read.
    pub fn stop(self) -> Result<Report, Fault> {
        self.end(false)
    }

    /// The same while the backfill has not finished: a new side that no new version wrote may be absent.
    ///
    /// # Errors
    /// A [`Fault`] when the table cannot be read.
    pub fn stop_before_ready(self) -> Result<Report, Fault> {
        self.end(true)
    }

    fn end(mut self, may_be_absent: bool) -> Result<Report, Fault> {
        self.shared.stop.store(true, Ordering::SeqCst);
        let end = self.shared.begin.elapsed();
        let mut report = Report::default();
        let mut sent = Vec::new();
        let mut latencies = Vec::new();
        for client in std::mem::take(&mut self.clients) {
            match client.join() {
                Ok(log) => {
                    sent.extend_from_slice(&log.sent);
                    latencies.extend_from_slice(&log.latencies);
                    take_log(&mut report, log);
                }
                Err(_) => return Err(Fault::Refused("a client ended early by a fault of its own".to_owned())),
            }
        }
        let marks = std::mem::take(&mut *self.marks.lock().unwrap_or_else(PoisonError::into_inner));
        report.time(&latencies, marks, end);
        let era = self.shared.era.load(Ordering::SeqCst);
        let case = Case { scenario: &self.shared.scenario, seeded: self.load.rows, era, may_be_absent };
        judge(case, sent, &mut *self.shared.place.connect()?, &mut report)?;
        Ok(report)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::SeqCst);
    }
}

fn take_log(report: &mut Report, log: Log) {
    report.failed_requests += log.failed;
    report.cut_requests += log.cut;
    report.replanned += log.replanned;
    report.lost_writes += log.lost;
    let room = |kept: &Vec<String>| KEPT.saturating_sub(kept.len());
    report.failures.extend(log.failures.into_iter().take(room(&report.failures)));
    report.lost.extend(log.lost_first.into_iter().take(room(&report.lost)));
}

const LONG_READ: Duration = Duration::from_secs(5);
const LONG_READ_EVERY: Duration = Duration::from_secs(10);

/// Reads the table and keeps its transaction open: the report or backup that every DDL meets one day.
fn read_long(shared: &Shared) -> Log {
    let mut log = Log::default();
    while !shared.stopped() {
        if let Err(fault) = long_read(shared) {
            shared.failed.fetch_add(1, Ordering::Relaxed);
            log.failed += 1;
            if log.failures.len() < KEPT {
                log.failures.push(format!("long read: {fault}"));
            }
        }
        nap(shared, LONG_READ_EVERY - LONG_READ);
    }
    log
}

fn long_read(shared: &Shared) -> Result<(), Fault> {
    let mut connection: Box<dyn Connection> = shared.place.connect()?;
    connection.batch("BEGIN")?;
    connection.run(shared.scenario.shared.count, &[])?;
    nap(shared, LONG_READ);
    connection.batch("COMMIT")
}

fn nap(shared: &Shared, lasts: Duration) {
    let until = Instant::now() + lasts;
    while Instant::now() < until && !shared.stopped() {
        thread::sleep(Duration::from_millis(20));
    }
}
