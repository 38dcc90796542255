//! Beginning and ending a run: the lease, what earlier runs left behind, and lost connections.

use std::rc::Rc;
use std::time::Duration;

use fastrand::Rng;
use segue_model::ident::MigrationId;
use segue_model::journal::{Claim, Holder, Leftover, Record, State};
use segue_model::plan::Plan;
use segue_model::plan_file::from_json;
use segue_model::server::{Identity, Server};
use segue_model::session::{Begin, Fail, FailKind, Journal, Session};

use crate::control::Control;
use crate::error::RunError;
use crate::guard::Patience;
use crate::hand::{Hand, LEADER};
use crate::leftovers::{clear_leftovers, patiently};
use crate::observer::Progress;
use crate::outcome::Outcome;
use crate::run::Said;
use crate::running::{Env, JOURNAL_WAIT, Running};
use crate::throttle::Valve;

/// Tries to give the lease back; a lease that stays is taken over by the next run.
const RELEASE_TRIES: u32 = 20;

/// What a command decided to do with a migration, once the lease was its own.
pub(crate) struct Chosen {
    /// As the journal has it, or as it will be written.
    pub(crate) record: Record,
    /// The plan.
    pub(crate) plan: Plan,
    /// The record is to be written: a new attempt begins.
    pub(crate) starts: bool,
}

/// Looks at a migration without taking anything.
pub(crate) fn peek(env: Env<'_>, id: &MigrationId) -> Result<Option<Record>, RunError> {
    let mut session = look(env)?;
    writable(&session.server()?)?;
    if !env.journal().exists(&mut *session)? {
        return Ok(None);
    }
    find(env.journal(), &mut *session, id)
}

/// Connects without the migration's name: a run that takes over must not take this session for one left behind.
fn look(env: Env<'_>) -> Result<Box<dyn Session>, Fail> {
    env.run.connector.connect("segue look")
}

/// Does `body` with the lease of `id`: decided by `choose` from what the journal says then.
pub(crate) fn under_lease<T>(
    env: Env<'_>,
    id: &MigrationId,
    choose: impl FnOnce(Option<Record>) -> Result<Chosen, RunError>,
    body: impl FnMut(&mut Running<'_>) -> Result<T, RunError>,
) -> Result<T, RunError> {
    let hold = env.run.connector.hold().map_err(|fail| held(env, id, fail))?;
    let alone = hold.is_some();
    let control = Control::default();
    let valve = Valve::new(env.run.options.tuning.clone());
    std::thread::scope(|scope| {
        let _ending = (control.ending(), Opened(&valve));
        let journal = env.journal();
        if !alone {
            scope.spawn(|| control.beat(env, id));
        }
        let mut seat = Seat::take(env, id, &control, alone)?;
        let chosen = find(journal, &mut *seat.work, id).and_then(choose);
        match chosen {
            Ok(chosen) => {
                let mut running = seat.begin(env, (&control, &valve), chosen)?;
                if alone {
                    valve.beats();
                }
                scope.spawn(|| valve.watch(env, id));
                let result = running.through_failovers(body);
                valve.end();
                control.end();
                release(env, id, &mut *running.hand.work, control.epoch());
                result
            }
            Err(error) => {
                control.end();
                release(env, id, &mut *seat.work, control.epoch());
                Err(error)
            }
        }
    })
}

/// Ends the watch of a valve when dropped, also when the run panics: else the process would never end.
pub(crate) struct Opened<'v>(pub(crate) &'v Valve);

impl Drop for Opened<'_> {
    fn drop(&mut self) {
        self.0.end();
    }
}

/// Connects under a name that is no migration's.
pub(crate) fn starter(env: Env<'_>, id: &MigrationId) -> Result<Box<dyn Session>, Fail> {
    env.run.connector.connect(&format!("segue: {id} control"))
}

/// Returns the work session of a lease that was just taken, and what an earlier run left behind. A lease that was given back
/// has left nothing behind, and then whoever starts beside us is left alone.
fn seat(
    env: Env<'_>,
    id: &MigrationId,
    control: &Control,
    rng: &mut Rng,
    mut first: Box<dyn Session>,
    holder: Holder,
    (epoch, alone, takes_over): (i64, bool, bool),
) -> Result<(Vec<Leftover>, Box<dyn Session>), RunError> {
    if alone {
        control.has_lease(epoch);
        let cleared = clear_leftovers(env, rng, || env.journal().end_leftovers(&mut *first, id));
        return Ok((cleared.inspect_err(|_| release(env, id, &mut *first, epoch))?, first));
    }
    // The heartbeat has it from here on: an index that an earlier run left building may take an hour.
    control.hold(first, holder, epoch);
    let cleared = if takes_over {
        clear_leftovers(env, rng, || control.on(|first| env.journal().end_leftovers(first, id)))
    } else {
        Ok(Vec::new())
    };
    cleared.and_then(|cleared| Ok((cleared, env.connect(id, "work")?))).inspect_err(|_| give_up(env, id, control))
}

/// A lease with its sessions, before it is known what to do.
struct Seat {
    work: Box<dyn Session>,
    alone: bool,
    moved: Option<Moved>,
    from: Option<Holder>,
    leftovers: Vec<Leftover>,
}

impl Seat {
    fn take(env: Env<'_>, id: &MigrationId, control: &Control, alone: bool) -> Result<Self, RunError> {
        let mut rng = rng(env);
        // Until the lease is ours, a run that has it must not take this session for one left behind.
        let mut first = if alone { env.connect(id, "work")? } else { starter(env, id)? };
        let server = first.server()?;
        writable(&server)?;
        control.is_on(server.identity.timeline);
        patiently(env, &mut rng, || env.journal().install(&mut *first))?;
        let moved = moved(env, &mut *first, &server)?;
        let holder = holder(env, &mut *first)?;
        let expiry = env.run.options.lease_expiry;
        let (epoch, from) = match patiently(env, &mut rng, || env.journal().claim(&mut *first, id, &holder, expiry))? {
            Claim::Taken { epoch, from } => (epoch, from),
            Claim::Held { by, beat_age_s } => return Err(RunError::Held { by: by.name, beat_age_s: Some(beat_age_s) }),
        };
        if let Some(from) = &from {
            env.tell(&Progress::TookOver { from });
        }
        let seated = seat(env, id, control, &mut rng, first, holder, (epoch, alone, from.is_some()));
        let (leftovers, work) = seated?;
        Ok(Self { work, alone, moved, from, leftovers })
    }

    fn begin<'r>(self, env: Env<'r>, lease: (&'r Control, &'r Valve), chosen: Chosen) -> Result<Running<'r>, Fail> {
        let mut outcome = Outcome::nothing_yet(chosen.record.id.clone(), chosen.record.state);
        outcome.took_over = self.from;
        outcome.leftovers = self.leftovers;
        let whose = (chosen.record.id.clone(), chosen.record.attempt);
        Ok(Running {
            env,
            hand: Hand::new(env, lease, whose, LEADER, self.work)?,
            alone: self.alone,
            moved: self.moved,
            others_until: Duration::ZERO,
            starts: chosen.starts,
            began: chosen.starts,
            said: Said::default(),
            record: chosen.record,
            plan: Rc::new(chosen.plan),
            events: Vec::new(),
            outcome,
        })
    }
}

impl Running<'_> {
    /// Writes the record of a new attempt, or reads what happened in this one.
    pub(crate) fn open(&mut self) -> Result<(), RunError> {
        if let Some(moved) = self.moved.take() {
            self.note(moved.said());
            self.persist(&Patience::nothing(), |me| {
                me.own(JOURNAL_WAIT, |me| Ok(me.env.journal().set_identity(&mut *me.hand.work, moved.here())?))
            })?;
        }
        if self.starts {
            // Looked at before anything is written: a plan that does not fit leaves no trace.
            self.fits_server()?;
            self.persist(&Patience::nothing(), Self::check_shape_is_the_plans)?;
            return self.persist(&Patience::nothing(), |me| {
                me.own(JOURNAL_WAIT, |me| {
                    me.take_turn()?;
                    me.refuse_beside_another()?;
                    Ok(me.env.journal().start(&mut *me.hand.work, &me.record)?)
                })
            });
        }
        self.persist(&Patience::nothing(), Self::load)
    }

    /// Writes the journal's one row about the database, as it is: of two migrations that start at the same moment, the
    /// second waits here until the first one's record can be seen.
    fn take_turn(&mut self) -> Result<(), RunError> {
        let Running { env, hand, .. } = self;
        let identity = env.journal().identity(&mut *hand.work)?;
        Ok(env.journal().set_identity(&mut *hand.work, &identity)?)
    }

    /// Refuses while another migration is under way in one of our tables, and both cannot go on beside each other.
    fn refuse_beside_another(&mut self) -> Result<(), RunError> {
        let Running { env, hand, .. } = self;
        let records = env.journal().records(&mut *hand.work)?;
        for other in records.into_iter().filter(|record| record.id != self.record.id && !is_over(record.state)) {
            let read = from_json(&other.plan);
            let theirs = read.map_err(|why| RunError::BadJournal { id: other.id.clone(), why: why.to_string() })?;
            if let Some(conflict) = self.plan.waits_for(&theirs) {
                let reason =
                    format!("`{}` waits for `{}`, which is changing {}", self.id(), other.id, conflict.subject());
                let hint = "Finish that one first, or take it back; `segue status` shows how.".to_owned();
                return Err(RunError::Gate { step: None, reasons: vec![reason], hints: vec![hint] });
            }
        }
        Ok(())
    }

    /// A plan is made for one major version; a migration in flight goes on after an upgrade.
    fn fits_server(&mut self) -> Result<(), RunError> {
        let server = self.hand.work.server()?;
        let found = server.version.major_text(server.engine);
        if (server.engine, found.as_str()) == (self.plan.engine, self.plan.server_major.as_str()) {
            return Ok(());
        }
        let (planned, here) = (self.plan.engine.product(), server.engine.product());
        let diff = format!("- {planned} {}\n+ {here} {found}", self.plan.server_major);
        Err(RunError::Drift { step: None, diff })
    }

    /// Reads what happened in this attempt.
    pub(crate) fn load(&mut self) -> Result<(), RunError> {
        let Running { env, hand, record, .. } = self;
        self.events = env.journal().events(&mut *hand.work, &record.id, record.attempt)?;
        Ok(())
    }
}

/// Gives the lease back by the session that holds it.
fn give_up(env: Env<'_>, id: &MigrationId, control: &Control) {
    control.end();
    let epoch = control.epoch();
    // A control session that is gone has given it up by that.
    let _ = control.on(|session| {
        release(env, id, session, epoch);
        Ok(())
    });
}

/// Gives the lease back. Best effort: what stays is taken over.
pub(crate) fn release(env: Env<'_>, id: &MigrationId, work: &mut dyn Session, epoch: i64) {
    for _ in 0..RELEASE_TRIES {
        work.rollback();
        let result = work
            .begin(Begin::Write { lock_wait: JOURNAL_WAIT })
            .and_then(|()| env.journal().release(work, id, epoch))
            .and_then(|()| work.commit());
        if !result.is_err_and(|fail| fail.is_transient()) {
            return;
        }
    }
}

fn rng(env: Env<'_>) -> Rng {
    Rng::with_seed(env.run.options.seed)
}

pub(crate) fn holder(env: Env<'_>, session: &mut dyn Session) -> Result<Holder, Fail> {
    let (pid, backend_start) = session.backend()?;
    Ok(Holder { name: env.run.options.holder.clone(), pid, backend_start })
}

pub(crate) fn find(
    journal: &dyn Journal,
    session: &mut dyn Session,
    id: &MigrationId,
) -> Result<Option<Record>, RunError> {
    Ok(journal.records(session)?.into_iter().find(|record| record.id == *id))
}

pub(crate) fn writable(server: &Server) -> Result<(), Fail> {
    if server.standby {
        return Err(Fail::new(FailKind::ReadOnly, "this server is a standby: it only replays its primary"));
    }
    if server.read_only {
        return Err(Fail::new(FailKind::ReadOnly, "this database refuses writes"));
    }
    Ok(())
}

/// A database that is not, or not quite, the one that the journal was last written in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Moved {
    /// Its timeline moved on.
    FailedOver(Identity),
    /// It is a copy of another in which nothing was under way.
    Copied {
        /// Which one it was copied from.
        from: Identity,
        /// Which one it is.
        here: Identity,
    },
}

impl Moved {
    /// Returns which database it is now.
    pub(crate) fn here(&self) -> &Identity {
        match self {
            Self::FailedOver(here) | Self::Copied { here, .. } => here,
        }
    }

    /// Returns what the user is told.
    fn said(&self) -> String {
        match self {
            Self::FailedOver(here) => format!(
                "the server was failed over: its timeline is {} now. Steps that were open are settled by what is there",
                here.timeline
            ),
            Self::Copied { from, .. } => {
                format!("this database is a copy of {}, its history is kept", name_of(from))
            }
        }
    }
}

/// Returns a database as messages call it.
pub(crate) fn name_of(identity: &Identity) -> String {
    format!("database {} of system {}", identity.database, identity.system)
}

/// Returns where the database went since the journal was last written; `None`: it is the same.
///
/// Fails for a copy that was made while a migration was under way.
pub(crate) fn moved(env: Env<'_>, session: &mut dyn Session, server: &Server) -> Result<Option<Moved>, RunError> {
    let (journal, here) = (env.journal().identity(session)?, &server.identity);
    if is_same(&journal, here) {
        return Ok((journal.timeline != here.timeline).then(|| Moved::FailedOver(here.clone())));
    }
    let records = env.journal().records(session)?;
    let unfinished: Vec<MigrationId> =
        records.into_iter().filter(|record| !is_over(record.state)).map(|record| record.id).collect();
    if unfinished.is_empty() {
        return Ok(Some(Moved::Copied { from: journal, here: here.clone() }));
    }
    Err(other_database(&journal, here, unfinished))
}

/// Fails when a connection that was made again leads to another database than the journal's; returns the identity to note
/// when only the timeline moved on.
pub(crate) fn still_here(
    env: Env<'_>,
    session: &mut dyn Session,
    server: &Server,
    id: &MigrationId,
) -> Result<Option<Identity>, RunError> {
    let (journal, here) = (env.journal().identity(session)?, &server.identity);
    if is_same(&journal, here) {
        return Ok((journal.timeline != here.timeline).then(|| here.clone()));
    }
    Err(other_database(&journal, here, vec![id.clone()]))
}

fn other_database(journal: &Identity, here: &Identity, unfinished: Vec<MigrationId>) -> RunError {
    RunError::OtherDatabase { journal: name_of(journal), here: name_of(here), unfinished }
}

fn is_same(one: &Identity, other: &Identity) -> bool {
    (&one.system, &one.database) == (&other.system, &other.database)
}

/// Returns whether nothing of a migration is under way.
pub(crate) fn is_over(state: State) -> bool {
    match state {
        State::Done | State::RolledBack => true,
        State::RollingBack | State::Started | State::Expanded | State::Ready | State::Flipped | State::Contracted => {
            false
        }
    }
}

/// Says who keeps us out, as far as the journal knows.
pub(crate) fn held(env: Env<'_>, id: &MigrationId, fail: Fail) -> RunError {
    if fail.kind != FailKind::LockTimeout {
        return fail.into();
    }
    let holder = look(env).and_then(|mut session| env.journal().holder(&mut *session, id));
    match holder {
        Ok(Some((by, age))) => RunError::Held { by: by.name, beat_age_s: Some(age) },
        Ok(None) | Err(_) => RunError::Held { by: fail.message, beat_age_s: None },
    }
}
