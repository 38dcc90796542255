//! Statements that have no transaction: after an interruption the catalog says what came of them.

use std::time::Duration;

use segue_model::journal::Mark;
use segue_model::session::{Fail, FailKind};
use segue_model::sql::Sql;
use segue_model::step::Step;
use segue_model::value::Value;

use crate::error::RunError;
use crate::guard::Patience;
use crate::running::{QUESTION, Running};
use crate::step::limit;

/// How long a user who wants to stop now waits for the removal of what the cancelled statement left.
const AT_ONCE: Duration = Duration::from_secs(10);

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
            me.hand.spare_others();
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

    /// Clears what a failed or cancelled try left broken: nobody should have to wait for the next run to get rid of an
    /// invalid index. Best effort, since the next run settles it anyway.
    fn clear_after(&mut self, step: &Step, settle: &Sql, error: &RunError) {
        let limit = match error {
            RunError::Fail { source, .. } if !source.outcome_unknown() => limit(step),
            RunError::Interrupted if self.is_open(step.id) => AT_ONCE,
            _ => return,
        };
        if self.fence().is_err() || !self.remains_now(settle).is_ok_and(|remains| remains == Remains::Broken) {
            return;
        }
        // Not by `execute`, which does nothing more once the user has asked to stop now.
        let cleared =
            step.on_interrupted.iter().try_for_each(|sql| self.hand.work.execute(sql.as_str(), &[], limit).map(drop));
        if let Err(why) = cleared {
            self.note(format!(
                "what step {} left behind is still there ({why}): `segue apply {1}` or `segue rollback {1}` clears it",
                step.id,
                self.id()
            ));
        }
    }

    fn remains(&mut self, settle: &Sql) -> Result<Remains, RunError> {
        if self.env.run.stop.at_once() {
            return Err(RunError::Interrupted);
        }
        self.remains_now(settle)
    }

    fn remains_now(&mut self, settle: &Sql) -> Result<Remains, RunError> {
        let rows = self.hand.work.query(settle.as_str(), &[], QUESTION)?;
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
