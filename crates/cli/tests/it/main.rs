//! The binary and the tree, from outside.
#![allow(missing_docs, reason = "a test program")]
#![allow(clippy::unwrap_used, reason = "a test may panic")]
#![allow(clippy::print_stdout, reason = "a test says what it measured, and its seed")]
#![allow(clippy::disallowed_methods, reason = "the tests wait for real processes and servers")]

mod bad_input;
mod crash;
mod journey;
mod live;
mod locks;
mod project;
mod sqlite_life;
mod sync_rules;
mod tidy;
