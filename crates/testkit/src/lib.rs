//! Private database servers and the means to watch them: for tests and benches only.
//!
//! | what | where |
//! |---|---|
//! | a PostgreSQL server of a version, started once a process | [`postgres()`], [`each_postgres`] |
//! | a server with options of its own, a standby | [`postgres::PostgresServer`] |
//! | a SQLite file that goes away | [`sqlite::TempDatabase`] |
//! | plain SQL | [`client::Client`] |
//! | everything about a schema as lines, to compare | [`dump`] |
//! | who holds which lock | [`lockprobe`] |
//! | a disk that fails at a counted write | [`disk`] |
//! | connections that fail at a counted statement | [`proxy`] |
//! | the built binary | [`segue::Segue`] |
//!
//! Failures panic with what was tried: the caller is a test.
#![allow(clippy::disallowed_methods, reason = "tests wait for real servers; no fake clock reaches those")]

pub mod client;
pub mod disk;
pub mod dump;
pub mod lockprobe;
pub mod postgres;
pub mod process;
pub mod proxy;
pub mod requirement;
pub mod segue;
pub mod sqlite;

pub use postgres::{each_postgres, oldest_and_newest_postgres, postgres};
pub use requirement::skipped;
