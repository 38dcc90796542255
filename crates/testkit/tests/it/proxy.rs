//! Connections that fail at a counted statement.

use std::process::Command;
use std::time::Duration;

use segue_testkit::client::Client;
use segue_testkit::postgres;
use segue_testkit::process::is_alive;
use segue_testkit::proxy::{Act, Moment, Proxy, Script};

/// A client behind a proxy, and one that goes straight to the same database.
fn behind(script: Script) -> Option<(Proxy, Client, Client)> {
    let server = postgres(15)?;
    let url = server.database();
    let proxy = Proxy::start(server.port()?);
    let watcher = Client::connect(&url);
    let client = Client::connect(&format!("{}?application_name=one", proxy.url(&url)));
    proxy.arm(script);
    Some((proxy, client, watcher))
}

const SET: [&str; 3] = ["CREATE TABLE a (n int)", "CREATE TABLE b (n int)", "CREATE TABLE c (n int)"];

/// Runs the three statements and returns how many were answered and how many the server carried out.
fn carried_out(moment: Moment) -> Option<(usize, String)> {
    let (proxy, mut client, mut watcher) = behind(Script { on: "one", at: 2, moment, act: Act::Cut })?;
    let answered = SET.iter().take_while(|sql| client.try_batch(sql).is_ok()).count();
    assert!(proxy.fired());
    // What was sent may still be on its way through the server.
    std::thread::sleep(Duration::from_millis(200));
    let made = "SELECT string_agg(relname, '' ORDER BY relname) FROM pg_class WHERE relname IN ('a', 'b', 'c')";
    Some((answered, watcher.value(made).unwrap_or_default()))
}

#[test]
fn a_request_is_lost_before_it_is_sent_or_before_it_is_answered_or_after() {
    let Some(before) = carried_out(Moment::BeforeSending) else { return };
    assert_eq!(before, (1, "a".to_owned()));
    assert_eq!(carried_out(Moment::Unanswered), Some((1, "ab".to_owned())));
    assert_eq!(carried_out(Moment::Answered), Some((2, "ab".to_owned())));
}

#[test]
fn requests_and_answers_are_counted_by_connection() {
    let none = Script { on: "", at: u64::MAX, moment: Moment::Answered, act: Act::Cut };
    let Some((proxy, mut client, _)) = behind(none) else { return };
    client.batch("SELECT 1; SELECT 2");
    // By the extended protocol: prepare, then run.
    client.column("SELECT $1", &["x"]);
    assert_eq!(proxy.counted(), 3);
    let seen = proxy.seen();
    assert_eq!((seen.len(), seen[0].application.as_str()), (1, "one"));
    assert_eq!((seen[0].requests, seen[0].answers), (3, 3));
}

#[test]
fn a_process_is_killed_and_a_connection_falls_silent() {
    let kill = Script { on: "", at: 1, moment: Moment::Answered, act: Act::Kill };
    let Some((proxy, mut client, _)) = behind(kill) else { return };
    let mut child = Command::new("sleep").arg("60").spawn().expect("every system has `sleep`");
    proxy.aim(&child);
    client.batch("SELECT 1");
    assert!(child.wait().expect("it is our child").code().is_none(), "a signal ended it");
    assert!(!is_alive(child.id()));
    proxy.arm(Script { on: "", at: 1, moment: Moment::BeforeSending, act: Act::Silence });
    let silent = std::thread::spawn(move || client.try_batch("SELECT 1"));
    assert!(proxy.wait_until_fired(Duration::from_secs(5)));
    std::thread::sleep(Duration::from_millis(100));
    assert!(!silent.is_finished());
    proxy.cut(false);
    assert!(silent.join().expect("it does not panic").is_err());
}
