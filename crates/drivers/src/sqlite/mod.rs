//! SQLite: one file, one writer at a time, no server.

mod address;
mod cancel;
mod connect;
mod ddl;
mod error;
mod functions;
mod header;
mod hold;
mod inspect;
mod install;
mod journal;
mod orders;
mod pressure;
mod quarantine;
mod run;
mod server;
mod shape;
mod spans;

use std::time::Duration;

use segue_model::engine::Engine;
use segue_model::session::{Connector, Fail, Journal, Session};
use segue_model::value::Value;

use self::address::Address;
use self::journal::SqliteJournal;

/// Makes sessions to one SQLite database file.
#[derive(Debug)]
pub struct SqliteConnector {
    address: Address,
    /// Names this file while it has no journal, and becomes the journal's name for it.
    fresh_name: String,
    journal: SqliteJournal,
}

impl SqliteConnector {
    /// Opens the database at `url`: `sqlite:PATH`, `sqlite://PATH` or a `file:` URI. The file must exist.
    ///
    /// # Errors
    /// [`segue_model::session::FailKind::Usage`] when the address is not understood, or the file is missing or no database.
    pub fn open(url: &str) -> Result<Self, Fail> {
        let address = Address::parse(url)?;
        let mut session = connect::open(&address, String::new())?;
        let fresh_name = session.query("SELECT lower(hex(randomblob(16)))", &[], Duration::from_secs(5))?;
        let fresh_name = fresh_name.first().and_then(|row| row.first()).and_then(Value::as_str).unwrap_or_default();
        let journal = SqliteJournal::new(hold::path_beside(&address.path));
        Ok(Self { fresh_name: fresh_name.to_owned(), address, journal })
    }
}

impl Connector for SqliteConnector {
    fn engine(&self) -> Engine {
        Engine::Sqlite
    }

    fn address(&self) -> String {
        format!("sqlite:{}", self.address.path.display())
    }

    fn connect(&self, _label: &str) -> Result<Box<dyn Session>, Fail> {
        Ok(Box::new(connect::open(&self.address, self.fresh_name.clone())?))
    }

    fn journal(&self) -> &dyn Journal {
        &self.journal
    }

    fn hold(&self) -> Result<Option<Box<dyn Send>>, Fail> {
        Ok(Some(Box::new(hold::take(&hold::path_beside(&self.address.path))?)))
    }
}
