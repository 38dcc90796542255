//! What earlier runs left behind on the server, and waiting before there is a lease to wait under.

use std::time::Duration;

use fastrand::Rng;
use segue_model::journal::Leftover;
use segue_model::session::{Fail, FailKind};

use crate::error::RunError;
use crate::observer::Progress;
use crate::running::Env;

/// The longest that an index which an earlier run left building is waited for.
const LEFTOVER: Duration = Duration::from_secs(3600);

/// Tries of what is done before the lease is ours.
const FIRST_TRIES: u32 = 200;

/// Ends what earlier runs left behind, and waits for an index that one of them left building: only then does the catalog
/// say what came of it.
pub(crate) fn clear_leftovers(
    env: Env<'_>,
    rng: &mut Rng,
    mut end: impl FnMut() -> Result<Vec<Leftover>, Fail>,
) -> Result<Vec<Leftover>, RunError> {
    let began = env.clock.now();
    let mut seen: Vec<Leftover> = Vec::new();
    loop {
        let found = patiently(env, rng, &mut end)?;
        for leftover in &found {
            if !seen.iter().any(|known| known.pid == leftover.pid && known.ended == leftover.ended) {
                env.tell(&Progress::LeftoverEnded { leftover });
                seen.push(leftover.clone());
            }
        }
        if found.iter().all(|leftover| leftover.ended) {
            return Ok(seen);
        }
        if env.clock.now().saturating_sub(began) >= LEFTOVER {
            let text = "an index that an earlier run began is still being built after an hour";
            return Err(Fail::new(FailKind::Deadline, text).into());
        }
        env.tell(&Progress::Waiting { what: "an earlier run's index is still being built" });
        env.wait(Duration::from_secs(1))?;
    }
}

/// Does what is done before the lease is ours again after a conflict, a few times.
pub(crate) fn patiently<T>(
    env: Env<'_>,
    rng: &mut Rng,
    mut op: impl FnMut() -> Result<T, Fail>,
) -> Result<T, RunError> {
    for _ in 0..FIRST_TRIES {
        env.check_stop()?;
        match op() {
            Err(fail) if fail.is_transient() => env.wait(Duration::from_millis(rng.u64(25..150)))?,
            other => return Ok(other?),
        }
    }
    Ok(op()?)
}
