//! The binary and the tree, from outside.
#![allow(missing_docs, reason = "a test program")]
#![allow(clippy::unwrap_used, reason = "a test may panic")]
#![allow(clippy::print_stdout, reason = "a test says what it measured, and its seed")]
#![allow(clippy::disallowed_methods, reason = "the tests wait for real processes and servers")]

mod bad_input;
mod columns;
mod constraints;
mod crash;
mod crash_crew;
mod crash_orders;
mod crash_points;
mod crash_writes;
mod drops;
mod extract;
mod faithful;
mod fault;
mod fault_page;
mod holders;
mod indexes;
mod journey;
mod lazy;
mod live;
mod locks;
mod locks_observed;
mod naive;
mod naming_locks;
mod objects;
mod operate;
mod partitions;
mod progress;
mod project;
mod renames;
mod retype;
mod sqlite_cleanup;
mod sqlite_facts;
mod sqlite_life;
mod sqlite_operations;
mod sqlite_rebuild;
mod sqlite_way_back;
mod sqlite_without_wal;
mod stories;
mod sync_rules;
mod tidy;
mod together;
mod user_triggers;
mod verify_command;
mod wait;
