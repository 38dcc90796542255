//! What is printed: data to standard output, progress to standard error.

use std::io::Write;

use serde::Serialize;

use crate::failure::Failure;

/// Prints a line. A reader that has seen enough closes the pipe: no failure.
pub(crate) fn line(text: &str) {
    let _ = writeln!(std::io::stdout().lock(), "{}", text.trim_end());
}

/// Prints a line on standard error: progress, not data.
pub(crate) fn progress(text: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{}", text.trim_end());
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

/// Prints a value as JSON on one line.
///
/// # Errors
/// Exit code 70: every report of ours can be written as JSON.
pub(crate) fn json_line(value: &impl Serialize) -> Result<(), Failure> {
    let text = serde_json::to_string(value).map_err(|error| Failure::bug(error.to_string()))?;
    line(&text);
    Ok(())
}
