//! DROP COLUMN while code uses it.

use segue_model::change::Change;
use segue_model::verdict::Severity;

use super::{Remark, Rule, Subject};
use crate::figures::rows;

pub(super) const RULE: Rule = Rule {
    id: "drop-column-breaks-code",
    severity: Severity::Error,
    bad: "ALTER TABLE users DROP COLUMN first_name;",
    good: "ALTER TABLE users ADD COLUMN full_name text;\n\
           UPDATE users SET full_name = concat_ws(' ', first_name, last_name);\n\
           ALTER TABLE users DROP COLUMN first_name, DROP COLUMN last_name;",
    help: "Code that names the column fails from that moment, and its data cannot be brought back. Beside the UPDATE that \
           says what takes its place, the column is hidden first, and dropped only on a person's word.",
    check,
};

fn check(subject: &Subject<'_>) -> Option<Remark> {
    let Change::DropColumn { table, column } = &subject.change.what else { return None };
    let there = subject.table?;
    let message = format!(
        "code that still names `{column}` fails from then on, and its values in {} of `{table}` cannot be brought back",
        rows(there)
    );
    Remark::new(
        message,
        "The plan keeps it in step until cleanup, hides it at contract, and drops it after a copy was made.",
    )
}

#[cfg(test)]
mod tests {
    use super::super::tests::said;
    use super::RULE;
    use crate::fixture::Script;

    #[test]
    fn a_dropped_column_is_found() {
        let migration = Script::new("m").drop("users", "first_name").done();
        insta::assert_snapshot!(said(&RULE, &migration, None), @"Error line 1: code that still names `first_name` fails from then on, and its values in 1,000,000 rows of `users` cannot be brought back | The plan keeps it in step until cleanup, hides it at contract, and drops it after a copy was made.");
    }
}
