//! The journal's tables in the schema `segue`.

use std::time::Duration;

use segue_model::ident::MigrationId;
use segue_model::journal::{
    Checkpoint, Claim, Event, Holder, Leftover, Orders, Quarantined, Record, Span, State, Worker,
};
use segue_model::server::Identity;
use segue_model::session::{Begin, Fail, FailKind, Journal, Session};
use segue_model::value::{Row, Value};

use super::blockers::without_literals;
use super::connect::application_prefix;
use super::server::text;
use super::{install, orders, quarantine, spans};
use crate::journal_row::{self, damaged, number};

/// Each statement here touches a row or two.
pub(super) const LIMIT: Duration = Duration::from_secs(10);

/// The wait for another run that installs or claims at the same moment.
pub(super) const LOCK_WAIT: Duration = Duration::from_secs(5);

/// How often a backend that was told to end is looked for, 50 ms apart.
const LOOKS_MAX: u32 = 200;

/// How many times longer than the expiry a holder may be silent while its backend is there: a run that is stopped or starved
/// may come back, and then it must not find another at work beside it.
const SILENCE_OF_THE_LIVING: u32 = 10;

/// [`Journal`] of PostgreSQL.
#[derive(Debug, Clone, Copy)]
pub(super) struct PostgresJournal;

impl Journal for PostgresJournal {
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
        let rows = session.query("SELECT system, database, timeline FROM segue.meta", &[], LIMIT)?;
        let row = rows.first().ok_or_else(|| damaged("`segue.meta` is empty"))?;
        let timeline = number(row, 2)?;
        Ok(Identity { system: text(row, 0), database: text(row, 1), timeline })
    }

    fn set_identity(&self, session: &mut dyn Session, identity: &Identity) -> Result<(), Fail> {
        let sql = "UPDATE segue.meta SET system = $1, database = $2, timeline = $3::bigint";
        session.execute(sql, &identity_values(identity), LIMIT).map(drop)
    }

    fn records(&self, session: &mut dyn Session) -> Result<Vec<Record>, Fail> {
        let sql = "SELECT id, checksum, plan, hash, state, attempt, \
                   greatest(0, pg_catalog.floor(EXTRACT(epoch FROM pg_catalog.clock_timestamp() - state_since)))::bigint, \
                   pg_catalog.to_char(changed_at AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.MS\"Z\"') \
                   FROM segue.migration ORDER BY id COLLATE \"C\"";
        session.query(sql, &[], LIMIT)?.iter().map(journal_row::record).collect()
    }

    fn start(&self, session: &mut dyn Session, record: &Record) -> Result<(), Fail> {
        let sql = "INSERT INTO segue.migration (id, checksum, plan, hash, state, attempt, state_since, changed_at) \
                   VALUES ($1, $2, $3, $4, $5, $6::int, pg_catalog.clock_timestamp(), pg_catalog.clock_timestamp()) \
                   ON CONFLICT (id) DO UPDATE SET checksum = excluded.checksum, plan = excluded.plan, \
                   hash = excluded.hash, state = excluded.state, attempt = excluded.attempt, \
                   state_since = excluded.state_since, changed_at = excluded.changed_at";
        let values = [
            id_value(&record.id),
            Value::from(record.checksum.as_str()),
            Value::from(record.plan.as_str()),
            Value::from(record.hash.as_str()),
            Value::from(record.state.name()),
            Value::from(i64::from(record.attempt)),
        ];
        session.execute(sql, &values, LIMIT).map(drop)
    }

    fn set_state(&self, session: &mut dyn Session, id: &MigrationId, state: State) -> Result<(), Fail> {
        let sql = "UPDATE segue.migration SET state = $2, changed_at = pg_catalog.clock_timestamp(), \
                   state_since = CASE WHEN state = $2 THEN state_since ELSE pg_catalog.clock_timestamp() END \
                   WHERE id = $1";
        match session.execute(sql, &[id_value(id), Value::from(state.name())], LIMIT)? {
            0 => Err(damaged("the migration is not in the journal")),
            _ => Ok(()),
        }
    }

    fn events(&self, session: &mut dyn Session, id: &MigrationId, attempt: u32) -> Result<Vec<Event>, Fail> {
        let sql = "SELECT step, mark, pid, backend_start, shape, note FROM segue.event \
                   WHERE migration = $1 AND attempt = $2::int ORDER BY seq";
        let rows = session.query(sql, &[id_value(id), Value::from(i64::from(attempt))], LIMIT)?;
        rows.iter().map(|row| journal_row::event(row, id, attempt)).collect()
    }

    fn record(&self, session: &mut dyn Session, event: &Event) -> Result<(), Fail> {
        let sql = "INSERT INTO segue.event (migration, attempt, step, mark, pid, backend_start, shape, note) \
                   VALUES ($1, $2::int, $3::int, $4, $5::bigint, $6, $7, $8)";
        let values = [
            id_value(&event.migration),
            Value::from(i64::from(event.attempt)),
            Value::from(i64::from(event.step)),
            Value::from(event.mark.name()),
            Value::from(event.pid),
            Value::from(event.backend_start.as_str()),
            Value::from(event.shape.as_str()),
            Value::from(event.note.as_str()),
        ];
        session.execute(sql, &values, LIMIT).map(drop)
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

    fn orders_to_change(&self, session: &mut dyn Session, id: &MigrationId) -> Result<Orders, Fail> {
        orders::orders_to_change(session, id)
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
        Ok(held(session, id)?.map(|lease| lease.epoch))
    }

    fn claim(
        &self,
        session: &mut dyn Session,
        id: &MigrationId,
        holder: &Holder,
        expiry: Duration,
    ) -> Result<Claim, Fail> {
        session.begin(Begin::Write { lock_wait: LOCK_WAIT })?;
        let claim = claim_inside(session, id, holder, expiry).and_then(|claim| session.commit().map(|()| claim));
        if claim.is_err() {
            session.rollback();
        }
        claim
    }

    fn fence(&self, session: &mut dyn Session, id: &MigrationId, epoch: i64) -> Result<bool, Fail> {
        let sql =
            "SELECT 1 FROM segue.lease WHERE migration = $1 AND epoch = $2::bigint AND holder IS NOT NULL FOR SHARE";
        Ok(!session.query(sql, &[id_value(id), Value::from(epoch)], LIMIT)?.is_empty())
    }

    fn beat(&self, session: &mut dyn Session, id: &MigrationId, epoch: i64) -> Result<(), Fail> {
        let sql = "INSERT INTO segue.heartbeat (migration, epoch, at) VALUES ($1, $2::bigint, pg_catalog.clock_timestamp()) \
                   ON CONFLICT (migration) DO UPDATE SET epoch = excluded.epoch, at = excluded.at \
                   WHERE heartbeat.epoch <= excluded.epoch";
        session.execute(sql, &[id_value(id), Value::from(epoch)], LIMIT).map(drop)
    }

    fn release(&self, session: &mut dyn Session, id: &MigrationId, epoch: i64) -> Result<(), Fail> {
        let sql = "UPDATE segue.lease SET holder = NULL, pid = NULL, backend_start = NULL, claimed_at = NULL \
                   WHERE migration = $1 AND epoch = $2::bigint";
        session.execute(sql, &[id_value(id), Value::from(epoch)], LIMIT).map(drop)
    }

    fn holder(&self, session: &mut dyn Session, id: &MigrationId) -> Result<Option<(Holder, u64)>, Fail> {
        Ok(held(session, id)?.map(|lease| (lease.holder, lease.beat_age_s)))
    }

    fn forget(&self, session: &mut dyn Session, id: &MigrationId) -> Result<(), Fail> {
        session.begin(Begin::Write { lock_wait: LOCK_WAIT })?;
        let all = [
            "DELETE FROM segue.event WHERE migration = $1",
            "DELETE FROM segue.checkpoint WHERE migration = $1",
            "DELETE FROM segue.span WHERE migration = $1",
            "DELETE FROM segue.quarantine WHERE migration = $1",
            "DELETE FROM segue.control WHERE migration = $1",
            "DELETE FROM segue.report WHERE migration = $1",
            "DELETE FROM segue.heartbeat WHERE migration = $1",
            "DELETE FROM segue.lease WHERE migration = $1",
            "DELETE FROM segue.migration WHERE id = $1",
        ];
        let gone = all.iter().try_for_each(|sql| session.execute(sql, &[id_value(id)], LIMIT).map(drop));
        let gone = gone.and_then(|()| session.commit());
        if gone.is_err() {
            session.rollback();
        }
        gone
    }

    fn end_leftovers(&self, session: &mut dyn Session, id: &MigrationId) -> Result<Vec<Leftover>, Fail> {
        let prefix = Value::from(application_prefix(id));
        let rows = session.query(include_str!("leftovers.sql"), &[prefix], LIMIT)?;
        let mut leftovers = Vec::with_capacity(rows.len());
        for row in &rows {
            let leftover = Leftover {
                pid: number(row, 0)?,
                query: without_literals(&text(row, 2)),
                ended: row.get(3).and_then(Value::as_bool) != Some(true),
            };
            let backend = [Value::from(leftover.pid), Value::from(text(row, 1))];
            if leftover.ended {
                let sql = "SELECT pg_catalog.pg_terminate_backend(pid) FROM pg_catalog.pg_stat_activity \
                           WHERE pid = $1::int AND pg_catalog.to_char(backend_start AT TIME ZONE 'UTC', \
                           'YYYY-MM-DD HH24:MI:SS.US') = $2";
                session.query(sql, &backend, LIMIT)?;
                wait_until_gone(session, &backend)?;
            }
            leftovers.push(leftover);
        }
        Ok(leftovers)
    }
}

/// What can be told about the backend of a holder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Life {
    Alive,
    Gone,
    /// Its start is hidden from our role.
    Hidden,
}

/// A lease that somebody has not given back.
struct Lease {
    epoch: i64,
    holder: Holder,
    life: Life,
    beat_age_s: u64,
}

impl Lease {
    /// Where the backend cannot be seen, only the heartbeats tell.
    fn is_held(&self, expiry: Duration) -> bool {
        let silence = match self.life {
            Life::Gone => return false,
            Life::Hidden => expiry,
            Life::Alive => expiry.saturating_mul(SILENCE_OF_THE_LIVING),
        };
        self.beat_age_s <= silence.as_secs()
    }
}

/// Returns the lease while its holder may be alive.
fn held(session: &mut dyn Session, id: &MigrationId) -> Result<Option<Lease>, Fail> {
    let rows = session.query(include_str!("lease.sql"), &[id_value(id)], LIMIT)?;
    let lease = rows.first().map(lease).transpose()?.flatten();
    Ok(lease.filter(|lease| lease.life != Life::Gone))
}

fn lease(row: &Row) -> Result<Option<Lease>, Fail> {
    if row.get(1).and_then(Value::as_str).is_none() {
        return Ok(None);
    }
    let holder = Holder { name: text(row, 1), pid: number(row, 2)?, backend_start: text(row, 3) };
    let life = match text(row, 4).as_str() {
        "alive" => Life::Alive,
        "gone" => Life::Gone,
        _ => Life::Hidden,
    };
    Ok(Some(Lease { epoch: number(row, 0)?, holder, life, beat_age_s: number(row, 5)? }))
}

fn claim_inside(session: &mut dyn Session, id: &MigrationId, holder: &Holder, expiry: Duration) -> Result<Claim, Fail> {
    let id = id_value(id);
    let first = "INSERT INTO segue.lease (migration, epoch) VALUES ($1, 0) ON CONFLICT (migration) DO NOTHING";
    session.execute(first, std::slice::from_ref(&id), LIMIT)?;
    session.query("SELECT 1 FROM segue.lease WHERE migration = $1 FOR UPDATE", std::slice::from_ref(&id), LIMIT)?;
    // A statement of its own: it sees what the holder committed while we waited for the row.
    let rows = session.query(include_str!("lease.sql"), std::slice::from_ref(&id), LIMIT)?;
    let row = rows.first().ok_or_else(|| damaged("the lease's row is gone"))?;
    let held = lease(row)?
        .filter(|lease| (lease.holder.pid, &lease.holder.backend_start) != (holder.pid, &holder.backend_start));
    let from = match held {
        Some(lease) if lease.is_held(expiry) => {
            return Ok(Claim::Held { by: lease.holder, beat_age_s: lease.beat_age_s });
        }
        other => other.map(|lease| lease.holder),
    };
    let epoch = number::<i64>(row, 0)? + 1;
    let take = "UPDATE segue.lease SET epoch = $2::bigint, holder = $3, pid = $4::bigint, backend_start = $5, \
                claimed_at = pg_catalog.clock_timestamp() WHERE migration = $1";
    let values = [
        id.clone(),
        Value::from(epoch),
        Value::from(holder.name.as_str()),
        Value::from(holder.pid),
        Value::from(holder.backend_start.as_str()),
    ];
    session.execute(take, &values, LIMIT)?;
    let beat = "INSERT INTO segue.heartbeat (migration, epoch, at) VALUES ($1, $2::bigint, pg_catalog.clock_timestamp()) \
                ON CONFLICT (migration) DO UPDATE SET epoch = excluded.epoch, at = excluded.at";
    session.execute(beat, &[id.clone(), Value::from(epoch)], LIMIT)?;
    orders::make_room_for_report(session, id, epoch)?;
    Ok(Claim::Taken { epoch, from })
}

/// Waits on the server's clock: this crate does not sleep.
fn wait_until_gone(session: &mut dyn Session, backend: &[Value; 2]) -> Result<(), Fail> {
    let sql = "SELECT 1 FROM pg_catalog.pg_stat_activity WHERE pid = $1::int \
               AND pg_catalog.to_char(backend_start AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS.US') = $2";
    for _ in 0..LOOKS_MAX {
        if session.query(sql, backend, LIMIT)?.is_empty() {
            return Ok(());
        }
        session.query("SELECT pg_catalog.pg_sleep(0.05)", &[], LIMIT)?;
    }
    let pid = backend[0].as_i64().unwrap_or(0);
    Err(Fail::new(FailKind::Server, format!("backend {pid} of an earlier run was told to end and is still there")))
}

pub(super) fn identity_values(identity: &Identity) -> [Value; 3] {
    [
        Value::from(identity.system.as_str()),
        Value::from(identity.database.as_str()),
        Value::from(i64::from(identity.timeline)),
    ]
}

pub(super) fn id_value(id: &MigrationId) -> Value {
    Value::from(id.as_str())
}
