//! SET NOT NULL that reads the table under its lock.

use segue_model::change::Change;
use segue_model::verdict::Severity;

use super::{Remark, Rule, Subject};
use crate::figures::{lock, rows};

pub(super) const RULE: Rule = Rule {
    id: "not-null-scan",
    severity: Severity::Error,
    bad: "ALTER TABLE users ALTER COLUMN email SET NOT NULL;",
    good: "ALTER TABLE users ADD CONSTRAINT email_there CHECK (email IS NOT NULL) NOT VALID;\n\
           ALTER TABLE users VALIDATE CONSTRAINT email_there;\n\
           ALTER TABLE users ALTER COLUMN email SET NOT NULL;\n\
           ALTER TABLE users DROP CONSTRAINT email_there;",
    help: "SET NOT NULL reads every row while nobody else can read or write. With a validated CHECK that proves it, it reads \
           none.",
    check,
};

fn check(subject: &Subject<'_>) -> Option<Remark> {
    let Change::SetNotNull { table, column } = &subject.change.what else { return None };
    let there = subject.table?;
    let cost = subject.cost.filter(|cost| cost.scans)?;
    let message =
        format!("SET NOT NULL on `{column}` reads all of `{table}` ({}) under {}", rows(there), lock(cost.lock));
    Remark::new(
        message,
        "The plan proves it by a CHECK … NOT VALID that is validated without blocking, so that the scan is left out.",
    )
}

#[cfg(test)]
mod tests {
    use super::super::tests::{WORST, said};
    use super::RULE;
    use crate::dialect::Cost;
    use crate::fixture::Script;

    #[test]
    fn only_a_scan_is_found() {
        let migration = Script::new("m").set_not_null("users", "first_name").done();
        insta::assert_snapshot!(said(&RULE, &migration, Some(WORST)), @"Error line 1: SET NOT NULL on `first_name` reads all of `users` (1,000,000 rows) under AccessExclusiveLock | The plan proves it by a CHECK … NOT VALID that is validated without blocking, so that the scan is left out.");
        assert_eq!(said(&RULE, &migration, Some(Cost { scans: false, ..WORST })), "nothing");
        assert_eq!(said(&RULE, &migration, None), "nothing");
    }
}
