//! SQL that a later version will carry out.

use segue_model::change::Change;
use segue_model::verdict::Severity;

use super::{Remark, Rule, Subject};

pub(super) const RULE: Rule = Rule {
    id: "not-yet",
    severity: Severity::Warning,
    bad: "ALTER TABLE users RENAME COLUMN name TO full_name;",
    good: "ALTER TABLE users ADD COLUMN full_name text;\n\
           UPDATE users SET full_name = name;\n\
           ALTER TABLE users DROP COLUMN name;",
    help: "The SQL is understood, and this version has no safe way to carry it out, so the file is refused.",
    check,
};

fn check(subject: &Subject<'_>) -> Option<Remark> {
    let Change::NotYet { what, .. } = &subject.change.what else { return None };
    Remark::new(format!("{what} is not carried out yet"), "Leave it out of this file until Segue carries it out.")
}

#[cfg(test)]
mod tests {
    use super::super::tests::said;
    use super::RULE;
    use crate::fixture::Script;
    use segue_model::change::Change;

    #[test]
    fn it_names_what_it_is() {
        let change = Change::NotYet { what: "RENAME COLUMN".into(), table: None };
        let migration = Script::new("m").statement("ALTER TABLE a RENAME b TO c", vec![change]).done();
        insta::assert_snapshot!(said(&RULE, &migration, None), @"Warning line 1: RENAME COLUMN is not carried out yet | Leave it out of this file until Segue carries it out.");
    }
}
