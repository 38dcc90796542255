//! The structure that the plan was made for, and how it differs from the one that is there.

use segue_model::journal::{Event, Mark};
use segue_model::plan::Plan;

use crate::error::RunError;
use crate::meanwhile::{Meanwhile, meanwhile};
use crate::running::Running;

/// Differences that are shown at most; the rest is counted.
const LINES_MAX: usize = 40;

impl Running<'_> {
    /// Returns the structure of the plan's tables now.
    pub(crate) fn shape(&mut self) -> Result<String, RunError> {
        let Running { hand, plan, .. } = self;
        Ok(hand.work.shape(&plan.tables)?)
    }

    /// Fails when the structure is not the one that the plan was made for: a plan that was not begun can be made anew.
    pub(crate) fn check_shape_is_the_plans(&mut self) -> Result<(), RunError> {
        let found = self.shape()?;
        let expected = &self.plan.shape;
        if found == *expected {
            Ok(())
        } else {
            Err(RunError::Drift { step: None, diff: difference(expected, &found) })
        }
    }

    /// Fails when the structure is not the one that the last step left, or that the plan was made for, but for what cannot
    /// touch the plan. The next step that is recorded takes what is there for what is expected.
    pub(crate) fn check_shape(&mut self) -> Result<(), RunError> {
        let found = self.shape()?;
        match meanwhile(self.expected_shape(), &found, &self.plan) {
            Meanwhile::Nothing => {}
            Meanwhile::Harmless(lines) => self.note_once(format!("changed meanwhile:\n{lines}")),
            Meanwhile::Serious(diff) => return Err(RunError::Drift { step: None, diff }),
        }
        Ok(())
    }

    /// Returns the structure that the last step left, or that the plan was made for.
    pub(crate) fn expected_shape(&self) -> &str {
        expected_shape(&self.plan, &self.events)
    }
}

/// Returns the structure that the last of these events left, or that the plan was made for.
pub(crate) fn expected_shape<'p>(plan: &'p Plan, events: &'p [Event]) -> &'p str {
    let last = events.iter().rev().find(|event| matches!(event.mark, Mark::Done | Mark::Undone));
    last.map_or(&plan.shape, |event| &event.shape)
}

/// Returns the lines that are only in `expected` (`-`) and only in `found` (`+`), each side in its own order.
pub(crate) fn difference(expected: &str, found: &str) -> String {
    let only = |of: &str, in_other: &str, sign: char| -> Vec<String> {
        let mut other: Vec<&str> = in_other.lines().collect();
        other.sort_unstable();
        let missing = of.lines().filter(|line| other.binary_search(line).is_err());
        missing.map(|line| format!("{sign} {line}")).collect()
    };
    let mut lines = only(expected, found, '-');
    lines.extend(only(found, expected, '+'));
    let more = lines.len().saturating_sub(LINES_MAX);
    lines.truncate(LINES_MAX);
    if more > 0 {
        lines.push(format!("  and {more} more lines"));
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::difference;

    #[test]
    fn a_difference_shows_both_sides_and_no_more_than_a_screen() {
        assert_eq!(difference("a\nb\nc", "a\nc\nd"), "- b\n+ d");
        let many: String = (0..100).map(|line| format!("{line}\n")).collect();
        let shown = difference("", &many);
        assert_eq!((shown.lines().count(), shown.lines().last()), (41, Some("  and 60 more lines")));
    }
}
