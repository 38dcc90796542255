//! `segue pause` and `segue resume`.

use serde::Serialize;

use crate::args::{Format, Which};
use crate::config::Config;
use crate::failure::Failure;
use crate::orders::{self, Ordered};
use crate::report;

/// What was ordered, as JSON.
#[derive(Serialize)]
struct Report<'a> {
    migration: &'a str,
    paused_by: Option<&'a str>,
    was_paused_by: Option<&'a str>,
    held_by: Option<&'a str>,
    last_beat_s: Option<u64>,
}

/// Lets a migration stand still.
pub(super) fn pause(config: &Config, which: &Which, format: Format) -> Result<(), Failure> {
    let ordered = orders::change(config, which, |orders, by| {
        orders.paused_by.get_or_insert(by);
        Ok(())
    })?;
    show(&ordered, format, paused)
}

/// Lets a paused migration go on.
pub(super) fn resume(config: &Config, which: &Which, format: Format) -> Result<(), Failure> {
    let ordered = orders::change(config, which, |orders, _| {
        orders.paused_by = None;
        Ok(())
    })?;
    show(&ordered, format, resumed)
}

fn show(ordered: &Ordered, format: Format, as_text: impl FnOnce(&Ordered) -> String) -> Result<(), Failure> {
    if format != Format::Json {
        report::line(&as_text(ordered));
        return Ok(());
    }
    report::json(&Report {
        migration: ordered.id.as_str(),
        paused_by: ordered.now.paused_by.as_deref(),
        was_paused_by: ordered.before.paused_by.as_deref(),
        held_by: ordered.runner.as_ref().map(|(holder, _)| holder.name.as_str()),
        last_beat_s: ordered.runner.as_ref().map(|(_, age_s)| *age_s),
    })
}

fn paused(ordered: &Ordered) -> String {
    let id = &ordered.id;
    let already = ordered.before.paused_by.as_ref().map(|by| format!(" already, by {by}")).unwrap_or_default();
    let follows = match ordered.runner {
        Some(_) => "it stands still before its next window or lock, within a second".to_owned(),
        None => format!("the next `segue apply {id}` will stand still"),
    };
    format!("{id}: paused{already}\n  {}; {follows}\n  go on: segue resume {id}", ordered.running())
}

fn resumed(ordered: &Ordered) -> String {
    let id = &ordered.id;
    let was = match &ordered.before.paused_by {
        Some(by) => format!("goes on; it was paused by {by}"),
        None => "was not paused".to_owned(),
    };
    let next = match ordered.runner {
        Some(_) => format!("see: segue status {id} --watch"),
        None => format!("next: segue apply {id}"),
    };
    format!("{id}: {was}\n  {}\n  {next}", ordered.running())
}
