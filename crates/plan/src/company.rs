//! What a plan is about in each table, by which it is known what may be under way beside it.

use std::collections::BTreeMap;

use segue_model::change::{Change, IndexChange};
use segue_model::company::About;
use segue_model::ident::{Ident, TableName};

use crate::dialect::dialect;
use crate::operation::{AsWritten, AsWrittenKind, Context, Fill, Native, Operation, Pair, Retype};

/// Facts of objects that hang on a table and on which no step depends.
const HANGS_ON: &[&str] = &["tab.comment", "tab.comment_column", "tab.grant", "stx.create", "stx.drop"];

/// Returns what these operations are about, by table.
pub(crate) fn about(operations: &[Operation<'_>], context: &Context<'_>) -> Vec<About> {
    let joinable = dialect(context.catalog.engine).bears_company();
    let mut tables: BTreeMap<TableName, About> = BTreeMap::new();
    for operation in operations {
        let Some(table) = operation.table() else { continue };
        let (columns, joins) = of_operation(operation);
        let nothing = || About { table: table.name.clone(), columns: Some(vec![]), joins: joinable };
        let known = tables.entry(table.name.clone()).or_insert_with(nothing);
        known.joins &= joins;
        known.columns = known.columns.take().zip(columns).map(|(mut all, more)| {
            all.extend(more);
            all.sort();
            all.dedup();
            all
        });
    }
    tables.into_values().collect()
}

/// Returns the columns, `None` where they cannot be told, and whether it only adds.
fn of_operation(operation: &Operation<'_>) -> (Option<Vec<Ident>>, bool) {
    match operation {
        Operation::AsWritten(AsWritten { what: AsWrittenKind::AddColumns { columns, .. }, .. }) => {
            (Some(columns.iter().map(|column| column.name.clone()).collect()), true)
        }
        Operation::AsWritten(_) => (Some(vec![]), true),
        Operation::Fill(fill) => (Some(of_fill(fill)), false),
        Operation::Pair(pair) => (Some(of_pair(pair)), false),
        Operation::Retype(retype) => (Some(of_retype(retype)), false),
        Operation::Rows(_) => (None, false),
        Operation::Native(native) => of_native(native),
    }
}

fn of_fill(fill: &Fill<'_>) -> Vec<Ident> {
    std::iter::once(&fill.column.name).chain(fill.forward.columns()).cloned().collect()
}

fn of_pair(pair: &Pair<'_>) -> Vec<Ident> {
    let new = pair.new.iter().map(|side| &side.column.name);
    new.chain(pair.old.iter().map(|side| &side.column.name)).cloned().collect()
}

fn of_retype(retype: &Retype<'_>) -> Vec<Ident> {
    vec![retype.column.name.clone()]
}

fn of_native(native: &Native<'_>) -> (Option<Vec<Ident>>, bool) {
    let named = || Some(native.change.named_columns().into_iter().cloned().collect());
    match native.change {
        // An expression or a condition may read columns that are not listed.
        Change::Index(IndexChange::Create(new)) if lists_columns_only(new.definition.as_str()) => (named(), true),
        Change::Object(object) if HANGS_ON.contains(&object.fact) => (Some(vec![]), true),
        Change::SetNotNull { column, .. } | Change::DropColumn { column, .. } => (Some(vec![column.clone()]), false),
        Change::Column(_) => (named(), false),
        _ => (None, false),
    }
}

fn lists_columns_only(definition: &str) -> bool {
    definition.matches('(').count() == 1 && !definition.to_ascii_uppercase().contains("WHERE")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{self, Script, column, strict};
    use crate::group::group;
    use crate::operation::Thresholds;
    use segue_model::engine::Engine;

    fn of(script: Script, engine: Engine) -> String {
        let (migration, catalog, server) = (script.done(), fixture::users(engine), fixture::server(engine));
        let (answers, thresholds) = (Default::default(), &Thresholds::DEFAULT);
        let operations = group(&migration, &catalog).unwrap();
        let context =
            Context { migration: &migration, catalog: &catalog, server: &server, answers: &answers, thresholds };
        let shown = about(&operations, &context).into_iter().map(|about| {
            let columns = about.columns.map(|all| all.iter().map(ToString::to_string).collect::<Vec<_>>().join(" "));
            format!("{}: {} joins {}", about.table, columns.unwrap_or_else(|| "any".to_owned()), about.joins)
        });
        shown.collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn what_adds_joins_and_what_replaces_does_not() {
        let add = Script::new("m").add("users", column("nick", "text"));
        assert_eq!(of(add.clone(), Engine::Postgres), "public.users: nick joins true");
        assert_eq!(of(add.clone(), Engine::Sqlite), "main.users: nick joins false");
        let fill = add.transform("users", &[("nick", strict("first_name", &["first_name"]))]);
        assert_eq!(of(fill, Engine::Postgres), "public.users: first_name nick joins false");
        let drop = Script::new("m").drop("users", "age");
        assert_eq!(of(drop, Engine::Postgres), "public.users: age joins false");
    }
}
