//! From a URL or a keyword string to a target, as libpq finds it: URL, service file, `PG*` variables, defaults, password file.
//!
//! Pure but for reading the files that are named: the environment comes in as a map.

use std::collections::BTreeMap;
use std::fs;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use percent_encoding::percent_decode_str;
use segue_model::nearest::{nearest, slips};
use segue_model::session::{Fail, FailKind};

use super::tls::{SslMode, TlsWish};

/// A server, or several that are tried in order, and who we are there.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Target {
    pub(super) hosts: Vec<Host>,
    pub(super) user: String,
    pub(super) database: String,
    /// `-c name=value …` for the backend.
    pub(super) options: Option<String>,
    pub(super) connect_timeout: Duration,
    pub(super) keepalives: Keepalives,
    pub(super) attrs: SessionAttrs,
    pub(super) channel_binding: ChannelBinding,
}

/// One place to try.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Host {
    pub(super) place: Place,
    pub(super) port: u16,
    pub(super) password: Option<String>,
    pub(super) tls: TlsWish,
}

/// Where a server listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Place {
    /// The directory of a socket file.
    Socket(PathBuf),
    /// A name for DNS and certificates, and perhaps the address that spares DNS.
    Tcp { name: String, address: Option<IpAddr> },
}

/// When a silent peer is given up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Keepalives {
    pub(super) on: bool,
    pub(super) idle: Duration,
    pub(super) interval: Duration,
    pub(super) retries: u32,
    pub(super) user_timeout: Duration,
}

/// Which of several servers will do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SessionAttrs {
    Any,
    ReadWrite,
    ReadOnly,
    Primary,
    Standby,
    PreferStandby,
}

/// Whether the login is bound to the encrypted channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ChannelBinding {
    Disable,
    Prefer,
    Require,
}

/// What libpq calls the parts, the variable for each, and whether we can honour it.
const KEYWORDS: &[(&str, &str, Support)] = &[
    ("host", "PGHOST", Support::Used),
    ("hostaddr", "PGHOSTADDR", Support::Used),
    ("port", "PGPORT", Support::Used),
    ("dbname", "PGDATABASE", Support::Used),
    ("user", "PGUSER", Support::Used),
    ("password", "PGPASSWORD", Support::Used),
    ("passfile", "PGPASSFILE", Support::Used),
    ("service", "PGSERVICE", Support::Used),
    ("servicefile", "PGSERVICEFILE", Support::Used),
    ("options", "PGOPTIONS", Support::Used),
    ("connect_timeout", "PGCONNECT_TIMEOUT", Support::Used),
    ("channel_binding", "PGCHANNELBINDING", Support::Used),
    ("target_session_attrs", "PGTARGETSESSIONATTRS", Support::Used),
    ("keepalives", "", Support::Used),
    ("keepalives_idle", "", Support::Used),
    ("keepalives_interval", "", Support::Used),
    ("keepalives_count", "", Support::Used),
    ("tcp_user_timeout", "", Support::Used),
    ("sslmode", "PGSSLMODE", Support::Used),
    ("sslnegotiation", "PGSSLNEGOTIATION", Support::Used),
    ("sslrootcert", "PGSSLROOTCERT", Support::Used),
    ("sslcert", "PGSSLCERT", Support::Used),
    ("sslkey", "PGSSLKEY", Support::Used),
    ("sslcertmode", "PGSSLCERTMODE", Support::Used),
    ("sslsni", "PGSSLSNI", Support::Used),
    ("ssl_min_protocol_version", "PGSSLMINPROTOCOLVERSION", Support::Used),
    ("client_encoding", "PGCLIENTENCODING", Support::Used),
    ("application_name", "PGAPPNAME", Support::Ignored),
    ("fallback_application_name", "", Support::Ignored),
    ("load_balance_hosts", "PGLOADBALANCEHOSTS", Support::Ignored),
    ("sslcompression", "PGSSLCOMPRESSION", Support::Ignored),
    ("gssencmode", "PGGSSENCMODE", Support::Ignored),
    ("gsslib", "PGGSSLIB", Support::Ignored),
    ("gssdelegation", "PGGSSDELEGATION", Support::Ignored),
    ("krbsrvname", "PGKRBSRVNAME", Support::Ignored),
    ("min_protocol_version", "PGMINPROTOCOLVERSION", Support::Ignored),
    ("max_protocol_version", "PGMAXPROTOCOLVERSION", Support::Ignored),
    ("ssl_max_protocol_version", "PGSSLMAXPROTOCOLVERSION", Support::Refused),
    ("sslpassword", "", Support::Refused),
    ("sslcrl", "PGSSLCRL", Support::Refused),
    ("sslcrldir", "PGSSLCRLDIR", Support::Refused),
    ("requirepeer", "PGREQUIREPEER", Support::Refused),
    ("require_auth", "PGREQUIREAUTH", Support::Refused),
    ("requiressl", "PGREQUIRESSL", Support::Refused),
    ("replication", "", Support::Refused),
];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Support {
    Used,
    /// It has no meaning here, and leaving it out makes nothing less safe.
    Ignored,
    /// Leaving it out would break what the user relies on.
    Refused,
}

type Parts = BTreeMap<String, String>;

/// Whether a name that no parameter has may be repeated: it may be the rest of a password that lacks its quotes or its `%26`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Names {
    Shown,
    Hidden,
}

impl Names {
    fn of_query(url: &str) -> Self {
        let query = url.split_once('?').map_or("", |(_, query)| query).to_ascii_lowercase();
        // A password under a mistyped name is one too.
        if query.contains("pas") || query.contains("pwd") { Self::Hidden } else { Self::Shown }
    }
}

/// Returns the target that `text` and `env` name.
///
/// # Errors
/// [`FailKind::Usage`]; never holds a password.
pub(super) fn resolve(text: &str, env: &BTreeMap<String, String>) -> Result<Target, Fail> {
    let (mut parts, names) = match after_scheme(text) {
        Some(rest) => (parse_url(rest)?, Names::of_query(rest)),
        None => (parse_keywords(text)?, Names::Hidden),
    };
    check(&parts, "the URL", names)?;
    add_service(&mut parts, env)?;
    for (keyword, variable, _) in KEYWORDS.iter().filter(|(_, variable, _)| !variable.is_empty()) {
        if let Some(value) = env.get(*variable).filter(|value| !value.is_empty()) {
            parts.entry((*keyword).to_owned()).or_insert_with(|| value.clone());
        }
    }
    check(&parts, "the environment", Names::Shown)?;
    target(&parts, env)
}

/// Returns whether a text without a scheme is a keyword string of libpq.
pub(super) fn is_keyword_string(text: &str) -> bool {
    text.split_once('=').is_some_and(|(head, _)| KEYWORDS.iter().any(|(keyword, ..)| *keyword == head.trim()))
}

impl Target {
    /// Returns the address without its secrets.
    pub(super) fn address(&self) -> String {
        let hosts: Vec<_> = self.hosts.iter().map(Host::shown).collect();
        format!("postgres://{}@{}/{}", self.user, hosts.join(","), self.database)
    }
}

impl Host {
    /// Returns `name:port`, or the path of the socket file.
    pub(super) fn shown(&self) -> String {
        match &self.place {
            Place::Socket(dir) => dir.join(format!(".s.PGSQL.{}", self.port)).display().to_string(),
            Place::Tcp { name, .. } if name.contains(':') => format!("[{name}]:{}", self.port),
            Place::Tcp { name, .. } => format!("{name}:{}", self.port),
        }
    }
}

/// Returns what follows `postgres://`; `None` for a keyword string, whose values may hold `://` too.
fn after_scheme(text: &str) -> Option<&str> {
    let (scheme, rest) = text.split_once("://")?;
    ["postgres", "postgresql"].iter().any(|known| scheme.eq_ignore_ascii_case(known)).then_some(rest)
}

fn usage(message: impl Into<String>) -> Fail {
    Fail::new(FailKind::Usage, message)
}

/// Refuses keywords that nobody knows, or that we cannot honour.
fn check(parts: &Parts, place: &str, names: Names) -> Result<(), Fail> {
    for (keyword, value) in parts {
        match KEYWORDS.iter().find(|(known, ..)| known == keyword) {
            None => return Err(unknown(keyword, names)),
            Some((_, _, Support::Refused)) => {
                return Err(usage(format!("`{keyword}` in {place} is not supported; leave it out")));
            }
            Some(_) if keyword == "gssencmode" && value == "require" => {
                return Err(usage("`gssencmode=require` is not supported: there is no GSSAPI here"));
            }
            Some(_) => {}
        }
    }
    Ok(())
}

/// Returns the failure of a parameter that does not exist.
fn unknown(keyword: &str, names: Names) -> Fail {
    let near = nearest(keyword, KEYWORDS.iter().map(|(known, ..)| *known));
    let near = near.filter(|near| slips(keyword, near) * 3 <= keyword.chars().count());
    let meant = near.map(|near| format!(" (did you mean `{near}`?)")).unwrap_or_default();
    usage(match names {
        Names::Shown => format!("unknown connection parameter `{}`{meant}", keyword.escape_debug()),
        Names::Hidden => format!(
            "a connection parameter is unknown{meant}; a password with blanks or quotes stands in `'…'`, and in a URL \
             `&` in a password is `%26`"
        ),
    })
}

fn parse_url(url: &str) -> Result<Parts, Fail> {
    let (rest, query) = url.split_once('?').map_or((url, ""), |(rest, query)| (rest, query));
    let (authority, database) = rest.split_once('/').map_or((rest, ""), |(authority, path)| (authority, path));
    // Where the parts end is in doubt, so none of them is looked at, let alone shown.
    if authority.matches('@').count() > 1 || database.contains('@') || (query.contains('@') && !is_query(query)) {
        return Err(usage(
            "the URL has an `@` where none can stand: in the user, the password and the database's name write `/` as \
             `%2F`, `?` as `%3F`, `#` as `%23` and `@` as `%40`",
        ));
    }
    let mut parts = Parts::new();
    let (login, hosts) = authority.rsplit_once('@').map_or((None, authority), |(login, hosts)| (Some(login), hosts));
    if let Some(login) = login {
        let (user, password) = login.split_once(':').map_or((login, None), |(user, word)| (user, Some(word)));
        put(&mut parts, "user", decoded(user)?);
        if let Some(password) = password {
            put(&mut parts, "password", decoded(password)?);
        }
    }
    let (names, ports): (Vec<_>, Vec<_>) =
        hosts.split(',').map(name_and_port).collect::<Result<Vec<_>, _>>()?.into_iter().unzip();
    if login.is_none() && ports.iter().any(|port| !port.is_empty() && !is_port(port)) {
        return Err(usage(
            "the URL has no port after the host's `:`; with a user and a password it reads \
             postgres://USER:PASSWORD@HOST:PORT/DATABASE",
        ));
    }
    put(&mut parts, "host", names.join(","));
    if ports.iter().any(|port| !port.is_empty()) {
        put(&mut parts, "port", ports.join(","));
    }
    put(&mut parts, "dbname", decoded(database)?);
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (key, value) =
            pair.split_once('=').ok_or_else(|| usage("each parameter after `?` is written name=value"))?;
        let (key, value) = (decoded(key)?, decoded(value)?);
        if key == "ssl" && value == "true" {
            put(&mut parts, "sslmode", "require".to_owned());
        } else {
            parts.insert(key, value);
        }
    }
    Ok(parts)
}

/// Returns whether this is nothing but `name=value` with names that exist, and no tail of a password that holds a `?`.
fn is_query(text: &str) -> bool {
    text.split('&').filter(|pair| !pair.is_empty()).all(|pair| {
        let name = pair.split_once('=').map(|(name, _)| name);
        name.is_some_and(|name| KEYWORDS.iter().any(|(known, ..)| *known == name))
    })
}

fn is_port(text: &str) -> bool {
    text.parse::<u16>().is_ok_and(|port| port > 0)
}

/// An empty part counts as not given, so that variables and defaults fill it.
fn put(parts: &mut Parts, keyword: &str, value: String) {
    if !value.trim_matches(',').is_empty() {
        parts.insert(keyword.to_owned(), value);
    }
}

fn decoded(text: &str) -> Result<String, Fail> {
    let plain = percent_decode_str(text).decode_utf8();
    let plain = plain.map_err(|_| usage("a part of the URL is not UTF-8 when its `%` signs are decoded"))?;
    if plain.contains('\0') {
        return Err(usage("a part of the URL holds a NUL character"));
    }
    Ok(plain.into_owned())
}

fn name_and_port(host: &str) -> Result<(String, String), Fail> {
    if let Some(v6) = host.strip_prefix('[') {
        let (name, rest) = v6.split_once(']').ok_or_else(|| usage("an IPv6 address in the URL lacks its `]`"))?;
        return Ok((decoded(name)?, rest.strip_prefix(':').unwrap_or("").to_owned()));
    }
    let (name, port) = host.split_once(':').unwrap_or((host, ""));
    Ok((decoded(name)?, port.to_owned()))
}

/// `name = value` pairs; values may stand in `'…'`, `\` escapes the next character.
fn parse_keywords(text: &str) -> Result<Parts, Fail> {
    let mut parts = Parts::new();
    let mut rest = text.trim_start();
    while !rest.is_empty() {
        let (name, after) = rest.split_once('=').ok_or_else(|| usage("a connection string is `name=value …`"))?;
        let (value, after) = keyword_value(after.trim_start())?;
        parts.insert(name.trim().to_owned(), value);
        rest = after.trim_start();
    }
    Ok(parts)
}

fn keyword_value(text: &str) -> Result<(String, &str), Fail> {
    let quoted = text.starts_with('\'');
    let mut value = String::new();
    let mut chars = text.char_indices().skip(usize::from(quoted));
    while let Some((at, c)) = chars.next() {
        match c {
            '\\' => value.extend(chars.next().map(|(_, escaped)| escaped)),
            '\'' if quoted => return Ok((value, &text[at + 1..])),
            _ if !quoted && c.is_whitespace() => return Ok((value, &text[at..])),
            _ => value.push(c),
        }
    }
    if quoted { Err(usage("a quote in the connection string is not closed")) } else { Ok((value, "")) }
}

fn add_service(parts: &mut Parts, env: &BTreeMap<String, String>) -> Result<(), Fail> {
    let Some(service) = parts.get("service").or_else(|| env.get("PGSERVICE")).filter(|name| !name.is_empty()).cloned()
    else {
        return Ok(());
    };
    let named = parts.get("servicefile").or_else(|| env.get("PGSERVICEFILE")).map(PathBuf::from);
    let own = named.or_else(|| env.get("HOME").map(|home| Path::new(home).join(".pg_service.conf")));
    let system = env.get("PGSYSCONFDIR").map(|dir| Path::new(dir).join("pg_service.conf"));
    for file in own.into_iter().chain(system) {
        let Ok(text) = fs::read_to_string(&file) else { continue };
        if let Some(found) = section(&text, &service) {
            check(&found, "the service file", Names::Shown)?;
            found.into_iter().for_each(|(keyword, value)| {
                parts.entry(keyword).or_insert(value);
            });
            return Ok(());
        }
    }
    Err(usage(format!("there is no service `{}` in a service file", service.escape_debug())))
}

fn section(text: &str, wanted: &str) -> Option<Parts> {
    let mut found = None;
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
        if let Some(name) = line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
            if found.is_some() {
                break;
            }
            found = (name == wanted).then(Parts::new);
        } else if let (Some(parts), Some((keyword, value))) = (found.as_mut(), line.split_once('=')) {
            parts.insert(keyword.trim().to_owned(), value.trim().to_owned());
        }
    }
    found
}

fn target(parts: &Parts, env: &BTreeMap<String, String>) -> Result<Target, Fail> {
    let encoding = parts.get("client_encoding").map(|name| name.to_ascii_lowercase().replace('-', ""));
    if encoding.is_some_and(|name| !matches!(name.as_str(), "utf8" | "unicode" | "auto")) {
        return Err(usage("`client_encoding` must be UTF8"));
    }
    let user = match parts.get("user") {
        Some(user) => user.clone(),
        None => os_user(env).ok_or_else(|| usage("the URL names no user, and the system's cannot be told"))?,
    };
    let database = parts.get("dbname").unwrap_or(&user).clone();
    let hosts = hosts(parts, env, &user, &database)?;
    Ok(Target {
        hosts,
        options: parts.get("options").cloned(),
        connect_timeout: seconds(parts, "connect_timeout", 10)?,
        keepalives: keepalives(parts)?,
        attrs: attrs(parts)?,
        channel_binding: channel_binding(parts)?,
        user,
        database,
    })
}

fn hosts(parts: &Parts, env: &BTreeMap<String, String>, user: &str, database: &str) -> Result<Vec<Host>, Fail> {
    let list = |keyword: &str| -> Vec<String> {
        parts.get(keyword).map(|text| text.split(',').map(|part| part.trim().to_owned()).collect()).unwrap_or_default()
    };
    let (mut names, addresses, ports) = (list("host"), list("hostaddr"), list("port"));
    let count = names.len().max(addresses.len()).max(1);
    if !addresses.is_empty() && !names.is_empty() && addresses.len() != names.len() {
        return Err(usage("`host` and `hostaddr` must name the same number of servers"));
    }
    if ports.len() > 1 && ports.len() != count {
        return Err(usage("`port` must be one, or as many as there are hosts"));
    }
    names.resize(count, String::new());
    names
        .iter()
        .enumerate()
        .map(|(at, name)| {
            let port = ports.get(if ports.len() > 1 { at } else { 0 }).filter(|port| !port.is_empty());
            let port = port.map_or(Ok(5432), |port| port.parse().ok().filter(|n| *n > 0).ok_or(port));
            let port = port.map_err(|bad| usage(format!("`{}` is not a port", bad.escape_debug())))?;
            let place = place(name, addresses.get(at).map(String::as_str).unwrap_or_default(), port)?;
            let tls = tls_wish(parts, env, &place)?;
            let password = match parts.get("password") {
                Some(password) => Some(password.clone()),
                None => from_passfile(parts, env, &place, port, database, user)?,
            };
            Ok(Host { place, port, password, tls })
        })
        .collect()
}

fn place(name: &str, address: &str, port: u16) -> Result<Place, Fail> {
    if !address.is_empty() {
        let parsed =
            address.parse().map_err(|_| usage(format!("`{}` is not an IP address", address.escape_debug())))?;
        let name = if name.is_empty() { address } else { name };
        return Ok(Place::Tcp { name: name.to_owned(), address: Some(parsed) });
    }
    if name.starts_with('/') {
        return Ok(Place::Socket(PathBuf::from(name)));
    }
    if name.starts_with('@') {
        return Err(usage("abstract sockets are not supported"));
    }
    if name.is_empty() {
        let usual = ["/var/run/postgresql", "/tmp"].map(PathBuf::from);
        let there = usual.into_iter().find(|dir| dir.join(format!(".s.PGSQL.{port}")).exists());
        let local = Place::Tcp { name: "localhost".to_owned(), address: None };
        return Ok(there.map_or(local, Place::Socket));
    }
    Ok(Place::Tcp { name: name.to_owned(), address: name.parse().ok() })
}

fn is_loopback(place: &Place) -> bool {
    match place {
        Place::Socket(_) => true,
        Place::Tcp { address: Some(address), .. } => address.is_loopback(),
        Place::Tcp { name, address: None } => name == "localhost" || name.ends_with(".localhost"),
    }
}

fn tls_wish(parts: &Parts, env: &BTreeMap<String, String>, place: &Place) -> Result<TlsWish, Fail> {
    let home = |file: &str| {
        env.get("HOME").map(|home| Path::new(home).join(".postgresql").join(file)).filter(|path| path.exists())
    };
    let named = |keyword: &str| parts.get(keyword).filter(|value| !value.is_empty());
    let roots = match named("sslrootcert").map(String::as_str) {
        Some("system") => None,
        Some(file) => Some(PathBuf::from(file)),
        None => home("root.crt"),
    };
    let mode = match named("sslmode").map(String::as_str) {
        Some("disable") => SslMode::Disable,
        Some("allow") => SslMode::Allow,
        Some("prefer") => SslMode::Prefer,
        // libpq verifies against a root that is there, also when only `require` is asked.
        Some("require") if roots.is_some() => SslMode::VerifyCa,
        Some("require") => SslMode::Require,
        Some("verify-ca") => SslMode::VerifyCa,
        Some("verify-full") => SslMode::VerifyFull,
        Some(other) => return Err(one_of("sslmode", other, "disable, allow, prefer, require, verify-ca, verify-full")),
        None if is_loopback(place) => SslMode::Prefer,
        None => SslMode::VerifyFull,
    };
    // On a socket file there is no wire to protect, and servers refuse TLS there.
    let mode = if matches!(place, Place::Socket(_)) { SslMode::Disable } else { mode };
    let certificate = named("sslcert").map(PathBuf::from).or_else(|| home("postgresql.crt"));
    let key = named("sslkey").map(PathBuf::from).or_else(|| home("postgresql.key"));
    let wanted = named("sslcertmode").map(String::as_str) != Some("disable");
    Ok(TlsWish {
        mode,
        roots,
        client: certificate.zip(key).filter(|_| wanted),
        sni: named("sslsni").map(String::as_str) != Some("0"),
        direct: match named("sslnegotiation").map(String::as_str) {
            None | Some("postgres") => false,
            Some("direct") => true,
            Some(other) => return Err(one_of("sslnegotiation", other, "postgres, direct")),
        },
        only_13: named("ssl_min_protocol_version").map(String::as_str) == Some("TLSv1.3"),
    })
}

fn one_of(keyword: &str, value: &str, known: &str) -> Fail {
    usage(format!("`{}` is no value for `{keyword}`: {known}", value.escape_debug()))
}

fn attrs(parts: &Parts) -> Result<SessionAttrs, Fail> {
    match parts.get("target_session_attrs").map(String::as_str) {
        None | Some("any") => Ok(SessionAttrs::Any),
        Some("read-write") => Ok(SessionAttrs::ReadWrite),
        Some("read-only") => Ok(SessionAttrs::ReadOnly),
        Some("primary") => Ok(SessionAttrs::Primary),
        Some("standby") => Ok(SessionAttrs::Standby),
        Some("prefer-standby") => Ok(SessionAttrs::PreferStandby),
        Some(other) => {
            Err(one_of("target_session_attrs", other, "any, read-write, read-only, primary, standby, prefer-standby"))
        }
    }
}

fn channel_binding(parts: &Parts) -> Result<ChannelBinding, Fail> {
    match parts.get("channel_binding").map(String::as_str) {
        None | Some("prefer") => Ok(ChannelBinding::Prefer),
        Some("disable") => Ok(ChannelBinding::Disable),
        Some("require") => Ok(ChannelBinding::Require),
        Some(other) => Err(one_of("channel_binding", other, "disable, prefer, require")),
    }
}

/// A cut cable is seen after some six seconds unless the URL asks for other figures.
fn keepalives(parts: &Parts) -> Result<Keepalives, Fail> {
    Ok(Keepalives {
        on: number(parts, "keepalives", 1)? != 0,
        idle: seconds(parts, "keepalives_idle", 2)?,
        interval: seconds(parts, "keepalives_interval", 1)?,
        retries: u32::try_from(number(parts, "keepalives_count", 3)?).unwrap_or(3),
        user_timeout: Duration::from_millis(number(parts, "tcp_user_timeout", 6000)?),
    })
}

/// Returns a time; 0 is libpq's word for the default.
fn seconds(parts: &Parts, keyword: &str, default: u64) -> Result<Duration, Fail> {
    let given = number(parts, keyword, default)?;
    Ok(Duration::from_secs(if given == 0 { default } else { given }))
}

fn number(parts: &Parts, keyword: &str, default: u64) -> Result<u64, Fail> {
    match parts.get(keyword) {
        None => Ok(default),
        Some(text) => text
            .trim()
            .parse()
            .map_err(|_| usage(format!("`{keyword}` must be a whole number, not `{}`", text.escape_debug()))),
    }
}

/// Returns the name of the user that this process runs as.
fn os_user(env: &BTreeMap<String, String>) -> Option<String> {
    from_passwd().or_else(|| ["USER", "LOGNAME"].iter().find_map(|name| env.get(*name).cloned()))
}

#[cfg(unix)]
fn from_passwd() -> Option<String> {
    use std::os::unix::fs::MetadataExt;
    let uid = fs::metadata("/proc/self").ok()?.uid().to_string();
    let users = fs::read_to_string("/etc/passwd").ok()?;
    users.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)? == uid).then(|| name.to_owned())
    })
}

#[cfg(not(unix))]
fn from_passwd() -> Option<String> {
    None
}

fn from_passfile(
    parts: &Parts,
    env: &BTreeMap<String, String>,
    place: &Place,
    port: u16,
    database: &str,
    user: &str,
) -> Result<Option<String>, Fail> {
    let named = parts.get("passfile").map(PathBuf::from);
    let Some(file) = named.or_else(|| env.get("HOME").map(|home| Path::new(home).join(".pgpass"))) else {
        return Ok(None);
    };
    let Ok(text) = fs::read_to_string(&file) else { return Ok(None) };
    let host = match place {
        // libpq knows the default socket directories as localhost.
        Place::Socket(dir) if dir == Path::new("/var/run/postgresql") || dir == Path::new("/tmp") => {
            "localhost".to_owned()
        }
        Place::Socket(dir) => dir.display().to_string(),
        Place::Tcp { name, .. } => name.clone(),
    };
    let wanted = [host.as_str(), &port.to_string(), database, user];
    let Some(password) = text.lines().find_map(|line| passfile_line(line, &wanted)) else { return Ok(None) };
    if others_can_read(&file) {
        return Err(usage(format!("`{}` can be read by others; make it yours alone: chmod 600", file.display())));
    }
    Ok(Some(password))
}

#[cfg(unix)]
fn others_can_read(file: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    fs::metadata(file).is_ok_and(|about| about.permissions().mode() & 0o077 != 0)
}

#[cfg(not(unix))]
fn others_can_read(_: &Path) -> bool {
    false
}

/// `host:port:database:user:password`; `*` fits anything, `\` escapes a `:` or a `\`.
fn passfile_line(line: &str, wanted: &[&str; 4]) -> Option<String> {
    if line.starts_with('#') {
        return None;
    }
    let mut fields = vec![String::new()];
    let mut stars = Vec::new();
    let mut chars = line.chars();
    while let Some(c) = chars.next() {
        let count = fields.len();
        let last = &mut fields[count - 1];
        match c {
            '\\' => last.extend(chars.next()),
            ':' if count < 5 => {
                stars.push(last == "*");
                fields.push(String::new());
            }
            _ => last.push(c),
        }
    }
    let fits = fields.len() == 5 && wanted.iter().enumerate().all(|(at, want)| stars[at] || fields[at] == **want);
    if fits { fields.pop() } else { None }
}

#[cfg(test)]
mod tests;
