//! What a statement does to a server, looked at from a second session.

use std::collections::{BTreeMap, BTreeSet};
use std::thread;
use std::time::{Duration, Instant};

use segue_model::lock::{Blocks, LockMode};
use segue_plan::dialect::Cost;
use segue_testkit::client::Client;
use segue_testkit::lockprobe::{HeldOf, every_lock_of};

/// How long a second session waits for a lock before it counts as denied.
const DENIED: &str = "SET lock_timeout = '15ms'";

/// How long a statement outside a transaction is held up, so that its locks can be seen.
const HELD_UP: Duration = Duration::from_millis(250);

/// What was seen.
#[derive(Debug, Default)]
pub(super) struct Seen {
    /// What the server said instead of doing it.
    pub(super) error: Option<String>,
    /// Strongest locks, by kind and name of relation.
    pub(super) locks: Vec<HeldOf>,
    /// Relations whose file is another one.
    pub(super) refiled: BTreeSet<String>,
    /// Relations that were read from the beginning.
    pub(super) scanned: BTreeSet<String>,
    /// An index of the target has another file, or is another one of the same definition.
    pub(super) rebuilt: bool,
    /// How many indexes the target had.
    pub(super) indexes: usize,
    /// What a second session was denied; `None` where the target takes no such statements.
    pub(super) blocked: Option<Blocks>,
}

impl Seen {
    /// Returns the strongest lock on a relation of the schema `public`.
    pub(super) fn mode(&self, name: &str) -> Option<&str> {
        let wanted = format!("public.{name}");
        self.locks.iter().find(|(_, held, _)| *held == wanted).map(|(.., mode)| mode.as_str())
    }
}

/// Two sessions: one that works, and one that looks.
pub(super) struct Watch {
    url: String,
    pub(super) session: Client,
    watcher: Client,
    pid: i32,
}

/// A relation: name, kind, file, scans so far, the table of an index.
struct Relation {
    name: String,
    kind: String,
    file: String,
    scans: i64,
    table: String,
}

impl Watch {
    pub(super) fn new(url: &str) -> Self {
        let (mut session, mut watcher) = (Client::connect(url), Client::connect(url));
        // Workers' scans are counted elsewhere.
        session.batch(
            "SET max_parallel_maintenance_workers = 0; SET max_parallel_workers_per_gather = 0; SET TimeZone = 'UTC'",
        );
        watcher.batch(DENIED);
        let pid = session.pid();
        Self { url: url.to_owned(), session, watcher, pid }
    }

    /// Runs statements, looks, and takes them back.
    pub(super) fn in_transaction(&mut self, target: &str, statement: &str) -> Seen {
        self.session.batch("BEGIN");
        let before = relations(&mut self.session);
        let mut seen = Seen::default();
        match self.session.try_batch(statement) {
            Err(error) => seen.error = Some(error.to_string()),
            Ok(()) => {
                seen.locks = every_lock_of(&mut self.watcher, self.pid);
                let after = relations(&mut self.session);
                differences(&before, &after, target, &mut seen);
                let kind =
                    before.values().find(|relation| relation.name == target).map(|relation| relation.kind.as_str());
                seen.blocked = self.denied(target, kind);
            }
        }
        self.session.batch("ROLLBACK");
        seen
    }

    /// Returns what the watcher cannot do.
    fn denied(&mut self, target: &str, kind: Option<&str>) -> Option<Blocks> {
        if !matches!(kind, Some("r" | "p")) {
            return None;
        }
        let mut denies = |sql: String| self.watcher.try_rows(&sql).is_err_and(|error| error.code == "55P03");
        let reads = denies(format!("SELECT * FROM {target} LIMIT 0"));
        let writes = reads || denies(format!("DELETE FROM {target} WHERE ctid = '(0,0)'"));
        Some(match (reads, writes) {
            (true, _) => Blocks::Everything,
            (false, true) => Blocks::Writes,
            (false, false) => Blocks::Ddl,
        })
    }

    /// Runs a statement that stands outside a transaction while somebody's lock holds it up, and collects what it holds and
    /// waits for.
    pub(super) fn outside(mut self, fact: &Cost, target: &str, statement: &str) -> Seen {
        let mut holder = Client::connect(&self.url);
        let against = if fact.lock == LockMode::AccessExclusive { "ACCESS SHARE" } else { "SHARE UPDATE EXCLUSIVE" };
        holder.batch(&format!("BEGIN; LOCK TABLE {target} IN {against} MODE"));
        let (mut session, pid, watcher) = (self.session, self.pid, &mut self.watcher);
        let mut seen = Seen::default();
        thread::scope(|scope| {
            let run = scope.spawn(move || session.try_batch(statement));
            let begun = Instant::now();
            let mut released = false;
            while !run.is_finished() {
                merge(&mut seen.locks, every_lock_of(watcher, pid));
                if !released && begun.elapsed() > HELD_UP {
                    holder.batch("COMMIT");
                    released = true;
                }
            }
            seen.error = run.join().expect("the session's thread ends").err().map(|error| error.to_string());
        });
        seen
    }
}

fn merge(all: &mut Vec<HeldOf>, now: Vec<HeldOf>) {
    for (kind, name, mode) in now {
        match all.iter_mut().find(|(_, known, _)| *known == name) {
            Some((.., known)) if strength(known) < strength(&mode) => *known = mode,
            Some(_) => {}
            None => all.push((kind, name, mode)),
        }
    }
}

fn strength(mode: &str) -> usize {
    const MODES: [&str; 8] = [
        "AccessShareLock",
        "RowShareLock",
        "RowExclusiveLock",
        "ShareUpdateExclusiveLock",
        "ShareLock",
        "ShareRowExclusiveLock",
        "ExclusiveLock",
        "AccessExclusiveLock",
    ];
    MODES.iter().position(|known| *known == mode).unwrap_or(0)
}

/// Returns every relation of the user's by oid.
fn relations(session: &mut Client) -> BTreeMap<String, Relation> {
    let rows = session.rows(
        "SELECT c.oid, c.relname, c.relkind, pg_relation_filenode(c.oid), pg_stat_get_xact_numscans(c.oid), \
         (SELECT t.relname FROM pg_index i JOIN pg_class t ON t.oid = i.indrelid WHERE i.indexrelid = c.oid) \
         FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
         WHERE n.nspname IN ('public', 's2', 's3') AND c.relkind IN ('r', 'p', 'm', 'i', 'I', 'S', 'v')",
    );
    let relation = |row: Vec<Option<String>>| {
        let text = |at: usize| row.get(at).cloned().flatten().unwrap_or_default();
        let scans = text(4).parse().unwrap_or(0);
        (text(0), Relation { name: text(1), kind: text(2), file: text(3), scans, table: text(5) })
    };
    rows.into_iter().map(relation).collect()
}

fn differences(before: &BTreeMap<String, Relation>, after: &BTreeMap<String, Relation>, target: &str, seen: &mut Seen) {
    let indexes = after.values().filter(|relation| !relation.table.is_empty() && relation.table == target);
    let files: BTreeMap<&str, &str> =
        indexes.map(|relation| (relation.name.as_str(), relation.file.as_str())).collect();
    for (oid, was) in before {
        let now = after.get(oid);
        let again = now.is_some_and(|now| now.file != was.file) && !was.file.is_empty();
        if was.table == target && !target.is_empty() {
            seen.indexes += 1;
            // One that is made anew under its name may take over the file.
            seen.rebuilt |= files.get(was.name.as_str()).is_some_and(|file| *file != was.file && !was.file.is_empty());
        }
        let Some(now) = now else { continue };
        if again {
            seen.refiled.insert(was.name.clone());
        }
        if now.scans > was.scans {
            seen.scanned.insert(was.name.clone());
        }
    }
}
