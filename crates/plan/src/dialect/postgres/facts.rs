//! What PostgreSQL does natively: one record a statement shape, measured on servers 12 to 18.
//!
//! Steps, verdicts and rules take locks, rewrites and scans from here and never repeat them.

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
    /// Every row is written again.
    pub(super) rewrites: bool,
    /// Every row is read.
    pub(super) scans: bool,
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
        Self { rewrites: true, scans: true, ..self }
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

use LockMode::{
    AccessExclusive as AE, AccessShare as AS, None as NONE, RowExclusive as RE, RowShare as RS, Share as S,
    ShareRowExclusive as SRE, ShareUpdateExclusive as SUE,
};

/// Every fact that is known.
pub(super) static FACTS: &[Fact] = &[
    Fact::instant("addcol.null", AE).losing(),
    Fact::instant("addcol.const_default", AE).losing(),
    Fact::instant("addcol.notnull_const_default", AE).losing(),
    Fact::instant("addcol.notnull_nodefault", AE).scanning().breaking(),
    Fact::instant("addcol.stable_default", AE).losing(),
    Fact::instant("addcol.volatile_default", AE).rewriting().losing(),
    Fact::instant("addcol.serial", AE).rewriting().losing(),
    Fact::instant("addcol.identity", AE).rewriting().losing(),
    Fact::instant("addcol.gen_stored", AE).rewriting(),
    Fact::instant("addcol.gen_virtual", AE).since(18),
    Fact::instant("addcol.check", AE).scanning().breaking(),
    Fact::instant("addcol.unique", AE).scanning().breaking(),
    Fact::instant("addcol.references", AE).breaking().locking(&[("the referenced table", SRE)]),
    Fact::instant("addcol.domain_check", AE).rewriting().breaking(),
    Fact::instant("dropcol.plain", AE).breaking().forever(),
    Fact::instant("dropcol.indexed", AE).breaking().forever(),
    Fact::instant("dropcol.fk", AE).breaking().forever().locking(&[("the referenced table", AE)]),
    Fact::instant("col.set_default", AE),
    Fact::instant("col.drop_default", AE).breaking(),
    Fact::instant("col.set_not_null", AE).scanning().breaking(),
    Fact::instant("col.set_not_null_valid_check", AE).breaking(),
    Fact::instant("col.drop_not_null", AE).breaking(),
    Fact::instant("nn.add_constraint_notnull_valid_check", AE).breaking().since(18),
    Fact::instant("type.varchar_widen", AE),
    Fact::instant("type.varchar_narrow", AE).rewriting().losing(),
    Fact::instant("type.varchar_unlimited", AE),
    Fact::instant("type.varchar_text", AE),
    Fact::instant("type.text_varchar", AE),
    Fact::instant("type.text_varchar_n", AE).rewriting().losing(),
    Fact::instant("type.char_text", AE).rewriting(),
    Fact::instant("type.numeric_unconstrained", AE),
    Fact::instant("type.numeric_constrain", AE).rewriting().losing(),
    Fact::instant("type.smallint_int", AE).rewriting(),
    Fact::instant("type.int_bigint", AE).rewriting(),
    Fact::instant("type.int_bigint_indexed", AE).rewriting(),
    Fact::instant("type.using_noop", AE),
    Fact::instant("type.using_expr", AE).rewriting().losing(),
    Fact::instant("con.add_check_nv", AE).breaking(),
    Fact::instant("con.validate_check", SUE).scanning(),
    Fact::instant("con.drop_check", AE),
    Fact::instant("idx.create", S).scanning(),
    Fact::instant("idx.create_conc", SUE).scanning().outside_transactions(),
    Fact::instant("idx.drop", AE).locking(&[("the index", AE)]),
    Fact::instant("idx.drop_conc", SUE).outside_transactions(),
    Fact::instant("idx.rename", NONE).locking(&[("the index", SUE)]),
    Fact::instant("tab.rename_column", AE).breaking(),
    Fact::instant("tab.analyze", SUE),
    Fact::instant("tab.vacuum", SUE).outside_transactions(),
    Fact::instant("tab.create", NONE).losing(),
    Fact::instant("tab.create_with_fk", NONE).losing().locking(&[("the referenced table", SRE)]),
    Fact::instant("tab.drop_with_fk_out", AE).breaking().forever().locking(&[("the referenced table", AE)]),
    Fact::instant("tab.alter_new", AE),
    Fact::instant("tab.create_as", AS).scanning(),
    Fact::instant("tab.create_as_empty", AS),
    Fact::instant("tab.drop", AE).breaking().forever(),
    Fact::instant("trg.create", SRE),
    Fact::instant("trg.enable", SRE),
    Fact::instant("trg.disable", SRE),
    Fact::instant("trg.drop", AE),
    Fact::instant("fn.create", NONE),
    Fact::instant("fn.replace", NONE),
    Fact::instant("fn.drop", NONE),
    Fact::instant("dml.update_all", RE).scanning().forever(),
    Fact::instant("dml.update_window", RE),
    Fact::instant("dml.select_for_update", RS),
    Fact::instant("dml.select_window", AS),
    Fact::instant("dml.copy_window", AS),
    Fact::instant("dml.copy_rest", AS).scanning(),
];

/// Returns the fact of this id.
pub(super) fn fact(id: &'static str) -> &'static Fact {
    FACTS.iter().find(|fact| fact.id == id).expect("each fact that the source names is in the table")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_fact_has_one_record_and_a_range_of_versions() {
        for (at, fact) in FACTS.iter().enumerate() {
            assert!(FACTS[..at].iter().all(|other| other.id != fact.id), "{} stands twice", fact.id);
            assert!(fact.versions.0 <= fact.versions.1, "{}", fact.id);
        }
    }

    #[test]
    fn a_fact_of_this_version_is_the_one_that_is_used() {
        assert_eq!(fact("addcol.gen_virtual").versions, (18, 18));
        assert!(fact("type.int_bigint").rewrites);
        assert!(!fact("addcol.null").scans);
        assert_eq!(fact("addcol.references").others[0].1, LockMode::ShareRowExclusive);
    }
}
