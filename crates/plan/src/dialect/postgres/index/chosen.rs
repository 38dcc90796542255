//! The names that the server would choose: `ChooseIndexName` of its indexcmds.c, so that the end is as if the file had been
//! run by itself.

use std::collections::{BTreeMap, HashSet};

use segue_model::catalog::{Index, TableKind};
use segue_model::change::{Change, IndexChange, NewIndex, Place};
use segue_model::ident::{Ident, TableName, TableRef};

use crate::dialect::postgres::leaves;
use crate::dialect::postgres::object_name::{joined, object_name, of_pass, told_apart};
use crate::operation::Context;
use crate::refusal::Refusal;

/// Names that are in use, or will be when a statement runs.
#[derive(Debug, Default)]
pub(in crate::dialect::postgres) struct Taken(HashSet<String>);

impl Taken {
    /// Returns those of the database.
    pub(in crate::dialect::postgres) fn of(context: &Context<'_>) -> Self {
        Self(context.catalog.taken.iter().cloned().collect())
    }

    /// Adds one.
    pub(in crate::dialect::postgres) fn add(&mut self, schema: &Ident, name: &Ident) {
        self.0.insert(spelled(schema, name));
    }

    fn remove(&mut self, schema: &Ident, name: &Ident) {
        self.0.remove(&spelled(schema, name));
    }

    /// Returns whether something bears this name.
    pub(in crate::dialect::postgres) fn has(&self, schema: &Ident, name: &Ident) -> bool {
        self.0.contains(&spelled(schema, name))
    }
}

fn spelled(schema: &Ident, name: &Ident) -> String {
    [schema.as_str(), ".", name.as_str()].concat()
}

/// The names of a new index.
#[derive(Debug, Default)]
pub(super) struct Names {
    /// Of the index itself.
    pub(super) index: Option<Ident>,
    /// Of the index of each partition, by the partition.
    pub(super) of_members: BTreeMap<TableName, Ident>,
    /// Partitions with an index that takes part as it is.
    pub(super) reused: BTreeMap<TableName, Index>,
}

/// Returns the names of the index that the file creates at `at`, after all that the file names before it.
///
/// # Errors
/// A refusal for a name that is in use.
pub(super) fn names_at(at: &Place, context: &Context<'_>) -> Result<Names, Refusal> {
    let mut taken = Taken::of(context);
    for change in &context.migration.changes {
        match &change.what {
            Change::CreateTable { table, .. } => home(table, context).iter().for_each(|s| taken.add(s, &table.name)),
            Change::Index(IndexChange::Create(new)) => {
                let names = names(new, &mut taken, context)?;
                if change.at == *at {
                    return Ok(names);
                }
            }
            Change::Index(IndexChange::Drop { indexes, .. }) => {
                for (table, index) in indexes.iter().filter_map(|index| context.catalog.index(index)) {
                    taken.remove(&table.name.schema, &index.name);
                }
            }
            Change::Index(IndexChange::Rename { index, to }) => {
                if let Some((table, index)) = context.catalog.index(index) {
                    taken.remove(&table.name.schema, &index.name);
                    taken.add(&table.name.schema, to);
                }
            }
            _ => {}
        }
    }
    Ok(Names::default())
}

fn home(table: &TableRef, context: &Context<'_>) -> Option<Ident> {
    table.schema.clone().or_else(|| context.catalog.search_path.first().cloned())
}

fn names(new: &NewIndex, taken: &mut Taken, context: &Context<'_>) -> Result<Names, Refusal> {
    let table = context.catalog.find(&new.table);
    let Some(schema) = table.map(|table| table.name.schema.clone()).or_else(|| home(&new.table, context)) else {
        return Ok(Names::default());
    };
    let own = table.map_or(&new.table.name, |table| &table.name.name);
    let index = match &new.name {
        Some(name) if taken.has(&schema, name) => return Err(Refusal::Exists { name: name.to_string() }),
        Some(name) => name.clone(),
        None => choose(own, &new.called, "idx", &schema, taken),
    };
    taken.add(&schema, &index);
    let mut names = Names { index: Some(index), ..Names::default() };
    let Some(table) = table.filter(|table| table.kind == TableKind::Partitioned && !new.only) else { return Ok(names) };
    for member in leaves::of(table, context)? {
        if let Some(index) = super::tree::fitting(new, table, &member, context) {
            names.reused.insert(member.name, index.clone());
            continue;
        }
        let name = choose(&member.name.name, &new.called, "idx", &member.name.schema, taken);
        taken.add(&member.name.schema, &name);
        names.of_members.insert(member.name, name);
    }
    Ok(names)
}

/// Returns the name that the server chooses for an index over elements that are called so; `label` says what it is for.
pub(in crate::dialect::postgres) fn choose(
    table: &Ident,
    called: &[Option<Ident>],
    label: &'static str,
    schema: &Ident,
    taken: &Taken,
) -> Ident {
    let called = called.iter().map(|name| name.as_ref().map_or("expr", Ident::as_str));
    let columns = joined(&told_apart(called));
    let between = (!columns.is_empty()).then_some(columns.as_str());
    let named = |pass: usize| {
        Ident::new(object_name(table.as_str(), between, &of_pass(label, pass)))
            .expect("a name with an ending is a name")
    };
    (0..).map(named).find(|name| !taken.has(schema, name)).expect("there are more names than taken ones")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(table: &str, called: &[Option<&str>], taken: &[&str]) -> String {
        let called: Vec<_> = called.iter().map(|name| name.map(|name| Ident::new(name).unwrap())).collect();
        let taken = Taken(taken.iter().map(|name| format!("public.{name}")).collect());
        choose(&Ident::new(table).unwrap(), &called, "idx", &Ident::known("public"), &taken).as_str().to_owned()
    }

    #[test]
    fn names_are_those_that_the_server_chooses() {
        assert_eq!(named("t", &[Some("a"), Some("b")], &[]), "t_a_b_idx");
        assert_eq!(named("t", &[Some("a")], &["t_a_idx", "t_a_idx1"]), "t_a_idx2");
        assert_eq!(named("t", &[None, None, Some("a"), Some("a")], &[]), "t_expr_expr1_a_a1_idx");
        let long = "x".repeat(60);
        assert_eq!(named(&long, &[Some("abcdef")], &[]), format!("{}_abcdef_idx", "x".repeat(52)));
        assert_eq!(named(&"é".repeat(30), &[Some(&"y".repeat(40))], &[]).len(), 62);
    }
}
