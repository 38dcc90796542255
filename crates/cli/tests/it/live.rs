//! Each change on each engine, both ways, through the built binary: back from every rollback point as before, and to the end
//! as if done naively.
#![allow(clippy::unwrap_used, reason = "a fault in a test is a failure of the test")]
#![allow(clippy::disallowed_methods, reason = "traffic runs in real time")]

mod lab;
mod quiet;
mod traffic;
