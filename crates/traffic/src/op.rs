//! One write of a client, small enough to remember hundreds of thousands of them.

use fastrand::Rng;
use segue_model::value::Value;

use crate::scenario::{Scenario, Side};

/// Which version of the application asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Version {
    Old,
    New,
}

/// What kind of write it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Insert,
    /// Names no column of either shape.
    InsertBare,
    Upsert,
    Update,
    /// The first of several columns.
    UpdatePart,
    /// A column that does not take part in the change.
    Annotate,
    /// The key changes.
    Move {
        to: i64,
    },
    Delete,
}

/// One write. Its values are not kept: they follow from `seed`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Op {
    pub(crate) id: i64,
    pub(crate) kind: Kind,
    pub(crate) version: Version,
    pub(crate) seed: u64,
    /// How often the new shape had been dropped by a rollback when this was sent.
    pub(crate) era: u16,
    /// The new version was allowed to write when this was sent: every row was filled.
    pub(crate) ready: bool,
}

/// A write that was sent, with what is known of it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sent {
    pub(crate) op: Op,
    /// The number that the row's versions have from this write on; `None`: the connection was lost, it may have happened.
    pub(crate) ver: Option<i64>,
}

impl Version {
    pub(crate) fn side(self, scenario: &Scenario) -> &Side {
        match self {
            Self::Old => &scenario.old,
            Self::New => &scenario.new,
        }
    }
}

impl Op {
    /// Returns what the writer means the columns of its shape to be.
    pub(crate) fn values(&self, scenario: &Scenario) -> Vec<Value> {
        (self.version.side(scenario).values)(&mut Rng::with_seed(self.seed))
    }

    /// Returns the note that this write leaves.
    pub(crate) fn note(&self) -> Value {
        format!("note {:x}", self.seed).into()
    }

    /// Returns the statement and its parameters.
    pub(crate) fn request(&self, scenario: &Scenario) -> (&'static str, Vec<Value>) {
        let side = self.version.side(scenario);
        let id = Value::Int(self.id);
        let values = || self.values(scenario);
        match self.kind {
            Kind::Insert => (side.insert, [vec![id], values(), vec![self.note()]].concat()),
            Kind::InsertBare => {
                (side.insert_bare.expect("only chosen where the version has it"), vec![id, self.note()])
            }
            Kind::Upsert => {
                let upsert = side.upsert.expect("only chosen where the version has it");
                (upsert, [vec![id], values()].concat())
            }
            Kind::Update => (side.update, [values(), vec![id]].concat()),
            Kind::UpdatePart => {
                let first = values().swap_remove(0);
                (side.update_part.expect("only chosen where the version has it"), vec![first, id])
            }
            Kind::Annotate => (scenario.shared.annotate, vec![self.note(), id]),
            Kind::Move { to } => (scenario.shared.move_key, vec![Value::Int(to), id]),
            Kind::Delete => (scenario.shared.delete, vec![id]),
        }
    }
}
