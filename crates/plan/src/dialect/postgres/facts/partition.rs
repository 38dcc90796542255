//! What changing partitions does.

use segue_model::lock::LockMode::{AccessExclusive as AE, ShareUpdateExclusive as SUE};

use super::{DEFAULT_PARTITION, Fact, INDEX, PARTITION, PARTITIONED};

pub(super) static FACTS: &[Fact] = &[
    Fact::instant("part.create_of", AE).locking(&[(INDEX, SUE)]),
    Fact::instant("part.create_of_with_default", AE).locking(&[(DEFAULT_PARTITION, AE)]),
    Fact::instant("part.attach", SUE).locking(&[(PARTITION, AE), (INDEX, SUE)]),
    Fact::instant("part.attach_check", SUE).locking(&[(PARTITION, AE), (INDEX, SUE)]),
    Fact::instant("part.attach_with_default", SUE).locking(&[(DEFAULT_PARTITION, AE), (PARTITION, AE)]),
    Fact::instant("part.detach", AE).breaking().until(13).locking(&[(PARTITION, SUE), (INDEX, AE)]),
    Fact::instant("part.detach", AE).breaking().since(14).locking(&[(PARTITION, AE), (INDEX, AE)]),
    Fact::instant("part.detach_conc", SUE).outside_transactions().breaking().since(14).locking(&[(PARTITION, AE)]),
    Fact::instant("part.finish_detach", SUE).since(14).locking(&[(PARTITION, AE)]),
    Fact::instant("part.drop", AE).breaking().forever().locking(&[(PARTITIONED, AE)]),
    Fact::instant("part.truncate_leaf", AE).refiled().rebuilding().breaking().forever(),
    Fact::instant("part.attach_with_default_check", SUE).locking(&[(PARTITION, AE), (DEFAULT_PARTITION, AE)]),
];
