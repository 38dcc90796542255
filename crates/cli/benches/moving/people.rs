//! The table that is moved: rows of about 110 bytes, one secondary index, on a server that writes to the disk.

use std::process::Child;
use std::time::Instant;

use segue_testkit::client::Client;
use segue_testkit::postgres::PostgresServer;
use segue_testkit::segue::{Output, Segue, finished};
use tempfile::TempDir;

/// How the rows are known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Key {
    /// `id`.
    Id,
    /// `(region, id)`, in a table whose columns come the other way round.
    Reordered,
    /// `id`, and the secondary index is one of few values: each old row version that a server finds dead on the way is looked
    /// up for it in the table.
    FewValues,
}

const CREATE: &str = "CREATE TABLE people (
    id bigint NOT NULL,
    region integer NOT NULL,
    first_name text NOT NULL,
    last_name text NOT NULL,
    city text NOT NULL,
    email text NOT NULL,
    note text NOT NULL,
    PRIMARY KEY (id))";
const CREATE_REORDERED: &str = "CREATE TABLE people (
    id bigint NOT NULL,
    region integer NOT NULL,
    first_name text NOT NULL,
    last_name text NOT NULL,
    city text NOT NULL,
    email text NOT NULL,
    note text NOT NULL,
    PRIMARY KEY (region, id))";
const FILL: &str = "INSERT INTO people
SELECT n, (n * 7919) % 50, 'First' || n, 'Last' || n, 'City' || (n * 31) % 5000, 'p' || n || '@example.com', repeat('x', 18)
FROM generate_series({from}::bigint, {to}::bigint) AS n";
const INDEX: &str = "CREATE INDEX people_email ON people (email)";
const INDEX_OF_FEW_VALUES: &str = "CREATE INDEX people_city ON people (city)";

/// What a person would write for a database that nobody uses.
const UP: &str = "ALTER TABLE people ADD COLUMN full_name text;
UPDATE people SET full_name = concat_ws(' ', first_name, last_name);
ALTER TABLE people ALTER COLUMN full_name SET NOT NULL;
ALTER TABLE people DROP COLUMN first_name, DROP COLUMN last_name;
";
const DOWN: &str = "ALTER TABLE people ADD COLUMN first_name text, ADD COLUMN last_name text;
UPDATE people SET first_name = split_part(full_name, ' ', 1), last_name = split_part(full_name, ' ', 2);
ALTER TABLE people DROP COLUMN full_name;
";

/// The naive statement that everything is measured against.
pub(crate) const GIANT_UPDATE: &str = "UPDATE people SET full_name = concat_ws(' ', first_name, last_name)";

/// Rows of one statement that fills the table: each stays far within the client's patience.
const ROWS_A_FILL: u64 = 1_000_000;

/// A database with the table, and a project with the migration; the database is dropped with this.
pub(crate) struct People<'a> {
    server: &'a PostgresServer,
    pub(crate) url: String,
    pub(crate) rows: u64,
    pub(crate) project: TempDir,
    pub(crate) segue: Segue,
}

/// What a run of `apply` told.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Applied {
    pub(crate) backfill_s: f64,
    pub(crate) rows: f64,
}

impl<'a> People<'a> {
    /// Creates and fills the table, and lets the server write everything out.
    pub(crate) fn new(server: &'a PostgresServer, rows: u64, key: Key) -> Self {
        let url = server.database();
        let mut client = Client::connect(&url);
        client.batch(match key {
            Key::Id | Key::FewValues => CREATE,
            Key::Reordered => CREATE_REORDERED,
        });
        let mut from = 1;
        while from <= rows {
            let to = rows.min(from + ROWS_A_FILL - 1);
            client.batch(&FILL.replace("{from}", &from.to_string()).replace("{to}", &to.to_string()));
            from = to + 1;
        }
        client.batch(if key == Key::FewValues { INDEX_OF_FEW_VALUES } else { INDEX });
        client.batch("VACUUM ANALYZE people");
        client.batch("CHECKPOINT");
        let project = project(UP, DOWN);
        let segue = Segue::new(&url, project.path());
        Self { server, url, rows, project, segue }
    }

    /// Takes `region` to a wider type instead.
    pub(crate) fn retyped(mut self) -> Self {
        self.project = project(
            "ALTER TABLE people ALTER COLUMN region TYPE bigint;\n",
            "ALTER TABLE people ALTER COLUMN region TYPE integer;\n",
        );
        self.segue = Segue::new(&self.url, self.project.path());
        self
    }

    pub(crate) fn client(&self) -> Client {
        Client::connect(&self.url)
    }

    /// Runs the giant UPDATE and returns its rows a second.
    pub(crate) fn giant_update(&self) -> f64 {
        let mut client = self.client();
        client.batch("ALTER TABLE people ADD COLUMN full_name text");
        let began = Instant::now();
        client.batch(GIANT_UPDATE);
        self.rows as f64 / began.elapsed().as_secs_f64()
    }

    /// Applies up to `ready` with these settings.
    ///
    /// # Errors
    /// What the binary said when it did not.
    pub(crate) fn apply(&self, settings: &[&str]) -> Result<Applied, String> {
        let applied = applied(&self.segue.run(&arguments(settings)))?;
        // By the journal, from the step's beginning to its end: the phase also gathers statistics.
        let took =
            "SELECT extract(epoch FROM max(at) FILTER (WHERE mark = 'done') - min(at) FILTER (WHERE mark = 'intent'))
                    FROM segue.event WHERE step = (SELECT min(step) FROM segue.checkpoint)";
        Ok(Applied { backfill_s: number(&mut self.client(), took), ..applied })
    }

    /// Starts the same, to be watched.
    pub(crate) fn start(&self, settings: &[&str]) -> Child {
        self.segue.spawn(&arguments(settings))
    }

    /// Returns the table's bytes on disk, its indexes left out.
    pub(crate) fn size(&self) -> f64 {
        number(&mut self.client(), "SELECT pg_table_size('people')")
    }

    /// Returns the bytes of the same rows, freshly written.
    pub(crate) fn fresh_size(&self) -> f64 {
        let mut client = self.client();
        client.batch("CREATE TABLE fresh AS SELECT * FROM people");
        number(&mut client, "SELECT pg_table_size('fresh')")
    }
}

impl Drop for People<'_> {
    fn drop(&mut self) {
        let name = self.url.rsplit('/').next().unwrap_or_default();
        let drop_it = format!("DROP DATABASE IF EXISTS \"{name}\" WITH (FORCE)");
        // The server goes away with the bench: what cannot be dropped does no harm.
        drop(self.server.connect("postgres").try_batch(&drop_it));
    }
}

fn arguments<'a>(settings: &[&'a str]) -> Vec<&'a str> {
    let mut arguments = vec!["apply", "1_change", "--format", "json"];
    arguments.extend(settings.iter().flat_map(|setting| ["--set", setting]));
    arguments
}

/// Makes a project with one migration.
pub(crate) fn project(up: &str, down: &str) -> TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let migrations = folder.path().join("migrations");
    std::fs::create_dir(&migrations).expect("a folder can be made in our own folder");
    for (ending, text) in [("sql", up), ("down.sql", down)] {
        std::fs::write(migrations.join(format!("1_change.{ending}")), text).expect("our own folder takes files");
    }
    folder
}

/// Waits for a started `apply` and reads what it told.
///
/// # Errors
/// As [`People::apply`].
pub(crate) fn applied_by(child: Child) -> Result<Applied, String> {
    applied(&finished(child))
}

/// Reads the report of `apply`: phases and rows.
fn applied(output: &Output) -> Result<Applied, String> {
    let first = |text: &str| text.lines().next().unwrap_or_default().to_owned();
    if output.code != 0 {
        return Err(format!("apply ended with {}: {}", output.code, first(&output.stderr)));
    }
    let report: serde_json::Value =
        serde_json::from_str(&output.stdout).map_err(|error| format!("the report is no JSON: {error}"))?;
    let phases = report["phases"].as_array().into_iter().flatten().filter(|phase| phase["phase"] == "backfill");
    let backfill_s = phases.filter_map(|phase| phase["seconds"].as_f64()).sum();
    let rows = report["rows_filled"].as_f64().unwrap_or_default();
    Ok(Applied { backfill_s, rows })
}

/// Returns the number that a query gives.
pub(crate) fn number(client: &mut Client, sql: &str) -> f64 {
    client.value(sql).and_then(|text| text.parse().ok()).unwrap_or_default()
}
