//! A migration that leaves its rows to those who touch them, and how it is brought to its end.

use segue_testkit::client::Client;
use segue_testkit::sqlite::{TempDatabase, connect};
use serde_json::Value;

use crate::project::Project;

const UP: &str = "-- segue: strategy lazy
ALTER TABLE items ADD COLUMN label text;
UPDATE items SET label = coalesce(name, '') || '!';
ALTER TABLE items ALTER COLUMN label SET NOT NULL;
";
const DOWN: &str = "ALTER TABLE items DROP COLUMN label;\n";
const ON_POSTGRES: &str = "CREATE TABLE items (id bigint PRIMARY KEY, name text);
INSERT INTO items SELECT id, 'x' FROM generate_series(1, 50) AS id";
const ON_SQLITE: &str = "CREATE TABLE items (id INTEGER PRIMARY KEY, name TEXT);
INSERT INTO items WITH RECURSIVE n(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 50) SELECT n, 'x' FROM n";

/// A table of fifty rows, and a project with the lazy migration `1_label`.
struct Lazy {
    project: Project,
    place: Place,
}

enum Place {
    Sqlite(TempDatabase),
    Postgres(String),
}

impl Lazy {
    fn each() -> Vec<Self> {
        let file = TempDatabase::new(ON_SQLITE);
        let mut all = vec![Self::on(&file.url(), Place::Sqlite(file))];
        for server in segue_testkit::each_postgres() {
            let url = server.database();
            Client::connect(&url).batch(ON_POSTGRES);
            all.push(Self::on(&url, Place::Postgres(url.clone())));
        }
        all
    }

    fn on(url: &str, place: Place) -> Self {
        let project = Project::new(url);
        project.write("1_label.sql", UP);
        project.write("1_label.down.sql", DOWN);
        Self { project, place }
    }

    fn touch(&self, sql: &str) {
        match &self.place {
            Place::Sqlite(file) => connect(&file.path()).execute_batch(sql).unwrap(),
            Place::Postgres(url) => Client::connect(url).batch(sql),
        }
    }

    /// Returns whether the server has counted the values of the new column.
    fn has_statistics(&self) -> bool {
        match &self.place {
            Place::Sqlite(_) => false,
            Place::Postgres(url) => {
                let sql = "SELECT count(*) FROM pg_stats WHERE tablename = 'items' AND attname = 'label'";
                Client::connect(url).value(sql).unwrap() != "0"
            }
        }
    }

    fn filled(&self) -> i64 {
        let sql = "SELECT count(*) FROM items WHERE label IS NOT NULL";
        match &self.place {
            Place::Sqlite(file) => connect(&file.path()).query_row(sql, [], |row| row.get(0)).unwrap(),
            Place::Postgres(url) => Client::connect(url).value(sql).unwrap().parse().unwrap(),
        }
    }
}

#[test]
fn a_lazy_migration_fills_what_is_touched_and_complete_does_the_rest() {
    for lazy in Lazy::each() {
        let segue = &lazy.project.segue;
        let plan = segue.ok(&["plan"]);
        assert!(
            plan.contains("when somebody touches them") && plan.contains("segue apply 1_label --complete"),
            "{plan}"
        );
        let applied = segue.run(&["apply"]);
        assert_eq!(applied.code, 0, "as far as needs no person: {}", applied.stderr);
        for said in [&applied.stdout, &applied.stderr, &segue.ok(&["status"])] {
            assert!(said.contains("segue apply 1_label --complete"), "{said}");
        }
        let done =
            |line: &str| line.contains('✓') && (line.contains("fill the new columns") || line.contains("statistics"));
        assert!(!applied.stderr.lines().any(done), "none of it is done: {}", applied.stderr);
        assert_eq!(lazy.filled(), 0, "nobody touched anything");
        assert!(!lazy.has_statistics(), "of an empty column they would be wrong later");

        lazy.touch("INSERT INTO items (id, name) VALUES (100, 'new')");
        assert_eq!(lazy.filled(), 1, "a new row is filled by its trigger");
        if let Place::Postgres(_) = &lazy.place {
            lazy.touch("UPDATE items SET name = 'y' WHERE id <= 3");
            assert_eq!(lazy.filled(), 4, "so is one that is written");
        }
        for (command, code) in [
            (&["flip", "1_label"][..], 5),
            (&["apply", "--to", "ready"], 5),
            (&["verify", "1_label"], 5),
            (&["flip"], 2),
        ] {
            let refused = segue.run(command);
            assert_eq!(refused.code, code, "{command:?}: {}", refused.stderr);
            assert!(refused.stderr.contains("segue apply 1_label --complete"), "{command:?}: {}", refused.stderr);
        }

        let report = segue.ok(&["apply", "1_label", "--complete", "--format", "json"]);
        let report: Value = serde_json::from_str(&report).unwrap_or_else(|error| panic!("{error}: {report}"));
        assert_eq!(report["state"], "ready", "{report}");
        assert!(lazy.has_statistics() || matches!(lazy.place, Place::Sqlite(_)));
        assert_eq!(lazy.filled(), 51);
        segue.ok(&["flip"]);
        segue.ok(&["contract", "--old-version-stopped"]);
        segue.ok(&["cleanup", "--yes", "--i-checked-references"]);
    }
}

#[test]
fn a_lazy_migration_that_is_not_complete_can_be_taken_back() {
    for lazy in Lazy::each() {
        let segue = &lazy.project.segue;
        segue.ok(&["apply"]);
        lazy.touch("INSERT INTO items (id, name) VALUES (100, 'new')");
        segue.ok(&["rollback", "1_label", "--new-version-stopped"]);
        lazy.touch("INSERT INTO items VALUES (101, 'as before')");
    }
}
