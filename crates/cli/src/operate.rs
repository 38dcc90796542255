//! Running a plan for a command: lease holder, Ctrl-C, progress, failures, and what a state means to people.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::path::Path;
use std::sync::Arc;

use segue_execute::{Options, Run, RunError, Stop};
use segue_model::ident::MigrationId;
use segue_model::journal::State;
use segue_model::session::Connector;
use segue_model::tuning::Tuning;

use crate::config::Config;
use crate::failure::Failure;
use crate::http_check;
use crate::progress::Show;
use crate::verified::verified;

/// What runs of this process share: the wish to stop, what shows progress, and who we are.
pub(crate) struct Operator {
    /// Ctrl-C.
    pub(crate) stop: Arc<Stop>,
    show: Show,
    options: Options,
}

/// What was typed for one run alone.
#[derive(Debug, Default)]
pub(crate) struct Wish {
    /// How fast it goes and what holds it back, over what the file says.
    pub(crate) tuning: Tuning,
    /// Lazy backfills are brought to their end.
    pub(crate) complete: bool,
}

impl Operator {
    /// Returns the process's operator; from now on Ctrl-C stops its runs. One a process.
    ///
    /// # Errors
    /// Exit code 70 when the handler cannot be set.
    pub(crate) fn new(config: &Config, wish: Wish) -> Result<Self, Failure> {
        let stop = Arc::new(Stop::new());
        let on_signal = Arc::clone(&stop);
        ctrlc::set_handler(move || on_signal.request())
            .map_err(|error| Failure::bug(format!("the handler for Ctrl-C cannot be set: {error}")))?;
        let options = Options {
            holder: format!("{} {}", holder(config), mark()),
            cool_down: config.cool_down,
            tuning: wish.tuning.over(config.tuning.clone()),
            complete: wish.complete,
            http: Some(http_check::check),
            ..Options::default()
        };
        Ok(Self { stop, show: Show::new(), options })
    }

    /// Returns a run.
    pub(crate) fn run<'a>(&'a self, connector: &'a dyn Connector) -> Run<'a> {
        Run { connector, observer: &self.show, stop: &self.stop, options: self.options.clone() }
    }

    /// Prints a line that stays.
    pub(crate) fn say(&self, line: &str) {
        self.show.say(line);
    }

    /// Takes the live block away.
    pub(crate) fn finish(&self) {
        self.show.finish();
    }
}

/// Does `work` with a run that shows its progress and stops on Ctrl-C.
///
/// # Errors
/// What `work` failed with.
pub(crate) fn run<T>(
    connector: &dyn Connector,
    config: &Config,
    work: impl FnOnce(&Run<'_>) -> Result<T, Failure>,
) -> Result<T, Failure> {
    run_as(connector, config, Wish::default(), work)
}

/// As [`run`], with what was typed for this run alone.
///
/// # Errors
/// What `work` failed with.
pub(crate) fn run_as<T>(
    connector: &dyn Connector,
    config: &Config,
    wish: Wish,
    work: impl FnOnce(&Run<'_>) -> Result<T, Failure>,
) -> Result<T, Failure> {
    let operator = Operator::new(config, wish)?;
    let result = work(&operator.run(connector));
    operator.finish();
    result
}

/// Returns who we are, for people: host, user and process.
pub(crate) fn holder(config: &Config) -> String {
    let host = std::fs::read_to_string("/etc/hostname").unwrap_or_default();
    let host = [host.trim(), "this host"].into_iter().find(|name| !name.is_empty()).unwrap_or_default();
    let user = config.environment.get("USER").or_else(|| config.environment.get("LOGNAME"));
    format!("{host} {} {}", user.map_or("-", String::as_str), std::process::id())
}

/// Returns what tells us from a process of the same host, user and number: two containers may agree in all three.
fn mark() -> String {
    // The standard library seeds its hashes from the operating system.
    let drawn = RandomState::new().build_hasher().finish();
    format!("#{:04x}", drawn & 0xffff)
}

/// Returns a run's error as the user is told it.
pub(crate) fn failure(error: RunError) -> Failure {
    let code = error.exit_code();
    let mut message = error.to_string();
    let mut source = std::error::Error::source(&error);
    while let Some(cause) = source {
        message = format!("{message}: {cause}");
        source = cause.source();
    }
    let report = match &error {
        RunError::Changed { diff, .. } | RunError::Drift { diff, .. } => Some(diff.clone()),
        RunError::Verification { report, .. } => Some(verified(report)),
        _ => None,
    };
    let failure = Failure::of_run(code, message).hint(error.hint());
    match report {
        Some(report) => failure.report(report),
        None => failure,
    }
}

/// Returns what a state means, in a user's words. `no_way_back`: cleanup has destroyed something already.
pub(crate) fn meaning(state: State, no_way_back: bool) -> &'static str {
    match state {
        State::Contracted if no_way_back => {
            "cleanup is under way: the old shape is not kept right any more, and there is no way back"
        }
        State::RolledBack => "rolled back; everything is as before",
        State::RollingBack => "rolling back; not finished",
        State::Started => "started; not finished",
        State::Expanded => "expanded; the new shape is there, empty",
        State::Ready => "ready; both shapes are right and verified, the new version may be deployed",
        State::Flipped => "flipped; the new shape is the truth, the old one is kept right",
        State::Contracted => "contracted; the old shape is hidden, still kept right",
        State::Done => "done",
    }
}

/// Returns what is to be typed next.
pub(crate) fn next(id: &MigrationId, state: State) -> Option<String> {
    Some(match state {
        State::RolledBack | State::Done => return None,
        State::RollingBack => format!("segue rollback {id}"),
        State::Started | State::Expanded => format!("segue apply {id}"),
        State::Ready => format!("deploy the new version beside the old one, then: segue flip {id}"),
        State::Flipped => format!("stop the old version, then: segue contract {id} --old-version-stopped"),
        State::Contracted => format!("segue cleanup {id} --yes --i-checked-references"),
    })
}

/// Returns what is to be typed next where rows are left to whoever touches them.
pub(crate) fn complete(id: &MigrationId) -> String {
    format!("segue apply {id} --complete")
}

/// Returns how a migration is taken back from where it is; `no_way_back` as in [`meaning`].
pub(crate) fn back(id: &MigrationId, state: State, no_way_back: bool) -> Option<String> {
    Some(match state {
        State::RolledBack | State::RollingBack => return None,
        State::Started | State::Expanded | State::Ready | State::Flipped | State::Contracted if no_way_back => {
            return None;
        }
        State::Started | State::Expanded => format!("segue rollback {id}"),
        State::Ready | State::Flipped | State::Contracted => {
            format!("stop the new version, then: segue rollback {id} --new-version-stopped")
        }
        State::Done if id.reverses().is_some() => return None,
        State::Done => format!("segue down {id}"),
    })
}

/// Returns the text of a file as the user named it.
///
/// # Errors
/// Exit code 2.
pub(crate) fn read_text(path: &Path) -> Result<String, Failure> {
    std::fs::read_to_string(path)
        .map_err(|error| Failure::usage(format!("`{}` cannot be read: {error}", path.display())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_is_short_and_another_each_time() {
        let marks: std::collections::BTreeSet<String> = (0..20).map(|_| mark()).collect();
        assert!(marks.len() > 15 && marks.iter().all(|mark| mark.len() == 5), "{marks:?}");
    }
}
