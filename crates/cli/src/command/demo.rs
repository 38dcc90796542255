//! `segue demo`: a change under live traffic, on a scratch database.

mod place;
mod story;

use serde::Serialize;

use crate::args::Format;
use crate::config::Config;
use crate::failure::Failure;
use crate::report;

/// What came of the demo.
#[derive(Debug, Serialize)]
struct Figures {
    engine: &'static str,
    rows: u64,
    requests: u64,
    failed_requests: u64,
    lost_writes: u64,
    wrong_rows: u64,
    p99_ms: f64,
    max_stall_ms: f64,
    baseline_max_ms: f64,
    phases: Vec<Phase>,
    /// The first failures, losses and wrong rows, in words.
    #[serde(skip)]
    details: Vec<String>,
}

/// One stretch of the demo.
#[derive(Debug, Serialize)]
struct Phase {
    phase: String,
    seconds: f64,
    #[serde(skip)]
    max_ms: f64,
}

/// Splits `first_name, last_name` into `full_name` under the traffic of both versions: back once, then to the end.
pub(super) fn run(config: &Config, rows: u64, format: Format) -> Result<(), Failure> {
    let mut story = story::Story::new(place::Scratch::new(config)?, config)?;
    let told = story.tell(rows);
    let removed = story.end();
    let figures = told?;
    removed?;
    match format {
        Format::Json => report::json(&figures)?,
        Format::Text | Format::Sql => report::line(&as_text(&figures)),
    }
    judge(&figures)
}

fn judge(figures: &Figures) -> Result<(), Failure> {
    if figures.failed_requests + figures.lost_writes + figures.wrong_rows == 0 {
        return Ok(());
    }
    let failure = Failure::verification("the clients saw something that they should not have seen");
    Err(failure.report(figures.details.join("\n")))
}

fn as_text(figures: &Figures) -> String {
    let mut text = format!(
        "\n{}, {} rows: {} requests of both versions while the schema changed, went back, and changed again\n\
         \n  failed requests  {}\n  lost writes      {}\n  wrong rows       {}\n\
         \n  p99              {:.1} ms\n  longest stall    {:.1} ms ({:.1} ms before anything changed)\n\n",
        figures.engine,
        figures.rows,
        figures.requests,
        figures.failed_requests,
        figures.lost_writes,
        figures.wrong_rows,
        figures.p99_ms,
        figures.max_stall_ms,
        figures.baseline_max_ms,
    );
    for phase in &figures.phases {
        text.push_str(&format!(
            "  {:<22} {:>6.1} s   longest stall {:>6.1} ms\n",
            phase.phase, phase.seconds, phase.max_ms
        ));
    }
    text
}
