//! A small process that cleans up after a server when the test process is gone, also by SIGKILL.

use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// Holds the writing end of the supervisor's pipe. The kernel closes it with our process; drop closes it before.
#[derive(Debug)]
pub(super) struct Supervisor {
    child: Child,
}

impl Supervisor {
    /// Starts one for the server whose data is in `home/data`. When it ends, `home` is gone.
    pub(super) fn watch(home: &Path) -> Self {
        let child = Command::new("sh")
            .args(["-c", include_str!("supervisor.sh"), "segue-testkit-supervisor"])
            .arg(home)
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            // Ctrl-C goes to the whole group of the terminal: this one must stay to clean up.
            .process_group(0)
            .spawn()
            .expect("every system has `sh`");
        Self { child }
    }
}

impl Drop for Supervisor {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        // Nothing to do for a supervisor that somebody killed.
        drop(self.child.wait());
    }
}
