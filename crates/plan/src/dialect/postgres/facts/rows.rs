//! What statements over rows do.

use segue_model::lock::LockMode::{AccessShare as AS, RowExclusive as RE, RowShare as RS};

use super::Fact;

pub(super) static FACTS: &[Fact] = &[
    Fact::instant("dml.update_all", RE).scanning().forever(),
    Fact::instant("dml.copy_like_insert", RE),
    Fact::instant("dml.select_for_update", RS),
    Fact::instant("dml.update_window", RE),
    Fact::instant("dml.select_window", AS),
    Fact::instant("dml.copy_window", AS),
    Fact::instant("dml.copy_rest", AS).scanning(),
];
