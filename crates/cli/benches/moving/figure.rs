//! A figure with its bar, and the table of all.

/// What a figure must reach.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Bar {
    AtLeast(f64),
    AtMost(f64),
    /// Only told.
    None,
}

/// What was measured.
#[derive(Debug, Clone)]
pub(crate) struct Figure {
    pub(crate) name: String,
    /// `None`: it could not be measured, and `note` says why.
    pub(crate) value: Option<f64>,
    pub(crate) bar: Bar,
    pub(crate) note: String,
    /// The run itself failed.
    broken: bool,
}

impl Figure {
    pub(crate) fn new(name: impl Into<String>, value: f64, bar: Bar, note: impl Into<String>) -> Self {
        Self { name: name.into(), value: Some(value), bar, note: note.into(), broken: false }
    }

    /// Returns a figure that cannot be had here.
    pub(crate) fn missing(name: impl Into<String>, bar: Bar, why: impl Into<String>) -> Self {
        Self { name: name.into(), value: None, bar, note: why.into(), broken: false }
    }

    /// Returns a figure whose run failed: that is below every bar.
    pub(crate) fn broken(name: impl Into<String>, bar: Bar, why: impl Into<String>) -> Self {
        Self { name: name.into(), value: None, bar, note: why.into(), broken: true }
    }

    /// Tells whether it does not reach its bar.
    pub(crate) fn fails(&self) -> bool {
        match (self.value, self.bar) {
            (Some(value), Bar::AtLeast(bar)) => value < bar,
            (Some(value), Bar::AtMost(bar)) => value > bar,
            (None, _) => self.broken,
            (_, Bar::None) => false,
        }
    }

    /// Returns it as a row of a Markdown table.
    pub(crate) fn row(&self) -> String {
        let bar = match self.bar {
            Bar::AtLeast(bar) => format!("≥ {bar}"),
            Bar::AtMost(bar) => format!("≤ {bar}"),
            Bar::None => String::new(),
        };
        let value = self.value.map_or_else(|| "–".to_owned(), shown);
        let verdict = match (self.value, self.bar) {
            (None, _) if self.broken => "**FAIL**",
            (None, _) => "not measured",
            (_, Bar::None) => "",
            _ if self.fails() => "**FAIL**",
            _ => "pass",
        };
        format!("| {} | {value} | {bar} | {verdict} | {} |", self.name, self.note)
    }
}

/// The head of the table.
pub(crate) const HEAD: &str = "| figure | value | bar | | |\n|---|---|---|---|---|";

fn shown(value: f64) -> String {
    if value.abs() >= 1000.0 {
        format!("{value:.0}")
    } else if value.abs() >= 20.0 {
        format!("{value:.1}")
    } else {
        format!("{value:.2}")
    }
}
