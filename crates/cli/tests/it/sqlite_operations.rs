//! Every operation on a SQLite file through the built binary: to the end, where all is as if its naive form had been run on
//! a file that nobody uses, and back from each gate, where all is as it was.

use std::path::Path;

use segue_testkit::dump::{assert_same, sqlite};
use segue_testkit::sqlite::{TempDatabase, connect};

use crate::fault::place::{BACK, WAY};
use crate::project::Project;

/// A table that has about everything that a table may have, with NULLs, blobs and numbers of each kind.
const SETUP: &str = r#"
CREATE TABLE p (id INTEGER PRIMARY KEY, code text NOT NULL, CONSTRAINT coded UNIQUE (code));
INSERT INTO p VALUES (1, 'one'), (2, 'two'), (3, 'three');
CREATE TABLE t (
  id INTEGER PRIMARY KEY AUTOINCREMENT, -- counted
  a text, "b ""c" int DEFAULT 7, n text NOT NULL, p int,
  k text COLLATE NOCASE DEFAULT 'it''s', v, digits text,
  CONSTRAINT positive CHECK (p > 0),
  CONSTRAINT once UNIQUE (n),
  CONSTRAINT of_p FOREIGN KEY (p) REFERENCES p (id) ON DELETE SET NULL
);
CREATE INDEX by_a ON t (a DESC, lower(k)) WHERE a IS NOT NULL;
CREATE TABLE log (said text);
CREATE TRIGGER logged AFTER UPDATE OF a ON t BEGIN INSERT INTO log VALUES (NEW.a); END;
CREATE VIEW shown AS SELECT id, a, k FROM t;
CREATE TABLE child (id INTEGER PRIMARY KEY, t int REFERENCES t (id) ON DELETE CASCADE, x int, y int);
CREATE TABLE gone (id INTEGER PRIMARY KEY, w text, m int NOT NULL);
CREATE INDEX by_w ON gone (w);
CREATE TABLE spare (id INTEGER PRIMARY KEY);
INSERT INTO gone VALUES (1, 'w', 1), (2, NULL, 2);
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 40)
INSERT INTO t (a, "b ""c", n, p, k, v, digits) SELECT nullif('a' || (i % 7), 'a3'), nullif(i, 5), 'n' || i, 1 + i % 3, 'k' || i,
  CASE i % 5 WHEN 0 THEN NULL WHEN 1 THEN i WHEN 2 THEN i + 0.5 WHEN 3 THEN 'x' || i ELSE x'00ff' END,
  CASE i % 4 WHEN 0 THEN NULL WHEN 1 THEN '00' || i ELSE '' || i END FROM n;
INSERT INTO child SELECT id, id, id, id % 2 FROM t WHERE id % 3 = 0;
INSERT INTO t (id, n) VALUES (900, 'gone');
DELETE FROM t WHERE id = 900;
"#;

struct Case {
    /// What the migration says.
    up: &'static str,
    /// What somebody would do to a file that nobody uses.
    naive: Naive,
}

enum Naive {
    /// The same.
    Same,
    /// Other statements.
    Sql(&'static str),
    /// `t` is written again by hand, with one part of its text exchanged.
    Rebuilt(&'static str, &'static str),
}

fn same(up: &'static str) -> Case {
    Case { up, naive: Naive::Same }
}

fn rebuilt(up: &'static str, from: &'static str, to: &'static str) -> Case {
    Case { up, naive: Naive::Rebuilt(from, to) }
}

impl Case {
    /// Does by hand what the migration says.
    fn by_hand(&self, file: &TempDatabase) {
        let connection = file.connect();
        connection.execute_batch("PRAGMA foreign_keys = OFF").unwrap();
        let sql = match self.naive {
            Naive::Same => self.up.to_owned(),
            Naive::Sql(sql) => sql.to_owned(),
            Naive::Rebuilt(from, to) => rebuild_by_hand(from, to),
        };
        connection.execute_batch(&sql).unwrap_or_else(|error| panic!("{error}\n{sql}"));
    }
}

/// The twelve steps of SQLite's manual (`lang_altertable`, 7).
fn rebuild_by_hand(from: &str, to: &str) -> String {
    let start = SETUP.find("CREATE TABLE t (").unwrap();
    let text = &SETUP[start..start + SETUP[start..].find(";").unwrap() + 1];
    assert!(text.contains(from), "{text}");
    let text = text.replacen(from, to, 1);
    format!(
        "CREATE TEMP TABLE counted AS SELECT seq FROM sqlite_sequence WHERE name = 't';
        PRAGMA legacy_alter_table = ON; ALTER TABLE t RENAME TO other; {text}
        INSERT INTO t SELECT * FROM other; DROP TABLE other;
        UPDATE sqlite_sequence SET seq = (SELECT seq FROM counted) WHERE name = 't';
        CREATE INDEX by_a ON t (a DESC, lower(k)) WHERE a IS NOT NULL;
        CREATE TRIGGER logged AFTER UPDATE OF a ON t BEGIN INSERT INTO log VALUES (NEW.a); END;"
    )
}

fn state(file: &Path) -> Vec<String> {
    let mut all = sqlite::catalog(file);
    let connection = connect(file);
    let tables = "SELECT name FROM sqlite_schema WHERE type IN ('table', 'view') AND name NOT LIKE 'segue%' AND name NOT LIKE \
                  'sqlite%' AND rootpage IS NOT NULL";
    let mut statement = connection.prepare(tables).unwrap();
    let names: Vec<String> = statement.query_map([], |row| row.get(0)).unwrap().collect::<Result<_, _>>().unwrap();
    for name in names {
        all.extend(sqlite::rows(file, &name, "1").into_iter().map(|row| format!("row of {name}: {row}")));
    }
    all.sort();
    all
}

/// Asks SQLite whether the file is whole, and whether anything of ours but kept copies is left on the tables.
#[track_caller]
fn intact(file: &Path) {
    let connection = connect(file);
    let ask = |sql: &str| connection.query_row(sql, [], |row| row.get::<_, String>(0)).unwrap();
    assert_eq!(ask("PRAGMA integrity_check"), "ok");
    assert_eq!(ask("SELECT CAST(count(*) AS text) FROM pragma_foreign_key_check"), "0");
    let left = "SELECT coalesce(group_concat(name), '-') FROM sqlite_schema
                WHERE name GLOB 'segue_[^k]*_*[0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f]'";
    assert_eq!(ask(left), "-");
}

fn project(file: &TempDatabase, up: &str) -> Project {
    let project = Project::new(&file.url());
    project.write("1_change.sql", up);
    project
}

/// Goes the whole way, as far as there is one; returns how many commands that took.
fn finish(project: &Project) -> usize {
    for (done, arguments) in WAY.iter().enumerate() {
        let output = project.segue.run(arguments);
        // What is native is at its end after the first command.
        if done == 1 && output.code == 2 {
            return done;
        }
        assert_eq!(output.code, 0, "{arguments:?}\n{}\n{}", output.stdout, output.stderr);
    }
    WAY.len()
}

#[track_caller]
fn both_ways(case: &Case) {
    let setup = SETUP;
    let file = TempDatabase::new(setup);
    let before = state(&file.path());
    let commands = finish(&project(&file, case.up));
    let naive = TempDatabase::new(setup);
    case.by_hand(&naive);
    intact(&file.path());
    assert_same(&state(&naive.path()), &state(&file.path()));
    // What is native is over at once, so another change that is not keeps the way back open.
    let (up, last) = match commands {
        1 => ([case.up, "\nDROP TABLE spare;"].concat(), 3),
        more => (case.up.to_owned(), more - 1),
    };
    for stop in 1..=last {
        let file = TempDatabase::new(setup);
        let project = project(&file, &up);
        for arguments in &WAY[..stop] {
            project.segue.ok(arguments);
        }
        project.segue.ok(BACK);
        intact(&file.path());
        println!("back after {stop} commands: {up}");
        let now = without_log(state(&file.path()));
        assert_same(&without_log(before.clone()), &now);
    }
}

/// A trigger of the user fires for what is filled, and for what is taken back.
fn without_log(state: Vec<String>) -> Vec<String> {
    state.into_iter().filter(|line| !line.starts_with("row of log")).collect()
}

macro_rules! cases {
    ($($name:ident: $case:expr;)*) => {
        $(#[test]
        fn $name() {
            both_ways(&$case);
        })*
    };
}

cases! {
    an_index_is_created: same("CREATE INDEX by_v ON t (v, k COLLATE BINARY DESC) WHERE v IS NOT NULL;");
    a_unique_index_is_created: same("CREATE UNIQUE INDEX by_n ON t (n, a);");
    an_index_is_dropped: same("DROP INDEX by_a;");
    an_index_on_a_column_that_is_filled:
        same("ALTER TABLE t ADD COLUMN f text;\nUPDATE t SET f = coalesce(a, '') || n;\nCREATE INDEX by_f ON t (f);");
    a_column_is_set_not_null: same("ALTER TABLE t ALTER COLUMN k SET NOT NULL;");
    a_column_may_be_null: same("ALTER TABLE t ALTER COLUMN n DROP NOT NULL;");
    nulls_are_filled: same("UPDATE t SET a = 'none' WHERE a IS NULL;");
    nulls_are_filled_and_the_column_is_set_not_null:
        same("UPDATE t SET a = 'none' WHERE a IS NULL;\nALTER TABLE t ALTER COLUMN a SET NOT NULL;");
    a_check_is_added: same("ALTER TABLE t ADD CONSTRAINT \"short \"\"n\" CHECK (length(n) < 10);");
    a_check_without_a_name_is_added: same("ALTER TABLE t ADD CHECK (length(n) < 10);");
    a_check_is_dropped: same("ALTER TABLE t DROP CONSTRAINT positive;");
    a_foreign_key_is_dropped: same("ALTER TABLE t DROP CONSTRAINT of_p;");
    a_foreign_key_is_added: Case {
        up: "ALTER TABLE child ADD CONSTRAINT of_t FOREIGN KEY (x) REFERENCES t (id) ON DELETE SET NULL;",
        naive: Naive::Sql("CREATE TABLE new (id INTEGER PRIMARY KEY, t int REFERENCES t (id) ON DELETE CASCADE, x int, y int,
            CONSTRAINT of_t FOREIGN KEY (x) REFERENCES t (id) ON DELETE SET NULL);
            INSERT INTO new SELECT * FROM child; DROP TABLE child; ALTER TABLE new RENAME TO child;"),
    };
    a_table_is_renamed: same("ALTER TABLE t RENAME TO \"new t\";");
    a_column_is_renamed: same("ALTER TABLE t RENAME COLUMN a TO \"new a\";");
    a_table_is_dropped: same("DROP TABLE gone;");
    a_column_is_dropped: same("ALTER TABLE t DROP COLUMN v;");
    two_columns_are_dropped: same("ALTER TABLE t DROP COLUMN v;\nALTER TABLE t DROP COLUMN digits;");
    a_column_that_is_not_null_is_dropped: same("ALTER TABLE gone DROP COLUMN m;");
    a_view_and_a_trigger_are_created:
        same("CREATE VIEW seen AS SELECT n FROM t;\nCREATE TRIGGER kept AFTER DELETE ON gone BEGIN INSERT INTO log VALUES (OLD.w); END;");
    a_view_is_dropped: same("DROP VIEW shown;");
    a_trigger_is_dropped: same("DROP TRIGGER logged;");
    a_column_with_a_check_is_added: same("ALTER TABLE t ADD COLUMN q int DEFAULT 1 CHECK (q > 0);");
    a_column_that_refers_is_added: same("ALTER TABLE t ADD COLUMN q int REFERENCES p (id);");
    a_generated_column_is_added: same("ALTER TABLE t ADD COLUMN q text GENERATED ALWAYS AS (a || n) VIRTUAL;");
    a_default_is_set: rebuilt("ALTER TABLE t ALTER COLUMN a SET DEFAULT 'some';", "a text,", "a text DEFAULT 'some',");
    a_default_is_dropped: rebuilt("ALTER TABLE t ALTER \"b \"\"c\" DROP DEFAULT;", "int DEFAULT 7", "int");
    a_unique_constraint_is_added: rebuilt(
        "ALTER TABLE t ADD CONSTRAINT both UNIQUE (k, a);",
        "ON DELETE SET NULL\n",
        "ON DELETE SET NULL, CONSTRAINT both UNIQUE (k, a)\n"
    );
    a_unique_constraint_is_dropped:
        rebuilt("ALTER TABLE t DROP CONSTRAINT once;", "\n  CONSTRAINT once UNIQUE (n),", "");
    a_type_is_changed: rebuilt("ALTER TABLE t ALTER COLUMN digits TYPE integer;", "digits text", "digits integer");
    a_type_is_called_otherwise: rebuilt("ALTER TABLE t ALTER COLUMN a TYPE varchar(20);", "a text", "a varchar(20)");
}
