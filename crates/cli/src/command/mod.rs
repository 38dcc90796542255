//! One file a command.

mod adopt;
mod apply;
mod cleanup;
mod completions;
mod contract;
mod demo;
mod down;
mod flip;
mod init;
mod new;
mod pause;
mod plan;
mod rollback;
mod status;
mod tune;
mod verify;
mod wait;

use segue_execute::Said;

use crate::args::{Cli, Command, Format};
use crate::config::Config;
use crate::failure::Failure;

/// Carries out what was typed.
///
/// # Errors
/// What the user is told, with the exit code.
pub(crate) fn run(cli: &Cli) -> Result<(), Failure> {
    if cli.common.format == Format::Sql && !matches!(cli.command, Command::Plan(_)) {
        return Err(Failure::usage("`--format sql` shows a plan's SQL").hint("Type: segue plan --format sql"));
    }
    if let Command::Completions { shell } = &cli.command {
        return completions::run(*shell);
    }
    if matches!(cli.command, Command::Init) {
        return init::run(&cli.common);
    }
    let config = Config::load(&cli.common)?;
    let format = cli.common.format;
    match &cli.command {
        Command::Init => init::run(&cli.common),
        Command::New { name } => new::run(&config, name),
        Command::Plan(which) => plan::run(&config, which, format),
        Command::Apply(typed) => apply::run(&config, typed, &cli.common, format),
        Command::Wait { which, until, timeout } => wait::run(&config, which, *until, timeout.as_deref(), format),
        Command::Status { which, watch } => status::run(&config, which, *watch, format),
        Command::Pause(which) => pause::pause(&config, which, format),
        Command::Resume(which) => pause::resume(&config, which, format),
        Command::Tune { words, reset } => tune::run(&config, words, *reset, format),
        Command::Verify { which, retry_quarantine: true, .. } => verify::retry_quarantine(&config, which, format),
        Command::Verify { which, continuous: true, every, .. } => verify::continuously(&config, which, every, format),
        Command::Verify { which, repair, .. } => verify::run(&config, which, *repair, format),
        Command::Flip(which) => flip::run(&config, which, format),
        Command::Contract { which, old_version_stopped } => contract::run(&config, which, *old_version_stopped, format),
        Command::Cleanup { which, yes, i_checked_references } => {
            cleanup::run(&config, which, cleanup::Consent { yes: *yes, references: *i_checked_references }, format)
        }
        Command::Rollback { which, new_version_stopped, accept_loss } => {
            let said = Said { new_version_stopped: *new_version_stopped, accept_loss: *accept_loss, ..Said::default() };
            rollback::run(&config, which, said, format)
        }
        Command::Adopt => adopt::run(&config, format),
        Command::Down { which, to } => down::run(&config, which, *to, format),
        Command::Demo { rows } => demo::run(&config, *rows, format),
        Command::Completions { shell } => completions::run(*shell),
    }
}
