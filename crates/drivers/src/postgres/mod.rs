//! PostgreSQL 13 to 18.

mod blockers;
mod cancel;
mod connect;
mod error;
mod inspect;
mod install;
mod journal;
mod lag;
mod lock;
mod orders;
mod pressure;
mod quarantine;
mod resolver;
mod run;
mod server;
mod session;
mod shape;
mod spans;
mod statements;
mod tls;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use segue_model::engine::Engine;
use segue_model::session::{Connector, Fail, Journal, Session};

use self::journal::PostgresJournal;
use self::lag::Lag;
use self::resolver::Target;

/// Makes sessions to one PostgreSQL database.
pub struct PostgresConnector {
    target: Target,
    /// What its sessions have seen of standbys, each going on from where another was.
    lag: Arc<Mutex<Lag>>,
}

impl PostgresConnector {
    /// Resolves a URL or keyword string as libpq does; `env` holds the process's variables. Does not connect.
    ///
    /// # Errors
    /// [`segue_model::session::FailKind::Usage`], naming what is wrong, never a password.
    pub fn new(url: &str, env: &BTreeMap<String, String>) -> Result<Self, Fail> {
        Ok(Self { target: resolver::resolve(url, env)?, lag: Arc::default() })
    }
}

/// Returns whether a text without a scheme is a keyword string of libpq: `host=db dbname=shop`.
pub(crate) fn is_keyword_string(text: &str) -> bool {
    resolver::is_keyword_string(text)
}

impl Connector for PostgresConnector {
    fn engine(&self) -> Engine {
        Engine::Postgres
    }

    fn address(&self) -> String {
        self.target.address()
    }

    fn connect(&self, label: &str) -> Result<Box<dyn Session>, Fail> {
        Ok(Box::new(connect::connect(&self.target, label)?.sharing(Arc::clone(&self.lag))))
    }

    fn journal(&self) -> &dyn Journal {
        &PostgresJournal
    }

    fn hold(&self) -> Result<Option<Box<dyn Send>>, Fail> {
        Ok(None)
    }
}
