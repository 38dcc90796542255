//! What adding a column would do.

use segue_model::catalog::{Table, TableKind};
use segue_model::change::NewColumn;
use segue_model::expr::Nullness;

use super::asked::{self, Kind};
use crate::operation::Context;

/// Returns the fact.
pub(super) fn fact(column: &NewColumn, table: Option<&Table>, context: &Context<'_>) -> &'static str {
    if let Some(fact) = by_clause(column) {
        return fact;
    }
    let default = column.default.as_ref().filter(|default| default.nullness != Nullness::Always);
    match asked::kind(&column.type_name, context) {
        Kind::Domain { checked: true } if default.is_some() => return "addcol.domain_check_default",
        Kind::Domain { checked: true } => return "addcol.domain_check",
        Kind::Domain { checked: false } if default.is_none() && !column.not_null => return "addcol.domain_nocheck",
        Kind::Domain { checked: false } | Kind::Plain => {}
    }
    let partitioned = table.is_some_and(|table| table.kind == TableKind::Partitioned);
    match (default, column.not_null) {
        (None, true) => "addcol.notnull_nodefault",
        (Some(default), _) if asked::takes_numbers(default) => "addcol.nextval_default",
        (Some(default), _) if !default.constant && asked::is_volatile(default, context) => "addcol.volatile_default",
        _ if partitioned => "addcol.partitioned",
        (None, false) => "addcol.null",
        (Some(default), false) if default.constant => "addcol.const_default",
        (Some(default), true) if default.constant => "addcol.notnull_const_default",
        (Some(_), _) => "addcol.stable_default",
    }
}

/// Clauses that decide whatever the type is.
fn by_clause(column: &NewColumn) -> Option<&'static str> {
    let says = |words: &[&str]| column.others.iter().any(|clause| words.iter().all(|word| clause.contains(word)));
    let constant = column.default.as_ref().is_some_and(|default| default.nullness != Nullness::Always);
    let serial = column.type_name.as_str().contains("serial");
    match () {
        () if says(&["IDENTITY"]) => Some("addcol.identity"),
        () if says(&["GENERATED", "VIRTUAL"]) => Some("addcol.gen_virtual"),
        () if says(&["GENERATED"]) => Some("addcol.gen_stored"),
        () if says(&["PRIMARY KEY"]) && serial => Some("addcol.pk_on_nopk"),
        () if serial || says(&["serial"]) => Some("addcol.serial"),
        () if says(&["PRIMARY KEY"]) || says(&["UNIQUE"]) => Some("addcol.unique"),
        () if says(&["REFERENCES"]) && constant => Some("addcol.references_default"),
        () if says(&["REFERENCES"]) => Some("addcol.references"),
        () if says(&["CHECK"]) && constant => Some("addcol.const_default_check"),
        () if says(&["CHECK"]) => Some("addcol.check"),
        () => None,
    }
}
