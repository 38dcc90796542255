//! What PostgreSQL knows without being connected.

use segue_model::change::{Change, Located};
use segue_model::probe::Probe;
use segue_model::sql::{Quoting, StandardQuoting};

use super::{Cost, Dialect, Planned};
use crate::operation::{Context, Operation};
use crate::refusal::{Refusal, Refused};

/// The dialect of PostgreSQL.
pub(super) struct Postgres;

impl Quoting for Postgres {
    fn name(&self, name: &str) -> String {
        StandardQuoting.name(name)
    }

    fn literal(&self, text: &str) -> String {
        StandardQuoting.literal(text)
    }
}

impl Dialect for Postgres {
    fn probes(&self, _operation: &Operation<'_>, _context: &Context<'_>) -> Result<Vec<Probe>, Refused> {
        Ok(vec![])
    }

    fn steps(&self, _operation: &Operation<'_>, _context: &Context<'_>) -> Result<Planned, Refused> {
        Err(Refused { at: None, refusal: Refusal::NotYet { what: "PostgreSQL".into(), instead: String::new() } })
    }

    fn cost(&self, _change: &Located<Change>, _context: &Context<'_>) -> Option<Cost> {
        None
    }
}
