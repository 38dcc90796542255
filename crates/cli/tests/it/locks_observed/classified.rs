//! Whether a statement, read and classified on the fixture's catalog, costs what its fact says.

use std::collections::BTreeMap;
use std::time::Duration;

use segue_model::catalog::Catalog;
use segue_model::engine::Engine;
use segue_model::ident::MigrationId;
use segue_model::lock::LockMode;
use segue_model::probe::Answer;
use segue_model::server::Server;
use segue_model::session::{Begin, Session};
use segue_model::verdict::Verdict;
use segue_parse::Source;
use segue_plan::dialect::Cost;

use super::Report;

/// Told as worse than it is, and why.
const WORSE: &[(&str, &str)] = &[
    ("addcol.volatile_sql_inlined", "no text tells what a function is inlined to"),
    ("nn.add_constraint_notnull_valid_check", "that a CHECK proves it is the plan's to know"),
    ("part.create_of_with_default", "the plan asks whether there is a default partition, a verdict alone does not"),
    ("part.attach_with_default", "the plan asks whether there is a default partition"),
    ("part.attach_with_default_check", "the plan asks whether there is a default partition"),
    ("addcol.gen_virtual", "what is read of a new column says GENERATED, not of which kind"),
];

/// What the fixture looks like to a plan.
pub(super) struct Classifier {
    session: Box<dyn Session>,
    catalog: Catalog,
    server: Server,
}

impl Classifier {
    pub(super) fn new(url: &str) -> Self {
        let connector = segue_drivers::connector(url, &BTreeMap::new()).expect("the test's address can be used");
        let mut session = connector.connect("classify").expect("the test's server lets us in");
        let catalog = session.inspect().expect("the fixture can be inspected");
        let mut server = session.server().expect("a server knows who it is");
        server.settings.insert("TimeZone".to_owned(), "UTC".to_owned());
        Self { session, catalog, server }
    }

    /// Returns the verdicts of the statements; none when one of them is not read, or not classified.
    fn verdicts(&mut self, statements: &str) -> Option<Vec<Verdict>> {
        let id = MigrationId::new("1_case").ok()?;
        let source = Source { file: "1_case.sql", text: statements.as_bytes() };
        let migration = segue_parse::migration(Engine::Postgres, id, &source, None).ok()?;
        let mut answers = BTreeMap::new();
        let probes = segue_plan::verdict_probes(&migration, &self.catalog, &self.server, &answers);
        self.session.begin(Begin::Read).expect("a reading transaction can begin");
        for probe in probes {
            let rows = self.session.query(probe.sql.as_str(), &[], Duration::from_secs(5));
            answers.insert(probe.key, Answer::Rows(rows.unwrap_or_else(|fail| panic!("{fail}: {}", probe.sql))));
        }
        self.session.rollback();
        let verdicts = segue_plan::verdicts(&migration, &self.catalog, &self.server, &answers);
        (verdicts.len() == migration.changes.len() && !verdicts.is_empty()).then_some(verdicts)
    }
}

pub(super) fn compare(classifier: &mut Classifier, fact: &Cost, statement: &str, facts: &[Cost], report: &mut Report) {
    // What several statements do in one transaction is no verdict on any of them.
    let Some(verdicts) = classifier.verdicts(statement).filter(|_| !statement.contains("; ")) else {
        return report.not_classified.push(fact.fact.to_owned());
    };
    report.classified += 1;
    if WORSE.iter().any(|(id, _)| *id == fact.fact) {
        return;
    }
    let named = |verdict: &Verdict| facts.iter().find(|known| known.fact == verdict.fact).copied();
    let costs: Vec<Cost> = verdicts.iter().filter_map(named).collect();
    let lock = verdicts.iter().map(|verdict| verdict.lock).max();
    let any = |is: fn(&Cost) -> bool| costs.iter().any(is);
    let others = |of: &Cost| {
        // Reading others needs no word.
        let mut all: Vec<_> = of.others.iter().filter(|(_, lock)| *lock != LockMode::AccessShare).copied().collect();
        all.sort_unstable();
        all
    };
    let beside: Vec<_> = costs.iter().flat_map(others).collect();
    let says = (lock, any(|c| c.rewrites), any(|c| c.scans), any(|c| c.fails), beside);
    let must = (Some(fact.lock), fact.rewrites, fact.scans, fact.fails, others(fact));
    if says != must {
        let ids: Vec<&str> = costs.iter().map(|cost| cost.fact).collect();
        report.wrong.push(format!(
            "{} is taken for {}: {says:?} instead of {must:?}\n    {statement}",
            fact.fact,
            ids.join(" and ")
        ));
    }
}
