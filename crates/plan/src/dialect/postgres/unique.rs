//! Indexes on old columns: whether they can make a write of new code fail, and when they go.

use segue_model::catalog::Index;
use segue_model::ident::Ident;

use super::mirror::{Derived, Form, Mirror};
use super::{asked, gates};
use crate::operation::Pair;
use crate::refusal::Refusal;

/// Refuses a unique index under which rows that differ for new code could be alike for the old columns.
///
/// # Errors
/// The refusal.
pub(super) fn gate(pair: &Pair<'_>, mirror: &Mirror<'_>) -> Result<(), Refusal> {
    let indexes = pair.table.indexes.iter().filter(|index| index.unique);
    let held = indexes.flat_map(|index| mirror.old.iter().map(move |old| (index, old)));
    let mut folding = held.filter(|(index, old)| covers(index, &old.column) && !keeps_apart(index, old, mirror));
    match folding.next() {
        None => Ok(()),
        Some((index, old)) => Err(Refusal::Impossible {
            what: format!("writes of new code could fail on the unique index `{}` of {}", index.name, pair.table.name),
            why: format!(
                "`{}` follows from `{}`, which may give the same value for rows that new code tells apart",
                old.column, old.expr.source
            ),
            instead: format!(
                "In an earlier migration drop `{}`, or create it again without UNIQUE; a unique index on the new columns \
                 comes later.",
                index.name
            ),
        }),
    }
}

/// Returns the note about indexes that go with the old columns.
pub(super) fn notes(pair: &Pair<'_>) -> Vec<String> {
    let old = |index: &&Index| pair.old.iter().any(|side| covers(index, &side.column.name));
    let listed = |of: &dyn Fn(&Index) -> bool| {
        let names: Vec<String> =
            pair.table.indexes.iter().filter(old).filter(|i| of(i)).map(|i| format!("`{}`", i.name)).collect();
        (!names.is_empty()).then(|| names.join(", "))
    };
    let all = listed(&|_| true).map(|names| format!("cleanup drops the indexes {names} with the old columns"));
    let unique = listed(&|index| index.unique).map(|names| {
        format!("uniqueness ends with {names} at cleanup: create a unique index on the new columns before it")
    });
    all.into_iter().chain(unique).collect()
}

/// Returns whether the index tells rows apart by the column: in its key, its expressions or its WHERE. What is only included
/// plays no part.
fn covers(index: &Index, column: &Ident) -> bool {
    let key = index.keys.iter().any(|key| key.column.as_ref() == Some(column));
    let expression = index.keys.iter().any(|key| key.column.is_none()) && gates::names(&index.definition, column);
    let predicate = index.predicate.as_ref().is_some_and(|predicate| gates::names(predicate, column));
    key || expression || predicate
}

/// Whether different values of new code stay different: a copy does that, and NULL for what is too long, where NULLs differ.
fn keeps_apart(index: &Index, old: &Derived, mirror: &Mirror<'_>) -> bool {
    let Some(read) = asked::column(&old.expr) else { return false };
    let nulls_alike = index.carries.iter().any(|carried| carried == "nulls not distinct");
    let whole = |derived: &Derived| derived.kind.range().is_some();
    match &old.form {
        Form::Exact => true,
        Form::Length(_) | Form::Range(..) => !nulls_alike,
        Form::Tried { .. } => {
            !nulls_alike && whole(old) && mirror.new.iter().any(|new| new.column == *read && whole(new))
        }
    }
}
