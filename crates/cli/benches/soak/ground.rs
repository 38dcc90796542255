//! The database of one round: made, broken, looked at, and taken away.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use segue_model::engine::Engine;
use segue_testkit::client::Client;
use segue_testkit::dump;
use segue_testkit::postgres::{Binaries, PostgresOptions, PostgresServer};
use segue_testkit::segue::Segue;
use segue_testkit::sqlite::TempDatabase;
use segue_traffic::{Place, Scenario};
use tempfile::TempDir;

/// What kind of product is tested.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Product {
    /// SQLite.
    File,
    /// PostgreSQL of a major version.
    Server,
}

impl Product {
    pub(crate) fn engine(self) -> Engine {
        match self {
            Self::File => Engine::Sqlite,
            Self::Server => Engine::Postgres,
        }
    }
}

/// The servers of one lane of rounds, by version: a restart must not disturb the rounds beside it.
#[derive(Default)]
pub(crate) struct Servers(BTreeMap<u32, PostgresServer>);

impl Servers {
    fn of(&mut self, major: u32) -> &PostgresServer {
        self.0.entry(major).or_insert_with(|| {
            let binaries = Binaries::find(major).expect("only versions that are there are drawn");
            PostgresServer::start(&binaries, &PostgresOptions::default())
        })
    }
}

/// The database of one round, and a project beside it.
pub(crate) struct Ground<'a> {
    kind: Kind<'a>,
    project: TempDir,
    segue: Segue,
}

enum Kind<'a> {
    File(TempDatabase),
    Server { server: &'a PostgresServer, url: String },
}

impl<'a> Ground<'a> {
    /// Creates a database without tables, and a project with the scenario's migration.
    pub(crate) fn new(servers: &'a mut Servers, product: Product, major: u32, scenario: &Scenario) -> Self {
        let kind = match product {
            Product::Server => {
                let server = servers.of(major);
                Kind::Server { server, url: server.database() }
            }
            Product::File => Kind::File(TempDatabase::new("")),
        };
        let project = tempfile::Builder::new().prefix("segue-soak-").tempdir().expect("a temporary folder can be made");
        let migrations = project.path().join("migrations");
        std::fs::create_dir(&migrations).expect("a folder can be made in our own folder");
        for (ending, text) in [("sql", scenario.up), ("down.sql", scenario.down)] {
            std::fs::write(migrations.join(format!("1_change.{ending}")), text).expect("our own folder takes files");
        }
        let url = match &kind {
            Kind::File(file) => file.url(),
            Kind::Server { url, .. } => url.clone(),
        };
        let segue = Segue::new(&url, project.path());
        Self { kind, project, segue }
    }

    /// Returns the structure that the naive statements make of the scenario's table.
    pub(crate) fn naive(servers: &'a mut Servers, product: Product, major: u32, scenario: &Scenario) -> Vec<String> {
        let ground = Self::new(servers, product, major, scenario);
        segue_traffic::seed(&ground.place(), scenario, 32).expect("an empty database can be seeded");
        match &ground.kind {
            Kind::File(file) => file.connect().execute_batch(scenario.up).expect("the naive statements are right"),
            Kind::Server { url, .. } => Client::connect(url).batch(scenario.up),
        }
        let catalog = ground.catalog();
        ground.drop_database();
        catalog
    }

    pub(crate) fn place(&self) -> Place {
        match &self.kind {
            Kind::File(file) => Place::Sqlite(file.path()),
            Kind::Server { url, .. } => Place::Postgres(url.clone()),
        }
    }

    pub(crate) fn segue(&self) -> &Segue {
        &self.segue
    }

    /// Returns the structure of everything that is not Segue's.
    pub(crate) fn catalog(&self) -> Vec<String> {
        match &self.kind {
            Kind::File(file) => dump::sqlite::catalog(&file.path()),
            Kind::Server { url, .. } => dump::postgres::catalog(url, "public"),
        }
    }

    /// Ends Segue's connections from the server's side.
    pub(crate) fn cut(&self) {
        if let Kind::Server { url, .. } = &self.kind {
            Client::connect(url).batch(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
                 WHERE datname = current_database() AND application_name LIKE 'segue%'",
            );
        }
    }

    /// Stops the server at once, as a crash does, and starts it again.
    pub(crate) fn restart(&self) {
        if let Kind::Server { server, .. } = &self.kind {
            server.restart();
        }
    }

    /// Holds locks on a few rows and on the table (or the one write lock of a file) for a while.
    pub(crate) fn hold_locks(&self, lasts: Duration) {
        match &self.kind {
            Kind::File(file) => {
                let connection = file.connect();
                // A file that is busy for five seconds: then others hold the lock long enough.
                if connection.execute_batch("BEGIN IMMEDIATE").is_ok() {
                    std::thread::sleep(lasts);
                    connection.execute_batch("COMMIT").expect("nothing was written");
                }
            }
            Kind::Server { url, .. } => {
                let mut client = Client::connect(url);
                let table = client.value(
                    "SELECT c.oid::regclass::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
                     WHERE n.nspname = 'public' AND c.relkind = 'r' ORDER BY 1 LIMIT 1",
                );
                let table = table.expect("the round has a table");
                client.batch(&format!("BEGIN; SELECT 1 FROM {table} OFFSET 100 LIMIT 20 FOR UPDATE"));
                std::thread::sleep(lasts);
                client.batch("COMMIT");
            }
        }
    }

    /// Takes every trigger off the application's tables, and puts it back after a while.
    pub(crate) fn without_triggers(&self, lasts: Duration) {
        match &self.kind {
            Kind::File(file) => {
                let connection = file.connect();
                let mut found = connection
                    .prepare("SELECT name, sql FROM sqlite_schema WHERE type = 'trigger'")
                    .expect("every file has a schema");
                let rows = found.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).expect("it takes no parameters");
                let triggers: Vec<(String, String)> = rows.flatten().collect();
                for (name, _) in &triggers {
                    let name = name.replace('"', "\"\"");
                    connection.execute_batch(&format!("DROP TRIGGER \"{name}\"")).expect("it was there just now");
                }
                std::thread::sleep(lasts);
                triggers.iter().for_each(|(_, sql)| connection.execute_batch(sql).expect("it was there before"));
            }
            Kind::Server { url, .. } => {
                let mut client = Client::connect(url);
                let triggers = client.rows(
                    "SELECT format('ALTER TABLE %s', tgrelid::regclass), quote_ident(tgname) \
                     FROM pg_trigger WHERE NOT tgisinternal",
                );
                let triggers: Vec<Vec<String>> =
                    triggers.into_iter().map(|row| row.into_iter().flatten().collect()).collect();
                let set = |client: &mut Client, how: &str| {
                    triggers.iter().for_each(|t| client.batch(&format!("{} {how} TRIGGER {}", t[0], t[1])));
                };
                set(&mut client, "DISABLE");
                std::thread::sleep(lasts);
                set(&mut client, "ENABLE ALWAYS");
            }
        }
    }

    /// Keeps what a person needs to see why a round failed.
    pub(crate) fn keep(&self, folder: &Path, scenario: &Scenario) {
        std::fs::write(folder.join("migration.sql"), scenario.up).expect("the folder was made just now");
        std::fs::write(folder.join("migration.down.sql"), scenario.down).expect("the folder was made just now");
        match &self.kind {
            Kind::File(file) => {
                for entry in std::fs::read_dir(file.folder()).into_iter().flatten().flatten() {
                    // A file that cannot be copied is missing there, which is seen.
                    drop(std::fs::copy(entry.path(), folder.join(entry.file_name())));
                }
            }
            Kind::Server { server, url } => {
                if let Ok(client) = Client::try_connect(url) {
                    keep_tables(client, folder);
                }
                if let Some(log) = server.data_folder().and_then(|data| data.parent().map(|home| home.join("log"))) {
                    drop(std::fs::copy(log, folder.join("server.log")));
                }
            }
        }
    }

    /// Returns where the project is.
    pub(crate) fn project(&self) -> PathBuf {
        self.project.path().to_owned()
    }

    /// Drops the database, where the server would keep it.
    pub(crate) fn drop_database(self) {
        if let Kind::Server { server, url } = &self.kind {
            let name = url.rsplit('/').next().and_then(|rest| rest.split('?').next()).unwrap_or_default();
            server.connect("postgres").batch(&format!("DROP DATABASE IF EXISTS \"{name}\" WITH (FORCE)"));
        }
    }
}

/// Writes the application's tables and the journal, a file each; the plan apart.
fn keep_tables(mut client: Client, folder: &Path) {
    let tables = "SELECT format('%I.%I', schemaname, tablename) FROM pg_tables WHERE schemaname IN ('public', 'segue')";
    for row in client.try_rows(tables).unwrap_or_default() {
        let Some(Some(table)) = row.first() else { continue };
        let rows = client.try_rows(&format!("SELECT t::text FROM {table} t ORDER BY 1")).unwrap_or_default();
        let lines: Vec<String> = rows.into_iter().filter_map(|row| row.into_iter().next().flatten()).collect();
        let file = table.replace(|c: char| !c.is_ascii_alphanumeric() && c != '.', "_");
        drop(std::fs::write(folder.join(format!("{file}.txt")), lines.join("\n")));
    }
    let plan = client.try_rows("SELECT plan FROM segue.migration").unwrap_or_default();
    if let Some(Some(plan)) = plan.into_iter().next().and_then(|row| row.into_iter().next()) {
        drop(std::fs::write(folder.join("plan.json"), plan));
    }
}
