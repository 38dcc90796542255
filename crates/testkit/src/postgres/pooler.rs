//! A pooler in front of a server: what changes hands between a client's transactions.

use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::account::Account;
use super::server::{PostgresServer, free_port};
use crate::process::signal;
use crate::requirement::skipped;

/// Where Debian puts it.
const PROGRAM: &str = "/usr/sbin/pgbouncer";

/// How long it may take to listen.
const STARTS_WITHIN: Duration = Duration::from_secs(10);

/// A private `PgBouncer`; ends when dropped.
#[derive(Debug)]
pub struct Pooler {
    process: Child,
    port: u16,
    _folder: TempDir,
}

impl Pooler {
    /// Starts one in front of `server`, with this `pool_mode` (`transaction`, `session`); `None`, and a line that says so,
    /// where none is installed.
    ///
    /// # Panics
    /// When it does not start.
    #[track_caller]
    pub fn start(server: &PostgresServer, pool_mode: &str) -> Option<Self> {
        if !Path::new(PROGRAM).is_file() {
            skipped("pgbouncer");
            return None;
        }
        let behind = server.port().expect("a private server has a port");
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let (ini, users, port) = (folder.path().join("pgbouncer.ini"), folder.path().join("users.txt"), free_port());
        let text = format!(
            "[databases]\n* = host=127.0.0.1 port={behind}\n[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\n\
             unix_socket_dir =\nauth_type = trust\nauth_file = {}\npool_mode = {pool_mode}\ndefault_pool_size = 4\n\
             server_idle_timeout = 1\nlogfile = {}\n",
            users.display(),
            folder.path().join("log").display()
        );
        std::fs::write(&ini, text).expect("our own folder takes files");
        std::fs::write(&users, "\"postgres\" \"\"\n").expect("our own folder takes files");
        std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755)).expect("it was made just now");
        let account = Account::of_server();
        account.owns(folder.path());
        let mut command = Command::new(PROGRAM);
        account.applied(&mut command);
        let process = command.arg(&ini).current_dir("/").stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        let process = process.unwrap_or_else(|error| panic!("{PROGRAM} does not start: {error}"));
        let pooler = Self { process, port, _folder: folder };
        pooler.wait();
        Some(pooler)
    }

    #[track_caller]
    fn wait(&self) {
        let began = Instant::now();
        while TcpStream::connect(("127.0.0.1", self.port)).is_err() {
            assert!(began.elapsed() < STARTS_WITHIN, "{PROGRAM} does not listen");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Returns the URL of a server's database through this pooler.
    pub fn through(&self, server: &PostgresServer, url: &str) -> String {
        let behind = server.port().expect("a private server has a port");
        url.replace(&format!(":{behind}"), &format!(":{}", self.port))
    }
}

impl Drop for Pooler {
    fn drop(&mut self) {
        signal(self.process.id(), "KILL");
        // Nothing is left to be done where it has ended already.
        let _ = self.process.wait();
    }
}
