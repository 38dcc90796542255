//! The testkit against real servers.
#![allow(missing_docs, reason = "a test program")]
#![allow(clippy::disallowed_methods, reason = "the tests wait for real servers")]

mod disk;
mod dump_postgres;
mod dump_sqlite;
mod locks;
mod proxy;
mod segue;
mod server;
