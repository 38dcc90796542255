//! What changing indexes does.

use segue_model::lock::LockMode::{
    AccessExclusive as AE, AccessShare as AS, None as NONE, Share as S, ShareUpdateExclusive as SUE,
};

use super::{Fact, INDEX, PARTITIONS};

pub(super) static FACTS: &[Fact] = &[
    Fact::instant("idx.create", S).scanning(),
    Fact::instant("idx.create_unique", S).scanning().breaking(),
    Fact::instant("idx.drop", AE).locking(&[(INDEX, AE)]),
    Fact::instant("idx.create_partitioned", S).scanning().locking(&[(PARTITIONS, S)]),
    Fact::instant("idx.create_only_partitioned", S),
    Fact::instant("idx.create_conc", SUE).scanning().outside_transactions(),
    Fact::instant("idx.drop_conc", SUE).outside_transactions(),
    Fact::instant("idx.create_conc_partitioned", AE).failing(),
    Fact::instant("idx.rename", NONE).locking(&[(INDEX, SUE)]),
    Fact::instant("idx.set_storage_param", NONE).locking(&[(INDEX, SUE)]),
    Fact::instant("idx.set_tablespace", NONE).rebuilding().locking(&[(INDEX, AE)]),
    Fact::instant("idx.reindex_index", S).scanning().rebuilding().locking(&[(INDEX, AE)]),
    Fact::instant("idx.reindex_table", S).scanning().rebuilding().locking(&[(INDEX, AE)]),
    Fact::instant("idx.reindex_index_conc", SUE).scanning().outside_transactions(),
    Fact::instant("idx.reindex_table_conc", SUE).scanning().outside_transactions(),
    Fact::instant("idx.attach_index", AS).locking(&[(INDEX, AE)]),
    Fact::instant("idx.comment", NONE).locking(&[(INDEX, SUE)]),
    Fact::instant("idx.alter_stats", S).scanning(),
];
