//! `segue`: arguments in, exit code out.

mod args;
mod choice;
mod command;
mod config;
mod database;
mod diagnostic;
mod duration;
mod failure;
mod http_check;
mod operate;
mod orders;
mod outcome;
mod planning;
mod progress;
mod project;
mod quarantine;
mod report;
mod tuning;
mod verified;
mod waiter;

use std::process::ExitCode;

fn main() -> ExitCode {
    match command::run(&args::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.show(),
    }
}
