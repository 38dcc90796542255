//! What each shape of statement does to a SQLite file, seen from outside, is what the plan's facts say of it: whether the write
//! lock is held, whether every row is read (by the steps that SQLite's own machine takes) and whether every row is written
//! (by the pages in the write-ahead log).

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use segue_drivers::sqlite::SqliteConnector;
use segue_model::engine::Engine;
use segue_model::ident::MigrationId;
use segue_model::lock::LockMode;
use segue_model::session::Connector;
use segue_parse::Source;
use segue_testkit::sqlite::{TempDatabase, connect};

const ROWS: u64 = 20_000;

const SETUP: &str = "CREATE TABLE p (id INTEGER PRIMARY KEY);
CREATE TABLE t (id INTEGER PRIMARY KEY, a text, b int NOT NULL DEFAULT 1, c text,
  CONSTRAINT named CHECK (b > 0), CONSTRAINT of_p FOREIGN KEY (b) REFERENCES p (id));
CREATE INDEX by_b ON t (b);
CREATE VIEW shown AS SELECT id, c FROM t;
CREATE TRIGGER fired AFTER DELETE ON t BEGIN SELECT 1; END;
CREATE TABLE other (id INTEGER PRIMARY KEY, a text);
INSERT INTO p VALUES (1);
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000)
INSERT INTO t (a, c) SELECT 'a' || i, CASE i % 2 WHEN 0 THEN hex(zeroblob(30)) END FROM n;";

/// Every statement shape that SQLite has.
const SHAPES: [&str; 26] = [
    "CREATE TABLE new (id INTEGER PRIMARY KEY)",
    "DROP TABLE other",
    "ALTER TABLE t RENAME TO u",
    "ALTER TABLE t RENAME COLUMN a TO z",
    "ALTER TABLE t ADD COLUMN n text",
    "ALTER TABLE t ADD COLUMN n int NOT NULL DEFAULT 7",
    "ALTER TABLE t ADD COLUMN n text COLLATE NOCASE",
    "ALTER TABLE t ADD COLUMN n int REFERENCES p (id)",
    "ALTER TABLE t ADD COLUMN n text AS (a || 'x') VIRTUAL",
    "ALTER TABLE t ADD COLUMN n text NOT NULL AS (a || 'x') VIRTUAL",
    "ALTER TABLE t ADD COLUMN n int DEFAULT 7 CHECK (n > 0)",
    "ALTER TABLE t DROP COLUMN a",
    "ALTER TABLE t ALTER COLUMN a SET NOT NULL",
    "ALTER TABLE t ALTER COLUMN b DROP NOT NULL",
    "ALTER TABLE t ADD CONSTRAINT more CHECK (length(a) > 0)",
    "ALTER TABLE t DROP CONSTRAINT named",
    "ALTER TABLE t DROP CONSTRAINT of_p",
    "CREATE INDEX by_a ON t (a)",
    "CREATE UNIQUE INDEX by_a ON t (a)",
    "DROP INDEX by_b",
    "CREATE VIEW seen AS SELECT a FROM t",
    "DROP VIEW shown",
    "CREATE TRIGGER more AFTER INSERT ON t BEGIN SELECT 1; END",
    "DROP TRIGGER fired",
    "CREATE VIRTUAL TABLE sought USING fts5(a)",
    "UPDATE t SET c = 'x' WHERE c IS NULL",
];

/// What SQLite has no statement for.
const SKIPPED: [&str; 5] = ["SET DEFAULT", "DROP DEFAULT", "TYPE", "ADD UNIQUE and PRIMARY KEY", "ADD FOREIGN KEY"];

/// What was seen, or what is said.
#[derive(Debug, PartialEq, Eq)]
struct Cost {
    locks: bool,
    scans: bool,
    rewrites: bool,
}

fn said(file: &TempDatabase, statement: &str) -> Cost {
    let mut session = SqliteConnector::open(&file.url()).unwrap().connect("segue test").unwrap();
    let (catalog, server) = (session.inspect().unwrap(), session.server().unwrap());
    let up = Source { file: "m.sql", text: statement.as_bytes() };
    let migration = segue_parse::migration(Engine::Sqlite, MigrationId::new("m").unwrap(), &up, None).unwrap();
    let verdicts = segue_plan::verdicts(&migration, &catalog, &server, &Default::default());
    let [verdict] = verdicts.as_slice() else { panic!("{statement}: {verdicts:?}") };
    Cost { locks: verdict.lock == LockMode::Write, scans: verdict.scans, rewrites: verdict.rewrites }
}

fn seen(file: &TempDatabase, statement: &str) -> (Cost, u64, u64) {
    let (mut connection, other) = (connect(&file.path()), connect(&file.path()));
    connection.execute_batch("PRAGMA foreign_keys = OFF; PRAGMA wal_checkpoint(TRUNCATE)").unwrap();
    other.execute_batch("PRAGMA busy_timeout = 0").unwrap();
    let number = |sql: &str| connection.query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap().unsigned_abs();
    let pages = number("SELECT sum(pageno > 0) FROM dbstat WHERE name = 't'");
    let size = number("PRAGMA page_size");
    let steps = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&steps);
    let count = move || {
        counted.fetch_add(1, Ordering::Relaxed);
        false
    };
    connection.execute_batch("BEGIN").unwrap();
    connection.progress_handler(1, Some(count)).unwrap();
    connection.execute_batch(statement).unwrap_or_else(|error| panic!("{statement}: {error}"));
    connection.progress_handler(0, None::<fn() -> bool>).unwrap();
    let locks = other.execute_batch("BEGIN IMMEDIATE").is_err();
    connection.execute_batch("COMMIT").unwrap();
    let log = file.path().with_extension("db-wal");
    let written = std::fs::metadata(log).map_or(0, |log| log.len().saturating_sub(32) / (size + 24));
    let steps = steps.load(Ordering::Relaxed);
    (Cost { locks, scans: steps >= ROWS, rewrites: written * 10 >= pages * 9 }, steps, written)
}

#[test]
fn what_a_statement_costs_is_what_the_facts_say() {
    let mut wrong = vec![];
    for statement in SHAPES {
        let file = TempDatabase::new(SETUP);
        let said = said(&file, statement);
        let (seen, steps, written) = seen(&file, statement);
        println!("{statement}: {steps} steps, {written} pages: {seen:?}");
        if said != seen {
            wrong.push(format!("{statement}: said {said:?}, seen {seen:?}"));
        }
    }
    println!("skipped, because SQLite has no statement for it: {}", SKIPPED.join(", "));
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
