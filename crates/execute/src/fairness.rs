//! Rests between transactions that keep writers out.

use std::time::Duration;

use segue_model::lock::{Blocks, RelationLock};

use crate::error::RunError;
use crate::running::Running;

/// What was held for no longer keeps nobody waiting that a client would notice.
const NOTICED: Duration = Duration::from_millis(20);

/// The longest rest.
const REST_MAX: Duration = Duration::from_secs(1);

impl Running<'_> {
    /// Notes how long locks were held that were had at `since`, where they are such that the application waits for them. A
    /// lock without a queue goes to whoever asks at the right moment: others get as long a turn before the next one.
    pub(crate) fn note_held(&mut self, locks: &[RelationLock], since: Duration) {
        if locks.iter().any(|lock| lock.mode.blocks() >= Blocks::Writes) {
            let now = self.env.clock.now();
            let held = now.saturating_sub(since);
            self.outcome.longest_lock_held = self.outcome.longest_lock_held.max(held);
            if held > NOTICED {
                self.others_until = now + held.min(REST_MAX);
            }
        }
    }

    /// Waits until the others have had their turn.
    pub(crate) fn leave_others_their_turn(&mut self) -> Result<(), RunError> {
        let rest = self.others_until.saturating_sub(self.env.clock.now());
        if rest.is_zero() { Ok(()) } else { self.env.wait(rest) }
    }
}
