//! SQL text in, changes out: the only crate that sees a syntax tree.
//!
//! No I/O: the caller reads the files. Every engine's own grammar decides what its SQL means; what both have in common
//! (statements, directives, the SET list of an UPDATE) is read from their tokens.

mod created;
mod directive;
mod file;
mod grammar;
mod nullness;
mod postgres;
mod problem;
mod source;
mod split;
mod sqlite;
mod token;
mod update;

use segue_model::change::Migration;
use segue_model::engine::Engine;
use segue_model::ident::MigrationId;

pub use problem::{Problem, ProblemKind};
pub use source::{Source, checksum, normalise};

/// Returns what a migration's files want.
///
/// # Errors
/// Every [`Problem`] of both files, each file's in order, where one cannot be read. SQL that is understood but not carried
/// out yet is no problem here: it becomes [`segue_model::change::Change::NotYet`].
pub fn migration(
    engine: Engine,
    id: MigrationId,
    up: &Source<'_>,
    down: Option<&Source<'_>>,
) -> Result<Migration, Vec<Problem>> {
    let grammar = grammar(engine);
    let up = file::read(grammar, &id, up);
    let down = down.map(|down| file::read(grammar, &id, down)).transpose();
    match (up, down) {
        (Ok(up), Ok(down)) => Ok(Migration { down: down.map(Box::new), ..up }),
        (up, down) => Err(up.err().into_iter().chain(down.err()).flatten().collect()),
    }
}

fn grammar(engine: Engine) -> &'static dyn grammar::Grammar {
    match engine {
        Engine::Postgres => &postgres::Postgres,
        Engine::Sqlite => &sqlite::Sqlite,
    }
}
