//! The valve, look by look.

mod fake;
mod lag;
mod led;

use std::sync::Mutex;
use std::time::Duration;

use segue_model::ident::MigrationId;
use segue_model::pressure::{Reading, Signal};
use segue_model::session::FailKind;
use segue_model::tuning::Tuning;
use segue_model::value::Value;

use super::watch::Watch;
use super::{Valve, Work};
use crate::error::RunError;
use crate::figures::Report;
use crate::observer::{Observer, Progress};
use crate::run::{Options, Run};
use crate::running::Env;
use crate::stop::Stop;
use fake::{HandClock, World};

const SECOND: Duration = Duration::from_secs(1);

/// Notes what holds back.
#[derive(Default)]
struct Told(Mutex<Vec<Vec<String>>>);

impl Observer for Told {
    fn on(&self, progress: &Progress<'_>) {
        if let Progress::Throttled { reasons } = progress {
            self.0.lock().unwrap().push(reasons.to_vec());
        }
    }
}

/// Asks an address.
type Ask = fn(&str) -> Result<(), String>;

/// A database, a clock, and what a run is given.
struct Stage {
    world: World,
    clock: HandClock,
    told: Told,
    stop: Stop,
    http: Option<Ask>,
    id: MigrationId,
}

impl Stage {
    fn new() -> Self {
        let id = MigrationId::new("1_full_name").unwrap();
        let (world, clock, told) = Default::default();
        Self { world, clock, told, stop: Stop::new(), http: None, id }
    }

    fn on<T>(&self, settings: &[(&str, &str)], test: impl FnOnce(Env<'_>, &Valve, &mut Watch<'_>) -> T) -> T {
        let options = Options { http: self.http, ..Options::default() };
        let run = Run { connector: &self.world, observer: &self.told, stop: &self.stop, options };
        let env = Env { run: &run, clock: &self.clock };
        let valve = Valve::new(tuning(settings));
        let mut watch = Watch::new(&valve, env, &self.id);
        test(env, &valve, &mut watch)
    }

    fn shows(&self, signal: Signal, value: f64) {
        self.world.shown().readings.insert(signal, Reading::Value(value));
    }
}

fn tuning(settings: &[(&str, &str)]) -> Tuning {
    let mut tuning = Tuning::default();
    for (key, value) in settings {
        tuning.set(key, value).unwrap();
    }
    tuning
}

fn reasons(valve: &Valve, env: Env<'_>, work: Work) -> Vec<String> {
    valve.state().texts(work, env.clock.now())
}

/// Looks after a second, and returns what holds windows back.
fn after_a_second(valve: &Valve, env: Env<'_>, watch: &mut Watch<'_>) -> Vec<String> {
    env.clock.wait(SECOND, env.run.stop);
    watch.look(true);
    reasons(valve, env, Work::Window)
}

#[test]
fn nothing_passes_before_the_first_look() {
    Stage::new().on(&[], |env, valve, watch| {
        assert_eq!(reasons(valve, env, Work::Window), ["the database's load has not been looked at yet"]);
        assert_eq!(reasons(valve, env, Work::Locks).len(), 1);
        watch.look(true);
        assert_eq!(reasons(valve, env, Work::Window), [""; 0]);
        valve.pass(env, Work::Window).unwrap();
        valve.pass(env, Work::Locks).unwrap();
    });
}

#[test]
fn each_limit_holds_and_lets_go() {
    // A value that is allowed, one that is not, one that only just is again, one that is by far.
    let cases = [
        ("replica_lag", "2s", Signal::ReplicaLag, [2.0, 2.5, 2.0, 0.0], true, false),
        ("slot_wal", "1kB", Signal::SlotWal, [1024.0, 1025.0, 1000.0, 800.0], false, true),
        ("active_sessions", "10", Signal::ActiveSessions, [10.0, 11.0, 9.0, 8.0], false, true),
        ("lock_waits", "1", Signal::LockWaits, [1.0, 2.0, 1.0, 0.0], true, true),
        ("longest_transaction", "1min", Signal::LongestTransaction, [60.0, 61.0, 59.0, 40.0], true, true),
        ("disk_free", "1GB", Signal::DiskFree, [1.1e9, 1.0e9, 1.1e9, 2.0e9], false, true),
    ];
    for (key, limit, signal, [good, bad, less, well], locks, stays) in cases {
        let stage = Stage::new();
        stage.on(&[(key, limit)], |env, valve, watch| {
            stage.shows(signal, good);
            assert_eq!(after_a_second(valve, env, watch), [""; 0], "{key}");
            stage.shows(signal, bad);
            let held = after_a_second(valve, env, watch);
            assert!(held.len() == 1 && held[0].contains("limit"), "{key}: {held:?}");
            assert_eq!(reasons(valve, env, Work::Locks).len(), usize::from(locks), "{key}");
            stage.shows(signal, less);
            assert_eq!(after_a_second(valve, env, watch).len(), usize::from(stays), "{key}: it lets go well below");
            stage.shows(signal, well);
            assert_eq!(after_a_second(valve, env, watch), [""; 0], "{key}");
            stage.shows(signal, f64::NAN);
            assert_eq!(after_a_second(valve, env, watch).len(), 1, "{key}: no number");
        });
    }
}

#[test]
fn what_is_over_at_once_is_held_by_orders_alone_and_what_is_heavy_by_everything() {
    let stage = Stage::new();
    stage.on(&[("active_sessions", "10")], |env, valve, watch| {
        assert_eq!(reasons(valve, env, Work::Small).len(), 1, "an order may be there, unseen");
        stage.shows(Signal::ActiveSessions, 11.0);
        assert_eq!(after_a_second(valve, env, watch).len(), 1);
        let held = |work| reasons(valve, env, work).len();
        assert_eq!([Work::Heavy, Work::Locks, Work::Small].map(held), [1, 0, 0]);
        stage.world.shown().orders.paused_by = Some("ops".to_owned());
        after_a_second(valve, env, watch);
        assert_eq!([Work::Heavy, Work::Locks, Work::Small].map(held), [2, 1, 1]);
    });
}

#[test]
fn a_limit_that_is_off_is_not_even_measured() {
    let stage = Stage::new();
    stage.shows(Signal::ReplicaLag, 3600.0);
    stage.on(&[("replica_lag", "off")], |env, valve, watch| {
        assert_eq!(after_a_second(valve, env, watch), [""; 0]);
    });
    stage.on(&[], |env, valve, watch| {
        assert_eq!(after_a_second(valve, env, watch), ["replica lag 1h, limit 10s"], "the default");
    });
}

#[test]
fn the_rate_of_wal_is_not_known_at_first_and_then_held() {
    let stage = Stage::new();
    stage.on(&[("wal_rate", "1MB/s")], |env, valve, watch| {
        let mut written = 5e9;
        let mut after = |bytes: f64| {
            written += bytes;
            stage.shows(Signal::WalBytes, written);
            after_a_second(valve, env, watch)
        };
        assert!(after(0.0)[0].contains("cannot be measured"));
        assert_eq!(after(1e6), [""; 0]);
        assert_eq!(after(9e6), ["WAL a second 4.77MB, limit 1MB"]);
        assert_eq!((0..4).map(|_| after(0.0).len()).collect::<Vec<_>>(), [1, 1, 1, 1], "over five seconds");
        assert_eq!(after(0.0), [""; 0]);
        assert!(after(-5e9)[0].contains("cannot be measured"), "the counter was reset");
        assert_eq!(after(0.0), [""; 0]);
    });
}

#[test]
fn forced_checkpoints_are_counted_over_a_minute() {
    let stage = Stage::new();
    stage.on(&[("forced_checkpoints", "1")], |env, valve, watch| {
        let mut after = |seconds: u64, count: f64| {
            stage.shows(Signal::ForcedCheckpoints, count);
            stage.clock.pass(Duration::from_secs(seconds));
            watch.look(true);
            reasons(valve, env, Work::Window)
        };
        assert_eq!((after(1, 7.0), after(5, 8.0)), (vec![], vec![]));
        assert_eq!(after(5, 9.0), ["forced checkpoints a minute 2, limit 1"]);
        assert_eq!(after(30, 9.0).len(), 1);
        assert_eq!((after(70, 9.0).len(), after(1, 9.0)), (0, vec![]), "more than a minute ago");
    });
}

#[test]
fn what_cannot_be_told_holds_and_what_is_not_there_does_not() {
    let stage = Stage::new();
    stage.on(&[("replica_lag", "2s"), ("slot_wal", "1GB")], |env, valve, watch| {
        stage.world.shown().readings.insert(Signal::ReplicaLag, Reading::Unknown("no right to see it".to_owned()));
        stage.world.shown().readings.insert(Signal::SlotWal, Reading::Nothing);
        let told = "replica lag cannot be measured: no right to see it (set `replica_lag` to `off` to go on without)";
        assert_eq!(after_a_second(valve, env, watch), [told]);
        stage.world.shown().orders.tuning = tuning(&[("replica_lag", "off")]);
        watch.look(false);
        assert_eq!(reasons(valve, env, Work::Window), [""; 0], "an order takes effect at the next look");
    });
}

#[test]
fn a_lost_connection_holds_until_it_is_back() {
    let stage = Stage::new();
    stage.on(&[], |env, valve, watch| {
        assert_eq!(after_a_second(valve, env, watch), [""; 0]);
        assert!({
            watch.look(true);
            valve.is_quiet()
        });
        stage.world.shown().fails = Some(FailKind::Lost);
        watch.look(false);
        let lost = "the database's load and its orders cannot be seen: it broke";
        assert_eq!(reasons(valve, env, Work::Window), [lost]);
        assert_eq!(reasons(valve, env, Work::Locks), [lost]);
        assert!(!valve.is_quiet());
        stage.world.shown().fails = Some(FailKind::Connect);
        watch.look(false);
        assert_eq!(reasons(valve, env, Work::Window), [lost]);
        stage.world.shown().fails = None;
        watch.look(false);
        assert_eq!(reasons(valve, env, Work::Window), [""; 0], "the first look after a failure looks at everything");
        assert_eq!(stage.world.shown().connections, ["segue 1_full_name watch"; 2]);
    });
}

#[test]
fn a_look_that_only_met_a_lock_is_patient_for_a_while() {
    let stage = Stage::new();
    stage.on(&[], |env, valve, watch| {
        assert_eq!(after_a_second(valve, env, watch), [""; 0]);
        stage.world.shown().fails = Some(FailKind::LockTimeout);
        assert_eq!(after_a_second(valve, env, watch), [""; 0]);
        stage.clock.pass(3 * SECOND);
        assert_eq!(after_a_second(valve, env, watch).len(), 1);
    });
}

#[test]
fn what_was_not_looked_at_for_long_is_not_known() {
    let stage = Stage::new();
    stage.on(&[], |env, valve, watch| {
        assert_eq!(after_a_second(valve, env, watch), [""; 0]);
        stage.clock.pass(11 * SECOND);
        assert_eq!(reasons(valve, env, Work::Locks).len(), 1);
        assert_eq!(after_a_second(valve, env, watch), [""; 0]);
    });
}

#[test]
fn pause_resume_and_tune_take_effect_at_the_next_look() {
    let stage = Stage::new();
    stage.on(&[("window", "50ms"), ("workers", "2")], |env, valve, watch| {
        watch.look(true);
        stage.world.shown().orders.paused_by = Some("ops anna 12".to_owned());
        watch.look(false);
        let told = "paused by ops anna 12; to go on: segue resume 1_full_name";
        assert_eq!(reasons(valve, env, Work::Window), [told]);
        assert_eq!(reasons(valve, env, Work::Locks), [told]);
        stage.world.shown().orders.paused_by = None;
        watch.look(false);
        assert_eq!(reasons(valve, env, Work::Window), [""; 0]);
        stage.world.shown().orders.tuning = tuning(&[("workers", "8")]);
        watch.look(false);
        let now = valve.tuning();
        assert_eq!((now.workers, now.window_ms, now.quarantine), (Some(8), Some(50), Some(10_000)));
        stage.world.shown().orders.tuning = Tuning::default();
        watch.look(false);
        assert_eq!(valve.tuning().workers, Some(2));
    });
}

#[test]
fn hours_hold_windows_and_locks() {
    let stage = Stage::new();
    stage.on(&[("only", "22:00-06:00")], |env, valve, watch| {
        stage.world.shown().now_s = 86_400 + 20 * 3600 + 30;
        let told = "outside its hours, which begin in 2 h 0 min";
        assert_eq!(after_a_second(valve, env, watch), [told]);
        assert_eq!(reasons(valve, env, Work::Locks), [told]);
        stage.world.shown().now_s = 86_400 + 22 * 3600;
        assert_eq!(after_a_second(valve, env, watch), [""; 0]);
    });
}

#[test]
fn it_is_quiet_when_nobody_was_there_twice() {
    let stage = Stage::new();
    stage.on(&[], |_, valve, watch| {
        let mut after = |others: bool| {
            stage.world.shown().others = others;
            watch.look(true);
            valve.is_quiet()
        };
        assert_eq!(
            [after(false), after(false), after(true), after(false), after(false)],
            [false, true, false, false, true]
        );
    });
}

#[test]
fn a_query_a_file_and_an_address_hold() {
    let mut stage = Stage::new();
    stage.http =
        Some(|address| if address.contains("up") { Ok(()) } else { Err("https://host answers with 503".to_owned()) });
    let there = std::env::current_exe().unwrap();
    let settings = [("query", "SELECT calm"), ("file", there.to_str().unwrap()), ("http", "https://host/down?key=1")];
    stage.on(&settings, |env, valve, watch| {
        watch.look(true);
        assert_eq!(reasons(valve, env, Work::Window), ["outside check: not asked yet"]);
        let asked = |answer: Vec<Vec<Value>>| {
            stage.world.shown().answer = answer;
            valve.look_outside_now(env, &stage.id);
            reasons(valve, env, Work::Window)
        };
        let all = asked(vec![vec![Value::from("f")]]);
        assert_eq!(all[0], "query: it says no");
        assert!(all[1].starts_with("file: `") && all[1].ends_with("` is there"), "{all:?}");
        assert_eq!(all[2], "http: https://host answers with 503", "its path may hold a key");
        assert_eq!(reasons(valve, env, Work::Locks), [""; 0]);
        assert_eq!(asked(vec![])[0], "query: it gives no row");
        assert_eq!(asked(vec![vec![Value::Null]])[0], "query: it gives NULL");
        assert_eq!(asked(vec![vec![Value::from("7")]])[0], "query: its first value is neither true nor false");
        assert_eq!(asked(vec![vec![Value::from("t")]]).len(), 2);
        stage.world.shown().fails = Some(FailKind::Deadline);
        assert_eq!(asked(vec![])[0], "query: it fails: it broke");
        stage.world.shown().fails = None;
        stage.world.shown().orders.tuning = tuning(&[("file", "/there/is/none"), ("http", "http://up/")]);
        watch.look(false);
        assert_eq!(reasons(valve, env, Work::Window), ["outside check: not asked yet"], "something else is asked");
        assert_eq!(asked(vec![vec![Value::Int(1)]]), [""; 0]);
        stage.clock.pass(9 * SECOND);
        watch.look(true);
        stage.clock.pass(9 * SECOND);
        assert_eq!(reasons(valve, env, Work::Window), ["outside check: no answer for 15 s"]);
        stage.world.shown().orders.tuning = tuning(&[("query", "off"), ("file", "off"), ("http", "off")]);
        watch.look(false);
        assert_eq!(reasons(valve, env, Work::Window), [""; 0]);
    });
}

#[test]
fn an_address_that_cannot_be_asked_holds() {
    let stage = Stage::new();
    stage.on(&[("http", "http://up/")], |env, valve, watch| {
        watch.look(true);
        valve.look_outside_now(env, &stage.id);
        assert_eq!(reasons(valve, env, Work::Window), ["http: this program cannot ask it"]);
    });
}

#[test]
fn who_takes_a_migration_back_is_not_held() {
    let stage = Stage::new();
    stage.on(&[], |env, valve, watch| {
        stage.world.shown().orders.paused_by = Some("anna".to_owned());
        watch.look(true);
        valve.open();
        valve.pass(env, Work::Window).unwrap();
    });
}

/// Waits in a thread of its own while the test goes on, and returns what came of it.
fn while_it_waits(valve: &Valve, env: Env<'_>, work: Work, test: impl FnOnce()) -> Result<(), RunError> {
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| valve.pass(env, work));
        let mut state = valve.state();
        while !state.has_waiting() {
            state = valve.wait(state, Duration::from_millis(5));
        }
        drop(state);
        test();
        waiting.join().unwrap()
    })
}

#[test]
fn time_is_counted_by_reason_while_somebody_waits_and_told() {
    let stage = Stage::new();
    stage.on(&[("replica_lag", "2s"), ("slot_wal", "1kB")], |env, valve, watch| {
        stage.shows(Signal::ReplicaLag, 5.0);
        assert_eq!(after_a_second(valve, env, watch).len(), 1);
        stage.clock.pass(5 * SECOND);
        watch.look(true);
        assert_eq!(valve.held(), [], "nobody waited");
        while_it_waits(valve, env, Work::Window, || {
            stage.clock.pass(3 * SECOND);
            stage.shows(Signal::SlotWal, 4096.0);
            watch.look(true);
            stage.clock.pass(4 * SECOND);
            stage.shows(Signal::ReplicaLag, 0.0);
            watch.look(true);
            stage.clock.pass(SECOND);
            stage.shows(Signal::SlotWal, 0.0);
            watch.look(true);
        })
        .unwrap();
        let held = valve.held().into_iter().map(|(what, time)| (what, time.as_secs())).collect::<Vec<_>>();
        assert_eq!(held, [("WAL kept by a slot".to_owned(), 5), ("replica lag".to_owned(), 7)]);
        let told = stage.told.0.lock().unwrap();
        assert_eq!(told.last().map(Vec::len), Some(0), "that it goes on: {told:?}");
    });
}

#[test]
fn what_a_worker_waits_for_is_counted_and_shown() {
    let stage = Stage::new();
    stage.on(&[], |env, valve, watch| {
        watch.look(true);
        valve.waits_for(Some("the table has grown".to_owned()), env.clock.now());
        stage.clock.pass(3 * SECOND);
        assert_eq!(valve.report(env.clock.now()).holding, ["the table has grown"]);
        valve.waits_for(None, env.clock.now());
        stage.clock.pass(3 * SECOND);
        let report = valve.report(env.clock.now());
        assert_eq!((report.holding.len(), report.throttled["dead rows"]), (0, 3.0));
    });
}

#[test]
fn who_waits_is_woken_by_the_end_and_by_the_wish_to_stop() {
    let stage = Stage::new();
    stage.on(&[], |env, valve, watch| {
        stage.world.shown().orders.paused_by = Some("anna".to_owned());
        watch.look(true);
        while_it_waits(valve, env, Work::Locks, || valve.end()).unwrap();
    });
    stage.on(&[], |env, valve, watch| {
        watch.look(true);
        let ended = while_it_waits(valve, env, Work::Locks, || stage.stop.request());
        assert!(matches!(ended, Err(RunError::Interrupted)));
    });
}

#[test]
fn the_threads_look_by_themselves_and_end() {
    let stage = Stage::new();
    stage.on(&[("file", "/there/is/none"), ("query", "SELECT true")], |env, valve, _| {
        stage.world.shown().answer = vec![vec![Value::from("true")]];
        std::thread::scope(|scope| {
            scope.spawn(|| valve.watch(env, &stage.id));
            valve.pass(env, Work::Window).unwrap();
            valve.end();
        });
    });
}

#[test]
fn the_figures_are_written_under_the_lease_and_never_without() {
    let stage = Stage::new();
    stage.on(&[], |env, valve, watch| {
        stage.world.shown().now_s = 1_000;
        watch.look(true);
        assert_eq!(stage.world.shown().reports.len(), 0, "who only joins writes none");
        valve.leads(7);
        stage.world.shown().orders.paused_by = Some("anna".to_owned());
        valve.note(|figures| figures.stands(1, 30, 100));
        assert_eq!(after_a_second(valve, env, watch).len(), 1);
        watch.look(false);
        watch.write_last();
        let reports = stage.world.shown().reports.clone();
        assert_eq!(reports.iter().map(|(epoch, _)| *epoch).collect::<Vec<_>>(), [7, 7]);
        let report = Report::from_json(&reports[0].1).unwrap();
        assert_eq!((report.at, report.done, report.total), (Some(1_000), 30, 100));
        assert_eq!((report.paused_by.as_deref(), report.holding.len()), (Some("anna"), 1));
    });
}
