//! `segue apply --detach`: the same command as a process of its own, which outlives the terminal.

use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use segue_model::ident::MigrationId;
use segue_model::tuning::Tuning;
use serde::Serialize;

use crate::args::{Apply, Common, Format, To};
use crate::config::Config;
use crate::database::Database;
use crate::failure::Failure;
use crate::operate::Wish;
use crate::report;
use crate::waiter::Waiter;

/// Tells a process that it was detached, and holds what was set for its run as JSON: an address or a query among it may
/// hold a secret, which nobody should see in a list of processes.
const VARIABLE: &str = "SEGUE_DETACHED";

/// Where logs go, in the folder where the command was typed.
const FOLDER: &str = ".segue";

/// A run that ends so soon is waited for, and what it says is shown.
const SOON: Duration = Duration::from_secs(1);

/// The longest wait until the run has the lease, so that `segue wait` finds it.
const TAKES_LEASE: Duration = Duration::from_secs(10);

/// The end of a log that is shown.
const TAIL_LINES: usize = 20;

/// The most bytes of a log that are read for that.
const TAIL_BYTES: u64 = 64 * 1024;

/// What was started, as JSON.
#[derive(Serialize)]
struct Report<'a> {
    migration: &'a str,
    pid: u32,
    log: String,
    finished: bool,
    wait: String,
}

/// Returns the wish of this process: in a detached one, which leaves its terminal here, what it was started with.
///
/// # Errors
/// Exit code 2 when the variable holds something else.
pub(super) fn arrive(config: &Config, typed: Wish) -> Result<Wish, Failure> {
    let Some(text) = config.environment.get(VARIABLE) else { return Ok(typed) };
    // It fails only for the leader of a session: then there is no terminal to leave.
    #[cfg(unix)]
    let _ = rustix::process::setsid();
    let tuning = serde_json::from_str(text)
        .map_err(|_| Failure::usage(format!("{VARIABLE} is set, and not by `segue apply --detach`: unset it")))?;
    Ok(Wish { tuning, ..typed })
}

/// Starts the same command as a process of its own, and says how to follow it.
///
/// # Errors
/// What that process failed with, when it did so within its first second.
pub(super) fn run(
    config: &Config,
    typed: &Apply,
    common: &Common,
    database: &mut Database,
    ids: &[MigrationId],
    tuning: &Tuning,
    format: Format,
) -> Result<(), Failure> {
    let (Some(first), Some(last)) = (ids.first(), ids.last()) else { return Ok(()) };
    let mut waiter = Waiter::new()?;
    let (path, log) = open_log(first)?;
    let begins = log.metadata().map_or(0, |metadata| metadata.len());
    let mut child = start(config, typed, common, tuning, log)?;
    // Before it is watched: whoever stops the watching with Ctrl-C must know what goes on without them.
    report::progress(&format!("{first}: started as process {}; its log is {}", child.id(), path.display()));
    let ended = watch(&mut child, &mut waiter, database, first)?;
    let tail = || tail(&path, begins);
    if let Some(status) = ended.filter(|status| !status.success()) {
        return Err(failed(status, &path).report(tail()));
    }
    let until = until(typed.to);
    let report = Report {
        migration: first.as_str(),
        pid: child.id(),
        log: path.display().to_string(),
        finished: ended.is_some(),
        wait: format!("segue wait {last} --until {until}"),
    };
    match format {
        Format::Json => report::json(&report),
        Format::Text | Format::Sql => {
            report::line(&as_text(&report, &tail()));
            Ok(())
        }
    }
}

fn as_text(report: &Report<'_>, tail: &str) -> String {
    let (id, log) = (report.migration, &report.log);
    if report.finished {
        return format!("{id}: finished already; its log is {log}\n{tail}");
    }
    format!(
        "{id}: goes on in the background as process {}; its log is {log}\n  wait:  {}\n  watch: segue status {id} --watch",
        report.pid, report.wait
    )
}

fn until(to: Option<To>) -> &'static str {
    match to {
        Some(To::Expand) => "expand",
        Some(To::Ready) | None => "ready",
        Some(To::Flip) => "flip",
    }
}

fn open_log(id: &MigrationId) -> Result<(PathBuf, File), Failure> {
    let folder = Path::new(FOLDER);
    let path = folder.join(format!("{id}.log"));
    let cannot = |error: std::io::Error| {
        Failure::usage(format!("`{}` cannot be written: {error}", path.display()))
            .hint("The log of a detached run goes there: type the command in a folder that takes files.")
    };
    if !folder.is_dir() {
        std::fs::create_dir(folder).map_err(cannot)?;
        std::fs::write(folder.join(".gitignore"), "*\n").map_err(cannot)?;
    }
    let mut options = OpenOptions::new();
    // Rows that could not be converted and what a server says are nobody else's business.
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let log = options.create(true).append(true).open(&path).map_err(cannot)?;
    Ok((path, log))
}

fn start(config: &Config, typed: &Apply, common: &Common, tuning: &Tuning, log: File) -> Result<Child, Failure> {
    let cannot = |error: std::io::Error| Failure::server(format!("the detached run cannot be started: {error}"));
    let settings = serde_json::to_string(tuning).map_err(|error| Failure::bug(error.to_string()))?;
    let mut command = Command::new(std::env::current_exe().map_err(cannot)?);
    command.arg("apply").args(&typed.which.migration);
    for (option, value) in [("--plan", &typed.plan), ("--dir", &common.dir), ("--config", &common.config)] {
        if let Some(value) = value {
            command.arg(option).arg(value);
        }
    }
    if typed.to.is_some() {
        command.args(["--to", until(typed.to)]);
    }
    if typed.complete {
        command.arg("--complete");
    }
    // A URL may hold a password: like the settings, it goes by the environment.
    if let Some(url) = &config.database_url {
        command.env("DATABASE_URL", url);
    }
    command.env(VARIABLE, settings).stdin(Stdio::null());
    command.stdout(log.try_clone().map_err(cannot)?).stderr(log);
    command.spawn().map_err(cannot)
}

/// Waits a moment; returns how the run ended, if it did.
fn watch(
    child: &mut Child,
    waiter: &mut Waiter,
    database: &mut Database,
    id: &MigrationId,
) -> Result<Option<ExitStatus>, Failure> {
    loop {
        let ended = child.try_wait().map_err(|error| Failure::bug(format!("the run cannot be watched: {error}")))?;
        let is_begun = waiter.waited() >= SOON && (has_lease(database, id) || waiter.waited() >= TAKES_LEASE);
        if ended.is_some() || is_begun {
            return Ok(ended);
        }
        waiter.pause(None)?;
    }
}

/// Returns whether somebody runs the migration; what cannot be asked is not known, and no reason to stop watching.
fn has_lease(database: &mut Database, id: &MigrationId) -> bool {
    let journal = database.connector.journal();
    let session = database.session.as_mut();
    journal.exists(session).unwrap_or(false) && journal.holder(session, id).is_ok_and(|holder| holder.is_some())
}

fn failed(status: ExitStatus, log: &Path) -> Failure {
    let code = status.code().and_then(|code| u8::try_from(code).ok());
    let message = match code {
        Some(code) => format!("the detached run ended at once with exit code {code}"),
        None => "the detached run was ended by a signal".to_owned(),
    };
    Failure::of_run(code.unwrap_or(3), message).hint(format!("Its log is {}.", log.display()))
}

/// Returns the last lines that a run wrote to a log that had `begins` bytes before.
fn tail(log: &Path, begins: u64) -> String {
    let read = || -> std::io::Result<Vec<u8>> {
        let mut file = File::open(log)?;
        let end = file.metadata()?.len();
        file.seek(SeekFrom::Start(begins.max(end.saturating_sub(TAIL_BYTES))))?;
        let mut bytes = Vec::new();
        file.take(TAIL_BYTES).read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    let bytes = read().unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes);
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(TAIL_LINES)..].join("\n")
}
