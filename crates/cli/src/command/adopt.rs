//! `segue adopt`.

use segue_execute::Adopted;
use serde::Serialize;

use crate::args::Format;
use crate::config::Config;
use crate::database::Database;
use crate::failure::Failure;
use crate::operate;
use crate::report;

/// What was adopted, as JSON.
#[derive(Serialize)]
struct Report<'a> {
    from: &'a str,
    here: &'a str,
    is_same: bool,
    unfinished: Vec<Unfinished<'a>>,
}

#[derive(Serialize)]
struct Unfinished<'a> {
    migration: &'a str,
    state: &'static str,
}

/// Makes the journal this database's own.
pub(super) fn run(config: &Config, format: Format) -> Result<(), Failure> {
    let database = Database::open(config)?;
    database.check_writable()?;
    let adopted = operate::run(database.connector.as_ref(), config, |run| run.adopt().map_err(operate::failure))?;
    if format != Format::Json {
        report::line(&as_text(&adopted));
        return Ok(());
    }
    let unfinished = adopted.unfinished.iter();
    report::json(&Report {
        from: &adopted.from,
        here: &adopted.here,
        is_same: adopted.is_same,
        unfinished: unfinished.map(|(id, state)| Unfinished { migration: id.as_str(), state: state.name() }).collect(),
    })
}

fn as_text(adopted: &Adopted) -> String {
    let mut text = if adopted.is_same {
        format!("the journal is {}'s already: nothing was to be done\n", adopted.here)
    } else {
        format!("the journal of {} belongs to this database now: {}\n", adopted.from, adopted.here)
    };
    for (id, state) in &adopted.unfinished {
        text.push_str(&format!("{id}: {}\n", operate::meaning(*state, false)));
        if let Some(next) = operate::next(id, *state) {
            text.push_str(&format!("  next:  {next}\n"));
        }
        if let Some(back) = operate::back(id, *state, false) {
            text.push_str(&format!("  back:  {back}\n"));
        }
    }
    if !adopted.unfinished.is_empty() {
        text.push_str("steps that were open when the copy was made are settled by what is there when it goes on or is taken back\n");
    }
    text
}
