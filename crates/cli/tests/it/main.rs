//! The binary and the tree, from outside.
#![allow(missing_docs, reason = "a test program")]
#![allow(clippy::disallowed_methods, reason = "the tests wait for real processes and servers")]

mod live;
mod bad_input;
mod crash;
mod locks;
mod project;
mod tidy;
