//! Servers start, are separate, and go away.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use segue_testkit::client::Client;
use segue_testkit::postgres::{Binaries, MAJORS, PASSWORD_ROLE, PostgresOptions, PostgresServer};
use segue_testkit::process::is_alive;
use segue_testkit::{each_postgres, skipped};

/// Waits up to ten seconds.
fn eventually(mut holds: impl FnMut() -> bool) -> bool {
    let limit = Instant::now() + Duration::from_secs(10);
    while Instant::now() < limit {
        if holds() {
            return true;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    false
}

/// Any version that is here.
fn newest() -> Option<Binaries> {
    let found = MAJORS.iter().rev().find_map(|major| Binaries::find(*major));
    if found.is_none() {
        skipped("postgres");
    }
    found
}

#[test]
fn each_version_is_the_one_that_was_asked_for() {
    for server in each_postgres() {
        let version = server.connect("postgres").value("SHOW server_version_num").expect("it is set");
        assert_eq!(version.parse::<u32>().expect("a number") / 10_000, server.major());
    }
}

#[test]
fn every_database_is_fresh_and_belongs_to_whom_it_is_for() {
    for server in each_postgres() {
        let (one, other) = (server.database(), server.database());
        assert_ne!(one, other);
        let theirs = server.database_as(r#"o"wner é"#);
        let mut client = Client::connect(&theirs);
        assert_eq!(client.value("SELECT current_user").as_deref(), Some(r#"o"wner é"#));
        client.batch("CREATE SCHEMA app; CREATE TABLE app.t (id int)");
        assert_eq!(client.value("SHOW is_superuser").as_deref(), Some("off"));
    }
}

#[test]
fn the_role_that_needs_a_password_does_not_get_in_without() {
    let Some(binaries) = newest() else { return };
    let server = PostgresServer::start(&binaries, &PostgresOptions::default());
    let url = server.database_as(PASSWORD_ROLE);
    assert!(Client::try_connect(&url).is_ok());
    let wrong = url.replace("p%40ss", "wrong");
    assert_ne!(url, wrong);
    assert_eq!(Client::try_connect(&wrong).err().map(|error| error.code).as_deref(), Some("28P01"));
}

#[test]
fn a_restart_cuts_sessions_and_keeps_data() {
    let Some(binaries) = newest() else { return };
    let server = PostgresServer::start(&binaries, &PostgresOptions::default());
    let mut client = server.connect("postgres");
    client.batch("CREATE TABLE t (id int); INSERT INTO t VALUES (1)");
    let pid = server.pid();
    server.restart();
    assert_ne!(server.pid(), pid);
    assert!(client.try_batch("SELECT 1").is_err());
    assert_eq!(server.connect("postgres").value("SELECT count(*) FROM t").as_deref(), Some("1"));
}

#[test]
fn a_server_goes_away_with_its_folder() {
    let Some(binaries) = newest() else { return };
    let options = PostgresOptions { own_identity: true, wal_level: "logical", ..PostgresOptions::default() };
    let server = PostgresServer::start(&binaries, &options);
    assert_eq!(server.connect("postgres").value("SHOW wal_level").as_deref(), Some("logical"));
    let folder = server.data_folder().expect("it is ours");
    let pid = server.pid().expect("it is ours");
    drop(server);
    assert!(!is_alive(pid));
    assert!(!folder.exists());
}

#[test]
fn a_standby_follows_and_does_not_write() {
    for major in segue_testkit::postgres::majors() {
        let Some(binaries) = Binaries::find(major) else {
            skipped(&format!("postgres {major}"));
            continue;
        };
        let server = PostgresServer::start(&binaries, &PostgresOptions::default());
        server.connect("postgres").batch("CREATE TABLE t (id int); INSERT INTO t VALUES (1)");
        let standby = server.standby("spare");
        server.connect("postgres").batch("INSERT INTO t VALUES (2)");
        let mut there = standby.connect("postgres");
        assert_eq!(there.value("SELECT pg_is_in_recovery()").as_deref(), Some("t"));
        assert!(eventually(|| there.value("SELECT count(*) FROM t").as_deref() == Some("2")), "PostgreSQL {major}");
        assert!(there.try_batch("INSERT INTO t VALUES (3)").is_err_and(|error| error.code == "25006"));
        let name = "SELECT application_name FROM pg_stat_replication";
        assert_eq!(server.connect("postgres").value(name).as_deref(), Some("spare"));
    }
}

/// The part of the next test that is killed: a process of its own that starts a server, says so, and waits.
#[test]
#[ignore = "started by a_killed_test_process_leaves_no_server"]
fn victim() {
    let Some(path) = std::env::var_os("SEGUE_TESTKIT_VICTIM") else { return };
    let Some(binaries) = newest() else { return };
    let server = PostgresServer::start(&binaries, &PostgresOptions::default());
    let pid = server.pid().expect("it is ours");
    let folder = server.data_folder().expect("it is ours");
    let scratch = std::path::PathBuf::from(&path).with_extension("part");
    std::fs::write(&scratch, format!("{pid}\n{}", folder.display())).expect("the folder is the test's");
    std::fs::rename(&scratch, &path).expect("the folder is the test's");
    std::thread::sleep(Duration::from_secs(60));
}

#[test]
fn a_killed_test_process_leaves_no_server() {
    if newest().is_none() {
        return;
    }
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let said = folder.path().join("said");
    let mut child = Command::new(std::env::current_exe().expect("a test knows its own file"))
        .args(["--ignored", "--exact", "server::victim"])
        .env("SEGUE_TESTKIT_VICTIM", &said)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("the test's own file can be run");
    assert!(eventually(|| said.exists()));
    let text = std::fs::read_to_string(&said).expect("it is there");
    let (pid, data) = text.split_once('\n').expect("two lines");
    let pid: u32 = pid.parse().expect("a number");
    assert!(is_alive(pid));
    child.kill().expect("it is our child");
    child.wait().expect("it is our child");
    assert!(eventually(|| !std::path::Path::new(data).exists()), "{data} is still there");
    // Where nobody waits for orphans a dead process stays listed: its folder and its port are what must be free.
    let state = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    assert!(state.is_empty() || state.contains(") Z "), "the server lives: {state}");
}
