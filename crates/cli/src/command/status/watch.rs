//! `segue status --watch`.

use std::io::IsTerminal;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::view::{self, Report};
use super::{header, look};
use crate::args::{Format, Which};
use crate::config::Config;
use crate::database::Database;
use crate::failure::Failure;
use crate::project::Project;
use crate::report;
use crate::waiter::Waiter;

/// The pause between two looks.
const EVERY: Duration = Duration::from_secs(1);

/// How often something is printed without a terminal, when nothing but figures changes.
const LINE_EVERY: Duration = Duration::from_secs(30);

/// Shows how far each migration is until Ctrl-C: as a live block on a terminal, else by lines.
pub(super) fn run(config: &Config, which: &Which, format: Format) -> Result<(), Failure> {
    let project = Project::open(&config.migrations)?;
    let mut database = Some(Database::open(config)?);
    let waiter = Waiter::new()?;
    let mut screen = Screen::new(format);
    loop {
        match once(config, &project, &mut database, which) {
            Ok((header, reports)) => screen.show(&header, &reports, which.migration.is_some())?,
            Err(failure) if failure.is_of_server() => {
                database = None;
                screen.unreachable(&failure);
            }
            Err(failure) => return Err(failure),
        }
        if waiter.wait(EVERY).is_err() {
            screen.end();
            return Ok(());
        }
    }
}

/// Looks once, and connects before that where the connection was lost.
fn once(
    config: &Config,
    project: &Project,
    database: &mut Option<Database>,
    which: &Which,
) -> Result<(String, Vec<Report>), Failure> {
    let connected = match database.take() {
        Some(connected) => connected,
        None => Database::open(config)?,
    };
    let database = database.insert(connected);
    Ok((header(database), look(config, project, database, which)?))
}

/// Where it is shown.
struct Screen {
    format: Format,
    /// The live block, on a terminal.
    block: Option<ProgressBar>,
    /// What was printed last besides figures, and when.
    printed: Option<(String, Instant)>,
}

impl Screen {
    fn new(format: Format) -> Self {
        let live = format != Format::Json && std::io::stdout().is_terminal();
        let block = live.then(|| {
            let style = ProgressStyle::with_template("{msg}").unwrap_or_else(|_| ProgressStyle::default_bar());
            ProgressBar::with_draw_target(None, ProgressDrawTarget::stdout()).with_style(style)
        });
        Self { format, block, printed: None }
    }

    fn show(&mut self, header: &str, reports: &[Report], in_full: bool) -> Result<(), Failure> {
        if let Some(block) = &self.block {
            let texts: String = reports.iter().map(|report| view::as_text(report, in_full)).collect();
            block.set_message(format!("{header}{texts}"));
            return Ok(());
        }
        if !self.is_due(view::besides_figures(reports)) {
            return Ok(());
        }
        if self.format == Format::Json {
            return report::json_line(&reports);
        }
        reports.iter().map(view::as_line).for_each(|line| report::line(&line));
        Ok(())
    }

    fn unreachable(&mut self, failure: &Failure) {
        let text = format!("the server does not answer: {failure}; trying again");
        if let Some(block) = &self.block {
            block.set_message(text);
        } else if self.is_due(text.clone()) {
            report::progress(&text);
        }
    }

    /// Returns whether this is to be printed now: it is other than before, or a while has passed.
    fn is_due(&mut self, now: String) -> bool {
        let same = |(before, at): &(String, Instant)| *before == now && at.elapsed() < LINE_EVERY;
        let due = !self.printed.as_ref().is_some_and(same);
        if due {
            self.printed = Some((now, Instant::now()));
        }
        due
    }

    /// Leaves the last block on the screen.
    fn end(&self) {
        if let Some(block) = &self.block {
            block.abandon();
        }
    }
}
