//! The clients and their judge against hand-written sync: what is right is clean, and what is broken is found.
#![allow(clippy::unwrap_used, reason = "a fault in a test is a failure of the test")]
#![allow(clippy::disallowed_methods, reason = "the traffic runs in real time")]

mod baseline;
mod generated;
mod hand;
mod postgres;
mod scale;
mod sqlite;
