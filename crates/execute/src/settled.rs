//! Statements that have no transaction: after an interruption the catalog says what came of them.

use segue_model::journal::Mark;
use segue_model::session::{Fail, FailKind};
use segue_model::sql::Sql;
use segue_model::step::Step;
use segue_model::value::Value;

use crate::error::RunError;
use crate::guard::Patience;
use crate::running::{QUESTION, Running};
use crate::step::limit;

/// What the catalog says about a statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Remains {
    Done,
    Undone,
    Broken,
}

impl Running<'_> {
    /// Does a statement outside a transaction, whatever an earlier try left behind.
    pub(crate) fn settled(&mut self, step: &Step, sql: &Sql, settle: &Sql) -> Result<(), RunError> {
        let result = self.persist(&Patience::of(step), |me| {
            if me.is_done(step.id) || me.settles(step, settle)? {
                return Ok(());
            }
            me.intend(step, Mark::Intent)?;
            me.fence()?;
            me.execute(sql, &[], limit(step))?;
            me.fence()?;
            match me.remains(settle)? {
                Remains::Done => Ok(()),
                Remains::Undone | Remains::Broken => {
                    let text = "the statement succeeded, and the catalog says that it is not done";
                    Err(Fail::new(FailKind::Server, text).into())
                }
            }
        });
        if let Err(error) = result {
            self.clear_after(step, settle, &error);
            return Err(error);
        }
        self.finish(step, "")
    }

    /// Returns whether an earlier try was carried out after all, and clears what it left if not.
    fn settles(&mut self, step: &Step, settle: &Sql) -> Result<bool, RunError> {
        if !self.is_open(step.id) {
            self.check_shape()?;
            return Ok(false);
        }
        self.fence()?;
        let remains = self.remains(settle)?;
        if remains == Remains::Broken {
            self.execute_all(&step.on_interrupted, limit(step))?;
        }
        Ok(remains == Remains::Done)
    }

    /// Clears what a failed try left broken: nobody should have to wait for the next run to get rid of an invalid index.
    /// Best effort, since the next run settles it anyway.
    fn clear_after(&mut self, step: &Step, settle: &Sql, error: &RunError) {
        let RunError::Fail { source, .. } = error else { return };
        if !source.outcome_unknown() && self.fence().is_ok() && self.remains(settle).is_ok_and(|r| r == Remains::Broken)
        {
            let cleared = self.execute_all(&step.on_interrupted, limit(step));
            if let Err(why) = cleared {
                self.note(format!("what step {} left behind could not be cleared yet: {why}", step.id));
            }
        }
    }

    fn remains(&mut self, settle: &Sql) -> Result<Remains, RunError> {
        let rows = self.query(settle, &[], QUESTION)?;
        match rows.first().and_then(|row| row.first()).and_then(Value::as_str) {
            Some("done") => Ok(Remains::Done),
            Some("undone") => Ok(Remains::Undone),
            Some("broken") => Ok(Remains::Broken),
            _ => {
                Err(Fail::new(FailKind::Usage, "the plan's question what came of a statement has no known answer")
                    .into())
            }
        }
    }
}
