//! The scratch database of the demo: a file of its own, or a schema of its own.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use segue_drivers::connector;
use segue_model::ident::{Ident, MigrationId, TableName};
use segue_model::sql::{Hole, Sql, StandardQuoting};
use segue_traffic::Place;
use tempfile::TempDir;

use crate::config::Config;
use crate::failure::Failure;

/// The longest that creating or removing the schema may take.
const LIMIT: Duration = Duration::from_secs(60);

/// A scratch database, with a folder for the migration's files.
pub(super) struct Scratch {
    /// The URL that Segue is given.
    pub(super) url: String,
    /// Where the clients go.
    pub(super) place: Place,
    /// The migrations folder.
    pub(super) folder: PathBuf,
    schema: Option<Schema>,
    // Removed when dropped, the SQLite file with it.
    _dir: TempDir,
}

/// A private schema on the user's server.
struct Schema {
    name: Ident,
    url: String,
    environment: BTreeMap<String, String>,
    /// The database had no journal before, so the whole of it is ours to remove.
    journal_is_ours: bool,
}

impl Scratch {
    /// Creates the scratch database: SQLite, unless a URL of PostgreSQL is given.
    pub(super) fn new(config: &Config) -> Result<Self, Failure> {
        let dir = tempfile::tempdir().map_err(|error| Failure::server(format!("no temporary folder: {error}")))?;
        let folder = dir.path().join("migrations");
        std::fs::create_dir(&folder).map_err(|error| Failure::server(format!("no temporary folder: {error}")))?;
        match &config.database_url {
            Some(url) if url.starts_with("postgres") => Self::on_postgres(url, config, dir, folder),
            Some(url) if url.starts_with("sqlite") => Err(Failure::usage("the demo makes a SQLite file of its own")
                .hint("Leave --database-url and DATABASE_URL out, or give that of a PostgreSQL.")),
            Some(_) => Err(Failure::usage("the demo runs on SQLite, and on the PostgreSQL that a URL names")
                .hint("Type: segue demo --database-url postgres://user@host/db")),
            None => {
                let file = dir.path().join("demo.db");
                let url = format!("sqlite:{}", file.display());
                Ok(Self { url, place: Place::Sqlite(file), folder, schema: None, _dir: dir })
            }
        }
    }

    fn on_postgres(url: &str, config: &Config, dir: TempDir, folder: PathBuf) -> Result<Self, Failure> {
        let connector = connector(url, &config.environment)?;
        let mut session = connector.connect("segue demo")?;
        let journal_is_ours = !connector.journal().exists(session.as_mut())?;
        let name = Ident::new(format!("segue_demo_{}", std::process::id())).map_err(|e| Failure::bug(e.to_string()))?;
        session.execute(fill("CREATE SCHEMA {schema}", &[("schema", Hole::Name(&name))]).as_str(), &[], LIMIT)?;
        let separator = if url.contains('?') { '&' } else { '?' };
        let here = format!("{url}{separator}options=-c%20search_path%3D{name}");
        let schema = Schema { name, url: url.to_owned(), environment: config.environment.clone(), journal_is_ours };
        Ok(Self { url: here.clone(), place: Place::Postgres(here), folder, schema: Some(schema), _dir: dir })
    }

    /// Removes everything that the demo made: the schema, what the migration `id` left in the journal, and the copies `kept`.
    pub(super) fn remove(self, id: &MigrationId, kept: &[TableName]) -> Result<(), Failure> {
        let Some(schema) = &self.schema else { return Ok(()) };
        let connector = connector(&schema.url, &schema.environment)?;
        let mut session = connector.connect("segue demo")?;
        let mut drops = vec![schema.drop_schema()];
        if schema.journal_is_ours {
            drops.push(Sql::fixed("DROP SCHEMA IF EXISTS segue CASCADE"));
        } else {
            connector.journal().forget(session.as_mut(), id)?;
            drops.extend(
                kept.iter().map(|table| fill("DROP TABLE IF EXISTS {table}", &[("table", Hole::Table(table))])),
            );
        }
        for sql in drops {
            session.execute(sql.as_str(), &[], LIMIT)?;
        }
        Ok(())
    }
}

impl Schema {
    fn drop_schema(&self) -> Sql {
        fill("DROP SCHEMA IF EXISTS {schema} CASCADE", &[("schema", Hole::Name(&self.name))])
    }
}

fn fill(template: &'static str, holes: &[(&'static str, Hole<'_>)]) -> Sql {
    Sql::fill(&StandardQuoting, template, holes)
}
