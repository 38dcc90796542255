//! A database with a scenario's table, the migration's files, and the binary that is pointed at both.

use std::path::Path;

use segue_model::engine::Engine;
use segue_testkit::client::Client;
use segue_testkit::dump;
use segue_testkit::postgres::PostgresServer;
use segue_testkit::segue::{Output, Segue};
use segue_testkit::sqlite::{TempDatabase, connect};
use segue_traffic::{Place, Scenario, seed};
use tempfile::TempDir;

pub(super) const ROWS: u32 = 3_000;
const MIGRATION: &str = "20261120093000_change";

/// A product, and where a new database of it comes from.
#[derive(Clone, Copy)]
pub(super) enum Ground {
    Sqlite,
    Postgres(&'static PostgresServer),
}

impl Ground {
    /// Returns SQLite and each PostgreSQL that this run tests.
    pub(super) fn each() -> Vec<Self> {
        let servers = segue_testkit::each_postgres().into_iter().map(Self::Postgres);
        [Self::Sqlite].into_iter().chain(servers).collect()
    }

    pub(super) fn engine(self) -> Engine {
        match self {
            Self::Sqlite => Engine::Sqlite,
            Self::Postgres(_) => Engine::Postgres,
        }
    }

    fn name(self) -> String {
        match self {
            Self::Sqlite => "SQLite".to_owned(),
            Self::Postgres(server) => format!("PostgreSQL {}", server.major()),
        }
    }
}

/// How far a change goes before it is taken back. Ordered as it goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Point {
    Expand,
    Ready,
    Flip,
    Contract,
}

impl Point {
    pub(super) const ALL: [Self; 4] = [Self::Expand, Self::Ready, Self::Flip, Self::Contract];
}

/// A database, a project and the binary.
pub(super) struct Lab {
    pub(super) scenario: Scenario,
    pub(super) place: Place,
    /// Product and scenario, for messages.
    pub(super) name: String,
    segue: Segue,
    _project: TempDir,
    _file: Option<TempDatabase>,
}

impl Lab {
    /// Creates a database with the scenario's table, and a project with its migration.
    pub(super) fn new(ground: Ground, scenario: &Scenario) -> Self {
        Self::with_rows(ground, scenario, ROWS)
    }

    /// The same with as many rows.
    pub(super) fn with_rows(ground: Ground, scenario: &Scenario, rows: u32) -> Self {
        let file = match ground {
            Ground::Sqlite => Some(TempDatabase::new("")),
            Ground::Postgres(_) => None,
        };
        let (place, url) = match (ground, &file) {
            (Ground::Postgres(server), _) => {
                let url = server.database();
                (Place::Postgres(url.clone()), url)
            }
            (Ground::Sqlite, file) => {
                let file = file.as_ref().expect("made above");
                (Place::Sqlite(file.path()), file.url())
            }
        };
        seed(&place, scenario, rows).unwrap();
        let project = project(scenario);
        let segue = Segue::new(&url, project.path());
        let name = format!("{} on {}", scenario.name, ground.name());
        Self { scenario: scenario.clone(), place, name, segue, _project: project, _file: file }
    }

    /// Returns the structure of everything that is not Segue's.
    pub(super) fn catalog(&self) -> Vec<String> {
        match &self.place {
            Place::Sqlite(path) => dump::sqlite::catalog(path),
            Place::Postgres(url) => dump::postgres::catalog(url, "public"),
        }
    }

    /// Returns every row of the table.
    pub(super) fn rows(&self) -> Vec<String> {
        let table = self.scenario.table;
        match &self.place {
            Place::Sqlite(path) => dump::sqlite::rows(path, &bare(table), "id"),
            Place::Postgres(url) => dump::postgres::rows(url, table, "id"),
        }
    }

    /// Returns the columns of the copy that cleanup left on PostgreSQL, the key first, and its rows.
    pub(super) fn copy(&self) -> Option<(Vec<String>, Vec<String>)> {
        let Place::Postgres(url) = &self.place else { return None };
        let mut client = Client::connect(url);
        let names = client.column(
            "SELECT c.oid::regclass::text FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace \
             WHERE n.nspname = 'segue' AND c.relname LIKE 'keep\\_%' AND c.relkind = 'r'",
            &[],
        );
        let name = names.first()?;
        let columns = client.column(
            "SELECT quote_ident(a.attname) FROM pg_attribute AS a WHERE a.attrelid = to_regclass($1) AND a.attnum > 0 ORDER BY a.attnum",
            &[name],
        );
        let rows = self.rows_with_values(name, &columns);
        Some((columns, rows))
    }

    /// Returns the rows of a table on PostgreSQL in which some column after the first holds a value.
    pub(super) fn rows_with_values(&self, table: &str, columns: &[String]) -> Vec<String> {
        let Place::Postgres(url) = &self.place else { return vec![] };
        let (all, values) = (columns.join(", "), columns[1..].join(", "));
        let sql =
            format!("SELECT ROW({all})::text FROM {table} WHERE num_nonnulls({values}) > 0 ORDER BY {}", columns[0]);
        Client::connect(url).column(&sql, &[])
    }

    /// Runs SQL by hand.
    pub(super) fn by_hand(&self, sql: &str) {
        match &self.place {
            Place::Sqlite(path) => connect(path).execute_batch(sql).unwrap(),
            Place::Postgres(url) => Client::connect(url).batch(sql),
        }
    }

    pub(super) fn expand(&self) {
        self.ok(&["apply", MIGRATION, "--to", "expand"]);
    }

    pub(super) fn apply(&self) {
        self.ok(&["apply", MIGRATION]);
    }

    pub(super) fn flip(&self) {
        self.ok(&["flip", MIGRATION]);
    }

    pub(super) fn contract(&self) {
        self.ok(&["contract", MIGRATION, "--old-version-stopped"]);
    }

    pub(super) fn cleanup(&self) {
        self.ok(&["cleanup", MIGRATION, "--yes", "--i-checked-references"]);
    }

    pub(super) fn rollback(&self) {
        self.ok(&["rollback", MIGRATION, "--new-version-stopped"]);
    }

    pub(super) fn try_rollback(&self) -> Output {
        self.segue.run(&["rollback", MIGRATION, "--new-version-stopped"])
    }

    /// Runs a command that must succeed.
    #[track_caller]
    fn ok(&self, arguments: &[&str]) {
        let output = self.segue.run(arguments);
        assert!(
            output.code == 0,
            "{}: segue {} ended with {}\n{}{}",
            self.name,
            arguments.join(" "),
            output.code,
            output.stdout,
            output.stderr
        );
    }

    /// Compares the structure with an earlier one.
    #[track_caller]
    pub(super) fn assert_catalog(&self, must: &[String], when: &str) {
        let difference = dump::difference(must, &self.catalog());
        assert!(difference.is_empty(), "{}, {when}:\n{}", self.name, difference.join("\n"));
    }

    /// Compares the rows with earlier ones.
    #[track_caller]
    pub(super) fn assert_rows(&self, must: &[String], when: &str) {
        let difference = dump::difference(must, &self.rows());
        let first = &difference[..difference.len().min(10)];
        assert!(
            difference.is_empty(),
            "{}, {when}: {} lines differ\n{}",
            self.name,
            difference.len(),
            first.join("\n")
        );
    }
}

fn project(scenario: &Scenario) -> TempDir {
    let folder = tempfile::Builder::new().prefix("segue-live-").tempdir().unwrap();
    let migrations = folder.path().join("migrations");
    std::fs::create_dir(&migrations).unwrap();
    let write = |ending: &str, text: &str| std::fs::write(file(&migrations, ending), text).unwrap();
    write("sql", scenario.up);
    write("down.sql", scenario.down);
    folder
}

fn file(migrations: &Path, ending: &str) -> std::path::PathBuf {
    migrations.join(format!("{MIGRATION}.{ending}"))
}

/// Returns a table's name without its quotes.
fn bare(table: &str) -> String {
    match table.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) {
        Some(quoted) => quoted.replace("\"\"", "\""),
        None => table.to_owned(),
    }
}
