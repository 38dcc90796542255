//! A standby, made by the server's own backup functions: `pg_basebackup` comes with few builds.

use std::path::Path;

use super::account::Account;
use super::server::{PostgresOptions, PostgresServer, settings};
use super::template::copy;

impl PostgresServer {
    /// Starts a streaming standby of this server, which must be ours. Its `application_name` is `name`.
    ///
    /// # Panics
    /// When the server is not ours, or the standby does not come up.
    #[track_caller]
    pub fn standby(&self, name: &str) -> PostgresServer {
        let binaries = self.binaries().expect("only a server of ours can have a standby");
        let data = self.data_folder().expect("it is ours");
        let port = self.port().expect("it is ours");
        let mut settings = settings(&PostgresOptions::default());
        settings.push(format!("primary_conninfo=host=127.0.0.1 port={port} user=postgres application_name={name}"));
        settings.push("hot_standby=on".to_owned());
        PostgresServer::start_on(binaries, settings, |to| self.back_up(&data, to))
    }

    /// Copies the running server's data with what recovery needs to make it consistent.
    fn back_up(&self, data: &Path, to: &Path) {
        let mut session = self.connect("postgres");
        let (start, stop) = if self.major() >= 15 {
            ("SELECT pg_backup_start('standby', true)", "SELECT labelfile FROM pg_backup_stop(false)")
        } else {
            ("SELECT pg_start_backup('standby', true, false)", "SELECT labelfile FROM pg_stop_backup(false, false)")
        };
        std::fs::create_dir(to).expect("the standby's folder is ours");
        session.batch(start);
        copy(data, to);
        let label = session.value(stop).expect("a backup has a label");
        for gone in ["postmaster.pid", "postmaster.opts"] {
            std::fs::remove_file(to.join(gone)).expect("a running server has it");
        }
        for (file, content) in [("backup_label", label.as_str()), ("standby.signal", "")] {
            let path = to.join(file);
            std::fs::write(&path, content).expect("the folder is ours");
            Account::of_server().owns(&path);
        }
    }
}
