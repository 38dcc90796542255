//! What PostgreSQL does natively: one record a statement shape, measured on servers 12 to 18.
//!
//! Steps, verdicts and rules take locks, rewrites and scans from here and never repeat them.

mod added;
mod column;
mod constraint;
mod index;
mod object;
mod partition;
mod rows;
mod table;
mod types;

use segue_model::lock::LockMode;

/// What one shape of statement does.
#[derive(Debug)]
pub(super) struct Fact {
    /// Its id: `addcol.null`.
    pub(super) id: &'static str,
    /// The first and the last major version on which this holds.
    pub(super) versions: (u32, u32),
    /// The strongest lock on the table.
    pub(super) lock: LockMode,
    /// Strongest locks on other relations: what they are, and the lock.
    pub(super) others: &'static [(&'static str, LockMode)],
    /// Every row is written again, or the file that holds them is replaced.
    pub(super) rewrites: bool,
    /// Indexes that were there are built again.
    pub(super) rebuilds: bool,
    /// Every row is read.
    pub(super) scans: bool,
    /// The server refuses it, whatever the rows are.
    pub(super) fails: bool,
    /// It may run in a transaction block.
    pub(super) transactional: bool,
    /// Code that runs now goes on working.
    pub(super) compatible: bool,
    /// `lossless`, `lossy` or `impossible`.
    pub(super) reversible: &'static str,
}

impl Fact {
    /// Returns a statement that is done at once, and that running code does not notice once it is done.
    const fn instant(id: &'static str, lock: LockMode) -> Self {
        Self {
            id,
            versions: (12, 18),
            lock,
            others: &[],
            rewrites: false,
            rebuilds: false,
            fails: false,
            scans: false,
            transactional: true,
            compatible: true,
            reversible: "lossless",
        }
    }

    const fn scanning(self) -> Self {
        Self { scans: true, ..self }
    }

    /// Every rewrite also reads every row.
    const fn rewriting(self) -> Self {
        Self { rewrites: true, rebuilds: true, scans: true, ..self }
    }

    /// The file is copied block by block, or begun anew.
    const fn refiled(self) -> Self {
        Self { rewrites: true, ..self }
    }

    const fn rebuilding(self) -> Self {
        Self { rebuilds: true, ..self }
    }

    const fn failing(self) -> Self {
        Self { fails: true, ..self }
    }

    const fn breaking(self) -> Self {
        Self { compatible: false, ..self }
    }

    const fn outside_transactions(self) -> Self {
        Self { transactional: false, ..self }
    }

    const fn since(self, first: u32) -> Self {
        Self { versions: (first, 18), ..self }
    }

    const fn until(self, last: u32) -> Self {
        Self { versions: (self.versions.0, last), ..self }
    }

    const fn locking(self, others: &'static [(&'static str, LockMode)]) -> Self {
        Self { others, ..self }
    }

    const fn losing(self) -> Self {
        Self { reversible: "lossy", ..self }
    }

    const fn forever(self) -> Self {
        Self { reversible: "impossible", ..self }
    }
}

/// What a lock beside the one on the table is taken on, in a user's words.
pub(super) const DEFAULT_PARTITION: &str = "the default partition";
pub(super) const INDEX: &str = "the index";
pub(super) const OWN_SEQUENCE: &str = "the column's sequence";
pub(super) const PARENT: &str = "the parent";
pub(super) const PARTITION: &str = "the partition";
pub(super) const PARTITIONED: &str = "the partitioned table";
pub(super) const PARTITIONS: &str = "each partition";
pub(super) const REFERENCED: &str = "the referenced table";
pub(super) const REFERENCING: &str = "each table that references it";
pub(super) const SEQUENCE: &str = "the sequence";
pub(super) const SOURCE: &str = "each table that it reads";
pub(super) const USERS: &str = "each table that uses it";

/// Every fact that is known, by family.
static FAMILIES: &[&[Fact]] = &[
    added::FACTS,
    column::FACTS,
    types::FACTS,
    constraint::FACTS,
    index::FACTS,
    partition::FACTS,
    table::FACTS,
    object::FACTS,
    rows::FACTS,
];

fn all() -> impl Iterator<Item = &'static Fact> {
    FAMILIES.iter().copied().flatten()
}

/// Returns the fact of this id, as the newest version that it holds on shows it.
pub(super) fn fact(id: &'static str) -> &'static Fact {
    all().filter(|fact| fact.id == id).last().expect("each fact that the source names is in the table")
}

/// Returns the fact of this id on a version; `None` where that version has no such statement.
pub(super) fn fact_on(id: &str, major: u32) -> Option<&'static Fact> {
    facts_of(major).find(|fact| fact.id == id)
}

/// Returns the facts that hold on a version.
pub(super) fn facts_of(major: u32) -> impl Iterator<Item = &'static Fact> {
    all().filter(move |fact| (fact.versions.0..=fact.versions.1).contains(&major))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_version_has_at_most_one_record_of_a_fact() {
        let facts: Vec<&Fact> = all().collect();
        for (at, fact) in facts.iter().enumerate() {
            assert!(fact.versions.0 <= fact.versions.1, "{}", fact.id);
            let overlaps = |other: &&&Fact| {
                other.id == fact.id && other.versions.0 <= fact.versions.1 && fact.versions.0 <= other.versions.1
            };
            assert!(facts[..at].iter().find(overlaps).is_none(), "{} stands twice", fact.id);
        }
    }

    #[test]
    fn a_fact_is_that_of_the_version() {
        assert_eq!(fact("addcol.gen_virtual").versions, (18, 18));
        assert!(fact_on("addcol.gen_virtual", 17).is_none());
        assert!(fact("type.int_bigint").rewrites);
        assert!(!fact("addcol.null").scans);
        assert_eq!(fact("addcol.references").others[0].1, LockMode::ShareRowExclusive);
        assert_eq!(fact_on("part.detach", 13).unwrap().others[0].1, LockMode::ShareUpdateExclusive);
        assert_eq!(fact_on("part.detach", 18).unwrap().others[0].1, LockMode::AccessExclusive);
    }
}
