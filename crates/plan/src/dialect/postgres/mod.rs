//! What PostgreSQL knows without being connected.

mod added;
mod added_clause;
mod added_value;
mod alone;
mod asked;
mod attribute;
mod backfill;
mod chosen;
mod cleanup;
mod column;
mod constraint;
mod cost;
mod cut;
mod descendants;
mod facts;
mod faithful;
mod fill;
mod gates;
mod grants;
mod identity;
mod index;
mod keep;
mod leaves;
mod lookup;
mod mirror;
mod names;
mod naming;
mod native;
mod not_null;
mod object;
mod object_name;
mod pair;
mod partition;
mod prove;
mod reach;
mod refill;
mod rename_column;
mod rename_constraint;
mod rename_table;
mod retire_column;
mod retire_table;
mod retype;
mod retyped;
mod rows;
mod steady;
mod swap;
mod sync;
mod twin;
mod types;
mod unique;
mod user_trigger;
mod verify;
mod work;

use segue_model::change::{Change, Located};
use segue_model::probe::Probe;
use segue_model::sql::{Hole, Quoting, Sql, StandardQuoting};

use super::{Cost, Dialect, Planned};
use crate::operation::{Context, Native, Operation, Retype};
use crate::refusal::Refused;

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
    fn probes(&self, operation: &Operation<'_>, context: &Context<'_>) -> Result<Vec<Probe>, Refused> {
        match operation {
            Operation::AsWritten(written) => native::probes(written, context),
            Operation::Fill(fill) => fill::probes(fill, context),
            Operation::Pair(pair) => pair::probes(pair, context),
            Operation::Retype(retype) => retype::probes(retype, context),
            Operation::Rows(rows) => rows::probes(rows, context),
            Operation::Native(native) => alone::probes(native, context),
        }
        .map_err(|refusal| refusal.at(operation.at()))
    }

    fn steps(&self, operation: &Operation<'_>, context: &Context<'_>) -> Result<Planned, Refused> {
        match operation {
            Operation::AsWritten(written) => native::plan(written, context),
            Operation::Fill(fill) => fill::plan(fill, context),
            Operation::Pair(pair) => pair::plan(pair, context),
            Operation::Retype(retype) => retype::plan(retype, context),
            Operation::Rows(rows) => rows::plan(rows, context),
            Operation::Native(native) => alone::plan(native, context),
        }
        .map_err(|refusal| refusal.at(operation.at()))
    }

    fn retypes_at_once(&self, retype: &Retype<'_>) -> bool {
        retyped::at_once(retype).is_some()
    }

    fn bears_company(&self) -> bool {
        true
    }

    fn keeps_old_shape(&self, native: &Native<'_>, _context: &Context<'_>) -> bool {
        native.keeps_old_shape()
    }

    fn adds_with(&self, _clause: &str) -> bool {
        false
    }

    fn system_columns(&self) -> &'static [&'static str] {
        &["cmax", "cmin", "ctid", "tableoid", "xmax", "xmin"]
    }

    fn cost(&self, change: &Located<Change>, context: &Context<'_>) -> Option<Cost> {
        cost::cost(change, context)
    }

    fn facts(&self, major: u32) -> Vec<Cost> {
        cost::all(major)
    }

    fn cost_probes(&self, change: &Change, context: &Context<'_>) -> Vec<Probe> {
        cost::probes(change, context)
    }
}

/// Returns a template of this engine, filled.
fn sql(template: &'static str, holes: &[(&'static str, Hole<'_>)]) -> Sql {
    Sql::fill(&Postgres, template, holes)
}
