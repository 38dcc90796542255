//! CREATE INDEX that keeps writers out.

use segue_model::change::{Change, IndexChange};
use segue_model::lock::Blocks;
use segue_model::verdict::Severity;

use super::{Remark, Rule, Subject};
use crate::figures::{lock, rows};

pub(super) const RULE: Rule = Rule {
    id: "index-not-concurrent",
    severity: Severity::Error,
    bad: "CREATE INDEX users_email ON users (email);",
    good: "CREATE INDEX CONCURRENTLY users_email ON users (email);",
    help: "CREATE INDEX reads the whole table and lets no write through meanwhile.",
    check,
};

fn check(subject: &Subject<'_>) -> Option<Remark> {
    let table = match &subject.change.what {
        Change::CreateIndex { table, .. } => table,
        Change::Index(IndexChange::Create(new)) => &new.table,
        _ => return None,
    };
    let there = subject.table?;
    let cost = subject.cost.filter(|cost| cost.lock.blocks() >= Blocks::Writes)?;
    let message = format!(
        "building an index on `{table}` ({}) holds {}: no write until it is done",
        rows(there),
        lock(cost.lock)
    );
    Remark::new(message, "Segue builds it concurrently; run by other means, write CONCURRENTLY.")
}

#[cfg(test)]
mod tests {
    use segue_model::lock::LockMode;

    use super::super::tests::{WORST, said};
    use super::RULE;
    use crate::dialect::Cost;
    use crate::fixture::Script;

    #[test]
    fn only_an_index_that_blocks_writes_is_found() {
        let migration = Script::new("m").create_index("users").done();
        let share = Cost { lock: LockMode::Share, ..WORST };
        insta::assert_snapshot!(said(&RULE, &migration, Some(share)), @"Error line 1: building an index on `users` (1,000,000 rows) holds ShareLock: no write until it is done | Segue builds it concurrently; run by other means, write CONCURRENTLY.");
        let concurrent = Cost { lock: LockMode::ShareUpdateExclusive, ..WORST };
        assert_eq!(said(&RULE, &migration, Some(concurrent)), "nothing");
    }
}
