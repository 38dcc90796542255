//! The copy of what cleanup drops.

use segue_model::journal::{Checkpoint, Mark};
use segue_model::sql::Sql;
use segue_model::step::{Cut, Snapshot, Step};

use crate::backfill::Copying;
use crate::error::RunError;
use crate::guard::Patience;
use crate::running::Running;
use crate::step::limit;
use crate::window::Size;

impl Running<'_> {
    /// Makes a preserved copy.
    pub(crate) fn snapshot(&mut self, step: &Step, snapshot: &Snapshot) -> Result<(), RunError> {
        let Some((cut, copy)) = &snapshot.copy else {
            return self.in_one_transaction(step, &snapshot.create);
        };
        self.create_copy(step, cut, &snapshot.create)?;
        let copying = Copying { step, cut, before: &[], fill: copy };
        let at = self.pass(&copying, 1, &mut Size::first(cut))?;
        self.finish(step, &serde_json::json!({ "rows": at.rows }).to_string())
    }

    /// The empty copy is committed together with the checkpoint that says so.
    fn create_copy(&mut self, step: &Step, cut: &Cut, create: &[Sql]) -> Result<(), RunError> {
        let patience = Patience::of(step);
        self.persist(&patience, |me| {
            // Pass 0: a copy that was taken back.
            if me.checkpoint(step)?.is_some_and(|at| at.pass > 0) {
                return Ok(());
            }
            me.intend(step, Mark::Intent)?;
            me.own(patience.tries.each, |me| {
                me.take_locks(&step.locks)?;
                me.check_shape()?;
                me.execute_all(create, limit(step))?;
                let (low, end) = me.extent(cut)?;
                me.set_checkpoint(&Checkpoint { step: step.id, pass: 1, next: low, end, rows: 0 })
            })
        })
    }
}
