//! Taking locks.

use segue_model::lock::{LockMode, RelationLock};
use segue_model::sql::{Hole, Sql, StandardQuoting};

/// Returns the message that takes the locks, and their number; `None` when there is nothing to take.
pub(super) fn taking(locks: &[RelationLock]) -> Option<(Sql, u32)> {
    let mut wanted: Vec<_> = locks.iter().filter_map(|lock| Some((word(lock.mode)?, lock))).collect();
    // Strongest last: the wait for it then happens with everything else in hand, and only once.
    wanted.sort_by(|(_, one), (_, other)| (one.mode, &one.relation).cmp(&(other.mode, &other.relation)));
    let statements: Vec<_> = wanted
        .iter()
        .map(|(mode, lock)| {
            // Partitions and children are named by themselves where a statement locks them too.
            let holes = [("table", Hole::Table(&lock.relation)), ("mode", Hole::Sql(mode))];
            Sql::fill(&StandardQuoting, "LOCK TABLE ONLY {table} IN {mode} MODE", &holes)
        })
        .collect();
    let sql = Sql::fill(&StandardQuoting, "{all}", &[("all", Hole::Join(&statements, "; "))]);
    (!statements.is_empty()).then(|| (sql, u32::try_from(statements.len()).unwrap_or(u32::MAX)))
}

/// Returns the question which of the relations LOCK TABLE does not lock by themselves: of a view it locks the tables too, and
/// others it refuses. Their statements take the lock. `None` when there is nothing to take.
pub(super) fn not_tables(locks: &[RelationLock]) -> Option<Sql> {
    let named: Vec<_> = (0..)
        .zip(locks)
        .map(|(at, lock)| {
            let name = Sql::fill(&StandardQuoting, "{table}", &[("table", Hole::Table(&lock.relation))]);
            Sql::fill(&StandardQuoting, "({at}, {name})", &[("at", Hole::Int(at)), ("name", Hole::Body(&name))])
        })
        .collect();
    let sql = Sql::fill(
        &StandardQuoting,
        "SELECT l.at FROM (VALUES {named}) AS l(at, name) JOIN pg_catalog.pg_class AS c \
         ON c.oid = pg_catalog.to_regclass(l.name) WHERE c.relkind IN ('v', 'm', 'S', 'i', 'I')",
        &[("named", Hole::Join(&named, ", "))],
    );
    (!named.is_empty()).then_some(sql)
}

/// Returns how LOCK TABLE spells a mode; SQLite's have none.
fn word(mode: LockMode) -> Option<Sql> {
    let word = match mode {
        LockMode::None | LockMode::Write => return None,
        LockMode::AccessShare => "ACCESS SHARE",
        LockMode::RowShare => "ROW SHARE",
        LockMode::RowExclusive => "ROW EXCLUSIVE",
        LockMode::ShareUpdateExclusive => "SHARE UPDATE EXCLUSIVE",
        LockMode::Share => "SHARE",
        LockMode::ShareRowExclusive => "SHARE ROW EXCLUSIVE",
        LockMode::Exclusive => "EXCLUSIVE",
        LockMode::AccessExclusive => "ACCESS EXCLUSIVE",
    };
    Some(Sql::fixed(word))
}
