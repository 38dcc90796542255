//! `segue tune`.

use std::collections::BTreeMap;

use segue_model::tuning::Tuning;
use segue_model::tuning_text::KEYS;
use serde::Serialize;

use crate::args::{Format, Which};
use crate::config::Config;
use crate::failure::Failure;
use crate::orders::{self, Ordered};
use crate::report;
use crate::tuning::{set_pair, shown};

/// Where a setting comes from.
#[derive(Debug, Clone, Copy, Serialize)]
#[serde(rename_all = "snake_case")]
enum From {
    /// `segue tune`.
    Order,
    /// `segue.toml`.
    File,
    /// Nobody set it.
    Default,
}

/// What is in force, as JSON.
#[derive(Serialize)]
struct Report<'a> {
    migration: &'a str,
    settings: BTreeMap<&'static str, Setting>,
    held_by: Option<&'a str>,
    last_beat_s: Option<u64>,
}

#[derive(Serialize)]
struct Setting {
    value: String,
    from: From,
}

/// Shows or changes how fast a migration goes and what holds it back.
pub(super) fn run(config: &Config, words: &[String], reset: bool, format: Format) -> Result<(), Failure> {
    let (which, pairs) = read(words);
    // Looked at before the database is: what is mistyped changes nothing.
    pairs.iter().try_for_each(|pair| set_pair(&mut Tuning::default(), pair))?;
    let ordered = if pairs.is_empty() && !reset {
        orders::look(config, &which)?
    } else {
        orders::change(config, &which, |orders, _| {
            if reset {
                orders.tuning = Tuning::default();
            }
            pairs.iter().try_for_each(|pair| set_pair(&mut orders.tuning, pair))
        })?
    };
    let settings = in_force(config, &ordered);
    if format == Format::Json {
        return report::json(&Report {
            migration: ordered.id.as_str(),
            settings,
            held_by: ordered.runner.as_ref().map(|(holder, _)| holder.name.as_str()),
            last_beat_s: ordered.runner.as_ref().map(|(_, age_s)| *age_s),
        });
    }
    report::line(&as_text(&ordered, &settings));
    Ok(())
}

/// Returns the migration that was named and the settings: an id has no `=`.
fn read(words: &[String]) -> (Which, &[String]) {
    match words.split_first() {
        Some((first, pairs)) if !first.contains('=') => (Which { migration: Some(first.clone()) }, pairs),
        _ => (Which { migration: None }, words),
    }
}

/// Returns each setting with its source: an order over the file over the default.
fn in_force(config: &Config, ordered: &Ordered) -> BTreeMap<&'static str, Setting> {
    let layers = [
        (From::Default, Tuning::defaults()),
        (From::File, config.tuning.clone()),
        (From::Order, ordered.now.tuning.clone()),
    ];
    let values = layers
        .iter()
        .flat_map(|(from, tuning)| shown(tuning).into_iter().map(|(key, value)| (key, Setting { value, from: *from })));
    values.collect()
}

fn as_text(ordered: &Ordered, settings: &BTreeMap<&'static str, Setting>) -> String {
    let mut text = format!("{}: {}\n", ordered.id, ordered.running());
    for (key, _) in KEYS {
        let (value, from) = match settings.get(key) {
            Some(Setting { value, from: From::Order }) => (value.as_str(), "segue tune"),
            Some(Setting { value, from: From::File }) => (value.as_str(), "segue.toml"),
            Some(Setting { value, from: From::Default }) => (value.as_str(), "default"),
            None => ("-", "not set"),
        };
        text.push_str(&format!("  {key:<20} {value:<24} {from}\n"));
    }
    text.push_str("  (a run also has what its own --set said, where nothing was tuned since)\n");
    text
}
