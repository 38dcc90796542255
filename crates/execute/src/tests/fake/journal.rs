//! The journal of the database in memory: statements and questions of its own, so that they are part of transactions and can
//! break.

use std::time::Duration;

use segue_model::ident::MigrationId;
use segue_model::journal::{
    Checkpoint, Claim, Event, Holder, Leftover, Orders, Quarantined, Record, Span, State, Worker,
};
use segue_model::server::Identity;
use segue_model::session::{Fail, FailKind, Journal, Session};
use segue_model::value::{Row, Value};

use super::rows::{checkpoint, checkpoint_values, span, span_values};
use super::{FakeJournal, Inside, Store};

const QUICK: Duration = Duration::from_secs(1);

fn step_values(attempt: u32, step: u32) -> [Value; 2] {
    [Value::Int(i64::from(attempt)), Value::Int(i64::from(step))]
}

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

    fn check_readable(&self, session: &mut dyn Session) -> Result<(), Fail> {
        match self.on_lease(session, |state| state.foreign_format)? {
            true => Err(Fail::new(FailKind::Usage, "the journal in this database has format 99")),
            false => Ok(()),
        }
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
        let rows = session.query("J checkpoint", &step_values(attempt, step), QUICK)?;
        Ok(rows.first().map(|row| checkpoint(row)))
    }

    fn set_checkpoint(
        &self,
        session: &mut dyn Session,
        _: &MigrationId,
        attempt: u32,
        at: &Checkpoint,
    ) -> Result<(), Fail> {
        let mut params = vec![Value::Int(i64::from(attempt))];
        params.extend(checkpoint_values(at));
        session.execute("J checkpoint", &params, QUICK).map(drop)
    }

    fn checkpoint_to_cut(
        &self,
        session: &mut dyn Session,
        id: &MigrationId,
        attempt: u32,
        step: u32,
    ) -> Result<Option<Checkpoint>, Fail> {
        self.checkpoint(session, id, attempt, step)
    }

    fn spans(&self, session: &mut dyn Session, _: &MigrationId, attempt: u32, step: u32) -> Result<Vec<Span>, Fail> {
        let rows = session.query("J spans", &step_values(attempt, step), QUICK)?;
        Ok(rows.iter().map(|row| span(row)).collect())
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
        let rows = session.query("J spans", &step_values(attempt, step), QUICK)?;
        let living = self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner).living.clone();
        let free = |row: &&Row| !row[8].as_i64().is_some_and(|pid| living.contains(&pid));
        let found = rows.iter().filter(free).map(|row| span(row)).find(|span| span.waits == waits);
        if let Some(span) = &found {
            self.put_span(session, id, attempt, span, Some(worker))?;
        }
        Ok(found)
    }

    fn put_span(
        &self,
        session: &mut dyn Session,
        _: &MigrationId,
        attempt: u32,
        span: &Span,
        worker: Option<&Worker>,
    ) -> Result<(), Fail> {
        let mut params = vec![Value::Int(i64::from(attempt))];
        params.extend(span_values(span));
        params.push(worker.map_or(Value::Null, |worker| Value::Int(worker.pid)));
        params.push(worker.map_or(Value::Null, |worker| worker.backend_start.as_str().into()));
        session.execute("J span", &params, QUICK).map(drop)
    }

    fn end_span(&self, session: &mut dyn Session, _: &MigrationId, attempt: u32, span: &Span) -> Result<(), Fail> {
        let mut params = vec![Value::Int(i64::from(attempt))];
        params.extend(span_values(span));
        session.execute("J end", &params, QUICK).map(drop)
    }

    fn quarantine(
        &self,
        session: &mut dyn Session,
        _: &MigrationId,
        attempt: u32,
        rows: &[Quarantined],
    ) -> Result<(), Fail> {
        rows.iter().try_for_each(|row| {
            let mut params = step_values(attempt, row.step).to_vec();
            params.extend([row.key.as_str(), row.column.as_str(), row.error.as_str()].map(Value::from));
            session.execute("J quarantine", &params, QUICK).map(drop)
        })
    }

    fn quarantined(
        &self,
        session: &mut dyn Session,
        _: &MigrationId,
        attempt: u32,
        limit: u32,
    ) -> Result<(u64, Vec<Quarantined>), Fail> {
        self.read(session, |store| {
            let all: Vec<Quarantined> =
                store.quarantine.iter().filter(|(a, _)| *a == attempt).map(|(_, row)| row.clone()).collect();
            (all.len() as u64, all.into_iter().take(limit as usize).collect())
        })
    }

    fn clear_quarantine(
        &self,
        session: &mut dyn Session,
        _: &MigrationId,
        attempt: u32,
        step: u32,
    ) -> Result<(), Fail> {
        session.execute("J clear", &step_values(attempt, step), QUICK).map(drop)
    }

    fn orders(&self, session: &mut dyn Session, _: &MigrationId) -> Result<Orders, Fail> {
        self.on_lease(session, |state| state.orders.clone())
    }

    fn orders_to_change(&self, session: &mut dyn Session, id: &MigrationId) -> Result<Orders, Fail> {
        self.orders(session, id)
    }

    fn set_orders(&self, session: &mut dyn Session, _: &MigrationId, orders: &Orders) -> Result<(), Fail> {
        self.on_lease(session, |state| state.orders = orders.clone())
    }

    fn report(&self, session: &mut dyn Session, _: &MigrationId) -> Result<Option<(String, u64)>, Fail> {
        self.on_lease(session, |state| state.figures.clone())
    }

    fn set_report(&self, session: &mut dyn Session, _: &MigrationId, _: i64, _: &str) -> Result<(), Fail> {
        self.on_lease(session, |_| ())
    }

    fn epoch(&self, session: &mut dyn Session, _: &MigrationId) -> Result<Option<i64>, Fail> {
        self.on_lease(session, |state| state.lease.as_ref().map(|_| state.epoch))
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
