//! What tells that a server has enough to do.

use std::collections::BTreeMap;
use std::thread;
use std::time::{Duration, Instant};

use segue_drivers::connector;
use segue_model::pressure::{Reading, Signal};
use segue_model::session::Session;
use segue_testkit::client::Client;
use segue_testkit::postgres::{Binaries, PostgresOptions, PostgresServer, majors};
use segue_testkit::process::signal;

use crate::LIMIT;

const ALL: [Signal; 8] = [
    Signal::ReplicaLag,
    Signal::SlotWal,
    Signal::ActiveSessions,
    Signal::LockWaits,
    Signal::LongestTransaction,
    Signal::WalBytes,
    Signal::ForcedCheckpoints,
    Signal::DiskFree,
];

fn read(session: &mut dyn Session, signal: Signal) -> Reading {
    let readings = session.pressure(&[signal]).unwrap();
    assert_eq!((readings.len(), readings[0].0), (1, signal));
    readings.into_iter().next().unwrap().1
}

fn value(session: &mut dyn Session, signal: Signal) -> f64 {
    match read(session, signal) {
        Reading::Value(value) => value,
        other => panic!("{signal:?}: {other:?}"),
    }
}

/// A server of its own: what others do on a shared one would be measured too.
fn on_each_alone(test: impl Fn(&PostgresServer, &str, &mut Client, &mut dyn Session)) {
    for major in majors() {
        let Some(binaries) = Binaries::find(major) else {
            segue_testkit::skipped(&format!("postgres {major}"));
            continue;
        };
        let options =
            PostgresOptions { wal_level: "logical", extra: &[("wal_keep_size", "0")], ..PostgresOptions::default() };
        let server = PostgresServer::start(&binaries, &options);
        let url = server.database();
        let mut session = open(&url);
        test(&server, &url, &mut Client::connect(&url), session.as_mut());
    }
}

fn open(url: &str) -> Box<dyn Session> {
    connector(url, &BTreeMap::new()).unwrap().connect("segue m throttle").unwrap()
}

#[test]
fn sessions_wal_checkpoints_and_the_disk_are_measured() {
    on_each_alone(|_, url, client, session| {
        let readings = session.pressure(&ALL).unwrap();
        assert_eq!(readings.iter().map(|(signal, _)| *signal).collect::<Vec<_>>(), ALL);
        assert_eq!((&readings[0].1, &readings[1].1), (&Reading::Nothing, &Reading::Nothing));
        assert_eq!(session.pressure(&[]).unwrap(), []);
        assert_eq!(value(session, Signal::ActiveSessions), 0.0);
        assert_eq!(value(session, Signal::LongestTransaction), 0.0);
        client.batch("CREATE TABLE t (id int)");
        client.batch("BEGIN; LOCK TABLE t");
        let mut waiting = Client::connect(url);
        let mut ours = open(url);
        thread::scope(|scope| {
            scope.spawn(|| waiting.batch("SELECT * FROM t"));
            scope.spawn(|| ours.query("SELECT pg_sleep(1)", &[], LIMIT).unwrap());
            thread::sleep(Duration::from_millis(600));
            assert_eq!(value(session, Signal::ActiveSessions), 2.0);
            assert_eq!(value(session, Signal::LockWaits), 1.0);
            let longest = value(session, Signal::LongestTransaction);
            assert!((0.5..5.0).contains(&longest), "{longest}");
            client.batch("COMMIT");
        });
        let before = value(session, Signal::WalBytes);
        client.batch("INSERT INTO t SELECT generate_series(1, 10000)");
        let written = value(session, Signal::WalBytes) - before;
        assert!((500_000.0..50_000_000.0).contains(&written), "{written}");
        let before = value(session, Signal::ForcedCheckpoints);
        client.batch("CHECKPOINT");
        let until = Instant::now() + LIMIT;
        while value(session, Signal::ForcedCheckpoints) <= before {
            assert!(Instant::now() < until);
            thread::sleep(Duration::from_millis(50));
        }
        assert!(value(session, Signal::DiskFree) > 1e6);
    });
}

#[test]
fn what_a_role_may_not_see_is_unknown_and_names_the_grant() {
    on_each_alone(|server, url, client, _| {
        server.role("blind");
        let mut blind = open(&server.as_role(url, "blind"));
        let unknown = |session: &mut dyn Session, signal, grant: &str| match read(session, signal) {
            Reading::Unknown(why) => assert!(why.ends_with(&format!("GRANT {grant} TO blind")), "{why}"),
            other => panic!("{signal:?}: {other:?}"),
        };
        let sessions = [Signal::ActiveSessions, Signal::LockWaits, Signal::LongestTransaction];
        for signal in sessions {
            unknown(blind.as_mut(), signal, "pg_read_all_stats");
        }
        unknown(blind.as_mut(), Signal::DiskFree, "pg_read_all_settings");
        assert_eq!(read(blind.as_mut(), Signal::ReplicaLag), Reading::Nothing);
        assert!(value(blind.as_mut(), Signal::WalBytes) > 0.0);
        assert!(blind.others_at_work().unwrap(), "the other session is hidden");
        client.batch("GRANT pg_monitor TO blind");
        let mut seeing = open(&server.as_role(url, "blind"));
        for signal in sessions {
            value(seeing.as_mut(), signal);
        }
        assert!(value(seeing.as_mut(), Signal::DiskFree) > 1e6);
    });
}

#[test]
fn a_long_statement_keeps_to_one_process_where_others_need_the_cores() {
    let workers = |session: &mut dyn Session| {
        let rows = session.query("SHOW max_parallel_maintenance_workers", &[], LIMIT).unwrap();
        rows[0][0].as_str().unwrap().to_owned()
    };
    on_each_alone(|_, _, _, session| {
        let usual = workers(session);
        assert_ne!(usual, "0");
        session.spare_others(true);
        assert_eq!(workers(session), "0");
        session.query("SELECT 1 / 0", &[], LIMIT).unwrap_err();
        assert_eq!(workers(session), "0", "a failed statement changes nothing");
        session.spare_others(false);
        assert_eq!(workers(session), usual);
    });
}

#[test]
fn others_are_at_work_when_they_were_lately() {
    on_each_alone(|_, url, client, session| {
        let mut ours = open(url);
        client.batch("SELECT 1");
        assert!(session.others_at_work().unwrap());
        thread::sleep(Duration::from_millis(2200));
        ours.query("SELECT 1", &[], LIMIT).unwrap();
        assert!(!session.others_at_work().unwrap());
        client.batch("BEGIN");
        thread::sleep(Duration::from_millis(2200));
        assert!(session.others_at_work().unwrap(), "a transaction is open");
        client.batch("COMMIT");
        let database = client.value("SELECT EXTRACT(epoch FROM now())::bigint::text").unwrap().parse::<i64>().unwrap();
        assert!((database - session.seconds_now().unwrap()).abs() <= 2);
    });
}

#[test]
fn the_lag_of_a_standby_that_stands_still_grows() {
    on_each_alone(|server, url, client, session| {
        let standby = server.standby("spare");
        let until = Instant::now() + LIMIT;
        while read(session, Signal::ReplicaLag) != Reading::Value(0.0) {
            assert!(Instant::now() < until, "it never catches up: {:?}", read(session, Signal::ReplicaLag));
            thread::sleep(Duration::from_millis(50));
        }
        server.role("no_standbys");
        let mut blind = open(&server.as_role(url, "no_standbys"));
        assert!(matches!(read(blind.as_mut(), Signal::ReplicaLag), Reading::Unknown(why) if why.contains("GRANT")));
        client.batch("CREATE TABLE t (id int)");
        // All of its processes: those that receive and replay are its children.
        stop_and_go(&standby, "STOP");
        let stopped = Instant::now();
        client.batch("INSERT INTO t SELECT generate_series(1, 10000)");
        for _ in 0..6 {
            thread::sleep(Duration::from_millis(300));
            let lag = value(session, Signal::ReplicaLag);
            // Counted from our first look after it stopped.
            let (most, least) = (stopped.elapsed().as_secs_f64() + 0.2, stopped.elapsed().as_secs_f64() - 0.8);
            assert!(lag >= least && lag <= most, "{lag} is not within {least} and {most}");
        }
        stop_and_go(&standby, "CONT");
        let until = Instant::now() + LIMIT;
        while read(session, Signal::ReplicaLag) != Reading::Value(0.0) {
            assert!(Instant::now() < until, "it never catches up");
            thread::sleep(Duration::from_millis(50));
        }
        // Replay alone stands still.
        let mut replica = Client::connect(&standby.url("postgres"));
        replica.batch("SELECT pg_wal_replay_pause()");
        client.batch("INSERT INTO t SELECT generate_series(1, 10000)");
        value(session, Signal::ReplicaLag);
        thread::sleep(Duration::from_millis(700));
        assert!(value(session, Signal::ReplicaLag) >= 0.6);
        replica.batch("SELECT pg_wal_replay_resume()");
        client.batch("SELECT pg_create_physical_replication_slot('spare_2', true)");
        let gone = Reading::Unknown("the standby of slot spare_2 is not connected".into());
        let found = client.try_batch("SELECT 1").map(|()| read(session, Signal::ReplicaLag)).unwrap();
        assert_eq!(found, gone);
    });
}

#[test]
fn what_one_session_saw_of_standbys_another_goes_on_from() {
    for major in majors() {
        let Some(binaries) = Binaries::find(major) else {
            segue_testkit::skipped(&format!("postgres {major}"));
            continue;
        };
        let server = PostgresServer::start(&binaries, &PostgresOptions::default());
        let url = server.database();
        let mut client = Client::connect(&url);
        let connector = connector(&url, &BTreeMap::new()).unwrap();
        let look = || connector.connect("segue m throttle").unwrap();
        let standby = server.standby("spare");
        let until = Instant::now() + LIMIT;
        while read(look().as_mut(), Signal::ReplicaLag) != Reading::Value(0.0) {
            assert!(Instant::now() < until, "it never catches up");
            thread::sleep(Duration::from_millis(50));
        }
        client.batch("CREATE TABLE t (id int)");
        thread::sleep(Duration::from_millis(300));
        assert_eq!(read(look().as_mut(), Signal::ReplicaLag), Reading::Value(0.0));
        stop_and_go(&standby, "STOP");
        client.batch("INSERT INTO t SELECT generate_series(1, 10000)");
        value(look().as_mut(), Signal::ReplicaLag);
        thread::sleep(Duration::from_millis(700));
        assert!(value(look().as_mut(), Signal::ReplicaLag) >= 0.6);
        let first = read(open(&url).as_mut(), Signal::ReplicaLag);
        assert_eq!(first, Reading::Unknown("how far standby `spare` is behind is not known yet".into()));
        stop_and_go(&standby, "CONT");
        drop(standby);
        let gone = Reading::Unknown("standby `spare` was connected and is not any more".into());
        let until = Instant::now() + LIMIT;
        while read(look().as_mut(), Signal::ReplicaLag) != gone {
            assert!(Instant::now() < until, "{:?}", read(look().as_mut(), Signal::ReplicaLag));
            thread::sleep(Duration::from_millis(50));
        }
        assert_eq!(read(open(&url).as_mut(), Signal::ReplicaLag), Reading::Nothing, "who never saw it cannot know");
    }
}

fn stop_and_go(server: &PostgresServer, name: &str) {
    let main = server.pid().unwrap();
    let all = std::fs::read_dir("/proc").unwrap().filter_map(|entry| {
        let pid: u32 = entry.ok()?.file_name().to_str()?.parse().ok()?;
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        let parent: u32 = stat.rsplit_once(") ")?.1.split_whitespace().nth(1)?.parse().ok()?;
        (parent == main || pid == main).then_some(pid)
    });
    all.for_each(|pid| assert!(signal(pid, name)));
}

#[test]
fn the_wal_that_a_logical_slot_keeps_is_measured() {
    on_each_alone(|_, _, client, session| {
        client.batch("CREATE TABLE t (id int)");
        client.rows("SELECT pg_create_logical_replication_slot('feed', 'pgoutput')");
        let before = value(session, Signal::SlotWal);
        client.batch("INSERT INTO t SELECT generate_series(1, 10000)");
        let kept = value(session, Signal::SlotWal);
        assert!(kept - before > 500_000.0 && kept < 1e8, "{before} {kept}");
        client.batch("ALTER SYSTEM SET max_slot_wal_keep_size = '1MB'");
        client.batch("SELECT pg_reload_conf()");
        for _ in 0..3 {
            client.batch("INSERT INTO t SELECT generate_series(1, 100000)");
            client.rows("SELECT pg_switch_wal()");
            client.batch("INSERT INTO t VALUES (1)");
        }
        client.batch("CHECKPOINT");
        let told = read(session, Signal::SlotWal);
        assert!(matches!(&told, Reading::Unknown(why) if why.starts_with("logical slot feed ")), "{told:?}");
    });
}
