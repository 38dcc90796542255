//! Clients of two application versions, each with its own record.
//!
//! [`Traffic::start`] sends reads and writes of the old and the new version at a fixed rate to the *same rows* while a
//! migration runs. Each client remembers what it wrote; [`Running::stop`] replays these records in a model that knows the
//! two transforms as plain Rust functions, and nothing of triggers or of Segue's SQL, and compares the whole table with it.
#![allow(clippy::disallowed_methods, reason = "clients keep real time: their waits are what is measured")]

mod choice;
mod client;
mod connection;
mod judge;
mod model;
mod op;
mod place;
mod report;
pub mod scenario;
mod seed;
mod traffic;

pub use place::{Fault, Place};
pub use report::{Mark, Report, Second};
pub use scenario::Scenario;
pub use seed::seed;
pub use traffic::{Load, Progress, Running, Traffic, baseline};
