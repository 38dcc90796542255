//! `segue completions SHELL`.

use std::io::Write;

use clap::CommandFactory;

use crate::args::Cli;
use crate::failure::Failure;

/// Prints the completion script of a shell.
pub(super) fn run(shell: clap_complete::Shell) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "segue", &mut script);
    // A reader that has seen enough closes the pipe: no failure.
    let _ = std::io::stdout().lock().write_all(&script);
    Ok(())
}
