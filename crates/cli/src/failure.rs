//! What the user sees when something does not work: what, where, why, and the next thing to type.

use std::fmt;
use std::process::ExitCode;

use segue_model::session::{Fail, FailKind};

/// A failure on its way to the terminal.
#[derive(Debug)]
pub(crate) struct Failure {
    code: u8,
    /// Complete reports, printed as they are before the message.
    reports: Vec<String>,
    message: String,
    hints: Vec<String>,
}

impl Failure {
    fn new(code: u8, message: impl Into<String>) -> Self {
        Self { code, reports: vec![], message: message.into(), hints: vec![] }
    }

    /// Input that was read and refused.
    pub(crate) fn refused(message: impl Into<String>) -> Self {
        Self::new(1, message)
    }

    /// A command line, URL or configuration that cannot be used.
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self::new(2, message)
    }

    /// A connection, a permission or a server that failed.
    pub(crate) fn server(message: impl Into<String>) -> Self {
        Self::new(3, message)
    }

    /// A gate that is not met.
    pub(crate) fn gate(message: impl Into<String>) -> Self {
        Self::new(5, message)
    }

    /// Verification that found something.
    pub(crate) fn verification(message: impl Into<String>) -> Self {
        Self::new(6, message)
    }

    /// A bug of ours.
    pub(crate) fn bug(message: impl Into<String>) -> Self {
        Self::new(70, message).hint("This is a bug of Segue. The database is as the journal says: `segue status`.")
    }

    /// A failure with the exit code of a run.
    pub(crate) fn of_run(code: u8, message: impl Into<String>) -> Self {
        Self::new(code, message)
    }

    /// Adds what to do.
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        let hint = hint.into();
        if !hint.is_empty() && !self.hints.contains(&hint) {
            self.hints.push(hint);
        }
        self
    }

    /// Adds a complete report that is printed before the message.
    pub(crate) fn report(mut self, report: impl Into<String>) -> Self {
        self.reports.push(report.into());
        self
    }

    /// Returns whether a connection, a permission or a server failed.
    pub(crate) fn is_of_server(&self) -> bool {
        self.code == 3
    }

    /// Prints the failure and returns the exit code.
    pub(crate) fn show(&self) -> ExitCode {
        for report in &self.reports {
            say(report.trim_end());
        }
        say(&format!("error: {}", self.message));
        for hint in &self.hints {
            say(&format!("  help: {}", hint.replace('\n', "\n        ")));
        }
        ExitCode::from(self.code)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

/// Prints a line to standard error; a closed standard error is no reason to panic.
fn say(line: &str) {
    use std::io::Write;
    let _ = writeln!(std::io::stderr().lock(), "{line}");
}

impl From<Fail> for Failure {
    fn from(fail: Fail) -> Self {
        let code = fail.code.as_ref().map(|code| format!(" [{code}]")).unwrap_or_default();
        let message = format!("{}{code}", fail.message);
        match fail.kind {
            FailKind::Usage => Self::usage(message),
            FailKind::ReadOnly => Self::refused(message).hint("Point the URL at a database that takes writes."),
            FailKind::Permission => {
                Self::server(message).hint("Run as the owner of the tables, or have that role granted.")
            }
            FailKind::Connect => Self::server(message).hint("Check host and port, and that the server runs."),
            FailKind::Authentication => {
                Self::server(message).hint("Check user, password and pg_hba.conf; nothing was changed.")
            }
            FailKind::Tls => Self::server(message),
            _ if fail.outcome_unknown() => {
                Self::server(message).hint("Run the same command again: it settles what happened and goes on.")
            }
            _ => Self::server(message),
        }
    }
}
