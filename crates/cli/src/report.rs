//! What goes to standard output.

use std::io::Write;

use serde::Serialize;

use crate::failure::Failure;

/// Prints a line. A reader that has seen enough closes the pipe: no failure.
pub(crate) fn line(text: &str) {
    let _ = writeln!(std::io::stdout().lock(), "{}", text.trim_end());
}

/// Prints a value as JSON.
///
/// # Errors
/// Exit code 70: every report of ours can be written as JSON.
pub(crate) fn json(value: &impl Serialize) -> Result<(), Failure> {
    let text = serde_json::to_string_pretty(value).map_err(|error| Failure::bug(error.to_string()))?;
    line(&text);
    Ok(())
}
