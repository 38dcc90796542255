//! What changing a property of a column does.

use segue_model::lock::LockMode::{AccessExclusive as AE, ShareRowExclusive as SRE, ShareUpdateExclusive as SUE};

use super::{Fact, OWN_SEQUENCE};

pub(super) static FACTS: &[Fact] = &[
    Fact::instant("col.set_default", AE),
    Fact::instant("col.drop_default", AE).breaking(),
    Fact::instant("col.set_not_null", AE).scanning().breaking(),
    Fact::instant("col.set_not_null_valid_check", AE).breaking(),
    Fact::instant("col.set_not_null_and_drop_check", AE).scanning().breaking(),
    Fact::instant("col.drop_not_null", AE).breaking(),
    Fact::instant("nn.add_constraint_notnull", AE).scanning().breaking().since(18),
    Fact::instant("nn.add_constraint_notnull_nv", AE).breaking().since(18),
    Fact::instant("col.set_statistics", SUE),
    Fact::instant("col.set_attopt", SUE),
    Fact::instant("col.set_storage", AE),
    Fact::instant("col.set_compression", AE).since(14),
    Fact::instant("col.add_identity", AE),
    Fact::instant("col.drop_identity", AE).breaking().locking(&[(OWN_SEQUENCE, AE)]),
    Fact::instant("col.set_identity", AE).breaking().locking(&[(OWN_SEQUENCE, SRE)]),
    Fact::instant("col.identity_restart", AE).locking(&[(OWN_SEQUENCE, SRE)]),
    Fact::instant("col.drop_expression", AE).forever(),
    Fact::instant("col.set_expression_stored", AE).rewriting().since(17),
    Fact::instant("col.set_not_null_nv_check", AE).scanning().breaking(),
    Fact::instant("nn.validate", SUE).scanning().since(18),
    Fact::instant("nn.set_not_null_on_nv", AE).scanning().breaking().since(18),
    Fact::instant("nn.drop_constraint", AE).breaking().since(18),
    Fact::instant("nn.add_constraint_notnull_valid_check", AE).breaking().since(18),
];
