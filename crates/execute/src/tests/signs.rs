//! Signs of life: the heartbeat outlives its connection.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use segue_model::journal::{Claim, Holder, Leftover};
use segue_model::session::Connector;

use super::fake::{Break, Database};
use super::{Process, additive, id};
use crate::clock::Bell;
use crate::control::Control;
use crate::observer::{Observer, Progress};
use crate::running::Env;
use crate::{Run, Target};

fn held(database: &Database, control: &Control) {
    let mut session = database.connect("control").unwrap();
    let (pid, backend_start) = session.backend().unwrap();
    let holder = Holder { name: "me".to_owned(), pid, backend_start };
    let claim = database.journal().claim(&mut *session, &id(), &holder, Duration::ZERO).unwrap();
    let Claim::Taken { epoch, .. } = claim else { panic!() };
    control.hold(session, holder, epoch);
}

#[test]
fn a_heartbeat_whose_connection_is_lost_makes_another_and_keeps_the_lease() {
    let database = Database::new(false);
    let process = Process::new(&database);
    let run = process.run();
    let env = Env { run: &run, clock: &process.clock };
    let control = Control::default();
    control.beat_once(env, &id());
    assert_eq!(database.state().beats, 0, "there is nothing to beat for yet");
    held(&database, &control);
    control.beat_once(env, &id());
    let calls = database.state().calls;
    database.state().breaks = Some((calls + 1, Break::Before, false));
    control.beat_once(env, &id());
    assert_eq!((database.state().beats, control.epoch()), (1, 1));
    control.beat_once(env, &id());
    assert_eq!((database.state().beats, control.epoch()), (2, 2), "the lease stands under the new connection");
    assert!(control.may_have_moved_from(1) && !control.may_have_moved_from(2));
}

#[test]
fn a_heartbeat_waits_for_a_server_that_is_away() {
    let database = Database::new(false);
    let process = Process::new(&database);
    let run = process.run();
    let env = Env { run: &run, clock: &process.clock };
    let control = Control::default();
    held(&database, &control);
    database.state().dead = true;
    for _ in 0..5 {
        control.beat_once(env, &id());
    }
    database.revive();
    control.beat_once(env, &id());
    assert_eq!(database.state().beats, 1);
}

#[test]
fn a_heartbeat_does_not_take_a_lease_that_was_somebody_elses_meanwhile() {
    let database = Database::new(false);
    let process = Process::new(&database);
    let run = process.run();
    let env = Env { run: &run, clock: &process.clock };
    let control = Control::default();
    held(&database, &control);
    database.state().dead = true;
    control.beat_once(env, &id());
    database.revive();
    database.state().lease = None;
    control.beat_once(env, &id());
    assert!(database.state().lease.is_none(), "what was nobody's is given back");
    assert!(control.renew(env, &id()).is_err_and(|error| error.exit_code() == 4));
    control.end();
    assert_eq!(database.state().beats, 0);
}

#[test]
fn a_heartbeat_knows_its_own_lease_by_more_than_a_name() {
    let database = Database::new(false);
    let process = Process::new(&database);
    let run = process.run();
    let env = Env { run: &run, clock: &process.clock };
    let control = Control::default();
    held(&database, &control);
    // A run on another machine of the same name has taken it over, and was killed.
    let theirs = Holder { name: "me".to_owned(), pid: 4711, backend_start: "later".to_owned() };
    database.state().dead = true;
    control.beat_once(env, &id());
    database.revive();
    database.state().epoch += 1;
    let epoch = database.state().epoch;
    database.state().lease = Some((epoch, theirs));
    control.beat_once(env, &id());
    assert_eq!((control.epoch(), database.state().beats), (1, 0));
    assert!(control.renew(env, &id()).is_err_and(|error| error.exit_code() == 4));
    control.end();
}

/// Takes longer than a heartbeat to hear that something is waited for, and counts the heartbeats until then.
struct Slow<'d> {
    database: &'d Database,
    beats: AtomicUsize,
}

impl Observer for Slow<'_> {
    fn on(&self, progress: &Progress<'_>) {
        if let Progress::Waiting { .. } = progress {
            Bell::default().wait(Duration::from_millis(1500));
            self.beats.store(self.database.state().beats, Ordering::SeqCst);
        }
    }
}

#[test]
fn there_are_signs_of_life_while_an_earlier_runs_index_is_waited_for() {
    let database = Database::new(false);
    let leftover = |ended| Leftover { pid: 9, query: "CREATE INDEX CONCURRENTLY".to_owned(), ended };
    database.state().leftovers = vec![vec![leftover(false)], vec![leftover(true)]];
    database.state().lease = Some((0, Holder { name: "ci 4711".to_owned(), pid: 9, backend_start: String::new() }));
    let process = Process::new(&database);
    let slow = Slow { database: &database, beats: AtomicUsize::new(0) };
    let run = Run { observer: &slow, ..process.run() };
    run.apply_by(&process.clock, &additive(), Target::End).unwrap();
    assert!(slow.beats.load(Ordering::SeqCst) > 0);
}
