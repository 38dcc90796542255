//! The contract of the ports on every PostgreSQL that is here.
#![allow(clippy::disallowed_methods, clippy::print_stdout, clippy::unwrap_used, reason = "tests of real servers")]

mod certificates;
mod inspect;
mod journal;
mod moving;
mod pooler;
mod pressure;
mod session;
mod shape;
mod standbys;
mod statements;
mod tls;
mod upgrade;

use std::collections::BTreeMap;
use std::time::Duration;

use segue_drivers::connector;
use segue_model::ident::{Ident, TableName};
use segue_model::session::{Connector, Session};
use segue_testkit::client::Client;
use segue_testkit::each_postgres;
use segue_testkit::postgres::PostgresServer;

/// For statements that take no time.
pub(crate) const LIMIT: Duration = Duration::from_secs(20);

/// A database of its own, with a connector of ours and a plain client.
pub(crate) struct Database {
    pub(crate) major: u32,
    pub(crate) server: &'static PostgresServer,
    pub(crate) url: String,
    pub(crate) connector: Box<dyn Connector>,
    pub(crate) client: Client,
}

impl Database {
    pub(crate) fn session(&self) -> Box<dyn Session> {
        self.connector.connect("segue 20261120_test main").unwrap()
    }
}

/// Runs a test on each version, in a fresh database.
#[track_caller]
pub(crate) fn on_each(test: impl Fn(Database)) {
    for server in each_postgres() {
        let url = server.database();
        let connector = connector(&url, &BTreeMap::new()).unwrap();
        test(Database { major: server.major(), server, client: Client::connect(&url), connector, url });
    }
}

pub(crate) fn table(schema: &str, name: &str) -> TableName {
    TableName { schema: Ident::new(schema).unwrap(), name: Ident::new(name).unwrap() }
}
