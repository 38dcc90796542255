//! Cleanup of a SQLite table through the built binary: one online rebuild for all pairs of a file, killed anywhere, and what
//! is done where a table cannot be rebuilt.

use std::path::{Path, PathBuf};
use std::time::Duration;

use segue_model::engine::Engine;
use segue_testkit::disk::DiskFault;
use segue_testkit::segue::Segue;
use segue_testkit::skipped;
use segue_testkit::sqlite::connect;
use segue_traffic::{Place, Scenario, scenario};
use tempfile::TempDir;

use crate::fault::place::{BACK, Case, Change, Content, WAY};
use crate::fault::sample::check_points;
use crate::project::Project;

/// What the sampled test may take.
const BUDGET: Duration = Duration::from_secs(20);

/// Where cleanup stands in [`WAY`].
const CLEANUP: usize = 3;

/// Two pairs of one table that has about everything a table may have.
fn two_pairs() -> Scenario {
    Scenario {
        name: "two pairs",
        table: "t",
        create: r#"CREATE TABLE p (id INTEGER PRIMARY KEY, name text);
            INSERT INTO p VALUES (1, 'one'), (2, 'two'), (3, 'three');
            CREATE TABLE t (
              id INTEGER PRIMARY KEY AUTOINCREMENT, -- counted
              o text, a text, b text,
              k text COLLATE NOCASE NOT NULL DEFAULT 'it''s',
              p int CONSTRAINT of_p REFERENCES p (id) ON DELETE RESTRICT DEFAULT 1,
              up int REFERENCES t (id),
              g text GENERATED ALWAYS AS (lower(k) || '!') VIRTUAL,
              v int CHECK (v > 0),
              CONSTRAINT once UNIQUE (v)
            );
            CREATE UNIQUE INDEX by_k ON t(k DESC);
            CREATE INDEX some_of_p ON t ( p , lower(k) ) WHERE v IS NOT NULL;
            CREATE TABLE child (id INTEGER PRIMARY KEY, t int REFERENCES t(id) ON DELETE CASCADE);
            CREATE VIEW shown AS SELECT id, k, g FROM t;"#,
        fill: "INSERT INTO t (o, a, b, k, p, v) WITH n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < $1)
            SELECT 'o' || i, 'a' || i, nullif('b' || (i % 5), 'b0'), 'k' || (i * 7919 % 100003), 1 + i % 3, i FROM n",
        settle: "INSERT INTO child SELECT id, id FROM t WHERE id % 3 = 0;
            INSERT INTO t (id, k) VALUES (9000, 'gone'); DELETE FROM t WHERE id = 9000;",
        up: "ALTER TABLE t ADD COLUMN n text;
ALTER TABLE t ADD COLUMN m text;
UPDATE t SET n = o;
UPDATE t SET m = coalesce(a, '') || ' ' || coalesce(b, '');
ALTER TABLE t ALTER COLUMN m SET NOT NULL;
ALTER TABLE t DROP COLUMN o;
ALTER TABLE t DROP COLUMN a;
ALTER TABLE t DROP COLUMN b;
",
        down: "ALTER TABLE t ADD COLUMN o text;
ALTER TABLE t ADD COLUMN a text;
ALTER TABLE t ADD COLUMN b text;
UPDATE t SET o = n;
UPDATE t SET a = substr(m, 1, instr(m || ' ', ' ') - 1), b = substr(m, instr(m || ' ', ' ') + 1);
ALTER TABLE t DROP COLUMN n;
ALTER TABLE t DROP COLUMN m;
",
        ..scenario::rename(Engine::Sqlite)
    }
}

/// Returns the texts of the schema and what AUTOINCREMENT has counted up to, but for our own objects.
fn texts(file: &Path) -> Vec<String> {
    let connection = connect(file);
    let sql = "SELECT type || ' ' || name || ': ' || replace(replace(sql, '\"m\"', 'm'), '\"n\"', 'n') FROM sqlite_schema \
               WHERE tbl_name NOT LIKE 'segue%' AND tbl_name NOT LIKE 'sqlite%' AND sql IS NOT NULL \
               UNION ALL SELECT name || ' ' || seq FROM sqlite_sequence WHERE name NOT LIKE 'segue%' ORDER BY 1";
    let mut statement = connection.prepare(sql).unwrap();
    let rows = statement.query_map([], |row| row.get(0)).unwrap();
    rows.collect::<Result<_, _>>().unwrap()
}

/// Asks SQLite whether the file is whole, and whether anything of ours but the kept copies is left.
fn intact(file: &Path, finished: bool) -> Result<(), String> {
    let connection = connect(file);
    let ask =
        |sql: &str| connection.query_row(sql, [], |row| row.get::<_, String>(0)).map_err(|error| error.to_string());
    let said = ask("PRAGMA integrity_check")?;
    let strays = ask("SELECT CAST(count(*) AS text) FROM pragma_foreign_key_check")?;
    let left = ask(
        "SELECT coalesce(group_concat(name), '') FROM sqlite_schema WHERE name GLOB 'segue_[noc][a-z]*_*' OR type = 'trigger'",
    )?;
    if (said.as_str(), strays.as_str()) != ("ok", "0") || finished && !left.is_empty() {
        return Err(format!("{said}; {strays} strays; left: {left}"));
    }
    Ok(())
}

#[test]
fn two_pairs_of_a_table_go_by_one_rebuild_and_end_as_the_naive_ddl() {
    let change = Change::new(two_pairs(), 300);
    let case = Case::sqlite(&change);
    let naive = Case::sqlite(&change);
    naive.file().execute_batch(change.scenario.up).unwrap();
    case.finish(0);
    intact(&case.path(), true).unwrap();
    assert_eq!(naive.content().difference(&case.content()), "");
    assert_eq!(texts(&case.path()), texts(&naive.path()));
}

/// A change that only cleanup is left to do of, and what its end must be.
struct Contracted {
    change: Change,
    folder: TempDir,
    /// Before anything.
    before: Content,
    /// After cleanup.
    after: Content,
    texts: Vec<String>,
}

/// A copy of it, under the name that it had.
struct Scratch {
    folder: TempDir,
    segue: Segue,
    _project: Project,
}

#[derive(Debug, Clone, Copy)]
struct Point {
    fault: DiskFault,
    then_back: bool,
}

impl Contracted {
    fn new(change: Change) -> Self {
        let case = Case::sqlite(&change);
        let before = case.content();
        WAY[..CLEANUP].iter().for_each(|arguments| drop(case.segue().ok(arguments)));
        case.file().execute_batch("PRAGMA wal_checkpoint(TRUNCATE)").unwrap();
        let folder = tempfile::tempdir().unwrap();
        std::fs::copy(case.path(), folder.path().join("app.db")).unwrap();
        case.finish(CLEANUP);
        let (after, texts) = (case.content(), texts(&case.path()));
        Self { change, folder, before, after, texts }
    }

    fn scratch(&self) -> Scratch {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("app.db");
        std::fs::copy(self.folder.path().join("app.db"), &file).unwrap();
        let project = self.change.project(&format!("sqlite:{}", file.display()));
        let segue = project.segue.clone();
        segue.ok(&["adopt"]);
        Scratch { folder, segue, _project: project }
    }

    fn points(&self) -> Option<Vec<Point>> {
        let scratch = self.scratch();
        let count = scratch.folder.path().join("count");
        let failing = scratch.with(DiskFault::None, &count)?;
        failing.ok(WAY[CLEANUP]);
        let writes: u64 = std::fs::read_to_string(&count).unwrap().parse().unwrap();
        println!("cleanup of {}: {writes} writes", self.change.scenario.name);
        let each = (1..=writes).flat_map(|at| (0..).zip(DiskFault::kills(at)).map(move |(n, fault)| (at + n, fault)));
        Some(each.map(|(number, fault)| Point { fault, then_back: number % 3 == 0 }).collect())
    }

    fn check(&self, point: &Point) -> Result<(), String> {
        let scratch = self.scratch();
        let count = scratch.folder.path().join("count");
        let killed = scratch.with(point.fault, &count).expect("writes were counted by it").run(WAY[CLEANUP]);
        if killed.code > 0 {
            return Err(format!("it was not killed, and ended with {}: {}", killed.code, killed.stderr));
        }
        intact(&scratch.file(), false)?;
        let back = point.then_back && {
            let output = scratch.segue.run(BACK);
            let over = output.code == 5 && output.stderr.contains("no longer be rolled back")
                || output.code == 2 && output.stderr.contains("no migration is");
            if output.code != 0 && !over {
                return Err(format!("{BACK:?} ended with {}: {}", output.code, output.stderr));
            }
            output.code == 0
        };
        if !back {
            let output = scratch.segue.run(WAY[CLEANUP]);
            let nothing_left = output.code == 2 && output.stderr.contains("no migration is");
            if output.code != 0 && !nothing_left {
                return Err(format!("cleanup ended with {}: {}", output.code, output.stderr));
            }
        }
        intact(&scratch.file(), true)?;
        let found = Content::of(&Place::Sqlite(scratch.file()), self.change.scenario.table);
        let difference = if back { &self.before } else { &self.after }.difference(&found);
        if !difference.is_empty() {
            return Err(format!("back: {back}\n{difference}"));
        }
        if back || texts(&scratch.file()) == self.texts { Ok(()) } else { Err("the schema's texts differ".to_owned()) }
    }
}

impl Scratch {
    fn file(&self) -> PathBuf {
        self.folder.path().join("app.db")
    }

    /// Returns the binary with a failing disk; `None` where writes cannot be made to fail.
    fn with(&self, fault: DiskFault, count: &Path) -> Option<Segue> {
        let environment = fault.environment(count)?;
        Some(environment.into_iter().fold(self.segue.clone(), |segue, (name, value)| segue.with_env(&name, &value)))
    }
}

#[test]
fn killed_at_every_write_of_a_rebuild() {
    let contracted = Contracted::new(Change::new(two_pairs(), 300));
    let Some(points) = contracted.points() else { return skipped("C compiler") };
    check_points("SQLite, rebuild of two pairs", points, BUDGET, |point| contracted.check(point));
}

/// Goes the whole way with a table that cannot be rebuilt online, and returns why.
#[track_caller]
fn why_one_by_one(mode: &str, create: &'static str) -> String {
    let split = scenario::rename(Engine::Sqlite);
    let change = Change::new(Scenario { create, ..split }, 40);
    let (case, naive) = (Case::sqlite(&change), Case::sqlite(&change));
    naive.file().execute_batch(change.scenario.up).unwrap();
    case.file().execute_batch(mode).unwrap();
    let plan = case.segue().ok(&["plan"]);
    assert!(!plan.contains("segue_new_"), "{plan}");
    case.finish(0);
    intact(&case.path(), true).unwrap();
    case.file().execute_batch("PRAGMA journal_mode = WAL").unwrap();
    assert_eq!(naive.content().difference(&case.content()), "");
    let words: Vec<&str> = plan.split_whitespace().collect();
    let text = words.join(" ");
    let text =
        text.split(" Note: ").find(|note| note.contains("one by one; each writes")).expect("there is such a note");
    text.split("It cannot be rebuilt online: ").nth(1).unwrap_or_else(|| panic!("{plan}")).to_owned()
}

#[test]
fn a_table_that_cannot_be_rebuilt_online_loses_its_columns_one_by_one_and_the_plan_says_why() {
    let plain = scenario::rename(Engine::Sqlite).create;
    let table = |rest: &str| -> &'static str { plain.replace("DEFAULT 0\n", &format!("DEFAULT 0{rest}\n")).leak() };
    let found = [
        why_one_by_one("PRAGMA journal_mode = DELETE", plain),
        why_one_by_one("", table(" CHECK (articles.ver >= 0)")),
        why_one_by_one("", table(", UNIQUE (id, note COLLATE NOCASE)")),
        why_one_by_one("", table(", CHECK (note <> \"none\")")),
    ];
    assert_eq!(
        found,
        [
            "journal_mode is `delete`, and without WAL each of its many commits would keep readers out (`PRAGMA journal_mode = \
             wal` changes it)",
            "an expression in its text names a column as `articles.…`",
            "a UNIQUE constraint compares by another collation than its column",
            "\"none\" in its text may be a name or a text",
        ]
    );
}
