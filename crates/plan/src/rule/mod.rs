//! Rules: what a reviewer should know about a change as written. One file a rule; [`RULES`] is the one table.

mod adding_required_field;
mod drop_column_breaks_code;
mod index_not_concurrent;
mod missing_rollback;
mod not_null_scan;
mod not_yet;
mod opaque;
mod schema_and_data_together;
mod type_change_rewrite;
mod update_in_one_transaction;

use segue_model::catalog::Table;
use segue_model::change::{Change, Directive, Located};
use segue_model::verdict::{Finding, Severity};

use crate::dialect::Cost;
use crate::operation::Context;

/// A rule with all that help, documentation and configuration say of it.
#[derive(Debug)]
pub struct Rule {
    /// Its id, as findings and `allow` name it.
    pub id: &'static str,
    /// How bad a finding is.
    pub severity: Severity,
    /// SQL that it finds.
    pub bad: &'static str,
    /// SQL, or a migration, that does the same without harm.
    pub good: &'static str,
    /// What happens, and why.
    pub help: &'static str,
    check: fn(&Subject<'_>) -> Option<Remark>,
}

/// Every rule, by id.
pub const RULES: &[&Rule] = &[
    &adding_required_field::RULE,
    &drop_column_breaks_code::RULE,
    &index_not_concurrent::RULE,
    &missing_rollback::RULE,
    &not_null_scan::RULE,
    &not_yet::RULE,
    &opaque::RULE,
    &schema_and_data_together::RULE,
    &type_change_rewrite::RULE,
    &update_in_one_transaction::RULE,
];

/// Returns the rule of this id.
pub fn rule(id: &str) -> Option<&'static Rule> {
    RULES.iter().copied().find(|rule| rule.id == id)
}

/// A change with what rules may look at.
pub(crate) struct Subject<'a> {
    pub(crate) change: &'a Located<Change>,
    pub(crate) context: &'a Context<'a>,
    /// The table, where it exists already.
    pub(crate) table: Option<&'a Table>,
    /// `None` where the facts do not know it.
    pub(crate) cost: Option<Cost>,
}

/// What a rule says of one change.
pub(crate) struct Remark {
    /// What is wrong, with figures of this database.
    pub(crate) message: String,
    /// What the plan does about it, or what to do.
    pub(crate) help: String,
}

impl Remark {
    fn new(message: String, help: impl Into<String>) -> Option<Self> {
        Some(Self { message, help: help.into() })
    }
}

/// Returns what all rules find; a finding that the file allows is a note.
pub(crate) fn findings(subject: &Subject<'_>) -> Vec<Finding> {
    RULES.iter().filter_map(|rule| finding(rule, subject)).collect()
}

fn finding(rule: &Rule, subject: &Subject<'_>) -> Option<Finding> {
    let Remark { message, help } = (rule.check)(subject)?;
    let found =
        Finding { rule: rule.id.to_owned(), severity: rule.severity, line: subject.change.at.line, message, help };
    Some(match allowed(rule.id, subject) {
        Some(reason) => {
            Finding { severity: Severity::Note, help: format!("Allowed: {reason}. {}", found.help), ..found }
        }
        None => found,
    })
}

fn allowed<'a>(id: &str, subject: &Subject<'a>) -> Option<&'a str> {
    subject.context.migration.directives.iter().find_map(|directive| match &directive.what {
        Directive::Allow { rule, reason } if rule == id => Some(reason.trim_end_matches('.')),
        _ => None,
    })
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::fixture;
    use crate::operation::Thresholds;
    use segue_model::change::Migration;
    use segue_model::engine::Engine;
    use segue_model::lock::LockMode;

    /// The worst that a statement can cost.
    pub(crate) const WORST: Cost = Cost {
        fact: "test",
        lock: LockMode::AccessExclusive,
        others: &[],
        rewrites: true,
        rebuilds: true,
        scans: true,
        fails: false,
        transactional: true,
        compatible: false,
        reversible: "impossible",
    };

    /// Returns what one rule says of the last change of `migration` on the usual `users` table.
    #[track_caller]
    pub(crate) fn said(rule: &Rule, migration: &Migration, cost: Option<Cost>) -> String {
        let catalog = fixture::users(Engine::Postgres);
        let server = fixture::server(Engine::Postgres);
        let answers = Default::default();
        let (catalog, server, answers, thresholds) = (&catalog, &server, &answers, &Thresholds::DEFAULT);
        let context = Context { migration, catalog, server, answers, thresholds };
        let change = migration.changes.last().unwrap();
        let table = change.what.table().and_then(|table| catalog.find(table));
        match finding(rule, &Subject { change, context: &context, table, cost }) {
            Some(f) => format!("{:?} line {}: {} | {}", f.severity, f.line, f.message, f.help),
            None => "nothing".to_owned(),
        }
    }

    #[test]
    fn the_table_is_sorted_and_each_rule_explains_itself() {
        assert!(RULES.is_sorted_by_key(|rule| rule.id));
        for rule in RULES {
            assert!(rule.id.bytes().all(|b| b.is_ascii_lowercase() || b == b'-'), "{}", rule.id);
            assert!(rule.help.ends_with('.') && !rule.bad.is_empty() && !rule.good.is_empty(), "{}", rule.id);
        }
    }

    #[test]
    fn a_finding_that_the_file_allows_is_a_note() {
        let migration = fixture::Script::new("m")
            .add("users", fixture::column("c", "text").not_null())
            .directive(Directive::Allow { rule: "adding-required-field".into(), reason: "empty table".into() })
            .done();
        let said = said(rule("adding-required-field").unwrap(), &migration, None);
        assert!(said.starts_with("Note line 1") && said.contains("Allowed: empty table."), "{said}");
    }
}
