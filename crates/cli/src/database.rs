//! From a URL to a session that may be written to.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use segue_model::catalog::Catalog;
use segue_model::change::Migration;
use segue_model::engine::Engine;
use segue_model::ident::MigrationId;
use segue_model::journal::Record;
use segue_model::probe::{Answer, Probe};
use segue_model::server::Server;
use segue_model::session::{Begin, Connector, FailKind, Session};

use crate::config::Config;
use crate::failure::Failure;

/// The longest that one probe may take.
const PROBE_LIMIT: Duration = Duration::from_secs(5);

/// The environment variables that make a PostgreSQL address complete without a URL.
const POSTGRES_VARIABLES: [&str; 5] = ["PGHOST", "PGHOSTADDR", "PGSERVICE", "PGDATABASE", "PGUSER"];

/// A database that was reached, with what a plan needs to know of it.
pub(crate) struct Database {
    /// Makes further sessions.
    pub(crate) connector: Arc<dyn Connector>,
    /// The session that looks around.
    pub(crate) session: Box<dyn Session>,
    /// Who answers.
    pub(crate) server: Server,
}

/// Returns the connector to the configured database.
///
/// # Errors
/// Exit code 2 when nothing says where the database is, or the URL cannot be used.
fn connector(config: &Config) -> Result<Arc<dyn Connector>, Failure> {
    let from_variables = POSTGRES_VARIABLES.iter().any(|name| config.environment.contains_key(*name));
    let url = match &config.database_url {
        Some(url) => url.as_str(),
        None if from_variables => "postgres://",
        None => {
            return Err(Failure::usage("nothing says where the database is").hint(
                "Give --database-url postgres://user@host/db or sqlite:path/to/file, or set DATABASE_URL or PG* variables.",
            ));
        }
    };
    segue_drivers::connector(url, &config.environment)
        .map(Arc::from)
        .map_err(|fail| Failure::from(fail).hint("A URL is postgres://user@host:port/db or sqlite:path/to/file."))
}

impl Database {
    /// Connects and asks who answers.
    ///
    /// # Errors
    /// Exit codes 2 and 3.
    pub(crate) fn open(config: &Config) -> Result<Self, Failure> {
        let connector = connector(config)?;
        let mut session = connector.connect("segue look")?;
        let mut server = session.server()?;
        if let Some(version) = &config.app_version {
            server.app_version = Some(version.clone());
        }
        Ok(Self { connector, session, server })
    }

    /// Returns the product.
    pub(crate) fn engine(&self) -> Engine {
        self.connector.engine()
    }

    /// Refuses a database that cannot or must not be written through this connection.
    ///
    /// # Errors
    /// Exit code 1.
    pub(crate) fn check_writable(&self) -> Result<(), Failure> {
        let address = self.connector.address();
        if self.server.standby {
            return Err(Failure::refused(format!(
                "{address} is a standby: it replays another server and takes no writes"
            ))
            .hint("Point the URL at the primary (target_session_attrs=read-write finds it among several hosts)."));
        }
        if self.server.read_only {
            return Err(Failure::refused(format!("{address} is read-only here"))
                .hint("Check default_transaction_read_only, or the permissions of the file and its folder."));
        }
        if self.server.pooled {
            return Err(Failure::refused(format!(
                "{address} goes through a pooler that changes backends between transactions"
            ))
            .hint("Give the database's own address: locks, leases and session settings need one backend."));
        }
        Ok(())
    }

    /// Returns the catalog, in full for the tables that a migration names and for those around them.
    ///
    /// # Errors
    /// Exit code 3.
    pub(crate) fn inspect(&mut self, migration: &Migration) -> Result<Catalog, Failure> {
        Ok(self.session.inspect_about(&mut |catalog| segue_plan::read_in_full(migration, catalog))?)
    }

    /// Returns what the journal holds; nothing where there is none.
    ///
    /// # Errors
    /// Exit code 3.
    pub(crate) fn records(&mut self) -> Result<Vec<Record>, Failure> {
        let journal = self.connector.journal();
        if !journal.exists(self.session.as_mut())? {
            return Ok(vec![]);
        }
        Ok(journal.records(self.session.as_mut())?)
    }

    /// Returns the record of one migration.
    ///
    /// # Errors
    /// Exit code 3.
    pub(crate) fn record(&mut self, id: &MigrationId) -> Result<Option<Record>, Failure> {
        Ok(self.records()?.into_iter().find(|record| record.id == *id))
    }

    /// Asks the probes, each in a read-only transaction of its own, so that one that fails does not spoil the next.
    ///
    /// # Errors
    /// Exit code 3 when the connection is lost; what the server refuses is an answer.
    pub(crate) fn ask(&mut self, probes: &[Probe], answers: &mut BTreeMap<String, Answer>) -> Result<(), Failure> {
        for probe in probes {
            self.session.begin(Begin::Read)?;
            let result = self.session.query(probe.sql.as_str(), &[], PROBE_LIMIT);
            self.session.rollback();
            let answer = match result {
                Ok(rows) => Answer::Rows(rows),
                Err(fail) if fail.kind == FailKind::Lost => return Err(fail.into()),
                Err(fail) if matches!(fail.kind, FailKind::Deadline | FailKind::Cancelled) => Answer::TimedOut,
                Err(fail) => Answer::Failed { code: fail.code.unwrap_or_default(), message: fail.message },
            };
            answers.insert(probe.key.clone(), answer);
        }
        Ok(())
    }
}
