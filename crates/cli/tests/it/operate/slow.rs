//! A migration whose rows take their time, so that there is a run to watch and to give orders to.

use std::path::Path;
use std::time::{Duration, Instant};

use segue_testkit::client::Client;
use segue_testkit::segue::Segue;
use segue_testkit::sqlite::TempDatabase;
use serde_json::Value;

use crate::project::Project;

/// Rows of the table.
pub(crate) const ROWS: u64 = 20_000;

/// Nothing that is waited for takes longer.
const DEADLINE: Duration = Duration::from_secs(30);

const UP: &str = "ALTER TABLE items ADD COLUMN label text;
UPDATE items SET label = coalesce(name, '') || '!';
ALTER TABLE items ALTER COLUMN label SET NOT NULL;
";
const DOWN: &str = "ALTER TABLE items DROP COLUMN label;\n";

/// An application's trigger takes a fifth of a millisecond for each row that is changed: a few seconds in all, and little
/// for a window.
const ON_POSTGRES: &str = "CREATE TABLE items (id bigint PRIMARY KEY, name text);
INSERT INTO items SELECT id, repeat('x', 300) FROM generate_series(1, 20000) AS id;
CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(0.0002); RETURN NULL; END';
CREATE TRIGGER slow AFTER UPDATE ON items FOR EACH ROW EXECUTE FUNCTION slow();
ALTER TABLE items ENABLE ALWAYS TRIGGER slow;
ANALYZE items";
const ON_SQLITE: &str = "CREATE TABLE items (id INTEGER PRIMARY KEY, name TEXT);
CREATE TABLE slow (n INTEGER);
INSERT INTO slow WITH RECURSIVE n(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 20000) SELECT n FROM n;
INSERT INTO items SELECT n, 'x' FROM slow;
DELETE FROM slow WHERE n > 1500;
CREATE TRIGGER slowly AFTER UPDATE ON items BEGIN DELETE FROM slow WHERE n + n = -1; END";

/// A database with the table, and a project with the migration `1_label`.
pub(crate) struct Slow {
    pub(crate) name: &'static str,
    pub(crate) project: Project,
    place: Place,
}

enum Place {
    Sqlite(TempDatabase),
    Postgres(String),
}

impl Slow {
    /// Returns it on each engine that is here.
    pub(crate) fn each() -> Vec<Self> {
        [Some(Self::sqlite()), Self::postgres()].into_iter().flatten().collect()
    }

    pub(crate) fn sqlite() -> Self {
        let database = TempDatabase::new(ON_SQLITE);
        Self::on("sqlite", &database.url(), Place::Sqlite(database))
    }

    pub(crate) fn postgres() -> Option<Self> {
        let url = segue_testkit::postgres(15)?.database();
        Client::connect(&url).batch(ON_POSTGRES);
        Some(Self::on("postgres", &url, Place::Postgres(url.clone())))
    }

    fn on(name: &'static str, url: &str, place: Place) -> Self {
        let project = Project::new(url);
        project.write("1_label.sql", UP);
        project.write("1_label.down.sql", DOWN);
        let slow = Self { name, project, place };
        slow.configure("");
        slow
    }

    /// Writes segue.toml: small as the table is, it is moved like a large one.
    pub(crate) fn configure(&self, rest: &str) {
        let text = format!("[backfill]\ninline_below = 1\nwindow = \"20ms\"\n{rest}");
        std::fs::write(self.path().join("segue.toml"), text).expect("our own folder takes files");
    }

    pub(crate) fn segue(&self) -> &Segue {
        &self.project.segue
    }

    pub(crate) fn path(&self) -> &Path {
        self.project.path()
    }

    /// Returns the rows that were brought over.
    pub(crate) fn filled(&self) -> u64 {
        match &self.place {
            Place::Sqlite(database) => {
                let connection = database.connect();
                let column = "SELECT count(*) FROM pragma_table_info('items') WHERE name = 'label'";
                let there: i64 = connection.query_row(column, [], |row| row.get(0)).unwrap();
                let count = "SELECT count(*) FROM items WHERE label IS NOT NULL";
                let rows: i64 = if there == 0 { 0 } else { connection.query_row(count, [], |row| row.get(0)).unwrap() };
                rows.unsigned_abs()
            }
            Place::Postgres(url) => {
                let count = "SELECT count(*) FROM items WHERE label IS NOT NULL";
                let rows = Client::connect(url).try_rows(count).unwrap_or_default();
                rows.first().and_then(|row| row.first().cloned().flatten()).map_or(0, |text| text.parse().unwrap())
            }
        }
    }

    /// Returns a connection of the application's, where the engine has some.
    pub(crate) fn client(&self) -> Option<Client> {
        match &self.place {
            Place::Sqlite(_) => None,
            Place::Postgres(url) => Some(Client::connect(url)),
        }
    }

    /// Lets the journal be of another format.
    pub(crate) fn has_format(&self, format: u32) {
        match &self.place {
            Place::Sqlite(database) => {
                let sql = "UPDATE segue_meta SET value = ?1 WHERE key = 'format'";
                database.connect().execute(sql, [format.to_string()]).unwrap();
            }
            Place::Postgres(url) => Client::connect(url).batch(&format!("UPDATE segue.meta SET format = {format}")),
        }
    }

    /// Returns what `status` says of the migration.
    pub(crate) fn status(&self) -> Value {
        let text = self.segue().ok(&["status", "1_label", "--format", "json"]);
        let all: Value = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"));
        all[0].clone()
    }

    /// Returns the run's own figures.
    pub(crate) fn figures(&self) -> Value {
        self.status()["figures"].clone()
    }

    /// Returns what holds the run back.
    pub(crate) fn holding(&self) -> String {
        let figures = self.figures();
        let reasons = figures["holding"].as_array().cloned().unwrap_or_default();
        reasons.iter().filter_map(Value::as_str).collect::<Vec<_>>().join("; ")
    }
}

/// Waits until this is so.
#[track_caller]
pub(crate) fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    let began = Instant::now();
    while !is_so() {
        assert!(began.elapsed() < DEADLINE, "it never came to it that {what}");
        pause(Duration::from_millis(20));
    }
}

/// Lets real time pass, for a real process.
pub(crate) fn pause(time: Duration) {
    std::thread::sleep(time);
}
