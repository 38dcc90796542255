//! Carries out a plan and keeps the journal.
//!
//! [`Run`] is the way in: it takes the lease of one migration, does its steps phase by phase, and writes down what it did in
//! the migrated database, so that a run that was killed is resumed or taken back by the next one. It writes no schema SQL:
//! what runs is what the plan says.

mod adopt;
mod backfill;
mod clock;
mod comeback;
mod continuous;
mod control;
mod crew;
mod engage;
mod error;
mod failover;
mod fairness;
mod figures;
mod gate;
mod guard;
mod hand;
mod join;
mod kept;
mod leftovers;
mod mask;
mod meanwhile;
mod observer;
mod outcome;
mod pace;
mod phase;
mod quarantine;
mod reconnect;
mod refresh;
mod retreat;
mod reversal;
mod rollback;
mod run;
mod running;
mod settled;
mod shape;
mod size;
mod snapshot;
mod status;
mod step;
mod stop;
mod throttle;
mod unwinding;
mod verify;
mod window;
mod worker;

#[cfg(test)]
mod tests;

pub use adopt::Adopted;
pub use error::RunError;
pub use figures::{Bytes, Report};
pub use observer::{Observer, Progress, Silent};
pub use outcome::{Checksum, Outcome, Side, Sides, TableReport, VerifyReport};
pub use quarantine::Retried;
pub use run::{AsksAddress, Options, Run, Said, Target};
pub use status::{MigrationStatus, StepStatus, status};
pub use stop::Stop;
