//! What can go wrong around a run, each on a real server, and what must then be so. `docs/faults.md` is the list.

mod data;
mod disk;
mod failover;
mod link;
mod operators;
pub(crate) mod place;
pub(crate) mod sample;
pub(crate) mod straight;
mod waits;
