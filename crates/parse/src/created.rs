//! The tables that a file creates, so that an index on one of them is checked before anything runs.

use std::collections::HashMap;

use segue_model::change::{Change, NamingChange};
use segue_model::ident::{Ident, TableRef};
use segue_model::nearest::nearest;

use crate::grammar::{Found, Grammar, Mention, Wanted, same_table};
use crate::problem::{Fault, ProblemKind};

/// The tables that a file creates.
pub(crate) struct Created<'g> {
    grammar: &'g dyn Grammar,
    /// By name in small letters: a large file creates many.
    by_name: HashMap<String, Vec<Table>>,
}

struct Table {
    table: TableRef,
    /// `None` where some may be unknown.
    columns: Option<Vec<Ident>>,
}

impl<'g> Created<'g> {
    /// Returns the tables among what a file wants, with the columns that it adds to them anywhere.
    pub(crate) fn of(grammar: &'g dyn Grammar, found: &[(usize, Found)]) -> Self {
        let mut created = Self { grammar, by_name: HashMap::new() };
        for (_, found) in found {
            if let Wanted::Table { table, columns, .. } = &found.what {
                let table = Table { table: table.clone(), columns: columns.clone() };
                created.by_name.entry(key(&table.table)).or_default().push(table);
            }
        }
        for (_, found) in found {
            match &found.what {
                Wanted::Change(Change::AddColumn { table, column }) => {
                    created.each(table, |columns| columns.iter_mut().for_each(|all| all.push(column.name.clone())));
                }
                Wanted::Change(Change::Naming(NamingChange::Column { table, to, .. })) => {
                    created.each(table, |columns| columns.iter_mut().for_each(|all| all.push(to.clone())));
                }
                // What is not understood in full may bring columns too.
                Wanted::Change(Change::NotYet { table: Some(table), .. }) => {
                    created.each(table, |columns| *columns = None)
                }
                _ => {}
            }
        }
        created
    }

    fn each(&mut self, table: &TableRef, change: impl Fn(&mut Option<Vec<Ident>>)) {
        let tables = self.by_name.get_mut(&key(table)).into_iter().flatten();
        tables
            .filter(|known| same_table(self.grammar, &known.table, table))
            .for_each(|known| change(&mut known.columns));
    }

    /// Returns the fault of a column that a table of the file lacks. With a schema in one place and none in the other it may
    /// be another table.
    pub(crate) fn missing(&self, table: &TableRef, mention: &Mention) -> Option<Fault> {
        let alike = |known: &&Table| {
            known.table.schema.is_some() == table.schema.is_some() && same_table(self.grammar, &known.table, table)
        };
        let columns = self.by_name.get(&key(table))?.iter().find(alike)?.columns.as_ref()?;
        let has = columns.iter().any(|column| self.grammar.same(column, &mention.column));
        if has || self.grammar.is_hidden_column(&mention.column) {
            return None;
        }
        let nearest = nearest(mention.column.as_str(), columns.iter().map(Ident::as_str)).map(str::to_owned);
        let (table, column) = (table.to_string(), mention.column.to_string());
        Some(Fault { span: mention.span, kind: ProblemKind::MissingColumn { table, column, nearest } })
    }
}

fn key(table: &TableRef) -> String {
    table.name.as_str().to_ascii_lowercase()
}
