//! Processes by their number.

use std::process::{Command, Stdio};

/// Sends a signal (`KILL`, `QUIT`, `STOP`, `INT`) and returns whether the process was there to take it.
pub fn signal(pid: u32, name: &str) -> bool {
    sh(r#"kill "-$1" "$2""#, &[name, &pid.to_string()])
}

/// Returns whether the process lives. One that has ended and was not waited for yet lives too.
pub fn is_alive(pid: u32) -> bool {
    sh(r#"kill -0 "$1""#, &[&pid.to_string()])
}

/// Runs a script by `sh`, whose `kill` is built in: a small system has no program of that name.
fn sh(script: &str, arguments: &[&str]) -> bool {
    let status = Command::new("sh")
        .args(["-c", script, "sh"])
        .args(arguments)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    status.is_ok_and(|status| status.success())
}
