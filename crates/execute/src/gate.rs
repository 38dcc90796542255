//! What must hold before going on.

use segue_model::step::{Asks, Condition, Gate, Step};
use segue_model::value::{Row, Value};

use crate::error::RunError;
use crate::guard::Patience;
use crate::running::Running;
use crate::step::THOROUGH;

/// Findings that one condition shows at most.
const FINDINGS_MAX: usize = 10;

/// Conditions that do not hold.
#[derive(Debug, Default)]
pub(crate) struct Unmet {
    /// What does not hold.
    pub(crate) reasons: Vec<String>,
    /// What to do.
    pub(crate) hints: Vec<String>,
}

impl Unmet {
    /// Fails when anything is unmet.
    pub(crate) fn or_gate(self, step: Option<u32>) -> Result<(), RunError> {
        let Self { reasons, hints } = self;
        if reasons.is_empty() { Ok(()) } else { Err(RunError::Gate { step, reasons, hints }) }
    }

    fn add(&mut self, condition: &Condition, rows: &[Row]) {
        let found = rows.iter().take(FINDINGS_MAX).map(|row| finding(row)).collect::<Vec<_>>().join(", ");
        let more = rows.len().saturating_sub(FINDINGS_MAX);
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        self.reasons.push(format!("{found}{more} (needed: {})", condition.says));
        self.hints.push(condition.hint.clone());
    }
}

impl Running<'_> {
    /// Passes a gate, or says what is in the way.
    pub(crate) fn gate(&mut self, step: &Step, gate: &Gate) -> Result<(), RunError> {
        let mut unmet = self.persist(&Patience::journal(step), |me| {
            me.check_shape()?;
            me.unmet(&gate.conditions)
        })?;
        if let Some((reason, hint)) = gate.asks.and_then(|asks| self.unsaid(asks)) {
            unmet.reasons.push(reason.to_owned());
            unmet.hints.push(hint.to_owned());
        }
        unmet.or_gate(Some(step.id))?;
        self.finish(step, "")
    }

    /// Returns the conditions that do not hold. Never asked while locks are held that the application waits for: a condition
    /// may read every row.
    pub(crate) fn unmet(&mut self, conditions: &[Condition]) -> Result<Unmet, RunError> {
        let mut unmet = Unmet::default();
        for condition in conditions {
            let rows = self.query(&condition.sql, &[], THOROUGH)?;
            if !rows.is_empty() {
                unmet.add(condition, &rows);
            }
        }
        Ok(unmet)
    }

    /// Returns what nobody has said yet, and how to say it.
    pub(crate) fn unsaid(&self, asks: Asks) -> Option<(&'static str, &'static str)> {
        let (said, text) = match asks {
            Asks::OldVersionStopped => (
                self.said.old_version_stopped,
                (
                    "the old version of the application may still be running",
                    "Once no process uses the old shape any more, say so with `--old-version-stopped`.",
                ),
            ),
            Asks::NewVersionStopped => (
                self.said.new_version_stopped,
                (
                    "the new version of the application may be running",
                    "Once no process uses the new shape any more, say so with `--new-version-stopped`.",
                ),
            ),
        };
        (!said).then_some(text)
    }
}

fn finding(row: &[Value]) -> String {
    match row.first() {
        Some(Value::Text(text)) => text.clone(),
        Some(Value::Int(number)) => number.to_string(),
        Some(Value::Real(number)) => number.to_string(),
        Some(Value::Null | Value::Bytes(_)) | None => "it does not hold".to_owned(),
    }
}
