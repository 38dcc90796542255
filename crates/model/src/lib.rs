//! The nouns of Segue: what is wanted ([`change`]), what is there ([`catalog`], [`server`]), what will be done ([`plan`],
//! [`step`]) and what has been done ([`journal`]). [`session`] holds the ports through which a database is reached.
//!
//! Plain data: no I/O, no clock, no environment.

pub mod bound;
pub mod catalog;
pub mod change;
pub mod company;
pub mod engine;
pub mod expr;
pub mod ident;
pub mod journal;
pub mod lock;
pub mod nearest;
pub mod plan;
pub mod plan_file;
pub mod pressure;
pub mod probe;
pub mod server;
pub mod session;
pub mod sql;
pub mod step;
pub mod tuning;
pub mod tuning_text;
pub mod value;
pub mod verdict;
