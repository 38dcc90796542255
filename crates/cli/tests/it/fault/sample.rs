//! Which points are run: all of them in a full run, else as many as there is time for, by a seed.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use fastrand::Rng;

/// Runs `check` for every point in a full run (`SEGUE_TEST_FULL`), else for points in a random order until `budget` is over;
/// prints how many.
///
/// # Panics
/// With each point that went wrong.
#[track_caller]
pub(crate) fn check_points<P: Sync + std::fmt::Debug>(
    what: &str,
    mut points: Vec<P>,
    budget: Duration,
    check: impl Fn(&P) -> Result<(), String> + Sync,
) {
    let seed = std::env::var("SEGUE_TEST_SEED").ok().and_then(|seed| seed.parse().ok());
    let seed = seed.unwrap_or_else(|| fastrand::u64(..));
    let full = std::env::var_os("SEGUE_TEST_FULL").is_some();
    Rng::with_seed(seed).shuffle(&mut points);
    let began = Instant::now();
    let (next, wrong) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    let take = || (full || began.elapsed() < budget).then(|| next.fetch_add(1, Ordering::Relaxed));
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while let Some(point) = take().and_then(|at| points.get(at)) {
                    if let Err(why) = check(point) {
                        wrong.lock().expect("nothing panics while it is held").push(format!("{point:?}: {why}"));
                    }
                }
            });
        }
    });
    let run = next.into_inner().min(points.len());
    let wrong = wrong.into_inner().expect("nothing panics while it is held");
    println!("{what}: {run} of {} crash points, {} wrong, SEGUE_TEST_SEED={seed}", points.len(), wrong.len());
    assert!(run > 0, "{what}: no point was run");
    assert!(
        wrong.is_empty(),
        "{what}: {} of {run} wrong, SEGUE_TEST_SEED={seed}\n{}",
        wrong.len(),
        wrong[..wrong.len().min(5)].join("\n\n")
    );
}
