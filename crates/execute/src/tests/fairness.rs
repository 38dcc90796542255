//! Turns for the others after a transaction that kept them out.

use std::time::Duration;

use super::fake::Database;
use super::{Process, additive};

#[test]
fn a_long_hold_is_followed_by_a_rest_as_long() {
    for (held, least, most) in [(5, 0, 0), (200, 190, 200), (5000, 990, 1000)] {
        let database = Database::new(true);
        let process = Process::new(&database);
        let millis = Duration::from_millis;
        database.state().slow = Some(("+new", millis(held), process.clock.clone()));
        process.apply(&additive()).unwrap();
        let longest = process.clock.waits().into_iter().max().unwrap_or_default();
        assert!(longest >= millis(least) && longest <= millis(most.max(1)), "{held} ms: {longest:?}");
    }
}

#[test]
fn an_undo_leaves_a_turn_too() {
    let database = Database::new(true);
    let process = Process::new(&database);
    process.apply(&super::plan()).unwrap();
    database.state().slow = Some(("-trigger", Duration::from_millis(300), process.clock.clone()));
    process.rollback().unwrap();
    assert!(process.clock.waits().iter().any(|wait| *wait >= Duration::from_millis(290)));
}
