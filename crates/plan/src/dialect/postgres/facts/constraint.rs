//! What changing constraints does.

use segue_model::lock::LockMode::{
    AccessExclusive as AE, RowShare as RS, ShareRowExclusive as SRE, ShareUpdateExclusive as SUE,
};

use super::{Fact, INDEX, PARTITIONS, REFERENCED, REFERENCING};

pub(super) static FACTS: &[Fact] = &[
    Fact::instant("con.add_check", AE).scanning().breaking(),
    Fact::instant("con.add_check_nv", AE).breaking(),
    Fact::instant("con.validate_check", SUE).scanning(),
    Fact::instant("con.add_check_not_enforced", AE).since(18),
    Fact::instant("con.add_fk", SRE).scanning().breaking().locking(&[(REFERENCED, SRE)]),
    Fact::instant("con.add_fk_nv", SRE).breaking().locking(&[(REFERENCED, SRE)]),
    Fact::instant("con.validate_fk", SUE).scanning().locking(&[(REFERENCED, RS)]),
    Fact::instant("con.add_fk_not_enforced", SRE).since(18).locking(&[(REFERENCED, SRE)]),
    Fact::instant("con.add_fk_partitioned", SRE).scanning().breaking().locking(&[(PARTITIONS, SRE), (REFERENCED, SRE)]),
    Fact::instant("con.add_fk_nv_partitioned", SRE).failing().breaking().until(17),
    Fact::instant("con.add_fk_nv_partitioned", SRE)
        .breaking()
        .since(18)
        .locking(&[(PARTITIONS, SRE), (REFERENCED, SRE)]),
    Fact::instant("con.add_unique", AE).scanning().breaking(),
    Fact::instant("con.add_unique_using_index", AE).breaking().locking(&[(INDEX, SUE)]),
    Fact::instant("con.add_pk", AE).scanning().breaking(),
    Fact::instant("con.add_pk_using_index", AE).breaking().locking(&[(INDEX, SUE)]),
    Fact::instant("con.add_pk_using_index_nullable", AE).scanning().breaking().locking(&[(INDEX, SUE)]),
    Fact::instant("con.add_exclude", AE).scanning().breaking(),
    Fact::instant("con.drop_check", AE),
    Fact::instant("con.drop_fk", AE).breaking().locking(&[(REFERENCED, AE)]),
    Fact::instant("con.drop_pk_cascade", AE).breaking().locking(&[(REFERENCING, AE)]),
    Fact::instant("con.rename", AE),
    // Of a partitioned table whose partitions have validated ones that the new one takes over.
    Fact::instant("con.add_fk_attached", SRE).breaking().locking(&[(REFERENCED, AE)]),
    // ONLY of a partitioned table, to which the indexes of its partitions are attached.
    Fact::instant("con.add_unique_only", AE).breaking().locking(&[(INDEX, AE)]),
    Fact::instant("con.drop_pk", AE).breaking().locking(&[(INDEX, AE)]),
    Fact::instant("con.drop_unique", AE).breaking().locking(&[(INDEX, AE)]),
    Fact::instant("con.alter_fk_deferrable", AE),
    Fact::instant("con.alter_fk_not_enforced", AE).breaking().since(18).locking(&[(REFERENCED, AE)]),
    Fact::instant("con.nv_then_validate_same_txn", AE).scanning().breaking(),
    Fact::instant("con.drop_not_null_check", AE).breaking(),
    Fact::instant("con.replace_check_nv", AE).breaking(),
    Fact::instant("con.drop_fk_nv", AE).breaking().locking(&[(REFERENCED, AE)]),
];
