//! ADD COLUMN … NOT NULL without a DEFAULT.

use segue_model::change::Change;
use segue_model::verdict::Severity;

use super::{Remark, Rule, Subject};
use crate::figures::rows;

pub(super) const RULE: Rule = Rule {
    id: "adding-required-field",
    severity: Severity::Error,
    bad: "ALTER TABLE users ADD COLUMN email text NOT NULL;",
    good: "ALTER TABLE users ADD COLUMN email text;\n\
           UPDATE users SET email = login || '@example.com';\n\
           ALTER TABLE users ALTER COLUMN email SET NOT NULL;",
    help: "A NOT NULL column without a DEFAULT cannot be added to a table with rows, and INSERTs of code that does not know \
           it fail from then on.",
    check,
};

fn check(subject: &Subject<'_>) -> Option<Remark> {
    let Change::AddColumn { table, column } = &subject.change.what else { return None };
    let there = subject.table?;
    if !column.not_null || column.default.is_some() {
        return None;
    }
    let message = format!(
        "`{table}` has {}: adding `{}` as NOT NULL without a DEFAULT fails on any row, and so would INSERTs of running code",
        rows(there),
        column.name
    );
    Remark::new(message, "The plan adds it nullable, fills it in windows, and proves NOT NULL before it is set.")
}

#[cfg(test)]
mod tests {
    use super::super::tests::said;
    use super::RULE;
    use crate::fixture::{Script, column};

    #[test]
    fn only_not_null_without_default_is_found() {
        let required = Script::new("m").add("users", column("c", "text").not_null()).done();
        insta::assert_snapshot!(said(&RULE, &required, None), @"Error line 1: `users` has 1,000,000 rows: adding `c` as NOT NULL without a DEFAULT fails on any row, and so would INSERTs of running code | The plan adds it nullable, fills it in windows, and proves NOT NULL before it is set.");
        let defaulted = Script::new("m").add("users", column("c", "text").not_null().default("'x'")).done();
        assert_eq!(said(&RULE, &defaulted, None), "nothing");
        let nullable = Script::new("m").add("users", column("c", "text")).done();
        assert_eq!(said(&RULE, &nullable, None), "nothing");
    }
}
