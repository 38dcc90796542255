//! What clients see of a whole change, beside the same load alone.

use std::cell::RefCell;

use segue_model::engine::Engine;
use segue_testkit::postgres::PostgresServer;
use segue_traffic::scenario::Rule;
use segue_traffic::{Scenario, scenario};

use crate::figure::{Bar, Figure};
use crate::reshape;
use crate::under_load::{By, Measured, on_postgres, on_sqlite};

/// Four clients, 400 requests a second, from expand to contract and cleanup, for a type change and a split.
pub(crate) fn figures(server: &PostgresServer, rows: u32, runs: u32) -> Vec<Figure> {
    let scenarios = [scenario::retype(Engine::Postgres), Some(scenario::split(Engine::Postgres))];
    let mut figures = Vec::new();
    for scenario in scenarios.into_iter().flatten() {
        let (alone, changed) = turn_about(runs, |by| on_postgres(server, &scenario, rows, by));
        figures.extend(of(&scenario, &alone, &changed));
        if scenario.rule == Rule::SameName {
            figures.push(reshape::wall(server, &scenario, rows, least(&changed, |m| m.apply_seconds)));
        }
    }
    figures
}

/// The longest stall of a writer while SQLite's table gets its new shape.
pub(crate) fn sqlite(rows: u32, runs: u32) -> Vec<Figure> {
    let scenario = scenario::split(Engine::Sqlite);
    let (alone, changed) = turn_about(runs, |by| on_sqlite(&scenario, rows, by));
    let note = format!("{} rows; alone {:.1} ms; {} failed", rows, least(&alone, |m| m.max_ms), sum(&changed));
    vec![
        Figure::new(
            "SQLite online rebuild: longest stall, ms",
            least(&changed, |m| m.max_ms),
            Bar::AtMost(200.0),
            note,
        ),
        Figure::new("SQLite: failed, lost or wrong", sum(&changed) as f64, Bar::AtMost(0.0), ""),
    ]
}

/// Measures both kinds there and back.
fn turn_about(runs: u32, measure: impl Fn(By) -> Measured) -> (Vec<Measured>, Vec<Measured>) {
    let (alone, changed) = (RefCell::new(Vec::new()), RefCell::new(Vec::new()));
    let one = |by| match by {
        By::Nothing => alone.borrow_mut().push(measure(by)),
        _ => changed.borrow_mut().push(measure(by)),
    };
    for run in 0..runs {
        let order = if run % 2 == 0 { [By::Nothing, By::Segue] } else { [By::Segue, By::Nothing] };
        order.into_iter().for_each(&one);
    }
    (alone.into_inner(), changed.into_inner())
}

fn of(scenario: &Scenario, alone: &[Measured], changed: &[Measured]) -> Vec<Figure> {
    let name = scenario.name;
    let alone_max = least(alone, |m| m.max_ms);
    let note = |text: String| format!("alone {text}");
    vec![
        Figure::new(
            format!("under load, {name}: p99, ms"),
            least(changed, |m| m.p99_ms),
            Bar::AtMost(5.0),
            note(format!("{:.1}", least(alone, |m| m.p99_ms))),
        ),
        Figure::new(
            format!("under load, {name}: longest, ms"),
            least(changed, |m| m.max_ms),
            Bar::AtMost((1.5 * alone_max).max(50.0).round()),
            note(format!("{alone_max:.1}")),
        ),
        Figure::new(
            format!("under load, {name}: failed, lost or wrong"),
            sum(changed) as f64,
            Bar::AtMost(0.0),
            format!("in {} runs", changed.len()),
        ),
        Figure::new(
            format!("under load, {name}: wall time of apply, s"),
            least(changed, |m| m.apply_seconds),
            Bar::None,
            "",
        ),
    ]
}

fn least(all: &[Measured], field: fn(&Measured) -> f64) -> f64 {
    all.iter().map(field).fold(f64::INFINITY, f64::min)
}

fn sum(all: &[Measured]) -> u64 {
    all.iter().map(|m| m.failed + m.lost + m.wrong).sum()
}
