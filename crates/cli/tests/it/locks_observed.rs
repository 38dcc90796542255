//! What the facts say is what each server shows: locks, files, scans, and what a second session is denied.
//!
//! The facts come from `segue_plan`, the observations from `pg_locks`, `pg_relation_filenode` and the counters of scans;
//! neither is made from the other. Each statement is also parsed and classified on the catalog of the fixture.

mod cases;
mod classified;
mod seen;

use std::collections::BTreeSet;
use std::thread;

use segue_model::engine::Engine;
use segue_model::lock::{Blocks, LockMode};
use segue_plan::dialect::{Cost, dialect};
use segue_testkit::postgres::PostgresServer;

use cases::{CASES, NOT_SHOWN, OUTSIDE, TYPES};
use classified::Classifier;
use seen::{Seen, Watch};

const FIXTURE: &str = include_str!("locks_observed/fixture.sql");

/// What a run found.
#[derive(Default)]
struct Report {
    compared: usize,
    classified: usize,
    not_classified: Vec<String>,
    absent: Vec<String>,
    wrong: Vec<String>,
}

#[test]
fn each_fact_is_what_a_server_shows() {
    thread::scope(|scope| {
        let servers = segue_testkit::each_postgres();
        let runs: Vec<_> =
            servers.into_iter().map(|server| (server.major(), scope.spawn(|| observe(server)))).collect();
        for (major, run) in runs {
            let report = run.join().expect("the run of a version ends");
            println!(
                "postgres {major}: {} facts compared, {} of their statements classified\n  not classified: {}\n  not on this version: {}",
                report.compared,
                report.classified,
                report.not_classified.join(", "),
                report.absent.join(", ")
            );
            assert!(report.wrong.is_empty(), "postgres {major}:\n{}", report.wrong.join("\n"));
            assert!(report.compared > 250, "only {} facts were compared", report.compared);
        }
    });
}

#[test]
fn each_fact_has_a_statement_that_shows_it() {
    let shown = CASES.iter().chain(OUTSIDE).map(|(id, ..)| *id).chain(TYPES.iter().map(|(id, ..)| *id));
    let shown: BTreeSet<&str> = shown.chain(NOT_SHOWN.iter().map(|(id, _)| *id)).collect();
    let known: BTreeSet<&str> =
        (13..=18).flat_map(|major| dialect(Engine::Postgres).facts(major)).map(|fact| fact.fact).collect();
    assert_eq!(known.difference(&shown).collect::<Vec<_>>(), Vec::<&&str>::new(), "no statement shows these facts");
    assert_eq!(shown.difference(&known).collect::<Vec<_>>(), Vec::<&&str>::new(), "these statements show no fact");
}

fn observe(server: &PostgresServer) -> Report {
    let url = server.database();
    let mut watch = Watch::new(&url);
    watch.session.batch(FIXTURE);
    if server.major() >= 18 {
        watch.session.batch("ALTER TABLE t ADD CONSTRAINT idn_nn NOT NULL idn NOT VALID");
    }
    watch.session.batch(&type_table());
    watch.session.batch("ANALYZE");
    let mut classifier = Classifier::new(&url);
    let facts = dialect(Engine::Postgres).facts(server.major());
    let mut report = Report::default();
    for (id, target, statement) in statements() {
        let Some(fact) = facts.iter().find(|fact| fact.fact == id) else {
            report.absent.push(id.to_owned());
            continue;
        };
        let seen = watch.in_transaction(&target, &statement);
        compare(fact, &target, &seen, &mut report);
        classified::compare(&mut classifier, fact, &statement, &facts, &mut report);
    }
    drop((watch, classifier));
    for (id, target, statement) in OUTSIDE {
        let Some(fact) = facts.iter().find(|fact| fact.fact == *id) else {
            report.absent.push((*id).to_owned());
            continue;
        };
        let seen = Watch::new(&server.copy_of(&url)).outside(fact, target, statement);
        compare_outside(fact, target, &seen, &mut report);
    }
    report
}

/// Returns every statement that may run in a transaction.
fn statements() -> Vec<(&'static str, String, String)> {
    let mut all: Vec<_> =
        CASES.iter().map(|(id, target, sql)| (*id, (*target).to_owned(), (*sql).to_owned())).collect();
    for (at, (id, _, to, tail)) in TYPES.iter().enumerate() {
        let tail = tail.replace("{c}", &format!("c{at}")).replace("indexed", "");
        all.push((id, "ty".to_owned(), format!("ALTER TABLE ty ALTER c{at} TYPE {to} {tail}").trim_end().to_owned()));
    }
    all
}

fn type_table() -> String {
    let columns: Vec<String> = TYPES.iter().enumerate().map(|(at, (_, from, ..))| format!("c{at} {from}")).collect();
    let indexed = TYPES.iter().enumerate().filter(|(_, (.., tail))| *tail == "indexed");
    let indexes: String = indexed.map(|(at, _)| format!("CREATE INDEX ON ty (c{at});")).collect();
    format!(
        "CREATE TABLE ty (id int PRIMARY KEY, {}); INSERT INTO ty (id) SELECT i FROM generate_series(1, 100) AS i; {indexes}",
        columns.join(", ")
    )
}

/// Who plays a role beside the target; none: any index.
fn players(what: &str, target: &str) -> &'static [&'static str] {
    match (what, target) {
        ("the referenced table", _) => &["parent"],
        ("each table that references it", _) => &["child", "child_nv"],
        ("each partition", _) => &["pt1", "pt2"],
        ("the default partition", "ptd2") => &["ptd2_def"],
        ("the default partition", _) => &["ptd_def"],
        ("the column's sequence", _) => &["t_id_id_seq"],
        ("the sequence", _) => &["sq"],
        ("the parent", _) => &["inh_parent"],
        ("the partitioned table", _) => &["pt"],
        _ => &[],
    }
}

/// Where the role is played by another relation in each statement, any of these does.
fn any_of(what: &str) -> &'static [&'static str] {
    match what {
        "the partition" => &["pt2", "p_new", "p_newchk", "pd_new", "pd2_new"],
        "each table that reads it" | "each table that it reads" => &["t"],
        "each table that uses it" => &["tdom", "ten", "t", "ty"],
        _ => &[],
    }
}

fn compare(fact: &Cost, target: &str, seen: &Seen, report: &mut Report) {
    report.compared += 1;
    let mut wrong = |what: String| report.wrong.push(format!("{} ({target}): {what}", fact.fact));
    match (&seen.error, fact.fails) {
        (Some(_), true) => return,
        (Some(error), false) => return wrong(format!("the server says {error}")),
        (None, true) => return wrong("the server does it".to_owned()),
        (None, false) => {}
    }
    let held = seen.mode(target);
    let quiet = fact.lock == LockMode::None && matches!(held, None | Some("AccessShareLock"));
    if !quiet && held != Some(fact.lock.name()) && !target.is_empty() {
        wrong(format!("the fact says {}, the server shows {held:?}", fact.lock.name()));
    }
    others(fact, target, seen, &mut wrong);
    if !target.is_empty() {
        let moved = |name: &str| seen.refiled.contains(name);
        let rewrites =
            moved(target) || players("each partition", target).iter().any(|leaf| target == "pt" && moved(leaf));
        if rewrites != fact.rewrites {
            wrong(format!("rewrites: the fact says {}, the server shows {rewrites}", fact.rewrites));
        }
        let scans = seen.scanned.contains(target)
            || target == "pt" && players("each partition", target).iter().any(|leaf| seen.scanned.contains(*leaf));
        if scans != fact.scans && !fact.rewrites {
            wrong(format!("scans: the fact says {}, the server shows {scans}", fact.scans));
        }
        if seen.rebuilt != fact.rebuilds && target != "pt" && !(fact.rewrites && seen.indexes == 0) {
            wrong(format!("rebuilds: the fact says {}, the server shows {}", fact.rebuilds, seen.rebuilt));
        }
        if let Some(blocked) = seen.blocked {
            let denies = |mode: LockMode| mode.blocks().max(Blocks::Ddl);
            let index = fact
                .others
                .iter()
                .filter(|(what, _)| ["the index", "the default partition"].contains(what))
                .map(|(_, mode)| denies(*mode));
            let says = index.chain([denies(fact.lock)]).max().unwrap_or(Blocks::Ddl);
            if says != blocked {
                wrong(format!("blocks: the fact says {says:?}, a second session saw {blocked:?}"));
            }
        }
    }
}

fn others(fact: &Cost, target: &str, seen: &Seen, wrong: &mut dyn FnMut(String)) {
    let mut expected: BTreeSet<String> = BTreeSet::new();
    for (what, mode) in fact.others {
        let every = players(what, target);
        let any = any_of(what);
        for name in every {
            expected.insert((*name).to_owned());
            if seen.mode(name) != Some(mode.name()) {
                wrong(format!(
                    "{what} `{name}`: the fact says {}, the server shows {:?}",
                    mode.name(),
                    seen.mode(name)
                ));
            }
        }
        if !any.is_empty() {
            let these: Vec<_> = any.iter().filter(|name| seen.mode(name) == Some(mode.name())).collect();
            expected.extend(these.iter().map(|name| (**name).to_owned()));
            if these.is_empty() {
                wrong(format!("{what}: the fact says {}, the server shows {:?}", mode.name(), seen.locks));
            }
        }
        if *what == "the index" && !seen.locks.iter().any(|(kind, _, held)| "iI".contains(*kind) && held == mode.name())
        {
            wrong(format!("{what}: the fact says {}, the server shows {:?}", mode.name(), seen.locks));
        }
    }
    for (kind, name, mode) in &seen.locks {
        let name = name.trim_start_matches("public.");
        let minor = "iIc".contains(*kind) || mode == "AccessShareLock";
        if !minor && name != target && !expected.contains(name) {
            wrong(format!("the server also shows {mode} on `{name}`"));
        }
    }
}

/// Of a statement in parts of its own, the strongest lock on the table and on what is beside it.
fn compare_outside(fact: &Cost, target: &str, seen: &Seen, report: &mut Report) {
    report.compared += 1;
    if let Some(error) = &seen.error {
        report.wrong.push(format!("{}: the server says {error}", fact.fact));
    }
    if seen.mode(target) != Some(fact.lock.name()) {
        report.wrong.push(format!(
            "{}: the fact says {}, the server shows {:?}",
            fact.fact,
            fact.lock.name(),
            seen.locks
        ));
    }
}
