//! From a target to a session: hosts in order, encryption as wished, poolers recognised, settings pinned.

use std::time::Duration;

use segue_model::ident::{Ident, MigrationId, tag_of};
use segue_model::session::{Fail, FailKind};
use segue_model::sql::{Hole, Sql, StandardQuoting};
use tokio::net::lookup_host;
use tokio::time::timeout;
use tokio_postgres::Config;
use tokio_postgres::config;

use super::cancel::{Endpoint, Route};
use super::error;
use super::resolver::{ChannelBinding, Host, Place, SessionAttrs, Target};
use super::run::Wire;
use super::server::{self, Login};
use super::session::PostgresSession;
use super::tls::{self, SslMode};

/// Statements that set up a session take a round trip each.
const LIMIT: Duration = Duration::from_secs(10);

/// The longest `application_name` that a server keeps.
const NAME_BYTES_MAX: usize = 63;

/// The longest part of a migration's id in an `application_name`: what the session does must fit behind it.
const ID_BYTES_MAX: usize = 40;

/// Our own startup option: from the first moment on a session of ours that hangs in a transaction is ended by the server.
/// A pooler that hands connections around refuses it, which is how it is recognised.
const STARTUP: &str = "-c idle_in_transaction_session_timeout=60s";

/// Connects to the first host that answers and fits.
pub(super) fn connect(target: &Target, label: &str) -> Result<PostgresSession, Fail> {
    let wanted: &[SessionAttrs] = match target.attrs {
        SessionAttrs::PreferStandby => &[SessionAttrs::Standby, SessionAttrs::Any],
        ref other => std::slice::from_ref(other),
    };
    let mut refused = Fail::new(FailKind::Usage, "the URL names no host");
    for attrs in wanted {
        for host in &target.hosts {
            match host_session(target, host, label) {
                Ok((_, login)) if !fits(*attrs, &login) => {
                    refused =
                        Fail::new(FailKind::Connect, format!("{}: not what `target_session_attrs` asks", host.shown()));
                }
                Ok((wire, login)) => return pinned(wire, login),
                // Another host would say the same.
                Err(fail) if fail.kind == FailKind::Authentication && target.hosts.len() == 1 => return Err(fail),
                Err(fail) => refused = fail,
            }
        }
    }
    Err(refused)
}

/// Returns the `application_name` for a label `segue <migration> <what>`: at most 63 bytes, and a long id is cut so that it
/// still tells its migration.
pub(super) fn application_name(label: &str) -> String {
    let mut name = match label.strip_prefix("segue ").and_then(|rest| rest.split_once(' ')) {
        Some((id, what)) => ["segue ", &short(id), " ", what].concat(),
        None => label.to_owned(),
    };
    let cut = (0..=NAME_BYTES_MAX.min(name.len())).rev().find(|at| name.is_char_boundary(*at)).unwrap_or(0);
    name.truncate(cut);
    name
}

/// Returns how the `application_name` of every session for this migration begins, and of no other's.
pub(super) fn application_prefix(id: &MigrationId) -> String {
    ["segue ", &short(id.as_str()), " "].concat()
}

fn short(id: &str) -> String {
    if id.len() <= ID_BYTES_MAX { id.to_owned() } else { Ident::of_ours("", id, &tag_of(&[id]), ID_BYTES_MAX).into() }
}

fn fits(attrs: SessionAttrs, login: &Login) -> bool {
    match attrs {
        SessionAttrs::Any | SessionAttrs::PreferStandby => true,
        SessionAttrs::ReadWrite => !login.read_only && !login.standby,
        SessionAttrs::ReadOnly => login.read_only || login.standby,
        SessionAttrs::Primary => !login.standby,
        SessionAttrs::Standby => login.standby,
    }
}

fn host_session(target: &Target, host: &Host, label: &str) -> Result<(Wire, Login), Fail> {
    let options = target.options.as_deref();
    let ours = options.map_or_else(|| STARTUP.to_owned(), |theirs| [STARTUP, " ", theirs].concat());
    let (mut wire, refuses) = match open(target, host, label, Some(&ours)) {
        Err(fail) if refuses_options(&fail) => (open(target, host, label, options)?, true),
        other => (other?, false),
    };
    let mut login = server::login(&mut wire, LIMIT)?;
    let again = server::backend_pid(&mut wire, LIMIT)?;
    login.pooled = refuses || again != login.pid;
    Ok((wire, login))
}

/// `PgBouncer` and its like take no startup option that they cannot keep apart by client.
fn refuses_options(fail: &Fail) -> bool {
    fail.code.as_deref() == Some("08P01") || fail.message.contains("unsupported startup parameter")
}

/// Tries what `sslmode` allows, in its order. The driver itself does not go back to no encryption, libpq does.
fn open(target: &Target, host: &Host, label: &str, options: Option<&str>) -> Result<Wire, Fail> {
    let refused = |fail: &Fail| fail.code.as_deref() == Some("28000") || fail.kind == FailKind::Tls;
    let once = |mode| open_once(target, host, label, options, mode);
    match host.tls.mode {
        SslMode::Disable => once(config::SslMode::Disable),
        SslMode::Allow => match once(config::SslMode::Disable) {
            Err(fail) if refused(&fail) => once(config::SslMode::Require).map_err(|_| fail),
            other => other,
        },
        SslMode::Prefer => match once(config::SslMode::Prefer) {
            Err(fail) if refused(&fail) => once(config::SslMode::Disable).map_err(|_| fail),
            other => other,
        },
        SslMode::Require | SslMode::VerifyCa | SslMode::VerifyFull => once(config::SslMode::Require),
    }
}

fn open_once(
    target: &Target,
    host: &Host,
    label: &str,
    options: Option<&str>,
    mode: config::SslMode,
) -> Result<Wire, Fail> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Fail::new(FailKind::Connect, error.to_string()))?;
    let tls = if mode == config::SslMode::Disable {
        let mut off = host.tls.clone();
        (off.mode, off.client) = (SslMode::Disable, None);
        tls::connector(&off)?
    } else {
        tls::connector(&host.tls)?
    };
    let config = configured(target, host, label, options, mode);
    let shown = host.shown();
    let late =
        || Fail::new(FailKind::Connect, format!("{shown}: no answer within {} s", target.connect_timeout.as_secs()));
    // One limit for everything: name, TCP, TLS, login. A server may accept the connection and then never answer.
    let made = runtime.block_on(async {
        timeout(target.connect_timeout, reach(&config, host, &tls)).await.unwrap_or_else(|_| Err(late()))
    });
    let (client, endpoint, reader) = made?;
    let name = match &host.place {
        Place::Tcp { name, .. } => name.clone(),
        Place::Socket(_) => "localhost".to_owned(),
    };
    let route = Route { token: client.cancel_token(), endpoint, tls, host: name };
    Ok(Wire::new(runtime, client, reader, route))
}

type Reached = (tokio_postgres::Client, Endpoint, tokio::task::JoinHandle<()>);

/// Resolves the name ourselves, so that a cancel request goes to the very server that was reached.
async fn reach(config: &Config, host: &Host, tls: &tokio_postgres_rustls::MakeRustlsConnect) -> Result<Reached, Fail> {
    let shown = host.shown();
    let endpoints = match &host.place {
        Place::Socket(dir) => vec![Endpoint::Unix(dir.join(format!(".s.PGSQL.{}", host.port)))],
        Place::Tcp { address: Some(address), .. } => vec![Endpoint::Tcp((*address, host.port).into())],
        Place::Tcp { name, address: None } => match lookup_host((name.as_str(), host.port)).await {
            Ok(found) => found.map(Endpoint::Tcp).collect(),
            Err(error) => return Err(Fail::new(FailKind::Connect, format!("{shown}: {error}"))),
        },
    };
    let mut refused = Fail::new(FailKind::Connect, format!("{shown}: the name has no address"));
    for endpoint in endpoints {
        let mut config = config.clone();
        if let Endpoint::Tcp(address) = &endpoint {
            config.hostaddr(address.ip());
        }
        match config.connect(tls.clone()).await {
            Ok((client, connection)) => {
                // What the connection ends with reaches us through the statement that fails.
                let reader = tokio::spawn(async move { drop(connection.await) });
                return Ok((client, endpoint, reader));
            }
            Err(error) => refused = error::connecting(&error, &shown),
        }
    }
    Err(refused)
}

fn configured(target: &Target, host: &Host, label: &str, options: Option<&str>, mode: config::SslMode) -> Config {
    let mut config = Config::new();
    match &host.place {
        Place::Socket(dir) => config.host_path(dir),
        Place::Tcp { name, .. } => config.host(name),
    };
    config.port(host.port).user(&target.user).dbname(&target.database).application_name(application_name(label));
    if let Some(password) = &host.password {
        config.password(password);
    }
    if let Some(options) = options {
        config.options(options);
    }
    let keepalives = &target.keepalives;
    config
        .ssl_mode(mode)
        .connect_timeout(target.connect_timeout)
        .keepalives(keepalives.on)
        .keepalives_idle(keepalives.idle)
        .keepalives_interval(keepalives.interval)
        .keepalives_retries(keepalives.retries)
        .tcp_user_timeout(keepalives.user_timeout)
        .channel_binding(match target.channel_binding {
            ChannelBinding::Disable => config::ChannelBinding::Disable,
            ChannelBinding::Prefer => config::ChannelBinding::Prefer,
            ChannelBinding::Require => config::ChannelBinding::Require,
        });
    if host.tls.direct && mode == config::SslMode::Require {
        config.ssl_negotiation(config::SslNegotiation::Direct);
    }
    config
}

/// Pins what our statements rely on. What the application's role and database set (`TimeZone`, `DateStyle`,
/// `session_replication_role`) stays as it is.
fn pinned(mut wire: Wire, login: Login) -> Result<PostgresSession, Fail> {
    let since = |version: u32, sql| if login.version >= version { Sql::fixed(sql) } else { Sql::fixed("") };
    let since_14 = since(140_000, "SET client_connection_check_interval = '1s'; SET idle_session_timeout = 0; ");
    // A backfill is many transactions, but building an index or VALIDATE is one that takes as long as it takes.
    let since_17 = since(170_000, "SET transaction_timeout = 0; ");
    let sql = Sql::fill(
        &StandardQuoting,
        include_str!("connect.sql"),
        &[
            ("path", Hole::Text(&login.search_path)),
            ("since_14", Hole::Sql(&since_14)),
            ("since_17", Hole::Sql(&since_17)),
        ],
    );
    wire.send(sql.as_str(), LIMIT)?;
    Ok(PostgresSession::new(wire, login))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_ids_that_begin_alike_keep_names_apart() {
        let ids = ["a", "b"].map(|end| MigrationId::new(["x".repeat(150).as_str(), end].concat()).unwrap());
        let names = ids.each_ref().map(|id| application_name(&["segue ", id.as_str(), " worker 1"].concat()));
        assert_ne!(names[0], names[1]);
        for (id, name) in ids.iter().zip(&names) {
            assert!(name.starts_with(&application_prefix(id)) && name.len() <= NAME_BYTES_MAX, "{name}");
        }
        assert_eq!(application_name("segue plan"), "segue plan");
        assert!(application_name(&"é".repeat(80)).len() <= NAME_BYTES_MAX);
    }
}
