//! A migration without a down file.

use segue_model::verdict::Severity;

use super::{Remark, Rule, Subject};

pub(super) const RULE: Rule = Rule {
    id: "missing-rollback",
    severity: Severity::Note,
    bad: "20261120_full_name.sql",
    good: "20261120_full_name.sql and 20261120_full_name.down.sql",
    help: "Until cleanup, rollback needs no down file. After it, only a down file says how to go back.",
    check,
};

/// Said once a file, at its first change.
fn check(subject: &Subject<'_>) -> Option<Remark> {
    let migration = subject.context.migration;
    let first = migration.changes.first().is_some_and(|first| std::ptr::eq(first, subject.change));
    if !first || migration.down.is_some() {
        return None;
    }
    let message =
        format!("there is no `{}.down.sql`, so nothing says how to go back once this is cleaned up", migration.id);
    Remark::new(message, "Until cleanup `segue rollback` takes the plan's own undos.")
}

#[cfg(test)]
mod tests {
    use super::super::tests::said;
    use super::RULE;
    use crate::fixture::{Script, column};

    #[test]
    fn it_is_said_once_and_only_without_a_down_file() {
        let one = Script::new("m").add("users", column("c", "text"));
        insta::assert_snapshot!(said(&RULE, &one.clone().done(), None), @"Note line 1: there is no `m.down.sql`, so nothing says how to go back once this is cleaned up | Until cleanup `segue rollback` takes the plan's own undos.");
        assert_eq!(said(&RULE, &one.clone().add("users", column("d", "text")).done(), None), "nothing");
        assert_eq!(said(&RULE, &one.down(Script::new("m")).done(), None), "nothing");
    }
}
