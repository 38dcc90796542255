//! What SQLite knows without being connected.

mod alone;
mod backfill;
mod bystander;
mod cleanup;
mod column;
mod constraint;
mod contract;
mod definition;
mod edited;
mod exchange;
mod facts;
mod index;
mod lookup;
mod mirror;
mod names;
mod naming;
mod native;
mod null_fill;
mod object;
mod obstacle;
mod offending;
mod rebuild;
mod rescue;
mod rows;
mod swap;
mod sync;
mod twin;
mod types;
mod verify;
mod way_back;
mod work;

use segue_model::change::{Change, Located};
use segue_model::probe::Probe;
use segue_model::sql::{Hole, Quoting, Sql, StandardQuoting};

use super::{Cost, Dialect, Planned};
use crate::operation::{Context, Native, Operation, Retype};
use crate::refusal::Refused;

/// The dialect of SQLite.
pub(super) struct Sqlite;

impl Quoting for Sqlite {
    fn name(&self, name: &str) -> String {
        StandardQuoting.name(name)
    }

    fn literal(&self, text: &str) -> String {
        StandardQuoting.literal(text)
    }
}

impl Dialect for Sqlite {
    fn probes(&self, operation: &Operation<'_>, context: &Context<'_>) -> Result<Vec<Probe>, Refused> {
        let mut open = obstacle::probes(operation, context);
        let more = match operation {
            Operation::Native(native) => alone::probes(native, context),
            Operation::Retype(retype) => twin::retype_probes(retype, context),
            Operation::AsWritten(_) | Operation::Rows(_) | Operation::Fill(_) | Operation::Pair(_) => Ok(vec![]),
        };
        open.extend(more.map_err(|refusal| refusal.at(operation.at()))?);
        Ok(open)
    }

    fn steps(&self, operation: &Operation<'_>, context: &Context<'_>) -> Result<Planned, Refused> {
        obstacle::broken_view(operation, context)?;
        let planned = match operation {
            Operation::AsWritten(written) => native::as_written(written, context),
            Operation::Fill(fill) => native::fill(fill, context),
            Operation::Pair(pair) => native::pair(pair, context),
            Operation::Retype(retype) => twin::retype(retype, context),
            Operation::Rows(rows) => rows::plan(rows),
            Operation::Native(native) => alone::plan(native, context),
        };
        planned.map_err(|refusal| refusal.at(operation.at()))
    }

    fn retypes_at_once(&self, _retype: &Retype<'_>) -> bool {
        false
    }

    /// A rebuild copies the columns that its plan lists.
    fn bears_company(&self) -> bool {
        false
    }

    fn keeps_old_shape(&self, native: &Native<'_>, context: &Context<'_>) -> bool {
        native.keeps_old_shape() || twin::is(native, context)
    }

    fn adds_with(&self, _clause: &str) -> bool {
        true
    }

    fn system_columns(&self) -> &'static [&'static str] {
        &[]
    }

    fn cost(&self, change: &Located<Change>, _context: &Context<'_>) -> Option<Cost> {
        facts::cost(&change.what)
    }

    fn facts(&self, _major: u32) -> Vec<Cost> {
        facts::all()
    }

    fn cost_probes(&self, _change: &Change, _context: &Context<'_>) -> Vec<Probe> {
        vec![]
    }
}

fn sql(template: &'static str, holes: &[(&'static str, Hole<'_>)]) -> Sql {
    Sql::fill(&Sqlite, template, holes)
}
