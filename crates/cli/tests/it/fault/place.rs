//! A database with a change to be made in it, and the ways that a person takes.

use std::path::PathBuf;

use segue_testkit::client::Client;
use segue_testkit::dump;
use segue_testkit::postgres::PostgresServer;
use segue_testkit::segue::{Output, Segue};
use segue_testkit::sqlite::{Connection, TempDatabase, connect};
use segue_traffic::{Place, Scenario};

use crate::project::Project;

/// The commands from nothing to the end, as a person types them.
pub(crate) const WAY: [&[&str]; 4] =
    [&["apply"], &["flip"], &["contract", "--old-version-stopped"], &["cleanup", "--yes", "--i-checked-references"]];

/// The way back, from anywhere before the end.
pub(crate) const BACK: &[&str] = &["rollback", "--new-version-stopped"];

/// A change: its table, its files.
#[derive(Clone)]
pub(crate) struct Change {
    pub(crate) scenario: Scenario,
    pub(crate) rows: u32,
}

impl Change {
    pub(crate) fn new(scenario: Scenario, rows: u32) -> Self {
        Self { scenario, rows }
    }

    /// Returns a project with the files.
    pub(crate) fn project(&self, url: &str) -> Project {
        let project = Project::new(url);
        project.write("1_change.sql", self.scenario.up);
        project.write("1_change.down.sql", self.scenario.down);
        project
    }

    /// Fills an empty database.
    #[track_caller]
    pub(crate) fn seed(&self, place: &Place) {
        segue_traffic::seed(place, &self.scenario, self.rows).expect("an empty database can be seeded");
    }
}

/// What a database holds: its catalog and the rows of the change's table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Content {
    pub(crate) catalog: Vec<String>,
    pub(crate) rows: Vec<String>,
}

impl Content {
    pub(crate) fn of(place: &Place, table: &str) -> Self {
        let (catalog, rows) = match place {
            Place::Sqlite(path) => (dump::sqlite::catalog(path), dump::sqlite::rows(path, table, "id")),
            Place::Postgres(url) => (dump::postgres::catalog(url, "public"), dump::postgres::rows(url, table, "id")),
        };
        // A key that was drawn by a transaction which did not commit stays drawn.
        Self { catalog: dump::without(catalog, dump::SEQUENCE_VALUE), rows }
    }

    /// Returns what differs from `found`, shortened for people; empty where nothing does.
    pub(crate) fn difference(&self, found: &Self) -> String {
        let mut lines = dump::difference(&self.catalog, &found.catalog);
        lines.extend(dump::difference(&self.rows, &found.rows));
        lines.truncate(12);
        lines.join("\n")
    }
}

/// A database of its own with the change's table in it, and a project beside it.
pub(crate) struct Case {
    pub(crate) change: Change,
    pub(crate) place: Place,
    pub(crate) url: String,
    pub(crate) project: Project,
    // The file goes away with it.
    _file: Option<TempDatabase>,
}

impl Case {
    pub(crate) fn postgres(server: &PostgresServer, change: &Change) -> Self {
        Self::on(server.database(), change)
    }

    /// Takes an empty database.
    pub(crate) fn on(url: String, change: &Change) -> Self {
        let place = Place::Postgres(url.clone());
        change.seed(&place);
        Self { change: change.clone(), place, project: change.project(&url), url, _file: None }
    }

    pub(crate) fn sqlite(change: &Change) -> Self {
        let file = TempDatabase::new("");
        let place = Place::Sqlite(file.path());
        change.seed(&place);
        let url = file.url();
        Self { change: change.clone(), place, project: change.project(&url), url, _file: Some(file) }
    }

    /// Connects by plain SQL, where it is PostgreSQL.
    #[track_caller]
    pub(crate) fn client(&self) -> Client {
        Client::connect(&self.url)
    }

    /// Connects by plain SQL, where it is SQLite.
    #[track_caller]
    pub(crate) fn file(&self) -> Connection {
        connect(&self.path())
    }

    /// Returns the file, where it is SQLite.
    #[track_caller]
    pub(crate) fn path(&self) -> PathBuf {
        match &self.place {
            Place::Sqlite(path) => path.clone(),
            Place::Postgres(url) => panic!("{url} is no file"),
        }
    }

    pub(crate) fn segue(&self) -> &Segue {
        &self.project.segue
    }

    /// Returns the same binary and folder with another way to the database.
    pub(crate) fn by(&self, url: &str) -> Segue {
        Segue::of(self.segue().binary(), url, self.segue().folder())
    }

    pub(crate) fn content(&self) -> Content {
        Content::of(&self.place, self.change.scenario.table)
    }

    /// Goes the way from `from` up to the end.
    #[track_caller]
    pub(crate) fn finish(&self, from: usize) {
        WAY[from..].iter().for_each(|arguments| drop(self.segue().ok(arguments)));
    }

    #[track_caller]
    pub(crate) fn assert_is(&self, expected: &Content) {
        let difference = expected.difference(&self.content());
        assert!(difference.is_empty(), "{difference}");
    }
}

/// Says what a run gave, where it did not end as it must.
#[track_caller]
pub(crate) fn assert_code(output: &Output, code: i32) {
    assert_eq!(output.code, code, "\n--- stdout\n{}--- stderr\n{}", output.stdout, output.stderr);
}
