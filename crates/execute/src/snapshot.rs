//! The copy of what cleanup drops.

use segue_model::journal::{Checkpoint, Mark};
use segue_model::sql::Sql;
use segue_model::step::{Snapshot, Step};

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
        let copying = Copying::whole(step, cut, copy);
        let at = self.create_copy(&copying, &snapshot.create)?;
        let at = self.pass(&copying, &at, &mut Size::first(cut))?;
        self.finish(step, &serde_json::json!({ "rows": at.rows }).to_string())
    }

    /// The empty copy is committed together with the checkpoint that says so.
    fn create_copy(&mut self, copying: &Copying<'_>, create: &[Sql]) -> Result<Checkpoint, RunError> {
        let step = copying.step;
        let patience = Patience::of(step);
        self.persist(&patience, |me| {
            // Pass 0: a copy that was taken back.
            let before = me.checkpoint(step)?;
            if let Some(at) = before.as_ref().filter(|at| at.pass > 0) {
                return Ok(at.clone());
            }
            me.intend(step, Mark::Intent)?;
            me.own(patience.tries.each, |me| {
                me.take_locks(&step.locks)?;
                me.check_shape()?;
                me.execute_all(create, limit(step))?;
                let at = me.whole_table(copying, 1, before.map_or(0, |at| at.spans))?;
                me.forget_spans(step)?;
                me.set_checkpoint(&at)?;
                Ok(at)
            })
        })
    }
}
