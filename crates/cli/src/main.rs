//! `segue`: arguments in, exit code out.

mod args;
mod choice;
mod command;
mod config;
mod database;
mod diagnostic;
mod failure;
mod operate;
mod planning;
mod progress;
mod project;
mod report;

use std::process::ExitCode;

fn main() -> ExitCode {
    match command::run(&args::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.show(),
    }
}
