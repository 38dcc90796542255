//! Which standbys are behind, and who may know.

use std::collections::BTreeMap;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use segue_drivers::connector;
use segue_model::session::Session;
use segue_testkit::client::Client;
use segue_testkit::postgres::{Binaries, PostgresOptions, PostgresServer, majors};

use crate::LIMIT;

fn lagging(session: &mut dyn Session) -> Vec<String> {
    session.lagging_standbys().unwrap()
}

#[test]
fn a_standby_is_behind_until_it_has_replayed_and_a_role_that_cannot_see_it_is_told() {
    for major in majors() {
        let Some(binaries) = Binaries::find(major) else {
            segue_testkit::skipped(&format!("postgres {major}"));
            continue;
        };
        let server = PostgresServer::start(&binaries, &PostgresOptions::default());
        let url = server.database();
        let mut admin = Client::connect(&url);
        let open = |url: &str| connector(url, &BTreeMap::new()).unwrap().connect("segue x main").unwrap();
        let (mut seeing, mut blind) = (open(&url), {
            server.role("blind \"one\"");
            open(&server.as_role(&url, "blind \"one\""))
        });
        assert!(lagging(blind.as_mut()).is_empty(), "nobody is connected");
        let standby = server.standby("spare");
        let until = Instant::now() + LIMIT;
        while admin.value("SELECT count(replay_lsn)::text FROM pg_stat_replication").as_deref() != Some("1")
            && Instant::now() < until
        {
            thread::sleep(Duration::from_millis(50));
        }
        let told =
            "standbys cannot be seen by role \"blind \"\"one\"\"\": GRANT pg_read_all_stats TO \"blind \"\"one\"\"\"";
        assert_eq!(lagging(blind.as_mut()), [told]);
        let mut replica = Client::connect(&standby.url("postgres"));
        replica.batch("SELECT pg_wal_replay_pause()");
        admin.batch("CREATE TABLE t (id int)");
        assert_eq!(lagging(seeing.as_mut()), ["spare"]);
        replica.batch("SELECT pg_wal_replay_resume()");
        while !lagging(seeing.as_mut()).is_empty() {
            assert!(Instant::now() < until + LIMIT, "it never catches up");
            thread::sleep(Duration::from_millis(50));
        }
        admin.batch("GRANT pg_read_all_stats TO \"blind \"\"one\"\"\"");
        while !lagging(blind.as_mut()).is_empty() {
            assert!(Instant::now() < until + LIMIT, "it never catches up");
            thread::sleep(Duration::from_millis(50));
        }
        archive_is_no_standby(&binaries, &server, seeing.as_mut(), &mut admin);
    }
}

/// An archive of WAL is received and never replayed.
fn archive_is_no_standby(binaries: &Binaries, server: &PostgresServer, session: &mut dyn Session, admin: &mut Client) {
    let program = binaries.folder().join("pg_receivewal");
    if !program.is_file() {
        return segue_testkit::skipped("pg_receivewal");
    }
    let port = server.port().expect("it is ours").to_string();
    for name in ["pg_receivewal", "pg_basebackup", "archive"] {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("host=127.0.0.1 port={port} user=postgres application_name={name}");
        let mut child = Command::new(&program).arg("-D").arg(folder.path()).arg("-d").arg(&url).spawn().unwrap();
        let until = Instant::now() + LIMIT;
        let there = format!(
            "SELECT count(*)::text FROM pg_stat_replication WHERE application_name = '{name}' AND state = 'streaming'"
        );
        let mut streams = false;
        while !streams && Instant::now() < until {
            thread::sleep(Duration::from_millis(50));
            streams = admin.value(&there).as_deref() == Some("1");
        }
        admin.batch("CREATE TABLE IF NOT EXISTS more (id int); DROP TABLE more");
        let found = lagging(session);
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(streams);
        assert!(!found.iter().any(|standby| standby == name), "{found:?}");
    }
}
