//! SIGKILL at every statement that a run sends to PostgreSQL: before it is sent, before it is answered, after. Then the same
//! command again, or `rollback`, and the end is that of an uninterrupted run, or the beginning.

use std::time::Duration;

use segue_testkit::proxy::{Act, Moment, Script};

use crate::fault::place::BACK;
use crate::fault::sample::check_points;
use crate::fault::straight::{self, Leg, Straight};

/// What the sampled test may take for each change.
const BUDGET: Duration = Duration::from_secs(25);

/// Where a run is killed, and whether it is then taken up or back.
#[derive(Debug, Clone, Copy)]
struct Point {
    leg: Leg,
    request: u64,
    moment: Moment,
    then_back: bool,
}

/// Returns every point.
fn points(requests: &[(Leg, u64)]) -> Vec<Point> {
    let all = requests.iter().flat_map(|&(leg, requests)| {
        (1..=requests).flat_map(move |request| {
            let moments = (0..).zip(Moment::ALL);
            moments.map(move |(number, moment)| {
                let then_back = leg.back || (request + number) % 2 == 0;
                Point { leg, request, moment, then_back }
            })
        })
    });
    all.collect()
}

/// Kills a run at the point, goes on or back, and compares.
fn check(straight: &Straight<'_>, point: &Point) -> Result<(), String> {
    let scratch = straight.at(point.leg.stage);
    let script = Script { on: "", at: point.request, moment: point.moment, act: Act::Kill };
    let (proxy, output) = straight.scripted(&scratch, point.leg, script);
    if !proxy.fired() && output.code != 0 {
        return Err(format!("it was not killed, and ended with {}: {}", output.code, output.stderr));
    }
    drop(proxy);
    straight.goes_on(&scratch, point.leg, if point.then_back { BACK } else { point.leg.command() })
}

fn killed_at_every_statement(what: &str, run: Option<&(Straight<'_>, Vec<(Leg, u64)>)>) {
    let Some((straight, requests)) = run else { return };
    check_points(&format!("PostgreSQL, {what}"), points(requests), BUDGET, |point| check(straight, point));
}

#[test]
fn killed_at_every_statement_of_a_split() {
    killed_at_every_statement("split", straight::split());
}

#[test]
fn killed_at_every_statement_of_a_type_change() {
    killed_at_every_statement("type change", straight::retype());
}
