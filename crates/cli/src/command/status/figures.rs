//! A run's figures, as people read them. What is not known is said to be unknown.

use segue_execute::Report;
use segue_model::tuning_text::show_size;

use crate::duration::in_words;

/// Returns how far the step under way is, how fast, and when it will be over; `None` where it goes by no windows.
pub(super) fn progress(figures: &Report) -> Option<String> {
    if figures.total == 0 {
        return None;
    }
    #[expect(clippy::cast_precision_loss, reason = "a share for people")]
    let percent = figures.done as f64 / figures.total as f64 * 100.0;
    let sweep = if figures.pass > 1 { format!("sweep {}: ", figures.pass - 1) } else { String::new() };
    let of = figures.rows_total.map(|rows| format!(" of about {rows}")).unwrap_or_default();
    let rate = figures.rate.map_or("unknown rows/s".to_owned(), |rate| format!("{rate:.0} rows/s"));
    let eta = figures.eta_s.map(|eta_s| format!(", {} to go", in_words(eta_s))).unwrap_or_default();
    let (done, total, unit, rows) = (figures.done, figures.total, &figures.unit, figures.rows);
    Some(format!("{sweep}{done}/{total} {unit} ({percent:.1} %), {rows}{of} rows, {rate}{eta}"))
}

/// Returns how many sessions move windows, and how long one takes.
pub(super) fn speed(figures: &Report) -> String {
    let window = figures.window_ms.map_or("unknown".to_owned(), |ms| format!("{ms:.0} ms"));
    let workers = if figures.workers == 1 { "worker" } else { "workers" };
    format!("{} {workers}, windows of {window}", figures.workers)
}

/// Returns how long each reason has held the run back, if any has.
pub(super) fn throttled(figures: &Report) -> Option<String> {
    let times = figures.throttled.iter().filter(|(_, seconds)| **seconds >= 0.05);
    let times: Vec<String> = times.map(|(reason, seconds)| format!("{reason} {seconds:.1} s")).collect();
    (!times.is_empty()).then(|| times.join(", "))
}

/// Returns what the run costs the database.
pub(super) fn price(figures: &Report) -> String {
    let size = |bytes: Option<u64>| bytes.map_or("unknown".to_owned(), sized);
    let dead = figures.dead_rows.map_or("unknown".to_owned(), |rows| rows.to_string());
    let mut parts = vec![
        format!("longest lock held {} ms, waited {} ms", figures.longest_lock_held_ms, figures.longest_lock_wait_ms),
        format!("{} retries", figures.retries),
        format!("dead rows {dead}"),
        format!("WAL {}", size(figures.wal_bytes)),
    ];
    let tables = figures.bytes.iter().map(|(table, at)| format!("{table} {} → {}", size(at.start), size(at.now)));
    parts.extend(tables);
    parts.join(", ")
}

fn sized(bytes: u64) -> String {
    #[expect(clippy::cast_precision_loss, reason = "a size for people")]
    let bytes = bytes as f64;
    show_size(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_known_is_said_to_be_unknown() {
        let mut figures = Report { total: 1_000, done: 5, unit: "pages".to_owned(), workers: 1, ..Report::default() };
        assert_eq!(progress(&figures).unwrap(), "5/1000 pages (0.5 %), 0 rows, unknown rows/s");
        assert_eq!(speed(&figures), "1 worker, windows of unknown");
        assert!(price(&figures).contains("dead rows unknown, WAL unknown"), "{}", price(&figures));
        assert_eq!(throttled(&figures), None);
        (figures.pass, figures.done, figures.rows, figures.rows_total) = (2, 500, 7, Some(9_000));
        (figures.rate, figures.eta_s) = (Some(123.4), Some(200));
        let text = "sweep 1: 500/1000 pages (50.0 %), 7 of about 9000 rows, 123 rows/s, 3 min 20 s to go";
        assert_eq!(progress(&figures).unwrap(), text);
        assert_eq!(progress(&Report::default()), None);
    }
}
