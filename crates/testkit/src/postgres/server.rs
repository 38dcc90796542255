//! One server: started by us on a free port, or given by `SEGUE_TEST_POSTGRES`.

use std::fs::File;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::account::Account;
use super::binaries::Binaries;
use super::supervisor::Supervisor;
use super::template;
use crate::client::{Client, quoted};
use crate::process::signal;

/// The password of every role that a test makes.
pub const PASSWORD: &str = "p@ss/word";

/// A private server asks this role, and no other, for its password.
pub const PASSWORD_ROLE: &str = "needs_password";

/// A server that is not up by then will not come up.
const START_LIMIT: Duration = Duration::from_secs(60);

/// How a private server is set up. The default is fast and forgets on a power cut.
#[derive(Debug, Clone, Copy)]
pub struct PostgresOptions<'a> {
    /// Writes reach the disk: for benches.
    pub fsync: bool,
    /// `minimal`, `replica` or `logical`.
    pub wal_level: &'a str,
    /// `max_connections`.
    pub max_connections: u32,
    /// A system identifier that no other server has; costs an `initdb`.
    pub own_identity: bool,
    /// Further settings.
    pub extra: &'a [(&'a str, &'a str)],
}

impl Default for PostgresOptions<'_> {
    fn default() -> Self {
        Self { fsync: false, wal_level: "replica", max_connections: 100, own_identity: false, extra: &[] }
    }
}

/// A PostgreSQL server. A private one stops when this is dropped, or when the process ends in whatever way.
#[derive(Debug)]
pub struct PostgresServer {
    major: u32,
    /// `postgres://user:password@host:port`, and what follows the database's name.
    address: (String, String),
    private: Option<Private>,
}

/// What there is of a server only when it is ours.
#[derive(Debug)]
struct Private {
    process: Mutex<Running>,
    _supervisor: Supervisor,
    home: PathBuf,
    port: u16,
    settings: Vec<String>,
    binaries: Binaries,
}

/// The server's process; `None` while it is stopped.
#[derive(Debug)]
struct Running(Option<Child>);

impl PostgresServer {
    /// Starts a server of its own.
    ///
    /// # Panics
    /// When it does not start; the message holds its log.
    #[track_caller]
    pub fn start(binaries: &Binaries, options: &PostgresOptions<'_>) -> Self {
        Self::start_on(binaries, settings(options), |data| {
            template::data(binaries, data, options.own_identity);
        })
    }

    /// Starts a server on the data that `fill` puts into a folder which does not exist yet.
    #[track_caller]
    pub(super) fn start_on(binaries: &Binaries, settings: Vec<String>, fill: impl FnOnce(&Path)) -> Self {
        let home =
            tempfile::Builder::new().prefix("segue-pg-").tempdir().expect("a temporary folder can be made").keep();
        let supervisor = Supervisor::watch(&home);
        std::fs::set_permissions(&home, std::fs::Permissions::from_mode(0o700)).expect("it was made just now");
        Account::of_server().owns(&home);
        fill(&home.join("data"));
        let mut private = Private {
            process: Mutex::new(Running(None)),
            _supervisor: supervisor,
            home,
            port: 0,
            settings,
            binaries: binaries.clone(),
        };
        private.start_on_free_port();
        let address = (format!("postgres://postgres@127.0.0.1:{}", private.port), String::new());
        Self { major: binaries.major(), address, private: Some(private) }
    }

    /// Returns the server that `SEGUE_TEST_POSTGRES` names.
    ///
    /// # Panics
    /// When it names one that does not let us in.
    #[track_caller]
    pub(super) fn given() -> Option<Self> {
        let url = std::env::var("SEGUE_TEST_POSTGRES").ok().filter(|url| !url.is_empty())?;
        let number = Client::connect(&url).value("SHOW server_version_num").expect("a server knows its version");
        let major = number.parse::<u32>().expect("server_version_num is a number") / 10_000;
        Some(Self { major, address: split(&url), private: None })
    }

    /// Returns the major version.
    pub fn major(&self) -> u32 {
        self.major
    }

    /// Returns the URL of a database, as superuser.
    pub fn url(&self, database: &str) -> String {
        format!("{}/{}{}", self.address.0, percent_encoded(database), self.address.1)
    }

    /// Connects to a database as superuser.
    ///
    /// # Panics
    /// When the server does not let us in.
    #[track_caller]
    pub fn connect(&self, database: &str) -> Client {
        Client::connect(&self.url(database))
    }

    /// Creates an empty database and returns its URL, as superuser. It goes away with a server of ours, and
    /// stays in a given one.
    ///
    /// # Panics
    /// When the server refuses.
    #[track_caller]
    pub fn database(&self) -> String {
        self.url(&self.new_database(None))
    }

    /// Creates an empty database that belongs to `role` and returns its URL as this role, which is created where it does
    /// not exist: no superuser, with the password [`PASSWORD`]. Roles are shared by all databases of a server.
    ///
    /// # Panics
    /// When the server refuses.
    #[track_caller]
    pub fn database_as(&self, role: &str) -> String {
        self.role(role);
        self.as_role(&self.url(&self.new_database(Some(role))), role)
    }

    /// Copies a database to which nobody is connected, and returns the copy's URL, as superuser.
    ///
    /// # Panics
    /// When the server refuses.
    #[track_caller]
    pub fn copy_of(&self, url: &str) -> String {
        let original = Client::connect(url).value("SELECT current_database()").expect("a session has a database");
        let name = new_name();
        let sql = format!("CREATE DATABASE {} TEMPLATE {}", quoted(&name), quoted(&original));
        let mut client = self.connect("postgres");
        // A session that was closed just now may still count.
        for _ in 0..100 {
            match client.try_batch(&sql) {
                Ok(()) => return self.url(&name),
                Err(error) if error.code == "55006" => std::thread::sleep(Duration::from_millis(20)),
                Err(error) => panic!("{error}\n{sql}"),
            }
        }
        panic!("somebody is connected to `{original}`");
    }

    /// Creates a role that may log in and do nothing else, with the password [`PASSWORD`], unless it exists.
    ///
    /// # Panics
    /// When the server refuses.
    #[track_caller]
    pub fn role(&self, role: &str) {
        let sql = format!("CREATE ROLE {} LOGIN PASSWORD '{PASSWORD}'", quoted(role));
        match self.connect("postgres").try_batch(&sql) {
            // 42710 duplicate_object; 23505 when two sessions create it at once.
            Err(error) if !matches!(error.code.as_str(), "42710" | "23505") => panic!("{error}\n{sql}"),
            Ok(()) | Err(_) => {}
        }
    }

    /// Returns the URL of the same database as another role, with the password [`PASSWORD`].
    #[must_use]
    pub fn as_role(&self, url: &str, role: &str) -> String {
        let (scheme, rest) = url.split_once("://").unwrap_or(("postgres", url));
        let host = rest.split_once('@').map_or(rest, |(_, host)| host);
        format!("{scheme}://{}:{}@{host}", percent_encoded(role), percent_encoded(PASSWORD))
    }

    /// Returns the postmaster's process id; `None` when the server is not ours or stopped.
    pub fn pid(&self) -> Option<u32> {
        let running = self.private.as_ref()?.process.lock().unwrap_or_else(PoisonError::into_inner);
        running.0.as_ref().map(Child::id)
    }

    /// Returns the folder of its data; `None` when the server is not ours.
    pub fn data_folder(&self) -> Option<PathBuf> {
        self.private.as_ref().map(|private| private.home.join("data"))
    }

    /// Returns the port; `None` when the server is not ours.
    pub fn port(&self) -> Option<u16> {
        self.private.as_ref().map(|private| private.port)
    }

    /// Returns the programs; `None` when the server is not ours.
    pub fn binaries(&self) -> Option<&Binaries> {
        self.private.as_ref().map(|private| &private.binaries)
    }

    /// Stops it at once, as a crash does: every session is cut, the next start recovers.
    ///
    /// # Panics
    /// When the server is not ours.
    #[track_caller]
    pub fn stop(&self) {
        self.private().process.lock().unwrap_or_else(PoisonError::into_inner).stop("QUIT");
    }

    /// Stops it in order: sessions are ended, the standby gets everything, then it goes.
    ///
    /// # Panics
    /// When the server is not ours.
    #[track_caller]
    pub fn stop_in_order(&self) {
        self.private().process.lock().unwrap_or_else(PoisonError::into_inner).stop("INT");
    }

    /// Stops it at once and starts it again on the same port.
    ///
    /// # Panics
    /// When the server is not ours, or does not come up.
    #[track_caller]
    pub fn restart(&self) {
        self.stop();
        self.resume();
    }

    /// Starts it on the same port after a stop.
    ///
    /// # Panics
    /// When the server is not ours, or does not come up.
    #[track_caller]
    pub fn resume(&self) {
        self.private().launch().unwrap_or_else(|log| panic!("PostgreSQL {} does not come up\n{log}", self.major));
    }

    #[track_caller]
    fn private(&self) -> &Private {
        self.private.as_ref().expect("only a server of ours can be stopped: take one by PostgresServer::start")
    }

    #[track_caller]
    fn new_database(&self, owner: Option<&str>) -> String {
        let name = new_name();
        let owner = owner.map(|role| format!(" OWNER {}", quoted(role))).unwrap_or_default();
        self.connect("postgres").batch(&format!("CREATE DATABASE {}{owner}", quoted(&name)));
        name
    }
}

impl Private {
    /// A port that is free now may be taken in a moment, by another test process: then another one is tried.
    #[track_caller]
    fn start_on_free_port(&mut self) {
        let mut log = String::new();
        for _ in 0..5 {
            self.port = free_port();
            match self.launch() {
                Ok(()) => return,
                Err(said) => log = said,
            }
        }
        panic!("PostgreSQL {} does not start\n{log}", self.binaries.major());
    }

    /// Starts the server and waits until it answers; the error is the end of its log.
    fn launch(&self) -> Result<(), String> {
        let path = self.home.join("log");
        let log = File::options().create(true).append(true).open(&path).expect("the folder is ours");
        let log_too = log.try_clone().expect("an open file can be had twice");
        let mut command = self.binaries.command("postgres");
        command.arg("-D").arg(self.home.join("data")).arg("-k").arg(&self.home).args(["-p", &self.port.to_string()]);
        for setting in &self.settings {
            command.args(["-c", setting]);
        }
        // A group of its own: Ctrl-C is the supervisor's to answer.
        command.stdin(Stdio::null()).stdout(log).stderr(log_too).process_group(0);
        let child = command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let mut running = self.process.lock().unwrap_or_else(PoisonError::into_inner);
        running.stop("QUIT");
        running.0 = Some(child);
        running.wait_until_ready(self.port).map_err(|()| tail(&path))
    }
}

impl Running {
    fn wait_until_ready(&mut self, port: u16) -> Result<(), ()> {
        let url = format!("postgres://postgres@127.0.0.1:{port}/postgres?connect_timeout=5");
        let limit = Instant::now() + START_LIMIT;
        while Instant::now() < limit {
            let child = self.0.as_mut().ok_or(())?;
            if !matches!(child.try_wait(), Ok(None)) {
                break;
            }
            if Client::try_connect(&url).is_ok() {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        self.stop("QUIT");
        Err(())
    }

    /// Sends the signal and waits; a server that does not go within ten seconds is killed.
    fn stop(&mut self, name: &str) {
        let Some(mut child) = self.0.take() else { return };
        signal(child.id(), name);
        let limit = Instant::now() + Duration::from_secs(10);
        while matches!(child.try_wait(), Ok(None)) {
            if Instant::now() > limit {
                // It may have gone in this moment; the wait below settles it.
                drop(child.kill());
                break;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        drop(child.wait());
    }
}

impl Drop for Private {
    fn drop(&mut self) {
        // The supervisor goes next, as a field: it finds no server and removes the folder.
        self.process.lock().unwrap_or_else(PoisonError::into_inner).stop("QUIT");
    }
}

/// Returns a name that no database of this run has.
fn new_name() -> String {
    static MADE: AtomicU32 = AtomicU32::new(0);
    format!("segue_test_{}_{}", std::process::id(), MADE.fetch_add(1, Ordering::Relaxed))
}

/// Returns the settings as `name=value`.
pub(super) fn settings(options: &PostgresOptions<'_>) -> Vec<String> {
    let on = |yes: bool| if yes { "on" } else { "off" }.to_owned();
    let mut pairs = vec![
        ("listen_addresses", "127.0.0.1".to_owned()),
        ("fsync", on(options.fsync)),
        ("full_page_writes", on(options.fsync)),
        ("max_connections", options.max_connections.to_string()),
        ("shared_buffers", "256MB".to_owned()),
        ("wal_level", options.wal_level.to_owned()),
        ("max_wal_size", "4GB".to_owned()),
        ("timezone", "UTC".to_owned()),
        ("log_line_prefix", "%m [%p] %q%a ".to_owned()),
    ];
    if options.wal_level == "minimal" {
        pairs.push(("max_wal_senders", "0".to_owned()));
    } else {
        // A standby that starts late still finds what it needs.
        pairs.push(("wal_keep_size", "256MB".to_owned()));
    }
    pairs.extend(options.extra.iter().map(|(name, value)| (*name, (*value).to_owned())));
    pairs.into_iter().map(|(name, value)| format!("{name}={value}")).collect()
}

pub(super) fn free_port() -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port of the loopback can be had");
    listener.local_addr().expect("a bound socket knows its port").port()
}

fn tail(path: &Path) -> String {
    let log = std::fs::read_to_string(path).unwrap_or_default();
    let lines: Vec<&str> = log.lines().collect();
    lines[lines.len().saturating_sub(30)..].join("\n")
}

/// Splits a URL before and after the database's name.
fn split(url: &str) -> (String, String) {
    let (path, query) = url.split_once('?').map_or((url, String::new()), |(path, query)| (path, format!("?{query}")));
    let authority = path.find("://").map_or(0, |at| at + 3);
    let end = path[authority..].find('/').map_or(path.len(), |at| authority + at);
    (path[..end].to_owned(), query)
}

fn percent_encoded(text: &str) -> String {
    let kept = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte);
    text.bytes().map(|byte| if kept(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect()
}

#[cfg(test)]
mod tests {
    use super::{percent_encoded, split};

    #[test]
    fn a_url_is_split_at_the_database() {
        assert_eq!(
            split("postgres://u:p@h:1/db?sslmode=disable"),
            ("postgres://u:p@h:1".into(), "?sslmode=disable".into())
        );
        assert_eq!(split("postgres://h"), ("postgres://h".into(), String::new()));
    }

    #[test]
    fn hostile_names_pass_through_a_url() {
        assert_eq!(percent_encoded(r#"we"ird é"#), "we%22ird%20%C3%A9");
    }
}
