//! Formulas about NULL, kept small.

use segue_model::expr::Nullness;

/// What is known of an expression beside its text.
#[derive(Debug, Clone)]
pub(crate) struct Meaning {
    pub(crate) nullness: Nullness,
    pub(crate) can_raise: bool,
    pub(crate) constant: bool,
}

impl Meaning {
    /// Returns what is known of a literal that is not NULL.
    pub(crate) fn literal() -> Self {
        Self { nullness: Nullness::Never, can_raise: false, constant: true }
    }

    /// Returns what is known of an operation on these: NULL when any of them is.
    pub(crate) fn strict(operands: &[Self]) -> Self {
        Self { nullness: any(operands.iter().map(|operand| operand.nullness.clone())), ..Self::unknown(operands) }
    }

    /// Returns what is known of an operation on these that may be NULL for any reason.
    pub(crate) fn unknown(operands: &[Self]) -> Self {
        Self {
            nullness: Nullness::Unknown,
            can_raise: operands.iter().any(|operand| operand.can_raise),
            constant: false,
        }
    }

    pub(crate) fn with(self, nullness: Nullness) -> Self {
        Self { nullness, ..self }
    }

    pub(crate) fn raising(self, can_raise: bool) -> Self {
        Self { can_raise: self.can_raise || can_raise, ..self }
    }
}

/// Returns when any of these is NULL.
pub(crate) fn any(of: impl IntoIterator<Item = Nullness>) -> Nullness {
    let mut kept: Vec<Nullness> = Vec::new();
    for nullness in of {
        match nullness {
            Nullness::Never => {}
            Nullness::Always => return Nullness::Always,
            Nullness::Any(inner) => inner.into_iter().for_each(|inner| keep(&mut kept, inner)),
            other => keep(&mut kept, other),
        }
    }
    match kept.len() {
        0 => Nullness::Never,
        1 => kept.swap_remove(0),
        _ if kept.contains(&Nullness::Unknown) => Nullness::Unknown,
        _ => Nullness::Any(kept),
    }
}

/// Returns when all of these are NULL.
pub(crate) fn all(of: impl IntoIterator<Item = Nullness>) -> Nullness {
    let mut kept: Vec<Nullness> = Vec::new();
    for nullness in of {
        match nullness {
            Nullness::Never => return Nullness::Never,
            Nullness::Always => {}
            Nullness::All(inner) => inner.into_iter().for_each(|inner| keep(&mut kept, inner)),
            other => keep(&mut kept, other),
        }
    }
    match kept.len() {
        0 => Nullness::Always,
        1 => kept.swap_remove(0),
        _ => Nullness::All(kept),
    }
}

/// Returns when one of these, which one is not known, is NULL: the branches of a CASE.
pub(crate) fn one(of: Vec<Nullness>) -> Nullness {
    if of.iter().all(|nullness| *nullness == Nullness::Always) {
        return Nullness::Always;
    }
    if of.iter().any(|nullness| matches!(nullness, Nullness::Always | Nullness::Unknown)) {
        return Nullness::Unknown;
    }
    any(of)
}

fn keep(kept: &mut Vec<Nullness>, nullness: Nullness) {
    if !kept.contains(&nullness) {
        kept.push(nullness);
    }
}
