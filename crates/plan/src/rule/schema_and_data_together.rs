//! A statement that holds a strong lock, and an UPDATE after it in the same file.

use segue_model::change::Change;
use segue_model::lock::Blocks;
use segue_model::verdict::Severity;

use super::{Remark, Rule, Subject};
use crate::dialect::dialect;
use crate::figures::{self, rows};

pub(super) const RULE: Rule = Rule {
    id: "schema-and-data-together",
    severity: Severity::Warning,
    bad: "BEGIN;\nALTER TABLE users ADD COLUMN email text;\nUPDATE users SET email = login || '@example.com';\nCOMMIT;",
    good: "ALTER TABLE users ADD COLUMN email text;\n-- later, in small transactions:\n\
           UPDATE users SET email = login || '@example.com' WHERE id BETWEEN 1 AND 1000;",
    help: "Most tools run a file in one transaction, so that the lock of the ALTER TABLE is kept until the UPDATE is done.",
    check,
};

fn check(subject: &Subject<'_>) -> Option<Remark> {
    let Change::Transform { table, .. } = &subject.change.what else { return None };
    let there = subject.table?;
    let context = subject.context;
    let dialect = dialect(context.catalog.engine);
    let before = context.migration.changes.iter().take_while(|change| !std::ptr::eq(*change, subject.change));
    let on_this = before.filter(|change| {
        change.what.table().and_then(|table| context.catalog.find(table)).is_some_and(|t| t.name == there.name)
    });
    let locks = on_this.filter_map(|change| dialect.cost(change, context)).filter(|cost| cost.transactional);
    let lock = locks.map(|cost| cost.lock).max().filter(|lock| lock.blocks() >= Blocks::Writes)?;
    let message = format!(
        "run in one transaction with the statements before it, this UPDATE of `{table}` ({}) keeps their {} until it commits",
        rows(there),
        figures::lock(lock)
    );
    Remark::new(message, "The plan runs each statement in a short transaction of its own.")
}

#[cfg(test)]
mod tests {
    use super::super::tests::said;
    use super::RULE;
    use crate::fixture::Script;

    #[test]
    fn an_update_alone_is_not_found() {
        let migration = Script::new("m").update("users", "c", "'x'").done();
        assert_eq!(said(&RULE, &migration, None), "nothing");
    }
}
