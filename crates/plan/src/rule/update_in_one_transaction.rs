//! An UPDATE of a whole table.

use segue_model::change::Change;
use segue_model::lock::Blocks;
use segue_model::verdict::Severity;

use super::{Remark, Rule, Subject};
use crate::figures::rows;

pub(super) const RULE: Rule = Rule {
    id: "update-in-one-transaction",
    severity: Severity::Error,
    bad: "UPDATE users SET full_name = first_name;",
    good: "UPDATE users SET full_name = first_name WHERE id BETWEEN 1 AND 1000; -- and so on, each in its transaction",
    help: "One UPDATE of a whole table locks each row that it has reached until the last one is done, and leaves as many dead \
           rows behind.",
    check,
};

fn check(subject: &Subject<'_>) -> Option<Remark> {
    let Change::Transform { table, .. } = &subject.change.what else { return None };
    let there = subject.table.filter(|table| table.size.rows != Some(0))?;
    let rows = rows(there);
    let keeps_writers_out = subject.cost.is_some_and(|cost| cost.lock.blocks() >= Blocks::Writes);
    let message = if keeps_writers_out {
        format!("one UPDATE of `{table}` ({rows}) keeps every other writer out until it commits")
    } else {
        format!("one UPDATE of `{table}` locks {rows} until it commits")
    };
    Remark::new(message, "The plan fills them in windows, each in a short transaction of its own.")
}

#[cfg(test)]
mod tests {
    use segue_model::lock::LockMode;

    use super::super::tests::{WORST, said};
    use super::RULE;
    use crate::dialect::Cost;
    use crate::fixture::Script;

    #[test]
    fn an_update_of_a_table_with_rows_is_found() {
        let migration = Script::new("m").update("users", "c", "'x'").done();
        insta::assert_snapshot!(said(&RULE, &migration, None), @"Error line 1: one UPDATE of `users` locks 1,000,000 rows until it commits | The plan fills them in windows, each in a short transaction of its own.");
        let file_lock = Cost { lock: LockMode::Write, ..WORST };
        assert!(said(&RULE, &migration, Some(file_lock)).contains("keeps every other writer out"));
    }
}
