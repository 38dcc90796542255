//! Changes × catalog × server × answers → a [`Plan`] or [`Refused`]. Pure: no I/O, no clock, no environment.
//!
//! [`probes`] is asked again with the answers so far until it has no further question; then [`plan`] decides.

pub mod dialect;
pub mod operation;
pub mod refusal;
