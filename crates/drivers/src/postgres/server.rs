//! Who answers.

use std::collections::BTreeMap;
use std::time::Duration;

use segue_model::engine::Engine;
use segue_model::server::{Identity, Server, Version};
use segue_model::session::{Fail, FailKind};
use segue_model::sql::{Hole, Sql, StandardQuoting};
use segue_model::value::{Row, Value};

use super::run::Wire;

/// What a fresh connection shows before anything of it is pinned.
#[derive(Debug, Clone)]
pub(super) struct Login {
    pub(super) pid: i64,
    /// `server_version_num`: 150004.
    pub(super) version: u32,
    pub(super) standby: bool,
    pub(super) read_only: bool,
    pub(super) pooled: bool,
    /// The schemas that are looked through, quoted, `$user` resolved.
    pub(super) search_path: String,
    pub(super) settings: BTreeMap<String, String>,
}

/// Reads a fresh connection.
pub(super) fn login(wire: &mut Wire, limit: Duration) -> Result<Login, Fail> {
    let rows = wire.send(include_str!("login.sql"), limit)?.rows;
    let mut facts: BTreeMap<String, String> = rows.iter().map(|row| (text(row, 0), text(row, 1))).collect();
    let mut settings: BTreeMap<_, _> = facts
        .iter()
        .filter_map(|(name, value)| Some((name.strip_prefix("setting ")?.to_owned(), value.clone())))
        .collect();
    let search_path = facts.remove("search_path").unwrap_or_default();
    settings.insert("search_path".to_owned(), search_path.clone());
    let number = |name: &str| facts.get(name).and_then(|value| value.parse::<u32>().ok());
    let version =
        number("version").ok_or_else(|| Fail::new(FailKind::Server, "the server does not tell its version"))?;
    if version < 130_000 {
        let message = format!("PostgreSQL {} is too old: 13 is the oldest that is supported", version / 10_000);
        return Err(Fail::new(FailKind::Usage, message));
    }
    Ok(Login {
        pid: i64::from(number("pid").unwrap_or(0)),
        version,
        standby: facts.get("standby").is_some_and(|value| value == "true"),
        read_only: facts.get("read_only").is_some_and(|value| value == "true"),
        pooled: false,
        search_path,
        settings,
    })
}

/// Returns the backend that the next transaction gets.
pub(super) fn backend_pid(wire: &mut Wire, limit: Duration) -> Result<i64, Fail> {
    let rows = wire.send("SELECT pg_catalog.pg_backend_pid()", limit)?.rows;
    Ok(rows.first().and_then(|row| row[0].as_i64()).unwrap_or(0))
}

/// Asks who we are and which database this is. `in_transaction` of ours may be read-only by our own wish.
pub(super) fn server(wire: &mut Wire, login: &Login, in_transaction: bool, limit: Duration) -> Result<Server, Fail> {
    let outside = if in_transaction { Sql::fixed("false") } else { Sql::fixed("true") };
    // Since 15 a superuser can grant it.
    let granted = "pg_catalog.has_parameter_privilege('session_replication_role', 'SET')";
    let granted = Sql::fixed(if login.version >= 150_000 { granted } else { "false" });
    let holes = [("outside", Hole::Sql(&outside)), ("granted", Hole::Sql(&granted))];
    let sql = Sql::fill(&StandardQuoting, include_str!("server.sql"), &holes);
    let rows = wire.send(sql.as_str(), limit)?.rows;
    let row = rows.first().ok_or_else(|| Fail::new(FailKind::Server, "the server does not know our role"))?;
    let flag = |at: usize| row[at].as_bool().unwrap_or(false);
    let system = if flag(7) {
        one(wire, "SELECT system_identifier FROM pg_catalog.pg_control_system()", limit)?
    } else {
        // Without the right to read it, only the database's oid tells databases apart.
        "not permitted".to_owned()
    };
    let timeline = match text(row, 6) {
        hex if !hex.is_empty() => u32::from_str_radix(&hex, 16).unwrap_or(0),
        _ if flag(8) => {
            one(wire, "SELECT timeline_id FROM pg_catalog.pg_control_checkpoint()", limit)?.parse().unwrap_or(0)
        }
        _ => 0,
    };
    Ok(Server {
        engine: Engine::Postgres,
        version: Version { major: login.version / 10_000, minor: login.version % 10_000, patch: 0 },
        identity: Identity { system, database: text(row, 5), timeline },
        role: text(row, 0),
        superuser: flag(1),
        bypass_row_security: flag(2),
        silences_triggers: flag(9),
        standby: flag(3),
        read_only: flag(4),
        pooled: login.pooled,
        app_version: None,
        settings: login.settings.clone(),
    })
}

fn one(wire: &mut Wire, sql: &'static str, limit: Duration) -> Result<String, Fail> {
    let rows = wire.send(sql, limit)?.rows;
    Ok(rows.first().map(|row| text(row, 0)).unwrap_or_default())
}

/// Returns a value as text; NULL is empty.
pub(super) fn text(row: &Row, at: usize) -> String {
    row.get(at).and_then(Value::as_str).unwrap_or_default().to_owned()
}
