//! What a verification found, as the user is told of it.

use segue_execute::{TableReport, VerifyReport};
use serde::Serialize;

/// What was found in one table, as JSON.
#[derive(Serialize)]
pub(crate) struct Table<'a> {
    table: String,
    rows: u64,
    unrelated: u64,
    absent: u64,
    repaired: u64,
    chunks: u64,
    differing_chunks: u64,
    seconds: f64,
    rows_per_s: Option<f64>,
    /// Where both sides stand in tables of their own.
    sides: Option<Sides>,
    samples: &'a [String],
}

#[derive(Serialize)]
struct Sides {
    old: Side,
    new: Side,
}

#[derive(Serialize)]
struct Side {
    rows: u64,
    checksum: String,
}

impl From<segue_execute::Side> for Side {
    fn from(side: segue_execute::Side) -> Self {
        Self { rows: side.rows, checksum: side.checksum.to_string() }
    }
}

/// Returns what was found, an entry a table.
pub(crate) fn tables(report: &VerifyReport) -> Vec<Table<'_>> {
    report.tables.iter().map(table).collect()
}

fn table(found: &TableReport) -> Table<'_> {
    Table {
        table: found.table.to_string(),
        rows: found.rows,
        unrelated: found.unrelated,
        absent: found.absent,
        repaired: found.repaired,
        chunks: found.chunks,
        differing_chunks: found.differing,
        seconds: found.took.as_secs_f64(),
        rows_per_s: found.rows_per_s(),
        sides: found.sides.map(|sides| Sides { old: sides.old.into(), new: sides.new.into() }),
        samples: &found.samples,
    }
}

/// Returns what was found, a line a table and a line for each wrong row that is shown.
pub(crate) fn verified(report: &VerifyReport) -> String {
    report.tables.iter().map(in_words).collect()
}

fn in_words(found: &TableReport) -> String {
    let mut text = format!("{}: {}", found.table, counted(found.rows, "row"));
    text.push_str(&format!(", {} unrelated, {} absent", found.unrelated, found.absent));
    if found.repaired > 0 {
        text.push_str(&format!(", {} repaired before", found.repaired));
    }
    let rate = found.rows_per_s().map(|rate| format!(", {rate:.0} rows/s")).unwrap_or_default();
    let chunks = counted(found.chunks, "chunk");
    let differ = if found.differing == 1 { "differs" } else { "differ" };
    text.push_str(&format!(" ({chunks}, {} {differ}{rate})\n", found.differing));
    if let Some(sides) = &found.sides {
        text.push_str(&format!(
            "  checksums: {} of {}, {} of {} in the copy\n",
            sides.old.checksum,
            counted(sides.old.rows, "row"),
            sides.new.checksum,
            counted(sides.new.rows, "row")
        ));
    }
    for key in &found.samples {
        text.push_str(&format!("  wrong: {}\n", key.escape_debug()));
    }
    text
}

/// Returns a number of things; all that are counted here take an `s` for more than one.
fn counted(number: u64, one: &str) -> String {
    if number == 1 { format!("1 {one}") } else { format!("{number} {one}s") }
}
