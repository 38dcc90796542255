//! Random rounds without end: a generated table under traffic is changed while something goes wrong, and must end as if the
//! change had been made naively, with every write of every client in it.
//!
//! `cargo xtask soak --minutes N --seed S [--engine postgres|sqlite|both] [--round K] [--lanes N] [--majors 13,18]
//! [--harm]`
//!
//! The same seed gives the same rounds, in whatever lane they run; `--round K` runs the K-th alone. When a round fails, its
//! seed and number are printed, and its plan, data and logs are kept under `target/soak`. `--harm` switches the sync triggers
//! off for a moment in each round: it shows that a lost write is found.
#![allow(missing_docs, reason = "a bench program")]
#![allow(clippy::print_stdout, reason = "its result is what it prints")]
#![allow(clippy::disallowed_methods, reason = "it lets real clients run for a while")]

mod draw;
mod fault;
mod ground;
mod round;
mod tally;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use draw::{Draw, Draws};
use ground::{Product, Servers};
use round::{Abilities, Outcome};
use segue_testkit::postgres::Binaries;
use segue_testkit::segue::Segue;
use tally::Tally;

/// A run with more bad rounds is no use to anybody.
const BAD_ROUNDS_MAX: u64 = 20;

/// What was asked for.
struct Options {
    minutes: f64,
    seed: u64,
    products: Vec<Product>,
    /// The options that, with the seed and the number, give the same round again.
    same: String,
    /// Only this round, this many times.
    round: Option<usize>,
    lanes: usize,
    majors: Vec<u32>,
    kept: PathBuf,
    /// Switch the sync triggers off for a moment in each round: the run must find that.
    harm: bool,
}

fn main() -> ExitCode {
    let options = match options() {
        Ok(options) => options,
        Err(why) => {
            println!("{why}");
            return ExitCode::from(2);
        }
    };
    let abilities = abilities(options.harm);
    let seed = options.seed;
    println!("seed {seed}, {} lanes, PostgreSQL {:?}", options.lanes, options.majors);
    let draws = Draws::new(seed, options.products.clone());
    let mixes = draws.mixes();
    let tally = match options.round {
        Some(number) => alone(&options, draws, number, abilities),
        None => together(&options, draws, abilities),
    };
    println!("\n{}\nseed {seed}: {}", tally.table(&mixes), tally.sums());
    if tally.bad == 0 && tally.rounds > 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn options() -> Result<Options, String> {
    let engine = option("--engine").unwrap_or_else(|| "both".to_owned());
    let wanted = option("--majors").unwrap_or_else(|| "13,15,18".to_owned());
    let majors: Vec<u32> = wanted.split(',').filter_map(|major| major.trim().parse().ok()).collect();
    let majors: Vec<u32> = majors.into_iter().filter(|major| Binaries::find(*major).is_some()).collect();
    let products = match engine.as_str() {
        "postgres" => vec![Product::Server],
        "sqlite" => vec![Product::File],
        "both" => vec![Product::Server, Product::File],
        other => return Err(format!("`{other}` is no engine: postgres, sqlite or both")),
    };
    if products.contains(&Product::Server) && majors.is_empty() {
        return Err(format!("skipped: no postgres of {wanted}; `--engine sqlite` needs none"));
    }
    let number = |name: &str, default: u64| match option(name) {
        Some(text) => text.parse().map_err(|_| format!("`{text}` is no number for {name}")),
        None => Ok(default),
    };
    let seed = number("--seed", fastrand::u64(..1_000_000))?;
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).expect("the package stands in `crates`");
    Ok(Options {
        minutes: option("--minutes").map_or(Ok(1.0), |text| text.parse().map_err(|_| format!("`{text}` minutes")))?,
        seed,
        products,
        same: format!("--seed {seed} --engine {engine} --majors {wanted}"),
        round: option("--round").map(|text| text.parse().map_err(|_| format!("`{text}` is no round"))).transpose()?,
        lanes: usize::try_from(number("--lanes", 3)?).map_err(|error| error.to_string())?.max(1),
        majors,
        kept: workspace.join("target/soak").join(seed.to_string()),
        harm: std::env::args().any(|argument| argument == "--harm"),
    })
}

/// Returns the value of an option of this program.
fn option(name: &str) -> Option<String> {
    let arguments: Vec<String> = std::env::args().collect();
    let at = arguments.iter().position(|argument| argument == name)?;
    arguments.get(at + 1).cloned()
}

/// Returns what the binary can be told. What it cannot be told changes no draw: a seed means the same rounds to every build.
fn abilities(harm: bool) -> Abilities {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let segue = Segue::new("", folder.path());
    let set = segue.ok(&["apply", "--help"]).contains("--set");
    if !set {
        println!("this build has no `apply --set`: rounds run with the default number of workers");
    }
    if segue.run(&["pause", "--help"]).code != 0 {
        println!("this build has no `segue pause`: rounds with that fault do not count");
    }
    Abilities { set, harm }
}

/// Runs one round of the seed, and says how it came out.
fn alone(options: &Options, mut draws: Draws, number: usize, abilities: Abilities) -> Tally {
    let mut tally = Tally::default();
    if let Some(draw) = (0..number).map(|_| draws.draw()).last() {
        println!("{draw:#?}");
        let outcome = one(&mut Servers::default(), draw, options, abilities);
        println!("{outcome:#?}");
        tally.take(draw.mix, &outcome);
    }
    tally
}

/// Runs rounds side by side until the time is over.
fn together(options: &Options, draws: Draws, abilities: Abilities) -> Tally {
    let until = Instant::now() + Duration::from_secs_f64(options.minutes * 60.0);
    let (draws, tally) = (Mutex::new(draws), Mutex::new(Tally::default()));
    std::thread::scope(|scope| {
        for _ in 0..options.lanes {
            scope.spawn(|| {
                let mut servers = Servers::default();
                while Instant::now() < until && locked(&tally).bad < BAD_ROUNDS_MAX {
                    let draw = locked(&draws).draw();
                    let began = Instant::now();
                    let outcome = one(&mut servers, draw, options, abilities);
                    let mut tally = locked(&tally);
                    tally.take(draw.mix, &outcome);
                    tell(options, draw, &outcome, began.elapsed(), &tally);
                }
            });
        }
    });
    tally.into_inner().unwrap_or_else(PoisonError::into_inner)
}

fn one(servers: &mut Servers, draw: Draw, options: &Options, abilities: Abilities) -> Outcome {
    let major = options.majors.get(draw.version % options.majors.len().max(1)).copied().unwrap_or_default();
    let kept = options.kept.join(draw.number.to_string());
    let ran = catch_unwind(AssertUnwindSafe(|| round::run(servers, draw, major, abilities, &kept)));
    ran.unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str);
        let why = text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("a panic");
        // A server in an unknown state is of no use to the next round.
        *servers = Servers::default();
        Outcome { faults: vec![format!("the round itself failed: {why}")], ..Outcome::default() }
    })
}

fn tell(options: &Options, draw: Draw, outcome: &Outcome, took: Duration, tally: &Tally) {
    if !outcome.faults.is_empty() {
        let Draw { number, mix, .. } = draw;
        println!("\nround {number} of seed {} ({mix:?}):\n{}", options.seed, outcome.faults.join("\n"));
        println!(
            "kept in {}; again: cargo xtask soak {} --round {number}\n",
            options.kept.join(number.to_string()).display(),
            options.same
        );
    }
    if tally.rounds.is_multiple_of(20) {
        println!("{} (the last took {:.1} s)", tally.sums(), took.as_secs_f64());
    }
}

fn locked<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
