//! SQL that is not understood.

use segue_model::change::Change;
use segue_model::verdict::Severity;

use super::{Remark, Rule, Subject};

pub(super) const RULE: Rule = Rule {
    id: "opaque",
    severity: Severity::Error,
    bad: "DO $$ BEGIN EXECUTE 'ALTER TABLE users …'; END $$;",
    good: "ALTER TABLE users ADD COLUMN email text;",
    help: "What a statement does that cannot be read, nobody can say beforehand, so the file is refused.",
    check,
};

fn check(subject: &Subject<'_>) -> Option<Remark> {
    let Change::Opaque { what } = &subject.change.what else { return None };
    Remark::new(
        format!("nobody can say what `{what}` would do or lock"),
        "Write it as statements that Segue knows, one change a statement.",
    )
}

#[cfg(test)]
mod tests {
    use super::super::tests::said;
    use super::RULE;
    use crate::fixture::Script;
    use segue_model::change::Change;

    #[test]
    fn its_first_words_are_shown() {
        let change = Change::Opaque { what: "DO $$ BEGIN".into() };
        let migration = Script::new("m").statement("DO $$ BEGIN END $$", vec![change]).done();
        insta::assert_snapshot!(said(&RULE, &migration, None), @"Error line 1: nobody can say what `DO $$ BEGIN` would do or lock | Write it as statements that Segue knows, one change a statement.");
    }
}
