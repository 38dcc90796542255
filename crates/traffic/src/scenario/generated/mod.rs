//! Scenarios put together from a shape of the key and an alteration, for random tests.

mod alteration;
mod key;
mod table;

use std::sync::{Mutex, PoisonError};

use segue_model::engine::Engine;

pub use alteration::Alteration;
pub use key::KeyShape;

use self::table::Table;
use super::Scenario;

/// The scenarios made so far: their texts live as long as the process, so each is made once.
static MADE: Mutex<Vec<(Engine, KeyShape, Alteration, Scenario)>> = Mutex::new(Vec::new());

/// Returns the scenario of this alteration of a table with such a key. Both must be the engine's: see [`KeyShape::all`] and
/// [`Alteration::all`].
///
/// # Panics
/// When one of them is not the engine's.
pub fn generated(engine: Engine, key: KeyShape, alteration: Alteration) -> Scenario {
    assert!(
        KeyShape::all(engine).contains(&key) && Alteration::all(engine).contains(&alteration),
        "{engine:?} has no {key:?} with {alteration:?}"
    );
    let mut made = MADE.lock().unwrap_or_else(PoisonError::into_inner);
    let known = made.iter().find(|(e, k, a, _)| (*e, *k, *a) == (engine, key, alteration));
    if let Some((_, _, _, scenario)) = known {
        return scenario.clone();
    }
    let scenario = alteration.scenario(&Table::new(engine, key));
    made.push((engine, key, alteration, scenario.clone()));
    scenario
}

/// Makes a text live as long as the process.
fn kept(text: String) -> &'static str {
    text.leak()
}
