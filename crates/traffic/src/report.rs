//! What the clients saw.

use std::time::Duration;

/// How many first messages and first details are kept.
pub(crate) const KEPT: usize = 10;

/// What the clients saw, and what the database holds of what they wrote.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Report {
    /// Requests sent.
    pub requests: u64,
    /// Requests that failed.
    pub failed_requests: u64,
    /// Of these, failed because the connection was gone or could not be had: the server went away.
    pub cut_requests: u64,
    /// The first messages of failed requests.
    pub failures: Vec<String>,
    /// Prepared statements that had to be prepared again, once a swap, connection and statement.
    pub replanned: u64,
    /// Rows on which a write that was acknowledged is not to be seen.
    pub lost_writes: u64,
    /// The first of them.
    pub lost: Vec<String>,
    /// Rows whose other side is not what the last write means.
    pub wrong_rows: u64,
    /// The first of them.
    pub wrong: Vec<String>,
    /// Rows that the clients wrote to.
    pub rows_touched: u64,
    /// Rows compared; each side of a row counts.
    pub rows_compared: u64,
    /// Median latency from the intended start, in milliseconds.
    pub p50_ms: f64,
    /// 99th percentile, in milliseconds.
    pub p99_ms: f64,
    /// The longest that any request took from its intended start, in milliseconds.
    pub max_stall_ms: f64,
    /// The same by second.
    pub seconds: Vec<Second>,
    /// The same between the marks that the caller set.
    pub marks: Vec<Mark>,
}

/// One second of traffic, by intended start.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Second {
    /// Requests.
    pub requests: u64,
    /// The longest latency in milliseconds.
    pub max_ms: f64,
}

/// The time from one [`crate::Running::mark`] to the next.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Mark {
    /// As the caller named it.
    pub name: String,
    /// How long it lasted.
    pub seconds: f64,
    /// Requests with their intended start in it.
    pub requests: u64,
    /// 99th percentile, in milliseconds.
    pub p99_ms: f64,
    /// The longest latency in milliseconds.
    pub max_ms: f64,
}

/// How long one request took.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Latency {
    pub(crate) start_ms: u32,
    pub(crate) took_us: u32,
}

impl Report {
    /// Tells whether nothing failed, nothing was lost and nothing is wrong.
    pub fn is_clean(&self) -> bool {
        self.failed_requests == 0 && self.lost_writes == 0 && self.wrong_rows == 0
    }

    /// Returns the marked time of this name.
    pub fn mark(&self, name: &str) -> Option<&Mark> {
        self.marks.iter().find(|mark| mark.name == name)
    }

    pub(crate) fn time(&mut self, latencies: &[Latency], marks: Vec<(String, Duration)>, end: Duration) {
        self.requests = latencies.len() as u64;
        (self.p50_ms, self.p99_ms, self.max_stall_ms) = summary(latencies.iter().map(|l| l.took_us).collect());
        for latency in latencies {
            let second = latency.start_ms as usize / 1000;
            if self.seconds.len() <= second {
                self.seconds.resize(second + 1, Second::default());
            }
            self.seconds[second].requests += 1;
            self.seconds[second].max_ms = self.seconds[second].max_ms.max(f64::from(latency.took_us) / 1000.0);
        }
        let ends: Vec<Duration> = marks.iter().skip(1).map(|(_, at)| *at).chain([end]).collect();
        self.marks = marks.into_iter().zip(ends).map(|((name, from), to)| marked(name, from, to, latencies)).collect();
    }
}

fn marked(name: String, from: Duration, to: Duration, latencies: &[Latency]) -> Mark {
    let span = from.as_millis()..to.as_millis();
    let within: Vec<u32> = latencies.iter().filter(|l| span.contains(&l.start_ms.into())).map(|l| l.took_us).collect();
    let requests = within.len() as u64;
    let (_, p99_ms, max_ms) = summary(within);
    Mark { name, seconds: to.saturating_sub(from).as_secs_f64(), requests, p99_ms, max_ms }
}

/// Returns the median, the 99th percentile and the maximum, in milliseconds.
fn summary(mut took_us: Vec<u32>) -> (f64, f64, f64) {
    took_us.sort_unstable();
    let at = |percent: usize| {
        let last = took_us.len().saturating_sub(1);
        took_us.get(last * percent / 100).map_or(0.0, |us| f64::from(*us) / 1000.0)
    };
    (at(50), at(99), at(100))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn latencies_fall_into_their_second_and_mark() {
        let mut report = Report::default();
        let latencies =
            [(100, 1_000), (1_500, 9_000), (1_600, 3_000)].map(|(start_ms, took_us)| Latency { start_ms, took_us });
        let marks = vec![("baseline".to_owned(), Duration::ZERO), ("apply".to_owned(), Duration::from_secs(1))];
        report.time(&latencies, marks, Duration::from_secs(2));
        assert_eq!(report.seconds.iter().map(|s| s.requests).collect::<Vec<_>>(), [1, 2]);
        assert_eq!((report.p50_ms, report.max_stall_ms), (3.0, 9.0));
        assert_eq!(report.mark("baseline").map(|m| m.max_ms), Some(1.0));
        assert_eq!(report.mark("apply").map(|m| (m.requests, m.max_ms)), Some((2, 9.0)));
    }
}
