//! The databases behind the ports of the model.

mod disk;
mod journal_row;
pub mod postgres;
pub mod sqlite;

use std::collections::BTreeMap;

use segue_model::session::{Connector, Fail, FailKind};

/// Returns what makes sessions to the database at `url`; `env` holds the process's variables (`PG*`, `HOME`).
///
/// # Errors
/// [`FailKind::Usage`] for an address that is not understood.
pub fn connector(url: &str, env: &BTreeMap<String, String>) -> Result<Box<dyn Connector>, Fail> {
    let scheme = url.split_once(':').map(|(scheme, _)| scheme.to_ascii_lowercase());
    match scheme.as_deref() {
        Some("postgres" | "postgresql") => Ok(Box::new(postgres::PostgresConnector::new(url, env)?)),
        Some("sqlite" | "file") => Ok(Box::new(sqlite::SqliteConnector::open(url)?)),
        _ if postgres::is_keyword_string(url) => Ok(Box::new(postgres::PostgresConnector::new(url, env)?)),
        Some("mysql" | "mariadb") => Err(Fail::new(FailKind::Usage, "MySQL and MariaDB are not supported yet")),
        // The address itself may hold a password, so it is not repeated.
        _ => {
            let message = "the database's address must begin with postgres://, postgresql:// or sqlite:";
            Err(Fail::new(FailKind::Usage, message))
        }
    }
}
