//! The way to the server fails, or the server itself: at sampled statements of every command.

use std::time::{Duration, Instant};

use segue_model::engine::Engine;
use segue_testkit::postgres::{Binaries, PostgresOptions, PostgresServer};
use segue_testkit::proxy::{Act, Moment, Script};
use segue_testkit::segue::finished;
use segue_testkit::skipped;
use segue_traffic::scenario;

use super::place::Change;
use super::sample::check_points;
use super::straight::{self, Leg, Straight};

/// A statement at which something fails.
#[derive(Debug, Clone, Copy)]
struct Point {
    leg: Leg,
    request: u64,
    moment: Moment,
}

/// Returns every request of every command, with the moments in turn.
fn points(requests: &[(Leg, u64)]) -> Vec<Point> {
    let all = requests.iter().flat_map(|&(leg, requests)| {
        let moments = Moment::ALL.into_iter().cycle();
        (1..=requests).zip(moments).map(move |(request, moment)| Point { leg, request, moment })
    });
    all.collect()
}

/// The run goes on by itself, or ends with 3 and goes on when it is typed again.
fn cut(straight: &Straight<'_>, point: &Point, act: Act) -> Result<bool, String> {
    let scratch = straight.at(point.leg.stage);
    let script = Script { on: "", at: point.request, moment: point.moment, act };
    let (proxy, output) = straight.scripted(&scratch, point.leg, script);
    drop(proxy);
    match output.code {
        0 => straight.compare(&scratch, point.leg.end()).map(|()| true),
        3 => straight.goes_on(&scratch, point.leg, point.leg.command()).map(|()| false),
        other => Err(format!("it ended with {other}: {}", output.stderr)),
    }
}

#[test]
fn a_connection_that_is_cut_anywhere_is_made_again() {
    let Some((straight, requests)) = straight::retype() else { return };
    let by_itself = std::sync::atomic::AtomicU32::new(0);
    check_points("PostgreSQL, connection cut", points(requests), Duration::from_secs(15), |point| {
        let act = if point.request % 2 == 0 { Act::Cut } else { Act::CutAll };
        cut(straight, point, act).map(|went_on| {
            by_itself.fetch_add(u32::from(went_on), std::sync::atomic::Ordering::Relaxed);
        })
    });
    assert!(by_itself.into_inner() > 0, "no run went on by itself");
}

/// Nothing is passed on any more and nobody says so: what cannot be told from a slow statement ends at that statement's
/// limit, which is 10 s for those of the journal.
#[test]
fn a_connection_that_falls_silent_is_given_up() {
    let Some((straight, _)) = straight::retype() else { return };
    let scratch = straight.at(0);
    let script = Script { on: "control", at: 3, moment: Moment::BeforeSending, act: Act::Silence };
    let proxy = straight.proxy(script);
    let began = Instant::now();
    let output = proxy.run(&scratch.through(&proxy), &["apply"]);
    assert!(matches!(output.code, 0 | 3), "{}: {}", output.code, output.stderr);
    assert!(began.elapsed() < Duration::from_secs(60), "it took {:?}", began.elapsed());
    drop(proxy);
    straight.goes_on(&scratch, Leg { stage: 0, back: false }, &["apply"]).expect("it goes on");
}

/// Crashes the server at the point, with the run under way, and starts it again.
fn crash(server: &PostgresServer, straight: &Straight<'_>, point: &Point) -> Result<bool, String> {
    let scratch = straight.at(point.leg.stage);
    // A copied sequence is logged anew only after a checkpoint: without one, PostgreSQL forgets in a crash what it gave out.
    server.connect("postgres").batch("CHECKPOINT");
    let proxy = straight.proxy(Script { on: "", at: point.request, moment: Moment::Answered, act: Act::Watch });
    let child = scratch.through(&proxy).spawn(point.leg.command());
    proxy.wait_until_fired(Duration::from_secs(30));
    server.restart();
    let output = finished(child);
    match output.code {
        0 => straight.compare(&scratch, point.leg.end()).map(|()| true),
        3 => straight.goes_on(&scratch, point.leg, point.leg.command()).map(|()| false),
        other => Err(format!("{point:?} ended with {other}: {}", output.stderr)),
    }
}

#[test]
fn a_server_that_crashes_in_any_phase_is_waited_for() {
    let Some(binaries) = Binaries::find(15) else { return skipped("postgres 15") };
    // Without fsync: what a server wrote outlives its own crash, only not the machine's.
    let server = PostgresServer::start(&binaries, &PostgresOptions::default());
    let change = scenario::retype(Engine::Postgres).expect("PostgreSQL has it");
    let straight = Straight::run(&server, &Change::new(change, 500));
    let mut by_itself = 0;
    let mut points = points(&straight.requests());
    fastrand::shuffle(&mut points);
    let full = std::env::var_os("SEGUE_TEST_FULL").is_some();
    let wanted = if full { 20 } else { 1 };
    let mut run = 0;
    for leg in Leg::all() {
        for point in points.iter().filter(|point| point.leg == leg).take(wanted) {
            by_itself += u32::from(crash(&server, &straight, point).expect("it ends right"));
            run += 1;
        }
    }
    println!("PostgreSQL, server crash: {run} of {} points, {by_itself} went on by themselves", points.len());
    assert!(by_itself > 0);
}
