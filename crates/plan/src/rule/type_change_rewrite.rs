//! ALTER COLUMN … TYPE that writes the table again.

use segue_model::change::Change;
use segue_model::verdict::Severity;

use super::{Remark, Rule, Subject};
use crate::figures::{lock, rows, shown_type};

pub(super) const RULE: Rule = Rule {
    id: "type-change-rewrite",
    severity: Severity::Error,
    bad: "ALTER TABLE orders ALTER COLUMN id TYPE bigint;",
    good: "the same statement, applied by Segue",
    help: "Where the stored form differs, the whole table and its indexes are written again while nobody can read or write.",
    check,
};

fn check(subject: &Subject<'_>) -> Option<Remark> {
    let Change::AlterType { table, column, to, .. } = &subject.change.what else { return None };
    let there = subject.table?;
    let cost = subject.cost.filter(|cost| cost.rewrites)?;
    let message = format!(
        "changing `{column}` to {} writes all of `{table}` ({}) again under {}, which blocks {}",
        shown_type(to),
        rows(there),
        lock(cost.lock),
        blocked(cost.lock.blocks())
    );
    Remark::new(message, "The plan fills a second column in windows and swaps the two in a moment.")
}

fn blocked(blocks: segue_model::lock::Blocks) -> &'static str {
    use segue_model::lock::Blocks;
    match blocks {
        Blocks::Nothing => "nothing",
        Blocks::Ddl => "other DDL",
        Blocks::Writes => "every write",
        Blocks::Everything => "every read and write",
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{WORST, said};
    use super::RULE;
    use crate::dialect::Cost;
    use crate::fixture::Script;

    #[test]
    fn only_a_rewrite_is_found() {
        let migration = Script::new("m").alter_type("users", "id", "bigint").done();
        insta::assert_snapshot!(said(&RULE, &migration, Some(WORST)), @"Error line 1: changing `id` to bigint writes all of `users` (1,000,000 rows) again under AccessExclusiveLock, which blocks every read and write | The plan fills a second column in windows and swaps the two in a moment.");
        assert_eq!(said(&RULE, &migration, Some(Cost { rewrites: false, ..WORST })), "nothing");
    }
}
