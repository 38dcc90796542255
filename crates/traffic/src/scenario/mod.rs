//! The changes that are made under traffic: each with its table, its migration, its applications and its meaning.

mod fill;
pub mod generated;
mod hostile;
mod rename;
mod retype;
mod split;
mod texts;

use fastrand::Rng;
use segue_model::engine::Engine;
use segue_model::value::Value;

pub use fill::fill;
pub use generated::generated;
pub use hostile::hostile;
pub use rename::rename;
pub use retype::{retype, retype_beyond_int, retype_key};
pub use split::split;

/// A change, the applications before and after it, and what it means for a row.
///
/// Everything is written out by hand: the SQL that applications send, and the transforms once more as Rust functions, so that
/// nothing of what is tested takes part in judging it. Each table has `id` (the key, which may change), `ver` (counts the
/// writes of a row, so that their true order is known), `note` (a column the change does not touch) and the columns changed.
#[derive(Debug, Clone)]
pub struct Scenario {
    /// Its name, for reports.
    pub name: &'static str,
    /// The table, quoted where it must be.
    pub table: &'static str,
    /// How the two shapes follow from each other.
    pub rule: Rule,
    /// Creates the table and its indexes.
    pub create: &'static str,
    /// Fills it with rows 1 to `$1`.
    pub fill: &'static str,
    /// Run after it was filled.
    pub settle: &'static str,
    /// The migration file; also the naive DDL.
    pub up: &'static str,
    /// The down file.
    pub down: &'static str,
    /// What the old version of the application does.
    pub old: Side,
    /// What the new version does.
    pub new: Side,
    /// What both versions do that does not touch the changed columns.
    pub shared: Shared,
    /// The old columns of a row that [`crate::seed`] wrote, by its id.
    pub seeded: fn(i64) -> Vec<Value>,
    /// What the old columns are when an INSERT does not name them.
    pub defaults: fn() -> Vec<Value>,
    /// Old → new.
    pub forward: fn(&[Value]) -> Vec<Value>,
    /// New → old.
    pub back: fn(&[Value]) -> Vec<Value>,
}

/// How the two shapes of a row follow from each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rule {
    /// The side that was written is kept, the other becomes its transform.
    BothWays,
    /// The new column is filled once from the old one and then stands alone; the old one stays.
    FillOnce,
    /// One column under one name.
    SameName,
}

/// What one version of the application does. Parameters are numbered in the order of their appearance: both engines take that.
#[derive(Debug, Clone, Copy)]
pub struct Side {
    /// `$1` id, then the columns, then the note; gives `ver`.
    pub insert: &'static str,
    /// `$1` id, then the columns; gives `ver`: 1 when it inserted. `None` where the table has no key.
    pub upsert: Option<&'static str>,
    /// The columns, then the id; gives `ver`.
    pub update: &'static str,
    /// The first column, then the id; gives `ver`. `None` where there is one column.
    pub update_part: Option<&'static str>,
    /// `$1` id, `$2` note; names no column of either shape; gives `ver`. `None` where the shape must be named.
    pub insert_bare: Option<&'static str>,
    /// `$1` id; gives `ver` and the columns.
    pub read: &'static str,
    /// Gives id, `ver`, note and the columns of every row.
    pub all: &'static str,
    /// Makes values that this version writes.
    pub values: fn(&mut Rng) -> Vec<Value>,
}

/// Requests that do not touch the changed columns; each write gives `ver`.
#[derive(Debug, Clone, Copy)]
pub struct Shared {
    /// `$1` note, `$2` id.
    pub annotate: &'static str,
    /// `$1` new id, `$2` id.
    pub move_key: &'static str,
    /// `$1` id.
    pub delete: &'static str,
    /// Reads every row.
    pub count: &'static str,
}

/// Returns every scenario that the engine has.
pub fn all(engine: Engine) -> Vec<Scenario> {
    [Some(split(engine)), Some(rename(engine)), Some(hostile(engine)), Some(fill(engine)), retype(engine)]
        .into_iter()
        .flatten()
        .collect()
}

/// Returns the one of two that is for `engine`.
fn by_engine<T>(engine: Engine, sqlite: T, postgres: T) -> T {
    if engine == Engine::Sqlite { sqlite } else { postgres }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_scenario_writes_values_of_the_width_of_its_side() {
        let mut rng = Rng::with_seed(7);
        for engine in [Engine::Sqlite, Engine::Postgres] {
            for scenario in all(engine) {
                let old = (scenario.old.values)(&mut rng);
                let new = (scenario.new.values)(&mut rng);
                assert_eq!(old.len(), (scenario.defaults)().len(), "{}", scenario.name);
                assert_eq!(old.len(), (scenario.seeded)(1).len(), "{}", scenario.name);
                assert_eq!((scenario.forward)(&old).len(), new.len(), "{}", scenario.name);
                assert_eq!((scenario.back)(&new).len(), old.len(), "{}", scenario.name);
            }
        }
    }
}
