//! The journal in `segue_*` tables of the migrated file.

use std::path::PathBuf;
use std::time::Duration;

use segue_model::ident::MigrationId;
use segue_model::journal::{
    Checkpoint, Claim, Event, Holder, Leftover, Orders, Quarantined, Record, Span, State, Worker,
};
use segue_model::server::Identity;
use segue_model::session::{Begin, Fail, FailKind, Journal, Session};
use segue_model::value::Value;

use super::{cancel, hold, install, orders, quarantine, spans};
use crate::journal_row::{self, number, text};

pub(super) const LIMIT: Duration = Duration::from_secs(30);

/// How long a transaction of the journal's own waits for the write lock: a waiter of SQLite's keeps nobody out.
const LOCK_WAIT: Duration = Duration::from_secs(10);

/// How often it is done again when readers kept its COMMIT from ending, and the rest between: ten seconds in all.
const COMMIT_TRIES: u32 = 80;
const COMMIT_REST: Duration = Duration::from_millis(75);

const RECORDS: &str = "SELECT id, checksum, plan, hash, state, attempt, max(CAST(strftime('%s', 'now') AS INTEGER) - state_at, 0), \
    strftime('%Y-%m-%dT%H:%M:%SZ', changed_at, 'unixepoch') FROM main.segue_migration ORDER BY id";

const START: &str = "INSERT INTO main.segue_migration (id, checksum, plan, hash, state, attempt, state_at, changed_at) \
    VALUES ($1, $2, $3, $4, $5, $6, strftime('%s', 'now'), strftime('%s', 'now')) \
    ON CONFLICT (id) DO UPDATE SET checksum = excluded.checksum, plan = excluded.plan, hash = excluded.hash, \
    state = excluded.state, attempt = excluded.attempt, state_at = excluded.state_at, changed_at = excluded.changed_at";

const SET_STATE: &str = "UPDATE main.segue_migration SET state = $2, state_at = strftime('%s', 'now'), \
    changed_at = strftime('%s', 'now') WHERE id = $1";

const EVENTS: &str = "SELECT step, mark, pid, backend_start, shape, note FROM main.segue_event \
    WHERE migration = $1 AND attempt = $2 ORDER BY seq";

const RECORD: &str = "INSERT INTO main.segue_event (migration, attempt, step, mark, pid, backend_start, shape, note, at) \
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, strftime('%s', 'now'))";

const LEASE: &str = "SELECT epoch, name, pid, backend_start FROM main.segue_lease WHERE migration = $1";

const CLAIM: &str = "INSERT INTO main.segue_lease (migration, epoch, name, pid, backend_start) VALUES ($1, 1, $2, $3, $4) \
    ON CONFLICT (migration) DO UPDATE SET epoch = epoch + 1, name = excluded.name, pid = excluded.pid, \
    backend_start = excluded.backend_start";

const RELEASE: &str =
    "UPDATE main.segue_lease SET name = NULL, pid = NULL, backend_start = NULL WHERE migration = $1 AND epoch = $2";

const BEAT: &str = "INSERT INTO main.segue_heartbeat (migration, epoch, at) VALUES ($1, $2, strftime('%s', 'now')) \
    ON CONFLICT (migration) DO UPDATE SET epoch = excluded.epoch, at = excluded.at";

const BEAT_AGE: &str =
    "SELECT max(CAST(strftime('%s', 'now') AS INTEGER) - at, 0) FROM main.segue_heartbeat WHERE migration = $1";

/// See [`Journal`].
#[derive(Debug)]
pub(super) struct SqliteJournal {
    lock_file: PathBuf,
}

impl SqliteJournal {
    pub(super) fn new(lock_file: PathBuf) -> Self {
        Self { lock_file }
    }

    /// Returns the lease while its holder's process has the file's lock.
    fn held(&self, session: &mut dyn Session, id: &MigrationId) -> Result<Option<(i64, Holder)>, Fail> {
        let lease = lease(session, id)?.filter(|_| hold::is_held(&self.lock_file));
        Ok(lease.and_then(|(epoch, holder)| Some((epoch, holder?))))
    }
}

impl Journal for SqliteJournal {
    fn exists(&self, session: &mut dyn Session) -> Result<bool, Fail> {
        install::exists(session)
    }

    fn install(&self, session: &mut dyn Session) -> Result<(), Fail> {
        install::install(session)
    }

    fn check_readable(&self, session: &mut dyn Session) -> Result<(), Fail> {
        install::check_readable(session)
    }

    fn identity(&self, session: &mut dyn Session) -> Result<Identity, Fail> {
        install::check_readable(session)?;
        let system = install::meta(session, "system")?.unwrap_or_default();
        let database = install::meta(session, "database")?.unwrap_or_default();
        Ok(Identity { system, database, timeline: 0 })
    }

    fn set_identity(&self, session: &mut dyn Session, identity: &Identity) -> Result<(), Fail> {
        install::set_meta(session, "system", &identity.system)?;
        install::set_meta(session, "database", &identity.database)
    }

    fn records(&self, session: &mut dyn Session) -> Result<Vec<Record>, Fail> {
        session.query(RECORDS, &[], LIMIT)?.iter().map(journal_row::record).collect()
    }

    fn start(&self, session: &mut dyn Session, record: &Record) -> Result<(), Fail> {
        let params = [
            Value::from(record.id.as_str()),
            Value::from(record.checksum.as_str()),
            Value::from(record.plan.as_str()),
            Value::from(record.hash.as_str()),
            Value::from(record.state.name()),
            Value::Int(record.attempt.into()),
        ];
        session.execute(START, &params, LIMIT).map(|_| ())
    }

    fn set_state(&self, session: &mut dyn Session, id: &MigrationId, state: State) -> Result<(), Fail> {
        match session.execute(SET_STATE, &[id.as_str().into(), state.name().into()], LIMIT)? {
            0 => Err(Fail::new(FailKind::Server, format!("the journal does not know the migration `{id}`"))),
            _ => Ok(()),
        }
    }

    fn events(&self, session: &mut dyn Session, id: &MigrationId, attempt: u32) -> Result<Vec<Event>, Fail> {
        let rows = session.query(EVENTS, &[id.as_str().into(), Value::Int(attempt.into())], LIMIT)?;
        rows.iter().map(|row| journal_row::event(row, id, attempt)).collect()
    }

    fn record(&self, session: &mut dyn Session, event: &Event) -> Result<(), Fail> {
        let params = [
            Value::from(event.migration.as_str()),
            Value::Int(event.attempt.into()),
            Value::Int(event.step.into()),
            Value::from(event.mark.name()),
            Value::Int(event.pid),
            Value::from(event.backend_start.as_str()),
            Value::from(event.shape.as_str()),
            Value::from(event.note.as_str()),
        ];
        session.execute(RECORD, &params, LIMIT).map(|_| ())
    }

    fn checkpoint(
        &self,
        session: &mut dyn Session,
        id: &MigrationId,
        attempt: u32,
        step: u32,
    ) -> Result<Option<Checkpoint>, Fail> {
        spans::checkpoint(session, id, attempt, step)
    }

    fn set_checkpoint(
        &self,
        session: &mut dyn Session,
        id: &MigrationId,
        attempt: u32,
        at: &Checkpoint,
    ) -> Result<(), Fail> {
        spans::set_checkpoint(session, id, attempt, at)
    }

    fn checkpoint_to_cut(
        &self,
        session: &mut dyn Session,
        id: &MigrationId,
        attempt: u32,
        step: u32,
    ) -> Result<Option<Checkpoint>, Fail> {
        spans::checkpoint_to_cut(session, id, attempt, step)
    }

    fn spans(&self, session: &mut dyn Session, id: &MigrationId, attempt: u32, step: u32) -> Result<Vec<Span>, Fail> {
        spans::spans(session, id, attempt, step)
    }

    fn take_span(
        &self,
        session: &mut dyn Session,
        id: &MigrationId,
        attempt: u32,
        step: u32,
        worker: &Worker,
        waits: bool,
    ) -> Result<Option<Span>, Fail> {
        spans::take(session, id, attempt, step, worker, waits)
    }

    fn put_span(
        &self,
        session: &mut dyn Session,
        id: &MigrationId,
        attempt: u32,
        span: &Span,
        worker: Option<&Worker>,
    ) -> Result<(), Fail> {
        spans::put(session, id, attempt, span, worker)
    }

    fn end_span(&self, session: &mut dyn Session, id: &MigrationId, attempt: u32, span: &Span) -> Result<(), Fail> {
        spans::end(session, id, attempt, span)
    }

    fn quarantine(
        &self,
        session: &mut dyn Session,
        id: &MigrationId,
        attempt: u32,
        rows: &[Quarantined],
    ) -> Result<(), Fail> {
        quarantine::add(session, id, attempt, rows)
    }

    fn quarantined(
        &self,
        session: &mut dyn Session,
        id: &MigrationId,
        attempt: u32,
        limit: u32,
    ) -> Result<(u64, Vec<Quarantined>), Fail> {
        quarantine::list(session, id, attempt, limit)
    }

    fn clear_quarantine(
        &self,
        session: &mut dyn Session,
        id: &MigrationId,
        attempt: u32,
        step: u32,
    ) -> Result<(), Fail> {
        quarantine::clear(session, id, attempt, step)
    }

    fn orders(&self, session: &mut dyn Session, id: &MigrationId) -> Result<Orders, Fail> {
        orders::orders(session, id)
    }

    /// A transaction that writes keeps every other one out.
    fn orders_to_change(&self, session: &mut dyn Session, id: &MigrationId) -> Result<Orders, Fail> {
        orders::orders(session, id)
    }

    fn set_orders(&self, session: &mut dyn Session, id: &MigrationId, orders: &Orders) -> Result<(), Fail> {
        orders::set_orders(session, id, orders)
    }

    fn report(&self, session: &mut dyn Session, id: &MigrationId) -> Result<Option<(String, u64)>, Fail> {
        orders::report(session, id)
    }

    fn set_report(&self, session: &mut dyn Session, id: &MigrationId, epoch: i64, report: &str) -> Result<(), Fail> {
        orders::set_report(session, id, epoch, report)
    }

    fn epoch(&self, session: &mut dyn Session, id: &MigrationId) -> Result<Option<i64>, Fail> {
        Ok(self.held(session, id)?.map(|(epoch, _)| epoch))
    }

    /// The lock of [`segue_model::session::Connector::hold`] keeps every other process out, so whoever is still noted is dead.
    fn claim(
        &self,
        session: &mut dyn Session,
        id: &MigrationId,
        holder: &Holder,
        _expiry: Duration,
    ) -> Result<Claim, Fail> {
        in_transaction(session, |session| {
            let from = lease(session, id)?.and_then(|(_, holder)| holder);
            let params = [
                id.as_str().into(),
                holder.name.as_str().into(),
                holder.pid.into(),
                holder.backend_start.as_str().into(),
            ];
            session.execute(CLAIM, &params, LIMIT)?;
            let epoch = lease(session, id)?.map_or(1, |(epoch, _)| epoch);
            self.beat(session, id, epoch)?;
            Ok(Claim::Taken { epoch, from })
        })
    }

    fn fence(&self, session: &mut dyn Session, id: &MigrationId, epoch: i64) -> Result<bool, Fail> {
        Ok(lease(session, id)?.is_some_and(|(now, holder)| now == epoch && holder.is_some()))
    }

    fn beat(&self, session: &mut dyn Session, id: &MigrationId, epoch: i64) -> Result<(), Fail> {
        session.execute(BEAT, &[id.as_str().into(), epoch.into()], LIMIT).map(|_| ())
    }

    fn release(&self, session: &mut dyn Session, id: &MigrationId, epoch: i64) -> Result<(), Fail> {
        session.execute(RELEASE, &[id.as_str().into(), epoch.into()], LIMIT).map(|_| ())
    }

    fn holder(&self, session: &mut dyn Session, id: &MigrationId) -> Result<Option<(Holder, u64)>, Fail> {
        let Some((_, holder)) = self.held(session, id)? else { return Ok(None) };
        let rows = session.query(BEAT_AGE, &[id.as_str().into()], LIMIT)?;
        let age = rows.first().map(|row| number(row, 0)).transpose()?.unwrap_or(0);
        Ok(Some((holder, age)))
    }

    fn forget(&self, session: &mut dyn Session, id: &MigrationId) -> Result<(), Fail> {
        let all = [
            "DELETE FROM main.segue_event WHERE migration = $1",
            "DELETE FROM main.segue_checkpoint WHERE migration = $1",
            "DELETE FROM main.segue_span WHERE migration = $1",
            "DELETE FROM main.segue_quarantine WHERE migration = $1",
            "DELETE FROM main.segue_control WHERE migration = $1",
            "DELETE FROM main.segue_report WHERE migration = $1",
            "DELETE FROM main.segue_heartbeat WHERE migration = $1",
            "DELETE FROM main.segue_lease WHERE migration = $1",
            "DELETE FROM main.segue_migration WHERE id = $1",
        ];
        in_transaction(session, |session| {
            all.iter().try_for_each(|sql| session.execute(sql, &[Value::from(id.as_str())], LIMIT).map(drop))
        })
    }

    fn end_leftovers(&self, _session: &mut dyn Session, _id: &MigrationId) -> Result<Vec<Leftover>, Fail> {
        // A statement ends with the process that runs it.
        Ok(vec![])
    }
}

pub(super) fn in_transaction<T>(
    session: &mut dyn Session,
    body: impl Fn(&mut dyn Session) -> Result<T, Fail>,
) -> Result<T, Fail> {
    let mut tries = 1;
    loop {
        session.begin(Begin::Write { lock_wait: LOCK_WAIT })?;
        let result = match body(session) {
            Ok(result) => result,
            Err(fail) => {
                session.rollback();
                return Err(fail);
            }
        };
        match session.commit() {
            Ok(()) => return Ok(result),
            Err(fail) if fail.kind != FailKind::LockTimeout || tries == COMMIT_TRIES => return Err(fail),
            Err(_) => {
                tries += 1;
                cancel::rest(COMMIT_REST);
            }
        }
    }
}

fn lease(session: &mut dyn Session, id: &MigrationId) -> Result<Option<(i64, Option<Holder>)>, Fail> {
    let rows = session.query(LEASE, &[id.as_str().into()], LIMIT)?;
    let Some(row) = rows.first() else { return Ok(None) };
    let holder = match row.get(1) {
        Some(Value::Text(name)) => {
            Some(Holder { name: name.clone(), pid: number(row, 2)?, backend_start: text(row, 3)? })
        }
        _ => None,
    };
    Ok(Some((number(row, 0)?, holder)))
}
