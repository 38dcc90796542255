//! How fast rows are brought over, and what the table weighs then.

use segue_testkit::postgres::PostgresServer;

use crate::figure::{Bar, Figure};
use crate::people::{Key, People};
use crate::reshape;

/// One way to bring the rows over: its name, its settings.
struct Way {
    name: &'static str,
    settings: &'static [&'static str],
    bar: f64,
}

const WAYS: [Way; 4] = [
    Way { name: "1 worker, pacing off", settings: &["workers=1", "pacing=off"], bar: 0.87 },
    Way { name: "1 worker, default pacing", settings: &["workers=1"], bar: 0.80 },
    Way { name: "2 workers, pacing off", settings: &["workers=2", "pacing=off"], bar: 1.4 },
    Way { name: "2 workers, default pacing", settings: &["workers=2"], bar: 1.2 },
];

/// Measures each way and the giant UPDATE turn about, and compares the best of each.
pub(crate) fn figures(server: &PostgresServer, rows: u64, runs: u32) -> Vec<Figure> {
    // The last place is that of the giant UPDATE.
    let mut best = [0.0_f64; WAYS.len() + 1];
    let mut failed: Vec<Option<String>> = vec![None; WAYS.len()];
    let mut growth = f64::INFINITY;
    for run in 0..runs {
        let order: Vec<usize> = if run % 2 == 0 { (0..best.len()).collect() } else { (0..best.len()).rev().collect() };
        for at in order {
            let people = People::new(server, rows, Key::Id);
            match WAYS.get(at) {
                None => best[at] = best[at].max(people.giant_update()),
                Some(way) => match people.apply(way.settings) {
                    Err(why) => failed[at] = Some(why),
                    Ok(applied) => {
                        best[at] = best[at].max(applied.rows / applied.backfill_s);
                        if at == 1 {
                            growth = growth.min(people.size() / people.fresh_size());
                        }
                    }
                },
            }
        }
    }
    let giant = best[WAYS.len()];
    let mut figures = vec![Figure::new("giant UPDATE without trigger, rows/s", giant, Bar::None, "")];
    for ((way, best), failed) in WAYS.iter().zip(best).zip(failed) {
        let name = format!("backfill ÷ giant UPDATE: {}", way.name);
        figures.push(match failed {
            Some(why) => Figure::broken(name, Bar::AtLeast(way.bar), why),
            None => Figure::new(name, best / giant, Bar::AtLeast(way.bar), format!("{best:.0} rows/s")),
        });
    }
    let name = "table size after ÷ what the change needs, default pacing";
    figures.push(match growth.is_finite() {
        true => Figure::new(name, growth, Bar::AtMost(1.3), ""),
        false => Figure::broken(name, Bar::AtMost(1.3), "no run came to its end"),
    });
    figures.push(reshape::backfill(server, rows, runs, best[2]));
    figures.push(few_values(server, rows, runs));
    figures
}

/// The same with a secondary index of few values: there is no bar, and no rival that is spared what the server does there.
fn few_values(server: &PostgresServer, rows: u64, runs: u32) -> Figure {
    let name = "backfill ÷ giant UPDATE: 1 worker, default pacing, secondary index of few values";
    let mut giant = 0.0_f64;
    for _ in 0..runs {
        giant = giant.max(People::new(server, rows, Key::FewValues).giant_update());
    }
    match best_rate(server, rows, Key::FewValues, runs) {
        Ok(rate) => Figure::new(name, rate / giant, Bar::None, format!("{rate:.0} and {giant:.0} rows/s")),
        Err(why) => Figure::broken(name, Bar::None, why),
    }
}

/// A key whose order differs from the columns', against one that does not; with `large`, ten times the rows against one.
pub(crate) fn shapes(server: &PostgresServer, rows: u64, runs: u32, large: bool) -> Vec<Figure> {
    let mut figures = Vec::new();
    let one = best_rate(server, rows, Key::Id, runs);
    let other = best_rate(server, rows, Key::Reordered, runs);
    let name = "rows/s: composite key in another order ÷ plain key";
    figures.push(ratio(name, &other, &one));
    let name = "rows/s: ten times the rows ÷ once";
    figures.push(match large {
        true => ratio(name, &best_rate(server, rows * 10, Key::Id, 1), &one),
        false => Figure::missing(name, Bar::AtLeast(0.9), "only with --large"),
    });
    figures
}

fn best_rate(server: &PostgresServer, rows: u64, key: Key, runs: u32) -> Result<f64, String> {
    let mut best = 0.0_f64;
    for _ in 0..runs {
        let applied = People::new(server, rows, key).apply(&[])?;
        best = best.max(applied.rows / applied.backfill_s);
    }
    Ok(best)
}

fn ratio(name: &str, over: &Result<f64, String>, under: &Result<f64, String>) -> Figure {
    match (over, under) {
        (Ok(over), Ok(under)) => {
            Figure::new(name, over / under, Bar::AtLeast(0.9), format!("{over:.0} and {under:.0} rows/s"))
        }
        (Err(why), _) | (_, Err(why)) => Figure::broken(name, Bar::AtLeast(0.9), why),
    }
}
